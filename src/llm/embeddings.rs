//! Embeddings in no dialect, and what a dialect implements to take part in them: the side of the
//! caller ([`EmbeddingIngress`]) and the side of the provider ([`EmbeddingUpstream`]) are separate,
//! since most providers are never a caller's dialect.
//!
//! Everything is pure. Nothing here may split one request into several upstream calls: what a
//! provider cannot take in one call is refused with the number that it takes.

use std::borrow::Cow;

use bytes::Bytes;

use super::batch::check_vectors;
use super::codec::Dropped;
use super::error::RequestError;
use super::rewrite::Rewrite;
use super::scan::scan;
use super::translate::{ResponseContext, ResponseError, UpstreamRequest, WholeResponse};
use super::usage::Usage;
use super::{Dialect, Endpoint, passthrough};

mod bedrock;
mod cohere;
mod gemini;
mod mistral;
mod ollama;
mod openai;
mod vector;
mod vertex;

pub use bedrock::BedrockEmbeddings;
pub use cohere::CohereEmbeddings;
pub use gemini::{GeminiBatchEmbedContents, GeminiEmbedContent, GeminiEmbeddings};
pub use mistral::MistralEmbeddings;
pub use ollama::OllamaEmbeddings;
pub use openai::OpenAiEmbeddings;
pub use vector::{Vector, Vectors};
pub use vertex::VertexEmbeddings;

/// A request for embeddings.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct EmbeddingRequest {
    /// The model's name at the upstream.
    pub model: String,
    /// What is embedded, in order; one vector each.
    pub inputs: Vec<EmbeddingInput>,
    /// What the vectors are for, where a model makes different ones.
    pub task: Option<EmbeddingTask>,
    /// The title of the documents (Gemini).
    pub title: Option<String>,
    /// The length of the vectors; `None`: the model's own.
    pub dimensions: Option<u64>,
    /// The end user, an opaque id.
    pub user: Option<String>,
}

/// One thing to embed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EmbeddingInput {
    /// A text.
    Text(String),
    /// Token ids of the model's own tokenizer; only OpenAI and its followers take them.
    Tokens(Vec<u64>),
}

impl EmbeddingInput {
    fn text(&self) -> Result<&str, RequestError> {
        match self {
            Self::Text(text) => Ok(text),
            Self::Tokens(_) => Err(RequestError::field(
                "input",
                "\"input\" holds token ids, which belong to another provider's tokenizer: send the texts",
            )),
        }
    }

    fn tokens(&self) -> Option<&[u64]> {
        match self {
            Self::Text(_) => None,
            Self::Tokens(tokens) => Some(tokens),
        }
    }
}

/// What vectors are for. Words of Cohere (`input_type`) and Gemini (`taskType`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EmbeddingTask {
    /// To search with.
    Query,
    /// To be found.
    Document,
    /// To compare meanings.
    Similarity,
    /// To train or run a classifier.
    Classification,
    /// To find groups.
    Clustering,
    /// To search for an answer with a question.
    QuestionAnswering,
    /// To search for evidence with a statement.
    FactVerification,
    /// To search for code with words.
    CodeQuery,
}

impl EmbeddingTask {
    /// Reads a word of any of the vocabularies in use: Cohere's, Gemini's, Voyage's.
    pub fn parse(word: &str) -> Option<Self> {
        Some(match word.to_ascii_lowercase().as_str() {
            "search_query" | "retrieval_query" | "query" => Self::Query,
            "search_document" | "retrieval_document" | "document" | "passage" => Self::Document,
            "semantic_similarity" => Self::Similarity,
            "classification" => Self::Classification,
            "clustering" => Self::Clustering,
            "question_answering" => Self::QuestionAnswering,
            "fact_verification" => Self::FactVerification,
            "code_retrieval_query" => Self::CodeQuery,
            _ => return None,
        })
    }
}

/// An answer to a request for embeddings.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct EmbeddingResponse {
    /// The model that answered, where the provider names it.
    pub model: Option<String>,
    /// One vector for each input, in order.
    pub vectors: Vec<Vector>,
    /// Tokens used; `None`: not reported.
    pub usage: Option<Usage>,
}

/// The caller's side.
pub trait EmbeddingIngress: Sync {
    /// Reads a request. Parameters that have no canonical form go to `dropped`.
    ///
    /// # Errors
    /// [`RequestError`] if it is not valid in this dialect.
    fn decode_request(
        &self,
        body: &[u8],
        dropped: &mut Dropped,
    ) -> Result<EmbeddingRequest, RequestError>;

    /// Writes an answer.
    fn encode_response(&self, response: &EmbeddingResponse, context: &ResponseContext) -> Vec<u8>;

    /// What callers of this dialect call a parameter of OpenAI's.
    fn name_of<'a>(&self, parameter: &'a str) -> &'a str {
        parameter
    }
}

/// The provider's side.
pub trait EmbeddingUpstream: Sync {
    /// Writes a request. What the provider cannot take goes to `dropped`.
    ///
    /// # Errors
    /// [`RequestError`] if the inputs cannot be written in this dialect, or are too many for one
    /// call; the message says what to send instead.
    fn encode_request(
        &self,
        request: &EmbeddingRequest,
        dropped: &mut Dropped,
    ) -> Result<Vec<u8>, RequestError>;

