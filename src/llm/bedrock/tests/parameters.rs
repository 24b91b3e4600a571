//! Reasoning, sampling and what Converse lacks.

use super::*;

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
    assert_eq!(
        ask(NOVA, both.clone()),
        (json!({"temperature": 1.0, "topP": 0.5}), vec!["temperature".to_owned()])
    );
    let named = vec!["temperature".to_owned(), "top_p".to_owned()];
    assert_eq!(ask(NEWER, both.clone()), (json!({"temperature": 1.0}), named));
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
