//! The JSON of Gemini's `generateContent`, as far as it is read or written here. No meaning: that is
//! given by `request`, `response` and `stream`.
//!
//! Google reads members in camelCase and in snake_case (proto JSON); what callers write is read in
//! both, what is written is camelCase. Source: Gemini API reference, "GenerateContent".

use serde::{Deserialize, Serialize};

use crate::llm::chat::{FinishReason, Json};
use crate::llm::usage::{Usage, count};

/// A turn, or the system's instruction.
#[derive(Debug, Clone, Default, Deserialize, Serialize)]
#[serde(default)]
pub struct WireContent {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub role: Option<String>,
    pub parts: Option<Vec<WirePart>>,
}

/// A part: one of the data members, and what lies beside it.
#[derive(Debug, Clone, Default, Deserialize, Serialize)]
#[serde(default, rename_all = "camelCase")]
pub struct WirePart {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    #[serde(alias = "inline_data", skip_serializing_if = "Option::is_none")]
    pub inline_data: Option<WireBlob>,
    #[serde(alias = "file_data", skip_serializing_if = "Option::is_none")]
    pub file_data: Option<WireFile>,
    #[serde(alias = "function_call", skip_serializing_if = "Option::is_none")]
    pub function_call: Option<WireCall>,
    #[serde(alias = "function_response", skip_serializing_if = "Option::is_none")]
    pub function_response: Option<WireResult>,
    #[serde(alias = "executable_code", skip_serializing)]
    pub executable_code: Option<WireCode>,
    #[serde(alias = "code_execution_result", skip_serializing)]
    pub code_execution_result: Option<WireOutcome>,
    #[serde(alias = "tool_call", skip_serializing)]
    pub tool_call: Option<Json>,
    #[serde(alias = "tool_response", skip_serializing)]
    pub tool_response: Option<Json>,
    #[serde(alias = "video_metadata", skip_serializing)]
    pub video_metadata: Option<Json>,
    #[serde(alias = "media_resolution", skip_serializing)]
    pub media_resolution: Option<Json>,
    /// The part is a thought.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub thought: Option<bool>,
    /// Bytes in base64.
    #[serde(alias = "thought_signature", skip_serializing_if = "Option::is_none")]
    pub thought_signature: Option<String>,
}

impl WirePart {
    /// A part of text.
    pub fn text(text: impl Into<String>) -> Self {
        Self { text: Some(text.into()), ..Self::default() }
    }
}

/// Data in the message itself.
#[derive(Debug, Clone, Default, Deserialize, Serialize)]
#[serde(default, rename_all = "camelCase")]
pub struct WireBlob {
    #[serde(alias = "mime_type")]
    pub mime_type: String,
    pub data: String,
    #[serde(alias = "display_name", skip_serializing)]
    pub display_name: Option<String>,
}

/// Data that Google fetches.
#[derive(Debug, Clone, Default, Deserialize, Serialize)]
#[serde(default, rename_all = "camelCase")]
pub struct WireFile {
    #[serde(alias = "mime_type", skip_serializing_if = "Option::is_none")]
    pub mime_type: Option<String>,
    #[serde(alias = "file_uri")]
    pub file_uri: String,
    #[serde(alias = "display_name", skip_serializing)]
    pub display_name: Option<String>,
}

/// A call of a function, whole or (Vertex AI, when asked) in pieces.
#[derive(Debug, Clone, Default, Deserialize, Serialize)]
#[serde(default, rename_all = "camelCase")]
pub struct WireCall {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub args: Option<Json>,
    #[serde(skip_serializing)]
    pub partial_args: Option<Vec<PartialArg>>,
    #[serde(skip_serializing)]
    pub will_continue: Option<bool>,
}

/// One piece of streamed arguments: a value and its place.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct PartialArg {
    pub json_path: String,
    pub string_value: Option<String>,
    pub number_value: Option<serde_json::Number>,
    pub bool_value: Option<bool>,
}

/// What a function gave.
#[derive(Debug, Clone, Default, Deserialize, Serialize)]
#[serde(default)]
pub struct WireResult {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    pub name: String,
    /// Always an object.
    pub response: Option<Json>,
    /// Images and documents; from Gemini 3 on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub parts: Option<Vec<WirePart>>,
}

