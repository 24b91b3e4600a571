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
    Dialect, Endpoint, Parameters, Peek, Progress, ResponseContext, Rewrite, StreamFault,
    Translator, encode_stream_error, peek,
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

/// The endpoint that callers of a dialect use, and the other dialect.
fn crossing(downstream: &str) -> Translator {
    match downstream {
        "openai" => Translator::new(Endpoint::ChatCompletions, Dialect::Anthropic).unwrap(),
        "anthropic" => Translator::new(Endpoint::Messages, Dialect::OpenAi).unwrap(),
        other => panic!("unknown dialect {other}"),
    }
}

fn context() -> ResponseContext {
    ResponseContext {
        created: 1_700_000_000,
        model: "asked-for".to_owned(),
        request_id: "req-1".to_owned(),
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
        let translator = crossing(case["downstream"].as_str().unwrap());
        let body = Bytes::from(case["request"].to_string());
        let peeked = peek(translator.endpoint(), &body).unwrap();
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
        let translator = crossing(case["downstream"].as_str().unwrap());
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
    peek(endpoint, body.to_string().as_bytes()).unwrap()
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
    let mut text = String::from_utf8(out.concat()).unwrap();
    match result {
        Ok(()) => {}
        Err(StreamFault::Upstream(error)) => {
            let event = encode_stream_error(translator.endpoint().dialect(), &error);
            text.push_str(std::str::from_utf8(&event).unwrap());
        }
        Err(fault) => text.push_str(&format!(": fault: {fault}\n\n")),
    }
    (text, stream.progress().clone())
}

#[test]
fn streams_are_put_into_the_callers_dialect_whatever_the_cuts() {
    for path in files(&folder("streams"), ".in.sse") {
        let input = fs::read(&path).unwrap();
        let name = path.file_name().unwrap().to_string_lossy();
        let downstream = if name.starts_with("openai") { "openai" } else { "anthropic" };
        let translator = crossing(downstream);
        let include_usage = name.contains("usage");
        let (whole, progress) = feed(translator, include_usage, &[&input]);
        let text = format!(": {progress:?}\n\n{whole}");
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
