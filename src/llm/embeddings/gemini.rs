//! Gemini's embeddings. The provider is always sent a batch, also for one text. Source of the wire
//! format: Google's API reference, "models.batchEmbedContents".

mod ingress;

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use super::{
    EmbeddingRequest, EmbeddingResponse, EmbeddingTask, EmbeddingUpstream, Vector, at_most, texts,
};
use crate::llm::codec::Dropped;
use crate::llm::error::RequestError;
use crate::llm::gemini::place;
use crate::llm::usage::{Usage, count};

pub use ingress::{GeminiBatchEmbedContents, GeminiEmbedContent};

/// The most texts of one batch.
const MAX_TEXTS: usize = 100;

/// The codec of `batchEmbedContents`.
pub struct GeminiEmbeddings;

#[derive(Serialize)]
struct WireRequest<'a> {
    requests: Vec<WireEmbed<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct WireEmbed<'a> {
    model: &'a str,
    content: WireContent<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    task_type: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    title: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    output_dimensionality: Option<u64>,
}

#[derive(Serialize)]
struct WireContent<'a> {
    parts: [WireText<'a>; 1],
}

#[derive(Serialize)]
struct WireText<'a> {
    text: &'a str,
}

impl EmbeddingUpstream for GeminiEmbeddings {
    fn encode_request(
        &self,
        request: &EmbeddingRequest,
        dropped: &mut Dropped,
    ) -> Result<Vec<u8>, RequestError> {
        at_most(MAX_TEXTS, request)?;
        if request.user.is_some() {
            dropped.add("user");
        }
        let is_document = request.task == Some(EmbeddingTask::Document);
        if request.title.is_some() && !is_document {
            dropped.add("title");
        }
        // Each must repeat the path's model.
        let model = format!("models/{}", bare(&request.model));
        let embed = |text| WireEmbed {
            model: &model,
            content: WireContent { parts: [WireText { text }] },
            task_type: request.task.map(task_type),
            title: request.title.as_deref().filter(|_| is_document),
            output_dimensionality: request.dimensions,
        };
        let wire = WireRequest { requests: texts(request)?.into_iter().map(embed).collect() };
        serde_json::to_vec(&wire).map_err(|error| RequestError::syntax(&error))
    }

    fn path(&self, model: &str) -> Cow<'static, str> {
        place::path("/models/{model}:batchEmbedContents", model).into()
    }

    fn decode_response(&self, body: &[u8]) -> Result<EmbeddingResponse, String> {
        let answer: Answer = serde_json::from_slice(body).map_err(|error| error.to_string())?;
        let input = answer.usage_metadata.prompt_token_count;
        Ok(EmbeddingResponse {
            model: None,
            vectors: answer.embeddings.into_iter().map(|embedding| embedding.values).collect(),
            usage: input.map(|input| Usage { input, ..Usage::default() }),
        })
    }
}

pub(super) fn bare(model: &str) -> &str {
    model.strip_prefix("models/").unwrap_or(model)
}

/// Gemini's word for a task.
pub(super) fn task_type(task: EmbeddingTask) -> &'static str {
    match task {
        EmbeddingTask::Query => "RETRIEVAL_QUERY",
        EmbeddingTask::Document => "RETRIEVAL_DOCUMENT",
        EmbeddingTask::Similarity => "SEMANTIC_SIMILARITY",
        EmbeddingTask::Classification => "CLASSIFICATION",
        EmbeddingTask::Clustering => "CLUSTERING",
        EmbeddingTask::QuestionAnswering => "QUESTION_ANSWERING",
        EmbeddingTask::FactVerification => "FACT_VERIFICATION",
        EmbeddingTask::CodeQuery => "CODE_RETRIEVAL_QUERY",
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Answer {
    embeddings: Vec<Embedding>,
    /// Newer models report it.
    #[serde(default)]
    usage_metadata: UsageMetadata,
}

#[derive(Deserialize)]
struct Embedding {
    values: Vector,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct UsageMetadata {
    #[serde(deserialize_with = "count")]
    prompt_token_count: Option<u64>,
}

#[cfg(test)]
mod tests;
