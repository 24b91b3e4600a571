//! Requests to Ollama's chat: canonical form to wire.

use super::message;
use super::wire::{WireOptions, WireRequest, WireThink};
use crate::llm::chat::{ChatRequest, Effort, Json, ResponseFormat, Tool, ToolChoice};
use crate::llm::codec::Dropped;
use crate::llm::error::RequestError;
use crate::llm::openai::wire::{WireTool, WireToolFunction};

/// Canonical to wire.
pub fn encode(request: &ChatRequest, dropped: &mut Dropped) -> Result<Vec<u8>, RequestError> {
    let messages = message::encode(request, dropped)?;
    note_dropped(request, dropped);
    // There is no other way to say that none may be called.
    let forbidden = request.tool_choice == Some(ToolChoice::None);
    let tools = if forbidden { &[] } else { request.tools.as_slice() };
    let wire = WireRequest {
        model: &request.model,
        messages,
        stream: request.stream,
        tools: tools.iter().map(encode_tool).collect(),
        format: request.response_format.as_ref().and_then(format),
        think: think(request),
        logprobs: request.logprobs.map(|_| true),
        top_logprobs: request.logprobs.filter(|top| *top > 0),
        options: WireOptions {
            num_predict: request.max_tokens,
            temperature: request.temperature,
            top_p: request.top_p,
            top_k: request.top_k,
            seed: request.seed,
            frequency_penalty: request.frequency_penalty,
            presence_penalty: request.presence_penalty,
            stop: &request.stop,
        },
    };
    serde_json::to_vec(&wire).map_err(|error| RequestError::syntax(&error))
}

fn format(format: &ResponseFormat) -> Option<Json> {
    match format {
        ResponseFormat::Text => None,
        ResponseFormat::JsonObject => Json::parse("\"json\""),
        ResponseFormat::JsonSchema { schema, .. } => Some(schema.clone()),
    }
}

/// A switch for most models; gpt-oss knows levels only and cannot be switched off.
fn think(request: &ChatRequest) -> Option<WireThink> {
    let reasoning = request.reasoning?;
    let effort = reasoning.effort.or_else(|| reasoning.budget.map(Effort::of_budget))?;
    let has_levels = request.model.contains("gpt-oss");
    Some(match effort {
        _ if !has_levels => WireThink::Switch(effort != Effort::None),
        Effort::None | Effort::Minimal | Effort::Low => WireThink::Level("low"),
        Effort::Medium => WireThink::Level("medium"),
        Effort::High | Effort::ExtraHigh => WireThink::Level("high"),
    })
}

fn encode_tool(tool: &Tool) -> WireTool {
    let none = || Json::parse(r#"{"type":"object","properties":{}}"#);
    WireTool {
        kind: "function".to_owned(),
        function: Some(WireToolFunction {
            name: tool.name.clone(),
            description: tool.description.clone(),
            parameters: tool.parameters.clone().or_else(none),
            strict: None,
        }),
        ..WireTool::default()
    }
}

fn note_dropped(request: &ChatRequest, dropped: &mut Dropped) {
    let forces = matches!(request.tool_choice, Some(ToolChoice::Required | ToolChoice::Named(_)));
    // What is nearest to none is not none.
    let none = request.reasoning.is_some_and(|reasoning| reasoning.effort == Some(Effort::None));
    let still_thinks = none && matches!(think(request), Some(WireThink::Level(_)));
    let hidden = request.reasoning.is_some_and(|reasoning| reasoning.shown == Some(false));
    for (is_lost, name) in [
        (request.user.is_some(), "user"),
        (request.choices.is_some_and(|choices| choices > 1), "n"),
        (request.parallel_tool_calls == Some(false), "parallel_tool_calls"),
        (forces, "tool_choice"),
        (still_thinks, "reasoning_effort"),
        (hidden, "thinking.display"),
        (request.tools.iter().any(|tool| tool.strict == Some(true)), "tools.strict"),
        (request.tools.iter().any(|tool| tool.cache.is_some()), "cache_control"),
    ] {
        if is_lost {
            dropped.add(name);
        }
    }
}
