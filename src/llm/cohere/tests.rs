//! Every row of the mapping between the canonical form and Cohere's.

use serde_json::{Value, json};

use super::*;
use crate::llm::chat::{
    ChatEvent, Citation, Content, Effort, FinishReason, Json, Message, Part, Reasoning,
    ResponseFormat, Role, Signature, Signer, Source, TokenLogprob, Tool, ToolChoice,
};
use crate::llm::sse::Frame;
use crate::llm::stream::StreamFault;
use crate::llm::usage::Usage;

fn encode(request: &ChatRequest) -> (Value, String) {
    let mut dropped = Dropped::default();
    let body = Cohere.encode_request(request, &mut dropped).unwrap();
    (serde_json::from_slice(&body).unwrap(), dropped.into_names().join(" "))
}

fn text(text: &str) -> Part {
    Content::Text(text.to_owned()).into()
}

fn message(role: Role, parts: Vec<Part>) -> Message {
    Message { role, parts }
}

fn tool(name: &str, strict: Option<bool>) -> Tool {
    let name = name.to_owned();
    Tool { name, description: None, parameters: None, strict, cache: None }
}

fn asking(parts: Vec<Part>) -> ChatRequest {
    ChatRequest {
        model: "m".to_owned(),
        messages: vec![message(Role::User, parts)],
        ..ChatRequest::default()
    }
}

