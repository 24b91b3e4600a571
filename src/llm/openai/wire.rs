//! The JSON of OpenAI's chat completions, as far as it is read or written here. No meaning: that is
//! given by `request`, `response` and `stream`.

use serde::{Deserialize, Serialize};

use crate::llm::chat::{FinishReason, Json};
use crate::llm::one_or_many::OneOrMany;
use crate::llm::quirks::Quirks;
use crate::llm::scan::{Scan, scan};
use crate::llm::usage::{ServiceTier, Usage, count};

/// `usage` as reported: counts that are absent stay absent.
#[derive(Debug, Clone, Default, Deserialize, Serialize)]
pub struct WireUsage {
    #[serde(default, deserialize_with = "count")]
    prompt_tokens: Option<u64>,
    #[serde(default, deserialize_with = "count")]
    completion_tokens: Option<u64>,
    #[serde(default, deserialize_with = "count")]
    total_tokens: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    prompt_tokens_details: Option<PromptDetails>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    completion_tokens_details: Option<CompletionDetails>,
    /// DeepSeek's name for cached tokens.
    #[serde(default, skip_serializing, deserialize_with = "count")]
    prompt_cache_hit_tokens: Option<u64>,
    /// What images, transcripts and speech call their tokens.
    #[serde(default, skip_serializing, deserialize_with = "count")]
    input_tokens: Option<u64>,
    #[serde(default, skip_serializing, deserialize_with = "count")]
    output_tokens: Option<u64>,
    /// What transcripts, speech and images call what their tokens were.
    #[serde(default, skip_serializing)]
    input_token_details: Option<MediaDetails>,
    #[serde(default, skip_serializing)]
    input_tokens_details: Option<MediaDetails>,
    #[serde(default, skip_serializing)]
    output_tokens_details: Option<MediaDetails>,
    /// The length of what was transcribed, where that is billed (`type` is `duration`).
    #[serde(default, skip_serializing, deserialize_with = "count")]
    seconds: Option<u64>,
}

#[derive(Debug, Clone, Default, Deserialize, Serialize)]
struct PromptDetails {
    #[serde(default, deserialize_with = "count")]
    cached_tokens: Option<u64>,
    #[serde(default, deserialize_with = "count")]
    cache_write_tokens: Option<u64>,
    #[serde(default, deserialize_with = "count", skip_serializing_if = "Option::is_none")]
    audio_tokens: Option<u64>,
}

#[derive(Debug, Clone, Default, Deserialize, Serialize)]
struct CompletionDetails {
    #[serde(default, deserialize_with = "count")]
    reasoning_tokens: Option<u64>,
    #[serde(default, deserialize_with = "count", skip_serializing_if = "Option::is_none")]
    audio_tokens: Option<u64>,
}

/// Of what sort the tokens of an image, a transcript or speech were.
#[derive(Debug, Clone, Copy, Default, Deserialize)]
struct MediaDetails {
    #[serde(default, deserialize_with = "count")]
    audio_tokens: Option<u64>,
    #[serde(default, deserialize_with = "count")]
    image_tokens: Option<u64>,
}

impl WireUsage {
    /// The canonical counts; `None` if nothing was counted.
    pub fn canonical(&self, quirks: Quirks) -> Option<Usage> {
        let audio_seconds = self.seconds.unwrap_or(0);
        let input = self.prompt_tokens.or(self.input_tokens);
        let input = input.or_else(|| self.seconds.and(Some(0)))?;
        let mut output = self.completion_tokens.or(self.output_tokens).unwrap_or(0);
        let prompt = self.prompt_tokens_details.clone().unwrap_or_default();
        let completion = self.completion_tokens_details.clone().unwrap_or_default();
        let reasoning = completion.reasoning_tokens.unwrap_or(0);
        // xAI counts reasoning beside completion_tokens; its total tells, if there is one.
        let is_beside = match self.total_tokens {
            Some(total) => total == input + output + reasoning,
            None => quirks.reasoning_beside_output,
        };
        if is_beside {
            output += reasoning;
        }
        let cached_input = prompt.cached_tokens.or(self.prompt_cache_hit_tokens).unwrap_or(0);
        let cache_write = prompt.cache_write_tokens.unwrap_or(0);
        // Sound and cached tokens are counted side by side; what is both is cached here.
        let uncached = input.saturating_sub(cached_input).saturating_sub(cache_write);
        let (media_in, media_out) = self.media(output);
        let audio_input = prompt.audio_tokens.or(media_in.audio_tokens).unwrap_or(0).min(uncached);
        let usage = Usage {
            input,
            output,
            cached_input,
            cache_write,
            reasoning,
            audio_input,
            audio_output: completion.audio_tokens.or(media_out.audio_tokens).unwrap_or(0),
            image_input: media_in.image_tokens.unwrap_or(0).min(uncached - audio_input),
            image_output: media_out.image_tokens.unwrap_or(0).min(output),
            audio_seconds,
            ..Usage::default()
        };
        Some(usage.bounded())
    }

