//! The JSON of OpenAI's Responses, as far as it is read or written here. No meaning: that is given by
//! the modules beside this one.

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::llm::chat::{Json, TokenLogprob};
use crate::llm::one_or_many::OneOrMany;
use crate::llm::usage::{Usage, count};

/// `usage` as reported. The SDKs require every member.
#[derive(Debug, Clone, Default, Deserialize, Serialize)]
#[serde(default)]
pub struct WireUsage {
    #[serde(deserialize_with = "count")]
    input_tokens: Option<u64>,
    input_tokens_details: Option<InputDetails>,
    #[serde(deserialize_with = "count")]
    output_tokens: Option<u64>,
    output_tokens_details: Option<OutputDetails>,
    #[serde(deserialize_with = "count")]
    total_tokens: Option<u64>,
}

#[derive(Debug, Clone, Default, Deserialize, Serialize)]
#[serde(default)]
struct InputDetails {
    #[serde(deserialize_with = "count")]
    cached_tokens: Option<u64>,
    #[serde(deserialize_with = "count")]
    cache_write_tokens: Option<u64>,
}

#[derive(Debug, Clone, Default, Deserialize, Serialize)]
#[serde(default)]
struct OutputDetails {
    #[serde(deserialize_with = "count")]
    reasoning_tokens: Option<u64>,
}

impl WireUsage {
    /// The canonical counts; `None` if nothing was counted.
    pub fn canonical(&self) -> Option<Usage> {
        let input = self.input_tokens?;
        let details = self.input_tokens_details.clone().unwrap_or_default();
        let reasoning = self.output_tokens_details.as_ref().and_then(|d| d.reasoning_tokens);
        let usage = Usage {
            input,
            output: self.output_tokens.unwrap_or(0),
            cached_input: details.cached_tokens.unwrap_or(0),
            cache_write: details.cache_write_tokens.unwrap_or(0),
            reasoning: reasoning.unwrap_or(0),
            ..Usage::default()
        };
        Some(usage.bounded())
    }
}

impl From<Usage> for WireUsage {
    fn from(usage: Usage) -> Self {
        Self {
            input_tokens: Some(usage.input),
            input_tokens_details: Some(InputDetails {
                cached_tokens: Some(usage.cached_input),
                cache_write_tokens: Some(usage.cache_write),
            }),
            output_tokens: Some(usage.output),
            output_tokens_details: Some(OutputDetails { reasoning_tokens: Some(usage.reasoning) }),
            total_tokens: Some(usage.total()),
        }
    }
}

/// An item of a request's input or an answer's output: only the members of its type are there.
#[derive(Debug, Clone, Default, Deserialize, Serialize)]
#[serde(default)]
pub struct WireItem {
    #[serde(rename = "type", skip_serializing_if = "String::is_empty")]
    pub kind: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub role: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub content: Option<OneOrMany<WirePart>>,
    #[serde(skip_serializing)]
    pub phase: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub call_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    #[serde(skip_serializing)]
    pub namespace: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub arguments: Option<String>,
    /// What a freeform tool was given.
    #[serde(skip_serializing)]
    pub input: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub output: Option<OneOrMany<WirePart>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub summary: Option<Vec<WirePart>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub encrypted_content: Option<String>,
}

impl WireItem {
    /// The type of an item; a message may come without.
    pub fn kind_of(raw: &RawValue) -> String {
        #[derive(Deserialize)]
        struct Kind {
            #[serde(rename = "type", default)]
            kind: Option<String>,
            #[serde(default)]
            role: Option<serde::de::IgnoredAny>,
        }
        match serde_json::from_str::<Kind>(raw.get()) {
            Ok(Kind { kind: Some(kind), .. }) => kind,
            Ok(Kind { kind: None, role: Some(_) }) => "message".to_owned(),
            Ok(_) => "item_reference".to_owned(),
            Err(_) => String::new(),
        }
    }
}

/// A part of an item's content.
#[derive(Debug, Clone, Default, Deserialize, Serialize)]
#[serde(default)]
pub struct WirePart {
    #[serde(rename = "type")]
    pub kind: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub refusal: Option<String>,
    /// A text, unlike in chat completions: a URL or a data URL.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub image_url: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file_url: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file_data: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub filename: Option<String>,
    #[serde(skip_serializing)]
    pub annotations: Option<Vec<WireAnnotation>>,
    #[serde(skip_serializing)]
    pub logprobs: Option<Vec<WireLogprob>>,
    /// OpenAI's cache mark.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub prompt_cache_breakpoint: Option<Json>,
}

