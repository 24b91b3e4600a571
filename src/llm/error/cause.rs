//! Failures of which another target may know better, told from what providers say: an HTTP status does
//! not tell them from any other mistake in the request. Deciding what follows belongs to the proxy.

use super::ApiError;

/// Why a provider refused a request that another one might answer.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Cause {
    /// The request has more tokens than the model's context window.
    ContextLength,
    /// The provider's filter blocked the request, or what the model would have said.
    ContentFilter,
    /// The conversation that `previous_response_id` names is not stored there.
    UnknownConversation,
}

/// Codes that say it, whatever the status.
const CODES: &[(&str, Cause)] = &[
    // OpenAI, Azure, Groq, xAI, DeepSeek; Fireworks and OpenRouter say it in words only.
    ("context_length_exceeded", Cause::ContextLength),
    ("string_above_max_length", Cause::ContextLength),
    ("model_max_prompt_tokens_exceeded", Cause::ContextLength),
    // Azure ("Content filtering"), Cohere's 498 as it is read here.
    ("content_filter", Cause::ContentFilter),
    // OpenAI and Azure, images.
    ("content_policy_violation", Cause::ContentFilter),
    ("moderation_blocked", Cause::ContentFilter),
    ("ResponsibleAIPolicyViolation", Cause::ContentFilter),
    // Alibaba's models behind OpenAI's dialect.
    ("data_inspection_failed", Cause::ContentFilter),
    // OpenAI's and Azure's Responses.
    ("previous_response_not_found", Cause::UnknownConversation),
];

/// Words in messages, in lower case, each with who says so.
const WORDS: &[(&str, Cause)] = &[
    // OpenAI, vLLM, DeepSeek, OpenRouter ("this endpoint's"), Mistral, Fireworks.
    ("maximum context length", Cause::ContextLength),
    // OpenAI's Responses.
    ("exceeds the context window", Cause::ContextLength),
    // Anthropic: "prompt is too long: 208310 tokens > 200000 maximum"; Fireworks.
    ("prompt is too long", Cause::ContextLength),
    // Anthropic: "input length and `max_tokens` exceed context limit".
    ("exceed context limit", Cause::ContextLength),
    // Bedrock: "Input is too long for requested model."
    ("input is too long", Cause::ContextLength),
    // Gemini: "The input token count (1200000) exceeds the maximum number of tokens allowed (1048576)."
    ("exceeds the maximum number of tokens allowed", Cause::ContextLength),
    // Azure: "Input tokens exceed the configured limit of 272000 tokens."
    ("input tokens exceed the configured limit", Cause::ContextLength),
    // xAI.
    ("maximum prompt length", Cause::ContextLength),
    // Cohere: "too many tokens: total number of tokens in the prompt cannot exceed 4081".
    ("too many tokens: ", Cause::ContextLength),
    // Together, and text-generation-inference.
    ("`inputs` tokens + `max_new_tokens` must be", Cause::ContextLength),
    // llama.cpp.
    ("exceeds the available context size", Cause::ContextLength),
    // vLLM: "The decoder prompt (length 9000) is longer than the maximum model length of 8192."
    ("longer than the maximum model length", Cause::ContextLength),
    // Ollama.
    ("exceeds maximum context length", Cause::ContextLength),
    ("the input length exceeds the context length", Cause::ContextLength),
    // Azure.
    ("triggering azure openai's content management policy", Cause::ContentFilter),
    // OpenAI: "your prompt was flagged as potentially violating our usage policy".
    ("flagged as potentially violating", Cause::ContentFilter),
    // Anthropic: "Output blocked by content filtering policy".
    ("blocked by content filtering policy", Cause::ContentFilter),
    // OpenRouter (403): "requires moderation on ... Your input was flagged for ...".
    ("your input was flagged", Cause::ContentFilter),
    // OpenAI, Azure.
    ("previous response with id", Cause::UnknownConversation),
    // vLLM: "Response with id 'resp_1' not found."
    ("response with id '", Cause::UnknownConversation),
];

impl ApiError {
    /// What the error says beyond its status, where it is one of those that another target may not
    /// repeat.
    pub fn cause(&self) -> Option<Cause> {
        let coded = CODES.iter().find(|(code, _)| *code == self.code);
        let spoken = || {
            // Rates and failures speak of tokens too, and mean something else.
            if !matches!(self.status.as_u16(), 400 | 403 | 404 | 413 | 422) {
                return None;
            }
            let message = self.message.to_ascii_lowercase();
            WORDS.iter().find(|(words, _)| message.contains(words))
        };
        coded.or_else(spoken).map(|(_, cause)| *cause)
    }
}

