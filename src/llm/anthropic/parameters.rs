//! Thinking and sampling of Messages, which bear on each other: wire to canonical form and back.
//! Source: Anthropic's API reference, "Extended thinking" and "Adaptive thinking".

use super::version::Version;
use super::wire::WireThinking;
use crate::llm::chat::{ChatRequest, Content, Effort, Part, Reasoning, Role, ToolChoice};
use crate::llm::codec::Dropped;

/// The least that may be thought, in tokens.
const MIN_BUDGET: u64 = 1024;

/// Thinking and sampling as they are written.
#[derive(Debug, Default, PartialEq)]
pub struct Parameters {
    /// `thinking`.
    pub thinking: Option<WireThinking>,
    /// `output_config.effort`.
    pub effort: Option<&'static str>,
    /// `temperature`, 0 to 1.
    pub temperature: Option<f64>,
    /// `top_p`.
    pub top_p: Option<f64>,
    /// `top_k`.
    pub top_k: Option<u64>,
}

/// `thinking`: on by a budget or as the model likes, or off.
pub fn decode_thinking(wire: WireThinking, request: &mut ChatRequest, dropped: &mut Dropped) {
    let reasoning = request.reasoning.get_or_insert_default();
    match wire.kind.as_str() {
        "disabled" => reasoning.effort = Some(Effort::None),
        "enabled" => reasoning.budget = wire.budget_tokens,
        "adaptive" | "between_tools" => {}
        _ => dropped.add("thinking"),
    }
    reasoning.shown = match wire.display.as_deref() {
        Some("summarized") => Some(true),
        Some("omitted") => Some(false),
        // With a budget thoughts are shown unless the caller wants none.
        _ => (wire.kind == "enabled").then_some(true),
    };
}

/// `output_config.effort`. Thinking that is switched off stays off.
pub fn decode_effort(word: &str, request: &mut ChatRequest, dropped: &mut Dropped) {
    let Some(effort) = Effort::parse(word) else { return dropped.add("output_config.effort") };
    request.reasoning.get_or_insert_default().effort.get_or_insert(effort);
}

/// What the model takes of what the request wants; the rest is named.
pub fn encode(request: &ChatRequest, dropped: &mut Dropped) -> Parameters {
    let version = Version::of(&request.model);
    let mut parameters = Parameters::default();
    if let Some(reasoning) = request.reasoning {
        encode_reasoning(request, reasoning, &mut parameters, dropped);
    }
    let thinks = parameters.thinking.as_ref().is_some_and(|thinking| thinking.kind != "disabled");
    let refuses = version.is_some_and(Version::refuses_sampling);
    let temperature = request.temperature.map(|temperature| temperature.clamp(0.0, 1.0));
    if temperature != request.temperature {
        dropped.add("temperature");
    }
    // Their default is 1; while it thinks, a model takes no other.
    let mut take = |name: &str, value: Option<f64>, fits: bool| {
        if !fits && value.is_some_and(|value| value != 1.0) {
            dropped.add(name);
        }
        value.filter(|_| fits)
    };
    parameters.temperature = take("temperature", temperature, !refuses && !thinks);
    let alone =
        parameters.temperature.is_none() || !version.is_some_and(Version::wants_one_sampling);
    let near_all = request.top_p.is_none_or(|top_p| top_p >= 0.95);
    parameters.top_p = take("top_p", request.top_p, !refuses && alone && (!thinks || near_all));
    parameters.top_k = request.top_k.filter(|_| !refuses && !thinks);
    if request.top_k.is_some() && parameters.top_k.is_none() {
        dropped.add("top_k");
    }
    for (name, is_asked) in [
        ("n", request.choices.is_some_and(|n| n > 1)),
        ("seed", request.seed.is_some()),
        ("frequency_penalty", request.frequency_penalty.is_some()),
        ("presence_penalty", request.presence_penalty.is_some()),
        ("logprobs", request.logprobs.is_some()),
    ] {
        if is_asked {
            dropped.add(name);
        }
    }
    parameters
}

fn encode_reasoning(
    request: &ChatRequest,
    reasoning: Reasoning,
    parameters: &mut Parameters,
    dropped: &mut Dropped,
) {
    let version = Version::of(&request.model);
    let of = |kind: &str| WireThinking { kind: kind.to_owned(), ..WireThinking::default() };
    if reasoning.effort == Some(Effort::None) || reasoning.budget == Some(0) {
        parameters.thinking = version.is_none_or(Version::thinks).then(|| of("disabled"));
        return;
    }
    let forced = matches!(request.tool_choice, Some(ToolChoice::Required | ToolChoice::Named(_)));
    if version.is_some_and(|version| !version.thinks()) || (forced && !request.tools.is_empty()) {
        return dropped.add("reasoning_effort");
    }
    // A budget says what is meant where nothing says that the model takes levels.
    let by_level = version.map_or(reasoning.budget.is_none(), Version::is_adaptive);
    if by_level {
        let effort = reasoning.effort.or(reasoning.budget.map(Effort::of_budget));
        parameters.effort = effort.map(|effort| level(effort, version));
        let display = reasoning.shown.map(|shown| if shown { "summarized" } else { "omitted" });
        let display = display.map(str::to_owned);
        parameters.thinking = Some(WireThinking { display, ..of("adaptive") });
        return;
    }
    let wanted = reasoning.budget.or(reasoning.effort.map(Effort::budget));
    let wanted = wanted.unwrap_or_else(|| Effort::Medium.budget()).max(MIN_BUDGET);
    // Thoughts count as output, and something must be left for the answer.
    let bound = request.max_tokens.unwrap_or(u64::MAX);
    let budget = wanted.min((bound - bound / 4).max(MIN_BUDGET));
    if budget >= bound || lacks_thoughts(request) {
        return dropped.add("reasoning_effort");
    }
    parameters.thinking = Some(WireThinking { budget_tokens: Some(budget), ..of("enabled") });
}

