//! OpenAI's Responses. Source of the wire format: OpenAI's API reference, "Responses".
//!
//! Towards other dialects nothing is remembered between calls: what needs a server's memory is
//! refused, and freeform tools and namespaces become plain functions and come back as what they were.

mod decoder;
mod echo;
mod encoder;
mod error;
mod freeform;
mod input;
mod item;
mod observe;
mod output;
mod part;
mod request;
mod response;
mod tool;
pub mod wire;

use std::borrow::Cow;

use super::chat::{ChatRequest, ChatResponse, FinishReason};
use super::codec::{ChatCodec, Dropped, EventDecoder, EventEncoder};
use super::error::RequestError;
use super::names::Names;
use super::translate::ResponseContext;
use super::usage::Usage;

pub(super) use error::Errors;
pub(super) use observe::{Observer, ending_of};

/// What bounds a request.
pub(super) const NAMES: Names =
    Names { max_tokens: &["max_output_tokens"], choices: &[], inside: &[], batch: None };

/// The codec of Responses.
pub struct Responses;

impl ChatCodec for Responses {
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
        "/responses".into()
    }

    fn request_headers(&self) -> &'static [(&'static str, &'static str)] {
        &[]
    }

    fn decode_response(&self, body: &[u8]) -> Result<ChatResponse, String> {
        response::decode(body)
    }

    fn encode_response(&self, response: &ChatResponse, context: &ResponseContext) -> Vec<u8> {
        response::encode(response, context)
    }

    fn usage_of(&self, body: &[u8]) -> Option<Usage> {
        observe::usage_of(body)
    }

    /// The word is an answer's status.
    fn finish_reason(&self, word: &str) -> FinishReason {
        let known = response::finish_reason(word, None, false);
        known.unwrap_or_else(|| FinishReason::Other(word.to_owned()))
    }

    fn decoder(&self) -> Box<dyn EventDecoder> {
        Box::new(decoder::Decoder::default())
    }

    fn encoder(&self, context: &ResponseContext, _include_usage: bool) -> Box<dyn EventEncoder> {
        Box::new(encoder::Encoder::new(context))
    }
}

#[cfg(test)]
mod tests;
