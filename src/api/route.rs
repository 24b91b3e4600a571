//! AIRoute: who may ask for which model, and where the request goes.
#![expect(
    clippy::duplicated_attributes,
    reason = "printer columns repeat the names of their own arguments"
)]

pub mod balance;

use std::collections::BTreeMap;

use kube::CustomResource;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

use super::{
    condition::{Condition, TargetStatus, conditions_schema},
    duration::Duration,
    failover::{Fallback, Hedge, Retry},
    reference::ProviderRef,
    selector::LabelSelector,
};

pub use balance::{Balance, Session};

/// Serves models: which names clients ask for, who may, and the targets that answer.
#[derive(Clone, CustomResource, Debug, Deserialize, JsonSchema, PartialEq, Serialize)]
#[kube(
    group = "sluice.dev",
    version = "v1alpha1",
    kind = "AIRoute",
    plural = "airoutes",
    namespaced,
    status = "AIRouteStatus",
    shortname = "air",
    category = "sluice",
    derive = "PartialEq",
    doc = "AIRoute serves models: which names clients ask for, who may, and the targets that answer.",
    printcolumn(name = "Models", type_ = "string", json_path = ".spec.models"),
    printcolumn(name = "Targets", type_ = "string", json_path = ".status.resolvedTargets"),
    printcolumn(name = "Healthy", type_ = "string", json_path = ".status.healthyTargets"),
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
pub struct AIRouteSpec {
    /// What clients put in "model": an exact name, or a pattern with one * at its start or end.
    #[schemars(length(min = 1, max = 64), extend("items" = {"type": "string", "minLength": 1, "maxLength": 256, "x-kubernetes-validations": [
        {"rule": "self.matches('^([*]?[^*]+|[^*]+[*]|[*])$')",
         "message": "a model pattern has at most one *, at its start or its end, for example gpt-* or *-mini"}
    ]}), extend("x-kubernetes-list-type" = "set"))]
    pub models: Vec<String>,
    /// Hosts that the route answers on: names, or *. and the end of one, which stands for one or more
    /// labels before it. Default: every host.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16), extend("x-kubernetes-list-type" = "set", "items" = {"type": "string", "minLength": 1, "maxLength": 253, "x-kubernetes-validations": [
        {"rule": "self.matches('^([*][.])?([a-z0-9]([a-z0-9-]*[a-z0-9])?[.])*[a-z0-9]([a-z0-9-]*[a-z0-9])?$')",
         "message": "a hostname is in lower case and without a port, and at most its first label is *, for example *.example.com"}
    ]}))]
    pub hostnames: Vec<String>,
    /// Endpoints that the route answers on. Default: all.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16), extend("x-kubernetes-list-type" = "set"))]
    pub endpoints: Vec<RouteEndpoint>,
    /// What becomes of parameters that a target's provider cannot take. Default Lenient.
    #[serde(default)]
    pub fidelity: Fidelity,
    /// Who may use the route. Default: any API key of the route's own namespace.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub access: Option<Access>,
    /// Where requests go: rules in order, of which the first whose `when` holds is used. A request
    /// for which none holds gets a 404.
    #[schemars(length(min = 1, max = 16), extend("x-kubernetes-validations" = [
        {"rule": "size(self) == 0 || self.filter(rule, !has(rule.when)).size() <= (has(self[size(self) - 1].when) ? 0 : 1)",
         "message": "a rule without when takes every request, so the rules behind it are never reached: give it a when, or put it last"},
        {"rule": "self.all(rule, !has(rule.name) || self.exists_one(other, has(other.name) && other.name == rule.name))",
         "message": "two rules have the same name: give each its own"}
    ]))]
    pub rules: Vec<Rule>,
    /// Time limits of a request.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeouts: Option<RouteTimeouts>,
    /// Further tries of a target that failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry: Option<Retry>,
    /// Failures after which another target is tried.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fallback: Option<Fallback>,
    /// A second try beside one that is slow. Default: none. Requests are hedged that a provider may get
    /// twice: text without tools that the provider runs and without a conversation that it keeps,
    /// embeddings, moderations and rerank.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hedge: Option<Hedge>,
    /// Keeps requests that belong together at one target. Default: those with the same
    /// `prompt_cache_key` in their body.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session: Option<Session>,
}

