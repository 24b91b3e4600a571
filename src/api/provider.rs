//! AIProvider: where models live, how to authenticate there, and what they cost.
#![expect(
    clippy::duplicated_attributes,
    reason = "printer columns repeat the names of their own arguments"
)]

pub mod auth;
pub mod cloud;
pub mod health;
pub mod kind;

use kube::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    condition::{Condition, conditions_schema},
    duration::Duration,
    pricing::Pricing,
    route::Allow,
    selector::LabelSelector,
};

pub use auth::{ApiKeySource, AwsAuth, AzureAuth, GcpAuth, ProviderAuth};
pub use cloud::{AzureOpenAISettings, BedrockSettings, VertexAISettings};
pub use health::{EjectionSettings, ProbeSettings, ProviderHealth, ProviderLimits};
pub use kind::ProviderType;

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
    printcolumn(name = "Healthy", type_ = "boolean", json_path = ".status.healthy"),
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
    {"rule": "self.type != 'AzureOpenAI' || has(self.endpoint) || has(self.service)",
     "message": "AzureOpenAI has an address for each resource: set endpoint, for example https://my-resource.openai.azure.com"},
    {"rule": "self.type == 'AzureOpenAI' || !has(self.azureOpenAI)",
     "message": "azureOpenAI goes with type: AzureOpenAI: remove it, or correct the type"},
    {"rule": "(self.type == 'Bedrock') == has(self.bedrock)",
     "message": "type Bedrock needs bedrock, for example bedrock: {region: eu-central-1}; other types must not have it"},
    {"rule": "(self.type == 'VertexAI') == has(self.vertexAI)",
     "message": "type VertexAI needs vertexAI, for example vertexAI: {project: my-project, location: europe-west4}; other types must not have it"},
    {"rule": "self.type == 'Bedrock' || !has(self.auth) || !has(self.auth.aws)",
     "message": "auth.aws goes with type: Bedrock: write auth.apiKeys for this type"},
    {"rule": "self.type == 'VertexAI' || !has(self.auth) || !has(self.auth.gcp)",
     "message": "auth.gcp goes with type: VertexAI: write auth.apiKeys for this type"},
    {"rule": "self.type == 'AzureOpenAI' || !has(self.auth) || !has(self.auth.azure)",
     "message": "auth.azure goes with type: AzureOpenAI: write auth.apiKeys for this type"},
    {"rule": "self.type != 'Mock' || !(has(self.endpoint) || has(self.service) || has(self.auth) || has(self.headers))",
     "message": "type Mock answers by itself: remove endpoint, service, auth and headers"},
    {"rule": "!(self.type in ['Bedrock', 'Mock', 'VertexAI']) || !has(self.health) || !has(self.health.probe)",
     "message": "this type has nothing to ask that is free of cost and of further permissions: remove health.probe"},
    {"rule": "!has(self.auth) || !has(self.auth.passthrough) || !has(self.health) || !has(self.health.probe)",
     "message": "auth.passthrough leaves the gateway without a credential to check with: remove health.probe"},
    {"rule": "self.type != 'Mock' || !has(self.directAccess)",
     "message": "type Mock has no endpoints beside those of its models: remove directAccess"}
]))]
pub struct AIProviderSpec {
    /// The vendor or protocol. Decides the wire format, the default address and how credentials
    /// are sent.
    #[serde(rename = "type")]
    pub provider_type: ProviderType,
    /// Base URL including the version path, for example `https://api.openai.com/v1`. Types that are
    /// one address for everybody have a default. Excludes `service`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 1024), extend("x-kubernetes-validations" = [
        {"rule": "self.matches('^https?://[^/?#@ ]+(/[^?# ]*)?$')",
         "message": "endpoint is an absolute http or https URL without user, query or fragment, for example https://api.openai.com/v1"}
    ]))]
    pub endpoint: Option<String>,
    /// A Service of this namespace that serves the models. In a cluster its endpoints are called, the
    /// least busy first. Excludes `endpoint`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service: Option<ServiceRef>,
    /// What type AzureOpenAI needs.
    #[serde(default, rename = "azureOpenAI", skip_serializing_if = "Option::is_none")]
    pub azure_openai: Option<AzureOpenAISettings>,
    /// What type Bedrock needs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bedrock: Option<BedrockSettings>,
    /// What type VertexAI needs.
    #[serde(default, rename = "vertexAI", skip_serializing_if = "Option::is_none")]
    pub vertex_ai: Option<VertexAISettings>,
    /// Credentials for the provider. Omitted: the gateway's own identity in the cloud of types
    /// AzureOpenAI, Bedrock and VertexAI, if the address is the cloud's own; none for other types.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub auth: Option<ProviderAuth>,
    /// Headers added to every request to the provider.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16), extend(
        "x-kubernetes-list-type" = "map",
        "x-kubernetes-list-map-keys" = ["name"]
    ))]
    pub headers: Vec<Header>,
    /// The catalogue: prices and bounds of models. A model that is not listed passes through, and
    /// costs what a ConfigMap with prices or else the built-in table says; where none does it has no
    /// price, which an AIBudget in USD treats as its `unpriced` says.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 256), extend(
        "x-kubernetes-list-type" = "map",
        "x-kubernetes-list-map-keys" = ["name"]
    ))]
    pub models: Vec<Model>,
    /// Namespaces whose AIRoutes may use this provider. Default: only its own.
    #[serde(default)]
    pub allowed_namespaces: AllowedNamespaces,
    /// Which other endpoints of the provider (files, batches, fine-tuning) callers may use under
    /// `/providers/{namespace}/{name}/`, with this provider's credentials. None if omitted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub direct_access: Option<DirectAccess>,
    /// The account's own limits at the provider, kept before the provider has to refuse. None if
    /// omitted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limits: Option<ProviderLimits>,
    /// When a model of this provider is left out because it fails.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub health: Option<ProviderHealth>,
    /// Time limits of this provider's connections.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeouts: Option<ProviderTimeouts>,
}

