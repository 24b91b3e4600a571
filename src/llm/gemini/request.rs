//! Requests of `generateContent`: wire to canonical form and back.

use serde_json::value::RawValue;

use super::config;
use super::contents::{Writer, encode_system};
use super::part::{Ids, decode_contents, decode_parts};
use super::schema::{from_openapi, takes_nothing, to_gemini};
use super::wire::{
    WireCalling, WireContent, WireFunction, WirePart, WireRequest, WireToolConfig, WireTools,
};
use crate::llm::chat::{ChatRequest, Role, Tool, ToolChoice};
use crate::llm::codec::{Dropped, is_empty, is_neutral, member};
use crate::llm::error::RequestError;
use crate::llm::members::{Member, Members};

/// Wire to canonical. The model and the wish for a stream stand in the path.
pub fn decode(body: &[u8], dropped: &mut Dropped) -> Result<ChatRequest, RequestError> {
    let Members(members) = Members::parse(body)?;
    let (mut request, mut calling, mut has_contents) = (ChatRequest::default(), None, false);
    for Member { name, value } in members {
        has_contents |= name == "contents" && !is_empty(value);
        match &*name {
            "toolConfig" | "tool_config" => calling = decode_tool_config(&name, value, dropped)?,
            _ => decode_member(&name, value, &mut request, dropped)?,
        }
    }
    if !has_contents {
        let message = "\"contents\" is missing or empty: give at least one content with a part";
        return Err(RequestError::field("contents", message));
    }
    if let Some(calling) = calling {
        apply_calling(calling, &mut request, dropped);
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
        "contents" => {
            let wire: Vec<WireContent> = member(name, value)?.unwrap_or_default();
            request.messages = decode_contents(wire, dropped)?;
        }
        "systemInstruction" | "system_instruction" => {
            let wire: WireContent = member(name, value)?.unwrap_or_default();
            let parts = wire.parts.unwrap_or_default();
            request.system = decode_parts(parts, Role::System, &mut Ids::new("s"), dropped)?;
        }
        "tools" => request.tools = decode_tools(name, value, dropped)?,
        "generationConfig" | "generation_config" => config::decode(value, request, dropped)?,
        "cachedContent" | "cached_content" if !is_neutral(name, value) => {
            let text = "\"cachedContent\" names content that Google holds and this model's provider cannot read: send the content itself";
            return Err(RequestError::field("cachedContent", text));
        }
        _ if is_neutral(name, value) => {}
        _ => dropped.add(name),
    }
    Ok(())
}

fn decode_tools(
    name: &str,
    value: &RawValue,
    dropped: &mut Dropped,
) -> Result<Vec<Tool>, RequestError> {
    let entries: Vec<&RawValue> = member_list(name, value)?;
    let mut tools = Vec::new();
    for entry in entries {
        let Members(kinds) = serde_json::from_str(entry.get())
            .map_err(|_| RequestError::field("tools", "\"tools\" must be a list of objects"))?;
        for Member { name: kind, value } in kinds {
            if matches!(&*kind, "functionDeclarations" | "function_declarations") {
                let wire: Vec<WireFunction> = member(name, value)?.unwrap_or_default();
                tools.extend(wire.into_iter().map(|tool| decode_tool(tool, dropped)));
            } else {
                // A tool that Google runs; an empty object switches it on.
                dropped.add(format!("tools.{kind}"));
            }
        }
    }
    Ok(tools)
}

/// Borrowed values cannot be read by way of an owner.
fn member_list<'a>(name: &str, value: &'a RawValue) -> Result<Vec<&'a RawValue>, RequestError> {
    let list: Option<Vec<&RawValue>> = serde_json::from_str(value.get()).map_err(|_| {
        RequestError::field(name.to_owned(), format!("\"{name}\" must be a list of objects"))
    })?;
    Ok(list.unwrap_or_default())
}

fn decode_tool(wire: WireFunction, dropped: &mut Dropped) -> Tool {
    let waits = |word: &str| matches!(word, "" | "UNSPECIFIED" | "BLOCKING");
    for (name, is_given) in [
        ("behavior", wire.behavior.is_some_and(|word| !waits(&word))),
        ("response", wire.response.is_some()),
        ("responseJsonSchema", wire.response_json_schema.is_some()),
    ] {
        if is_given {
            dropped.add(format!("tools.functionDeclarations.{name}"));
        }
    }
    let parameters =
        wire.parameters_json_schema.or_else(|| wire.parameters.as_ref().map(from_openapi));
    Tool { name: wire.name, description: wire.description, parameters, strict: None, cache: None }
}

