//! Cohere's chat, version 2. Source of the wire format: Cohere's API reference, "v2/chat". No endpoint
//! of the data port speaks it for chat, so that the caller's side reads and writes only what round
//! trips need.

mod citation;
mod error;
mod message;
mod request;
mod response;
mod stream;
mod wire;

use std::borrow::Cow;

use super::chat::{ChatRequest, ChatResponse, FinishReason};
use super::codec::{ChatCodec, Dropped, EventDecoder, EventEncoder};
use super::error::RequestError;
use super::openai::OpenAi;
use super::translate::ResponseContext;
use super::usage::Usage;

pub(super) use error::Errors;

/// The codec of Cohere's chat.
pub struct Cohere;

impl ChatCodec for Cohere {
    fn decode_request(
        &self,
        _body: &[u8],
        _dropped: &mut Dropped,
    ) -> Result<ChatRequest, RequestError> {
        let message = "chat in Cohere's dialect is not served: send it to /v1/chat/completions";
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
        "/chat".into()
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
        wire::finish_reason(word).unwrap_or_else(|| FinishReason::Other(word.to_owned()))
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
