//! Anthropic's Messages. Source of the wire format: Anthropic's API reference, "Messages".

mod beside;
pub(super) mod block;
mod error;
mod observe;
mod parameters;
pub(super) mod request;
mod response;
mod stream;
mod version;
pub mod vertex;
pub mod wire;

use std::borrow::Cow;

use super::chat::{ChatRequest, ChatResponse, FinishReason};
use super::codec::{ChatCodec, Dropped, EventDecoder, EventEncoder};
use super::error::RequestError;
use super::names::Names;
use super::order::Ordered;
use super::translate::ResponseContext;
use super::usage::Usage;

pub(super) use error::Errors;
pub(super) use observe::Observer;

/// The version that still takes sampling parameters; later ones refuse them.
const VERSION: &str = "2023-06-01";

/// What bounds a request.
pub(super) const NAMES: Names =
    Names { max_tokens: &["max_tokens"], choices: &[], inside: &[], batch: None };

/// The codec of Messages.
pub struct Anthropic;

impl ChatCodec for Anthropic {
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
        "/messages".into()
    }

    fn requires_max_tokens(&self) -> bool {
        true
    }

    fn request_headers(&self) -> &'static [(&'static str, &'static str)] {
        &[("anthropic-version", VERSION)]
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
        wire::finish_reason(word)
    }

    fn decoder(&self) -> Box<dyn EventDecoder> {
        Box::new(stream::Decoder::default())
    }

    fn encoder(&self, context: &ResponseContext, _include_usage: bool) -> Box<dyn EventEncoder> {
        Box::new(Ordered::new(stream::Encoder::new(context)))
    }
}
