//! Streams, both ways. What is written must hold what the SDKs build their state on.

use super::*;
use crate::llm::ErrorKind;
use crate::llm::sse::Frame;

/// The events that a stream of canonical events is written as.
fn written(events: &[ChatEvent], request: &Value) -> Vec<Value> {
    let mut encoder = Responses.encoder(&context(request), false);
    let mut out = Vec::new();
    events.iter().for_each(|event| encoder.encode(event, &mut out).unwrap());
    parse(&out)
}

fn parse(out: &[u8]) -> Vec<Value> {
    let text = std::str::from_utf8(out).unwrap();
    let events = text.split_terminator("\n\n").map(|frame| {
        let (name, data) = frame.split_once("\ndata: ").unwrap();
        let data: Value = data.parse().unwrap();
        assert_eq!(name.strip_prefix("event: "), data["type"].as_str());
        data
    });
    let events: Vec<Value> = events.collect();
    for (at, event) in events.iter().enumerate() {
        assert_eq!(event["sequence_number"], json!(at), "{event}");
    }
    events
}

/// Reads events as the provider's stream.
fn read(events: &[Value]) -> Vec<ChatEvent> {
    let (mut decoder, mut read) = (Responses.decoder(), Vec::new());
    for event in events {
        let data = event.to_string().into_bytes().into();
        decoder.decode(&Frame { event: b"", data }, &mut read).unwrap();
    }
    read
}

fn kinds(events: &[Value]) -> Vec<&str> {
    events
        .iter()
        .map(|event| event["type"].as_str().unwrap())
        .map(|name| name.strip_prefix("response.").unwrap_or(name))
        .collect()
}

fn start() -> ChatEvent {
    ChatEvent::Start { id: Some("resp_1".to_owned()), model: Some("m".to_owned()) }
}

fn finish(reason: FinishReason) -> [ChatEvent; 3] {
    let usage = Usage { input: 5, output: 3, ..Usage::default() };
    [ChatEvent::Usage(usage), ChatEvent::Finish { reason, stop_sequence: None }, ChatEvent::End]
}

fn said(text: &str) -> ChatEvent {
    ChatEvent::Text(text.to_owned())
}

fn begun(index: usize, name: &str) -> ChatEvent {
    ChatEvent::ToolCall { index, id: format!("c{index}"), name: name.to_owned() }
}

fn arguments(index: usize, json: &str) -> ChatEvent {
    ChatEvent::Arguments { index, json: json.to_owned() }
}

fn stream(events: impl IntoIterator<Item = ChatEvent>, reason: FinishReason) -> Vec<ChatEvent> {
    [start()].into_iter().chain(events).chain(finish(reason)).collect()
}

#[test]
fn a_text_comes_in_the_documented_order() {
    let events = written(&stream([said("He"), said("llo")], FinishReason::Stop), &json!({}));
    let order = [
        "created",
        "in_progress",
        "output_item.added",
        "content_part.added",
        "output_text.delta",
        "output_text.delta",
        "output_text.done",
        "content_part.done",
        "output_item.done",
        "completed",
    ];
    assert_eq!(kinds(&events), order);
    assert_eq!(events[0]["response"]["status"], "in_progress");
    let last = &events[9]["response"];
    assert_eq!((&last["status"], &last["id"]), (&json!("completed"), &json!("resp_1")));
    assert_eq!(last["output"], json!([events[8]["item"]]));
    assert_eq!(last["output"][0]["content"][0]["text"], "Hello");
    assert_eq!(last["usage"]["total_tokens"], 8);
    assert_eq!((&events[5]["content_index"], &events[5]["logprobs"]), (&json!(0), &json!([])));
    assert_eq!(events[2]["item"]["id"], events[4]["item_id"]);
}

