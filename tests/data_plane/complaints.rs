//! What strict providers find wrong with a native request of their dialect: Mistral, Cohere and
//! Bedrock. `None`: nothing.

#![allow(clippy::unwrap_used, reason = "test support outside of test functions")]

use serde_json::Value;

const MISTRAL: &[&str] = &[
    "model",
    "messages",
    "temperature",
    "top_p",
    "max_tokens",
    "stream",
    "stop",
    "random_seed",
    "metadata",
    "response_format",
    "tools",
    "tool_choice",
    "presence_penalty",
    "frequency_penalty",
    "n",
    "prediction",
    "parallel_tool_calls",
    "reasoning_effort",
    "prompt_mode",
    "guardrails",
    "min_tokens",
    "repetition_penalty",
    "top_k",
    "logprobs",
    "top_logprobs",
    "safe_prompt",
    "prompt_cache_key",
    "service_tier",
];
/// The members of Cohere's chat.
pub const COHERE: &[&str] = &[
    "model",
    "messages",
    "stream",
    "tools",
    "strict_tools",
    "documents",
    "citation_options",
    "response_format",
    "safety_mode",
    "max_tokens",
    "stop_sequences",
    "temperature",
    "seed",
    "frequency_penalty",
    "presence_penalty",
    "k",
    "p",
    "logprobs",
    "tool_choice",
    "thinking",
    "priority",
];

/// The members that are not known, if there are any.
pub fn unknown(body: &Value, known: &[&str]) -> Option<String> {
    let names = body.as_object().unwrap().keys();
    names.map(String::as_str).find(|name| !known.contains(name)).map(str::to_owned)
}

/// What Mistral finds wrong with a conversation.
pub fn wrong_for_mistral(body: &Value) -> Option<String> {
    let messages = body["messages"].as_array().unwrap();
    let mut before = "";
    for message in messages {
        let role = message["role"].as_str().unwrap();
        let ids = message["tool_calls"].as_array().into_iter().flatten().map(|call| &call["id"]);
        for id in ids.chain(message.get("tool_call_id")) {
            let id = id.as_str().unwrap();
            if id.len() != 9 || !id.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
                return Some(format!(
                    "Tool call id was {id} but must be a-z, A-Z, 0-9, with a length of 9"
                ));
            }
        }
        if !["system", "user", "assistant", "tool"].contains(&role)
            || (before == "tool" && role == "user")
            || (role == "system" && !before.is_empty())
        {
            return Some(format!("Unexpected role '{role}' after role '{before}'"));
        }
        before = role;
    }
    unknown(body, MISTRAL)
}

/// What Cohere finds wrong with a conversation.
pub fn wrong_for_cohere(body: &Value) -> Option<String> {
    let wrong =
        body["tool_choice"].as_str().is_some_and(|word| !["REQUIRED", "NONE"].contains(&word))
            || body["p"].as_f64().is_some_and(|p| !(0.01..=0.99).contains(&p))
            || body["tools"]
                .as_array()
                .into_iter()
                .flatten()
                .any(|tool| tool["function"]["parameters"].is_null());
    wrong.then(|| "invalid request".to_owned()).or_else(|| unknown(body, COHERE))
}

/// What Converse finds wrong with a request.
pub fn wrong_for_bedrock(request: &Value) -> Option<String> {
    wrong_turns(request).or_else(|| unknown_to_bedrock(request))
}

/// What Converse would say against the turns of a request.
fn wrong_turns(request: &Value) -> Option<String> {
    let messages = request["messages"].as_array().filter(|messages| !messages.is_empty());
    let Some(messages) = messages else { return Some("messages is empty".to_owned()) };
    let mut expected = "user";
    let mut has_tools = false;
    for message in messages {
        if message["role"] != expected {
            return Some("A conversation must alternate between user and assistant roles.".into());
        }
        expected = if expected == "user" { "assistant" } else { "user" };
        let content = message["content"].as_array().unwrap();
        if content.is_empty() {
            return Some("The content field in the Message object is empty.".to_owned());
        }
        for block in content {
            if block["text"].as_str().is_some_and(|text| text.trim().is_empty()) {
                return Some("The text field in the ContentBlock object is blank.".to_owned());
            }
            has_tools |= block.get("toolUse").is_some() || block.get("toolResult").is_some();
        }
    }
    if has_tools && request.get("toolConfig").is_none() {
        return Some("The toolConfig field must be defined when using toolUse content".to_owned());
    }
    unanswered(messages)
}

/// Every call must be answered first thing in the next turn.
fn unanswered(messages: &[Value]) -> Option<String> {
    let ids = |message: &Value, member: &str| -> Vec<Value> {
        let blocks = message["content"].as_array().unwrap().iter();
        blocks.filter_map(|block| block.get(member)).map(|call| call["toolUseId"].clone()).collect()
    };
    let pairs = messages.iter().zip(messages.iter().skip(1));
    let mut lost = pairs.filter(|(turn, next)| ids(turn, "toolUse") != ids(next, "toolResult"));
    lost.any(|(turn, _)| turn["role"] == "assistant")
        .then(|| "Expected toolResult blocks at messages".to_owned())
}

/// Unknown members are refused too.
fn unknown_to_bedrock(request: &Value) -> Option<String> {
    let known = [
        "messages",
        "system",
        "inferenceConfig",
        "toolConfig",
        "outputConfig",
        "additionalModelRequestFields",
        "additionalModelResponseFieldPaths",
        "requestMetadata",
    ];
    let members = request.as_object().unwrap().keys();
    members.into_iter().find(|name| !known.contains(&name.as_str())).cloned()
}