fn decode_tool_config(
    name: &str,
    value: &RawValue,
    dropped: &mut Dropped,
) -> Result<Option<WireCalling>, RequestError> {
    let wire: WireToolConfig = member(name, value)?.unwrap_or_default();
    if wire.retrieval_config.is_some() {
        dropped.add("toolConfig.retrievalConfig");
    }
    Ok(wire.function_calling_config)
}

/// Other dialects cannot allow some of the tools only: they are given no more than those.
fn apply_calling(calling: WireCalling, request: &mut ChatRequest, dropped: &mut Dropped) {
    let allowed = calling.allowed_function_names.unwrap_or_default();
    // One name alone is a choice that every dialect knows.
    if allowed.len() > 1 || (allowed.len() == 1 && !calling.mode.eq_ignore_ascii_case("ANY")) {
        request.tools.retain(|tool| allowed.contains(&tool.name));
    }
    request.tool_choice = match (calling.mode.to_uppercase().as_str(), allowed.as_slice()) {
        ("" | "MODE_UNSPECIFIED", _) => None,
        ("AUTO", _) => Some(ToolChoice::Auto),
        ("VALIDATED", _) => {
            request.tools.iter_mut().for_each(|tool| tool.strict = Some(true));
            Some(ToolChoice::Auto)
        }
        ("NONE", _) => Some(ToolChoice::None),
        ("ANY", [only]) => Some(ToolChoice::Named(only.clone())),
        ("ANY", _) => Some(ToolChoice::Required),
        _ => {
            dropped.add("toolConfig.functionCallingConfig.mode");
            None
        }
    };
}

/// Canonical to wire.
pub fn encode(request: &ChatRequest, dropped: &mut Dropped) -> Result<Vec<u8>, RequestError> {
    if request.user.is_some() {
        dropped.add("user");
    }
    if request.parallel_tool_calls == Some(false) {
        dropped.add("parallel_tool_calls");
    }
    let later = request.messages.iter().filter(|message| message.role == Role::System);
    let system = request.system.iter().chain(later.flat_map(|message| &message.parts));
    let mut system = encode_system(system, dropped);
    system.extend(config::instruction(request).map(WirePart::text));
    let mut contents = Writer::new(&request.model).write(request, dropped)?;
    if contents.is_empty() && !system.is_empty() {
        let parts = Some(std::mem::take(&mut system));
        contents.push(WireContent { role: Some("user".to_owned()), parts });
    }
    let wire = WireRequest {
        system_instruction: (!system.is_empty())
            .then_some(WireContent { role: None, parts: Some(system) }),
        contents,
        tools: encode_tools(&request.tools, dropped),
        tool_config: encode_choice(request, dropped),
        generation_config: config::encode(request, dropped),
    };
    serde_json::to_vec(&wire).map_err(|error| RequestError::syntax(&error))
}

fn encode_tools(tools: &[Tool], dropped: &mut Dropped) -> Vec<WireTools> {
    if tools.iter().any(|tool| tool.cache.is_some()) {
        dropped.add("cache_control");
    }
    let function_declarations: Vec<WireFunction> = tools.iter().map(encode_tool).collect();
    if function_declarations.is_empty() {
        return Vec::new();
    }
    vec![WireTools { function_declarations }]
}

fn encode_tool(tool: &Tool) -> WireFunction {
    let schema = tool.parameters.as_ref().filter(|schema| !takes_nothing(schema));
    WireFunction {
        name: tool.name.clone(),
        description: tool.description.clone(),
        parameters: None,
        parameters_json_schema: schema.map(to_gemini),
        ..WireFunction::default()
    }
}

fn encode_choice(request: &ChatRequest, dropped: &mut Dropped) -> Option<WireToolConfig> {
    if request.tools.is_empty() {
        if matches!(request.tool_choice, Some(ToolChoice::Required | ToolChoice::Named(_))) {
            dropped.add("tool_choice");
        }
        return None;
    }
    let strict = request.tools.iter().any(|tool| tool.strict == Some(true));
    let (mode, named) = match request.tool_choice.as_ref() {
        // Calls follow their schemas exactly, and text may come instead.
        None | Some(ToolChoice::Auto) if strict => ("VALIDATED", None),
        None => return None,
        Some(ToolChoice::Auto) => ("AUTO", None),
        Some(ToolChoice::None) => ("NONE", None),
        Some(ToolChoice::Required) => ("ANY", None),
        Some(ToolChoice::Named(name)) => ("ANY", Some(vec![name.clone()])),
    };
    let calling = WireCalling { mode: mode.to_owned(), allowed_function_names: named };
    Some(WireToolConfig { function_calling_config: Some(calling), retrieval_config: None })
}
