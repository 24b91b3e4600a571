//! Requests of chat completions: wire to canonical form and back.

use serde_json::value::RawValue;

use super::parameters::{encode_parameters, takes_breakpoints};
use super::part::{
    Reader, decode_assistant, decode_content, encode_assistant, encode_content, encode_id,
};
use super::wire::{WireFormat, WireMessage, WireRequest, WireTool};
use crate::llm::chat::{
    ChatRequest, Content, Effort, Message, Part, Reasoning, ResponseFormat, Role, Tool, ToolChoice,
};
use crate::llm::codec::{Dropped, is_neutral, member};
use crate::llm::error::RequestError;
use crate::llm::json_schema::described;
use crate::llm::members::{Member, Members};
use crate::llm::one_or_many::OneOrMany;

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
        "n" => request.choices = member(name, value)?.filter(|n| *n > 1),
        "seed" => request.seed = member(name, value)?,
        "frequency_penalty" => request.frequency_penalty = member(name, value)?.filter(not_zero),
        "presence_penalty" => request.presence_penalty = member(name, value)?.filter(not_zero),
        "logprobs" if value.get() == "true" => _ = request.logprobs.get_or_insert(0),
        "top_logprobs" => {
            let top = member::<u32>(name, value)?.filter(|top| *top > 0);
            request.logprobs = top.or(request.logprobs);
        }
        "reasoning_effort" => match member::<String>(name, value)?.as_deref().map(Effort::parse) {
            Some(Some(effort)) => {
                request.reasoning =
                    Some(Reasoning { effort: Some(effort), ..Reasoning::default() });
            }
            Some(None) => dropped.add(name),
            None => {}
        },
        "user" => request.user = member(name, value)?.or(request.user.take()),
        "safety_identifier" => request.user = request.user.take().or(member(name, value)?),
        "response_format" => request.response_format = decode_format(member(name, value)?)?,
        "service_tier" if value.get() == "\"auto\"" => {}
        _ if is_neutral(name, value) => {}
        _ => dropped.add(name),
    }
    Ok(())
}

/// A penalty of 0 is none.
fn not_zero(penalty: &f64) -> bool {
    *penalty != 0.0
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
            let text = schema.schema.ok_or_else(|| {
                let text =
                    "\"response_format.json_schema.schema\" is missing: put the JSON schema there";
                RequestError::field("response_format", text)
            })?;
            ResponseFormat::JsonSchema {
                name: schema.name,
                schema: described(text, schema.description),
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
    let reader = Reader::of_model(&request.model);
    let takes_marks = takes_breakpoints(&request.model);
    encode_system(&request.system, takes_marks, &mut messages, dropped)?;
    for message in &request.messages {
        match message.role {
            Role::System => {
                encode_system(&message.parts, takes_marks, &mut messages, dropped)?;
            }
            Role::User => encode_user(&message.parts, takes_marks, &mut messages, dropped)?,
            Role::Assistant => {
                let assistant = encode_assistant(&message.parts, reader, dropped);
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

fn encode_system(
    parts: &[Part],
    takes_marks: bool,
    messages: &mut Vec<WireMessage>,
    dropped: &mut Dropped,
) -> Result<(), RequestError> {
    let is_text = |part: &&Part| matches!(&part.content, Content::Text(text) if !text.is_empty());
    let texts: Vec<Part> = parts.iter().filter(is_text).cloned().collect();
    if texts.is_empty() {
        return Ok(());
    }
    let content = match takes_marks && texts.iter().any(|part| part.cache.is_some()) {
        true => encode_content(&texts, takes_marks, dropped)?,
        false => OneOrMany::One(joined(&texts, dropped)),
    };
    messages.push(WireMessage {
        role: Some("system".to_owned()),
        content: Some(content),
        ..WireMessage::default()
    });
    Ok(())
}

/// Texts as one, which holds no marks.
fn joined(parts: &[Part], dropped: &mut Dropped) -> String {
    if parts.iter().any(|part| part.cache.is_some()) {
        dropped.add("cache_control");
    }
    let text = |part: &Part| match &part.content {
        Content::Text(text) => Some(text.clone()),
        _ => None,
    };
    parts.iter().filter_map(text).collect::<Vec<String>>().join("\n\n")
}

fn encode_user(
    parts: &[Part],
    takes_marks: bool,
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
            content: Some(encode_content(&texts, takes_marks, dropped)?),
            ..WireMessage::default()
        });
    }
    shown.extend(said);
    if !shown.is_empty() {
        messages.push(WireMessage {
            role: Some("user".to_owned()),
            content: Some(encode_content(&shown, takes_marks, dropped)?),
            ..WireMessage::default()
        });
    }
    Ok(())
}
