//! Blocks that a type of provider needs beside its address, named by the type.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What AzureOpenAI needs.
#[derive(Clone, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct AzureOpenAISettings {
    /// A dated version, for example `2024-10-21`: the API with deployments in its paths. Omitted, or
    /// `preview`: the v1 API. In both the model is the deployment's name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 32), extend("x-kubernetes-validations" = [
        {"rule": "self.matches('^([0-9]{4}-[0-9]{2}-[0-9]{2}(-preview)?|preview|latest)$')",
         "message": "apiVersion is a date as in Azure's documentation, for example 2024-10-21 or 2025-04-01-preview; leave it out for the v1 API"}
    ]))]
    pub api_version: Option<String>,
}

/// What Bedrock needs.
#[derive(Clone, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct BedrockSettings {
    /// The region whose models are called, for example `eu-central-1`.
    #[schemars(length(max = 32), extend("x-kubernetes-validations" = [
        {"rule": "self.matches('^[a-z]{2,}(-[a-z]+)+-[0-9]+$')",
         "message": "region is an AWS region, for example eu-central-1"}
    ]))]
    pub region: String,
}

/// What VertexAI needs.
#[derive(Clone, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct VertexAISettings {
    /// The Google Cloud project that pays, by id.
    #[schemars(length(max = 64), extend("x-kubernetes-validations" = [
        {"rule": "self.matches('^[a-z0-9.:-]+$')",
         "message": "project is a project's id, for example my-project-123456"}
    ]))]
    pub project: String,
    /// Where the models run, for example `europe-west4`; `global`, `us` and `eu` also exist.
    #[schemars(length(max = 32), extend("x-kubernetes-validations" = [
        {"rule": "self.matches('^[a-z]+(-[a-z]+[0-9]+)?$')",
         "message": "location is a Google Cloud region, for example europe-west4, or global"}
    ]))]
    pub location: String,
}
