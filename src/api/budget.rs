//! AIBudget: how much, for whom, over which window.
#![expect(
    clippy::duplicated_attributes,
    reason = "printer columns repeat the names of their own arguments"
)]

use kube::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    condition::{Condition, conditions_schema},
    duration::Duration,
    quantity::amount_schema,
    selector::LabelSelector,
};

/// Limits what is spent or sent, for whom, over which window. Budgets and rate limits in one kind.
#[derive(Clone, CustomResource, Debug, Deserialize, JsonSchema, PartialEq, Serialize)]
#[kube(
    group = "sluice.dev",
    version = "v1alpha1",
    kind = "AIBudget",
    plural = "aibudgets",
    namespaced,
    status = "AIBudgetStatus",
    shortname = "aib",
    category = "sluice",
    derive = "PartialEq",
    doc = "AIBudget limits what is spent or sent, for whom, over which window: budgets and rate limits in one kind.",
    printcolumn(name = "Unit", type_ = "string", json_path = ".status.limits[0].unit"),
    printcolumn(name = "Used", type_ = "string", json_path = ".status.limits[0].used"),
    printcolumn(name = "Max", type_ = "string", json_path = ".status.limits[0].max"),
    printcolumn(name = "Resets", type_ = "string", json_path = ".status.limits[0].resetsAt"),
    printcolumn(
        name = "Ready",
        type_ = "string",
        json_path = ".status.conditions[?(@.type=='Ready')].status"
    ),
    printcolumn(
        name = "Reason",
        type_ = "string",
        priority = 1,
        json_path = ".status.conditions[?(@.type=='Ready')].reason"
    ),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp")
)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct AIBudgetSpec {
    /// Which requests count. All parts are ANDed; empty: everything routed in this namespace.
    #[serde(default)]
    pub selector: BudgetSelector,
    /// One counter for each value of these, together; empty: one pool for all.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 4), extend("items" = {"type": "string", "maxLength": 80, "x-kubernetes-validations": [
        {"rule": "self.matches('^(Consumer|App|Team|Environment|User|Route|Model|Provider|Namespace|Header:[A-Za-z0-9-]+)$')",
         "message": "per takes Consumer, App, Team, Environment, User, Route, Model, Provider, Namespace or Header:name"},
        {"rule": "!(self.lowerAscii() in ['header:authorization', 'header:proxy-authorization', 'header:x-api-key', 'header:api-key', 'header:x-goog-api-key', 'header:x-sluice-api-key', 'header:cookie', 'header:set-cookie'])",
         "message": "this header carries credentials, and subjects are written into status for everyone who may read it: use Consumer to count by API key"}
    ]}), extend("x-kubernetes-list-type" = "set"))]
    pub per: Vec<String>,
    /// The limits. All bind.
    #[schemars(length(min = 1, max = 8), extend(
        "x-kubernetes-list-type" = "map",
        "x-kubernetes-list-map-keys" = ["name"]
    ))]
    pub limits: Vec<Limit>,
    /// Enforce refuses what does not fit; Shadow only counts and reports.
    #[serde(default)]
    pub mode: Mode,
    /// What becomes of a request that does not fit. Without it, it is refused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on_exceeded: Option<OnExceeded>,
    /// What becomes of a request to a model without a price where a limit is in USD: Deny refuses
    /// it, Allow counts it as free. The same for a direct call (`spec.directAccess` of an
    /// AIProvider) that may start work, such as a batch, where a limit is in USD or tokens: Allow
    /// charges what its answer reports.
    #[serde(default)]
    pub unpriced: Unpriced,
}

/// Which requests a budget counts.
#[derive(Clone, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct BudgetSelector {
    /// Routes that count.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub routes: Option<RouteSelector>,
    /// Consumers that count, by the labels of their API-key Secrets.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub consumers: Option<LabelSelector>,
    /// Served models that count: exact names, or patterns with one * at the start or end.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64), extend("items" = {"type": "string", "minLength": 1, "maxLength": 256, "x-kubernetes-validations": [
        {"rule": "self.matches('^([*]?[^*]+|[^*]+[*]|[*])$')",
         "message": "a model pattern has at most one *, at its start or its end, for example gpt-* or *-mini"}
    ]}))]
    pub models: Vec<String>,
    /// Providers that count, as namespace/name.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64), extend("items" = {"type": "string", "minLength": 3, "maxLength": 317, "x-kubernetes-validations": [
        {"rule": "self.matches('^[^/]+/[^/]+$')",
         "message": "a provider is named as namespace/name, for example ai-platform/openai"}
    ]}))]
    pub providers: Vec<String>,
    /// Count routes of every namespace. Only for budgets in the gateway's own namespace.
    #[serde(default)]
    pub all_namespaces: bool,
}

/// Selects routes. The parts are ANDed.
#[derive(Clone, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RouteSelector {
    /// Names of AIRoutes; empty: all.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64), inner(length(min = 1, max = 253)))]
    pub names: Vec<String>,
    /// Labels that the AIRoute must have.
    #[serde(default, skip_serializing_if = "std::collections::BTreeMap::is_empty")]
    #[schemars(extend("maxProperties" = 32, "additionalProperties" = {"type": "string", "maxLength": 63}))]
    pub match_labels: std::collections::BTreeMap<String, String>,
}

