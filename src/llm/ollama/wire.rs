//! The JSON of Ollama's chat, as far as it is read or written here. No meaning: that is given by
//! `request`, `message`, `response` and `stream`.

use serde::{Deserialize, Serialize};

use crate::llm::chat::{FinishReason, Json, TokenLogprob};
use crate::llm::openai::wire::WireTool;
use crate::llm::usage::{Usage, count};

/// A request. `stream` is always written: Ollama streams unless told not to.
#[derive(Debug, Default, Serialize)]
pub struct WireRequest<'a> {
    pub model: &'a str,
    pub messages: Vec<WireMessage<'a>>,
    pub stream: bool,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub tools: Vec<WireTool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub format: Option<Json>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub think: Option<WireThink>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub logprobs: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub top_logprobs: Option<u32>,
    #[serde(skip_serializing_if = "WireOptions::is_empty")]
    pub options: WireOptions<'a>,
}

/// `think`: a switch, or a level for models that have levels only.
#[derive(Debug, Clone, Copy, Serialize)]
#[serde(untagged)]
pub enum WireThink {
    Switch(bool),
    Level(&'static str),
}

/// `options`.
#[derive(Debug, Default, Serialize)]
pub struct WireOptions<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub num_predict: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub temperature: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub top_p: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub top_k: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seed: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub frequency_penalty: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub presence_penalty: Option<f64>,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    pub stop: &'a [String],
}

impl WireOptions<'_> {
    fn is_empty(&self) -> bool {
        self.stop.is_empty()
            && [self.num_predict, self.top_k].iter().all(Option::is_none)
            && self.seed.is_none()
            && [self.temperature, self.top_p, self.frequency_penalty, self.presence_penalty]
                .iter()
                .all(Option::is_none)
    }
}

/// A message.
#[derive(Debug, Default, Serialize)]
pub struct WireMessage<'a> {
    pub role: &'static str,
    pub content: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub thinking: String,
    /// In base64, without a data URL around it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub images: Vec<&'a str>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub tool_calls: Vec<WireCall>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tool_name: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tool_call_id: Option<&'a str>,
}

/// A tool call; the id is newer than the rest.
#[derive(Debug, Default, Deserialize, Serialize)]
#[serde(default)]
pub struct WireCall {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    pub function: WireFunction,
}

/// What is called.
#[derive(Debug, Default, Deserialize, Serialize)]
#[serde(default)]
pub struct WireFunction {
    pub name: String,
    /// An object, not a text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub arguments: Option<Json>,
}

impl WireFunction {
    /// The arguments as the text of an object.
    pub fn arguments_text(&self) -> String {
        let text = self.arguments.as_ref().map_or("", Json::text);
        if text.starts_with('{') { text.to_owned() } else { "{}".to_owned() }
    }
}

/// A whole answer, or one line of a stream.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Answer {
    pub model: Option<String>,
    pub created_at: Option<String>,
    pub message: Option<AnswerMessage>,
    pub done: bool,
    pub done_reason: Option<String>,
    pub logprobs: Option<Vec<WireLogprob>>,
    #[serde(deserialize_with = "count")]
    prompt_eval_count: Option<u64>,
    #[serde(deserialize_with = "count")]
    eval_count: Option<u64>,
    pub error: Option<serde_json::Value>,
}

impl Answer {
    /// The canonical counts; `None` without the prompt's, which older servers leave out where it was
    /// cached: an estimate is better than nothing paid for.
    pub fn usage(&self) -> Option<Usage> {
        let input = self.prompt_eval_count?;
        Some(Usage { input, output: self.eval_count.unwrap_or(0), ..Usage::default() })
    }
}

/// The usage in a whole answer or in the last line of a stream.
pub fn usage_of(body: &[u8]) -> Option<Usage> {
    serde_json::from_slice::<Answer>(body).ok()?.usage()
}

/// The message of an answer.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct AnswerMessage {
    pub content: Option<String>,
    pub thinking: Option<String>,
    pub tool_calls: Option<Vec<WireCall>>,
}

/// How likely a token was.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct WireLogprob {
    token: String,
    logprob: f64,
    top_logprobs: Option<Vec<WireLogprob>>,
}

impl WireLogprob {
    /// Canonical.
    pub fn canonical(self) -> TokenLogprob {
        let top = self.top_logprobs.unwrap_or_default();
        TokenLogprob {
            token: self.token,
            logprob: self.logprob,
            top: top.into_iter().map(|one| (one.token, one.logprob)).collect(),
        }
    }
}

/// Ollama's word for why a model stopped; it says `stop` beside calls too.
pub fn finish_reason(word: &str, called: bool) -> FinishReason {
    match word {
        "stop" | "load" | "unload" | "" if called => FinishReason::ToolCalls,
        "stop" | "load" | "unload" | "" => FinishReason::Stop,
        "length" => FinishReason::Length,
        other => FinishReason::Other(other.to_owned()),
    }
}
