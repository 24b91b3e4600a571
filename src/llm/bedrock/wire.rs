//! The JSON of Bedrock's Converse, as far as it is read or written here. No meaning: that is given by
//! `block`, `request`, `response` and `stream`. Unions are structs of which one member is there.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::llm::chat::{FinishReason, Json};
use crate::llm::usage::{Usage, count};

/// A content block of a message, of the system prompt or of a tool result.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", default)]
pub struct WireBlock {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub image: Option<WireImage>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub document: Option<WireDocument>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tool_use: Option<WireToolUse>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tool_result: Option<WireToolResult>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reasoning_content: Option<WireReasoning>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub citations_content: Option<WireCited>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cache_point: Option<WireCachePoint>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub json: Option<Json>,
}

impl WireBlock {
    /// A block of text.
    pub fn text(text: impl Into<String>) -> Self {
        Self { text: Some(text.into()), ..Self::default() }
    }
}

/// `image`.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, Serialize)]
#[serde(default)]
pub struct WireImage {
    pub format: String,
    pub source: WireSource,
}

/// `document`.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, Serialize)]
#[serde(default)]
pub struct WireDocument {
    pub name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub format: Option<String>,
    pub source: WireSource,
}

/// Where data is. `bytes` is base64.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", default)]
pub struct WireSource {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bytes: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub s3_location: Option<WireS3>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
}

/// `s3Location`.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, Serialize)]
#[serde(default)]
pub struct WireS3 {
    pub uri: String,
}

/// `toolUse`.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", default)]
pub struct WireToolUse {
    pub tool_use_id: String,
    pub name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub input: Option<Json>,
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
}

impl WireToolUse {
    /// Whether Bedrock calls a tool of its own: then nobody else has to answer.
    pub fn is_foreign(&self) -> bool {
        self.kind.as_deref().is_some_and(|kind| kind != "tool_use")
    }
}

/// `toolResult`.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", default)]
pub struct WireToolResult {
    pub tool_use_id: String,
    pub content: Vec<WireBlock>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<String>,
}

/// `reasoningContent`. `redactedContent` is base64.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", default)]
pub struct WireReasoning {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reasoning_text: Option<WireReasoningText>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub redacted_content: Option<String>,
}

/// `reasoningText`.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, Serialize)]
#[serde(default)]
pub struct WireReasoningText {
    pub text: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub signature: Option<String>,
}

/// `citationsContent`: a text with its sources.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, Serialize)]
#[serde(default)]
pub struct WireCited {
    pub content: Vec<WireText>,
    pub citations: Vec<WireCitation>,
}

/// A member of a union that only has text.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, Serialize)]
#[serde(default)]
pub struct WireText {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
}

/// A citation.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", default)]
pub struct WireCitation {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub source_content: Vec<WireText>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub location: Option<WireLocation>,
}

/// Where a citation points, as far as it is a place outside the request.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, Serialize)]
#[serde(default)]
pub struct WireLocation {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub web: Option<WireWeb>,
}

/// `location.web`.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, Serialize)]
#[serde(default)]
pub struct WireWeb {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
}

/// `cachePoint`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(default)]
pub struct WireCachePoint {
    #[serde(rename = "type")]
    pub kind: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ttl: Option<String>,
}

/// A message.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, Serialize)]
#[serde(default)]
pub struct WireMessage {
    pub role: String,
    pub content: Vec<WireBlock>,
}

/// A request. The model and whether it streams are in the path.
#[derive(Debug, Clone, Default, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", default)]
pub struct WireRequest {
    pub messages: Vec<WireMessage>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub system: Vec<WireBlock>,
    #[serde(skip_serializing_if = "WireInference::is_empty")]
    pub inference_config: WireInference,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tool_config: Option<WireToolConfig>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub output_config: Option<WireOutput>,
    #[serde(skip_serializing_if = "Map::is_empty")]
    pub additional_model_request_fields: Map<String, Value>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub additional_model_response_field_paths: Vec<String>,
    #[serde(skip_serializing_if = "Map::is_empty")]
    pub request_metadata: Map<String, Value>,
}

/// `inferenceConfig`.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", default)]
pub struct WireInference {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_tokens: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub temperature: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub top_p: Option<f64>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub stop_sequences: Vec<String>,
}

impl WireInference {
    fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// `toolConfig`.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", default)]
pub struct WireToolConfig {
    pub tools: Vec<WireTool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tool_choice: Option<WireChoice>,
}

/// A tool or a cache point among them.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", default)]
pub struct WireTool {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tool_spec: Option<WireToolSpec>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cache_point: Option<WireCachePoint>,
}

/// `toolSpec`.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct WireToolSpec {
    pub name: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    pub input_schema: WireSchema,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub strict: Option<bool>,
}