    /// What was sound and what was pictures, in and out. Older image models tell no more of their
    /// output than that there was some: all of it is pictures.
    fn media(&self, output: u64) -> (MediaDetails, MediaDetails) {
        let input = self.input_token_details.or(self.input_tokens_details).unwrap_or_default();
        let drawn = input.image_tokens.and(Some(output));
        let drawn = MediaDetails { image_tokens: drawn, ..MediaDetails::default() };
        (input, self.output_tokens_details.unwrap_or(drawn))
    }
}

impl From<Usage> for WireUsage {
    fn from(usage: Usage) -> Self {
        Self {
            prompt_tokens: Some(usage.input),
            completion_tokens: Some(usage.output),
            total_tokens: Some(usage.total()),
            prompt_tokens_details: Some(PromptDetails {
                cached_tokens: Some(usage.cached_input),
                cache_write_tokens: Some(usage.cache_write),
                audio_tokens: (usage.audio_input > 0).then_some(usage.audio_input),
            }),
            completion_tokens_details: Some(CompletionDetails {
                reasoning_tokens: Some(usage.reasoning),
                audio_tokens: (usage.audio_output > 0).then_some(usage.audio_output),
            }),
            ..Self::default()
        }
    }
}

/// The usage in a whole answer or a chunk, also where Groq puts it.
pub fn usage_of(body: &[u8], quirks: Quirks) -> Option<Usage> {
    usage_in(&scan(body), quirks)
}

/// The same of what has been scanned.
pub fn usage_in(found: &Scan<'_>, quirks: Quirks) -> Option<Usage> {
    #[derive(Deserialize)]
    struct Groq {
        #[serde(default)]
        usage: Option<WireUsage>,
    }
    let usage: Option<WireUsage> = match (found.usage, found.x_groq) {
        (Some(usage), _) => Some(serde_json::from_slice(usage).ok()?),
        (None, groq) => serde_json::from_slice::<Groq>(groq?).ok()?.usage,
    };
    let service_tier = found.service_tier.and_then(|word| str::from_utf8(word).ok());
    let service_tier = service_tier.map(ServiceTier::from_word).unwrap_or_default();
    Some(Usage { service_tier, ..usage?.canonical(quirks)? })
}

/// OpenAI's word for why a model stopped, and those of servers that follow it.
pub fn finish_reason(word: &str) -> FinishReason {
    match word {
        "stop" | "eos" | "end_turn" => FinishReason::Stop,
        "length" | "model_length" | "max_tokens" => FinishReason::Length,
        "tool_calls" | "function_call" => FinishReason::ToolCalls,
        "content_filter" => FinishReason::ContentFilter,
        other => FinishReason::Other(other.to_owned()),
    }
}

/// OpenAI's word for a finish reason.
pub fn finish_word(reason: &FinishReason) -> &'static str {
    match reason {
        FinishReason::Stop | FinishReason::Other(_) => "stop",
        FinishReason::Length => "length",
        FinishReason::ToolCalls => "tool_calls",
        FinishReason::ContentFilter => "content_filter",
    }
}

/// A message of a request or an answer.
#[derive(Debug, Clone, Default, Deserialize, Serialize)]
#[serde(default)]
pub struct WireMessage {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub role: Option<String>,
    pub content: Option<OneOrMany<WirePart>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub refusal: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tool_calls: Option<Vec<WireToolCall>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tool_call_id: Option<String>,
    #[serde(skip_serializing)]
    pub name: Option<String>,
    #[serde(skip_serializing)]
    pub audio: Option<Json>,
    /// Extension of many servers: images that the model made, as parts.
    #[serde(skip_serializing)]
    pub images: Option<Json>,
    /// The one call of an answer, before there were tools.
    #[serde(skip_serializing)]
    pub function_call: Option<WireFunction>,
    /// Extension of many servers: the reasoning as text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reasoning_content: Option<String>,
    /// The same by another name.
    #[serde(skip_serializing)]
    pub reasoning: Option<String>,
    /// Extension: thinking with its signature, to be given back unchanged in the next request.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub thinking_blocks: Option<Vec<ThinkingBlock>>,
    /// Where the text comes from.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub annotations: Option<Json>,
    /// Extension of Google's: a signature beside the text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub extra_content: Option<Json>,
    /// Extension: Anthropic's cache mark.
    #[serde(skip_serializing)]
    pub cache_control: Option<Json>,
}

