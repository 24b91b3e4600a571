//! Gemini's `generateContent`, as the Developer API and Vertex AI speak it. Source of the wire format:
//! Gemini API reference and Vertex AI REST reference, "GenerateContent".

mod arguments;
mod config;
mod contents;
mod encoder;
mod error;
mod grounding;
mod model;
mod observe;
mod part;
pub(super) mod picture;
pub mod place;
mod request;
mod response;
mod schema;
mod signature;
mod stream;
pub mod wire;

use std::borrow::Cow;

use super::chat::{ChatRequest, ChatResponse, FinishReason};
use super::codec::{ChatCodec, Dropped, EventDecoder, EventEncoder};
use super::error::RequestError;
use super::members::{Member, Members};
use super::names::Names;
use super::translate::ResponseContext;
use super::usage::Usage;

pub use error::Errors;
pub use model::Model;
pub use observe::Observer;
pub use signature::SKIP;

/// What bounds a request.
pub(super) const NAMES: Names = Names {
    max_tokens: &["maxOutputTokens", "max_output_tokens"],
    choices: &["candidateCount", "candidate_count"],
    inside: &["generationConfig", "generation_config"],
    batch: None,
};

/// The same for a batch of embeddings, and for what generates nothing.
pub(super) const INPUT_NAMES: Names =
    Names { max_tokens: &[], choices: &[], inside: &[], batch: Some("requests") };

/// The codec of `generateContent`.
pub struct Gemini;

impl ChatCodec for Gemini {
    fn decode_request(
        &self,
        body: &[u8],
        dropped: &mut Dropped,
    ) -> Result<ChatRequest, RequestError> {
        request::decode(body, dropped)
    }

    fn encode_request(
        &self,
        request: &ChatRequest,
        dropped: &mut Dropped,
    ) -> Result<Vec<u8>, RequestError> {
        request::encode(request, dropped)
    }

    fn path(&self, model: &str, stream: bool) -> Cow<'static, str> {
        let template = match stream {
            true => "/models/{model}:streamGenerateContent?alt=sse",
            false => "/models/{model}:generateContent",
        };
        place::path(template, model).into()
    }

    fn request_headers(&self) -> &'static [(&'static str, &'static str)] {
        &[]
    }

    /// The whole request may stand in `generateContentRequest`.
    fn decode_count(&self, body: &[u8]) -> Result<ChatRequest, RequestError> {
        let Members(members) = Members::parse(body)?;
        let is_whole = |member: &&Member<'_>| {
            matches!(&*member.name, "generateContentRequest" | "generate_content_request")
        };
        let whole = members.iter().find(is_whole).map(|member| member.value.get().as_bytes());
        request::decode(whole.unwrap_or(body), &mut Dropped::default())
    }

    fn encode_count(&self, tokens: u64) -> Vec<u8> {
        format!("{{\"totalTokens\":{tokens}}}").into_bytes()
    }

    fn decode_response(&self, body: &[u8]) -> Result<ChatResponse, String> {
        response::decode(body)
    }

    fn encode_response(&self, response: &ChatResponse, context: &ResponseContext) -> Vec<u8> {
        response::encode(response, context)
    }

    fn usage_of(&self, body: &[u8]) -> Option<Usage> {
        wire::usage_of(body)
    }

    fn finish_reason(&self, word: &str) -> FinishReason {
        wire::finish_reason(word, false)
    }

    fn decoder(&self) -> Box<dyn EventDecoder> {
        Box::new(stream::Decoder::default())
    }

    fn encoder(&self, context: &ResponseContext, _include_usage: bool) -> Box<dyn EventEncoder> {
        Box::new(encoder::Encoder::new(context))
    }
}

#[cfg(test)]
mod tests;
