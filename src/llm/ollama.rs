//! Ollama's own chat. Its OpenAI-compatible endpoint serves callers of OpenAI's dialect untouched; this
//! one serves all others, because it takes what that one does not: `top_k`, thinking switched on and
//! off, and documented options. Source of the wire format: Ollama's API documentation, "Generate a
//! chat completion".

mod message;
mod request;
mod response;
mod stream;
mod wire;

use std::borrow::Cow;

use super::chat::{ChatRequest, ChatResponse, FinishReason};
use super::codec::{ChatCodec, Dropped, EventDecoder, EventEncoder, Framing};
use super::error::RequestError;
use super::openai::OpenAi;
use super::translate::ResponseContext;
use super::usage::Usage;

/// The errors of Ollama: `{"error": "..."}`, which the common reading understands.
pub(super) use super::openai::Errors;

/// The codec of Ollama's chat.
pub struct Ollama;

impl ChatCodec for Ollama {
    fn decode_request(
        &self,
        _body: &[u8],
        _dropped: &mut Dropped,
    ) -> Result<ChatRequest, RequestError> {
        let message = "chat in Ollama's dialect is not served: send it to /v1/chat/completions";
        Err(RequestError::field("messages", message))
    }

    fn encode_request(
        &self,
        request: &ChatRequest,
        dropped: &mut Dropped,
    ) -> Result<Vec<u8>, RequestError> {
        request::encode(request, dropped)
    }

    fn path(&self, _: &str, _: bool) -> Cow<'static, str> {
        "/api/chat".into()
    }

    fn framing(&self) -> Framing {
        Framing::Lines
    }

    fn request_headers(&self) -> &'static [(&'static str, &'static str)] {
        &[]
    }

    fn decode_response(&self, body: &[u8]) -> Result<ChatResponse, String> {
        response::decode(body)
    }

    fn encode_response(&self, response: &ChatResponse, context: &ResponseContext) -> Vec<u8> {
        OpenAi.encode_response(response, context)
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

    fn encoder(&self, context: &ResponseContext, include_usage: bool) -> Box<dyn EventEncoder> {
        OpenAi.encoder(context, include_usage)
    }
}

#[cfg(test)]
mod tests;
