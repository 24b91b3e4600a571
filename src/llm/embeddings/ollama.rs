//! Ollama's own embeddings. Source of the wire format: Ollama's API documentation, "Generate
//! Embeddings".

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use super::{EmbeddingRequest, EmbeddingResponse, EmbeddingUpstream, Vectors, openai, texts};
use crate::llm::codec::Dropped;
use crate::llm::error::RequestError;
use crate::llm::usage::{Usage, count};

/// The codec of `POST /api/embed`.
pub struct OllamaEmbeddings;

#[derive(Serialize)]
struct WireRequest<'a> {
    model: &'a str,
    input: Vec<&'a str>,
    truncate: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    dimensions: Option<u64>,
}

#[derive(Deserialize)]
struct Answer {
    #[serde(default)]
    model: Option<String>,
    embeddings: Vectors,
    #[serde(default, deserialize_with = "count")]
    prompt_eval_count: Option<u64>,
}

impl EmbeddingUpstream for OllamaEmbeddings {
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
            // Others refuse a text that is too long; Ollama would cut it off in silence.
            truncate: false,
            dimensions: request.dimensions,
        };
        serde_json::to_vec(&wire).map_err(|error| RequestError::syntax(&error))
    }

    fn path(&self, _: &str) -> Cow<'static, str> {
        "/api/embed".into()
    }

    fn decode_response(&self, body: &[u8]) -> Result<EmbeddingResponse, String> {
        let answer: Answer = serde_json::from_slice(body).map_err(|error| error.to_string())?;
        Ok(EmbeddingResponse {
            model: answer.model.filter(|model| !model.is_empty()),
            vectors: answer.embeddings,
            usage: answer.prompt_eval_count.map(|input| Usage { input, ..Usage::default() }),
        })
    }
}