#[test]
fn every_place_is_announced_and_closed_once() {
    let signature = |signer, value: &str| Signature::new(signer, value);
    let citation = Citation { url: Some("u".into()), span: Some((0, 1)), ..Citation::default() };
    let token = TokenLogprob { token: "a".into(), logprob: -1.0, top: vec![("b".into(), -2.0)] };
    let request = json!({"tools": [{"type": "custom", "name": "patch"}]});
    let events = stream(
        [
            ChatEvent::Thinking("Hm".into()),
            ChatEvent::Thinking(".".into()),
            ChatEvent::Signature(signature(Signer::Anthropic, "sig")),
            ChatEvent::BlockEnd,
            ChatEvent::RedactedThinking("data".into()),
            ChatEvent::BlockEnd,
            said("a"),
            ChatEvent::Logprobs(vec![token]),
            ChatEvent::Citation(citation),
            ChatEvent::BlockEnd,
            said("b"),
            ChatEvent::Refusal("No".into()),
            begun(0, "f"),
            begun(1, "patch"),
            arguments(0, "{\"a\""),
            arguments(1, "{\"input\":\"x\\"),
            arguments(0, ":1}"),
            arguments(1, "ny\"}"),
            begun(2, "g"),
            ChatEvent::PartSignature(signature(Signer::Gemini, "gem")),
        ],
        FinishReason::ToolCalls,
    );
    let events = written(&events, &request);
    let mut items: Vec<Option<bool>> = Vec::new();
    let mut outputs = Vec::new();
    for event in &events {
        let at = event["output_index"].as_u64().map(|at| at as usize);
        match event["type"].as_str().unwrap() {
            "response.output_item.added" => {
                assert_eq!(at, Some(items.len()));
                items.push(Some(false));
            }
            "response.output_item.done" => {
                assert_eq!(items[at.unwrap()].replace(true), Some(false));
                outputs.push((at.unwrap(), event["item"].clone()));
            }
            _ => {
                if let Some(at) = at {
                    assert_eq!(items[at], Some(false), "{event}");
                }
            }
        }
    }
    assert!(items.iter().all(|item| *item == Some(true)));
    outputs.sort_by_key(|(at, _)| *at);
    let outputs: Vec<Value> = outputs.into_iter().map(|(_, item)| item).collect();
    assert_eq!(events.last().unwrap()["response"]["output"], json!(outputs));
    let kinds: Vec<&str> = outputs.iter().map(|item| item["type"].as_str().unwrap()).collect();
    let expected = [
        "reasoning",
        "reasoning",
        "message",
        "function_call",
        "custom_tool_call",
        "function_call",
        "reasoning",
    ];
    assert_eq!(kinds, expected);
    assert_eq!(outputs[0]["encrypted_content"], "sluice.anthropic.sig");
    assert_eq!(outputs[2]["content"].as_array().unwrap().len(), 3);
    assert_eq!(outputs[2]["content"][0]["annotations"][0]["url"], "u");
    assert_eq!(outputs[2]["content"][0]["logprobs"][0]["top_logprobs"][0]["token"], "b");
    assert_eq!(outputs[3]["arguments"], "{\"a\":1}");
    assert_eq!(outputs[4]["input"], "x\ny");
    assert_eq!(outputs[5]["arguments"], "{}");
    assert_eq!(outputs[6]["encrypted_content"], "sluice.gemini.gem");
    let input: String = events
        .iter()
        .filter(|event| event["type"] == "response.custom_tool_call_input.delta")
        .map(|event| event["delta"].as_str().unwrap())
        .collect();
    assert_eq!(input, "x\ny");
    // The same stream as a whole answer says the same.
    let last = events.last().unwrap()["response"].to_string();
    let whole = Responses.decode_response(last.as_bytes()).unwrap();
    assert_eq!(whole.choices[0].finish_reason, Some(FinishReason::ToolCalls));
    assert_eq!(whole.choices[0].parts.len(), 8);
}

#[test]
fn what_was_written_is_read_again() {
    let events = stream(
        [
            ChatEvent::Thinking("Hm".into()),
            ChatEvent::Signature(Signature::new(Signer::OpenAi, "enc")),
            ChatEvent::BlockEnd,
            said("a"),
            said("b"),
            ChatEvent::BlockEnd,
            begun(0, "f"),
            arguments(0, "{\"a\""),
            arguments(0, ":1}"),
            ChatEvent::CallEnd(0),
        ],
        FinishReason::ToolCalls,
    );
    assert_eq!(read(&written(&events, &json!({}))), events);
}

#[test]
fn only_the_first_choice_is_written() {
    let events = [
        said("a"),
        ChatEvent::Choice(1),
        said("other"),
        ChatEvent::Choice(0),
        said("b"),
        ChatEvent::Choice(1),
    ];
    let events = written(&stream(events, FinishReason::Stop), &json!({}));
    assert_eq!(events.last().unwrap()["response"]["output"][0]["content"][0]["text"], "ab");
}

