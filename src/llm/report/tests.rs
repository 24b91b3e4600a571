//! Answers of every dialect, whole and as streams, in pieces of every size.

use super::*;

fn metered(media_type: &str, text: &str, size: usize) -> Report {
    let mut meter = Meter::new(media_type);
    text.as_bytes().chunks(size).for_each(|piece| meter.push(&Bytes::copy_from_slice(piece)));
    meter.finish().clone()
}

/// The same whatever the pieces are.
fn of(media_type: &str, text: &str) -> Report {
    let whole = metered(media_type, text, usize::MAX);
    for size in [1, 2, 3, 7, 64] {
        assert_eq!(metered(media_type, text, size), whole, "pieces of {size}");
    }
    whole
}

fn json(text: &str) -> Option<Usage> {
    let found = of("application/json; charset=utf-8", text);
    assert_eq!(report(text.as_bytes()), found);
    found.usage
}

fn usage(input: u64, output: u64) -> Usage {
    Usage { input, output, ..Usage::default() }
}

#[test]
fn every_dialects_whole_answer_is_read() {
    assert_eq!(
        json(r#"{"model":"m","usage":{"prompt_tokens":10,"completion_tokens":2}}"#),
        Some(usage(10, 2))
    );
    assert_eq!(
        json(
            r#"{"output":[{"usage":"no"}],"usage":{"input_tokens":10,"input_tokens_details":{"cached_tokens":4},"output_tokens":5,"output_tokens_details":{"reasoning_tokens":3},"total_tokens":15}}"#
        ),
        Some(Usage { cached_input: 4, reasoning: 3, ..usage(10, 5) })
    );
    assert_eq!(
        json(r#"{"usage":{"input_tokens":10,"cache_read_input_tokens":90,"output_tokens":5}}"#),
        Some(Usage { cached_input: 90, ..usage(100, 5) })
    );
    assert_eq!(
        json(
            r#"{"usageMetadata":{"promptTokenCount":7,"candidatesTokenCount":2,"thoughtsTokenCount":3},"modelVersion":"g"}"#
        ),
        Some(Usage { reasoning: 3, ..usage(7, 5) })
    );
}

#[test]
fn what_only_looks_like_usage_is_not_read() {
    assert_eq!(json(r#"{"data":{"usage":{"input_tokens":1}},"text":"\"usage\":{}"}"#), None);
    assert_eq!(json(r#"{"usage":null,"model":""}"#), None);
    assert_eq!(of("application/octet-stream", r#"{"usage":{"input_tokens":1}}"#).usage, None);
}

#[test]
fn a_long_document_is_read_without_being_held() {
    let image = "a".repeat(1 << 20);
    let text = format!(
        r#"{{"data":[{{"b64_json":"{image}"}}],"usage":{{"input_tokens":3,"output_tokens":4,"total_tokens":7}}}}"#
    );
    assert_eq!(metered("application/json", &text, 4096).usage, Some(usage(3, 4)));
}

#[test]
fn a_list_of_objects_reports_its_last_counts() {
    let text = r#"[{"usageMetadata":{"promptTokenCount":7}},
,{"usageMetadata":{"promptTokenCount":7,"candidatesTokenCount":9},"modelVersion":"g"}]"#;
    let found = of("application/json", text);
    assert_eq!((found.usage, found.model.as_deref()), (Some(usage(7, 9)), Some("g")));
}

#[test]
fn streams_of_every_dialect_are_read() {
    let anthropic = "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"model\":\"c\",\"usage\":{\"input_tokens\":10,\"output_tokens\":1}}}\n\nevent: message_delta\ndata: {\"type\":\"message_delta\",\"usage\":{\"output_tokens\":20}}\n\n";
    let found = of("text/event-stream", anthropic);
    assert_eq!((found.usage, found.model.as_deref()), (Some(usage(10, 20)), Some("c")));
    let responses = "data: {\"type\":\"response.completed\",\"response\":{\"model\":\"r\",\"usage\":{\"input_tokens\":1,\"output_tokens\":2,\"total_tokens\":3}}}\r\n\r\n";
    let found = of("Text/Event-Stream", responses);
    assert_eq!((found.usage, found.model.as_deref()), (Some(usage(1, 2)), Some("r")));
    let chat = "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":1,\"completion_tokens\":2}}\n\ndata: [DONE]";
    assert_eq!(of("text/event-stream", chat).usage, Some(usage(1, 2)));
}
