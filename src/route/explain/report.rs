//! An explanation as data.

use std::borrow::Cow;

use serde::Serialize;
use serde_json::{Map, Value};

use crate::budget::{Amounts, Limit};

use super::OtherRoute;

/// Where a request would go, and why not elsewhere.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Explanation {
    /// What the caller would get, as far as the manifests decide it.
    pub outcome: Outcome,
    /// `namespace/name` of the route that takes the request.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub route: Option<String>,
    /// Name of the rule that takes it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rule: Option<String>,
    /// What decides among the rule's targets of one priority.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub balance: Option<String>,
    /// The route's rules, in order.
    pub rules: Vec<RuleFate>,
    /// The rule's targets, in the order in which their priorities come.
    pub targets: Vec<TargetFate>,
    /// The route's budgets.
    pub budgets: Vec<WeighedBudget>,
    /// Other routes that have the model.
    pub other_routes: Vec<OtherRoute>,
}

/// What the caller would get.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct Outcome {
    /// HTTP status; 200 if a target is asked.
    pub status: u16,
    /// Code of the error; empty if a target is asked.
    #[serde(skip_serializing_if = "str::is_empty")]
    pub code: Cow<'static, str>,
    /// In words.
    pub message: String,
}

/// What became of a rule.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RuleFate {
    /// Its name.
    pub name: String,
    /// Its condition, also one that has a mistake and is not evaluated.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub when: Option<String>,
    /// Whether it holds, or why that is not known.
    pub verdict: String,
    /// Why none of its targets can be asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fault: Option<String>,
    /// What the condition asks for, and what it is told.
    #[serde(skip_serializing_if = "Map::is_empty")]
    pub facts: Map<String, Value>,
}

/// What became of a target.
#[derive(Clone, Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct TargetFate {
    /// Its name.
    pub name: String,
    /// `namespace/name` of its provider.
    pub provider: String,
    /// The model that the provider would be asked for.
    pub model: String,
    /// Lower is asked first.
    pub priority: u32,
    /// Its weight.
    pub weight: u32,
    /// Its part of the requests among its equals: those that can be asked of its priority, where the
    /// balance is Weighted; those of its turn, where it is LeastCost.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub share: Option<String>,
    /// Its turn, where the balance is LeastCost: 1 is asked first. Equals have the same.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub turn: Option<usize>,
    /// USD for a million tokens of input.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub input_price: Option<String>,
    /// USD for a million tokens of output.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub output_price: Option<String>,
    /// Who names the price: `provider`, `overlay`, `builtin`.
    #[serde(skip_serializing_if = "str::is_empty")]
    pub price_source: &'static str,
    /// What the request is expected to cost, by which LeastCost compares.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expected_usd: Option<String>,
    /// The most that the request may cost.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub worst_case_usd: Option<String>,
    /// The most tokens that it may use.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub worst_case_tokens: Option<u64>,
    /// Parameters that it would not be told.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub dropped: Vec<String>,
    /// The code of the error that the caller gets for it if every other target refuses the request
    /// too: it cannot be said in the provider's dialect, or not all of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub refusal: Option<Cow<'static, str>>,
    /// Why it would not be asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub passed_over: Option<String>,
}

/// A budget of the route.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct WeighedBudget {
    /// `namespace/name`.
    pub name: String,
    /// Whether it counts the request.
    pub binds: bool,
    /// Enforce or Shadow.
    pub mode: String,
    /// Why it does not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub why_not: Option<String>,
    /// What the request reserves, limit by limit.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub limits: Vec<Reserved>,
}

/// What a request reserves of a limit.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Reserved {
    /// The limit.
    pub limit: String,
    /// USD, tokens, input tokens, output tokens, requests, requests at a time.
    pub unit: &'static str,
    /// What is reserved.
    pub reserves: String,
    /// The limit's amount.
    pub max: String,
    /// Whether that is less than the request may use: it never fits.
    pub is_too_small: bool,
}

impl Reserved {
    pub(super) fn of(limit: &Limit, most: Amounts) -> Self {
        let reserves = most.of(limit.unit);
        Self {
            limit: limit.name.to_string(),
            unit: limit.unit.noun(),
            reserves: limit.unit.quantity(reserves),
            max: limit.unit.quantity(limit.amount),
            is_too_small: reserves > limit.amount,
        }
    }
}
