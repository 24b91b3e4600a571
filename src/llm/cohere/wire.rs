//! The JSON of Cohere's chat, as far as it is read or written here. No meaning: that is given by
//! `request`, `message`, `response` and `stream`. Members of a request that Cohere does not know must
//! not appear here: it refuses them.

use serde::{Deserialize, Serialize};

use crate::llm::chat::{FinishReason, Json, TokenLogprob};
use crate::llm::one_or_many::OneOrMany;
use crate::llm::openai::wire::ImageUrl;
use crate::llm::usage::{Usage, count};

/// A request.
#[derive(Debug, Default, Serialize)]
pub struct WireRequest<'a> {
    pub model: &'a str,
    pub messages: Vec<WireMessage<'a>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub tools: Vec<WireTool<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub strict_tools: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tool_choice: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_tokens: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub temperature: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub p: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub k: Option<u64>,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    pub stop_sequences: &'a [String],
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seed: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub frequency_penalty: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub presence_penalty: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub logprobs: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub thinking: Option<WireThinking>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub response_format: Option<WireFormat>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stream: Option<bool>,
}

/// A message.
#[derive(Debug, Default, Serialize)]
pub struct WireMessage<'a> {
    pub role: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub content: Option<WireContent<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tool_plan: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub tool_calls: Vec<WireCall<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tool_call_id: Option<&'a str>,
}

/// A text, or a list of parts.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub enum WireContent<'a> {
    Text(String),
    Parts(Vec<WirePart<'a>>),
}

/// A part of content.
#[derive(Debug, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum WirePart<'a> {
    Text { text: &'a str },
    Thinking { thinking: &'a str },
    ImageUrl { image_url: ImageUrl },
}

/// A tool call.
#[derive(Debug, Serialize)]
pub struct WireCall<'a> {
    pub id: &'a str,
    #[serde(rename = "type")]
    pub kind: &'static str,
    pub function: WireFunction<'a>,
}

/// What is called.
#[derive(Debug, Serialize)]
pub struct WireFunction<'a> {
    pub name: &'a str,
    pub arguments: &'a str,
}

/// A tool.
#[derive(Debug, Serialize)]
pub struct WireTool<'a> {
    #[serde(rename = "type")]
    pub kind: &'static str,
    pub function: WireToolFunction<'a>,
}

/// A tool's function; parameters are demanded.
#[derive(Debug, Serialize)]
pub struct WireToolFunction<'a> {
    pub name: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<&'a str>,
    pub parameters: Json,
}

/// `thinking`.
#[derive(Debug, Serialize)]
pub struct WireThinking {
    #[serde(rename = "type")]
    pub kind: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub token_budget: Option<u64>,
}

/// `response_format`.
#[derive(Debug, Serialize)]
pub struct WireFormat {
    #[serde(rename = "type")]
    pub kind: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub json_schema: Option<Json>,
}

/// A whole answer.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Answer {
    pub id: Option<String>,
    pub message: Option<AnswerMessage>,
    pub finish_reason: Option<String>,
    pub usage: Option<WireUsage>,
    pub logprobs: Option<Vec<WireLogprob>>,
}

/// Its message.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct AnswerMessage {
    pub content: Option<OneOrMany<AnswerPart>>,
    pub tool_plan: Option<String>,
    pub tool_calls: Option<Vec<AnswerCall>>,
    pub citations: Option<Vec<WireCitation>>,
}

/// A part of it: text or thinking.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct AnswerPart {
    pub text: Option<String>,
    pub thinking: Option<String>,
}

/// A tool call, whole or a piece of one.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct AnswerCall {
    pub id: Option<String>,
    pub function: AnswerFunction,
}

/// What is called.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct AnswerFunction {
    pub name: Option<String>,
    pub arguments: Option<String>,
}

/// Where a statement comes from.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct WireCitation {
    pub start: Option<u64>,
    pub end: Option<u64>,
    pub sources: Option<Vec<WireSource>>,
    pub content_index: Option<usize>,
}

/// A document, or a tool's output.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct WireSource {
    pub id: Option<String>,
    pub document: Option<serde_json::Map<String, serde_json::Value>>,
    pub tool_output: Option<serde_json::Map<String, serde_json::Value>>,
}

/// Log probabilities of the tokens of one piece of text.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct WireLogprob {
    pub text: Option<String>,
    pub logprobs: Option<Vec<f64>>,
}

impl WireLogprob {
    /// Cohere splits no text into its tokens: the piece counts as one, with the logarithm of the
    /// product of their probabilities.
    pub fn canonical(self) -> TokenLogprob {
        TokenLogprob {
            token: self.text.unwrap_or_default(),
            logprob: self.logprobs.unwrap_or_default().iter().sum(),
            top: Vec::new(),
        }
    }
}

/// `usage`: what was counted, and what is billed, which leaves Cohere's own prompts out.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct WireUsage {
    tokens: Option<Counts>,
    billed_units: Option<Counts>,
    #[serde(deserialize_with = "count")]
    cached_tokens: Option<u64>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Counts {
    #[serde(deserialize_with = "count")]
    input_tokens: Option<u64>,
    #[serde(deserialize_with = "count")]
    output_tokens: Option<u64>,
}

impl WireUsage {
    /// The canonical counts; `None` if nothing was counted. Cached tokens are part of the input.
    pub fn canonical(&self) -> Option<Usage> {
        let counts = self.tokens.as_ref().or(self.billed_units.as_ref())?;
        let input = counts.input_tokens?;
        Some(Usage {
            input,
            output: counts.output_tokens.unwrap_or(0),
            cached_input: self.cached_tokens.unwrap_or(0).min(input),
            ..Usage::default()
        })
    }
}

/// The usage in a whole answer.
pub fn usage_of(body: &[u8]) -> Option<Usage> {
    #[derive(Deserialize)]
    struct Report {
        usage: WireUsage,
    }
    serde_json::from_slice::<Report>(body).ok()?.usage.canonical()
}

/// Cohere's word for why a model stopped; `None`: it failed.
pub fn finish_reason(word: &str) -> Option<FinishReason> {
    Some(match word {
        "COMPLETE" | "STOP_SEQUENCE" => FinishReason::Stop,
        "MAX_TOKENS" => FinishReason::Length,
        "TOOL_CALL" => FinishReason::ToolCalls,
        "ERROR_TOXIC" => FinishReason::ContentFilter,
        "ERROR" | "TIMEOUT" => return None,
        other => FinishReason::Other(other.to_ascii_lowercase()),
    })
}
