//! How Sluice proves to a provider who it is: keys and identities of clouds, and where their secrets
//! lie. The values themselves are read elsewhere.

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

use crate::api::reference::{SecretKeyRef, SecretRef};

/// Credentials of a provider: exactly one of the kinds.
#[derive(Clone, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(extend("x-kubernetes-validations" = [
    {"rule": "[has(self.apiKeys), has(self.aws), has(self.gcp), has(self.azure), has(self.passthrough)].exists_one(set, set)",
     "message": "auth needs exactly one of apiKeys, aws, gcp, azure and passthrough, for example apiKeys: [{secretKeyRef: {name: provider, key: api-key}}]"}
]))]
pub struct ProviderAuth {
    /// API keys from Secrets of this namespace. Several form a pool: requests are spread by weight,
    /// and a key that the provider refuses or limits gives way to another inside the same request.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 16), extend("x-kubernetes-validations" = [
        {"rule": "self.exists(key, !has(key.weight) || key.weight > 0)",
         "message": "at least one API key needs a weight above 0"}
    ]))]
    pub api_keys: Option<Vec<ApiKeySource>>,
    /// An identity of AWS, for type Bedrock: requests are signed with it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub aws: Option<AwsAuth>,
    /// An identity of Google Cloud, for type VertexAI.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gcp: Option<GcpAuth>,
    /// An identity of Microsoft Entra ID, for type AzureOpenAI.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub azure: Option<AzureAuth>,
    /// `{}`: the caller's own credential for the provider is forwarded. It is what the caller sends
    /// as `Authorization`, `x-api-key`, `api-key` or `x-goog-api-key` beside the gateway's own key
    /// in `x-sluice-api-key`; a caller that sends no such header is refused with 401. Whoever may
    /// write this provider's address is shown the credentials of its callers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "no_settings")]
    pub passthrough: Option<PassthroughAuth>,
}

/// The caller's own credential. It has no settings.
#[derive(Clone, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PassthroughAuth {}

/// An object without members: structural schemas cannot forbid them, and the API server prunes them.
fn no_settings(_: &mut SchemaGenerator) -> Schema {
    json_schema!({"type": "object"})
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

/// An identity of AWS.
#[derive(Clone, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct AwsAuth {
    /// A Secret of this namespace with the keys `access-key-id`, `secret-access-key` and, for
    /// temporary credentials, `session-token`. Omitted: the gateway's own identity: environment,
    /// web identity (IRSA), EKS Pod Identity or ECS, then the instance's role.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret_ref: Option<SecretRef>,
    /// A role to assume with those credentials, for example
    /// `arn:aws:iam::123456789012:role/bedrock`. The external id is the provider's
    /// `namespace/name`, which the role's trust policy can demand.
    #[serde(default, rename = "roleARN", skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 2048), extend("x-kubernetes-validations" = [
        {"rule": "self.matches('^arn:[a-z0-9-]+:iam::[0-9]{12}:role/[^ ]+$')",
         "message": "roleARN is the ARN of an IAM role, for example arn:aws:iam::123456789012:role/bedrock"}
    ]))]
    pub role_arn: Option<String>,
}

/// An identity of Google Cloud.
#[derive(Clone, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct GcpAuth {
    /// A Secret of this namespace with the key `key.json`: a service account's key, or the file of
    /// type `authorized_user` that `gcloud auth application-default login` writes. Omitted: the
    /// gateway's own identity: the file of GOOGLE_APPLICATION_CREDENTIALS, else the metadata server
    /// (Workload Identity).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret_ref: Option<SecretRef>,
}

/// An identity of Microsoft Entra ID.
#[derive(Clone, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct AzureAuth {
    /// Directory (tenant) of the application.
    #[serde(rename = "tenantID")]
    #[schemars(length(min = 1, max = 128), extend("x-kubernetes-validations" = [
        {"rule": "self.matches('^[0-9a-zA-Z][0-9a-zA-Z.-]*$')",
         "message": "tenantID is the directory's id or domain, for example 11111111-2222-3333-4444-555555555555"}
    ]))]
    pub tenant_id: String,
    /// Application (client) id.
    #[serde(rename = "clientID")]
    #[schemars(length(min = 1, max = 128), extend("x-kubernetes-validations" = [
        {"rule": "self.matches('^[0-9a-zA-Z-]+$')",
         "message": "clientID is the application's id, for example 11111111-2222-3333-4444-555555555555"}
    ]))]
    pub client_id: String,
    /// A Secret of this namespace with the key `client-secret`. Omitted: workload identity, by the
    /// token file that AKS mounts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret_ref: Option<SecretRef>,
}