/// Code that Google's own tool ran.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct WireCode {
    pub language: String,
    pub code: String,
}

/// What that code gave.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct WireOutcome {
    pub output: String,
}

/// An entry of `tools`.
#[derive(Debug, Clone, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct WireTools {
    pub function_declarations: Vec<WireFunction>,
}

/// A function that the model may call.
#[derive(Debug, Clone, Default, Deserialize, Serialize)]
#[serde(default, rename_all = "camelCase")]
pub struct WireFunction {
    pub name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// In the dialect of OpenAPI; only read.
    #[serde(skip_serializing)]
    pub parameters: Option<Json>,
    #[serde(alias = "parameters_json_schema", skip_serializing_if = "Option::is_none")]
    pub parameters_json_schema: Option<Json>,
    /// Whether the model waits for the result; `BLOCKING` where nothing is said.
    #[serde(skip_serializing)]
    pub behavior: Option<String>,
    /// The schema of the result, in the dialect of OpenAPI.
    #[serde(skip_serializing)]
    pub response: Option<Json>,
    /// The same as JSON schema.
    #[serde(alias = "response_json_schema", skip_serializing)]
    pub response_json_schema: Option<Json>,
}

/// `toolConfig`.
#[derive(Debug, Clone, Default, Deserialize, Serialize)]
#[serde(default, rename_all = "camelCase")]
pub struct WireToolConfig {
    #[serde(alias = "function_calling_config", skip_serializing_if = "Option::is_none")]
    pub function_calling_config: Option<WireCalling>,
    #[serde(alias = "retrieval_config", skip_serializing)]
    pub retrieval_config: Option<Json>,
}

/// `toolConfig.functionCallingConfig`.
#[derive(Debug, Clone, Default, Deserialize, Serialize)]
#[serde(default, rename_all = "camelCase")]
pub struct WireCalling {
    pub mode: String,
    #[serde(alias = "allowed_function_names", skip_serializing_if = "Option::is_none")]
    pub allowed_function_names: Option<Vec<String>>,
}

/// `generationConfig.thinkingConfig`.
#[derive(Debug, Clone, Default, Deserialize, Serialize)]
#[serde(default, rename_all = "camelCase")]
pub struct WireThinking {
    #[serde(alias = "include_thoughts", skip_serializing_if = "Option::is_none")]
    pub include_thoughts: Option<bool>,
    #[serde(alias = "thinking_budget", skip_serializing_if = "Option::is_none")]
    pub thinking_budget: Option<i64>,
    #[serde(alias = "thinking_level", skip_serializing_if = "Option::is_none")]
    pub thinking_level: Option<String>,
}

/// `generationConfig` as it is written.
#[derive(Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct WireConfig<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub candidate_count: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_output_tokens: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub temperature: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub top_p: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub top_k: Option<u64>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub stop_sequences: Vec<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seed: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub presence_penalty: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub frequency_penalty: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub response_logprobs: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub logprobs: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub response_mime_type: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub response_json_schema: Option<Json>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub thinking_config: Option<WireThinking>,
}

impl PartialEq for WireThinking {
    fn eq(&self, other: &Self) -> bool {
        (self.include_thoughts, self.thinking_budget, &self.thinking_level)
            == (other.include_thoughts, other.thinking_budget, &other.thinking_level)
    }
}

/// A request as it is written. The model stands in the path.
#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct WireRequest<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub system_instruction: Option<WireContent>,
    pub contents: Vec<WireContent>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub tools: Vec<WireTools>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tool_config: Option<WireToolConfig>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub generation_config: Option<WireConfig<'a>>,
}

/// A whole answer or one piece of a stream: both have the same form.
#[derive(Debug, Default, Deserialize, Serialize)]
#[serde(default, rename_all = "camelCase")]
pub struct WireAnswer {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub candidates: Option<Vec<WireCandidate>>,
    #[serde(skip_serializing)]
    pub prompt_feedback: Option<WireFeedback>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub usage_metadata: Option<WireUsage>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub model_version: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub response_id: Option<String>,
}

/// Why a prompt was refused.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct WireFeedback {
    pub block_reason: Option<String>,
}

