//! AIProvider: where models live, how to authenticate there, and what they cost.
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
    quantity::price_schema,
    reference::SecretKeyRef,
    selector::LabelSelector,
};

/// A place where models are served: its address, its credentials, its price list.
#[derive(Clone, CustomResource, Debug, Deserialize, JsonSchema, PartialEq, Serialize)]
#[kube(
    group = "sluice.dev",
    version = "v1alpha1",
    kind = "AIProvider",
    plural = "aiproviders",
    namespaced,
    status = "AIProviderStatus",
    shortname = "aip",
    category = "sluice",
    derive = "PartialEq",
    doc = "AIProvider is a place where models are served: its address, its credentials, its price list.",
    printcolumn(name = "Type", type_ = "string", json_path = ".spec.type"),
    printcolumn(name = "Models", type_ = "integer", json_path = ".status.models"),
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
#[schemars(extend("x-kubernetes-validations" = [
    {"rule": "!(has(self.endpoint) && has(self.service))",
     "message": "set endpoint or service, not both: endpoint for a URL, service for a Service of the cluster"},
    {"rule": "!(self.type in ['OpenAICompatible', 'VLLM']) || has(self.endpoint) || has(self.service)",
     "message": "this type has no default address: set endpoint, for example https://llm.example.com/v1, or service"},
    {"rule": "self.type != 'Mock' || !(has(self.endpoint) || has(self.service) || has(self.auth) || has(self.headers))",
     "message": "type Mock answers by itself: remove endpoint, service, auth and headers"}
]))]
pub struct AIProviderSpec {
    /// The vendor or protocol. Decides the wire format, the default address and how credentials
    /// are sent.
    #[serde(rename = "type")]
    pub provider_type: ProviderType,
    /// Base URL including the version path, for example `https://api.openai.com/v1`. OpenAI,
    /// Anthropic and Ollama have a default. Excludes `service`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 1024), extend("x-kubernetes-validations" = [
        {"rule": "self.matches('^https?://[^/?#@ ]+(/[^?# ]*)?$')",
         "message": "endpoint is an absolute http or https URL without user, query or fragment, for example https://api.openai.com/v1"}
    ]))]
    pub endpoint: Option<String>,
    /// A Service of this namespace that serves the models. Excludes `endpoint`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service: Option<ServiceRef>,
    /// Credentials for the provider; none if omitted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub auth: Option<ProviderAuth>,
    /// Headers added to every request to the provider.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16), extend(
        "x-kubernetes-list-type" = "map",
        "x-kubernetes-list-map-keys" = ["name"]
    ))]
    pub headers: Vec<Header>,
    /// The catalogue: prices and bounds of models. A model that is not listed passes through, but
    /// has no price, which an AIBudget in USD treats as its `unpriced` says.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 256), extend(
        "x-kubernetes-list-type" = "map",
        "x-kubernetes-list-map-keys" = ["name"]
    ))]
    pub models: Vec<Model>,
    /// Namespaces whose AIRoutes may use this provider. Default: only its own.
    #[serde(default)]
    pub allowed_namespaces: AllowedNamespaces,
    /// Time limits of this provider's connections.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeouts: Option<ProviderTimeouts>,
}

/// Vendor or protocol of a provider.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, JsonSchema, PartialEq, Serialize)]
pub enum ProviderType {
    /// OpenAI's API.
    OpenAI,
    /// Anthropic's API.
    Anthropic,
    /// Any server that speaks OpenAI's chat completions.
    OpenAICompatible,
    /// Ollama, through its OpenAI-compatible API.
    Ollama,
    /// vLLM's OpenAI-compatible server.
    VLLM,
    /// Built in: deterministic answers without any network, for trying out and for tests.
    Mock,
}

impl ProviderType {
    /// The type as it stands in a manifest.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::OpenAI => "OpenAI",
            Self::Anthropic => "Anthropic",
            Self::OpenAICompatible => "OpenAICompatible",
            Self::Ollama => "Ollama",
            Self::VLLM => "VLLM",
            Self::Mock => "Mock",
        }
    }
}

/// A Service of the provider's own namespace.
#[derive(Clone, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ServiceRef {
    /// Name of the Service.
    #[schemars(length(min = 1, max = 63), regex(pattern = r"^[a-z]([-a-z0-9]*[a-z0-9])?$"))]
    pub name: String,
    /// Port of the Service.
    #[schemars(range(min = 1, max = 65535))]
    pub port: i32,
    /// Base path including the version.
    #[serde(default = "default_path")]
    #[schemars(length(max = 512), regex(pattern = "^/[^?# ]*$"))]
    pub path: String,
    /// Scheme of the connection.
    #[serde(default)]
    pub scheme: Scheme,
}

fn default_path() -> String {
    "/v1".into()
}

