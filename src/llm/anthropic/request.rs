//! Requests of Messages: wire to canonical form and back.

use serde_json::value::RawValue;

use super::block::{decode_content, encode_part};
use super::parameters::{self, decode_effort, decode_thinking};
use super::version::Version;
use super::wire::{
    WireBlock, WireChoice, WireFormat, WireMessage, WireMetadata, WireOutput, WireRequest, WireTool,
};
use crate::llm::chat::{
    ChatRequest, Content, Json, Message, Part, ResponseFormat, Role, Tool, ToolChoice,
};
use crate::llm::codec::{Dropped, is_neutral, member};
use crate::llm::error::RequestError;
use crate::llm::json_schema::{closed, object_schema};
use crate::llm::members::{Member, Members};
use crate::llm::one_or_many::OneOrMany;
use crate::llm::structured;

/// How `json_object` is asked for where no parameter does.
const JSON_INSTRUCTION: &str = "Answer with one JSON object and nothing else.";
/// Stands in for the user, who must speak first.
const FILLER: &str = ".";

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
        "model" => {}
        "messages" => {
            let wire: Vec<WireMessage> = member(name, value)?.unwrap_or_default();
            for (at, message) in wire.into_iter().enumerate() {
                request.messages.push(decode_message(at, message, dropped)?);
            }
        }
        "system" => {
            if let Some(system) = member(name, value)? {
                request.system = decode_content(system, dropped)?;
            }
        }
        "tools" => request.tools = decode_tools(member(name, value)?.unwrap_or_default(), dropped),
        "tool_choice" => decode_choice(member(name, value)?.unwrap_or_default(), request, dropped),
        "max_tokens" => request.max_tokens = member(name, value)?,
        "temperature" => request.temperature = member(name, value)?,
        "top_p" => request.top_p = member(name, value)?,
        "top_k" => request.top_k = member(name, value)?,
        "stop_sequences" => request.stop = member(name, value)?.unwrap_or_default(),
        "stream" => request.stream = member(name, value)?.unwrap_or(false),
        "metadata" => {
            request.user = member::<WireMetadata>(name, value)?.and_then(|meta| meta.user_id);
        }
        "output_config" => {
            decode_output(member(name, value)?.unwrap_or_default(), request, dropped);
        }
        "thinking" => {
            if let Some(thinking) = member(name, value)? {
                decode_thinking(thinking, request, dropped);
            }
        }
        "service_tier" if value.get() == "\"auto\"" => {}
        _ if is_neutral(name, value) => {}
        _ => dropped.add(name),
    }
    Ok(())
}

fn decode_message(
    at: usize,
    wire: WireMessage,
    dropped: &mut Dropped,
) -> Result<Message, RequestError> {
    let role = match wire.role.as_str() {
        "user" => Role::User,
        "assistant" => Role::Assistant,
        "system" => Role::System,
        other => {
            let text = format!("messages[{at}].role is \"{other}\": use user or assistant");
            return Err(RequestError::field("messages", text));
        }
    };
    Ok(Message { role, parts: decode_content(wire.content, dropped)? })
}

fn decode_tools(wire: Vec<WireTool>, dropped: &mut Dropped) -> Vec<Tool> {
    let mut tools = Vec::with_capacity(wire.len());
    for tool in wire {
        if let Some(kind) = tool.kind.filter(|kind| kind != "custom") {
            dropped.add(format!("tools.{kind}"));
            continue;
        }
        let has_examples = |examples: &Json| !matches!(examples.text(), "null" | "[]");
        for (name, is_given) in [
            ("tools.input_examples", tool.input_examples.as_ref().is_some_and(has_examples)),
            ("tools.defer_loading", tool.defer_loading == Some(true)),
            ("tools.allowed_callers", tool.allowed_callers.is_some_and(|by| by != ["direct"])),
        ] {
            if is_given {
                dropped.add(name);
            }
        }
        tools.push(Tool {
            name: tool.name,
            description: tool.description,
            parameters: tool.input_schema,
            strict: tool.strict,
            cache: tool.cache_control,
        });
    }
    tools
}

fn decode_choice(wire: WireChoice, request: &mut ChatRequest, dropped: &mut Dropped) {
    request.tool_choice = match (wire.kind.as_str(), wire.name) {
        ("auto", _) => Some(ToolChoice::Auto),
        ("none", _) => Some(ToolChoice::None),
        ("any", _) => Some(ToolChoice::Required),
        ("tool", Some(name)) => Some(ToolChoice::Named(name)),
        _ => {
            dropped.add("tool_choice");
            None
        }
    };
    request.parallel_tool_calls = wire.disable_parallel_tool_use.map(|disabled| !disabled);
}

