//! What Bedrock refuses is not sent, and what it says is understood.

use serde_json::{Value, json};

use super::*;
use crate::llm::chat::{ChatEvent, Content, Effort, Reasoning};
use crate::llm::sse::Frame;
use crate::llm::{Dialect, codec};

const CLAUDE: &str = "us.anthropic.claude-sonnet-4-20250514-v1:0";
const NEWER: &str = "us.anthropic.claude-sonnet-4-5-20250929-v1:0";
const ADAPTIVE: &str = "us.anthropic.claude-sonnet-4-6";
const NEWEST: &str = "us.anthropic.claude-opus-4-8";
const NOVA: &str = "amazon.nova-pro-v1:0";
const LLAMA: &str = "us.meta.llama4-maverick-17b-instruct-v1:0";

/// A request of OpenAI's for a model. Reasoning is read here, whatever OpenAI's codec makes of it.
fn asked(model: &str, openai: &Value, dropped: &mut Dropped) -> ChatRequest {
    let mut openai = openai.clone();
    let effort = openai.as_object_mut().unwrap().remove("reasoning_effort");
    let effort = effort.map(|effort| Effort::parse(effort.as_str().unwrap()).unwrap());
    let from = codec::codec(Dialect::OpenAi);
    let mut request = from.decode_request(openai.to_string().as_bytes(), dropped).unwrap();
    model.clone_into(&mut request.model);
    request.reasoning =
        effort.map(|effort| Reasoning { effort: Some(effort), ..Reasoning::default() });
    request
}

/// A request of OpenAI's, as it is sent to a model: the body and what was dropped.
fn sent(model: &str, openai: &Value) -> (Value, Vec<String>) {
    let mut dropped = Dropped::default();
    let request = asked(model, openai, &mut dropped);
    let body = Bedrock.encode_request(&request, &mut dropped).unwrap();
    (serde_json::from_slice(&body).unwrap(), dropped.into_names())
}

/// The same for a request that is refused.
fn refused(model: &str, openai: &Value) -> String {
    let mut dropped = Dropped::default();
    let request = asked(model, openai, &mut dropped);
    Bedrock.encode_request(&request, &mut dropped).unwrap_err().to_string()
}

/// One user turn, with more members.
fn asking(more: Value) -> Value {
    let mut request = json!({"messages": [{"role": "user", "content": "hi"}]});
    request.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    request
}

fn tool(name: &str) -> Value {
    json!({"type": "function", "function": {"name": name, "parameters": {"type": "object", "properties": {}}}})
}

fn call(id: &str) -> Value {
    json!({"role": "assistant", "content": "", "tool_calls": [
        {"id": id, "type": "function", "function": {"name": "f", "arguments": ""}}]})
}

fn names(dropped: &[String]) -> Vec<&str> {
    dropped.iter().map(String::as_str).collect()
}

#[test]
fn turns_alternate_begin_with_the_user_and_hold_no_blank_text() {
    let conversation = json!({"messages": [
        {"role": "assistant", "content": "hello"},
        {"role": "user", "content": "  "},
        {"role": "assistant", "content": "there"},
        {"role": "user", "content": "a"},
        {"role": "system", "content": "be brief"},
        {"role": "user", "content": [{"type": "text", "text": "b"}, {"type": "text", "text": "\n"}]},
        {"role": "assistant", "content": "end  \n"},
    ]});
    let (body, dropped) = sent(NOVA, &conversation);
    assert_eq!(
        body["messages"],
        json!([
            {"role": "user", "content": [{"text": "."}]},
            {"role": "assistant", "content": [{"text": "hello"}, {"text": "there"}]},
            {"role": "user", "content": [{"text": "a"}, {"text": "b"}]},
            {"role": "assistant", "content": [{"text": "end"}]},
        ])
    );
    assert_eq!(body["system"], json!([{"text": "be brief"}]));
    assert_eq!(dropped, Vec::<String>::new());
    let (body, _) = sent(CLAUDE, &conversation);
    assert_eq!(body["messages"][0]["role"], "assistant");
}

#[test]
fn a_system_prompt_alone_is_said_by_the_user() {
    let (body, _) = sent(NOVA, &json!({"messages": [{"role": "system", "content": "greet"}]}));
    assert_eq!(body["messages"], json!([{"role": "user", "content": [{"text": "greet"}]}]));
    assert!(body.get("system").is_none());
}