/// `thinking_blocks`: Anthropic's blocks as they are.
#[derive(Debug, Clone, Default, Deserialize, Serialize)]
#[serde(default)]
pub struct ThinkingBlock {
    #[serde(rename = "type")]
    pub kind: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub thinking: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub signature: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub data: Option<String>,
}

/// A part of a message's content.
#[derive(Debug, Clone, Default, Deserialize, Serialize)]
#[serde(default)]
pub struct WirePart {
    #[serde(rename = "type")]
    pub kind: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub refusal: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub image_url: Option<ImageUrl>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file: Option<WireFile>,
    /// Mistral's reasoning: a list of text parts.
    #[serde(skip_serializing)]
    pub thinking: Option<OneOrMany<WirePart>>,
    /// Extension: Anthropic's cache mark.
    #[serde(skip_serializing)]
    pub cache_control: Option<Json>,
    /// OpenAI's cache mark.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub prompt_cache_breakpoint: Option<Json>,
}

/// An image's place.
#[derive(Debug, Clone, Default, Deserialize, Serialize)]
#[serde(default)]
pub struct ImageUrl {
    pub url: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
}

/// A document.
#[derive(Debug, Clone, Default, Deserialize, Serialize)]
#[serde(default)]
pub struct WireFile {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file_data: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub filename: Option<String>,
}

/// A tool call, whole or a piece of one.
#[derive(Debug, Clone, Default, Deserialize, Serialize)]
#[serde(default)]
pub struct WireToolCall {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub index: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    pub function: WireFunction,
    /// Extension of Google's: a signature beside the call.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub extra_content: Option<Json>,
}

/// What is called. Some servers give the arguments as an object.
#[derive(Debug, Clone, Default, Deserialize, Serialize)]
#[serde(default)]
pub struct WireFunction {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub arguments: Option<Json>,
}

impl WireFunction {
    /// The arguments as text, whether they came as a text or as an object. May be a piece, or empty.
    pub fn arguments_text(&self) -> Option<String> {
        let text = self.arguments.as_ref()?.text();
        match serde_json::from_str::<String>(text) {
            Ok(inner) => Some(inner),
            Err(_) if text == "null" => None,
            Err(_) => Some(text.to_owned()),
        }
    }
}

/// A tool.
#[derive(Debug, Clone, Default, Deserialize, Serialize)]
#[serde(default)]
pub struct WireTool {
    #[serde(rename = "type")]
    pub kind: String,
    pub function: Option<WireToolFunction>,
    /// Extension: Anthropic's cache mark.
    #[serde(skip_serializing)]
    pub cache_control: Option<Json>,
}

/// A tool's function.
#[derive(Debug, Clone, Default, Deserialize, Serialize)]
#[serde(default)]
pub struct WireToolFunction {
    pub name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub parameters: Option<Json>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub strict: Option<bool>,
}

/// `response_format`.
#[derive(Debug, Clone, Default, Deserialize, Serialize)]
#[serde(default)]
pub struct WireFormat {
    #[serde(rename = "type")]
    pub kind: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub json_schema: Option<WireSchema>,
}

/// `response_format.json_schema`.
#[derive(Debug, Clone, Default, Deserialize, Serialize)]
#[serde(default)]
pub struct WireSchema {
    pub name: Option<String>,
    /// What the schema is for; only read.
    #[serde(skip_serializing)]
    pub description: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub schema: Option<Json>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub strict: Option<bool>,
}

/// A request as it is written.
#[derive(Debug, Default, Serialize)]
pub struct WireRequest<'a> {
    pub model: &'a str,
    pub messages: Vec<WireMessage>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub tools: Vec<WireTool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tool_choice: Option<serde_json::Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub parallel_tool_calls: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_tokens: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_completion_tokens: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub temperature: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub top_p: Option<f64>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub stop: Vec<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub n: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seed: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub frequency_penalty: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub presence_penalty: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub logprobs: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub top_logprobs: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reasoning_effort: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub response_format: Option<WireFormat>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stream: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stream_options: Option<serde_json::Value>,
}

/// A whole answer or a chunk, as it is read.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct WireAnswer {
    pub id: Option<String>,
    pub model: Option<String>,
    pub choices: Option<Vec<WireChoice>>,
}

/// One choice; a stream gives `delta`, a whole answer `message`.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct WireChoice {
    pub index: Option<u32>,
    pub message: Option<WireMessage>,
    pub delta: Option<WireMessage>,
    pub logprobs: Option<Json>,
    pub finish_reason: Option<String>,
}