/// An endpoint of the data port, or several that belong together.
#[derive(Clone, Copy, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
pub enum RouteEndpoint {
    /// OpenAI's chat completions, and realtime sessions.
    ChatCompletions,
    /// OpenAI's completions.
    Completions,
    /// OpenAI's Responses.
    Responses,
    /// Anthropic's Messages, and the count of their tokens.
    Messages,
    /// Gemini's generateContent, streamed too, and countTokens.
    GenerateContent,
    /// OpenAI's embeddings, and Gemini's embedContent and batchEmbedContents.
    Embeddings,
    /// OpenAI's images: generations, edits and variations.
    Images,
    /// OpenAI's speech.
    Speech,
    /// OpenAI's transcriptions, and translations of sound.
    Transcriptions,
    /// OpenAI's moderations.
    Moderations,
    /// Rerank in the shape of Cohere and Jina.
    Rerank,
}

/// What becomes of parameters that a target's provider cannot take.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
pub enum Fidelity {
    /// They are left out, and the answer's header x-sluice-dropped names them.
    #[default]
    Lenient,
    /// The target is passed over; if no other can take them, the request is refused with 400.
    Strict,
}

/// Who may use a route.
#[derive(Clone, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(extend("x-kubernetes-validations" = [
    {"rule": "!(has(self.anonymous) && self.anonymous && has(self.allow) && size(self.allow) > 0)",
     "message": "anonymous: true admits everybody: remove allow, or set anonymous: false"}
]))]
pub struct Access {
    /// Whether requests without a key are served.
    #[serde(default)]
    pub anonymous: bool,
    /// Callers who may use the route: any one entry suffices.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32))]
    pub allow: Vec<Allow>,
}

/// One group of callers.
#[derive(Clone, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Allow {
    /// API-key Secrets (`type: sluice.dev/api-key`).
    pub api_keys: ApiKeySelector,
}

/// Selects API-key Secrets. The parts are ANDed.
#[derive(Clone, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ApiKeySelector {
    /// Namespaces of the Secrets, by the namespaces' labels; `{}` is all of them. Default: the
    /// namespace of the object that this stands in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespaces: Option<LabelSelector>,
    /// Labels that the Secret must have.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(extend("maxProperties" = 32, "additionalProperties" = {"type": "string", "maxLength": 63}))]
    pub match_labels: BTreeMap<String, String>,
}

/// Where requests go.
#[derive(Clone, Debug, Deserialize, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Rule {
    /// Name for records and metrics. Default: the rule's place, from 0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 63))]
    pub name: Option<String>,
    /// Which requests the rule is for: a CEL expression over request (model, endpoint, headers,
    /// inputTokens, stream, tools, metadata, maxOutputTokens, hostname), consumer (name, namespace,
    /// labels, app, team, environment, user) and now. Default: every request.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 4096))]
    pub when: Option<String>,
    /// What decides among the targets of the lowest priority that can answer. Default Weighted.
    #[serde(default)]
    pub balance: Balance,
    /// The targets. Among those of the lowest priority number `balance` decides; the
    /// next priority is used, inside the same request, when none of the lower can answer.
    #[schemars(length(min = 1, max = 16), extend("x-kubernetes-validations" = [
        {"rule": "self.exists(target, !has(target.weight) || target.weight > 0)",
         "message": "at least one target needs a weight above 0"}
    ]))]
    pub targets: Vec<Target>,
}

/// One choice of provider and model.
#[derive(Clone, Debug, Deserialize, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Target {
    /// Name for records and metrics, unique in the rule. Default: provider/model.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253))]
    pub name: Option<String>,
    /// The AIProvider.
    pub provider_ref: ProviderRef,
    /// The provider's name of the model. `*` stands for what the route's pattern star matched.
    /// Default: as asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 256))]
    pub model: Option<String>,
    /// Share among the targets of the same priority; 0 drains the target. Default 1.
    #[serde(default = "one")]
    #[schemars(range(min = 0, max = 1_000_000))]
    pub weight: i32,
    /// Lower numbers are used first. Default 0.
    #[serde(default)]
    #[schemars(range(min = 0, max = 100))]
    pub priority: i32,
    /// Changes to the request's parameters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parameters: Option<Parameters>,
}

