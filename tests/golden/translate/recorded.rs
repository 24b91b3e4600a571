//! Streams as providers really sent them: every one must pass, in both dialects, without a fault and
//! with plausible usage.

use std::fs;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use sluice::llm::{Dialect, Endpoint, Translator};

use super::{context, feed};

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
        stream.push_str(&format!("data: {line}\n\n"));
    }
    if dialect == Dialect::OpenAi && !text.contains("[DONE]") {
        stream.push_str("data: [DONE]\n\n");
    }
    stream.into_bytes()
}

fn passes(path: &Path, upstream: Dialect, stream: &[u8]) {
    for endpoint in [Endpoint::ChatCompletions, Endpoint::Messages] {
        let translator = Translator::new(endpoint, upstream).unwrap();
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
    ] {
        if !folder.join(sub).is_dir() {
            println!("SKIPPED: no recordings in {sub}");
            continue;
        }
        for path in listed(&folder.join(sub), ".chunks.txt") {
            let text = fs::read_to_string(&path).unwrap();
            passes(&path, upstream, &stream_of_payloads(upstream, &text));
            count += 1;
        }
    }
    println!("{count} recorded streams passed");
    assert!(count > 10, "only {count} recordings found in {}", folder.display());
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
        for endpoint in [Endpoint::ChatCompletions, Endpoint::Messages] {
            let translator = Translator::new(endpoint, Dialect::Anthropic).unwrap();
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
    ] {
        if !folder.join(sub).is_dir() {
            println!("SKIPPED: no recordings in {sub}");
            continue;
        }
        for path in listed(&folder.join(sub), ".json") {
            let body = Bytes::from(fs::read(&path).unwrap());
            if !String::from_utf8_lossy(&body).contains(mark) {
                continue;
            }
            let read = [Endpoint::ChatCompletions, Endpoint::Messages].map(|endpoint| {
                let translator = Translator::new(endpoint, upstream).unwrap();
                let whole = translator.response(&body, &context());
                whole.unwrap_or_else(|error| panic!("{} to {endpoint:?}: {error}", path.display()))
            });
            let name = path.display();
            assert_eq!(read[0].usage, read[1].usage, "{name}");
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
    let translator = Translator::new(Endpoint::Messages, Dialect::OpenAi).unwrap();
    let (text, progress) = feed(translator, true, &[&stream]);
    assert!(progress.terminated && text.contains("\"tool_use\""), "{text}");
}
