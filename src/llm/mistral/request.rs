//! Requests to Mistral: canonical form to wire, and back by way of OpenAI's.

use serde_json::json;

use super::message;
use super::wire::WireRequest;
use crate::llm::chat::{ChatRequest, Effort, Json, ResponseFormat, Tool, ToolChoice};
use crate::llm::codec::{ChatCodec as _, Dropped};
use crate::llm::error::RequestError;
use crate::llm::members::{Member, Members};
use crate::llm::openai::OpenAi;
use crate::llm::openai::wire::{WireFormat, WireSchema, WireTool, WireToolFunction};

/// The highest temperature that Mistral takes.
const MAX_TEMPERATURE: f64 = 1.5;

/// Wire to canonical: OpenAI's reading, after Mistral's own names are put into OpenAI's.
pub fn decode(body: &[u8], dropped: &mut Dropped) -> Result<ChatRequest, RequestError> {
    let Members(members) = Members::parse(body)?;
    let renamed = |Member { name, value }: Member<'_>| {
        let value = match (&*name, value.get()) {
            ("tool_choice", "\"any\"") => "\"required\"",
            (_, value) => value,
        };
        let name = if name == "random_seed" { "seed".into() } else { name };
        format!("{}:{value}", serde_json::Value::from(&*name))
    };
    let members: Vec<String> = members.into_iter().map(renamed).collect();
    OpenAi.decode_request(format!("{{{}}}", members.join(",")).as_bytes(), dropped)
}

/// Canonical to wire.
pub fn encode(request: &ChatRequest, dropped: &mut Dropped) -> Result<Vec<u8>, RequestError> {
    let messages = message::encode(request, dropped)?;
    note_dropped(request, dropped);
    let with_tools = !request.tools.is_empty();
    let wire = WireRequest {
        model: &request.model,
        messages,
        tools: request.tools.iter().map(encode_tool).collect(),
        tool_choice: request.tool_choice.as_ref().filter(|_| with_tools).map(encode_choice),
        parallel_tool_calls: request.parallel_tool_calls.filter(|_| with_tools),
        max_tokens: request.max_tokens,
        temperature: request.temperature.map(|given| given.min(MAX_TEMPERATURE)),
        top_p: request.top_p,
        top_k: request.top_k,
        stop: request.stop.iter().map(String::as_str).collect(),
        random_seed: request.seed.and_then(|seed| u64::try_from(seed).ok()),
        n: request.choices.filter(|choices| *choices != 1),
        presence_penalty: request.presence_penalty,
        frequency_penalty: request.frequency_penalty,
        logprobs: request.logprobs.map(|_| true),
        top_logprobs: request.logprobs.filter(|top| *top > 0),
        reasoning_effort: effort(request).map(Effort::as_str),
        response_format: request.response_format.as_ref().map(encode_format),
        // Usage comes in every stream; asking for it is refused.
        stream: request.stream.then_some(true),
    };
    serde_json::to_vec(&wire).map_err(|error| RequestError::syntax(&error))
}

fn note_dropped(request: &ChatRequest, dropped: &mut Dropped) {
    let without_tools = request.tools.is_empty();
    let hotter = request.temperature.is_some_and(|given| given > MAX_TEMPERATURE);
    let negative_seed = request.seed.is_some_and(|seed| seed < 0);
    let hidden = request.reasoning.is_some_and(|reasoning| reasoning.shown == Some(false));
    for (is_lost, name) in [
        (request.user.is_some(), "user"),
        (hotter, "temperature"),
        (negative_seed, "seed"),
        (hidden, "thinking.display"),
        (without_tools && request.tool_choice.is_some(), "tool_choice"),
        (without_tools && request.parallel_tool_calls.is_some(), "parallel_tool_calls"),
        (request.tools.iter().any(|tool| tool.cache.is_some()), "cache_control"),
    ] {
        if is_lost {
            dropped.add(name);
        }
    }
}

/// Mistral knows levels only.
fn effort(request: &ChatRequest) -> Option<Effort> {
    let reasoning = request.reasoning?;
    reasoning.effort.or_else(|| reasoning.budget.map(Effort::of_budget))
}

/// Mistral demands parameters.
fn encode_tool(tool: &Tool) -> WireTool {
    let none = || Json::parse(r#"{"type":"object","properties":{}}"#);
    WireTool {
        kind: "function".to_owned(),
        function: Some(WireToolFunction {
            name: tool.name.clone(),
            description: tool.description.clone(),
            parameters: tool.parameters.clone().or_else(none),
            strict: tool.strict,
        }),
        ..WireTool::default()
    }
}

fn encode_choice(choice: &ToolChoice) -> serde_json::Value {
    match choice {
        ToolChoice::Auto => json!("auto"),
        ToolChoice::None => json!("none"),
        ToolChoice::Required => json!("any"),
        ToolChoice::Named(name) => json!({"type": "function", "function": {"name": name}}),
    }
}

fn encode_format(format: &ResponseFormat) -> WireFormat {
    let of = |kind: &str| WireFormat { kind: kind.to_owned(), ..WireFormat::default() };
    match format {
        ResponseFormat::Text => of("text"),
        ResponseFormat::JsonObject => of("json_object"),
        ResponseFormat::JsonSchema { name, schema, strict } => WireFormat {
            json_schema: Some(WireSchema {
                name: Some(name.clone().unwrap_or_else(|| "response".to_owned())),
                schema: Some(schema.clone()),
                strict: *strict,
                ..WireSchema::default()
            }),
            ..of("json_schema")
        },
    }
}