/// One of the answers.
#[derive(Debug, Default, Deserialize, Serialize)]
#[serde(default, rename_all = "camelCase")]
pub struct WireCandidate {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub content: Option<WireContent>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub finish_reason: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub finish_message: Option<String>,
    pub index: Option<u32>,
    #[serde(skip_serializing)]
    pub citation_metadata: Option<WireCitations>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub grounding_metadata: Option<WireGrounding>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub logprobs_result: Option<WireLogprobs>,
}

/// `citationMetadata`: where recited text comes from. Vertex AI calls the list `citations`.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct WireCitations {
    #[serde(alias = "citations")]
    pub citation_sources: Vec<WireCitation>,
}

/// One source of recited text; the bounds are bytes.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct WireCitation {
    pub start_index: Option<u64>,
    pub end_index: Option<u64>,
    pub uri: Option<String>,
    pub title: Option<String>,
}

/// `groundingMetadata`: what a search found, and which words rest on it.
#[derive(Debug, Default, Deserialize, Serialize)]
#[serde(default, rename_all = "camelCase")]
pub struct WireGrounding {
    pub grounding_chunks: Vec<WireChunk>,
    pub grounding_supports: Vec<WireSupport>,
}

/// One source: a page, or a document of the caller's own.
#[derive(Debug, Default, Deserialize, Serialize)]
#[serde(default, rename_all = "camelCase")]
pub struct WireChunk {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub web: Option<WirePlace>,
    #[serde(skip_serializing)]
    pub retrieved_context: Option<WirePlace>,
    #[serde(skip_serializing)]
    pub maps: Option<WirePlace>,
}

/// Where a source is.
#[derive(Debug, Default, Clone, Deserialize, Serialize)]
#[serde(default)]
pub struct WirePlace {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub uri: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
}

/// Words of the answer and the sources that they rest on.
#[derive(Debug, Default, Deserialize, Serialize)]
#[serde(default, rename_all = "camelCase")]
pub struct WireSupport {
    pub segment: WireSegment,
    pub grounding_chunk_indices: Vec<usize>,
}

/// Words of the answer; the bounds are bytes within their part.
#[derive(Debug, Default, Deserialize, Serialize)]
#[serde(default, rename_all = "camelCase")]
pub struct WireSegment {
    #[serde(skip_serializing)]
    pub part_index: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub start_index: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub end_index: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
}

/// `logprobsResult`.
#[derive(Debug, Default, Deserialize, Serialize)]
#[serde(default, rename_all = "camelCase")]
pub struct WireLogprobs {
    pub chosen_candidates: Vec<WireToken>,
    pub top_candidates: Vec<WireTop>,
}

/// The likeliest tokens at one place.
#[derive(Debug, Default, Deserialize, Serialize)]
#[serde(default)]
pub struct WireTop {
    pub candidates: Vec<WireToken>,
}

/// A token and the logarithm of its probability.
#[derive(Debug, Default, Deserialize, Serialize)]
#[serde(default, rename_all = "camelCase")]
pub struct WireToken {
    pub token: String,
    pub log_probability: f64,
}

/// `usageMetadata`. The prompt includes what was cached; the candidates exclude the thoughts; what
/// Google's own tools read is outside both.
#[derive(Debug, Clone, Default, Deserialize, Serialize)]
#[serde(default, rename_all = "camelCase")]
pub struct WireUsage {
    #[serde(deserialize_with = "count", skip_serializing_if = "Option::is_none")]
    prompt_token_count: Option<u64>,
    #[serde(deserialize_with = "count", skip_serializing_if = "Option::is_none")]
    cached_content_token_count: Option<u64>,
    #[serde(deserialize_with = "count", skip_serializing_if = "Option::is_none")]
    candidates_token_count: Option<u64>,
    #[serde(deserialize_with = "count", skip_serializing_if = "Option::is_none")]
    thoughts_token_count: Option<u64>,
    #[serde(deserialize_with = "count", skip_serializing)]
    tool_use_prompt_token_count: Option<u64>,
    #[serde(deserialize_with = "count", skip_serializing_if = "Option::is_none")]
    total_token_count: Option<u64>,
    #[serde(skip_serializing)]
    prompt_tokens_details: Vec<WireModality>,
    #[serde(skip_serializing)]
    candidates_tokens_details: Vec<WireModality>,
}

