//! OpenAI's chat completions. Source of the wire format: OpenAI's API reference, "Chat".

mod beside;
mod error;
mod extension;
mod observe;
mod parameters;
mod part;
mod request;
mod response;
mod stream;
pub mod wire;

use std::borrow::Cow;

use super::chat::{ChatRequest, ChatResponse, FinishReason};
use super::codec::{ChatCodec, Dropped, EventDecoder, EventEncoder};
use super::error::RequestError;
use super::names::Names;
use super::quirks::Quirks;
use super::translate::ResponseContext;
use super::usage::Usage;

pub(super) use error::Errors;
pub(super) use observe::Observer;

/// What bounds a request.
pub(super) const NAMES: Names = Names {
    max_tokens: &["max_completion_tokens", "max_tokens"],
    choices: &["n"],
    inside: &[],
    batch: None,
};
/// The same for completions: the best of several are given, and each of several prompts is
/// continued.
pub(super) const COMPLETION_NAMES: Names = Names {
    max_tokens: &["max_tokens"],
    choices: &["n", "best_of"],
    inside: &[],
    batch: Some("prompt"),
};

pub use parameters::{Fit, is_reasoning_model, takes_breakpoints};
pub use part::{decode_breakpoint, encode_breakpoint};

/// The codec of chat completions.
pub struct OpenAi;

impl ChatCodec for OpenAi {
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
        response::decode(body)
    }

    fn encode_response(&self, response: &ChatResponse, context: &ResponseContext) -> Vec<u8> {
        response::encode(response, context)
    }

    fn usage_of(&self, body: &[u8]) -> Option<Usage> {
        wire::usage_of(body, Quirks::NONE)
    }

    fn finish_reason(&self, word: &str) -> FinishReason {
        wire::finish_reason(word)
    }

    fn decoder(&self) -> Box<dyn EventDecoder> {
        Box::new(stream::Decoder::default())
    }

    fn encoder(&self, context: &ResponseContext, include_usage: bool) -> Box<dyn EventEncoder> {
        Box::new(stream::Encoder::new(context, include_usage))
    }
}
