//! Every row of the mapping between the canonical form and Mistral's.

use http::{HeaderMap, StatusCode};
use serde_json::{Value, json};

use super::*;
use crate::llm::Dialect;
use crate::llm::chat::{
    ChatEvent, Citation, Content, Effort, Json, Message, Part, Reasoning, ResponseFormat, Role,
    Signature, Signer, Source, Tool, ToolChoice,
};
use crate::llm::error::decode_error;
use crate::llm::sse::Frame;
use crate::llm::stream::StreamFault;

fn encode(request: &ChatRequest) -> (Value, String) {
    let mut dropped = Dropped::default();
    let body = Mistral.encode_request(request, &mut dropped).unwrap();
    (serde_json::from_slice(&body).unwrap(), dropped.into_names().join(" "))
}

fn text(text: &str) -> Part {
    Content::Text(text.to_owned()).into()
}

fn user(parts: Vec<Part>) -> Message {
    Message { role: Role::User, parts }
}

fn assistant(parts: Vec<Part>) -> Message {
    Message { role: Role::Assistant, parts }
}

fn call(id: &str) -> Part {
    let (name, arguments) = ("f".to_owned(), "{\"a\":1}".to_owned());
    Content::ToolCall { id: id.to_owned(), name, arguments }.into()
}

fn result(id: &str, parts: Vec<Part>) -> Part {
    Content::ToolResult { call_id: id.to_owned(), parts, is_error: false }.into()
}

fn tool() -> Tool {
    let name = "f".to_owned();
    Tool { name, description: None, parameters: None, strict: Some(true), cache: None }
}

fn asking(messages: Vec<Message>) -> ChatRequest {
    ChatRequest { model: "m".to_owned(), messages, ..ChatRequest::default() }
}

#[test]
fn parameters_take_mistrals_names_and_bounds() {
    let request = ChatRequest {
        tools: vec![tool()],
        tool_choice: Some(ToolChoice::Required),
        parallel_tool_calls: Some(false),
        max_tokens: Some(5),
        temperature: Some(2.0),
        top_p: Some(0.5),
        top_k: Some(7),
        stop: vec!["x".to_owned()],
        seed: Some(3),
        choices: Some(2),
        presence_penalty: Some(0.1),
        frequency_penalty: Some(0.2),
        logprobs: Some(2),
        reasoning: Some(Reasoning { effort: Some(Effort::High), ..Reasoning::default() }),
        response_format: Some(ResponseFormat::JsonObject),
        stream: true,
        ..asking(vec![user(vec![text("hi")])])
    };
    let (body, dropped) = encode(&request);
    assert_eq!(
        body,
        json!({
            "model": "m", "messages": [{"role": "user", "content": "hi"}],
            "tools": [{"type": "function", "function": {"name": "f", "strict": true,
                "parameters": {"type": "object", "properties": {}}}}],
            "tool_choice": "any", "parallel_tool_calls": false, "max_tokens": 5,
            "temperature": 1.5, "top_p": 0.5, "top_k": 7, "stop": ["x"], "random_seed": 3, "n": 2,
            "presence_penalty": 0.1, "frequency_penalty": 0.2, "logprobs": true, "top_logprobs": 2,
            "reasoning_effort": "high", "response_format": {"type": "json_object"}, "stream": true,
        })
    );
    assert_eq!(dropped, "temperature");
}

#[test]
fn what_mistral_has_no_member_for_is_named() {
    let request = ChatRequest {
        user: Some("u".to_owned()),
        seed: Some(-1),
        tool_choice: Some(ToolChoice::Auto),
        parallel_tool_calls: Some(true),
        reasoning: Some(Reasoning { budget: Some(9000), shown: Some(false), effort: None }),
        ..asking(vec![user(vec![Part {
            cache: Json::parse("{}"),
            signature: Some(Signature::new(Signer::Gemini, "s")),
            citations: vec![Citation::default()],
            ..text("hi")
        }])])
    };
    let (body, dropped) = encode(&request);
    assert_eq!(body["reasoning_effort"], "medium");
    assert_eq!(
        dropped,
        "annotations cache_control parallel_tool_calls seed thinking.display thought_signature \
         tool_choice user"
    );
}