#[test]
fn results_of_a_turn_come_together_and_first() {
    let history = json!({"tools": [tool("f")], "messages": [
        {"role": "user", "content": "go"},
        {"role": "assistant", "content": "", "tool_calls": [
            {"id": "a.1:0", "type": "function", "function": {"name": "f", "arguments": "{\"x\": 1}"}},
            {"id": "b", "type": "function", "function": {"name": "f", "arguments": "null"}}]},
        {"role": "user", "content": "wait"},
        {"role": "tool", "tool_call_id": "a.1:0", "content": "one"},
        {"role": "tool", "tool_call_id": "b", "content": ""},
    ]});
    let (body, _) = sent(NOVA, &history);
    assert_eq!(
        body["messages"][1]["content"],
        json!([
            {"toolUse": {"toolUseId": "a.1:0", "name": "f", "input": {"x": 1}}},
            {"toolUse": {"toolUseId": "b", "name": "f", "input": {}}},
        ])
    );
    assert_eq!(
        body["messages"][2]["content"],
        json!([
            {"toolResult": {"toolUseId": "a.1:0", "content": [{"text": "one"}]}},
            {"toolResult": {"toolUseId": "b", "content": [{"json": {}}]}},
            {"text": "wait"},
        ])
    );
    // Where nothing may stand beside a result, the text is a turn of its own.
    let (body, _) = sent(LLAMA, &history);
    let roles: Vec<&str> = body["messages"]
        .as_array()
        .unwrap()
        .iter()
        .map(|message| message["role"].as_str().unwrap())
        .collect();
    assert_eq!(roles, ["user", "assistant", "user", "assistant", "user"]);
    assert_eq!(body["messages"][4]["content"], json!([{"text": "wait"}]));
}

#[test]
fn a_history_with_calls_has_tools_even_if_none_may_be_called() {
    let history = |choice: Value, tools: Value| {
        json!({"tool_choice": choice, "tools": tools, "messages": [
            {"role": "user", "content": "go"}, call("c"),
            {"role": "tool", "tool_call_id": "c", "content": "done"}]})
    };
    let (body, dropped) = sent(CLAUDE, &history(json!("none"), json!([tool("f")])));
    assert_eq!(body["toolConfig"]["tools"][0]["toolSpec"]["name"], "f");
    assert!(body["toolConfig"].get("toolChoice").is_none());
    assert_eq!(body["additionalModelRequestFields"]["tool_choice"], json!({"type": "none"}));
    assert_eq!(dropped, Vec::<String>::new());
    let (body, dropped) = sent(NOVA, &history(json!("none"), json!([tool("f")])));
    assert_eq!(body["toolConfig"]["tools"].as_array().unwrap().len(), 1);
    assert_eq!(names(&dropped), ["tool_choice"]);
    // The client sent no tools.
    let (body, _) = sent(NOVA, &history(Value::Null, Value::Null));
    assert_eq!(
        body["toolConfig"],
        json!({"tools": [{"toolSpec": {"name": "f", "inputSchema": {"json": {"type": "object", "properties": {}}}}}]})
    );
    // Without calls, no tools are the way to say none.
    let (body, dropped) = sent(NOVA, &asking(json!({"tools": [tool("f")], "tool_choice": "none"})));
    assert!(body.get("toolConfig").is_none());
    assert_eq!(dropped, Vec::<String>::new());
}

#[test]
fn choices_of_tools_are_said_once() {
    let choice = |model: &str, choice: Value, parallel: Value| {
        let tools =
            json!({"tools": [tool("f")], "tool_choice": choice, "parallel_tool_calls": parallel});
        let (body, dropped) = sent(model, &asking(tools));
        let native = body["additionalModelRequestFields"]["tool_choice"].clone();
        (body["toolConfig"]["toolChoice"].clone(), native, dropped)
    };
    let none = Vec::<String>::new();
    let named = json!({"type": "function", "function": {"name": "f"}});
    assert_eq!(
        choice(NOVA, json!("auto"), Value::Null),
        (json!({"auto": {}}), Value::Null, none.clone())
    );
    assert_eq!(
        choice(NOVA, json!("required"), Value::Null),
        (json!({"any": {}}), Value::Null, none.clone())
    );
    assert_eq!(
        choice(NOVA, named.clone(), json!(true)),
        (json!({"tool": {"name": "f"}}), Value::Null, none.clone())
    );
    assert_eq!(
        choice(CLAUDE, named, json!(false)),
        (
            Value::Null,
            json!({"type": "tool", "name": "f", "disable_parallel_tool_use": true}),
            none.clone()
        )
    );
    assert_eq!(
        choice(CLAUDE, Value::Null, json!(false)),
        (Value::Null, json!({"type": "auto", "disable_parallel_tool_use": true}), none.clone())
    );
    assert_eq!(names(&choice(NOVA, Value::Null, json!(false)).2), ["parallel_tool_calls"]);
    assert_eq!(choice(LLAMA, json!("auto"), Value::Null), (Value::Null, Value::Null, none));
    assert_eq!(names(&choice(LLAMA, json!("required"), Value::Null).2), ["tool_choice"]);
}

