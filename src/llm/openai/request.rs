//! Requests of chat completions: wire to canonical form and back.

use serde_json::json;
use serde_json::value::RawValue;

use super::part::{decode_assistant, decode_content, encode_assistant, encode_content, encode_id};
use super::wire::{WireFormat, WireMessage, WireRequest, WireSchema, WireTool, WireToolFunction};
use crate::llm::chat::{
    ChatRequest, Content, Message, Part, ResponseFormat, Role, Tool, ToolChoice,
};
use crate::llm::codec::{Dropped, is_neutral, member};
use crate::llm::error::RequestError;
use crate::llm::members::{Member, Members};
use crate::llm::one_or_many::OneOrMany;

/// The most stop sequences that OpenAI takes.
const MAX_STOP: usize = 4;

/// Wire to canonical.
pub fn decode(body: &[u8], dropped: &mut Dropped) -> Result<ChatRequest, RequestError> {
    let Members(members) = Members::parse(body)?;
    let mut request = ChatRequest::default();
    for Member { name, value } in members {
        decode_member(&name, value, &mut request, dropped)?;
    }
    Ok(request)
}

fn decode_member(
    name: &str,
    value: &RawValue,
    request: &mut ChatRequest,
    dropped: &mut Dropped,
) -> Result<(), RequestError> {
    match name {
        "model" | "stream_options" => {}
        "messages" => decode_messages(member(name, value)?.unwrap_or_default(), request, dropped)?,
        "tools" => request.tools = decode_tools(member(name, value)?.unwrap_or_default(), dropped),
        "tool_choice" => request.tool_choice = decode_choice(value, dropped),
        "parallel_tool_calls" => request.parallel_tool_calls = member(name, value)?,
        "max_completion_tokens" => {
            request.max_tokens = member(name, value)?.or(request.max_tokens);
        }
        "max_tokens" => request.max_tokens = request.max_tokens.or(member(name, value)?),
        "temperature" => request.temperature = member(name, value)?,
        "top_p" => request.top_p = member(name, value)?,
        "top_k" => request.top_k = member(name, value)?,
        "stop" => {
            request.stop = match member::<OneOrMany<String>>(name, value)? {
                None => Vec::new(),
                Some(OneOrMany::One(stop)) => vec![stop],
                Some(OneOrMany::Many(stops)) => stops,
                Some(OneOrMany::Foreign) => {
                    let text = "\"stop\" must be a string or a list of strings";
                    return Err(RequestError::field("stop", text));
                }
            };
        }
        "stream" => request.stream = member(name, value)?.unwrap_or(false),
        "user" => request.user = member(name, value)?.or(request.user.take()),
        "safety_identifier" => request.user = request.user.take().or(member(name, value)?),
        "response_format" => request.response_format = decode_format(member(name, value)?)?,
        "n" if value.get() == "1" => {}
        "service_tier" if value.get() == "\"auto\"" => {}
        _ if is_neutral(value) => {}
        _ => dropped.add(name),
    }
    Ok(())
}

fn decode_messages(
    wire: Vec<WireMessage>,
    request: &mut ChatRequest,
    dropped: &mut Dropped,
) -> Result<(), RequestError> {
    for (at, mut message) in wire.into_iter().enumerate() {
        if message.name.is_some() && message.role.as_deref() != Some("tool") {
            dropped.add("messages.name");
        }
        if message.audio.is_some() {
            dropped.add("messages.audio");
        }
        let cache = message.cache_control.take();
        let (role, mut parts) = match message.role.as_deref().unwrap_or_default() {
            "system" | "developer" => (Role::System, decode_content(message.content)?),
            "user" => (Role::User, decode_content(message.content)?),
            "assistant" => (Role::Assistant, decode_assistant(message, &at.to_string())?),
            "tool" => (Role::User, vec![decode_result(message)?]),
            other => {
                let text = format!(
                    "messages[{at}].role is \"{other}\": use system, developer, user, assistant or tool"
                );
                return Err(RequestError::field("messages", text));
            }
        };
        if let (Some(cache), Some(last)) = (cache, parts.last_mut()) {
            last.cache.get_or_insert(cache);
        }
        if role == Role::System && request.messages.is_empty() {
            request.system.extend(parts);
        } else {
            request.messages.push(Message { role, parts });
        }
    }
    Ok(())
}

