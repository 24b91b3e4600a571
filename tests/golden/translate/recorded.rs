//! Streams as providers really sent them: every one must pass, in both dialects, without a fault and
//! with plausible usage.

use std::fs;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use serde_json::{Map, Value};
use sluice::llm::{Dialect, Endpoint, Quirks, Translator, Usage};

use super::{context, feed, in_framing};

/// The endpoints of chat.
const INGRESSES: [Endpoint; 4] =
    [Endpoint::ChatCompletions, Endpoint::Messages, Endpoint::Responses, Endpoint::GenerateContent];

/// Where the recordings lie, if they are on this machine.
fn fixtures() -> Option<PathBuf> {
    let beside = || Path::new(env!("CARGO_MANIFEST_DIR")).parent()?.join("shared/fixtures").into();
    let folder = std::env::var_os("SLUICE_FIXTURES").map(PathBuf::from).or_else(beside)?;
    folder.is_dir().then_some(folder)
}

fn listed(folder: &Path, ending: &str) -> Vec<PathBuf> {
    let mut files: Vec<PathBuf> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.to_string_lossy().ends_with(ending))
        .collect();
    files.sort();
    files
}

/// A file of one payload a line, as the stream it was.
fn stream_of_payloads(dialect: Dialect, text: &str) -> Vec<u8> {
    let mut stream = String::new();
    for line in text.lines().filter(|line| !line.trim().is_empty()) {
        if dialect == Dialect::Bedrock {
            // The event's name is the only member.
            let event: Map<String, Value> = serde_json::from_str(line).unwrap();
            let (name, data) = event.iter().next().unwrap();
            stream.push_str(&format!("event: {name}\ndata: {data}\n\n"));
            continue;
        }
        stream.push_str(&format!("data: {line}\n\n"));
    }
    // The end is missing where a recorder did not take it for a payload.
    if matches!(dialect, Dialect::OpenAi | Dialect::Mistral) && !text.contains("[DONE]") {
        stream.push_str("data: [DONE]\n\n");
    }
    if dialect == Dialect::Bedrock && !text.contains("\"metadata\"") {
        // So does the report of usage in some of these files.
        stream.push_str(
            "event: metadata\ndata: {\"usage\":{\"inputTokens\":1,\"outputTokens\":1}}\n\n",
        );
    }
    in_framing(dialect, stream.as_bytes())
}

/// Some recordings were shortened by hand: they count no tokens or are no JSON.
fn is_made_up(path: &Path) -> bool {
    let name = path.file_name().unwrap().to_string_lossy();
    ["programmatic-tool-calling", "openai-apply-patch-tool", "parallel-tool-call-wrapper"]
        .iter()
        .any(|made_up| name.starts_with(made_up))
}

fn passes(path: &Path, upstream: Dialect, stream: &[u8]) {
    for endpoint in INGRESSES {
        let translator = Translator::new(endpoint, upstream.alone()).unwrap();
        let name = format!("{} to {endpoint:?}", path.display());
        let (text, progress) = feed(translator, true, &[stream]);
        assert!(!text.contains(": fault:"), "{name}: {text}");
        assert!(progress.terminated, "{name}");
        let usage = progress.usage.unwrap_or_else(|| panic!("{name}: no usage"));
        assert!(usage.input > 0 && usage.output > 0, "{name}: {usage:?}");
        assert!(usage.input >= usage.cached_input + usage.cache_write, "{name}: {usage:?}");
        assert!(usage.output >= usage.reasoning, "{name}: {usage:?}");
        let single: Vec<&[u8]> = stream.chunks(7).collect();
        assert_eq!(feed(translator, true, &single), (text, progress), "{name} in pieces");
    }
}

