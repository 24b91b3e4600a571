//! Bedrock's Converse and ConverseStream. Source of the wire format: the service model of
//! `bedrock-runtime` (2023-09-30) and Amazon's API reference. Requests are signed by the proxy.

mod betas;
mod block;
mod encoder;
mod error;
mod extra;
mod media;
mod model;
mod request;
mod response;
mod stream;
mod tool;
mod wire;

use std::borrow::Cow;
use std::fmt::Write as _;

use super::chat::{ChatRequest, ChatResponse, FinishReason};
use super::codec::{ChatCodec, Dropped, EventDecoder, EventEncoder, Framing};
use super::error::RequestError;
use super::order::Ordered;
use super::translate::ResponseContext;
use super::usage::Usage;

pub(super) use betas::add as add_betas;
pub(super) use error::Errors;

/// The codec of Converse.
pub struct Bedrock;

impl ChatCodec for Bedrock {
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
        let operation = if stream { "converse-stream" } else { "converse" };
        model_path(model, operation).into()
    }

    fn framing(&self) -> Framing {
        Framing::EventStream
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
        wire::usage_of(body)
    }

    fn finish_reason(&self, word: &str) -> FinishReason {
        wire::finish_reason(word)
    }

    fn decoder(&self) -> Box<dyn EventDecoder> {
        Box::new(stream::Decoder::default())
    }

    fn encoder(&self, _: &ResponseContext, _include_usage: bool) -> Box<dyn EventEncoder> {
        Box::new(Ordered::new(encoder::Encoder::default()))
    }
}

/// The path of an operation on a model. Ids hold `:` and ARNs hold `/`: all but unreserved characters
/// are percent-encoded, as AWS's own clients do and as the signature expects.
pub fn model_path(model: &str, operation: &str) -> String {
    let mut path = String::with_capacity(model.len() + operation.len() + 16);
    path.push_str("/model/");
    for byte in model.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            path.push(char::from(byte));
        } else {
            // Writing to a string cannot fail.
            let _ = write!(path, "%{byte:02X}");
        }
    }
    path.push('/');
    path.push_str(operation);
    path
}

#[cfg(test)]
mod tests;
