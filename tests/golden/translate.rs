//! Translation between dialects, case by case. `requests/*.json` and `answers/*.json` hold input and
//! expectation in one file; `streams/<case>.in.sse` is fed whole, cut at every byte and byte by byte,
//! and must always give `streams/<case>.out.sse`. `UPDATE_GOLDEN=1` rewrites the expectations.
//!
//! Recorded provider traffic is read from `../shared/fixtures` or `$SLUICE_FIXTURES`.

use std::fs;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use serde_json::{Map, Value, json};
use sluice::llm::{
    Called, Dialect, Endpoint, Parameters, Peek, Progress, ResponseContext, Rewrite, StreamFault,
    Translator, eventstream, peek,
};

mod recorded;

fn folder(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/translate").join(name)
}

fn files(folder: &Path, ending: &str) -> Vec<PathBuf> {
    let mut files: Vec<PathBuf> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.to_string_lossy().ends_with(ending))
        .collect();
    files.sort();
    assert!(!files.is_empty(), "no cases in {}", folder.display());
    files
}

fn update() -> bool {
    std::env::var_os("UPDATE_GOLDEN").is_some()
}

/// The pair of dialects that a case's name begins with: `openai-to-cohere-...` or
/// `openai-from-cohere-...`; `provider` where the case names it. Without either the other one of
/// OpenAI's and Anthropic's is meant.
fn crossing(name: &str, provider: Option<&str>) -> Translator {
    let mut words = name.split('-');
    let (endpoint, other) = match words.next().unwrap() {
        "openai" => (Endpoint::ChatCompletions, "anthropic"),
        "anthropic" => (Endpoint::Messages, "openai"),
        "gemini" => (Endpoint::GenerateContent, "openai"),
        "responses" => (Endpoint::Responses, "openai"),
        unknown => panic!("unknown dialect {unknown}"),
    };
    let named = words.next().filter(|word| matches!(*word, "to" | "from"));
    let named = named.and_then(|_| words.next());
    let spoken: &[Dialect] = match provider.or(named).unwrap_or(other) {
        "openai" => &[Dialect::OpenAi],
        "anthropic" => &[Dialect::Anthropic],
        "gemini" => &[Dialect::Gemini],
        "mistral" => &[Dialect::Mistral],
        "cohere" => &[Dialect::Cohere],
        "ollama" => &[Dialect::Ollama],
        "responses" => &[Dialect::Responses],
        "bedrock" => &[Dialect::Bedrock],
        unknown => panic!("unknown provider {unknown}"),
    };
    Translator::new(endpoint, spoken).unwrap()
}

/// The bytes of a stream that a case shows as server-sent events, in the upstream's own framing.
fn in_framing(upstream: Dialect, shown: &[u8]) -> Vec<u8> {
    let text = String::from_utf8_lossy(shown);
    match upstream {
        Dialect::Ollama => {
            let lines = text.lines().filter_map(|line| line.strip_prefix("data: "));
            lines.flat_map(|line| [line, "\n"]).collect::<String>().into_bytes()
        }
        Dialect::Bedrock => in_event_stream(&text),
        _ => shown.to_vec(),
    }
}

fn in_event_stream(shown: &str) -> Vec<u8> {
    let mut stream = Vec::new();
    for frame in shown.split("\n\n").filter(|frame| !frame.is_empty()) {
        let (name, data) = frame.split_once("\ndata: ").unwrap();
        let data = Bytes::from(data.to_owned());
        match name.split_once(": ").unwrap() {
            ("event", name) => eventstream::write_event(name, data, &mut stream).unwrap(),
            ("exception", name) => eventstream::write_exception(name, data, &mut stream).unwrap(),
            (other, _) => panic!("unknown field {other}"),
        }
    }
    stream
}

/// How an endpoint is called: where it has the model in the path, the path says all.
pub(crate) fn called(endpoint: Endpoint, stream: bool) -> Called<'static> {
    let in_path = endpoint == Endpoint::GenerateContent;
    Called {
        model: in_path.then(|| "asked-for".into()),
        stream: in_path.then_some(stream),
        ..Called::from(endpoint)
    }
}

/// What the answers of some dialects repeat.
const ASKED: &str = r#"{"model":"asked-for","instructions":"Be brief.","tools":[{"type":"custom","name":"patch"},{"type":"namespace","name":"crm","description":"d","tools":[{"type":"function","name":"get"}]}]}"#;

fn context() -> ResponseContext {
    ResponseContext {
        created: 1_700_000_000,
        model: "asked-for".to_owned(),
        request_id: "req-1".to_owned(),
        request: Bytes::from_static(ASKED.as_bytes()),
        ..ResponseContext::default()
    }
}

fn object(value: &Value) -> Map<String, Value> {
    value.as_object().cloned().unwrap_or_default()
}

