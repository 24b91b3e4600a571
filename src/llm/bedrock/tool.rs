//! Tools of Converse: which are offered, which must be called, and the tool that stands in for a JSON
//! schema where a model has no structured output.

use serde_json::{Value, json};

use super::block::{Writer, tool_name};
use super::wire::{
    Empty, WireChoice, WireNamed, WireSchema, WireTool, WireToolConfig, WireToolSpec,
};
use crate::llm::chat::{ChatRequest, Content, Json, Tool, ToolChoice};
use crate::llm::error::RequestError;
use crate::llm::json_schema::{closed, object_schema};
use crate::llm::structured;

/// The tools of a request.
#[derive(Debug, Default)]
pub struct Tools {
    /// `toolConfig`.
    pub config: Option<WireToolConfig>,
    /// Claude's own `tool_choice`, for what Converse cannot say. Both at once are refused.
    pub native_choice: Option<Value>,
    /// A tool must be called.
    pub forced: bool,
    /// The model has to be told in words to call [`ANSWER_TOOL`](structured::ANSWER_TOOL).
    pub ask_for_answer: bool,
}

/// The tools of a request.
pub fn encode(request: &ChatRequest, writer: &mut Writer<'_>) -> Result<Tools, RequestError> {
    let answer = structured::schema(request).filter(|_| !writer.model.takes_output_format());
    let called = called_names(request);
    let none = request.tool_choice == Some(ToolChoice::None);
    if (request.tools.is_empty() || (none && called.is_empty())) && answer.is_none() {
        return Ok(stubs(request, &called, writer));
    }
    let mut tools = Vec::with_capacity(request.tools.len() + 1);
    for tool in request.tools.iter().filter(|_| !none || !called.is_empty()) {
        encode_tool(tool, writer, &mut tools)?;
    }
    let mut built = Tools::default();
    let choice = match answer {
        None => request.tool_choice.clone(),
        Some(schema) => {
            tools.push(answer_tool(schema));
            built.ask_for_answer = !writer.model.takes_forced_tool();
            Some(structured::choice(request))
        }
    };
    let choice = choose(choice, request, &mut built, writer);
    built.config = Some(WireToolConfig { tools, tool_choice: choice });
    Ok(built)
}

/// The tools that a history names: it is refused without them, even where no more may be called.
fn called_names(request: &ChatRequest) -> Vec<&str> {
    let mut names: Vec<&str> = Vec::new();
    for part in request.messages.iter().flat_map(|message| &message.parts) {
        if let Content::ToolCall { name, .. } = &part.content
            && !names.contains(&name.as_str())
        {
            names.push(name);
        }
    }
    names
}

fn stubs(request: &ChatRequest, called: &[&str], writer: &mut Writer<'_>) -> Tools {
    let wanted = !matches!(request.tool_choice, None | Some(ToolChoice::Auto | ToolChoice::None));
    if wanted {
        writer.dropped.add("tool_choice");
    }
    if called.is_empty() {
        return Tools::default();
    }
    let stub = |name: &&str| spec((*name).to_owned(), None, object_schema(None), None);
    let tools = called.iter().map(stub).collect();
    let native_choice = writer.model.is_claude().then(|| json!({"type": "none"}));
    let config = Some(WireToolConfig { tools, tool_choice: None });
    Tools { config, native_choice, ..Tools::default() }
}

fn spec(name: String, description: Option<String>, json: Json, strict: Option<bool>) -> WireTool {
    let input_schema = WireSchema { json };
    let tool_spec = Some(WireToolSpec { name, description, input_schema, strict });
    WireTool { tool_spec, cache_point: None }
}