#[test]
fn names_of_tools_that_could_not_come_back_are_refused() {
    for name in ["a.b", "", &"x".repeat(65)] {
        let message = refused(NOVA, &asking(json!({"tools": [tool(name)]})));
        assert!(message.contains("1 to 64 letters"), "{message}");
    }
}

#[test]
fn a_schema_is_asked_for_as_the_model_takes_it() {
    let schema = json!({"type": "object", "properties": {"a": {"type": "string"}}});
    let format = json!({"type": "json_schema", "json_schema": {"name": "n", "schema": schema}});
    let (body, _) = sent(NEWER, &asking(json!({"response_format": format})));
    let text_format = &body["outputConfig"]["textFormat"];
    assert_eq!(text_format["type"], "json_schema");
    let given = text_format["structure"]["jsonSchema"]["schema"].as_str().unwrap();
    let given: Value = serde_json::from_str(given).unwrap();
    assert_eq!(given["additionalProperties"], false);
    assert!(body.get("toolConfig").is_none());

    let (body, _) = sent(NOVA, &asking(json!({"response_format": format})));
    assert_eq!(body["toolConfig"]["toolChoice"], json!({"tool": {"name": tool::ANSWER_TOOL}}));
    assert!(body.get("outputConfig").is_none());
    let both = asking(json!({"response_format": format, "tools": [tool("f")]}));
    let (body, _) = sent(NOVA, &both);
    assert_eq!(body["toolConfig"]["toolChoice"], json!({"any": {}}));
    assert_eq!(body["toolConfig"]["tools"].as_array().unwrap().len(), 2);
    let (body, dropped) = sent(LLAMA, &both);
    assert!(body["toolConfig"].get("toolChoice").is_none());
    assert!(body["system"][0]["text"].as_str().unwrap().contains(tool::ANSWER_TOOL));
    assert_eq!(dropped, Vec::<String>::new());
}