#[test]
fn a_schema_keeps_its_order_and_gets_a_name() {
    let schema = Json::parse(r#"{"type":"object","properties":{"b":{},"a":{}}}"#).unwrap();
    let format = ResponseFormat::JsonSchema { name: None, schema, strict: Some(true) };
    let request =
        ChatRequest { response_format: Some(format), ..asking(vec![user(vec![text("hi")])]) };
    let body = Mistral.encode_request(&request, &mut Dropped::default()).unwrap();
    let body = String::from_utf8(body).unwrap();
    assert!(body.contains(
        r#""json_schema":{"name":"response","schema":{"type":"object","properties":{"b":{},"a":{}}},"strict":true}"#
    ), "{body}");
}

#[test]
fn ids_have_nine_characters_and_stay_tied() {
    let calls = vec![call("call_1"), call("abcDEF123")];
    let results = vec![result("call_1", vec![text("1")]), result("abcDEF123", vec![text("2")])];
    let (body, _) = encode(&asking(vec![user(vec![text("q")]), assistant(calls), user(results)]));
    let id = body["messages"][1]["tool_calls"][0]["id"].as_str().unwrap();
    assert_eq!(id.len(), 9);
    assert!(id.bytes().all(|byte| byte.is_ascii_alphanumeric()));
    assert_eq!(body["messages"][1]["content"], "");
    assert_eq!(body["messages"][2]["tool_call_id"], id);
    assert_eq!(body["messages"][3]["tool_call_id"], "abcDEF123");
    assert_ne!(message::encode_id("call_1"), message::encode_id("call_2"));
}

#[test]
fn the_user_never_directly_follows_a_tool() {
    let image = Content::Image { source: Source::Url("https://x.test/a".to_owned()), detail: None };
    let results = vec![text("and?"), result("i", vec![text("r"), image.into()])];
    let (body, _) = encode(&asking(vec![assistant(vec![call("i")]), user(results)]));
    let roles: Vec<&str> =
        body["messages"].as_array().unwrap().iter().map(|m| m["role"].as_str().unwrap()).collect();
    assert_eq!(roles, ["assistant", "tool", "assistant", "user"]);
    assert_eq!(body["messages"][1]["content"][1]["image_url"]["url"], "https://x.test/a");
    assert_eq!(body["messages"][2], json!({"role": "assistant", "content": "OK"}));
}

#[test]
fn system_texts_stand_at_the_start_and_a_last_assistant_is_a_prefix() {
    let later = Message { role: Role::System, parts: vec![text("b")] };
    let request = ChatRequest {
        system: vec![text("a")],
        ..asking(vec![user(vec![text("q")]), later, assistant(vec![text("So")])])
    };
    let (body, _) = encode(&request);
    assert_eq!(
        body["messages"],
        json!([
            {"role": "system", "content": "a\n\nb"},
            {"role": "user", "content": "q"},
            {"role": "assistant", "content": "So", "prefix": true},
        ])
    );
    let alone = ChatRequest { system: vec![text("a")], ..asking(Vec::new()) };
    assert_eq!(encode(&alone).0["messages"], json!([{"role": "user", "content": "a"}]));
}

#[test]
fn content_takes_mistrals_chunks() {
    let data = Source::Base64 { media_type: "application/pdf".to_owned(), data: "QQ==".to_owned() };
    let file = |source, name: Option<&str>| -> Part {
        Content::File { source, name: name.map(str::to_owned) }.into()
    };
    let parts = vec![
        file(data, Some("a.pdf")),
        file(Source::Id("f1".to_owned()), None),
        file(Source::Text("plain".to_owned()), None),
    ];
    let (body, _) = encode(&asking(vec![user(parts)]));
    assert_eq!(
        body["messages"][0]["content"],
        json!([
            {"type": "document_url", "document_url": "data:application/pdf;base64,QQ==",
                "document_name": "a.pdf"},
            {"type": "file", "file_id": "f1"},
            {"type": "text", "text": "plain"},
        ])
    );
    let image = Content::Image { source: Source::Id("f".to_owned()), detail: None };
    let refused = asking(vec![user(vec![image.into()])]);
    let error = Mistral.encode_request(&refused, &mut Dropped::default()).unwrap_err();
    assert!(error.to_string().contains("in base64 or by URL"));
}

#[test]
fn reasoning_goes_back_to_models_that_reason_only() {
    let thought = |signature| Content::Thinking { text: "hm".to_owned(), signature };
    let turn = |signature| {
        let parts = vec![thought(signature).into(), text("a")];
        asking(vec![user(vec![text("q")]), assistant(parts), user(vec![text("r")])])
    };
    let (body, dropped) =
        encode(&ChatRequest { model: "magistral-medium-2507".to_owned(), ..turn(None) });
    assert_eq!(
        body["messages"][1]["content"],
        json!([{"type": "thinking", "thinking": [{"type": "text", "text": "hm"}]},
            {"type": "text", "text": "a"}])
    );
    assert_eq!(dropped, "");
    let foreign = Some(Signature::new(Signer::Anthropic, "s"));
    for request in
        [turn(None), ChatRequest { model: "magistral-small".to_owned(), ..turn(foreign) }]
    {
        let (body, dropped) = encode(&request);
        assert_eq!(body["messages"][1]["content"], "a");
        assert_eq!(dropped, "reasoning_content");
    }
}

#[test]
fn a_request_survives_being_written_and_read() {
    let request = ChatRequest {
        system: vec![text("s")],
        tools: vec![Tool { parameters: Json::parse(r#"{"type":"object"}"#), ..tool() }],
        tool_choice: Some(ToolChoice::Required),
        max_tokens: Some(5),
        temperature: Some(0.5),
        stop: vec!["x".to_owned()],
        ..asking(vec![
            user(vec![text("q")]),
            assistant(vec![text("t"), call("abcDEF123")]),
            user(vec![result("abcDEF123", vec![text("r")])]),
        ])
    };
    let mut dropped = Dropped::default();
    let wire = Mistral.encode_request(&request, &mut dropped).unwrap();
    let mut again = Mistral.decode_request(&wire, &mut dropped).unwrap();
    again.model.clone_from(&request.model);
    assert_eq!(again, request);
    assert_eq!(dropped, Dropped::default());
}

fn events(stream: &[&str]) -> Result<Vec<ChatEvent>, StreamFault> {
    let (mut decoder, mut events) = (Mistral.decoder(), Vec::new());
    for data in stream {
        let frame = Frame { event: b"", data: data.as_bytes().into() };
        decoder.decode(&frame, &mut events)?;
    }
    Ok(events)
}

#[test]
fn answers_are_read_with_their_peculiarities() {
    let answer = json!({"id": "i", "model": "m", "choices": [{"index": 0, "finish_reason": "model_length",
        "message": {"role": "assistant", "tool_calls": null, "content": [
            {"type": "thinking", "thinking": [{"type": "text", "text": "hm"}]},
            {"type": "text", "text": "so"}]}}],
        "usage": {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5,
            "prompt_tokens_details": {"cached_tokens": 1}}});
    let response = Mistral.decode_response(answer.to_string().as_bytes()).unwrap();
    let choice = response.first().unwrap();
    assert_eq!(choice.finish_reason, Some(FinishReason::Length));
    assert_eq!(choice.parts.len(), 2);
    assert_eq!(response.usage.map(|usage| (usage.input, usage.cached_input)), Some((3, 1)));
}

#[test]
fn a_call_in_the_last_chunk_is_read_with_its_usage() {
    let events = events(&[
        r#"{"id":"i","model":"m","choices":[{"index":0,"delta":{"role":"assistant","content":""},"finish_reason":null}]}"#,
        r#"{"id":"i","model":"m","choices":[{"index":0,"delta":{"content":null,"tool_calls":[{"id":"gSIMJiOkT","function":{"name":"f","arguments":"{}"}}]},"finish_reason":"tool_calls"}],"usage":{"prompt_tokens":1,"total_tokens":3,"completion_tokens":2}}"#,
        "[DONE]",
    ])
    .unwrap();
    assert!(
        events
            .iter()
            .any(|event| matches!(event, ChatEvent::ToolCall { id, .. } if id == "gSIMJiOkT"))
    );
    assert!(
        events.iter().any(|event| matches!(event, ChatEvent::Usage(usage) if usage.output == 2))
    );
    assert_eq!(events.last(), Some(&ChatEvent::End));
}

#[test]
fn an_end_by_error_is_no_answer() {
    let chunk = r#"{"id":"i","model":"m","choices":[{"index":0,"delta":{"content":"a"},"finish_reason":"error"}]}"#;
    assert!(matches!(events(&[chunk]), Err(StreamFault::Upstream(_))));
    let whole = chunk.replace("delta", "message");
    let error = decode_error(Dialect::Mistral, StatusCode::OK, &HeaderMap::new(), whole.as_bytes());
    assert_eq!(error.status, StatusCode::BAD_GATEWAY);
    assert_eq!(error.message, "the model stopped with finish_reason \"error\"");
}
