//! What Converse has no field for: sampling from the k likeliest, and reasoning. Each family has its
//! own words for them in `additionalModelRequestFields`, and refuses those of others.

use serde_json::{Map, Value, json};

use super::block::Writer;
use super::model::{Family, Model};
use super::tool::Tools;
use super::wire::WireInference;
use crate::llm::chat::{ChatRequest, Content, Effort, Message, Part, Reasoning, Role, Signer};
use crate::llm::codec::Dropped;

/// The least that Claude can be given to think, in tokens.
const MIN_BUDGET: u64 = 1024;
/// What is left for the answer where nobody bounds it, in tokens.
const ANSWER_TOKENS: u64 = 4096;

/// `additionalModelRequestFields`; `inference` is put right where reasoning asks for it.
pub fn encode(
    request: &ChatRequest,
    tools: &Tools,
    inference: &mut WireInference,
    writer: &mut Writer<'_>,
) -> Map<String, Value> {
    let model = writer.model;
    let mut fields = Map::new();
    let dropped = &mut *writer.dropped;
    let budgeted = encode_reasoning(request, tools, inference, (model, &mut *dropped), &mut fields);
    fit_sampling(model, budgeted, inference, dropped);
    if let Some(top_k) = request.top_k {
        match model.family {
            _ if budgeted || model.refuses_sampling() => dropped.add("top_k"),
            Family::Claude(..) => drop(fields.insert("top_k".to_owned(), json!(top_k))),
            Family::Nova { .. } => {
                fields.insert("inferenceConfig".to_owned(), json!({"topK": top_k}));
            }
            _ => dropped.add("top_k"),
        }
    }
    if let Some(choice) = &tools.native_choice {
        fields.insert("tool_choice".to_owned(), choice.clone());
    }
    fields
}

/// Leaves out what a model refuses. A value that changes nothing need not be named.
fn fit_sampling(
    model: Model<'_>,
    budgeted: bool,
    inference: &mut WireInference,
    dropped: &mut Dropped,
) {
    let refuses = model.refuses_sampling();
    let one = |value: &Option<f64>| value.is_none_or(|value| (value - 1.0).abs() < f64::EPSILON);
    if refuses || budgeted {
        if !one(&inference.temperature) {
            dropped.add("temperature");
        }
        inference.temperature = None;
    }
    // While it thinks by a budget, Claude takes 0.95 and more.
    let low = budgeted && inference.top_p.is_some_and(|top_p| top_p < 0.95);
    let both = model.refuses_both_samplings() && inference.temperature.is_some();
    if inference.top_p.is_some() && (refuses || low || both) {
        if !one(&inference.top_p) {
            dropped.add("top_p");
        }
        inference.top_p = None;
    }
}

