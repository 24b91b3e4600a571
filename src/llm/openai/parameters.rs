//! The parameters of chat completions, from canonical form to wire: everything but the conversation.
//! Owns what OpenAI's models refuse.

use serde_json::json;

use super::wire::{WireFormat, WireRequest, WireSchema, WireTool, WireToolFunction};
use crate::llm::chat::{ChatRequest, Effort, ResponseFormat, Tool, ToolChoice};
use crate::llm::codec::Dropped;

/// The most stop sequences that OpenAI takes.
const MAX_STOP: usize = 4;

/// Whether a model of this name reasons before it answers.
pub fn is_reasoning_model(model: &str) -> bool {
    Model::of(model).reasons()
}

/// Whether a model of this name takes cache marks (API reference, `prompt_cache_options`).
pub fn takes_breakpoints(model: &str) -> bool {
    matches!(Model::of(model), Model::Gpt(major, minor) if (major, minor) >= (5, 6))
}

/// What a model takes of a request's reasoning and sampling, in any of OpenAI's dialects. The rest is
/// named.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fit {
    /// The level of reasoning.
    pub effort: Option<&'static str>,
    /// It knows reasoning, or may know it.
    pub reasons: bool,
    /// It takes sampling parameters and log probabilities.
    pub samples: bool,
}

impl Fit {
    /// For a request's model. Of models of unknown make everything is expected.
    pub fn of(request: &ChatRequest, dropped: &mut Dropped) -> Self {
        let model = Model::of(&request.model);
        let asked = request.reasoning.and_then(|asked| {
            asked.effort.or(asked.budget.map(Effort::of_budget)).map(Effort::as_str)
        });
        let effort = match model {
            Model::Other => asked,
            _ => encode_effort(request, model, dropped),
        };
        let samples = !model.refuses_sampling(effort);
        if !samples {
            drop_sampling(request, dropped);
        }
        Self { effort, reasons: model != Model::Plain, samples }
    }
}

/// The parameters as they are written; no messages yet.
pub fn encode_parameters<'a>(request: &'a ChatRequest, dropped: &mut Dropped) -> WireRequest<'a> {
    if request.top_k.is_some() {
        dropped.add("top_k");
    }
    if request.tools.iter().any(|tool| tool.cache.is_some()) {
        dropped.add("cache_control");
    }
    let with_tools = !request.tools.is_empty();
    let model = Model::of(&request.model);
    let effort = encode_effort(request, model, dropped);
    if request.reasoning.is_some_and(|reasoning| reasoning.shown == Some(true)) {
        dropped.add("reasoning.summary");
    }
    let mut wire = WireRequest {
        model: &request.model,
        tools: request.tools.iter().map(encode_tool).collect(),
        tool_choice: request.tool_choice.as_ref().filter(|_| with_tools).map(encode_choice),
        parallel_tool_calls: request.parallel_tool_calls.filter(|_| with_tools),
        max_tokens: request.max_tokens.filter(|_| !model.reasons()),
        max_completion_tokens: request.max_tokens.filter(|_| model.reasons()),
        n: request.choices.filter(|n| *n > 1),
        seed: request.seed,
        reasoning_effort: effort,
        user: request.user.as_deref(),
        response_format: request.response_format.as_ref().map(encode_format),
        stream: request.stream.then_some(true),
        stream_options: request.stream.then(|| json!({"include_usage": true})),
        ..WireRequest::default()
    };
    match model.refuses_sampling(effort) {
        true => drop_sampling(request, dropped),
        false => encode_sampling(request, &mut wire, dropped),
    }
    wire
}

fn encode_sampling<'a>(
    request: &'a ChatRequest,
    wire: &mut WireRequest<'a>,
    dropped: &mut Dropped,
) {
    if request.stop.len() > MAX_STOP {
        dropped.add("stop_sequences");
    }
    wire.temperature = request.temperature;
    wire.top_p = request.top_p;
    wire.frequency_penalty = request.frequency_penalty;
    wire.presence_penalty = request.presence_penalty;
    wire.logprobs = request.logprobs.is_some().then_some(true);
    wire.top_logprobs = request.logprobs.filter(|top| *top > 0);
    wire.stop = request.stop.iter().take(MAX_STOP).map(String::as_str).collect();
}

/// Reasoning models refuse all of these (API reference, "Reasoning models").
fn drop_sampling(request: &ChatRequest, dropped: &mut Dropped) {
    let is_default = |value: Option<f64>| value.is_none_or(|value| value == 1.0);
    for (name, is_absent) in [
        ("temperature", is_default(request.temperature)),
        ("top_p", is_default(request.top_p)),
        ("frequency_penalty", request.frequency_penalty.is_none()),
        ("presence_penalty", request.presence_penalty.is_none()),
        ("logprobs", request.logprobs.is_none()),
        ("stop", request.stop.is_empty()),
    ] {
        if !is_absent {
            dropped.add(name);
        }
    }
}

/// What a model's name says about what it takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Model {
    /// OpenAI's `o` series.
    O,
    /// OpenAI's GPT-5 and later: major and minor version.
    Gpt(u32, u32),
    /// OpenAI's models that do not reason.
    Plain,
    /// Another maker's: whatever the server takes.
    Other,
}