#[test]
fn an_early_end_is_incomplete() {
    let events = written(&stream([said("a")], FinishReason::Length), &json!({}));
    let last = events.last().unwrap();
    assert_eq!(last["type"], "response.incomplete");
    assert_eq!(last["response"]["incomplete_details"]["reason"], "max_output_tokens");
    assert_eq!(last["response"]["output"][0]["status"], "incomplete");
}

#[test]
fn a_break_is_told_by_the_same_answer() {
    let mut encoder = Responses.encoder(&context(&json!({})), false);
    let error = ApiError::new(
        http::StatusCode::BAD_GATEWAY,
        ErrorKind::Upstream,
        "upstream_incomplete",
        "it broke",
    );
    let mut out = Vec::new();
    encoder.encode(&start(), &mut out).unwrap();
    encoder.encode(&said("a"), &mut out).unwrap();
    encoder.fail(&error, &mut out);
    let events = parse(&out);
    let last = events.last().unwrap();
    assert_eq!(last["type"], "response.failed");
    assert_eq!(last["response"]["id"], events[0]["response"]["id"]);
    assert_eq!(last["response"]["status"], "failed");
    let error = json!({"code": "upstream_incomplete", "message": "it broke"});
    assert_eq!(last["response"]["error"], error);
    assert_eq!(last["response"]["output"][0]["content"][0]["text"], "a");
}

#[test]
fn what_was_not_told_in_pieces_is_told_at_its_end() {
    let item = |at: u64, item: Value| json!({"type": "response.output_item.done", "output_index": at, "item": item});
    let events = [
        json!({"type": "response.created", "response": {"id": "r", "model": "m"}}),
        item(
            0,
            json!({"type": "reasoning", "summary": [{"type": "summary_text", "text": "Hm"}], "encrypted_content": "enc"}),
        ),
        item(1, json!({"type": "message", "content": [{"type": "output_text", "text": "Hi"}]})),
        item(2, json!({"type": "function_call", "call_id": "c", "name": "f", "arguments": ""})),
        item(3, json!({"type": "custom_tool_call", "call_id": "d", "name": "p", "input": "x"})),
        item(4, json!({"type": "mcp_call", "output": {}})),
        json!({"type": "response.completed", "response": {"status": "completed"}}),
    ];
    let told = [
        ChatEvent::Start { id: Some("r".into()), model: Some("m".into()) },
        ChatEvent::Thinking("Hm".into()),
        ChatEvent::Signature(Signature::new(Signer::OpenAi, "enc")),
        ChatEvent::BlockEnd,
        said("Hi"),
        ChatEvent::BlockEnd,
        ChatEvent::ToolCall { index: 0, id: "c".into(), name: "f".into() },
        arguments(0, "{}"),
        ChatEvent::CallEnd(0),
        ChatEvent::ToolCall { index: 1, id: "d".into(), name: "p".into() },
        arguments(1, r#"{"input":"x"}"#),
        ChatEvent::CallEnd(1),
        ChatEvent::Finish { reason: FinishReason::ToolCalls, stop_sequence: None },
        ChatEvent::End,
    ];
    assert_eq!(read(&events), told);
}

#[test]
fn freeform_input_in_pieces_is_valid_json_in_the_end() {
    let events = [
        json!({"type": "response.output_item.added", "output_index": 0, "item": {"type": "custom_tool_call", "call_id": "c", "name": "p", "input": ""}}),
        json!({"type": "response.custom_tool_call_input.delta", "output_index": 0, "delta": "a\"b"}),
        json!({"type": "response.custom_tool_call_input.delta", "output_index": 0, "delta": "\nc"}),
        json!({"type": "response.output_item.done", "output_index": 0, "item": {"type": "custom_tool_call", "call_id": "c", "name": "p", "input": "a\"b\nc"}}),
    ];
    let pieces: String = read(&events)
        .iter()
        .filter_map(|event| match event {
            ChatEvent::Arguments { json, .. } => Some(json.as_str()),
            _ => None,
        })
        .collect();
    assert_eq!(pieces.parse::<Value>().unwrap(), json!({"input": "a\"b\nc"}));
}

#[test]
fn errors_end_a_stream() {
    for event in [
        json!({"type": "error", "code": "server_error", "message": "x"}),
        json!({"type": "response.failed", "response": {"error": {"code": "x", "message": "y"}}}),
    ] {
        let data = event.to_string().into_bytes().into();
        let frame = Frame { event: b"", data };
        assert!(Responses.decoder().decode(&frame, &mut Vec::new()).is_err(), "{event}");
    }
}