#[test]
fn recorded_streams_pass_without_a_fault() {
    let Some(folder) = fixtures() else {
        println!("SKIPPED: no recordings; set SLUICE_FIXTURES to their folder");
        return;
    };
    let mut count = 0;
    for (sub, upstream) in [
        ("vercel-ai/anthropic/src", Dialect::Anthropic),
        ("vercel-ai/openai/src/chat", Dialect::OpenAi),
        ("vercel-ai/openai-compatible/src/chat", Dialect::OpenAi),
        ("vercel-ai/deepseek/src", Dialect::OpenAi),
        ("vercel-ai/groq/src", Dialect::OpenAi),
        ("vercel-ai/mistral/src", Dialect::OpenAi),
        ("vercel-ai/xai/src", Dialect::OpenAi),
        ("vercel-ai/google/src", Dialect::Gemini),
        ("vercel-ai/openai/src/responses", Dialect::Responses),
        ("vercel-ai/open-responses/src/responses", Dialect::Responses),
        ("vercel-ai/xai/src/responses", Dialect::Responses),
        ("vercel-ai/azure/src", Dialect::Responses),
        ("vercel-ai/amazon-bedrock/src", Dialect::Bedrock),
        ("vercel-ai/mistral/src", Dialect::Mistral),
        ("vercel-ai/cohere/src", Dialect::Cohere),
    ] {
        if !folder.join(sub).is_dir() {
            println!("SKIPPED: no recordings in {sub}");
            continue;
        }
        for path in listed(&folder.join(sub), ".chunks.txt") {
            let text = fs::read_to_string(&path).unwrap();
            if text.contains("\"response.failed\"") || is_made_up(&path) {
                continue;
            }
            passes(&path, upstream, &stream_of_payloads(upstream, &text));
            count += 1;
        }
    }
    println!("{count} recorded streams passed");
    assert!(count > 10, "only {count} recordings found in {}", folder.display());
}

/// The binary bodies of a recording, which YAML holds in base64.
fn binary_bodies(text: &str) -> Vec<Vec<u8>> {
    let bodies = text.split("string: !!binary |\n").skip(1);
    let base64 = |body: &str| -> String {
        let lines = body.lines().map(str::trim);
        lines.take_while(|line| !line.is_empty() && !line.contains(':')).collect()
    };
    bodies.map(|body| STANDARD.decode(base64(body)).unwrap()).collect()
}

#[test]
fn the_event_streams_that_bedrock_sent_are_read() {
    let Some(folder) = fixtures().map(|folder| folder.join("pydantic-ai/test_bedrock")) else {
        println!("SKIPPED: no recordings; set SLUICE_FIXTURES to their folder");
        return;
    };
    let mut count = 0;
    for path in listed(&folder, ".yaml") {
        let text = fs::read_to_string(&path).unwrap();
        for body in binary_bodies(&text) {
            // Others are documents that were fetched.
            if body.windows(11).any(|window| window == b":event-type") {
                passes(&path, Dialect::Bedrock, &body);
                count += 1;
            }
        }
    }
    println!("{count} event streams passed");
    assert!(count >= 5, "only {count} event streams in {}", folder.display());
}

#[test]
fn the_event_streams_of_anthropics_own_tests_are_read() {
    let Some(folder) = fixtures().map(|folder| folder.join("anthropic-sdk-python/fixtures")) else {
        println!("SKIPPED: no recordings; set SLUICE_FIXTURES to their folder");
        return;
    };
    for path in listed(&folder, ".txt") {
        let stream = fs::read(&path).unwrap();
        let complete = String::from_utf8_lossy(&stream).contains("event: message_stop");
        for endpoint in INGRESSES {
            let translator = Translator::new(endpoint, &[Dialect::Anthropic]).unwrap();
            let (text, progress) = feed(translator, true, &[&stream]);
            let name = path.display();
            assert_eq!(progress.terminated, complete, "{name}: {text}");
            assert_eq!(text.contains(": fault:"), !complete, "{name}: {text}");
            assert!(progress.usage.is_some(), "{name}");
        }
    }
}