fn decode_output(wire: WireOutput, request: &mut ChatRequest, dropped: &mut Dropped) {
    if let Some(effort) = wire.effort {
        decode_effort(&effort, request, dropped);
    }
    if let Some(schema) = wire.format.and_then(|format| format.schema) {
        let (name, strict) = (None, None);
        request.response_format = Some(ResponseFormat::JsonSchema { name, schema, strict });
    }
}

/// Canonical to wire.
pub fn encode(request: &ChatRequest, dropped: &mut Dropped) -> Result<Vec<u8>, RequestError> {
    let takes_schemas = Version::of(&request.model).is_none_or(Version::takes_schemas);
    let answered_by_tool = (!takes_schemas).then(|| without_schemas(request, dropped)).flatten();
    let request = answered_by_tool.as_ref().unwrap_or(request);
    let mut system: Vec<&Part> = request.system.iter().collect();
    let mut messages: Vec<(Role, Vec<WireBlock>)> = Vec::with_capacity(request.messages.len());
    for message in &request.messages {
        if message.role == Role::System {
            // Only the newest models take it in the conversation; up here all do.
            system.extend(&message.parts);
        } else {
            encode_message(message, &mut messages, dropped)?;
        }
    }
    let mut system = encode_system(&system, request, dropped)?;
    if messages.is_empty() && !system.is_empty() {
        messages.push((Role::User, std::mem::take(&mut system)));
    }
    finish_messages(&mut messages);
    let (tools, tool_choice) = encode_tools(request, dropped);
    let parameters = parameters::encode(request, dropped);
    let wire = WireRequest {
        model: &request.model,
        max_tokens: request.max_tokens.unwrap_or_default(),
        system: compact(system),
        messages: messages.into_iter().map(wire_message).collect(),
        tools,
        tool_choice,
        temperature: parameters.temperature,
        top_p: parameters.top_p,
        top_k: parameters.top_k,
        thinking: parameters.thinking,
        stop_sequences: encode_stop(&request.stop, dropped),
        metadata: request.user.clone().map(|user| WireMetadata { user_id: Some(user) }),
        output_config: encode_output(request.response_format.as_ref(), parameters.effort),
        stream: request.stream.then_some(true),
    };
    serde_json::to_vec(&wire).map_err(|error| RequestError::syntax(&error))
}

/// The request for a model that takes no schemas: a forced tool stands in for that of the answer.
/// `None`: it has none.
fn without_schemas(request: &ChatRequest, dropped: &mut Dropped) -> Option<ChatRequest> {
    let strict = request.tools.iter().any(|tool| tool.strict == Some(true));
    if strict {
        dropped.add("tools.strict");
    }
    let schema = structured::schema(request);
    if !strict && schema.is_none() {
        return None;
    }
    let mut changed = request.clone();
    changed.tools.iter_mut().for_each(|tool| tool.strict = None);
    if let Some(schema) = schema {
        let choice = structured::choice(request);
        // One answer is wanted, not several at once.
        let only = choice == ToolChoice::Named(structured::ANSWER_TOOL.to_owned());
        changed.parallel_tool_calls = if only { Some(false) } else { request.parallel_tool_calls };
        changed.tool_choice = Some(choice);
        changed.response_format = None;
        changed.tools.push(Tool {
            name: structured::ANSWER_TOOL.to_owned(),
            description: Some(structured::DESCRIPTION.to_owned()),
            parameters: Some(schema.clone()),
            strict: None,
            cache: None,
        });
    }
    Some(changed)
}

/// Neighbours of one role are one turn, since rules about tool results hold for the turn.
fn encode_message(
    message: &Message,
    messages: &mut Vec<(Role, Vec<WireBlock>)>,
    dropped: &mut Dropped,
) -> Result<(), RequestError> {
    let mut blocks = Vec::with_capacity(message.parts.len());
    for part in &message.parts {
        blocks.extend(encode_part(part, dropped)?);
    }
    match messages.last_mut() {
        Some((role, turn)) if *role == message.role => turn.append(&mut blocks),
        _ if blocks.is_empty() => {}
        _ => messages.push((message.role, blocks)),
    }
    Ok(())
}

fn finish_messages(messages: &mut Vec<(Role, Vec<WireBlock>)>) {
    if messages.first().is_some_and(|(role, _)| *role == Role::Assistant) {
        messages.insert(0, (Role::User, vec![WireBlock::text(FILLER)]));
    }
    for (role, turn) in messages.iter_mut() {
        if *role == Role::User {
            // Results must come first in their turn; the sort is stable.
            turn.sort_by_key(|block| block.kind != "tool_result");
        }
    }
    if let Some((Role::Assistant, turn)) = messages.last_mut()
        && let Some(text) = turn.last_mut().and_then(|block| block.text.as_mut())
    {
        text.truncate(text.trim_end().len());
        if text.is_empty() {
            turn.pop();
        }
    }
}