/// A Service of the provider's own namespace.
#[derive(Clone, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ServiceRef {
    /// Name of the Service.
    #[schemars(length(min = 1, max = 63), regex(pattern = r"^[a-z]([-a-z0-9]*[a-z0-9])?$"))]
    pub name: String,
    /// Port of the Service; of a headless one also a port of its pods.
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

/// A header that Sluice adds.
#[derive(Clone, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Header {
    /// Name, case-insensitive.
    #[schemars(length(min = 1, max = 128), regex(pattern = r"^[A-Za-z0-9!#$%&'*+.^_`|~-]+$"), extend("x-kubernetes-validations" = [
        {"rule": "!(self.lowerAscii() in ['authorization', 'x-api-key', 'api-key', 'x-goog-api-key', 'x-sluice-api-key', 'proxy-authorization'])",
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
    /// What it costs. Default: what a ConfigMap with prices or else the built-in table says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pricing: Option<Pricing>,
    /// The most tokens that one answer can have. Bounds what a budget reserves for a request that
    /// names no bound of its own. Default: from the same places as the price.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 100_000_000))]
    pub max_output_tokens: Option<i64>,
    /// The most tokens that a request may have, as the provider counts them. A request that is too
    /// long for another target falls back to one whose window is larger, where the route's
    /// `fallback.failures` has ContextLength. Default: from the same places as the price.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 1_000_000_000))]
    pub context_window: Option<i64>,
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

/// Direct use of a provider, past the AIRoutes: whoever has it may use any model of the provider as far
/// as these endpoints reach one, and see what other callers have stored there.
#[derive(Clone, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct DirectAccess {
    /// Paths that may be called, each with everything below it, as they follow the base URL: for
    /// example `/files` and `/batches`. Endpoints of models are called through an AIRoute and are
    /// refused here, whatever the paths say.
    #[schemars(length(min = 1, max = 32), inner(length(max = 256)), extend("x-kubernetes-validations" = [
        {"rule": "self.all(path, path.matches('^(/[A-Za-z0-9_~:@-][A-Za-z0-9._~:@-]*)+$'))",
         "message": "a path starts with a slash, ends without one and has plain segments, for example /files or /fine_tuning/jobs"},
        {"rule": "self.all(path, !path.matches('(?i)(^|/)(chat|completions|responses|embeddings|moderations|rerank|realtime)(/|$)|^(/v[0-9a-z]+)?/messages$'))",
         "message": "endpoints of models are called through an AIRoute: name the others, for example /files or /messages/batches"}
    ]))]
    pub paths: Vec<String>,
    /// Callers who may use them: any one entry suffices. Default: every API key of the provider's
    /// own namespace.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32))]
    pub allow: Vec<Allow>,
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
    /// Whether requests are sent there: false while every model that was asked is left out for its
    /// failures, or while the Service has no endpoint. As the replica that writes status sees it, at most
    /// ten seconds late.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub healthy: Option<bool>,
}