#[test]
fn recorded_answers_are_read() {
    let Some(folder) = fixtures() else {
        println!("SKIPPED: no recordings; set SLUICE_FIXTURES to their folder");
        return;
    };
    for (sub, upstream, mark) in [
        ("vercel-ai/anthropic/src", Dialect::Anthropic, "stop_reason"),
        ("vercel-ai/openai/src/chat", Dialect::OpenAi, "finish_reason"),
        ("vercel-ai/openai-compatible/src/chat", Dialect::OpenAi, "finish_reason"),
        ("vercel-ai/deepseek/src", Dialect::OpenAi, "finish_reason"),
        ("vercel-ai/groq/src", Dialect::OpenAi, "finish_reason"),
        ("vercel-ai/mistral/src", Dialect::OpenAi, "finish_reason"),
        ("vercel-ai/google/src", Dialect::Gemini, "finishReason"),
        ("vercel-ai/openai/src/responses", Dialect::Responses, "output_tokens_details"),
        ("vercel-ai/open-responses/src/responses", Dialect::Responses, "output_tokens_details"),
        ("vercel-ai/azure/src", Dialect::Responses, "output_tokens_details"),
        ("vercel-ai/amazon-bedrock/src", Dialect::Bedrock, "stopReason"),
        ("vercel-ai/mistral/src", Dialect::Mistral, "finish_reason"),
        ("vercel-ai/cohere/src", Dialect::Cohere, "finish_reason"),
    ] {
        if !folder.join(sub).is_dir() {
            println!("SKIPPED: no recordings in {sub}");
            continue;
        }
        for path in listed(&folder.join(sub), ".json") {
            let body = Bytes::from(fs::read(&path).unwrap());
            if !String::from_utf8_lossy(&body).contains(mark) || is_made_up(&path) {
                continue;
            }
            let read = INGRESSES.map(|endpoint| {
                let translator = Translator::new(endpoint, upstream.alone()).unwrap();
                let whole = translator.response(&body, &context());
                whole.unwrap_or_else(|error| panic!("{} to {endpoint:?}: {error}", path.display()))
            });
            let name = path.display();
            assert_eq!(read[0].usage, read[1].usage, "{name}");
            assert_eq!(read[0].usage, read[2].usage, "{name}");
            assert!(read[0].usage.is_some_and(|usage| usage.input > 0), "{name}");
            assert_eq!(read[0].model, read[1].model, "{name}");
        }
    }
}

#[test]
fn a_recorded_event_stream_with_tool_indexes_from_one_is_read() {
    let sub = "vercel-ai/openai-compatible/src/chat/anthropic-fallback-tool-call.sse";
    let Some(path) = fixtures().map(|folder| folder.join(sub)).filter(|path| path.is_file()) else {
        println!("SKIPPED: no recordings; set SLUICE_FIXTURES to their folder");
        return;
    };
    let stream = fs::read(&path).unwrap();
    let translator = Translator::new(Endpoint::Messages, &[Dialect::OpenAi]).unwrap();
    let (text, progress) = feed(translator, true, &[&stream]);
    assert!(progress.terminated && text.contains("\"tool_use\""), "{text}");
}

/// What recordings of providers that count in their own way amount to.
#[test]
fn usage_is_counted_as_the_provider_means_it() {
    let Some(folder) = fixtures() else {
        println!("SKIPPED: no recordings; set SLUICE_FIXTURES to their folder");
        return;
    };
    let xai = Quirks::NONE.reasoning_beside_output();
    let openai =
        Usage { input: 12, output: 291, cached_input: 11, reasoning: 290, ..Usage::default() };
    let groq = Usage { input: 210, output: 15, ..Usage::default() };
    let mistral = Usage { input: 171, output: 14, cached_input: 128, ..Usage::default() };
    let strict = Quirks::NONE.usage_unasked();
    for (file, quirks, usage) in [
        ("xai/src/xai-text.chunks.txt", xai, openai),
        ("groq/src/groq-tool-call.chunks.txt", Quirks::NONE, groq),
        ("mistral/src/mistral-incremental-tool-call.chunks.txt", strict, mistral),
    ] {
        let path = folder.join("vercel-ai").join(file);
        let recorded = fs::read_to_string(&path).unwrap();
        // The total shows how xAI counts; a server without one is believed by its type.
        let bare = recorded.replace("\"total_tokens\":303,", "");
        // Groq has the same in two places; older answers have only this one.
        let only_nested = recorded.replace("}},\"usage\":{", "}},\"other\":{");
        for text in [&recorded, &bare, &only_nested] {
            let translator = Translator::new(Endpoint::ChatCompletions, Dialect::OpenAi.alone());
            let translator = translator.unwrap();
            let stream = stream_of_payloads(Dialect::OpenAi, text);
            let (_, progress) = feed(translator.with_quirks(quirks), true, &[&stream]);
            assert_eq!(progress.usage, Some(usage), "{file}");
        }
    }
}

