//! What Bedrock refuses is not sent, and what it says is understood.

use serde_json::{Value, json};

use super::*;
use crate::llm::chat::{ChatEvent, Content, Effort, Reasoning};
use crate::llm::sse::Frame;
use crate::llm::{Dialect, codec};

mod conversation;
mod parameters;
mod streams;
mod tools;

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