/// Writes how much the model may think. Gives whether Claude thinks by a budget of tokens, which
/// forbids sampling.
fn encode_reasoning(
    request: &ChatRequest,
    tools: &Tools,
    inference: &mut WireInference,
    (model, dropped): (Model<'_>, &mut Dropped),
    fields: &mut Map<String, Value>,
) -> bool {
    let Some(wanted) = request.reasoning else { return false };
    let budget = wanted.budget.or_else(|| wanted.effort.map(Effort::budget));
    let Some(budget) = budget else { return false };
    let effort = wanted.effort.unwrap_or_else(|| Effort::of_budget(budget));
    let off = effort == Effort::None || budget == 0;
    match model.family {
        Family::Claude(..) if off => claude_off(model, fields, dropped),
        Family::Claude(..) => {
            let budget_only = wanted.effort.is_none() && !model.refuses_budget();
            if model.thinks_adaptively() && !budget_only {
                adaptive(model, effort, wanted, fields);
                return false;
            }
            let fits = model.claude_since(3, 7) && !tools.forced && !lost_thoughts(request);
            return match fit_budget(budget, inference).filter(|_| fits) {
                None => {
                    dropped.add("reasoning_effort");
                    false
                }
                Some(budget) => {
                    let thinking = json!({"type": "enabled", "budget_tokens": budget});
                    fields.insert("thinking".to_owned(), thinking);
                    true
                }
            };
        }
        family => match others(family, model.name, effort, off) {
            Some((name, value)) => drop(fields.insert(name.to_owned(), value)),
            None if off && !always_reasons(family) => {}
            None => dropped.add("reasoning_effort"),
        },
    }
    false
}

fn claude_off(model: Model<'_>, fields: &mut Map<String, Value>, dropped: &mut Dropped) {
    if model.always_thinks() {
        dropped.add("reasoning_effort");
    } else if model.thinks_by_default() {
        let between = model.claude_since(5, 5) && model.name.contains("sonnet");
        let kind = if between { "between_tools" } else { "disabled" };
        fields.insert("thinking".to_owned(), json!({"type": kind}));
    }
}

fn adaptive(model: Model<'_>, effort: Effort, wanted: Reasoning, fields: &mut Map<String, Value>) {
    let mut thinking = json!({"type": "adaptive"});
    if let Some(shown) = wanted.shown.filter(|_| model.refuses_budget()) {
        thinking["display"] = json!(if shown { "summarized" } else { "omitted" });
    }
    let word = match effort {
        Effort::None | Effort::Minimal | Effort::Low => "low",
        Effort::Medium => "medium",
        Effort::High => "high",
        // Before 4.7 there is no step between high and all there is.
        Effort::ExtraHigh if model.refuses_budget() => "xhigh",
        Effort::ExtraHigh => "max",
    };
    fields.insert("thinking".to_owned(), thinking);
    fields.insert("output_config".to_owned(), json!({"effort": word}));
}

/// A budget below the bound on all tokens, which is never raised: it was reserved for. `None`: there
/// is no room to think.
fn fit_budget(budget: u64, inference: &mut WireInference) -> Option<u64> {
    let budget = budget.max(MIN_BUDGET);
    match inference.max_tokens {
        None => {
            inference.max_tokens = Some(budget.saturating_add(ANSWER_TOKENS));
            Some(budget)
        }
        Some(most) => Some(budget.min(most.saturating_sub(1))).filter(|fits| *fits >= MIN_BUDGET),
    }
}

/// Whether a loop of tool calls is under way whose thoughts were lost: Claude then refuses to think by
/// a budget.
fn lost_thoughts(request: &ChatRequest) -> bool {
    let assistant = |message: &Message| message.role == Role::Assistant;
    let Some(at) = request.messages.iter().rposition(assistant) else { return false };
    let (before, after) = request.messages.split_at(at + 1);
    let result = |part: &Part| matches!(part.content, Content::ToolResult { .. });
    let thought = |part: &Part| match &part.content {
        Content::Thinking { signature: Some(by), .. } => by.signer == Signer::Anthropic,
        Content::RedactedThinking(_) => true,
        _ => false,
    };
    // Neighbours of one role are one turn.
    let mut turn = before.iter().rev().take_while(|message| assistant(message));
    after.iter().flat_map(|message| &message.parts).any(result)
        && !turn.any(|message| message.parts.iter().any(thought))
}

/// The word and value of the families that know levels.
fn others(family: Family, name: &str, effort: Effort, off: bool) -> Option<(&'static str, Value)> {
    let level = match effort {
        Effort::None | Effort::Minimal | Effort::Low => "low",
        Effort::Medium => "medium",
        Effort::High | Effort::ExtraHigh => "high",
    };
    let higher = if effort == Effort::ExtraHigh { "xhigh" } else { level };
    match family {
        Family::Nova { second: true } if off => None,
        Family::Nova { second: true } => {
            Some(("reasoningConfig", json!({"type": "enabled", "maxReasoningEffort": level})))
        }
        Family::GptOss if off => None,
        Family::GptOss => Some(("reasoning_effort", json!(level))),
        Family::Gpt if off => Some(("reasoning", json!({"effort": "none"}))),
        Family::Grok if off => None,
        Family::Gpt | Family::Grok => Some(("reasoning", json!({"effort": higher}))),
        Family::Qwen => Some(("reasoning_config", json!(if off { "none" } else { level }))),
        Family::Glm if name.starts_with("glm-5.3") && off => None,
        Family::Glm if name.starts_with("glm-5.3") => Some(("reasoning_effort", json!(higher))),
        Family::Glm => Some(("reasoning_effort", json!(if off { "none" } else { "high" }))),
        Family::DeepSeek if name.starts_with("v3.2") => {
            Some(("reasoning_effort", json!(if off { "none" } else { "high" })))
        }
        _ => None,
    }
}

fn always_reasons(family: Family) -> bool {
    matches!(family, Family::GptOss | Family::Grok | Family::Glm | Family::DeepSeek)
}

/// Reads what [`encode`] wrote, or a caller of Converse.
pub fn decode(mut fields: Map<String, Value>, request: &mut ChatRequest, dropped: &mut Dropped) {
    let nova = fields.remove("inferenceConfig").and_then(|inner| inner.get("topK")?.as_u64());
    let claude = fields.remove("top_k").and_then(|top_k| top_k.as_u64());
    request.top_k = claude.or(nova);
    let level = |value: &Value, place: &str| {
        value.pointer(place).and_then(Value::as_str).and_then(Effort::parse)
    };
    let mut reasoning = Reasoning::default();
    if let Some(thinking) = fields.remove("thinking") {
        reasoning.budget = thinking.get("budget_tokens").and_then(Value::as_u64);
        reasoning.shown = thinking.get("display").map(|display| display != "omitted");
        if thinking.get("type").is_some_and(|kind| kind == "disabled") {
            reasoning.effort = Some(Effort::None);
        }
    }
    for (name, place) in [
        ("output_config", "/effort"),
        ("reasoningConfig", "/maxReasoningEffort"),
        ("reasoning", "/effort"),
        ("reasoning_effort", ""),
        ("reasoning_config", ""),
    ] {
        let found = fields.remove(name).and_then(|value| level(&value, place));
        reasoning.effort = found.or(reasoning.effort);
    }
    request.reasoning = (reasoning != Reasoning::default()).then_some(reasoning);
    for name in fields.keys() {
        dropped.add(format!("additionalModelRequestFields.{name}"));
    }
}
