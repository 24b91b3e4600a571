//! Requests to Cohere's chat: canonical form to wire.

use super::message;
use super::wire::{WireFormat, WireRequest, WireThinking, WireTool, WireToolFunction};
use crate::llm::chat::{ChatRequest, Effort, Json, ResponseFormat, Tool, ToolChoice};
use crate::llm::codec::Dropped;
use crate::llm::error::RequestError;

/// The most stop sequences that Cohere takes.
const MAX_STOP: usize = 5;
/// The bounds of `p`.
const P: (f64, f64) = (0.01, 0.99);
/// The largest `k`.
const MAX_K: u64 = 500;

/// Canonical to wire.
pub fn encode(request: &ChatRequest, dropped: &mut Dropped) -> Result<Vec<u8>, RequestError> {
    let messages = message::encode(request, dropped)?;
    note_dropped(request, dropped);
    let tools = offered(request);
    let wire = WireRequest {
        model: &request.model,
        messages,
        strict_tools: is_strict(&tools).then_some(true),
        tool_choice: request.tool_choice.as_ref().filter(|_| !tools.is_empty()).and_then(choice),
        max_tokens: request.max_tokens,
        temperature: request.temperature.map(|given| given.max(0.0)),
        p: request.top_p.map(|p| p.clamp(P.0, P.1)),
        k: request.top_k.map(|k| k.min(MAX_K)),
        stop_sequences: request.stop.get(..MAX_STOP).unwrap_or(&request.stop),
        seed: request.seed.and_then(|seed| u64::try_from(seed).ok()),
        frequency_penalty: penalty(request.frequency_penalty),
        presence_penalty: penalty(request.presence_penalty),
        logprobs: request.logprobs.map(|_| true),
        thinking: thinking(request),
        response_format: request.response_format.as_ref().filter(|_| tools.is_empty()).map(format),
        stream: request.stream.then_some(true),
        tools: tools.into_iter().map(encode_tool).collect(),
    };
    serde_json::to_vec(&wire).map_err(|error| RequestError::syntax(&error))
}

/// The tools that the model may call: Cohere cannot name one, so that one is offered alone.
fn offered(request: &ChatRequest) -> Vec<&Tool> {
    let named = match &request.tool_choice {
        Some(ToolChoice::Named(name)) => Some(name),
        _ => None,
    };
    request.tools.iter().filter(|tool| named.is_none_or(|name| tool.name == *name)).collect()
}

/// Cohere follows the schemas of all tools or of none.
fn is_strict(tools: &[&Tool]) -> bool {
    !tools.is_empty() && tools.iter().all(|tool| tool.strict == Some(true))
}

fn choice(choice: &ToolChoice) -> Option<&'static str> {
    match choice {
        ToolChoice::Auto => None,
        ToolChoice::None => Some("NONE"),
        ToolChoice::Required | ToolChoice::Named(_) => Some("REQUIRED"),
    }
}

/// Cohere knows penalties from 0 to 1 only; a negative one would turn into its opposite.
fn penalty(given: Option<f64>) -> Option<f64> {
    given.filter(|penalty| *penalty >= 0.0).map(|penalty| penalty.min(1.0))
}

fn thinking(request: &ChatRequest) -> Option<WireThinking> {
    let reasoning = request.reasoning?;
    let budget = reasoning.budget.or_else(|| reasoning.effort.map(Effort::budget))?;
    Some(match budget {
        0 => WireThinking { kind: "disabled", token_budget: None },
        budget => WireThinking { kind: "enabled", token_budget: Some(budget) },
    })
}

fn format(format: &ResponseFormat) -> WireFormat {
    match format {
        ResponseFormat::Text => WireFormat { kind: "text", json_schema: None },
        ResponseFormat::JsonObject => WireFormat { kind: "json_object", json_schema: None },
        ResponseFormat::JsonSchema { schema, .. } => {
            WireFormat { kind: "json_object", json_schema: Some(schema.clone()) }
        }
    }
}

fn encode_tool(tool: &Tool) -> WireTool<'_> {
    let none = || Json::parse(r#"{"type":"object","properties":{}}"#);
    WireTool {
        kind: "function",
        function: WireToolFunction {
            name: &tool.name,
            description: tool.description.as_deref(),
            parameters: tool.parameters.clone().or_else(none).unwrap_or_else(Json::empty_object),
        },
    }
}

fn note_dropped(request: &ChatRequest, dropped: &mut Dropped) {
    let tools = offered(request);
    let some_strict = tools.iter().any(|tool| tool.strict == Some(true)) && !is_strict(&tools);
    let has_form = !matches!(request.response_format, None | Some(ResponseFormat::Text));
    let changed = |given: Option<f64>| given != penalty(given);
    for (is_lost, name) in [
        (request.user.is_some(), "user"),
        (request.choices.is_some_and(|choices| choices > 1), "n"),
        (request.parallel_tool_calls == Some(false), "parallel_tool_calls"),
        (request.stop.len() > MAX_STOP, "stop"),
        (request.top_k.is_some_and(|k| k > MAX_K), "top_k"),
        (request.seed.is_some_and(|seed| seed < 0), "seed"),
        (changed(request.frequency_penalty), "frequency_penalty"),
        (changed(request.presence_penalty), "presence_penalty"),
        (request.logprobs.is_some_and(|top| top > 0), "top_logprobs"),
        (request.reasoning.is_some_and(|given| given.shown == Some(false)), "thinking.display"),
        (tools.is_empty() && request.tool_choice.is_some(), "tool_choice"),
        (!tools.is_empty() && has_form, "response_format"),
        (some_strict, "tools.strict"),
        (tools.iter().any(|tool| tool.cache.is_some()), "cache_control"),
    ] {
        if is_lost {
            dropped.add(name);
        }
    }
}