/// Compares the computed part of a case with what its file says, or writes it there.
fn check(path: &Path, case: &Value, name: &str, actual: Value) {
    if update() {
        let mut case = case.clone();
        case[name] = actual;
        fs::write(path, format!("{case:#}\n")).unwrap();
    } else {
        assert_eq!(format!("{:#}", case[name]), format!("{actual:#}"), "{}", path.display());
    }
}

#[test]
fn requests_are_put_into_the_other_dialect() {
    for path in files(&folder("requests"), ".json") {
        let case: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
        let translator =
            crossing(&path.file_name().unwrap().to_string_lossy(), case["provider"].as_str());
        let body = Bytes::from(case["request"].to_string());
        let peeked = peek(&called(translator.endpoint(), false), &body).unwrap();
        let parameters = Parameters {
            set: object(&case["parameters"]["set"]),
            default: object(&case["parameters"]["default"]),
            remove: Vec::new(),
        };
        let rewrite = Rewrite {
            model: case["model"].as_str().unwrap_or("served"),
            parameters: Some(&parameters),
            default_max_tokens: case["default_max_tokens"].as_u64(),
        };
        let actual = match translator.request(&body, &peeked, &rewrite) {
            Ok(request) => {
                let body: Value = serde_json::from_slice(&request.body).unwrap();
                json!({"body": body, "dropped": request.dropped})
            }
            Err(error) => json!({"error": error.to_string()}),
        };
        check(&path, &case, "upstream", actual);
    }
}

#[test]
fn answers_are_put_into_the_callers_dialect() {
    for path in files(&folder("answers"), ".json") {
        let case: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
        let translator =
            crossing(&path.file_name().unwrap().to_string_lossy(), case["provider"].as_str());
        let body = Bytes::from(case["answer"].to_string());
        let actual = match translator.response(&body, &context()) {
            Ok(whole) => json!({
                "body": serde_json::from_slice::<Value>(&whole.body).unwrap(),
                "finish_reason": whole.finish_reason.as_ref().map(|reason| reason.as_str()),
                "output_bytes": whole.output_bytes,
                "usage": whole.usage.map(|usage| format!("{usage:?}")),
            }),
            Err(error) => json!({"error": error.to_string()}),
        };
        check(&path, &case, "translated", actual);
    }
}

/// A streaming request of the endpoint, with or without the wish for usage.
pub(crate) fn streaming(endpoint: Endpoint, include_usage: bool) -> Peek {
    let body = json!({
        "model": "asked-for",
        "stream": true,
        "stream_options": {"include_usage": include_usage},
    });
    peek(&called(endpoint, true), body.to_string().as_bytes()).unwrap()
}

/// Feeds pieces to a fresh stream; the text that came out ends with the fault, if there was one.
pub(crate) fn feed(
    translator: Translator,
    include_usage: bool,
    pieces: &[&[u8]],
) -> (String, Progress) {
    let peeked = streaming(translator.endpoint(), include_usage);
    let mut stream = translator.stream(&peeked, &context());
    let (mut out, mut result) = (Vec::new(), Ok(()));
    for piece in pieces {
        result = result.and_then(|()| stream.push(Bytes::copy_from_slice(piece), &mut out));
    }
    result = result.and_then(|()| stream.finish(&mut out));
    if let Err(StreamFault::Upstream(error)) = &result {
        stream.fail(error, &mut out);
    }
    let mut text = String::from_utf8(out.concat()).unwrap();
    if let Err(fault @ (StreamFault::Malformed(_) | StreamFault::Truncated)) = &result {
        text.push_str(&format!(": fault: {fault}\n\n"));
    }
    (text, stream.progress().clone())
}

#[test]
fn streams_are_put_into_the_callers_dialect_whatever_the_cuts() {
    for path in files(&folder("streams"), ".in.sse") {
        let input = fs::read(&path).unwrap();
        let name = path.file_name().unwrap().to_string_lossy();
        let translator = crossing(&name, None);
        let input = in_framing(translator.upstream(), &input);
        let include_usage = name.contains("usage");
        let (whole, progress) = feed(translator, include_usage, &[&input]);
        // Only what passes through is stored anywhere.
        let progress_text = format!("{progress:?}").replace(", stored_as: None", "");
        let text = format!(": {progress_text}\n\n{whole}");
        let expected = PathBuf::from(path.to_string_lossy().replace(".in.sse", ".out.sse"));
        if update() {
            fs::write(&expected, &text).unwrap();
        }
        assert_eq!(text, fs::read_to_string(&expected).unwrap_or_default(), "{name}");
        for cut in 0..input.len() {
            let (head, tail) = input.split_at(cut);
            let (cut_text, cut_progress) = feed(translator, include_usage, &[head, tail]);
            assert_eq!((&cut_text, &cut_progress), (&whole, &progress), "{name} cut at {cut}");
        }
        let single: Vec<&[u8]> = input.chunks(1).collect();
        assert_eq!(feed(translator, include_usage, &single), (whole, progress), "{name} by bytes");
    }
}
