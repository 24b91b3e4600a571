//! What comes back from another provider's answers, and what must stay as it is.

use serde_json::{Value, json};

use super::*;
use crate::llm::gemini::SKIP;

fn restored(dialect: Dialect, model: &str, body: &Value) -> (Value, String) {
    let mut dropped = Vec::new();
    let body = restore(dialect, Bytes::from(body.to_string()), model, &mut dropped).unwrap();
    (serde_json::from_slice(&body).unwrap(), dropped.join(" "))
}

fn turns(blocks: &Value) -> Value {
    json!([
        {"role": "user", "content": "q"},
        {"role": "assistant", "content": blocks},
        {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "c", "content": "r"}]},
    ])
}

#[test]
fn messages_lose_thoughts_that_claude_did_not_sign() {
    let call = json!({"type": "tool_use", "id": "c", "name": "f", "input": {"z": 1.0, "a": 2}});
    let thought = |text: &str, signature: &str| json!({"type": "thinking", "thinking": text, "signature": signature});
    let ask = |blocks: Value| {
        let thinking = json!({"type": "enabled", "budget_tokens": 1024});
        let body = json!({"model": "m", "thinking": thinking, "messages": turns(&blocks)});
        let (body, dropped) = restored(Dialect::Anthropic, "claude-x", &body);
        let is_thinking = body.get("thinking").is_some();
        (body["messages"][1]["content"].clone(), dropped, is_thinking)
    };
    for (signature, name) in
        [("", "thinking"), ("sluice.openai.ENC", "thinking"), ("sluice.gemini.U0lH", "thinking")]
    {
        let kept = ask(json!([thought("hm", signature), call]));
        assert_eq!(kept, (json!([call]), name.to_owned(), false), "{signature}");
    }
    let carried = json!([
        thought("", "sluice.gemini.U0lH"),
        call,
        thought("", "sluice.after.sluice.gemini.X"),
    ]);
    let (blocks, dropped, _) = ask(carried);
    assert_eq!((blocks, dropped.as_str()), (json!([call]), "thinking thought_signature"));
    let own = ask(json!([thought("hm", "sluice.anthropic.SIG"), call]));
    assert_eq!(own, (json!([thought("hm", "SIG"), call]), String::new(), true));
    let mixed = ask(json!([thought("hm", ""), thought("hm", "SIG"), call]));
    assert_eq!(mixed, (json!([thought("hm", "SIG"), call]), "thinking".to_owned(), true));
}

#[test]
fn a_turn_of_foreign_thoughts_alone_is_left_out() {
    let blocks = json!([{"type": "thinking", "thinking": "h", "signature": ""}]);
    let (body, _) = restored(Dialect::Anthropic, "m", &json!({"messages": turns(&blocks)}));
    assert_eq!(body["messages"].as_array().unwrap().len(), 2);
}

#[test]
fn responses_lose_foreign_reasoning_and_the_ids_of_no_server() {
    let reasoning = |id: &str, proof: Option<&str>| json!({"type": "reasoning", "id": id, "summary": [], "encrypted_content": proof});
    let call = json!({"type": "function_call", "id": "fc_msg_1_1", "call_id": "c", "name": "f", "arguments": "{}"});
    let own = "rs_68af4030baa48193b0b43b4c2a176a1a0e";
    let body = json!({"input": [
        reasoning("rs_msg_1_0", Some("sluice.anthropic.SIG")),
        reasoning("rs_req_1_0", None),
        reasoning("rs_msg_1_2", Some("sluice.redacted.RED")),
        reasoning("rs_msg_1_3", Some("gAAAA")),
        reasoning(own, None),
        call,
    ]});
    let (body, dropped) = restored(Dialect::Responses, "gpt-5", &body);
    let mut signed = reasoning("", Some("gAAAA"));
    signed.as_object_mut().unwrap().remove("id");
    let mut bare = call;
    bare.as_object_mut().unwrap().remove("id");
    assert_eq!(body, json!({"input": [signed, reasoning(own, None), bare]}));
    assert_eq!(dropped, "thinking");
}

