//! Embeddings on Vertex AI, the provider's side: `:predict` for the models of text, and for those that
//! are called Gemini a batch in another form than the Developer API's. Sources of the wire formats:
//! Vertex AI's REST reference, "Text embeddings API", and the requests of Google's SDK `google-genai`.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};
use serde_json::json;

use super::gemini::{bare, task_type};
use super::{
    EmbeddingRequest, EmbeddingResponse, EmbeddingTask, EmbeddingUpstream, GeminiEmbeddings,
    Vector, at_most, texts,
};
use crate::llm::codec::Dropped;
use crate::llm::error::RequestError;
use crate::llm::gemini::place;
use crate::llm::usage::{Usage, count};

/// The most texts of one call.
const MAX_TEXTS: usize = 250;

/// The codec of Vertex AI's models that embed.
pub struct VertexEmbeddings;

#[derive(Serialize)]
struct Instance<'a> {
    content: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    task_type: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    title: Option<&'a str>,
}

#[derive(Default, Serialize)]
#[serde(rename_all = "camelCase")]
struct Parameters {
    #[serde(skip_serializing_if = "Option::is_none")]
    output_dimensionality: Option<u64>,
    /// Others refuse a text that is too long; Vertex AI would cut it off in silence.
    auto_truncate: bool,
}

#[derive(Default, Serialize)]
#[serde(rename_all = "camelCase")]
struct Config<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    task_type: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    title: Option<&'a str>,
    #[serde(flatten)]
    parameters: Parameters,
}

/// Whether a model has Gemini's methods and no `:predict`.
fn is_gemini(model: &str) -> bool {
    bare(model).contains("gemini")
}

impl EmbeddingUpstream for VertexEmbeddings {
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
        let title = request.title.as_deref().filter(|_| is_document);
        let task_type = request.task.map(task_type);
        let parameters =
            Parameters { output_dimensionality: request.dimensions, auto_truncate: false };
        let texts = texts(request)?.into_iter();
        let wire = if is_gemini(&request.model) {
            let config = Config { task_type, title, parameters };
            let embed = |text: &str| json!({"content": {"parts": [{"text": text}]}, "embedContentConfig": config});
            json!({"requests": texts.map(embed).collect::<Vec<_>>()})
        } else {
            let instance = |content| Instance { content, task_type, title };
            json!({"instances": texts.map(instance).collect::<Vec<_>>(), "parameters": parameters})
        };
        serde_json::to_vec(&wire).map_err(|error| RequestError::syntax(&error))
    }

    fn path(&self, model: &str) -> Cow<'static, str> {
        match is_gemini(model) {
            true => GeminiEmbeddings.path(model),
            false => place::path("/models/{model}:predict", model).into(),
        }
    }

    fn decode_response(&self, body: &[u8]) -> Result<EmbeddingResponse, String> {
        let answer: Answer = serde_json::from_slice(body).map_err(|error| error.to_string())?;
        let Some(predictions) = answer.predictions else {
            return GeminiEmbeddings.decode_response(body);
        };
        let mut tokens = None;
        let vectors = predictions.into_iter().map(|Prediction { embeddings }| {
            if let Some(count) = embeddings.statistics.token_count {
                tokens = Some(tokens.unwrap_or(0_u64).saturating_add(count));
            }
            embeddings.values
        });
        let vectors = vectors.collect();
        let usage = tokens.map(|input| Usage { input, ..Usage::default() });
        Ok(EmbeddingResponse { model: None, vectors, usage })
    }
}

#[derive(Deserialize)]
struct Answer {
    predictions: Option<Vec<Prediction>>,
}

#[derive(Deserialize)]
struct Prediction {
    embeddings: Embedding,
}

#[derive(Deserialize)]
struct Embedding {
    values: Vector,
    #[serde(default)]
    statistics: Statistics,
}

#[derive(Default, Deserialize)]
struct Statistics {
    #[serde(default, deserialize_with = "count")]
    token_count: Option<u64>,
}