fn encode_system(
    parts: &[&Part],
    request: &ChatRequest,
    dropped: &mut Dropped,
) -> Result<Vec<WireBlock>, RequestError> {
    let mut blocks = Vec::with_capacity(parts.len() + 1);
    for part in parts {
        blocks.extend(encode_part(part, dropped)?);
    }
    if request.response_format == Some(ResponseFormat::JsonObject) {
        blocks.push(WireBlock::text(JSON_INSTRUCTION));
    }
    Ok(blocks)
}

/// A list of blocks, or a text where one plain text is all there is.
fn compact(mut blocks: Vec<WireBlock>) -> Option<OneOrMany<WireBlock>> {
    match blocks.as_mut_slice() {
        [] => None,
        [only] if only.kind == "text" && only.cache_control.is_none() => {
            only.text.take().map(OneOrMany::One)
        }
        _ => Some(OneOrMany::Many(blocks)),
    }
}

fn wire_message((role, blocks): (Role, Vec<WireBlock>)) -> WireMessage {
    let role = if role == Role::Assistant { "assistant" } else { "user" };
    let content = compact(blocks).unwrap_or_else(|| OneOrMany::Many(Vec::new()));
    WireMessage { role: role.to_owned(), content }
}

fn encode_tools(
    request: &ChatRequest,
    dropped: &mut Dropped,
) -> (Vec<WireTool>, Option<WireChoice>) {
    if request.tools.is_empty() {
        if request.tool_choice.is_some() {
            dropped.add("tool_choice");
        }
        return stub_tools(request);
    }
    let mut choice = request.tool_choice.as_ref().map(encode_choice);
    if request.parallel_tool_calls == Some(false) && request.tool_choice != Some(ToolChoice::None) {
        let choice = choice.get_or_insert_with(|| encode_choice(&ToolChoice::Auto));
        choice.disable_parallel_tool_use = Some(true);
    }
    (request.tools.iter().map(encode_tool).collect(), choice)
}

/// A history with tool calls needs tools even where no more may be called.
fn stub_tools(request: &ChatRequest) -> (Vec<WireTool>, Option<WireChoice>) {
    let mut names: Vec<&str> = Vec::new();
    for part in request.messages.iter().flat_map(|message| &message.parts) {
        if let Content::ToolCall { name, .. } = &part.content
            && !names.contains(&name.as_str())
        {
            names.push(name);
        }
    }
    let stub = |name: &&str| WireTool {
        name: (*name).to_owned(),
        input_schema: Some(object_schema(None)),
        ..WireTool::default()
    };
    let choice = (!names.is_empty()).then(|| encode_choice(&ToolChoice::None));
    (names.iter().map(stub).collect(), choice)
}

fn encode_tool(tool: &Tool) -> WireTool {
    WireTool {
        kind: None,
        name: tool.name.clone(),
        description: tool.description.clone(),
        input_schema: Some(object_schema(tool.parameters.as_ref())),
        strict: tool.strict,
        cache_control: tool.cache.clone(),
        ..WireTool::default()
    }
}

fn encode_choice(choice: &ToolChoice) -> WireChoice {
    let (kind, name) = match choice {
        ToolChoice::Auto => ("auto", None),
        ToolChoice::None => ("none", None),
        ToolChoice::Required => ("any", None),
        ToolChoice::Named(name) => ("tool", Some(name.clone())),
    };
    WireChoice { kind: kind.to_owned(), name, disable_parallel_tool_use: None }
}

/// Sequences of white space alone are refused.
fn encode_stop<'a>(stop: &'a [String], dropped: &mut Dropped) -> Vec<&'a str> {
    let kept: Vec<&str> =
        stop.iter().map(String::as_str).filter(|text| !text.trim().is_empty()).collect();
    if kept.len() < stop.len() {
        dropped.add("stop");
    }
    kept
}

fn encode_output(format: Option<&ResponseFormat>, effort: Option<&str>) -> Option<WireOutput> {
    let format = match format {
        Some(ResponseFormat::JsonSchema { schema, .. }) => {
            Some(WireFormat { kind: "json_schema".to_owned(), schema: Some(closed(schema)) })
        }
        _ => None,
    };
    let effort = effort.map(str::to_owned);
    (format.is_some() || effort.is_some()).then_some(WireOutput { format, effort })
}