/// Scheme of a Service's endpoint.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Scheme {
    /// Plain text.
    #[default]
    Http,
    /// TLS.
    Https,
}

/// Credentials of a provider.
#[derive(Clone, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ProviderAuth {
    /// API keys from Secrets of this namespace. Several form a pool: requests are spread by weight,
    /// and a key that the provider refuses or limits gives way to another inside the same request.
    #[schemars(length(min = 1, max = 16), extend("x-kubernetes-validations" = [
        {"rule": "self.exists(key, !has(key.weight) || key.weight > 0)",
         "message": "at least one API key needs a weight above 0"}
    ]))]
    pub api_keys: Vec<ApiKeySource>,
}

/// One API key of the pool.
#[derive(Clone, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ApiKeySource {
    /// Where the key is stored.
    pub secret_key_ref: SecretKeyRef,
    /// Share of requests among the keys of the pool; 0 drains the key. Default 1.
    #[serde(default = "one")]
    #[schemars(range(min = 0, max = 1000))]
    pub weight: i32,
}

fn one() -> i32 {
    1
}

/// A header that Sluice adds.
#[derive(Clone, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Header {
    /// Name, case-insensitive.
    #[schemars(length(min = 1, max = 128), regex(pattern = r"^[A-Za-z0-9!#$%&'*+.^_`|~-]+$"), extend("x-kubernetes-validations" = [
        {"rule": "!(self.lowerAscii() in ['authorization', 'x-api-key', 'api-key', 'x-goog-api-key', 'proxy-authorization'])",
         "message": "credentials do not belong in headers: store the key in a Secret and name it under auth.apiKeys"},
        {"rule": "!(self.lowerAscii() in ['host', 'content-length', 'content-type', 'transfer-encoding', 'connection', 'te', 'trailer', 'upgrade', 'keep-alive', 'accept-encoding', 'expect'])",
         "message": "this header is set by Sluice itself and can't be configured: remove it"}
    ]))]
    pub name: String,
    /// Value, printable ASCII.
    #[schemars(length(max = 1024), regex(pattern = r"^[ -~]*$"))]
    pub value: String,
}

/// One model of the catalogue.
#[derive(Clone, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Model {
    /// The provider's own name of the model.
    #[schemars(length(min = 1, max = 256))]
    pub name: String,
    /// What its tokens cost.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pricing: Option<Pricing>,
    /// The most tokens that one answer can have. Bounds what a budget reserves for a request that
    /// names no bound of its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 100_000_000))]
    pub max_output_tokens: Option<i64>,
}

/// Prices of a model in US dollars for a million tokens.
#[derive(Clone, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Pricing {
    /// Input tokens.
    #[schemars(schema_with = "price_schema")]
    pub input: String,
    /// Output tokens.
    #[schemars(schema_with = "price_schema")]
    pub output: String,
    /// Input tokens read from the provider's prompt cache. Default: the input price.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "price_schema")]
    pub cached_input: Option<String>,
    /// Input tokens written to the provider's prompt cache. Default: the input price.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "price_schema")]
    pub cache_write: Option<String>,
    /// Reasoning tokens. Default: the output price.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "price_schema")]
    pub reasoning: Option<String>,
}

/// Namespaces whose routes may use a provider.
#[derive(Clone, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(extend("x-kubernetes-validations" = [
    {"rule": "(has(self.from) && self.from == 'Selector') == has(self.selector)",
     "message": "selector goes with from: Selector, and from: Selector needs a selector"}
]))]
pub struct AllowedNamespaces {
    /// Same: only the provider's own namespace. All: every namespace. Selector: namespaces whose
    /// labels `selector` selects.
    #[serde(default)]
    pub from: NamespaceScope,
    /// Selects namespaces by their labels.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub selector: Option<LabelSelector>,
}

/// How far a provider may be used.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
pub enum NamespaceScope {
    /// Only its own namespace.
    #[default]
    Same,
    /// Every namespace.
    All,
    /// Namespaces selected by labels.
    Selector,
}

/// Time limits of a provider's connections.
#[derive(Clone, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ProviderTimeouts {
    /// How long a connection, TLS included, may take: 10ms to 5m. Default 5s.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-kubernetes-validations" = [
        {"rule": "duration(self) >= duration('10ms') && duration(self) <= duration('5m')",
         "message": "connect takes 10ms to 5m, for example 5s; leave it out for the default of 5s"}
    ]))]
    pub connect: Option<Duration>,
}

/// What Sluice says about an AIProvider.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct AIProviderStatus {
    /// The `metadata.generation` that this status is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// What is true of the object.
    #[serde(default)]
    #[schemars(schema_with = "conditions_schema")]
    pub conditions: Vec<Condition>,
    /// How many models the catalogue lists.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub models: Option<i64>,
}
