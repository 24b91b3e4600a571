//! Prices as users write them: of an AIProvider's models, and in the same words in ConfigMaps.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::quantity::{price_schema, unit_price_schema};

/// Label of ConfigMaps with prices, whatever its value.
pub const PRICES_LABEL: &str = "sluice.dev/prices";
/// The key of such a ConfigMap that is read.
pub const PRICES_KEY: &str = "prices.yaml";

/// Prices of a model in US dollars for a million tokens; of images, seconds of sound and requests in
/// US dollars each.
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
    /// Input tokens written to the provider's prompt cache for an hour. Default: as cacheWrite.
    #[serde(default, rename = "cacheWrite1h", skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "price_schema")]
    pub cache_write_1h: Option<String>,
    /// Reasoning tokens. Default: the output price.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "price_schema")]
    pub reasoning: Option<String>,
    /// Input tokens of sound. Default: the input price.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "price_schema")]
    pub audio_input: Option<String>,
    /// Output tokens of sound. Default: the output price.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "price_schema")]
    pub audio_output: Option<String>,
    /// Input tokens of images. Default: the input price.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "price_schema")]
    pub image_input: Option<String>,
    /// Output tokens of images. Default: the output price.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "price_schema")]
    pub image_output: Option<String>,
    /// One image made. Default: nothing beside its tokens.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "unit_price_schema")]
    pub image: Option<String>,
    /// One second of sound that is listened to, for models that are billed by the length of what they
    /// transcribe. Default: nothing beside its tokens.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "unit_price_schema")]
    pub audio_second: Option<String>,
    /// One request, beside its tokens. Default: nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "unit_price_schema")]
    pub request: Option<String>,
    /// Other prices for certain requests. The highest `aboveInputTokens` that a request passes
    /// decides, for all of its tokens.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 8))]
    pub tiers: Vec<PricingTier>,
}

/// Prices of certain requests. Sound, images and requests that are not named cost as without the tier;
/// other prices default inside the tier.
#[derive(Clone, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(extend("x-kubernetes-validations" = [
    {"rule": "has(self.aboveInputTokens) || has(self.serviceTier)",
     "message": "a tier needs aboveInputTokens, for example 200000, or serviceTier, for example Priority"}
]))]
pub struct PricingTier {
    /// Requests with more input tokens than this.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 100_000_000))]
    pub above_input_tokens: Option<i64>,
    /// Requests that the provider says it has processed so. Default: as usual.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service_tier: Option<PricedServiceTier>,
    /// Input tokens.
    #[schemars(schema_with = "price_schema")]
    pub input: String,
    /// Output tokens.
    #[schemars(schema_with = "price_schema")]
    pub output: String,
    /// Input tokens read from the provider's prompt cache.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "price_schema")]
    pub cached_input: Option<String>,
    /// Input tokens written to the provider's prompt cache.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "price_schema")]
    pub cache_write: Option<String>,
    /// Input tokens written to the provider's prompt cache for an hour.
    #[serde(default, rename = "cacheWrite1h", skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "price_schema")]
    pub cache_write_1h: Option<String>,
    /// Reasoning tokens.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "price_schema")]
    pub reasoning: Option<String>,
    /// Input tokens of sound.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "price_schema")]
    pub audio_input: Option<String>,
    /// Output tokens of sound.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "price_schema")]
    pub audio_output: Option<String>,
}

/// How a provider has processed a request, as its answer says (`service_tier`).
#[derive(Clone, Copy, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
pub enum PricedServiceTier {
    /// Later, for less.
    Batch,
    /// When there was room, for less.
    Flex,
    /// Before others, for more.
    Priority,
}