/// `inputSchema`.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize)]
pub struct WireSchema {
    pub json: Json,
}

/// `toolChoice`.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, Serialize)]
#[serde(default)]
pub struct WireChoice {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub auto: Option<Empty>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub any: Option<Empty>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tool: Option<WireNamed>,
}

/// `{}`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, Serialize)]
pub struct Empty {}

/// `toolChoice.tool`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(default)]
pub struct WireNamed {
    pub name: String,
}

/// `outputConfig`.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", default)]
pub struct WireOutput {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub text_format: Option<WireFormat>,
}

/// `outputConfig.textFormat`.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, Serialize)]
#[serde(default)]
pub struct WireFormat {
    #[serde(rename = "type")]
    pub kind: String,
    pub structure: WireStructure,
}

/// `outputConfig.textFormat.structure`.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", default)]
pub struct WireStructure {
    pub json_schema: WireJsonSchema,
}

/// A schema as a text.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, Serialize)]
#[serde(default)]
pub struct WireJsonSchema {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    pub schema: String,
}

/// `usage`. `inputTokens` excludes what was read from or written to the cache.
#[derive(Debug, Clone, Copy, Default, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", default)]
pub struct WireUsage {
    #[serde(deserialize_with = "count")]
    input_tokens: Option<u64>,
    #[serde(deserialize_with = "count")]
    output_tokens: Option<u64>,
    #[serde(skip_deserializing)]
    total_tokens: u64,
    #[serde(deserialize_with = "count")]
    cache_read_input_tokens: Option<u64>,
    #[serde(deserialize_with = "count")]
    cache_write_input_tokens: Option<u64>,
}

impl WireUsage {
    /// The canonical counts; `None` if nothing was counted.
    pub fn canonical(&self) -> Option<Usage> {
        self.input_tokens.or(self.output_tokens)?;
        let cached_input = self.cache_read_input_tokens.unwrap_or(0);
        let cache_write = self.cache_write_input_tokens.unwrap_or(0);
        // A count that is missing leaves all of the input to an estimate.
        let cache = cached_input.saturating_add(cache_write);
        let input = self.input_tokens.map_or(0, |fresh| fresh.saturating_add(cache));
        let usage = Usage {
            input,
            output: self.output_tokens.unwrap_or(0),
            cached_input,
            cache_write,
            ..Usage::default()
        };
        Some(usage.bounded())
    }
}

impl From<Usage> for WireUsage {
    fn from(usage: Usage) -> Self {
        let cache = usage.cached_input.saturating_add(usage.cache_write);
        Self {
            input_tokens: Some(usage.input.saturating_sub(cache)),
            output_tokens: Some(usage.output),
            total_tokens: usage.total(),
            cache_read_input_tokens: Some(usage.cached_input),
            cache_write_input_tokens: Some(usage.cache_write),
        }
    }
}

/// A whole answer.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct WireAnswer {
    pub output: Option<WireOutputMessage>,
    pub stop_reason: Option<String>,
    pub usage: Option<WireUsage>,
    pub additional_model_response_fields: Option<Value>,
}

/// `output`.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct WireOutputMessage {
    pub message: Option<WireMessage>,
}

/// The usage of a whole answer.
pub fn usage_of(body: &[u8]) -> Option<Usage> {
    serde_json::from_slice::<WireAnswer>(body).ok()?.usage?.canonical()
}

/// The stop sequence that matched, which Claude tells on request: at one place in whole answers, at
/// another in streams.
pub fn stop_sequence(additional: Option<&Value>) -> Option<String> {
    let additional = additional?;
    let places = [additional.get("stop_sequence"), additional.pointer("/delta/stop_sequence")];
    places.into_iter().flatten().find_map(Value::as_str).map(str::to_owned)
}

/// Bedrock's word for why a model stopped.
pub fn finish_reason(word: &str) -> FinishReason {
    match word {
        "end_turn" | "stop_sequence" => FinishReason::Stop,
        "max_tokens" | "model_context_window_exceeded" => FinishReason::Length,
        "tool_use" => FinishReason::ToolCalls,
        "guardrail_intervened" | "content_filtered" => FinishReason::ContentFilter,
        other => FinishReason::Other(other.to_owned()),
    }
}

/// Bedrock's word for a finish reason.
pub fn finish_word(reason: &FinishReason, stop_sequence: Option<&str>) -> &'static str {
    match reason {
        FinishReason::Stop if stop_sequence.is_some() => "stop_sequence",
        FinishReason::Stop | FinishReason::Other(_) => "end_turn",
        FinishReason::Length => "max_tokens",
        FinishReason::ToolCalls => "tool_use",
        FinishReason::ContentFilter => "content_filtered",
    }
}