/// Tokens of one kind of content.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct WireModality {
    modality: String,
    #[serde(deserialize_with = "count")]
    token_count: Option<u64>,
}

fn tokens_of(details: &[WireModality], modality: &str) -> u64 {
    let counts = details.iter().filter(|detail| detail.modality == modality);
    counts.filter_map(|detail| detail.token_count).fold(0, u64::saturating_add)
}

impl WireUsage {
    /// The canonical counts; `None` if nothing was counted.
    pub fn canonical(&self) -> Option<Usage> {
        self.prompt_token_count.or(self.candidates_token_count)?;
        let reasoning = self.thoughts_token_count.unwrap_or(0);
        let tools = self.tool_use_prompt_token_count.unwrap_or(0);
        let input = self.prompt_token_count.unwrap_or(0).saturating_add(tools);
        // An answer of thoughts alone has no count of candidates; where there should have been one, the
        // total tells.
        let others = input.saturating_add(reasoning);
        let beside = || Some(self.total_token_count?.saturating_sub(others));
        let said = self.prompt_token_count.and_then(|_| beside());
        let said = self.candidates_token_count.or(said).unwrap_or(0);
        let usage = Usage {
            input,
            output: said.saturating_add(reasoning),
            cached_input: self.cached_content_token_count.unwrap_or(0),
            reasoning,
            audio_input: tokens_of(&self.prompt_tokens_details, "AUDIO"),
            audio_output: tokens_of(&self.candidates_tokens_details, "AUDIO"),
            image_input: tokens_of(&self.prompt_tokens_details, "IMAGE"),
            image_output: tokens_of(&self.candidates_tokens_details, "IMAGE"),
            ..Usage::default()
        };
        Some(usage.bounded())
    }
}

impl From<Usage> for WireUsage {
    fn from(usage: Usage) -> Self {
        let counted = |tokens: u64| (tokens > 0).then_some(tokens);
        Self {
            prompt_token_count: Some(usage.input),
            cached_content_token_count: counted(usage.cached_input),
            candidates_token_count: Some(usage.output.saturating_sub(usage.reasoning)),
            thoughts_token_count: counted(usage.reasoning),
            tool_use_prompt_token_count: None,
            total_token_count: Some(usage.total()),
            prompt_tokens_details: Vec::new(),
            candidates_tokens_details: Vec::new(),
        }
    }
}

/// The usage of a whole answer or of a frame.
pub fn usage_of(body: &[u8]) -> Option<Usage> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Report {
        #[serde(default)]
        usage_metadata: Option<WireUsage>,
    }
    serde_json::from_slice::<Report>(body).ok()?.usage_metadata?.canonical()
}

/// Gemini's word for why a model stopped. `called`: it asked for a function, for which Gemini has no
/// word of its own.
pub fn finish_reason(word: &str, called: bool) -> FinishReason {
    match word {
        "STOP" if called => FinishReason::ToolCalls,
        "STOP" => FinishReason::Stop,
        "MAX_TOKENS" => FinishReason::Length,
        "SAFETY"
        | "RECITATION"
        | "BLOCKLIST"
        | "PROHIBITED_CONTENT"
        | "SPII"
        | "IMAGE_SAFETY"
        | "IMAGE_PROHIBITED_CONTENT"
        | "IMAGE_RECITATION"
        | "MODEL_ARMOR"
        | "JAILBREAK" => FinishReason::ContentFilter,
        other => FinishReason::Other(other.to_lowercase()),
    }
}

/// Whether the word says that the model failed, rather than ended.
pub fn is_failure(word: &str) -> bool {
    matches!(
        word,
        "MALFORMED_FUNCTION_CALL"
            | "UNEXPECTED_TOOL_CALL"
            | "TOO_MANY_TOOL_CALLS"
            | "MISSING_THOUGHT_SIGNATURE"
            | "MALFORMED_RESPONSE"
    )
}

/// Gemini's word for a finish reason.
pub fn finish_word(reason: &FinishReason) -> &'static str {
    match reason {
        FinishReason::Stop | FinishReason::ToolCalls => "STOP",
        FinishReason::Length => "MAX_TOKENS",
        FinishReason::ContentFilter => "SAFETY",
        FinishReason::Other(_) => "OTHER",
    }
}