fn encode_tool(
    tool: &Tool,
    writer: &mut Writer<'_>,
    out: &mut Vec<WireTool>,
) -> Result<(), RequestError> {
    let name = tool_name(&tool.name)?.to_owned();
    let description = tool.description.clone().filter(|text| !text.trim().is_empty());
    let strict = tool.strict.filter(|_| writer.model.takes_output_format());
    if tool.strict == Some(true) && strict.is_none() {
        writer.dropped.add("tools.strict");
    }
    let schema = object_schema(tool.parameters.as_ref());
    let schema = if strict == Some(true) { closed(&schema) } else { schema };
    out.push(spec(name, description, schema, strict));
    if let Some(mark) = &tool.cache {
        if writer.model.takes_all_cache_points() {
            let cache_point = Some(writer.point(mark));
            out.push(WireTool { tool_spec: None, cache_point });
        } else {
            writer.dropped.add("cache_control");
        }
    }
    Ok(())
}

fn answer_tool(schema: &Json) -> WireTool {
    let (name, description) = (structured::ANSWER_TOOL, structured::DESCRIPTION);
    spec(name.to_owned(), Some(description.to_owned()), object_schema(Some(schema)), None)
}

fn choose(
    choice: Option<ToolChoice>,
    request: &ChatRequest,
    built: &mut Tools,
    writer: &mut Writer<'_>,
) -> Option<WireChoice> {
    let model = writer.model;
    let choice = match choice {
        Some(ToolChoice::None) if model.is_claude() => {
            built.native_choice = Some(json!({"type": "none"}));
            return None;
        }
        Some(ToolChoice::None) => {
            // The history needs its tools, and nothing says that none may be called.
            writer.dropped.add("tool_choice");
            return None;
        }
        Some(ToolChoice::Required | ToolChoice::Named(_)) if !model.takes_forced_tool() => {
            if !built.ask_for_answer {
                writer.dropped.add("tool_choice");
            }
            None
        }
        other => other,
    };
    built.forced = matches!(choice, Some(ToolChoice::Required | ToolChoice::Named(_)));
    if request.parallel_tool_calls == Some(false) {
        if model.is_claude() {
            built.native_choice = Some(native(choice.as_ref()));
            return None;
        }
        writer.dropped.add("parallel_tool_calls");
    }
    let choice = choice.filter(|choice| model.takes_forced_tool() || *choice != ToolChoice::Auto);
    choice.map(|choice| match choice {
        ToolChoice::Named(name) => {
            WireChoice { tool: Some(WireNamed { name }), ..WireChoice::default() }
        }
        ToolChoice::Required => WireChoice { any: Some(Empty {}), ..WireChoice::default() },
        ToolChoice::Auto | ToolChoice::None => {
            WireChoice { auto: Some(Empty {}), ..WireChoice::default() }
        }
    })
}

/// One call at a time, in Claude's own words.
fn native(choice: Option<&ToolChoice>) -> Value {
    match choice {
        Some(ToolChoice::Named(name)) => {
            json!({"type": "tool", "name": name, "disable_parallel_tool_use": true})
        }
        Some(ToolChoice::Required) => json!({"type": "any", "disable_parallel_tool_use": true}),
        _ => json!({"type": "auto", "disable_parallel_tool_use": true}),
    }
}

/// The choice that a request makes, from Converse's or from Claude's own words.
pub fn decode_choice(wire: Option<WireChoice>, native: Option<&Value>) -> Option<ToolChoice> {
    let word = native.and_then(|native| native.get("type")).and_then(Value::as_str);
    let name = || native?.get("name")?.as_str().map(str::to_owned);
    match (wire, word) {
        (Some(WireChoice { tool: Some(tool), .. }), _) => Some(ToolChoice::Named(tool.name)),
        (Some(WireChoice { any: Some(_), .. }), _) | (None, Some("any")) => {
            Some(ToolChoice::Required)
        }
        (Some(WireChoice { auto: Some(_), .. }), _) | (None, Some("auto")) => {
            Some(ToolChoice::Auto)
        }
        (None, Some("none")) => Some(ToolChoice::None),
        (None, Some("tool")) => name().map(ToolChoice::Named),
        _ => None,
    }
}
