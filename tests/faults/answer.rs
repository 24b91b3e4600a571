//! Answers of providers, byte for byte: good ones in every dialect, and the pieces that faults are
//! made of.

use crate::peer::Step;

/// A whole chat completion.
pub const WHOLE: &str = r#"{"id":"c1","object":"chat.completion","created":1,"model":"m","choices":[{"index":0,"message":{"role":"assistant","content":"0123456789"},"finish_reason":"stop"}],"usage":{"prompt_tokens":10,"completion_tokens":20,"total_tokens":30}}"#;
/// The first chunk of a stream.
pub const ROLE: &str = r#"{"id":"c1","object":"chat.completion.chunk","created":1,"model":"m","choices":[{"index":0,"delta":{"role":"assistant","content":""},"finish_reason":null}]}"#;
/// One that brings content.
pub const TOKEN: &str = r#"{"id":"c1","object":"chat.completion.chunk","created":1,"model":"m","choices":[{"index":0,"delta":{"content":"0123456789"},"finish_reason":null}]}"#;
/// One that says why the model stopped.
pub const STOP: &str = r#"{"id":"c1","object":"chat.completion.chunk","created":1,"model":"m","choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}"#;
/// One that stops without a reason.
pub const BLANK: &str = r#"{"id":"c1","object":"chat.completion.chunk","created":1,"model":"m","choices":[{"index":0,"delta":{},"finish_reason":""}]}"#;
/// One that reports usage.
pub const USAGE: &str = r#"{"id":"c1","object":"chat.completion.chunk","created":1,"model":"m","choices":[],"usage":{"prompt_tokens":10,"completion_tokens":20,"total_tokens":30}}"#;
/// An error instead of an answer or of a chunk.
pub const ERROR: &str =
    r#"{"error":{"message":"The engine is overloaded","type":"server_error","code":"overloaded"}}"#;
/// The end of a stream.
pub const DONE: &str = "[DONE]";
/// All of a stream.
pub const STREAM: [&str; 5] = [ROLE, TOKEN, STOP, USAGE, DONE];

/// A head with this status line and these header lines.
pub fn head(status: &str, headers: &str) -> Vec<u8> {
    format!("HTTP/1.1 {status}\r\n{headers}\r\n").into_bytes()
}

/// An answer with its length.
pub fn sized(status: &str, headers: &str, body: &str) -> Vec<u8> {
    let headers = format!("{headers}content-length: {}\r\n", body.len());
    [head(status, &headers), body.as_bytes().to_vec()].concat()
}

/// The head of a whole answer of this length.
pub fn json_head(length: usize) -> Vec<u8> {
    head("200 OK", &format!("content-type: application/json\r\ncontent-length: {length}\r\n"))
}

/// A whole answer in JSON.
pub fn json(body: &str) -> Vec<u8> {
    sized("200 OK", "content-type: application/json\r\n", body)
}

/// The head of a stream in chunks.
pub fn stream_head() -> Vec<u8> {
    head("200 OK", "content-type: text/event-stream\r\ntransfer-encoding: chunked\r\n")
}

/// One chunk of a body.
pub fn chunk(bytes: &[u8]) -> Vec<u8> {
    [format!("{:x}\r\n", bytes.len()).as_bytes(), bytes, b"\r\n"].concat()
}

/// The end of a body in chunks.
pub const END: &[u8] = b"0\r\n\r\n";

/// Events of `data:` alone.
pub fn events(data: &[&str]) -> String {
    data.iter().map(|data| format!("data: {data}\n\n")).collect()
}

/// The head of a stream and these events, a chunk each; the body has not ended.
pub fn begun(data: &[&str]) -> Vec<u8> {
    let chunks = data.iter().map(|data| chunk(events(&[data]).as_bytes()));
    std::iter::once(stream_head()).chain(chunks).flatten().collect()
}

/// The same, and the end of the body.
pub fn streamed(data: &[&str]) -> Vec<u8> {
    [begun(data), END.to_vec()].concat()
}

/// A stream of named events as Anthropic and OpenAI's Responses send them: the name is the `type`.
pub fn named(events: &[&str]) -> Vec<u8> {
    let frame = |event: &&str| {
        let value: serde_json::Value = serde_json::from_str(event).unwrap();
        format!("event: {}\ndata: {event}\n\n", value["type"].as_str().unwrap())
    };
    let chunks = events.iter().map(|event| chunk(frame(event).as_bytes()));
    std::iter::once(stream_head()).chain(chunks).flatten().collect()
}