fn one() -> i32 {
    1
}

/// Changes to top-level members of the request body, named as in the caller's dialect. The bound on
/// tokens, stop, n, seed, penalties and sampling may be named as in any dialect.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Parameters {
    /// Members that are set whatever the caller sent.
    #[serde(default, skip_serializing_if = "serde_json::Map::is_empty")]
    #[schemars(schema_with = "free_form")]
    pub set: serde_json::Map<String, serde_json::Value>,
    /// Members that are set where the caller sent none.
    #[serde(default, skip_serializing_if = "serde_json::Map::is_empty")]
    #[schemars(schema_with = "free_form")]
    pub default: serde_json::Map<String, serde_json::Value>,
    /// Members that are removed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64), extend("items" = {"type": "string", "minLength": 1, "maxLength": 128, "x-kubernetes-validations": [
        {"rule": "!(self in ['model', 'messages', 'input', 'stream'])",
         "message": "model, messages, input and stream can't be removed"}
    ]}))]
    pub remove: Vec<String>,
}

/// Any members but those that decide what the request is; these are declared so that CEL sees them.
fn free_form(_: &mut SchemaGenerator) -> Schema {
    let refused = "Refused here: it decides what the request is.";
    json_schema!({
        "type": "object",
        "description": "Members by name, with any JSON value.",
        "maxProperties": 64,
        "x-kubernetes-preserve-unknown-fields": true,
        "properties": {
            "model": { "description": refused, "type": "string", "maxLength": 256 },
            "stream": { "description": refused, "type": "boolean" },
            "messages": {
                "description": refused,
                "type": "array",
                "maxItems": 1,
                "items": { "type": "object", "x-kubernetes-preserve-unknown-fields": true }
            },
            "input": { "description": refused, "type": "string", "maxLength": 256 }
        },
        "x-kubernetes-validations": [{
            "rule": "!has(self.model) && !has(self.messages) && !has(self.stream) && !has(self.input)",
            "message": "model, messages, input and stream are not parameters: use the target's model to rewrite the model"
        }]
    })
}

/// Time limits of a request. Each is measured from the start of what it bounds.
#[derive(Clone, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RouteTimeouts {
    /// How long one attempt may take to the first content of the answer: 10ms to 24h. Default 30s
    /// for streams; whole answers are bounded by `total` alone unless this is set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-kubernetes-validations" = [
        {"rule": "duration(self) >= duration('10ms') && duration(self) <= duration('24h')",
         "message": "firstToken takes 10ms to 24h, for example 30s; leave it out for the default"}
    ]))]
    pub first_token: Option<Duration>,
    /// The longest silence inside a stream, and inside a whole answer that has begun: 100ms to 24h.
    /// Default 60s.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-kubernetes-validations" = [
        {"rule": "duration(self) >= duration('100ms') && duration(self) <= duration('24h')",
         "message": "idle takes 100ms to 24h, for example 1m; leave it out for the default"}
    ]))]
    pub idle: Option<Duration>,
    /// The whole request with all its attempts: 1s to 24h. Default 15m.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-kubernetes-validations" = [
        {"rule": "duration(self) >= duration('1s') && duration(self) <= duration('24h')",
         "message": "total takes 1s to 24h, for example 15m; leave it out for the default"}
    ]))]
    pub total: Option<Duration>,
}

/// What Sluice says about an AIRoute.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct AIRouteStatus {
    /// The `metadata.generation` that this status is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// What is true of the object.
    #[serde(default)]
    #[schemars(schema_with = "conditions_schema")]
    pub conditions: Vec<Condition>,
    /// Targets that requests can reach, of all: for example 2/3.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resolved_targets: Option<String>,
    /// Targets that requests are sent to, of all: for example 1/3.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub healthy_targets: Option<String>,
    /// Every target with what became of its reference, and how it does.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 256))]
    pub targets: Vec<TargetStatus>,
}
