//! Embeddings of Amazon Bedrock by InvokeModel: each maker's models have a form of their own. Sources
//! of the wire formats: Amazon Bedrock's user guide, "Inference request parameters", for Titan
//! Embeddings, Nova Multimodal Embeddings and Cohere Embed.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};
use serde_json::json;

use super::{
    EmbeddingRequest, EmbeddingResponse, EmbeddingTask, EmbeddingUpstream, Vector, at_most, cohere,
    openai, texts,
};
use crate::llm::bedrock::model_path;
use crate::llm::codec::Dropped;
use crate::llm::error::RequestError;
use crate::llm::usage::{Usage, count};

/// The codec of InvokeModel for models that embed.
pub struct BedrockEmbeddings;

/// Whose form a model takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Maker {
    Titan,
    /// The first generation knows no dimensions.
    TitanOne,
    Nova,
    Cohere,
    CohereThree,
}

impl Maker {
    /// By the model's id, which may carry a region's prefix or be an ARN.
    fn of(model: &str) -> Option<Self> {
        let has = |part: &str| model.contains(part);
        Some(match () {
            () if has("titan-embed-text-v1") || has("titan-embed-g1") => Self::TitanOne,
            () if has("titan-embed") => Self::Titan,
            () if has("nova") && has("embed") => Self::Nova,
            () if has("cohere.embed") && has("-v3") => Self::CohereThree,
            () if has("cohere.embed") => Self::Cohere,
            () => return None,
        })
    }
}

#[derive(Serialize)]
struct TitanRequest<'a> {
    #[serde(rename = "inputText")]
    input_text: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    dimensions: Option<u64>,
}

#[derive(Serialize)]
struct CohereRequest<'a> {
    texts: Vec<&'a str>,
    input_type: &'static str,
    truncate: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    output_dimension: Option<u64>,
}

impl EmbeddingUpstream for BedrockEmbeddings {
    fn encode_request(
        &self,
        request: &EmbeddingRequest,
        dropped: &mut Dropped,
    ) -> Result<Vec<u8>, RequestError> {
        let Some(maker) = Maker::of(&request.model) else {
            let message = format!(
                "\"{}\" is no model for embeddings that is known on Amazon Bedrock: use one of \
                 amazon.titan-embed-text, amazon.nova-2-multimodal-embeddings or cohere.embed",
                request.model
            );
            return Err(RequestError::field("model", message));
        };
        let knows_dimensions = !matches!(maker, Maker::TitanOne | Maker::CohereThree);
        if request.dimensions.is_some() && !knows_dimensions {
            dropped.add("dimensions");
        }
        let dimensions = request.dimensions.filter(|_| knows_dimensions);
        let wire = match maker {
            Maker::Titan | Maker::TitanOne => {
                openai::drop_task(request, dropped);
                let input_text = one_text(request, dropped)?;
                serde_json::to_vec(&TitanRequest { input_text, dimensions })
            }
            Maker::Nova => serde_json::to_vec(&nova(request, dimensions, dropped)?),
            Maker::Cohere | Maker::CohereThree => serde_json::to_vec(&CohereRequest {
                texts: cohere::checked_texts(request, dropped)?,
                input_type: cohere::input_type(request.task),
                truncate: "NONE",
                output_dimension: dimensions,
            }),
        };
        wire.map_err(|error| RequestError::syntax(&error))
    }

    fn path(&self, model: &str) -> Cow<'static, str> {
        model_path(model, "invoke").into()
    }

    fn decode_response(&self, body: &[u8]) -> Result<EmbeddingResponse, String> {
        let answer: Answer = serde_json::from_slice(body).map_err(|error| error.to_string())?;
        let vectors = match (answer.embedding, answer.embeddings) {
            (Some(one), _) => vec![one],
            (None, Some(NovaOrOther::Nova(list))) => {
                list.into_iter().map(|item| item.embedding).collect()
            }
            (None, Some(NovaOrOther::Other(_))) => return cohere::decode(body),
            (None, None) => return Err("it has no embeddings".to_owned()),
        };
        let usage = answer.input_text_token_count;
        let usage = usage.map(|input| Usage { input, ..Usage::default() });
        Ok(EmbeddingResponse { model: None, vectors, usage })
    }
}

/// Titan and Nova take one text a call.
fn one_text<'a>(
    request: &'a EmbeddingRequest,
    dropped: &mut Dropped,
) -> Result<&'a str, RequestError> {
    at_most(1, request)?;
    if request.user.is_some() {
        dropped.add("user");
    }
    Ok(texts(request)?.first().copied().unwrap_or_default())
}

fn nova(
    request: &EmbeddingRequest,
    dimensions: Option<u64>,
    dropped: &mut Dropped,
) -> Result<serde_json::Value, RequestError> {
    if request.title.is_some() {
        dropped.add("title");
    }
    let mut parameters = json!({
        "embeddingPurpose": nova_purpose(request.task),
        "text": {"truncationMode": "NONE", "value": one_text(request, dropped)?},
    });
    if let Some(dimensions) = dimensions {
        parameters["embeddingDimension"] = json!(dimensions);
    }
    Ok(json!({"taskType": "SINGLE_EMBEDDING", "singleEmbeddingParams": parameters}))
}

fn nova_purpose(task: Option<EmbeddingTask>) -> &'static str {
    match task {
        None | Some(EmbeddingTask::Document) => "GENERIC_INDEX",
        Some(EmbeddingTask::Classification) => "CLASSIFICATION",
        Some(EmbeddingTask::Clustering | EmbeddingTask::Similarity) => "CLUSTERING",
        Some(_) => "GENERIC_RETRIEVAL",
    }
}

#[derive(Deserialize)]
struct Answer {
    #[serde(default)]
    embedding: Option<Vector>,
    #[serde(default)]
    embeddings: Option<NovaOrOther>,
    #[serde(rename = "inputTextTokenCount", default, deserialize_with = "count")]
    input_text_token_count: Option<u64>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum NovaOrOther {
    Nova(Vec<NovaEmbedding>),
    Other(serde::de::IgnoredAny),
}

#[derive(Deserialize)]
struct NovaEmbedding {
    embedding: Vector,
}
