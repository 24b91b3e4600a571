//! A caller's stream put together as its SDK does, into the form of a whole answer. Written by what the
//! SDKs do, not by what the gateway does.

use serde_json::{Map, Value, json};
use sluice::llm::Endpoint;

/// The whole answer that a stream says.
pub fn collect(endpoint: Endpoint, stream: &str) -> Value {
    let events = events(stream);
    match endpoint {
        Endpoint::Messages => messages(&events),
        Endpoint::Responses => responses(&events),
        Endpoint::GenerateContent => generate_content(&events),
        _ => chat(&events),
    }
}

fn events(stream: &str) -> Vec<Value> {
    let data = stream.lines().filter_map(|line| line.strip_prefix("data: "));
    let known = data.filter(|data| *data != "[DONE]");
    known.map(|data| serde_json::from_str(data).unwrap()).collect()
}

/// What is the same in a whole answer and in a stream: nothing is as good as empty, and times and the
/// names of forms do not count.
pub fn normal(answer: &Value) -> Value {
    match answer {
        Value::Object(members) => {
            let known =
                members.iter().filter(|(name, _)| !matches!(name.as_str(), "object" | "created"));
            let members = known.map(|(name, value)| (name.clone(), normal(value)));
            Value::Object(members.filter(|(_, value)| !is_empty(value)).collect())
        }
        Value::Array(list) => list.iter().map(normal).collect(),
        other => other.clone(),
    }
}

fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::String(text) => text.is_empty(),
        Value::Array(list) => list.is_empty(),
        Value::Object(members) => members.is_empty(),
        Value::Bool(_) | Value::Number(_) => false,
    }
}

fn list(value: &mut Value) -> &mut Vec<Value> {
    if !value.is_array() {
        *value = json!([]);
    }
    value.as_array_mut().unwrap()
}

fn append(target: &mut Value, piece: &Value) {
    let text = format!("{}{}", target.as_str().unwrap_or_default(), piece.as_str().unwrap());
    *target = text.into();
}

fn extend(target: &mut Value, more: &Value) {
    list(target).extend(more.as_array().cloned().unwrap_or_default());
}

/// The element of an index, made if need be.
fn at(target: &mut Value, index: &Value) -> usize {
    let index = usize::try_from(index.as_u64().unwrap()).unwrap();
    let list = list(target);
    while list.len() <= index {
        list.push(json!({}));
    }
    index
}

fn chat(chunks: &[Value]) -> Value {
    let mut answer = json!({"choices": []});
    for chunk in chunks {
        for name in ["id", "model", "usage"] {
            if chunk.get(name).is_some_and(|value| !value.is_null()) {
                answer[name] = chunk[name].clone();
            }
        }
        for choice in chunk["choices"].as_array().unwrap() {
            let index = at(&mut answer["choices"], &choice["index"]);
            let target = &mut answer["choices"][index];
            target["index"] = choice["index"].clone();
            if !choice["finish_reason"].is_null() {
                target["finish_reason"] = choice["finish_reason"].clone();
            }
            if let Some(tokens) = choice.pointer("/logprobs/content") {
                extend(&mut target["logprobs"]["content"], tokens);
            }
            delta(&mut target["message"], choice["delta"].as_object().unwrap());
        }
    }
    answer
}

fn delta(message: &mut Value, delta: &Map<String, Value>) {
    for (name, value) in delta.iter().filter(|(_, value)| !value.is_null()) {
        match name.as_str() {
            "content" | "refusal" | "reasoning_content" if value.is_string() => {
                append(&mut message[name], value);
            }
            "annotations" | "thinking_blocks" => extend(&mut message[name], value),
            "tool_calls" => value.as_array().unwrap().iter().for_each(|call| {
                let index = at(&mut message[name], &call["index"]);
                tool_call(&mut message[name][index], call);
            }),
            _ => message[name] = value.clone(),
        }
    }
}

fn tool_call(target: &mut Value, call: &Value) {
    for name in ["id", "type", "extra_content"] {
        if let Some(value) = call.get(name) {
            target[name] = value.clone();
        }
    }
    if let Some(name) = call.pointer("/function/name") {
        target["function"]["name"] = name.clone();
    }
    append(&mut target["function"]["arguments"], &call["function"]["arguments"]);
}