/// Anthropic's stream to its end.
pub const MESSAGES: [&str; 6] = [
    r#"{"type":"message_start","message":{"id":"m1","type":"message","role":"assistant","model":"m","content":[],"stop_reason":null,"stop_sequence":null,"usage":{"input_tokens":10,"output_tokens":1}}}"#,
    r#"{"type":"content_block_start","index":0,"content_block":{"type":"text","text":""}}"#,
    r#"{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"0123456789"}}"#,
    r#"{"type":"content_block_stop","index":0}"#,
    r#"{"type":"message_delta","delta":{"stop_reason":"end_turn","stop_sequence":null},"usage":{"output_tokens":20}}"#,
    r#"{"type":"message_stop"}"#,
];
const MESSAGE: &str = r#"{"id":"m1","type":"message","role":"assistant","model":"m","content":[{"type":"text","text":"0123456789"}],"stop_reason":"end_turn","stop_sequence":null,"usage":{"input_tokens":10,"output_tokens":20}}"#;
/// Anthropic's error, as an answer and as an event.
pub const MESSAGES_ERROR: &str =
    r#"{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}"#;

/// Gemini's stream to its end.
pub const GEMINI: [&str; 2] = [
    r#"{"candidates":[{"content":{"role":"model","parts":[{"text":"0123456789"}]},"index":0}],"modelVersion":"m"}"#,
    r#"{"candidates":[{"content":{"role":"model","parts":[{"text":"!"}]},"finishReason":"STOP","index":0}],"usageMetadata":{"promptTokenCount":10,"candidatesTokenCount":20,"totalTokenCount":30},"modelVersion":"m"}"#,
];
/// Gemini's error, as an answer and as an event.
pub const GEMINI_ERROR: &str =
    r#"{"error":{"code":503,"message":"The model is overloaded.","status":"UNAVAILABLE"}}"#;

/// The stream of OpenAI's Responses to its end.
pub const RESPONSES: [&str; 7] = [
    r#"{"type":"response.created","sequence_number":0,"response":{"id":"r1","object":"response","created_at":1,"status":"in_progress","model":"m","output":[]}}"#,
    r#"{"type":"response.output_item.added","sequence_number":1,"output_index":0,"item":{"id":"i1","type":"message","status":"in_progress","role":"assistant","content":[]}}"#,
    r#"{"type":"response.content_part.added","sequence_number":2,"item_id":"i1","output_index":0,"content_index":0,"part":{"type":"output_text","text":"","annotations":[]}}"#,
    r#"{"type":"response.output_text.delta","sequence_number":3,"item_id":"i1","output_index":0,"content_index":0,"delta":"0123456789"}"#,
    r#"{"type":"response.output_text.done","sequence_number":4,"item_id":"i1","output_index":0,"content_index":0,"text":"0123456789"}"#,
    r#"{"type":"response.output_item.done","sequence_number":5,"output_index":0,"item":{"id":"i1","type":"message","status":"completed","role":"assistant","content":[{"type":"output_text","text":"0123456789","annotations":[]}]}}"#,
    r#"{"type":"response.completed","sequence_number":6,"response":{"id":"r1","object":"response","created_at":1,"status":"completed","model":"m","output":[{"id":"i1","type":"message","status":"completed","role":"assistant","content":[{"type":"output_text","text":"0123456789","annotations":[]}]}],"usage":{"input_tokens":10,"output_tokens":20,"total_tokens":30}}}"#,
];
/// The error event of OpenAI's Responses.
pub const RESPONSES_ERROR: &str = r#"{"type":"response.failed","sequence_number":4,"response":{"id":"r1","object":"response","created_at":1,"status":"failed","model":"m","output":[],"error":{"code":"server_error","message":"The engine is overloaded"}}}"#;

/// A good answer of a provider of this type.
pub fn good(provider: &str) -> Step {
    let end = |stream: Vec<u8>| [stream, END.to_vec()].concat();
    match provider {
        "Anthropic" => Step::Answer { whole: json(MESSAGE), stream: end(named(&MESSAGES)) },
        "Gemini" => {
            // One call for whole answers, another for streams: the body does not tell them apart.
            Step::Answer { whole: streamed(&GEMINI), stream: streamed(&GEMINI) }
        }
        "OpenAI" => Step::Answer { whole: json(WHOLE), stream: end(named(&RESPONSES)) },
        _ => Step::Answer { whole: json(WHOLE), stream: streamed(&STREAM) },
    }
}