fn decode_result(message: WireMessage) -> Result<Part, RequestError> {
    let Some(call_id) = message.tool_call_id else {
        let text =
            "a message of role \"tool\" needs \"tool_call_id\": the id of the call it answers";
        return Err(RequestError::field("messages", text));
    };
    let parts = decode_content(message.content)?;
    Ok(Content::ToolResult { call_id, parts, is_error: false }.into())
}

fn decode_tools(wire: Vec<WireTool>, dropped: &mut Dropped) -> Vec<Tool> {
    let mut tools = Vec::with_capacity(wire.len());
    for tool in wire {
        let Some(function) = tool.function.filter(|_| tool.kind == "function") else {
            dropped.add(format!("tools.{}", tool.kind));
            continue;
        };
        tools.push(Tool {
            name: function.name,
            description: function.description,
            parameters: function.parameters,
            strict: function.strict,
            cache: tool.cache_control,
        });
    }
    tools
}

fn decode_choice(value: &RawValue, dropped: &mut Dropped) -> Option<ToolChoice> {
    let choice: serde_json::Value = serde_json::from_str(value.get()).unwrap_or_default();
    match choice.as_str() {
        Some("auto") => return Some(ToolChoice::Auto),
        Some("none") => return Some(ToolChoice::None),
        Some("required") => return Some(ToolChoice::Required),
        _ => {}
    }
    let name = choice.pointer("/function/name").and_then(serde_json::Value::as_str);
    if name.is_none() && !choice.is_null() {
        dropped.add("tool_choice");
    }
    name.map(|name| ToolChoice::Named(name.to_owned()))
}

fn decode_format(wire: Option<WireFormat>) -> Result<Option<ResponseFormat>, RequestError> {
    let Some(wire) = wire else { return Ok(None) };
    Ok(Some(match wire.kind.as_str() {
        "text" => ResponseFormat::Text,
        "json_object" => ResponseFormat::JsonObject,
        "json_schema" => {
            let schema = wire.json_schema.unwrap_or_default();
            ResponseFormat::JsonSchema {
                name: schema.name,
                schema: schema.schema.ok_or_else(|| {
                    let text = "\"response_format.json_schema.schema\" is missing: put the JSON schema there";
                    RequestError::field("response_format", text)
                })?,
                strict: schema.strict,
            }
        }
        other => {
            let text = format!(
                "\"response_format.type\" is \"{other}\": use text, json_object or json_schema"
            );
            return Err(RequestError::field("response_format", text));
        }
    }))
}

/// Canonical to wire.
pub fn encode(request: &ChatRequest, dropped: &mut Dropped) -> Result<Vec<u8>, RequestError> {
    let mut messages = Vec::with_capacity(request.messages.len() + 1);
    encode_system(&request.system, &mut messages, dropped);
    for message in &request.messages {
        match message.role {
            Role::System => encode_system(&message.parts, &mut messages, dropped),
            Role::User => encode_user(&message.parts, &mut messages, dropped)?,
            Role::Assistant => {
                let assistant = encode_assistant(&message.parts, false, dropped);
                if assistant.content.is_some()
                    || assistant.refusal.is_some()
                    || assistant.tool_calls.is_some()
                {
                    messages.push(assistant);
                }
            }
        }
    }
    let wire = WireRequest { messages, ..encode_parameters(request, dropped) };
    serde_json::to_vec(&wire).map_err(|error| RequestError::syntax(&error))
}

fn encode_system(parts: &[Part], messages: &mut Vec<WireMessage>, dropped: &mut Dropped) {
    if parts.iter().any(|part| part.cache.is_some()) {
        dropped.add("cache_control");
    }
    let texts: Vec<&str> = parts
        .iter()
        .filter_map(|part| match &part.content {
            Content::Text(text) if !text.is_empty() => Some(text.as_str()),
            _ => None,
        })
        .collect();
    if !texts.is_empty() {
        messages.push(WireMessage {
            role: Some("system".to_owned()),
            content: Some(OneOrMany::One(texts.join("\n\n"))),
            ..WireMessage::default()
        });
    }
}