fn messages(events: &[Value]) -> Value {
    let mut answer = Value::Null;
    let mut arguments = String::new();
    for event in events {
        let block = event["index"].as_u64().and_then(|index| usize::try_from(index).ok());
        match event["type"].as_str().unwrap() {
            "message_start" => answer = event["message"].clone(),
            "content_block_start" => {
                let content = list(&mut answer["content"]);
                assert_eq!(Some(content.len()), block, "blocks come in order");
                content.push(event["content_block"].clone());
                arguments.clear();
            }
            "content_block_delta" => {
                let target = &mut answer["content"][block.unwrap()];
                match event["delta"]["type"].as_str().unwrap() {
                    "text_delta" => append(&mut target["text"], &event["delta"]["text"]),
                    "thinking_delta" => {
                        append(&mut target["thinking"], &event["delta"]["thinking"])
                    }
                    "signature_delta" => target["signature"] = event["delta"]["signature"].clone(),
                    "citations_delta" => {
                        list(&mut target["citations"]).push(event["delta"]["citation"].clone());
                    }
                    "input_json_delta" => {
                        arguments.push_str(event["delta"]["partial_json"].as_str().unwrap());
                    }
                    unknown => panic!("unknown delta {unknown}"),
                }
            }
            "content_block_stop" if !arguments.is_empty() => {
                let input = serde_json::from_str(&arguments).unwrap();
                answer["content"][block.unwrap()]["input"] = input;
            }
            "message_delta" => {
                for (name, value) in event["delta"].as_object().unwrap() {
                    answer[name] = value.clone();
                }
                for (name, value) in event["usage"].as_object().unwrap() {
                    answer["usage"][name] = value.clone();
                }
            }
            _ => {}
        }
    }
    answer
}

/// The last event has all; the pieces before it must say the same.
fn responses(events: &[Value]) -> Value {
    let answer = events.last().unwrap()["response"].clone();
    let pieces = |kind: &str| -> String {
        let of_kind = events.iter().filter(|event| event["type"] == kind);
        of_kind.map(|event| event["delta"].as_str().unwrap()).collect()
    };
    let items = answer["output"].as_array().unwrap();
    let parts = |member: &str, name: &str| -> String {
        let lists = items.iter().filter_map(|item| item[member].as_array());
        lists.flatten().filter_map(|part| part[name].as_str()).collect()
    };
    assert_eq!(pieces("response.output_text.delta"), parts("content", "text"));
    assert_eq!(pieces("response.refusal.delta"), parts("content", "refusal"));
    assert_eq!(pieces("response.reasoning_summary_text.delta"), parts("summary", "text"));
    let arguments: String = items.iter().filter_map(|item| item["arguments"].as_str()).collect();
    assert_eq!(pieces("response.function_call_arguments.delta"), arguments);
    let done: Vec<Value> = events
        .iter()
        .filter(|event| event["type"] == "response.output_item.done")
        .map(|event| event["item"].clone())
        .collect();
    assert_eq!(&done, items, "items are done as they end up");
    answer
}

fn generate_content(frames: &[Value]) -> Value {
    let mut answer = json!({"candidates": []});
    for frame in frames {
        for name in ["modelVersion", "responseId", "usageMetadata"] {
            if let Some(value) = frame.get(name) {
                answer[name] = value.clone();
            }
        }
        for candidate in frame["candidates"].as_array().unwrap() {
            let index = at(&mut answer["candidates"], &candidate["index"]);
            let target = &mut answer["candidates"][index];
            for (name, value) in candidate.as_object().unwrap() {
                match name.as_str() {
                    "content" => {
                        target["content"]["role"] = value["role"].clone();
                        let parts = list(&mut target["content"]["parts"]);
                        value["parts"]
                            .as_array()
                            .unwrap()
                            .iter()
                            .for_each(|part| join(parts, part));
                    }
                    "logprobsResult" => {
                        for tokens in ["chosenCandidates", "topCandidates"] {
                            extend(&mut target[name][tokens], &value[tokens]);
                        }
                    }
                    _ => target[name] = value.clone(),
                }
            }
        }
    }
    answer
}

/// Texts of one kind that follow each other are one, up to a signature.
fn join(parts: &mut Vec<Value>, part: &Value) {
    let is_text = |part: &Value| part.get("text").is_some();
    let last = parts.last_mut().filter(|last| {
        is_text(last)
            && is_text(part)
            && last["thought"] == part["thought"]
            && last.get("thoughtSignature").is_none()
    });
    match last {
        Some(last) => {
            append(&mut last["text"], &part["text"]);
            if let Some(signature) = part.get("thoughtSignature") {
                last["thoughtSignature"] = signature.clone();
            }
        }
        None if part["text"] == "" && part.get("thoughtSignature").is_none() => {}
        None => parts.push(part.clone()),
    }
}