#[test]
fn recorded_vectors_of_vertex_are_read_for_callers_of_either_dialect() {
    let sub = "vercel-ai/google-vertex/src/google-vertex-embedding.json";
    let Some(path) = fixtures().map(|folder| folder.join(sub)).filter(|path| path.is_file()) else {
        println!("SKIPPED: no recordings; set SLUICE_FIXTURES to their folder");
        return;
    };
    let recorded = Bytes::from(fs::read(&path).unwrap());
    let given: Value = serde_json::from_slice(&recorded).unwrap();
    for (endpoint, place) in [
        (Endpoint::Embeddings, "/data/1/embedding/0"),
        (Endpoint::BatchEmbedContents, "/embeddings/1/values/0"),
    ] {
        let translator = Translator::new(endpoint, Dialect::Gemini.alone()).unwrap().on_vertex();
        let whole = translator.response(&recorded, &context()).unwrap();
        assert_eq!(whole.usage, Some(Usage { input: 11, ..Usage::default() }));
        let answer: Value = serde_json::from_slice(&whole.body).unwrap();
        let (read, given) =
            (answer.pointer(place), given.pointer("/predictions/1/embeddings/values/0"));
        let number = |value: Option<&Value>| value.and_then(Value::as_f64).unwrap();
        assert!((number(read) - number(given)).abs() < 1e-6, "{answer}");
    }
}

#[test]
fn recorded_transcripts_pass_untouched_and_tell_their_length() {
    let folder = "envoy-ai-gateway/testopenai";
    let Some(folder) = fixtures().map(|at| at.join(folder)).filter(|folder| folder.is_dir()) else {
        println!("SKIPPED: no recordings; set SLUICE_FIXTURES to their folder");
        return;
    };
    for (file, endpoint, seconds) in [
        ("audio-transcription-basic.yaml", Endpoint::Transcriptions, Some(7)),
        // OpenAI tells nothing of these.
        ("audio-translation-basic.yaml", Endpoint::Translations, None),
    ] {
        let text = fs::read_to_string(folder.join(file)).unwrap();
        let (_, body) = text.split_once("body: |-\n").unwrap();
        let body: String =
            body.lines().take_while(|line| line.starts_with("            ")).collect();
        let given = r#"multipart/form-data; boundary=B"#;
        let boundary = sluice::llm::Boundary::read(given.as_bytes()).unwrap();
        let form =
            b"--B\r\nContent-Disposition: form-data; name=\"model\"\r\n\r\nwhisper-1\r\n--B--";
        let peek = sluice::llm::peek_form(&endpoint.into(), boundary, form).unwrap();
        let translator = Translator::new(endpoint, Dialect::OpenAi.alone()).unwrap();
        let (mut stream, mut out) = (translator.opaque(form, &peek), Vec::new());
        stream.push(Bytes::from(body.clone()), &mut out).unwrap();
        stream.finish(&mut out).unwrap();
        assert_eq!(out.concat(), body.as_bytes());
        let expected = seconds.map(|audio_seconds| Usage { audio_seconds, ..Usage::default() });
        assert_eq!(stream.progress().usage, expected, "{file}: {body}");
    }
}