/// Anthropic's word for a level; there is none below `low`.
fn level(effort: Effort, version: Option<Version>) -> &'static str {
    match effort {
        Effort::None | Effort::Minimal | Effort::Low => "low",
        Effort::Medium => "medium",
        Effort::High => "high",
        Effort::ExtraHigh if version.is_some_and(Version::takes_extra_high) => "xhigh",
        Effort::ExtraHigh => "max",
    }
}

/// Whether the conversation is within a loop of tools whose calls came without thoughts: a model
/// that thinks by a budget wants them before its calls.
fn lacks_thoughts(request: &ChatRequest) -> bool {
    let is_result = |part: &Part| matches!(part.content, Content::ToolResult { .. });
    if !request.messages.last().is_some_and(|last| last.parts.iter().any(is_result)) {
        return false;
    }
    let is_thought = |part: &Part| match &part.content {
        Content::Thinking { signature, .. } => signature.is_some(),
        content => matches!(content, Content::RedactedThinking(_)),
    };
    let turn = request.messages.iter().rev().find(|message| message.role == Role::Assistant);
    turn.is_some_and(|turn| !turn.parts.iter().any(is_thought))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(model: &str, reasoning: Reasoning) -> ChatRequest {
        ChatRequest {
            model: model.to_owned(),
            max_tokens: Some(8000),
            reasoning: Some(reasoning),
            ..ChatRequest::default()
        }
    }

    fn thinking(request: &ChatRequest) -> (String, Vec<String>) {
        let mut dropped = Dropped::default();
        let parameters = encode(request, &mut dropped);
        let thinking = parameters.thinking.map_or("-".to_owned(), |thinking| {
            let budget = thinking.budget_tokens.map(|budget| budget.to_string());
            format!("{} {}", thinking.kind, budget.unwrap_or_default())
        });
        (format!("{thinking} {}", parameters.effort.unwrap_or("-")), dropped.into_names())
    }

    #[test]
    fn each_generation_is_told_to_think_in_its_own_way() {
        let effort = |effort| Reasoning { effort: Some(effort), ..Reasoning::default() };
        let budget = |budget| Reasoning { budget: Some(budget), ..Reasoning::default() };
        for (model, reasoning, told) in [
            ("claude-sonnet-4-5", effort(Effort::Low), "enabled 2048 -"),
            ("claude-sonnet-4-5", effort(Effort::High), "enabled 6000 -"),
            ("claude-sonnet-4-5", budget(10), "enabled 1024 -"),
            ("claude-opus-4-6", effort(Effort::ExtraHigh), "adaptive  max"),
            ("claude-opus-4-7", effort(Effort::ExtraHigh), "adaptive  xhigh"),
            ("claude-sonnet-5", budget(9000), "adaptive  medium"),
            ("claude-sonnet-5", Reasoning::default(), "adaptive  -"),
            ("served", effort(Effort::Minimal), "adaptive  low"),
            ("served", budget(2000), "enabled 2000 -"),
            ("claude-3-7-sonnet", effort(Effort::None), "disabled  -"),
            ("claude-3-5-haiku", effort(Effort::None), "- -"),
        ] {
            let (said, dropped) = thinking(&request(model, reasoning));
            assert_eq!((said.as_str(), dropped.len()), (told, 0), "{model} {reasoning:?}");
        }
    }

    #[test]
    fn thinking_gives_way_to_what_it_cannot_stand_beside() {
        let high = Reasoning { effort: Some(Effort::High), ..Reasoning::default() };
        let mut small = request("claude-sonnet-4-5", high);
        small.max_tokens = Some(1024);
        let named = vec!["reasoning_effort".to_owned()];
        assert_eq!(thinking(&small), ("- -".to_owned(), named.clone()));
        assert_eq!(thinking(&request("claude-3-5-haiku", high)), ("- -".to_owned(), named));
    }

    #[test]
    fn sampling_that_a_model_refuses_is_left_out_and_named() {
        let sampled = |model: &str| ChatRequest {
            model: model.to_owned(),
            temperature: Some(1.5),
            top_p: Some(0.5),
            top_k: Some(3),
            ..ChatRequest::default()
        };
        let encode = |request: &ChatRequest| {
            let mut dropped = Dropped::default();
            let it = encode(request, &mut dropped);
            ((it.temperature, it.top_p, it.top_k), dropped.into_names())
        };
        let (kept, dropped) = encode(&sampled("claude-3-opus"));
        assert_eq!(
            (kept, dropped.join(" ")),
            ((Some(1.0), Some(0.5), Some(3)), "temperature".into())
        );
        let (kept, dropped) = encode(&sampled("claude-sonnet-4-5"));
        assert_eq!(
            (kept, dropped.join(" ")),
            ((Some(1.0), None, Some(3)), "temperature top_p".into())
        );
        let (kept, dropped) = encode(&sampled("claude-opus-4-7"));
        assert_eq!(
            (kept, dropped.join(" ")),
            ((None, None, None), "temperature top_k top_p".into())
        );
        let thinking = Some(Reasoning { budget: Some(1024), ..Reasoning::default() });
        let request = ChatRequest { reasoning: thinking, ..sampled("served") };
        let request = ChatRequest { temperature: Some(0.2), ..request };
        let (kept, dropped) = encode(&request);
        assert_eq!(
            (kept, dropped.join(" ")),
            ((None, None, None), "temperature top_k top_p".to_owned())
        );
    }
}
