//! The JSON of Anthropic's Messages, as far as it is read or written here. No meaning: that is given
//! by `request`, `response` and `stream`.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer, Serialize};

use crate::llm::chat::{FinishReason, Json};
use crate::llm::one_or_many::OneOrMany;
use crate::llm::usage::{ServiceTier, Usage, count};

/// `usage` as reported: counts that are absent stay absent. `input_tokens` excludes the cache.
#[derive(Debug, Clone, Default, Deserialize, Serialize)]
pub struct WireUsage {
    #[serde(default, deserialize_with = "count")]
    input_tokens: Option<u64>,
    #[serde(default, deserialize_with = "count")]
    cache_creation_input_tokens: Option<u64>,
    #[serde(default, deserialize_with = "count")]
    cache_read_input_tokens: Option<u64>,
    #[serde(default, deserialize_with = "count")]
    output_tokens: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    output_tokens_details: Option<OutputDetails>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    cache_creation: Option<CacheCreation>,
    /// `standard`, `priority` or `batch`.
    #[serde(default, skip_serializing)]
    service_tier: Option<serde_json::Value>,
}

/// How long what was written to the cache is kept.
#[derive(Debug, Clone, Default, Deserialize, Serialize)]
struct CacheCreation {
    #[serde(default, deserialize_with = "count")]
    ephemeral_5m_input_tokens: Option<u64>,
    #[serde(default, deserialize_with = "count")]
    ephemeral_1h_input_tokens: Option<u64>,
}

#[derive(Debug, Clone, Default, Deserialize, Serialize)]
struct OutputDetails {
    #[serde(default, deserialize_with = "count")]
    thinking_tokens: Option<u64>,
}

impl WireUsage {
    /// Takes over what a later report says; reports are cumulative, so nothing is added.
    pub fn merge(&mut self, later: &Self) {
        fn take<T: Clone>(mine: &mut Option<T>, later: &Option<T>) {
            if later.is_some() {
                mine.clone_from(later);
            }
        }
        take(&mut self.input_tokens, &later.input_tokens);
        take(&mut self.cache_creation_input_tokens, &later.cache_creation_input_tokens);
        take(&mut self.cache_read_input_tokens, &later.cache_read_input_tokens);
        take(&mut self.output_tokens, &later.output_tokens);
        take(&mut self.output_tokens_details, &later.output_tokens_details);
        take(&mut self.cache_creation, &later.cache_creation);
        take(&mut self.service_tier, &later.service_tier);
    }

    /// The canonical counts; `None` if nothing was counted.
    pub fn canonical(&self) -> Option<Usage> {
        self.input_tokens.or(self.output_tokens)?;
        let cached_input = self.cache_read_input_tokens.unwrap_or(0);
        let cache_write = self.cache_creation_input_tokens.unwrap_or(0);
        let details = self.output_tokens_details.as_ref();
        let tier = self.service_tier.as_ref().and_then(serde_json::Value::as_str);
        let kept = self.cache_creation.as_ref().and_then(|kept| kept.ephemeral_1h_input_tokens);
        // A count that is missing leaves all of the input to an estimate.
        let cache = cached_input.saturating_add(cache_write);
        let input = self.input_tokens.map_or(0, |fresh| fresh.saturating_add(cache));
        let usage = Usage {
            input,
            output: self.output_tokens.unwrap_or(0),
            cached_input,
            cache_write,
            cache_write_1h: kept.unwrap_or(0),
            reasoning: details.and_then(|details| details.thinking_tokens).unwrap_or(0),
            service_tier: tier.map(ServiceTier::from_word).unwrap_or_default(),
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
            cache_creation_input_tokens: Some(usage.cache_write),
            cache_read_input_tokens: Some(usage.cached_input),
            output_tokens: Some(usage.output),
            output_tokens_details: (usage.reasoning > 0)
                .then_some(OutputDetails { thinking_tokens: Some(usage.reasoning) }),
            cache_creation: (usage.cache_write_1h > 0).then(|| CacheCreation {
                ephemeral_5m_input_tokens: Some(usage.cache_write - usage.cache_write_1h),
                ephemeral_1h_input_tokens: Some(usage.cache_write_1h),
            }),
            service_tier: None,
        }
    }
}

/// The usage of a whole message.
pub fn usage_of(body: &[u8]) -> Option<Usage> {
    #[derive(Deserialize)]
    struct Report {
        #[serde(default)]
        usage: Option<WireUsage>,
    }
    serde_json::from_slice::<Report>(body).ok()?.usage?.canonical()
}

/// What `message_start` and `message_delta` report.
#[derive(Debug, Default)]
pub struct UsageReport {
    /// The counts named.
    pub usage: Option<WireUsage>,
    /// The model that answers; `message_start` only.
    pub model: Option<String>,
}

/// Reads the report of a `message_start` or `message_delta`.
pub fn usage_report(data: &[u8]) -> UsageReport {
    #[derive(Default, Deserialize)]
    struct Event {
        #[serde(default)]
        usage: Option<WireUsage>,
        #[serde(default)]
        message: Option<Message>,
    }
    #[derive(Deserialize)]
    struct Message {
        #[serde(default)]
        usage: Option<WireUsage>,
        #[serde(default)]
        model: Option<String>,
    }
    let event: Event = serde_json::from_slice(data).unwrap_or_default();
    match event.message {
        Some(message) => UsageReport { usage: message.usage, model: message.model },
        None => UsageReport { usage: event.usage, model: None },
    }
}

