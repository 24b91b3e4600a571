//! Anthropic's Messages. Source of the wire format: Anthropic's API reference, "Messages".

mod block;
mod request;
mod response;
mod stream;
pub mod wire;

use super::chat::{ChatRequest, ChatResponse};
use super::codec::{ChatCodec, Dropped, EventDecoder, EventEncoder};
use super::error::RequestError;
use super::translate::ResponseContext;

/// The version that still takes sampling parameters; later ones refuse them.
const VERSION: &str = "2023-06-01";

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

    fn request_headers(&self) -> &'static [(&'static str, &'static str)] {
        &[("anthropic-version", VERSION)]
    }

    fn decode_response(&self, body: &[u8]) -> Result<ChatResponse, String> {
        response::decode(body)
    }

    fn encode_response(&self, response: &ChatResponse, context: &ResponseContext) -> Vec<u8> {
        response::encode(response, context)
    }

    fn decoder(&self) -> Box<dyn EventDecoder> {
        Box::new(stream::Decoder::default())
    }

    fn encoder(&self, context: &ResponseContext, _include_usage: bool) -> Box<dyn EventEncoder> {
        Box::new(stream::Encoder::new(context))
    }
}