/// One limit.
#[derive(Clone, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(extend("x-kubernetes-validations" = [
    {"rule": "self.unit == 'USD' || self.amount.matches('^[0-9]+$')",
     "message": "tokens and requests are counted in whole numbers, for example amount: \"200000\""},
    {"rule": "self.unit != 'Concurrent' || !has(self.window)",
     "message": "Concurrent counts the requests under way at this moment: remove window"},
    {"rule": "self.unit == 'Concurrent' || has(self.window)",
     "message": "window is missing: write for example window: {sliding: 1m} or window: {calendar: Month}"},
    {"rule": "self.amount.matches('[1-9]')",
     "message": "amount must be above 0"}
]))]
pub struct Limit {
    /// Name of the limit, unique in the budget.
    #[schemars(length(min = 1, max = 63), regex(pattern = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"))]
    pub name: String,
    /// How much, as a decimal string: US dollars for unit USD (up to nine decimals), a whole number
    /// for the others.
    #[schemars(schema_with = "amount_schema")]
    pub amount: String,
    /// Of what.
    pub unit: Unit,
    /// Over which time. Every limit has one but those of unit Concurrent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub window: Option<Window>,
}

/// What a limit counts.
#[derive(Clone, Copy, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
pub enum Unit {
    /// US dollars.
    USD,
    /// Input and output tokens together.
    Tokens,
    /// Input tokens, those read from a provider's cache included.
    InputTokens,
    /// Output tokens, those of reasoning included.
    OutputTokens,
    /// Requests.
    Requests,
    /// Requests under way at one moment, each from its admission to the end of its answer. It has no
    /// window, and nothing of it outlives a restart.
    Concurrent,
}

impl Unit {
    /// The unit as it stands in a manifest.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::USD => "USD",
            Self::Tokens => "Tokens",
            Self::InputTokens => "InputTokens",
            Self::OutputTokens => "OutputTokens",
            Self::Requests => "Requests",
            Self::Concurrent => "Concurrent",
        }
    }
}

/// Over which time a limit counts.
#[derive(Clone, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(extend("x-kubernetes-validations" = [
    {"rule": "has(self.sliding) != has(self.calendar)",
     "message": "a window is either sliding, for example sliding: 1m, or calendar, for example calendar: Month"},
    {"rule": "!has(self.timeZone) || has(self.calendar)",
     "message": "timeZone goes with calendar windows only"},
    {"rule": "!has(self.sliding) || (duration(self.sliding) >= duration('1s') && duration(self.sliding) <= duration('24h'))",
     "message": "a sliding window lasts 1s to 24h; use calendar: Day, Week, Month, Quarter or Year for longer ones"}
]))]
pub struct Window {
    /// The last so much time, 1s to 24h.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sliding: Option<Duration>,
    /// The current day, week (from Monday), month, quarter or year.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub calendar: Option<Calendar>,
    /// IANA time zone in which the calendar turns, for example Europe/Berlin. Default UTC.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 64), regex(pattern = r"^[A-Za-z0-9_+/-]+$"))]
    pub time_zone: Option<String>,
}

/// The current day, week (from Monday), month, quarter or year.
#[derive(Clone, Copy, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
pub enum Calendar {
    /// From midnight.
    Day,
    /// From Monday.
    Week,
    /// From the first.
    Month,
    /// From January, April, July, October.
    Quarter,
    /// From 1 January.
    Year,
}

/// Whether a budget refuses.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
pub enum Mode {
    /// Refuse what does not fit.
    #[default]
    Enforce,
    /// Count and report only.
    Shadow,
}

/// What becomes of a request that does not fit.
#[derive(Clone, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(extend("x-kubernetes-validations" = [
    {"rule": "(has(self.action) && self.action == 'Downgrade') == has(self.model)",
     "message": "model goes with action: Downgrade, and action: Downgrade needs a model, the one to serve instead"}
]))]
pub struct OnExceeded {
    /// Reject refuses it with 429. Downgrade serves it by another model.
    #[serde(default)]
    pub action: ExceededAction,
    /// The model that serves it instead, as a target of the same AIRoute names it. It is refused where
    /// the route has no such target, or that model does not fit either: a budget without
    /// `selector.models` counts this model too.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 256))]
    pub model: Option<String>,
}

/// What becomes of a request that does not fit.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
pub enum ExceededAction {
    /// Refuse it.
    #[default]
    Reject,
    /// Serve it by another model.
    Downgrade,
}

/// Treatment of models without a price.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
pub enum Unpriced {
    /// Refuse.
    #[default]
    Deny,
    /// Count as free.
    Allow,
}

/// What Sluice says about an AIBudget.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct AIBudgetStatus {
    /// The `metadata.generation` that this status is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// What is true of the object.
    #[serde(default)]
    #[schemars(schema_with = "conditions_schema")]
    pub conditions: Vec<Condition>,
    /// The limits with what is used of them, of the subject that has used most.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 8))]
    pub limits: Vec<LimitStatus>,
    /// Counters as of the last checkpoint, read back at start. Not for people: its form changes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 524_288))]
    pub checkpoint: Option<String>,
}

/// What is used of one limit.
#[derive(Clone, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct LimitStatus {
    /// Name of the limit.
    pub name: String,
    /// Unit of the amounts.
    pub unit: String,
    /// Settled use in the current window.
    pub used: String,
    /// Held for requests under way.
    pub reserved: String,
    /// The limit's amount.
    pub max: String,
    /// When the window ends (calendar), or when its oldest use expires (sliding). RFC 3339.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resets_at: Option<String>,
    /// The subjects that have used most, at most 20, if the budget counts per subject.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 20))]
    pub subjects: Vec<SubjectStatus>,
}

/// What one subject has used of a limit.
#[derive(Clone, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SubjectStatus {
    /// The subject: the values of `per`, joined by a slash.
    pub subject: String,
    /// Settled use in the current window.
    pub used: String,
}