/// Anthropic's word for why a model stopped.
pub fn finish_reason(word: &str) -> FinishReason {
    match word {
        "end_turn" | "stop_sequence" | "pause_turn" => FinishReason::Stop,
        "max_tokens" | "model_context_window_exceeded" => FinishReason::Length,
        "tool_use" => FinishReason::ToolCalls,
        "refusal" => FinishReason::ContentFilter,
        other => FinishReason::Other(other.to_owned()),
    }
}

/// Anthropic's word for a finish reason.
pub fn finish_word(reason: &FinishReason, stop_sequence: Option<&str>) -> &'static str {
    match reason {
        FinishReason::Stop if stop_sequence.is_some() => "stop_sequence",
        FinishReason::Stop | FinishReason::Other(_) => "end_turn",
        FinishReason::Length => "max_tokens",
        FinishReason::ToolCalls => "tool_use",
        FinishReason::ContentFilter => "refusal",
    }
}

/// A content block of any type: only the fields of its type are there.
#[derive(Debug, Clone, Default, Deserialize, Serialize)]
#[serde(default)]
pub struct WireBlock {
    #[serde(rename = "type")]
    pub kind: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    /// Of a text: a list; of a document: whether it may be cited.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub citations: Option<Json>,
    /// Of an image or a document; other blocks have a text of this name.
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "object")]
    pub source: Option<WireSource>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// Of a document: what the model is told about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub context: Option<Json>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub input: Option<Json>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tool_use_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub content: Option<OneOrMany<WireBlock>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub is_error: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub thinking: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub signature: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub data: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cache_control: Option<Json>,
}

impl WireBlock {
    /// A block of a type, with nothing in it yet.
    pub fn of(kind: &str) -> Self {
        Self { kind: kind.to_owned(), ..Self::default() }
    }

    /// A block of text.
    pub fn text(text: &str) -> Self {
        Self { text: Some(text.to_owned()), ..Self::of("text") }
    }
}

/// Where an image or a document is.
#[derive(Debug, Clone, Default, Deserialize, Serialize)]
#[serde(default)]
pub struct WireSource {
    #[serde(rename = "type")]
    pub kind: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub media_type: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub data: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file_id: Option<String>,
}

/// A member that is not an object of its kind is none.
fn object<'de, D: Deserializer<'de>, T: DeserializeOwned>(from: D) -> Result<Option<T>, D::Error> {
    let json = Option::<Json>::deserialize(from)?;
    Ok(json.and_then(|json| serde_json::from_str(json.text()).ok()))
}

/// A message of a request.
#[derive(Debug, Clone, Deserialize, Serialize)]
pub struct WireMessage {
    pub role: String,
    pub content: OneOrMany<WireBlock>,
}

/// A tool: the client's own, or one of Anthropic's (then it has a `type`).
#[derive(Debug, Clone, Default, Deserialize, Serialize)]
#[serde(default)]
pub struct WireTool {
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    pub name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub input_schema: Option<Json>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub strict: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cache_control: Option<Json>,
    /// Inputs that show how it is called.
    #[serde(skip_serializing)]
    pub input_examples: Option<Json>,
    /// It is not shown to the model before a search finds it.
    #[serde(skip_serializing)]
    pub defer_loading: Option<bool>,
    /// Who may call it; the model itself (`direct`) where nothing is said.
    #[serde(skip_serializing)]
    pub allowed_callers: Option<Vec<String>>,
}

/// `tool_choice`.
#[derive(Debug, Clone, Default, Deserialize, Serialize)]
#[serde(default)]
pub struct WireChoice {
    #[serde(rename = "type")]
    pub kind: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub disable_parallel_tool_use: Option<bool>,
}

/// `output_config`, as far as it has a canonical form.
#[derive(Debug, Clone, Default, Deserialize, Serialize)]
#[serde(default)]
pub struct WireOutput {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub format: Option<WireFormat>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub effort: Option<String>,
}

/// `thinking`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(default)]
pub struct WireThinking {
    #[serde(rename = "type")]
    pub kind: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub budget_tokens: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub display: Option<String>,
}

/// `output_config.format`.
#[derive(Debug, Clone, Default, Deserialize, Serialize)]
#[serde(default)]
pub struct WireFormat {
    #[serde(rename = "type")]
    pub kind: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub schema: Option<Json>,
}

/// `metadata`.
#[derive(Debug, Clone, Default, Deserialize, Serialize)]
#[serde(default)]
pub struct WireMetadata {
    pub user_id: Option<String>,
}

/// A request as it is written.
#[derive(Debug, Serialize)]
pub struct WireRequest<'a> {
    pub model: &'a str,
    pub max_tokens: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub system: Option<OneOrMany<WireBlock>>,
    pub messages: Vec<WireMessage>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub tools: Vec<WireTool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tool_choice: Option<WireChoice>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub temperature: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub top_p: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub top_k: Option<u64>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub stop_sequences: Vec<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub metadata: Option<WireMetadata>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub thinking: Option<WireThinking>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub output_config: Option<WireOutput>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stream: Option<bool>,
}

/// A whole answer, as it is read.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct WireAnswer {
    pub id: Option<String>,
    pub model: Option<String>,
    pub content: Option<Vec<WireBlock>>,
    pub stop_reason: Option<String>,
    pub stop_sequence: Option<String>,
    pub usage: Option<WireUsage>,
}
