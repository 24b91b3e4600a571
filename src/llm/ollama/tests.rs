//! Every row of the mapping between the canonical form and Ollama's.

use serde_json::{Value, json};

use super::*;
use crate::llm::chat::{
    ChatEvent, Citation, Content, Effort, FinishReason, Json, Message, Part, Reasoning,
    ResponseFormat, Role, Signature, Signer, Source, Tool, ToolChoice,
};
use crate::llm::sse::Frame;
use crate::llm::stream::StreamFault;
use crate::llm::usage::Usage;

fn encode(request: &ChatRequest) -> (Value, String) {
    let mut dropped = Dropped::default();
    let body = Ollama.encode_request(request, &mut dropped).unwrap();
    (serde_json::from_slice(&body).unwrap(), dropped.into_names().join(" "))
}

fn text(text: &str) -> Part {
    Content::Text(text.to_owned()).into()
}

fn message(role: Role, parts: Vec<Part>) -> Message {
    Message { role, parts }
}

fn tool() -> Tool {
    let name = "f".to_owned();
    Tool { name, description: None, parameters: None, strict: None, cache: None }
}

fn asking(parts: Vec<Part>) -> ChatRequest {
    ChatRequest {
        model: "m".to_owned(),
        messages: vec![message(Role::User, parts)],
        ..ChatRequest::default()
    }
}

fn effort(effort: Effort) -> Option<Reasoning> {
    Some(Reasoning { effort: Some(effort), ..Reasoning::default() })
}

#[test]
fn parameters_become_options() {
    let request = ChatRequest {
        tools: vec![tool()],
        max_tokens: Some(5),
        temperature: Some(2.0),
        top_p: Some(0.5),
        top_k: Some(7),
        stop: vec!["x".to_owned()],
        seed: Some(-3),
        presence_penalty: Some(0.1),
        frequency_penalty: Some(0.2),
        logprobs: Some(2),
        reasoning: effort(Effort::High),
        response_format: Some(ResponseFormat::JsonObject),
        stream: true,
        ..asking(vec![text("hi")])
    };
    let (body, dropped) = encode(&request);
    assert_eq!(
        body,
        json!({
            "model": "m", "messages": [{"role": "user", "content": "hi"}], "stream": true,
            "tools": [{"type": "function", "function": {"name": "f",
                "parameters": {"type": "object", "properties": {}}}}],
            "format": "json", "think": true, "logprobs": true, "top_logprobs": 2,
            "options": {"num_predict": 5, "temperature": 2.0, "top_p": 0.5, "top_k": 7, "seed": -3,
                "presence_penalty": 0.1, "frequency_penalty": 0.2, "stop": ["x"]},
        })
    );
    assert_eq!(dropped, "");
    assert_eq!(
        encode(&asking(vec![text("hi")])).0,
        json!({"model": "m", "messages": [{"role": "user", "content": "hi"}], "stream": false})
    );
}

#[test]
fn what_ollama_has_no_member_for_is_named() {
    let request = ChatRequest {
        user: Some("u".to_owned()),
        choices: Some(2),
        parallel_tool_calls: Some(false),
        tools: vec![Tool { strict: Some(true), cache: Json::parse("{}"), ..tool() }],
        tool_choice: Some(ToolChoice::Required),
        reasoning: Some(Reasoning { shown: Some(false), ..Reasoning::default() }),
        ..asking(vec![Part {
            signature: Some(Signature::new(Signer::Gemini, "s")),
            citations: vec![Citation::default()],
            ..text("hi")
        }])
    };
    assert_eq!(
        encode(&request).1,
        "annotations cache_control n parallel_tool_calls thinking.display thought_signature \
         tool_choice tools.strict user"
    );
}