#[test]
fn parameters_take_coheres_names_and_bounds() {
    let request = ChatRequest {
        max_tokens: Some(5),
        temperature: Some(0.7),
        top_p: Some(1.0),
        top_k: Some(900),
        stop: vec!["x".to_owned()],
        seed: Some(3),
        frequency_penalty: Some(1.5),
        presence_penalty: Some(0.5),
        logprobs: Some(0),
        reasoning: Some(Reasoning { effort: Some(Effort::Low), ..Reasoning::default() }),
        response_format: Some(ResponseFormat::JsonSchema {
            name: Some("n".to_owned()),
            schema: Json::parse(r#"{"type":"object"}"#).unwrap(),
            strict: None,
        }),
        stream: true,
        ..asking(vec![text("hi")])
    };
    let (body, dropped) = encode(&request);
    assert_eq!(
        body,
        json!({
            "model": "m", "messages": [{"role": "user", "content": "hi"}], "max_tokens": 5,
            "temperature": 0.7, "p": 0.99, "k": 500, "stop_sequences": ["x"], "seed": 3,
            "frequency_penalty": 1.0, "presence_penalty": 0.5, "logprobs": true,
            "thinking": {"type": "enabled", "token_budget": 2048},
            "response_format": {"type": "json_object", "json_schema": {"type": "object"}},
            "stream": true,
        })
    );
    assert_eq!(dropped, "frequency_penalty top_k");
}

#[test]
fn what_cohere_has_no_member_for_is_named() {
    let request = ChatRequest {
        user: Some("u".to_owned()),
        choices: Some(2),
        parallel_tool_calls: Some(false),
        stop: vec!["x".to_owned(); 6],
        seed: Some(-1),
        frequency_penalty: Some(-0.5),
        presence_penalty: Some(-0.5),
        logprobs: Some(3),
        reasoning: Some(Reasoning { effort: Some(Effort::None), budget: None, shown: Some(false) }),
        tool_choice: Some(ToolChoice::Auto),
        ..asking(vec![Part {
            cache: Json::parse("{}"),
            signature: Some(Signature::new(Signer::Gemini, "s")),
            citations: vec![Citation::default()],
            ..text("hi")
        }])
    };
    let (body, dropped) = encode(&request);
    assert_eq!(
        dropped,
        "annotations cache_control frequency_penalty n parallel_tool_calls presence_penalty seed \
         stop thinking.display thought_signature tool_choice top_logprobs user"
    );
    assert_eq!(body["stop_sequences"].as_array().map(Vec::len), Some(5));
    assert_eq!(body["thinking"], json!({"type": "disabled"}));
    assert!(body.get("frequency_penalty").is_none() && body.get("seed").is_none());
}

#[test]
fn tool_choices_are_expressed_by_two_words_and_by_leaving_tools_out() {
    let of = |choice: ToolChoice| {
        let request = ChatRequest {
            tools: vec![tool("f", Some(true)), tool("g", None)],
            tool_choice: Some(choice),
            response_format: Some(ResponseFormat::JsonObject),
            ..asking(vec![text("hi")])
        };
        let (body, dropped) = encode(&request);
        let names: Vec<&str> = body["tools"]
            .as_array()
            .unwrap()
            .iter()
            .map(|tool| tool["function"]["name"].as_str().unwrap())
            .collect();
        let choice = body["tool_choice"].as_str().unwrap_or("-").to_owned();
        (format!("{choice} {}", names.join(",")), body["strict_tools"].clone(), dropped)
    };
    let lost = || "response_format tools.strict".to_owned();
    assert_eq!(of(ToolChoice::Auto), ("- f,g".to_owned(), Value::Null, lost()));
    assert_eq!(of(ToolChoice::None), ("NONE f,g".to_owned(), Value::Null, lost()));
    assert_eq!(of(ToolChoice::Required), ("REQUIRED f,g".to_owned(), Value::Null, lost()));
    assert_eq!(
        of(ToolChoice::Named("f".to_owned())),
        ("REQUIRED f".to_owned(), json!(true), "response_format".to_owned())
    );
}

#[test]
fn a_tool_loop_puts_text_into_the_plan_and_images_to_the_user() {
    let call =
        Content::ToolCall { id: "i".to_owned(), name: "f".to_owned(), arguments: "{}".to_owned() };
    let data = Source::Base64 { media_type: "image/png".to_owned(), data: "QQ==".to_owned() };
    let image = Content::Image { source: data, detail: Some("low".to_owned()) };
    let result = Content::ToolResult {
        call_id: "i".to_owned(),
        parts: vec![text("r"), image.into()],
        is_error: true,
    };
    let request = ChatRequest {
        system: vec![text("a"), text("b")],
        messages: vec![
            message(Role::User, vec![text("q")]),
            message(Role::Assistant, vec![text("I will"), call.into()]),
            message(Role::User, vec![text("and?"), result.into()]),
            message(Role::Assistant, vec![text("so"), text("!")]),
            message(Role::System, vec![text("later")]),
        ],
        ..asking(Vec::new())
    };
    let (body, dropped) = encode(&request);
    assert_eq!(
        body["messages"],
        json!([
            {"role": "system", "content": "a\n\nb"},
            {"role": "user", "content": "q"},
            {"role": "assistant", "tool_plan": "I will", "tool_calls": [
                {"id": "i", "type": "function", "function": {"name": "f", "arguments": "{}"}}]},
            {"role": "tool", "tool_call_id": "i", "content": "r"},
            {"role": "user", "content": [
                {"type": "image_url",
                    "image_url": {"url": "data:image/png;base64,QQ==", "detail": "low"}},
                {"type": "text", "text": "and?"}]},
            {"role": "assistant", "content": "so!"},
            {"role": "system", "content": "later"},
        ])
    );
    assert_eq!(dropped, "tool_result.is_error");
}

#[test]
fn reasoning_goes_back_to_models_that_reason_only() {
    let thought = |signature| Part::from(Content::Thinking { text: "hm".to_owned(), signature });
    let turn = |model: &str, signature| ChatRequest {
        model: model.to_owned(),
        messages: vec![message(Role::Assistant, vec![thought(signature), text("a")])],
        ..ChatRequest::default()
    };
    let (body, dropped) = encode(&turn("command-a-reasoning-08-2025", None));
    assert_eq!(
        body["messages"][0]["content"],
        json!([{"type": "thinking", "thinking": "hm"}, {"type": "text", "text": "a"}])
    );
    assert_eq!(dropped, "");
    let foreign = Some(Signature::new(Signer::Anthropic, "s"));
    for request in [turn("command-r", None), turn("command-a-reasoning-08-2025", foreign)] {
        let (body, dropped) = encode(&request);
        assert_eq!(
            (&body["messages"][0]["content"], &*dropped),
            (&json!("a"), "reasoning_content")
        );
    }
}

#[test]
fn documents_are_refused_with_what_to_send() {
    let source = Source::Base64 { media_type: "application/pdf".to_owned(), data: String::new() };
    let request = asking(vec![Content::File { source, name: None }.into()]);
    let error = Cohere.encode_request(&request, &mut Dropped::default()).unwrap_err();
    assert!(error.to_string().contains("send its text"));
    let plain = Content::File { source: Source::Text("plain".to_owned()), name: None };
    assert_eq!(encode(&asking(vec![plain.into()])).0["messages"][0]["content"], "plain");
}

fn read(answer: &Value) -> ChatResponse {
    Cohere.decode_response(answer.to_string().as_bytes()).unwrap()
}

#[test]
fn a_whole_answer_is_read() {
    let response = read(&json!({
        "id": "i", "finish_reason": "MAX_TOKENS",
        "message": {"role": "assistant",
            "content": [{"type": "thinking", "thinking": "hm"}, {"type": "text", "text": "A fact."}],
            "citations": [{"start": 2, "end": 6, "text": "fact", "content_index": 1, "sources": [
                {"type": "document", "id": "d", "document": {"url": "u", "title": "t", "text": "x"}},
                {"type": "tool", "id": "c:0", "tool_output": {"content": "y"}}]}]},
        "usage": {"billed_units": {"input_tokens": 1, "output_tokens": 1},
            "tokens": {"input_tokens": 50.0, "output_tokens": 7}, "cached_tokens": 40},
        "logprobs": [{"text": "A fact", "token_ids": [1, 2], "logprobs": [-0.5, -0.25]}],
    }));
    assert_eq!(
        response.usage,
        Some(Usage { input: 50, output: 7, cached_input: 40, ..Usage::default() })
    );
    let choice = response.first().unwrap();
    assert_eq!(choice.finish_reason, Some(FinishReason::Length));
    let logprob = TokenLogprob { token: "A fact".to_owned(), logprob: -0.75, top: Vec::new() };
    assert_eq!(choice.logprobs, Some(vec![logprob]));
    assert_eq!(
        choice.parts[0].content,
        Content::Thinking { text: "hm".to_owned(), signature: None }
    );
    let citation = |url: Option<&str>, title: &str, text: &str| Citation {
        url: url.map(str::to_owned),
        title: Some(title.to_owned()),
        text: Some(text.to_owned()),
        span: Some((2, 6)),
    };
    assert_eq!(
        choice.parts[1].citations,
        [citation(Some("u"), "t", "x"), citation(None, "c:0", "y")]
    );
}

#[test]
fn calls_come_after_their_plan_and_null_arguments_are_none() {
    for arguments in ["null", ""] {
        let response = read(&json!({"id": "i", "finish_reason": "TOOL_CALL", "message": {
            "tool_plan": "I will", "tool_calls": [{"id": "c", "type": "function",
                "function": {"name": "f", "arguments": arguments}}]}}));
        let (id, name, arguments) = ("c".to_owned(), "f".to_owned(), "{}".to_owned());
        assert_eq!(
            response.first().unwrap().parts,
            [text("I will"), Content::ToolCall { id, name, arguments }.into()]
        );
        assert_eq!(response.usage, None);
    }
}

#[test]
fn failures_are_no_answers() {
    for word in ["ERROR", "TIMEOUT"] {
        let answer = json!({"finish_reason": word, "message": {"content": []}}).to_string();
        assert!(Cohere.decode_response(answer.as_bytes()).unwrap_err().contains(word));
    }
    assert!(Cohere.decode_response(b"{\"id\":\"i\"}").is_err());
}

fn events(stream: &[Value]) -> Result<Vec<ChatEvent>, StreamFault> {
    let (mut decoder, mut events) = (Cohere.decoder(), Vec::new());
    for event in stream {
        let data = event.to_string().into_bytes();
        decoder.decode(&Frame { event: b"", data: data.into() }, &mut events)?;
    }
    Ok(events)
}

fn piece(kind: &str, index: u64, message: Value) -> Value {
    json!({"type": kind, "index": index, "delta": {"message": message}})
}

#[test]
fn a_stream_of_text_is_read_with_citations_and_usage() {
    let read = events(&[
        json!({"type": "message-start", "id": "i", "delta": {"message": {"content": [],
            "tool_calls": [], "citations": [], "tool_plan": ""}}}),
        piece("content-start", 0, json!({"content": {"type": "thinking", "thinking": ""}})),
        piece("content-delta", 0, json!({"content": {"thinking": "hm"}})),
        piece("content-end", 0, json!({})),
        piece("content-start", 1, json!({"content": {"type": "text", "text": ""}})),
        piece("content-delta", 1, json!({"content": {"text": "A"}})),
        piece(
            "citation-start",
            0,
            json!({"citations": {"start": 0, "end": 1, "sources": [
            {"type": "document", "id": "d", "document": {}}]}}),
        ),
        json!({"type": "citation-end", "index": 0}),
        json!({"type": "something-new"}),
        json!({"type": "message-end", "delta": {"finish_reason": "COMPLETE",
            "usage": {"tokens": {"input_tokens": 5, "output_tokens": 2}}}}),
    ]);
    let title = Some("d".to_owned());
    assert_eq!(
        read.unwrap(),
        [
            ChatEvent::Start { id: Some("i".to_owned()), model: None },
            ChatEvent::Thinking("hm".to_owned()),
            ChatEvent::BlockEnd,
            ChatEvent::Text("A".to_owned()),
            ChatEvent::Citation(Citation { title, span: Some((0, 1)), ..Citation::default() }),
            ChatEvent::Usage(Usage { input: 5, output: 2, ..Usage::default() }),
            ChatEvent::Finish { reason: FinishReason::Stop, stop_sequence: None },
            ChatEvent::End,
        ]
    );
}

#[test]
fn streamed_calls_are_numbered_and_those_without_arguments_get_an_empty_object() {
    let start = |at: u64, arguments: &str| {
        piece(
            "tool-call-start",
            at,
            json!({"tool_calls": {"id": format!("c{at}"), "type": "function",
                "function": {"name": "f", "arguments": arguments}}}),
        )
    };
    let delta = |at: u64, arguments: &str| {
        piece("tool-call-delta", at, json!({"tool_calls": {"function": {"arguments": arguments}}}))
    };
    let end = |at: u64| json!({"type": "tool-call-end", "index": at});
    let read = events(&[
        piece("tool-plan-delta", 0, json!({"tool_plan": "I will"})),
        start(0, ""),
        delta(0, "{\"a\""),
        delta(0, ":1}"),
        end(0),
        start(1, ""),
        end(1),
        start(2, "nu"),
        delta(2, "ll"),
        end(2),
    ])
    .unwrap();
    let arguments = |at: usize| -> String {
        let of = |event: &ChatEvent| match event {
            ChatEvent::Arguments { index, json } if *index == at => Some(json.clone()),
            _ => None,
        };
        read.iter().filter_map(of).collect()
    };
    assert_eq!(read[0], ChatEvent::Text("I will".to_owned()));
    assert_eq!([0, 1, 2].map(arguments), ["{\"a\":1}", "{}", "{}"]);
}

#[test]
fn a_stream_that_fails_has_no_end() {
    let failed =
        json!({"type": "message-end", "delta": {"finish_reason": "ERROR", "error": "boom"}});
    assert!(matches!(events(&[failed]), Err(StreamFault::Upstream(_))));
    assert!(matches!(events(&[json!({"message": "boom"})]), Err(StreamFault::Upstream(_))));
}