#[test]
fn the_tool_that_stands_in_for_a_schema_is_text_to_the_caller() {
    let body = json!({
        "output": {"message": {"role": "assistant", "content": [
            {"toolUse": {"toolUseId": "t", "name": tool::ANSWER_TOOL, "input": {"a": "b"}}}]}},
        "stopReason": "tool_use",
        "usage": {"inputTokens": 1, "outputTokens": 2, "totalTokens": 3},
    });
    let answer = Bedrock.decode_response(body.to_string().as_bytes()).unwrap();
    let choice = answer.first().unwrap();
    assert_eq!(choice.parts[0].content, Content::Text(r#"{"a":"b"}"#.to_owned()));
    assert_eq!(choice.finish_reason, Some(FinishReason::Stop));

    let events = read(&[
        (
            "contentBlockStart",
            json!({"contentBlockIndex": 0, "start": {"toolUse": {"toolUseId": "t", "name": tool::ANSWER_TOOL}}}),
        ),
        (
            "contentBlockDelta",
            json!({"contentBlockIndex": 0, "delta": {"toolUse": {"input": "{\"a\""}}}),
        ),
        (
            "contentBlockDelta",
            json!({"contentBlockIndex": 0, "delta": {"toolUse": {"input": ":1}"}}}),
        ),
        ("contentBlockStop", json!({"contentBlockIndex": 0})),
        ("messageStop", json!({"stopReason": "tool_use"})),
    ]);
    let text: String = events
        .iter()
        .filter_map(|event| match event {
            ChatEvent::Text(text) => Some(text.as_str()),
            _ => None,
        })
        .collect();
    assert_eq!(text, r#"{"a":1}"#);
    let finish = ChatEvent::Finish { reason: FinishReason::Stop, stop_sequence: None };
    assert!(events.contains(&finish), "{events:?}");
}

#[test]
fn thinking_is_asked_for_as_the_model_takes_it() {
    let ask = |model: &str, more: Value| {
        let (body, dropped) = sent(model, &asking(more));
        (body["additionalModelRequestFields"].clone(), body["inferenceConfig"].clone(), dropped)
    };
    let effort = json!({"reasoning_effort": "high"});
    let none = Vec::<String>::new();
    assert_eq!(
        ask(CLAUDE, effort.clone()),
        (
            json!({"thinking": {"type": "enabled", "budget_tokens": 16384}}),
            json!({"maxTokens": 20480}),
            none.clone()
        )
    );
    assert_eq!(
        ask(ADAPTIVE, effort.clone()),
        (
            json!({"thinking": {"type": "adaptive"}, "output_config": {"effort": "high"}}),
            Value::Null,
            none.clone()
        )
    );
    assert_eq!(
        ask("us.amazon.nova-2-lite-v1:0", effort.clone()).0,
        json!({"reasoningConfig": {"type": "enabled", "maxReasoningEffort": "high"}})
    );
    assert_eq!(
        ask("openai.gpt-oss-120b-1:0", effort.clone()).0,
        json!({"reasoning_effort": "high"})
    );
    assert_eq!(ask("qwen.qwen3-32b-v1:0", effort.clone()).0, json!({"reasoning_config": "high"}));
    assert_eq!(names(&ask(LLAMA, effort).2), ["reasoning_effort"]);
    // The bound on tokens is never raised; where there is no room, there is no thinking.
    let bounded = |most: u64| ask(CLAUDE, json!({"reasoning_effort": "high", "max_tokens": most}));
    assert_eq!(bounded(3000).0["thinking"]["budget_tokens"], 2999);
    assert_eq!(bounded(3000).1, json!({"maxTokens": 3000}));
    assert_eq!(names(&bounded(1024).2), ["reasoning_effort"]);
    let off = json!({"reasoning_effort": "none"});
    assert_eq!(ask(CLAUDE, off.clone()), (Value::Null, Value::Null, none.clone()));
    assert_eq!(
        ask("anthropic.claude-opus-5", off.clone()).0,
        json!({"thinking": {"type": "disabled"}})
    );
    assert_eq!(names(&ask("anthropic.claude-fable-5", off).2), ["reasoning_effort"]);
}

#[test]
fn thinking_forbids_what_the_model_refuses_beside_it() {
    let sampled = json!({"reasoning_effort": "low", "temperature": 0.5, "top_p": 0.5});
    let (body, dropped) = sent(CLAUDE, &asking(sampled));
    assert_eq!(names(&dropped), ["temperature", "top_p"]);
    assert!(body["inferenceConfig"].get("temperature").is_none());
    // A forced tool wins over thinking.
    let forced =
        json!({"reasoning_effort": "low", "tools": [tool("f")], "tool_choice": "required"});
    let (body, dropped) = sent(CLAUDE, &asking(forced.clone()));
    assert_eq!(names(&dropped), ["reasoning_effort"]);
    assert!(body.get("additionalModelRequestFields").is_none());
    let (body, dropped) = sent(ADAPTIVE, &asking(forced));
    assert_eq!(dropped, Vec::<String>::new());
    assert_eq!(body["toolConfig"]["toolChoice"], json!({"any": {}}));
    // Thoughts of a running loop of calls were lost.
    let lost = json!({"reasoning_effort": "low", "tools": [tool("f")], "messages": [
        {"role": "user", "content": "go"}, call("c"),
        {"role": "tool", "tool_call_id": "c", "content": "done"}]});
    assert_eq!(names(&sent(CLAUDE, &lost).1), ["reasoning_effort"]);
    assert_eq!(sent(ADAPTIVE, &lost).1, Vec::<String>::new());
}

#[test]
fn sampling_is_kept_as_far_as_the_model_takes_it() {
    let ask = |model: &str, more: Value| {
        let (body, dropped) = sent(model, &asking(more));
        (body["inferenceConfig"].clone(), dropped)
    };
    let both = json!({"temperature": 1.5, "top_p": 0.5});
    assert_eq!(ask(NOVA, both.clone()), (json!({"temperature": 1.0, "topP": 0.5}), vec![]));
    assert_eq!(ask(NEWER, both.clone()), (json!({"temperature": 1.0}), vec!["top_p".to_owned()]));
    assert_eq!(
        names(&ask(NEWEST, json!({"temperature": 0.2, "top_p": 0.5})).1),
        ["temperature", "top_p"]
    );
    assert_eq!(ask(NEWEST, json!({"temperature": 1.0, "top_p": 1})), (Value::Null, vec![]));
}

#[test]
fn what_converse_lacks_is_named() {
    let more = json!({"n": 2, "seed": 1, "frequency_penalty": 0.5, "presence_penalty": 0.5,
        "logprobs": true, "top_logprobs": 2, "user": "u 1@x", "stop": ["END", ""]});
    let (body, dropped) = sent(CLAUDE, &asking(more));
    let dropped = names(&dropped);
    for name in ["n", "seed", "frequency_penalty", "presence_penalty", "logprobs", "stop"] {
        assert!(dropped.contains(&name), "{name} of {dropped:?}");
    }
    assert_eq!(body["requestMetadata"], json!({"user": "u 1@x"}));
    assert_eq!(body["inferenceConfig"]["stopSequences"], json!(["END"]));
    assert_eq!(body["additionalModelResponseFieldPaths"], json!(["/stop_sequence"]));
    let (body, _) = sent(CLAUDE, &asking(json!({"stop": "END", "stream": true})));
    assert_eq!(body["additionalModelResponseFieldPaths"], json!(["/delta/stop_sequence"]));
    assert_eq!(names(&sent(NOVA, &asking(json!({"user": "ü"}))).1), ["user"]);
}

#[test]
fn pictures_come_as_bytes_and_documents_with_a_text() {
    let image = |url: &str| {
        json!({"messages": [{"role": "user", "content": [
            {"type": "image_url", "image_url": {"url": url}}]}]})
    };
    let (body, _) = sent(NOVA, &image("data:image/jpg;base64,AAAA"));
    assert_eq!(
        body["messages"][0]["content"],
        json!([{"image": {"format": "jpeg", "source": {"bytes": "AAAA"}}}])
    );
    assert!(refused(NOVA, &image("https://x.test/a.png")).contains("base64"));
    let file = json!({"messages": [{"role": "user", "content": [{"type": "file", "file": {
        "file_data": "data:application/pdf;base64,AAAA", "filename": "my_report.pdf"}}]}]});
    let (body, _) = sent(NOVA, &file);
    assert_eq!(
        body["messages"][0]["content"],
        json!([{"text": "my report"},
            {"document": {"name": "my report", "format": "pdf", "source": {"bytes": "AAAA"}}}])
    );
}

#[test]
fn reasoning_goes_back_only_to_who_signed_it() {
    let history = json!({"messages": [
        {"role": "user", "content": "go"},
        {"role": "assistant", "content": "a", "thinking_blocks": [
            {"type": "thinking", "thinking": "hm", "signature": "sig"},
            {"type": "redacted_thinking", "data": "hidden"}]},
        {"role": "user", "content": "on"}]});
    let (body, dropped) = sent(CLAUDE, &history);
    assert_eq!(
        body["messages"][1]["content"],
        json!([
            {"reasoningContent": {"reasoningText": {"text": "hm", "signature": "sig"}}},
            {"reasoningContent": {"redactedContent": "aGlkZGVu"}},
            {"text": "a"},
        ])
    );
    assert_eq!(dropped, Vec::<String>::new());
    let (body, dropped) = sent(NOVA, &history);
    assert_eq!(body["messages"][1]["content"], json!([{"text": "a"}]));
    assert_eq!(names(&dropped), ["reasoning_content"]);
    let foreign = history.to_string().replace("\"sig\"", "\"sluice.gemini.sig\"");
    let (body, dropped) = sent(CLAUDE, &serde_json::from_str(&foreign).unwrap());
    assert!(!body.to_string().contains("reasoningText"));
    assert_eq!(names(&dropped), ["reasoning_content"]);
}

#[test]
fn cache_marks_become_points_behind_what_they_mark() {
    let request = json!({
    "tools": [{"type": "function", "function": {"name": "f", "parameters": {"type": "object"}},
        "cache_control": {"type": "ephemeral"}}],
    "messages": [
        {"role": "system", "content": [{"type": "text", "text": "s", "cache_control": {"type": "ephemeral", "ttl": "1h"}}]},
        {"role": "user", "content": [{"type": "text", "text": "u", "cache_control": {"type": "ephemeral"}}, {"type": "text", "text": "v"}]},
    ]});
    let (body, _) = sent(CLAUDE, &request);
    assert_eq!(
        body["system"],
        json!([{"text": "s"}, {"cachePoint": {"type": "default", "ttl": "1h"}}])
    );
    assert_eq!(
        body["messages"][0]["content"],
        json!([{"text": "u"}, {"cachePoint": {"type": "default"}}, {"text": "v"}])
    );
    let (body, dropped) = sent(LLAMA, &request);
    assert!(!body.to_string().contains("cachePoint"));
    assert!(names(&dropped).contains(&"cache_control"));
}

#[test]
fn paths_hold_encoded_model_ids() {
    assert_eq!(
        Bedrock.path("us.anthropic.claude-sonnet-4-20250514-v1:0", false),
        "/model/us.anthropic.claude-sonnet-4-20250514-v1%3A0/converse"
    );
    assert_eq!(
        Bedrock.path("arn:aws:bedrock:us-east-1:1:application-inference-profile/m?", true),
        "/model/arn%3Aaws%3Abedrock%3Aus-east-1%3A1%3Aapplication-inference-profile%2Fm%3F/converse-stream"
    );
}

/// The events of a stream that then ends.
fn read(frames: &[(&str, Value)]) -> Vec<ChatEvent> {
    let (mut decoder, mut events) = (Bedrock.decoder(), Vec::new());
    for (name, data) in frames {
        let data = data.to_string().into_bytes().into();
        decoder.decode(&Frame { event: name.as_bytes(), data }, &mut events).unwrap();
    }
    decoder.finish(&mut events).unwrap();
    events
}

#[test]
fn a_stream_ends_when_both_the_stop_and_the_usage_were_seen() {
    let stop = ("messageStop", json!({"stopReason": "end_turn"}));
    let usage = (
        "metadata",
        json!({"usage": {"inputTokens": 3, "outputTokens": 2,
        "cacheReadInputTokens": 4, "cacheWriteInputTokens": 5}}),
    );
    let start = ("messageStart", json!({"role": "assistant"}));
    let counted = ChatEvent::Usage(Usage {
        input: 12,
        output: 2,
        cached_input: 4,
        cache_write: 5,
        ..Usage::default()
    });
    for order in [[&start, &stop, &usage], [&start, &usage, &stop]] {
        let events = read(&order.map(Clone::clone));
        assert_eq!(events.last(), Some(&ChatEvent::End));
        assert!(events.contains(&counted));
    }
    assert_eq!(read(&[start.clone(), stop]).last(), Some(&ChatEvent::End));
    assert!(!read(&[start, usage]).contains(&ChatEvent::End));
    assert!(read(&[]).is_empty());
}

#[test]
fn blocks_of_bedrocks_own_tools_are_skipped_and_calls_counted_without_them() {
    let events = read(&[
        (
            "contentBlockStart",
            json!({"contentBlockIndex": 0, "start": {"toolUse": {"toolUseId": "s", "name": "nova_code_interpreter", "type": "server_tool_use"}}}),
        ),
        (
            "contentBlockDelta",
            json!({"contentBlockIndex": 0, "delta": {"toolUse": {"input": "{}"}}}),
        ),
        ("contentBlockStop", json!({"contentBlockIndex": 0})),
        (
            "contentBlockStart",
            json!({"contentBlockIndex": 1, "start": {"toolResult": {"toolUseId": "s"}}}),
        ),
        (
            "contentBlockDelta",
            json!({"contentBlockIndex": 1, "delta": {"toolResult": [{"json": {}}]}}),
        ),
        ("contentBlockStop", json!({"contentBlockIndex": 1})),
        (
            "contentBlockStart",
            json!({"contentBlockIndex": 2, "start": {"toolUse": {"toolUseId": "t", "name": "f"}}}),
        ),
        ("contentBlockStop", json!({"contentBlockIndex": 2})),
        ("messageStop", json!({"stopReason": "tool_use"})),
    ]);
    let call = ChatEvent::ToolCall { index: 0, id: "t".to_owned(), name: "f".to_owned() };
    let arguments = ChatEvent::Arguments { index: 0, json: "{}".to_owned() };
    assert_eq!(events[1..4], [call, arguments, ChatEvent::BlockEnd]);
}

#[test]
fn redacted_reasoning_in_pieces_comes_out_whole() {
    let delta = |base64: &str| {
        (
            "contentBlockDelta",
            json!({"contentBlockIndex": 0, "delta": {"reasoningContent": {"redactedContent": base64}}}),
        )
    };
    let events = read(&[
        delta("aGlk"),
        delta("ZGVu"),
        ("contentBlockStop", json!({"contentBlockIndex": 0})),
    ]);
    assert_eq!(events[1], ChatEvent::RedactedThinking("hidden".to_owned()));
}