#[cfg(test)]
mod tests {
    use http::{HeaderMap, StatusCode};

    use super::*;
    use crate::llm::{Dialect, error::errors};

    fn told(dialect: Dialect, status: u16, body: &str) -> Option<Cause> {
        let status = StatusCode::from_u16(status).unwrap();
        errors(dialect).decode(status, &HeaderMap::new(), body.as_bytes()).cause()
    }

    #[test]
    fn a_request_that_is_too_long_is_told_in_every_dialect() {
        for (dialect, status, body) in [
            (
                Dialect::OpenAi,
                400,
                r#"{"error":{"message":"x","type":"invalid_request_error","code":"context_length_exceeded"}}"#,
            ),
            (
                Dialect::OpenAi,
                400,
                r#"{"object":"error","message":"This model's maximum context length is 8192 tokens. However, you requested 9000 tokens","type":"BadRequestError","code":400}"#,
            ),
            (
                Dialect::Responses,
                200,
                r#"{"type":"response.failed","response":{"error":{"code":"context_length_exceeded","message":"Your input exceeds the context window of this model."}}}"#,
            ),
            (
                Dialect::Anthropic,
                400,
                r#"{"type":"error","error":{"type":"invalid_request_error","message":"prompt is too long: 208310 tokens > 200000 maximum"}}"#,
            ),
            (
                Dialect::Gemini,
                400,
                r#"{"error":{"code":400,"message":"The input token count (1200000) exceeds the maximum number of tokens allowed (1048576).","status":"INVALID_ARGUMENT"}}"#,
            ),
            (Dialect::Bedrock, 400, r#"{"message":"Input is too long for requested model."}"#),
            (
                Dialect::Mistral,
                400,
                r#"{"object":"error","message":"Prompt contains 40000 tokens, too large for model with 32768 maximum context length","type":"invalid_request_error","code":"3051"}"#,
            ),
            (
                Dialect::Cohere,
                400,
                r#"{"message":"too many tokens: total number of tokens in the prompt cannot exceed 4081 - received 5000"}"#,
            ),
            (Dialect::Ollama, 400, r#"{"error":"the input length exceeds the context length"}"#),
        ] {
            assert_eq!(told(dialect, status, body), Some(Cause::ContextLength), "{body}");
        }
    }

    #[test]
    fn what_a_filter_blocks_is_told_in_every_dialect_that_has_one() {
        for (dialect, status, body) in [
            (
                Dialect::OpenAi,
                400,
                r#"{"error":{"message":"The response was filtered","type":null,"param":"prompt","code":"content_filter","status":400,"innererror":{"code":"ResponsibleAIPolicyViolation"}}}"#,
            ),
            (
                Dialect::Responses,
                400,
                r#"{"error":{"message":"Invalid prompt: your prompt was flagged as potentially violating our usage policy.","type":"invalid_request_error","code":"invalid_prompt"}}"#,
            ),
            (
                Dialect::Anthropic,
                400,
                r#"{"type":"error","error":{"type":"invalid_request_error","message":"Output blocked by content filtering policy"}}"#,
            ),
            (Dialect::Cohere, 498, r#"{"message":"blocked"}"#),
        ] {
            assert_eq!(told(dialect, status, body), Some(Cause::ContentFilter), "{body}");
        }
    }

    #[test]
    fn a_conversation_that_is_stored_elsewhere_is_told() {
        for (status, body) in [
            (
                400,
                r#"{"error":{"message":"Previous response with id 'resp_1' not found.","type":"invalid_request_error","param":"previous_response_id","code":"previous_response_not_found"}}"#,
            ),
            (
                404,
                r#"{"error":{"message":"Response with id 'resp_1' not found.","type":"invalid_request_error","param":null,"code":404}}"#,
            ),
        ] {
            let cause = told(Dialect::Responses, status, body);
            assert_eq!(cause, Some(Cause::UnknownConversation), "{body}");
        }
    }

    #[test]
    fn other_mistakes_and_limits_are_no_cause() {
        for (status, body) in [
            (400, r#"{"error":{"message":"temperature must be below 2","code":"invalid_value"}}"#),
            (404, r#"{"error":{"message":"no such model","code":"model_not_found"}}"#),
            (
                429,
                r#"{"error":{"message":"too many tokens: slow down","code":"rate_limit_exceeded"}}"#,
            ),
            (500, "maximum context length"),
        ] {
            assert_eq!(told(Dialect::OpenAi, status, body), None, "{body}");
        }
    }
}