    /// The path to join to the provider's base URL.
    fn path(&self, model: &str) -> Cow<'static, str>;

    /// Reads an answer.
    ///
    /// # Errors
    /// A text that says why it is not one.
    fn decode_response(&self, body: &[u8]) -> Result<EmbeddingResponse, String>;
}

/// The caller's side of an endpoint that asks for vectors; `None` for all others.
pub fn ingress(endpoint: Endpoint) -> Option<&'static dyn EmbeddingIngress> {
    match endpoint {
        Endpoint::Embeddings => Some(&OpenAiEmbeddings),
        Endpoint::EmbedContent => Some(&GeminiEmbedContent),
        Endpoint::BatchEmbedContents => Some(&GeminiBatchEmbedContents),
        _ => None,
    }
}

/// The provider's side of a dialect; `None` if its providers make no vectors.
pub fn upstream(dialect: Dialect) -> Option<&'static dyn EmbeddingUpstream> {
    match dialect {
        Dialect::OpenAi => Some(&OpenAiEmbeddings),
        Dialect::Mistral => Some(&MistralEmbeddings),
        Dialect::Cohere => Some(&CohereEmbeddings),
        Dialect::Ollama => Some(&OllamaEmbeddings),
        Dialect::Gemini => Some(&GeminiEmbeddings),
        Dialect::Bedrock => Some(&BedrockEmbeddings),
        Dialect::Anthropic | Dialect::Responses => None,
    }
}

/// Both sides of one crossing.
pub(crate) struct EmbeddingCrossing {
    from: &'static dyn EmbeddingIngress,
    to: &'static dyn EmbeddingUpstream,
    dialect: Dialect,
}

impl EmbeddingCrossing {
    /// `None` if one side makes no vectors.
    pub fn new(endpoint: Endpoint, dialect: Dialect) -> Option<Self> {
        Some(Self { from: ingress(endpoint)?, to: upstream(dialect)?, dialect })
    }

    /// The crossing to Vertex AI, which has other requests than Gemini's Developer API; `None` for
    /// what asks for no vectors.
    pub fn to_vertex(endpoint: Endpoint) -> Option<Self> {
        Some(Self { from: ingress(endpoint)?, to: &VertexEmbeddings, dialect: Dialect::Gemini })
    }

    /// The path to join to the provider's base URL.
    pub fn path(&self, model: &str) -> Cow<'static, str> {
        self.to.path(model)
    }

    /// Puts a request into the provider's dialect.
    pub fn request(
        &self,
        body: &[u8],
        rewrite: &Rewrite<'_>,
    ) -> Result<UpstreamRequest, RequestError> {
        let mut dropped = Dropped::default();
        let mut request = self.from.decode_request(body, &mut dropped)?;
        rewrite.model.clone_into(&mut request.model);
        let body = self.to.encode_request(&request, &mut dropped);
        let body = body.map_err(|error| self.in_the_callers_words(error))?;
        let names = dropped.into_names();
        let mut dropped: Vec<String> =
            names.iter().map(|name| self.from.name_of(name).to_owned()).collect();
        dropped.sort_unstable();
        dropped.dedup();
        Ok(UpstreamRequest { body: body.into(), dropped, headers: &[] })
    }

    /// An error about the inputs names them as the caller does.
    fn in_the_callers_words(&self, error: RequestError) -> RequestError {
        match error {
            RequestError::Field { param, message } if param == "input" => {
                let name = self.from.name_of("input");
                let message = message.replace("\"input\"", &format!("\"{name}\""));
                RequestError::field(name.to_owned(), message)
            }
            other => other,
        }
    }

    /// Puts an answer into the caller's dialect. `asked`: how many vectors it must have, where that is
    /// known.
    pub fn response(
        &self,
        body: &Bytes,
        context: &ResponseContext,
        asked: Option<usize>,
    ) -> Result<WholeResponse, ResponseError> {
        if scan(body).error {
            return Err(ResponseError::Upstream(passthrough::in_a_200(self.dialect, body)));
        }
        let response = self.to.decode_response(body).map_err(ResponseError::Malformed)?;
        check_vectors(response.vectors.len(), asked)?;
        Ok(WholeResponse {
            body: self.from.encode_response(&response, context).into(),
            usage: response.usage,
            model: response.model,
            stored_as: None,
            finish_reason: None,
            output_bytes: 0,
        })
    }
}

/// The inputs as texts, for providers that know no others.
///
/// # Errors
/// [`RequestError`] for tokens.
fn texts(request: &EmbeddingRequest) -> Result<Vec<&str>, RequestError> {
    request.inputs.iter().map(EmbeddingInput::text).collect()
}

/// Refuses more inputs than one call to the provider takes.
///
/// # Errors
/// [`RequestError`] that names the number.
fn at_most(max: usize, request: &EmbeddingRequest) -> Result<(), RequestError> {
    let given = request.inputs.len();
    if given <= max {
        return Ok(());
    }
    let message = format!(
        "\"input\" has {given} texts, but \"{}\" takes at most {max} in one request: send them in \
         several requests",
        request.model
    );
    Err(RequestError::field("input", message))
}

#[cfg(test)]
mod tests;