impl Model {
    fn of(name: &str) -> Self {
        let name = name.rsplit('/').next().unwrap_or(name);
        let number = |rest: &str| rest.chars().next().and_then(|c| c.to_digit(10));
        if name.strip_prefix('o').and_then(number).is_some() {
            return Self::O;
        }
        let Some((major, rest)) = name.strip_prefix("gpt-").and_then(|v| Some((number(v)?, v)))
        else {
            let is_plain = ["chatgpt-", "davinci-", "babbage-"].iter().any(|p| name.starts_with(p));
            return if is_plain { Self::Plain } else { Self::Other };
        };
        match major {
            0..=4 => Self::Plain,
            _ => Self::Gpt(
                major,
                rest.get(1..).and_then(|r| r.strip_prefix('.')).and_then(number).unwrap_or(0),
            ),
        }
    }

    /// OpenAI's reasoning models refuse `max_tokens`; other servers may not know its successor.
    fn reasons(self) -> bool {
        matches!(self, Self::O | Self::Gpt(..))
    }

    /// From GPT-5.1 on, models only reason where they are told to.
    fn refuses_sampling(self, effort: Option<&str>) -> bool {
        match self {
            Self::O | Self::Gpt(5, 0) => true,
            Self::Gpt(..) => effort.is_some_and(|effort| effort != "none"),
            Self::Plain | Self::Other => false,
        }
    }

    /// The nearest level that the model knows; `None`: it knows none like it.
    fn nearest(self, effort: Effort) -> Option<Effort> {
        Some(match (self, effort) {
            (Self::Plain, _) | (Self::Other, Effort::None) => return None,
            (Self::Gpt(5, 0), Effort::None) => Effort::Minimal,
            (Self::O, Effort::None) => Effort::Low,
            (Self::Gpt(5, 0), Effort::Minimal) => Effort::Minimal,
            (_, Effort::Minimal) => Effort::Low,
            (Self::O | Self::Other | Self::Gpt(5, 0 | 1), Effort::ExtraHigh) => Effort::High,
            (_, effort) => effort,
        })
    }
}

fn encode_effort(
    request: &ChatRequest,
    model: Model,
    dropped: &mut Dropped,
) -> Option<&'static str> {
    let reasoning = request.reasoning?;
    let effort = reasoning.effort.or(reasoning.budget.map(Effort::of_budget));
    let nearest = effort.and_then(|effort| model.nearest(effort));
    // A model that never reasons does as it is told by `none`.
    let obeys = effort == Some(Effort::None) && model == Model::Plain;
    let wanted = effort.is_some() || model == Model::Plain;
    // What is nearest to none is not none.
    let still_reasons = effort == Some(Effort::None) && nearest != effort;
    if (nearest.is_none() || still_reasons) && wanted && !obeys {
        dropped.add("reasoning_effort");
    }
    nearest.map(Effort::as_str)
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
            (
                "json_schema",
                Some(WireSchema {
                    name: Some(name),
                    schema,
                    strict: *strict,
                    ..WireSchema::default()
                }),
            )
        }
    };
    WireFormat { kind: kind.to_owned(), json_schema }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::llm::chat::Reasoning;

    fn encoded(model: &str, effort: Effort) -> (Option<&'static str>, Vec<String>) {
        let reasoning = Some(Reasoning { effort: Some(effort), ..Reasoning::default() });
        let request = ChatRequest { model: model.to_owned(), reasoning, ..ChatRequest::default() };
        let mut dropped = Dropped::default();
        let word = encode_parameters(&request, &mut dropped).reasoning_effort;
        (word, dropped.into_names())
    }

    #[test]
    fn a_level_of_reasoning_is_the_nearest_that_the_model_takes() {
        for (model, effort, word) in [
            ("o3", Effort::ExtraHigh, "high"),
            ("gpt-5-mini", Effort::Minimal, "minimal"),
            ("gpt-5.1", Effort::None, "none"),
            ("gpt-5.1", Effort::Minimal, "low"),
            ("openai/gpt-5.4", Effort::ExtraHigh, "xhigh"),
            ("qwen3", Effort::High, "high"),
        ] {
            assert_eq!(encoded(model, effort), (Some(word), Vec::new()), "{model} {effort:?}");
        }
        assert_eq!(encoded("gpt-4o", Effort::None), (None, Vec::new()));
        for (model, effort, word) in [
            ("gpt-4o", Effort::High, None),
            ("qwen3", Effort::None, None),
            ("o4-mini", Effort::None, Some("low")),
            ("gpt-5-mini", Effort::None, Some("minimal")),
        ] {
            let named = vec!["reasoning_effort".to_owned()];
            assert_eq!(encoded(model, effort), (word, named), "{model}");
        }
    }

    #[test]
    fn reasoning_models_are_spared_sampling_unless_they_are_told_not_to_reason() {
        let mut request = ChatRequest {
            model: "gpt-5.1".to_owned(),
            reasoning: Some(Reasoning { effort: Some(Effort::Low), ..Reasoning::default() }),
            temperature: Some(0.5),
            top_p: Some(1.0),
            stop: vec!["x".to_owned()],
            ..ChatRequest::default()
        };
        let mut dropped = Dropped::default();
        assert_eq!(encode_parameters(&request, &mut dropped).temperature, None);
        assert_eq!(dropped.into_names(), ["stop", "temperature"]);
        request.reasoning = Some(Reasoning { effort: Some(Effort::None), ..Reasoning::default() });
        let mut dropped = Dropped::default();
        assert_eq!(encode_parameters(&request, &mut dropped).temperature, Some(0.5));
        assert_eq!(dropped, Dropped::default());
    }
}
