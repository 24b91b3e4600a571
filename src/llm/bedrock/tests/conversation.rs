//! Turns, their content and where they are sent.

use super::*;

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
    assert_eq!(body["messages"][0]["role"], "user");
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