/// Results become messages of role tool, which must directly follow the calls; what else the user
/// says comes after them, and so do images that a tool gave.
fn encode_user(
    parts: &[Part],
    messages: &mut Vec<WireMessage>,
    dropped: &mut Dropped,
) -> Result<(), RequestError> {
    let (mut said, mut shown) = (Vec::new(), Vec::new());
    for part in parts {
        let Content::ToolResult { call_id, parts, is_error } = &part.content else {
            said.push(part.clone());
            continue;
        };
        if *is_error {
            dropped.add("tool_result.is_error");
        }
        if part.cache.is_some() {
            dropped.add("cache_control");
        }
        let (texts, others): (Vec<Part>, Vec<Part>) =
            parts.iter().cloned().partition(|part| matches!(part.content, Content::Text(_)));
        shown.extend(others);
        messages.push(WireMessage {
            role: Some("tool".to_owned()),
            tool_call_id: Some(encode_id(call_id)),
            content: Some(encode_content(&texts, dropped)?),
            ..WireMessage::default()
        });
    }
    shown.extend(said);
    if !shown.is_empty() {
        messages.push(WireMessage {
            role: Some("user".to_owned()),
            content: Some(encode_content(&shown, dropped)?),
            ..WireMessage::default()
        });
    }
    Ok(())
}

fn encode_parameters<'a>(request: &'a ChatRequest, dropped: &mut Dropped) -> WireRequest<'a> {
    if request.top_k.is_some() {
        dropped.add("top_k");
    }
    if request.stop.len() > MAX_STOP {
        dropped.add("stop_sequences");
    }
    if request.tools.iter().any(|tool| tool.cache.is_some()) {
        dropped.add("cache_control");
    }
    let with_tools = !request.tools.is_empty();
    let reasons = is_reasoning_model(&request.model);
    WireRequest {
        model: &request.model,
        tools: request.tools.iter().map(encode_tool).collect(),
        tool_choice: request.tool_choice.as_ref().filter(|_| with_tools).map(encode_choice),
        parallel_tool_calls: request.parallel_tool_calls.filter(|_| with_tools),
        max_tokens: request.max_tokens.filter(|_| !reasons),
        max_completion_tokens: request.max_tokens.filter(|_| reasons),
        temperature: request.temperature,
        top_p: request.top_p,
        stop: request.stop.iter().take(MAX_STOP).map(String::as_str).collect(),
        user: request.user.as_deref(),
        response_format: request.response_format.as_ref().map(encode_format),
        stream: request.stream.then_some(true),
        stream_options: request.stream.then(|| json!({"include_usage": true})),
        messages: Vec::new(),
    }
}

/// OpenAI's reasoning models refuse `max_tokens`; other servers may not know its successor.
fn is_reasoning_model(model: &str) -> bool {
    let name = model.rsplit('/').next().unwrap_or(model);
    let number = |rest: &str| rest.chars().next().and_then(|c| c.to_digit(10));
    let new_gpt = name.strip_prefix("gpt-").and_then(number).is_some_and(|major| major >= 5);
    new_gpt || name.strip_prefix('o').and_then(number).is_some()
}

fn encode_tool(tool: &Tool) -> WireTool {
    WireTool {
        kind: "function".to_owned(),
        function: Some(WireToolFunction {
            name: tool.name.clone(),
            description: tool.description.clone(),
            parameters: tool.parameters.clone(),
            strict: tool.strict,
        }),
        cache_control: None,
    }
}

fn encode_choice(choice: &ToolChoice) -> serde_json::Value {
    match choice {
        ToolChoice::Auto => json!("auto"),
        ToolChoice::None => json!("none"),
        ToolChoice::Required => json!("required"),
        ToolChoice::Named(name) => json!({"type": "function", "function": {"name": name}}),
    }
}

fn encode_format(format: &ResponseFormat) -> WireFormat {
    let (kind, json_schema) = match format {
        ResponseFormat::Text => ("text", None),
        ResponseFormat::JsonObject => ("json_object", None),
        ResponseFormat::JsonSchema { name, schema, strict } => {
            let name = name.clone().unwrap_or_else(|| "response".to_owned());
            let schema = Some(schema.clone());
            ("json_schema", Some(WireSchema { name: Some(name), schema, strict: *strict }))
        }
    };
    WireFormat { kind: kind.to_owned(), json_schema }
}