#[test]
fn thinking_is_a_switch_or_a_level() {
    let of = |model: &str, given: Option<Reasoning>| {
        let model = model.to_owned();
        let request = ChatRequest { model, reasoning: given, ..asking(vec![text("hi")]) };
        encode(&request).0["think"].clone()
    };
    assert_eq!(of("qwen3", effort(Effort::None)), json!(false));
    assert_eq!(of("qwen3", effort(Effort::Minimal)), json!(true));
    assert_eq!(of("qwen3", None), Value::Null);
    assert_eq!(of("gpt-oss:20b", effort(Effort::None)), json!("low"));
    let budget = Some(Reasoning { budget: Some(20_000), ..Reasoning::default() });
    assert_eq!(of("gpt-oss:20b", budget), json!("high"));
}

#[test]
fn no_tool_is_offered_where_none_may_be_called_and_a_schema_is_the_format() {
    let schema = Json::parse(r#"{"type":"object"}"#).unwrap();
    let request = ChatRequest {
        tools: vec![tool()],
        tool_choice: Some(ToolChoice::None),
        response_format: Some(ResponseFormat::JsonSchema { name: None, schema, strict: None }),
        ..asking(vec![text("hi")])
    };
    let (body, dropped) = encode(&request);
    assert!(body.get("tools").is_none());
    assert_eq!((&body["format"], &*dropped), (&json!({"type": "object"}), ""));
}

#[test]
fn a_tool_loop_names_its_tools_and_keeps_arguments_an_object() {
    let call = Content::ToolCall {
        id: "i".to_owned(),
        name: "f".to_owned(),
        arguments: "{\"b\":1,\"a\":2}".to_owned(),
    };
    let data = Source::Base64 { media_type: "image/png".to_owned(), data: "QQ==".to_owned() };
    let image = Content::Image { source: data, detail: None };
    let result = Content::ToolResult {
        call_id: "i".to_owned(),
        parts: vec![text("r"), image.into()],
        is_error: true,
    };
    let thought = Content::Thinking { text: "hm".to_owned(), signature: None };
    let request = ChatRequest {
        system: vec![text("a"), text("b")],
        messages: vec![
            message(Role::Assistant, vec![thought.into(), text("x"), text("y"), call.into()]),
            message(Role::User, vec![text("and?"), result.into()]),
        ],
        ..asking(Vec::new())
    };
    let (body, dropped) = encode(&request);
    assert_eq!(
        body["messages"],
        json!([
            {"role": "system", "content": "a\n\nb"},
            {"role": "assistant", "content": "xy", "thinking": "hm", "tool_calls": [
                {"id": "i", "function": {"name": "f", "arguments": {"a": 2, "b": 1}}}]},
            {"role": "tool", "content": "r", "tool_name": "f", "tool_call_id": "i"},
            {"role": "user", "content": "and?", "images": ["QQ=="]},
        ])
    );
    assert_eq!(dropped, "tool_result.is_error");
}

#[test]
fn what_ollama_cannot_be_given_is_refused_with_what_to_send() {
    let pdf = Source::Base64 { media_type: "application/pdf".to_owned(), data: String::new() };
    let call = |arguments: &str| Content::ToolCall {
        id: "i".to_owned(),
        name: "f".to_owned(),
        arguments: arguments.to_owned(),
    };
    for (content, told) in [
        (
            Content::Image { source: Source::Url("https://x.test/a".to_owned()), detail: None },
            "send it in base64",
        ),
        (Content::File { source: pdf, name: None }, "send its text"),
        (call("[1]"), "must be a JSON object"),
        (call("{"), "must be a JSON object"),
    ] {
        let request = ChatRequest {
            messages: vec![message(Role::Assistant, vec![content.into()])],
            ..ChatRequest::default()
        };
        let error = Ollama.encode_request(&request, &mut Dropped::default()).unwrap_err();
        assert!(error.to_string().contains(told), "{error}");
    }
}

#[test]
fn a_whole_answer_is_read() {
    let answer = json!({"model": "m", "message": {"role": "assistant", "content": "", "thinking": "hm",
        "tool_calls": [{"function": {"name": "f", "arguments": {"a": 1}}},
            {"id": "given", "function": {"name": "g"}}]},
        "done": true, "done_reason": "stop", "prompt_eval_count": 4, "eval_count": 2,
        "logprobs": [{"token": "x", "logprob": -0.5, "top_logprobs": [{"token": "y", "logprob": -1}]}]});
    let response = Ollama.decode_response(answer.to_string().as_bytes()).unwrap();
    let choice = response.first().unwrap();
    assert_eq!(choice.finish_reason, Some(FinishReason::ToolCalls));
    let call = |id: &str, name: &str, arguments: &str| -> Part {
        let [id, name, arguments] = [id, name, arguments].map(str::to_owned);
        Content::ToolCall { id, name, arguments }.into()
    };
    let thought = Content::Thinking { text: "hm".to_owned(), signature: None };
    assert_eq!(
        choice.parts,
        [
            thought.into(),
            call("call_cbf29ce484222325_0", "f", "{\"a\":1}"),
            call("given", "g", "{}")
        ]
    );
    assert_eq!(choice.logprobs.as_ref().unwrap()[0].top, [("y".to_owned(), -1.0)]);
    assert_eq!(response.usage, Some(Usage { input: 4, output: 2, ..Usage::default() }));
}

#[test]
fn a_cached_prompt_that_was_not_counted_is_not_free() {
    let answer = json!({"message": {"content": "a"}, "done_reason": "length", "eval_count": 2});
    let response = Ollama.decode_response(answer.to_string().as_bytes()).unwrap();
    assert_eq!(response.usage, None);
    assert_eq!(response.first().unwrap().finish_reason, Some(FinishReason::Length));
    assert!(Ollama.decode_response(b"{\"done\":true}").is_err());
}

fn events(stream: &[Value]) -> Result<Vec<ChatEvent>, StreamFault> {
    let (mut decoder, mut events) = (Ollama.decoder(), Vec::new());
    for line in stream {
        let data = line.to_string().into_bytes();
        decoder.decode(&Frame { event: b"", data: data.into() }, &mut events)?;
    }
    Ok(events)
}

#[test]
fn a_stream_is_read_line_by_line_until_it_is_done() {
    let read = events(&[
        json!({"model": "m", "message": {"role": "assistant", "content": "", "thinking": "hm"}, "done": false}),
        json!({"model": "m", "message": {"content": "A"}, "done": false}),
        json!({"model": "m", "message": {"content": "", "tool_calls": [
            {"function": {"name": "f", "arguments": {}}}]}, "done": false}),
        json!({"model": "m", "message": {"content": ""}, "done": true, "done_reason": "stop",
            "prompt_eval_count": 4, "eval_count": 2}),
    ]);
    assert_eq!(
        read.unwrap(),
        [
            ChatEvent::Start { id: None, model: Some("m".to_owned()) },
            ChatEvent::Thinking("hm".to_owned()),
            ChatEvent::Text("A".to_owned()),
            ChatEvent::ToolCall {
                index: 0,
                id: "call_cbf29ce484222325_0".to_owned(),
                name: "f".to_owned()
            },
            ChatEvent::Arguments { index: 0, json: "{}".to_owned() },
            ChatEvent::CallEnd(0),
            ChatEvent::Finish { reason: FinishReason::ToolCalls, stop_sequence: None },
            ChatEvent::Usage(Usage { input: 4, output: 2, ..Usage::default() }),
            ChatEvent::End,
        ]
    );
}

#[test]
fn minted_ids_of_two_turns_differ() {
    let id = |at: &str| {
        let answer =
            json!({"created_at": at, "message": {"tool_calls": [{"function": {"name": "f"}}]}});
        let response = Ollama.decode_response(answer.to_string().as_bytes()).unwrap();
        match &response.choices[0].parts[0].content {
            Content::ToolCall { id, .. } => id.clone(),
            other => panic!("{other:?}"),
        }
    };
    assert_ne!(id("2026-01-01T00:00:00.000000001Z"), id("2026-01-01T00:00:00.000000002Z"));
}

#[test]
fn an_error_line_is_a_fault() {
    assert!(matches!(events(&[json!({"error": "boom"})]), Err(StreamFault::Upstream(_))));
}