/// Where a text comes from: only the members of its type are there.
#[derive(Debug, Clone, Default, Deserialize, Serialize)]
#[serde(default)]
pub struct WireAnnotation {
    #[serde(rename = "type")]
    pub kind: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub filename: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub index: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub start_index: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub end_index: Option<u64>,
}

/// How likely a token was.
#[derive(Debug, Clone, Default, Deserialize, Serialize)]
#[serde(default)]
pub struct WireLogprob {
    pub token: String,
    #[serde(skip_deserializing)]
    pub bytes: Vec<u8>,
    pub logprob: f64,
    pub top_logprobs: Vec<WireTop>,
}

/// One of the likeliest tokens at a place.
#[derive(Debug, Clone, Default, Deserialize, Serialize)]
#[serde(default)]
pub struct WireTop {
    pub token: String,
    #[serde(skip_deserializing)]
    pub bytes: Vec<u8>,
    pub logprob: f64,
}

impl From<WireLogprob> for TokenLogprob {
    fn from(wire: WireLogprob) -> Self {
        let top = wire.top_logprobs.into_iter().map(|top| (top.token, top.logprob)).collect();
        Self { token: wire.token, logprob: wire.logprob, top }
    }
}

impl From<&TokenLogprob> for WireLogprob {
    fn from(token: &TokenLogprob) -> Self {
        let top = |(token, logprob): &(String, f64)| WireTop {
            bytes: token.clone().into_bytes(),
            token: token.clone(),
            logprob: *logprob,
        };
        Self {
            bytes: token.token.clone().into_bytes(),
            token: token.token.clone(),
            logprob: token.logprob,
            top_logprobs: token.top.iter().map(top).collect(),
        }
    }
}

/// A tool: a function, a freeform tool, a namespace of such, or one of OpenAI's own.
#[derive(Debug, Clone, Default, Deserialize, Serialize)]
#[serde(default)]
pub struct WireTool {
    #[serde(rename = "type")]
    pub kind: String,
    pub name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub parameters: Option<Json>,
    /// Absent means true where the schema allows it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub strict: Option<bool>,
    /// The form of a freeform tool's input.
    #[serde(skip_serializing)]
    pub format: Option<WireGrammar>,
    /// The tools of a namespace.
    #[serde(skip_serializing)]
    pub tools: Vec<WireTool>,
}

/// `tools[].format` of a freeform tool.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct WireGrammar {
    pub syntax: Option<String>,
    pub definition: Option<String>,
}

/// `tool_choice` as an object.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct WireChoice {
    #[serde(rename = "type")]
    pub kind: String,
    pub name: Option<String>,
    pub namespace: Option<String>,
    pub mode: Option<String>,
    pub tools: Vec<WireChoice>,
}

/// `text`.
#[derive(Debug, Clone, Default, Deserialize, Serialize)]
#[serde(default)]
pub struct WireText {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub format: Option<WireFormat>,
    #[serde(skip_serializing)]
    pub verbosity: Option<String>,
}

/// `text.format`: flat, unlike in chat completions.
#[derive(Debug, Clone, Default, Deserialize, Serialize)]
#[serde(default)]
pub struct WireFormat {
    #[serde(rename = "type")]
    pub kind: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// What the schema is for; only read.
    #[serde(skip_serializing)]
    pub description: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub schema: Option<Json>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub strict: Option<bool>,
}

/// `reasoning`.
#[derive(Debug, Clone, Default, Deserialize, Serialize)]
#[serde(default)]
pub struct WireReasoning {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub effort: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub summary: Option<String>,
    /// The former name of `summary`.
    #[serde(skip_serializing)]
    pub generate_summary: Option<String>,
    #[serde(skip_serializing)]
    pub context: Option<String>,
    #[serde(skip_serializing)]
    pub mode: Option<String>,
}

/// A request as it is written.
#[derive(Debug, Default, Serialize)]
pub struct WireRequest<'a> {
    pub model: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub instructions: Option<String>,
    pub input: Vec<WireItem>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub tools: Vec<WireTool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tool_choice: Option<serde_json::Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub parallel_tool_calls: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_output_tokens: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub temperature: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub top_p: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub top_logprobs: Option<u32>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub include: Vec<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reasoning: Option<WireReasoning>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub text: Option<WireText>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user: Option<&'a str>,
    pub store: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stream: Option<bool>,
}

/// A whole answer, or the one inside a stream's first and last events, as it is read.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct WireAnswer {
    pub id: Option<String>,
    pub model: Option<String>,
    pub status: Option<String>,
    pub output: Option<Vec<Box<RawValue>>>,
    pub incomplete_details: Option<WireIncomplete>,
    pub usage: Option<WireUsage>,
}

/// `incomplete_details`.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct WireIncomplete {
    pub reason: Option<String>,
}
