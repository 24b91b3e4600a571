//! Condition types and reasons, and the status fields that every kind shares.
//!
//! Reasons are part of the API: scripts and alerts match on them. A failure is never a condition
//! type of its own; it is `Ready=False` with a reason.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;

/// The object itself is valid.
pub const ACCEPTED: &str = "Accepted";
/// Everything the object refers to exists and may be used.
pub const RESOLVED_REFS: &str = "ResolvedRefs";
/// The proxy serves this generation.
pub const PROGRAMMED: &str = "Programmed";
/// Summary for kstatus, Argo CD, Flux and `kubectl wait`.
pub const READY: &str = "Ready";
/// Present and `True` only while a user's mistake keeps the object from working (kstatus: Failed).
pub const STALLED: &str = "Stalled";
/// AIBudget only: no limit is used up.
pub const WITHIN_BUDGET: &str = "WithinBudget";

/// A machine-readable reason of a condition, CamelCase.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Reason {
    /// `Accepted=True`: nothing is wrong with the object itself.
    Accepted,
    /// `Accepted=False`: a field holds a value that cannot work; the message says what to write.
    Invalid,
    /// `Accepted=False`: the condition of a rule is no CEL expression over what there is; the message
    /// names the rule, line and column.
    InvalidCondition,
    /// `ResolvedRefs=True`: every reference leads somewhere.
    ResolvedRefs,
    /// A Secret named by the object does not exist.
    SecretNotFound,
    /// The Secret exists but lacks the named key, or the key is empty or not usable.
    SecretKeyNotFound,
    /// A Service named by the object does not exist.
    ServiceNotFound,
    /// The Service exists but has no such port.
    ServicePortNotFound,
    /// `Ready=False`: no endpoint of the Service takes requests, so that none is sent; of a route,
    /// that this holds for all of its targets. Not a mistake of the object: it passes when one is ready.
    NoEndpoints,
    /// An AIProvider named by a route does not exist.
    ProviderNotFound,
    /// The AIProvider exists but its `allowedNamespaces` does not admit the route's namespace.
    ProviderNotAllowed,
    /// The AIProvider exists but is itself not usable; its own status says why.
    ProviderNotReady,
    /// Another route already claims the same model for the same callers and precedes this one.
    ModelConflict,
    /// `Programmed=True`: the published configuration contains this generation.
    Programmed,
    /// `Programmed=False`: the object is not part of what is served.
    NotProgrammed,
    /// `Ready=True`.
    Ready,
    /// `WithinBudget=True`.
    WithinBudget,
    /// `WithinBudget=False`: at least one limit has nothing left.
    BudgetExceeded,
}

impl Reason {
    /// The reason as it stands in a condition.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Accepted => "Accepted",
            Self::Invalid => "Invalid",
            Self::InvalidCondition => "InvalidCondition",
            Self::ResolvedRefs => "ResolvedRefs",
            Self::SecretNotFound => "SecretNotFound",
            Self::SecretKeyNotFound => "SecretKeyNotFound",
            Self::ServiceNotFound => "ServiceNotFound",
            Self::ServicePortNotFound => "ServicePortNotFound",
            Self::NoEndpoints => "NoEndpoints",
            Self::ProviderNotFound => "ProviderNotFound",
            Self::ProviderNotAllowed => "ProviderNotAllowed",
            Self::ProviderNotReady => "ProviderNotReady",
            Self::ModelConflict => "ModelConflict",
            Self::Programmed => "Programmed",
            Self::NotProgrammed => "NotProgrammed",
            Self::Ready => "Ready",
            Self::WithinBudget => "WithinBudget",
            Self::BudgetExceeded => "BudgetExceeded",
        }
    }
}

/// Schema of a condition list: a map by type, as in the core API.
pub(crate) fn conditions_schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
    let mut schema = Vec::<Condition>::json_schema(generator);
    schema.insert("x-kubernetes-list-type".into(), "map".into());
    schema.insert("x-kubernetes-list-map-keys".into(), serde_json::json!(["type"]));
    schema.insert("maxItems".into(), 16.into());
    schema.insert("description".into(), "What is true of the object, by type.".into());
    schema
}

/// What one AIRoute target or AIProvider reference resolved to, for people who read status.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct TargetStatus {
    /// Name of the target.
    pub name: String,
    /// The provider, as namespace/name.
    pub provider: String,
    /// Whether requests can go there.
    pub resolved: bool,
    /// Whether requests do go there: false while it is left out for its failures, or while its Service
    /// has no endpoint. As the replica that writes status sees it, at most ten seconds late.
    #[serde(default)]
    pub healthy: bool,
}
