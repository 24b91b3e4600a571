//! OpenAI's chat completions. Source of the wire format: OpenAI's API reference, "Chat".

mod part;
mod request;
mod response;
mod stream;
pub mod wire;

use super::chat::{ChatRequest, ChatResponse};
use super::codec::{ChatCodec, Dropped, EventDecoder, EventEncoder};
use super::error::RequestError;
use super::translate::ResponseContext;

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

    fn request_headers(&self) -> &'static [(&'static str, &'static str)] {
        &[]
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

    fn encoder(&self, context: &ResponseContext, include_usage: bool) -> Box<dyn EventEncoder> {
        Box::new(stream::Encoder::new(context, include_usage))
    }
}