#[test]
fn gemini_loses_foreign_signatures_and_is_told_that_a_call_had_one() {
    let foreign = "c2x1aWNlLmFudGhyb3BpYy5TSUc9PQ==";
    let call = json!({"functionCall": {"name": "f", "args": {}}});
    let signed = |signature: &str| {
        let mut call = call.clone();
        call["thoughtSignature"] = json!(signature);
        call
    };
    let ask = |model: &str, parts: Value| {
        let body = json!({"contents": [{"role": "model", "parts": parts}]});
        let (body, dropped) = restored(Dialect::Gemini, model, &body);
        (body["contents"][0]["parts"].clone(), dropped)
    };
    let thought = json!({"text": "hm", "thought": true, "thoughtSignature": foreign});
    let (parts, dropped) = ask("gemini-3-pro", json!([thought, call, call]));
    assert_eq!((parts, dropped.as_str()), (json!([signed(SKIP), call]), "thinking"));
    let (parts, dropped) = ask("gemini-3-pro", json!([signed(foreign)]));
    assert_eq!((parts, dropped.as_str()), (json!([signed(SKIP)]), "thought_signature"));
    let (parts, _) = ask("gemini-2.5-pro", json!([signed(foreign)]));
    assert_eq!(parts, json!([call]));
    let (parts, _) = ask(
        "gemini-3-pro",
        json!([{"text": "", "thoughtSignature": foreign}, {"text": "a"}, signed("U0lH")]),
    );
    assert_eq!(parts, json!([{"text": "a"}, signed("U0lH")]));
}

#[test]
fn chat_loses_extensions_that_the_models_servers_do_not_speak() {
    let message = |signature: &str| {
        json!({
            "role": "assistant",
            "content": "a",
            "reasoning_content": "hm",
            "thinking_blocks": [{"type": "thinking", "thinking": "hm", "signature": signature}],
        })
    };
    let call = |extra: Value| {
        json!({"role": "assistant", "reasoning_content": "h", "tool_calls": [
            {"id": "c", "extra_content": extra},
        ]})
    };
    let google = json!({"google": {"thought_signature": "U0lH"}});
    let ask = |model: &str, message: &Value| {
        let (body, dropped) = restored(Dialect::OpenAi, model, &json!({"messages": [message]}));
        (body["messages"][0].clone(), dropped)
    };
    let plain = json!({"role": "assistant", "content": "a"});
    for (model, signature) in [("gpt-5", "SIG"), ("claude-x", "sluice.openai.ENC")] {
        let kept = ask(model, &message(signature));
        assert_eq!(kept, (plain.clone(), "thinking".to_owned()), "{model}");
    }
    assert_eq!(ask("claude-x", &message("SIG")), (message("SIG"), String::new()));
    let bare = json!({"role": "assistant", "tool_calls": [{"id": "c"}]});
    let named = "thinking thought_signature".to_owned();
    assert_eq!(ask("gpt-5", &call(google.clone())), (bare, named));
    assert_eq!(ask("gemini-3", &call(google.clone())), (call(google), String::new()));
    let own = json!({"role": "assistant", "reasoning_content": "h", "content": "a"});
    assert_eq!(ask("deepseek-chat", &own), (own, String::new()));
}

#[test]
fn what_providers_wrote_themselves_keeps_its_bytes() {
    for (dialect, body) in [
        (
            Dialect::Anthropic,
            r#"{ "messages":[{"content":[{"type":"thinking","signature":"S"}]}]}"#,
        ),
        (Dialect::Anthropic, r#"{ "messages":[{"content":"\"sluice.gemini.x\""}]}"#),
        (Dialect::Responses, r#"{ "input":[{"type":"reasoning","id":"rs_ab01","summary":[]}]}"#),
        (Dialect::Responses, r#"{ "input":"rs_a_0"}"#),
        (
            Dialect::Gemini,
            r#"{ "contents":[{"parts":[{"functionCall":{},"thoughtSignature":"U0lH"}]}]}"#,
        ),
        (Dialect::OpenAi, r#"{ "messages":[{"reasoning_content":"h","content":"a"}]}"#),
    ] {
        let body = Bytes::from_static(body.as_bytes());
        let mut dropped = Vec::new();
        let kept = restore(dialect, body.clone(), "gemini-3-pro", &mut dropped).unwrap();
        assert_eq!((kept.as_ptr(), kept.len(), dropped.len()), (body.as_ptr(), body.len(), 0));
    }
}
