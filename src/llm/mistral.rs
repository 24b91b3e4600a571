//! Mistral's chat completions: near OpenAI's, but every member that it does not know is refused. What it
//! writes is OpenAI's with liberties that reading OpenAI's dialect allows already, so that answers are
//! read there; what it takes is written here. Source of the wire format: Mistral's API reference,
//! "Chat".

mod error;
mod message;
mod request;
mod wire;

use std::borrow::Cow;

use super::chat::{ChatRequest, ChatResponse, FinishReason};
use super::codec::{ChatCodec, Dropped, EventDecoder, EventEncoder};
use super::error::RequestError;
use super::openai::OpenAi;
use super::translate::ResponseContext;
use super::usage::Usage;

pub(super) use error::Errors;

/// The codec of Mistral's chat completions.
pub struct Mistral;

impl ChatCodec for Mistral {
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

    fn path(&self, _: &str, _: bool) -> Cow<'static, str> {
        "/chat/completions".into()
    }

    fn request_headers(&self) -> &'static [(&'static str, &'static str)] {
        &[]
    }

    fn decode_response(&self, body: &[u8]) -> Result<ChatResponse, String> {
        OpenAi.decode_response(body)
    }

    fn encode_response(&self, response: &ChatResponse, context: &ResponseContext) -> Vec<u8> {
        OpenAi.encode_response(response, context)
    }

    fn usage_of(&self, body: &[u8]) -> Option<Usage> {
        OpenAi.usage_of(body)
    }

    fn finish_reason(&self, word: &str) -> FinishReason {
        OpenAi.finish_reason(word)
    }

    fn decoder(&self) -> Box<dyn EventDecoder> {
        OpenAi.decoder()
    }

    fn encoder(&self, context: &ResponseContext, include_usage: bool) -> Box<dyn EventEncoder> {
        OpenAi.encoder(context, include_usage)
    }
}

#[cfg(test)]
mod tests;
