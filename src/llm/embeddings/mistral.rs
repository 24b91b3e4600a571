//! Mistral's embeddings: OpenAI's with other names for two members, and no others allowed. Source of
//! the wire format: Mistral's API reference, "Embeddings".

use std::borrow::Cow;

use serde::Serialize;

use super::{EmbeddingRequest, EmbeddingResponse, EmbeddingUpstream, openai, texts};
use crate::llm::codec::Dropped;
use crate::llm::error::RequestError;

/// The codec of Mistral's `POST /v1/embeddings`.
pub struct MistralEmbeddings;

#[derive(Serialize)]
struct WireRequest<'a> {
    model: &'a str,
    input: Vec<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    output_dimension: Option<u64>,
}

impl EmbeddingUpstream for MistralEmbeddings {
    fn encode_request(
        &self,
        request: &EmbeddingRequest,
        dropped: &mut Dropped,
    ) -> Result<Vec<u8>, RequestError> {
        openai::drop_task(request, dropped);
        if request.user.is_some() {
            dropped.add("user");
        }
        let wire = WireRequest {
            model: &request.model,
            input: texts(request)?,
            output_dimension: request.dimensions,
        };
        serde_json::to_vec(&wire).map_err(|error| RequestError::syntax(&error))
    }

    fn path(&self, _: &str) -> Cow<'static, str> {
        "/embeddings".into()
    }

    fn decode_response(&self, body: &[u8]) -> Result<EmbeddingResponse, String> {
        openai::decode(body)
    }
}
