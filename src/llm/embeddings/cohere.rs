//! Cohere's embeddings. Source of the wire format: Cohere's API reference, "v2/embed".

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use super::{
    EmbeddingRequest, EmbeddingResponse, EmbeddingTask, EmbeddingUpstream, Vectors, at_most, texts,
};
use crate::llm::codec::Dropped;
use crate::llm::error::RequestError;
use crate::llm::usage::{Usage, count};

/// The most texts of one call.
const MAX_TEXTS: usize = 96;

/// The codec of `POST /v2/embed`.
pub struct CohereEmbeddings;

#[derive(Serialize)]
struct WireRequest<'a> {
    model: &'a str,
    texts: Vec<&'a str>,
    input_type: &'static str,
    embedding_types: [&'static str; 1],
    truncate: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    output_dimension: Option<u64>,
}

impl EmbeddingUpstream for CohereEmbeddings {
    fn encode_request(
        &self,
        request: &EmbeddingRequest,
        dropped: &mut Dropped,
    ) -> Result<Vec<u8>, RequestError> {
        let wire = WireRequest {
            model: &request.model,
            texts: checked_texts(request, dropped)?,
            input_type: input_type(request.task),
            embedding_types: ["float"],
            // Others refuse a text that is too long; Cohere would cut it off in silence.
            truncate: "NONE",
            output_dimension: request.dimensions,
        };
        serde_json::to_vec(&wire).map_err(|error| RequestError::syntax(&error))
    }

    fn path(&self, _: &str) -> Cow<'static, str> {
        "/embed".into()
    }

    fn decode_response(&self, body: &[u8]) -> Result<EmbeddingResponse, String> {
        decode(body)
    }
}

/// The texts of one call; also of Cohere's models on other platforms.
pub(super) fn checked_texts<'a>(
    request: &'a EmbeddingRequest,
    dropped: &mut Dropped,
) -> Result<Vec<&'a str>, RequestError> {
    at_most(MAX_TEXTS, request)?;
    if request.user.is_some() {
        dropped.add("user");
    }
    if request.title.is_some() {
        dropped.add("title");
    }
    texts(request)
}

/// Cohere demands one; texts that are stored to be found are the usual case.
pub(super) fn input_type(task: Option<EmbeddingTask>) -> &'static str {
    match task {
        None | Some(EmbeddingTask::Document) => "search_document",
        Some(
            EmbeddingTask::Query
            | EmbeddingTask::QuestionAnswering
            | EmbeddingTask::FactVerification
            | EmbeddingTask::CodeQuery,
        ) => "search_query",
        Some(EmbeddingTask::Classification) => "classification",
        Some(EmbeddingTask::Clustering | EmbeddingTask::Similarity) => "clustering",
    }
}

#[derive(Deserialize)]
struct Answer {
    embeddings: Embeddings,
    #[serde(default)]
    meta: Meta,
}

/// By type, or a bare list (older models on other platforms).
#[derive(Deserialize)]
#[serde(untagged)]
enum Embeddings {
    ByType { float: Vectors },
    Bare(Vectors),
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Meta {
    billed_units: Units,
    tokens: Units,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Units {
    #[serde(deserialize_with = "count")]
    input_tokens: Option<u64>,
}

/// An answer, of Cohere or of its models on other platforms.
pub(super) fn decode(body: &[u8]) -> Result<EmbeddingResponse, String> {
    let answer: Answer = serde_json::from_slice(body).map_err(|error| error.to_string())?;
    let input = answer.meta.tokens.input_tokens.or(answer.meta.billed_units.input_tokens);
    Ok(EmbeddingResponse {
        model: None,
        vectors: match answer.embeddings {
            Embeddings::ByType { float } | Embeddings::Bare(float) => float,
        },
        usage: input.map(|input| Usage { input, ..Usage::default() }),
    })
}
