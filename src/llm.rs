//! Model traffic as pure functions: what a request asks for, how it is put to a provider of another
//! dialect, what an answer used, and how an error reads in the caller's dialect.
//!
//! Bytes go in and bytes come out. Nothing here may open a socket, read a clock, spawn a task or know
//! Kubernetes; a timestamp that an answer needs is passed in.
//!
//! Reading order: [`peek()`] (one look at a request), [`Translator`] (the only entry that the proxy
//! needs), `passthrough` (same dialect, the hot path), `form` (requests that are no JSON), `opaque`
//! (answers that nobody reads), `chat` (the canonical types), `codec` (the traits that every dialect
//! implements), then one folder for each dialect.
//!
//! A new dialect is one folder and a variant of [`Dialect`], with an arm in `codec::codec`,
//! `error::errors` and `models`, and, if callers speak it too, in `passthrough::stream`; its
//! endpoints are in `endpoint`.

mod anthropic;
mod batch;
pub mod bedrock;
pub mod chat;
pub mod codec;
mod cohere;
mod crossing;
mod effects;
pub mod embeddings;
pub mod endpoint;
pub mod error;
pub mod eventstream;
pub mod form;
mod framing;
mod gemini;
mod history;
mod json_schema;
mod lines;
mod members;
pub mod mentions;
mod mistral;
pub mod models;
mod names;
mod ollama;
mod one_or_many;
mod opaque;
mod openai;
mod order;
mod passthrough;
pub mod peek;
pub mod quirks;
pub mod report;
mod rerank;
mod responses;
pub mod rewrite;
mod scalar;
mod scan;
pub mod sse;
pub mod stream;
mod structured;
pub mod tokens;
pub mod translate;
mod tree;
pub mod usage;

pub use anthropic::vertex as claude_on_vertex;
pub use chat::FinishReason;
pub use effects::is_repeatable;
pub use endpoint::{Called, Endpoint, Work};
pub use error::{
    ApiError, Cause, ErrorKind, RequestError, decode_error, encode_error, encode_stream_error,
};
pub use form::{Boundary, BoundaryError, Form};
pub use mentions::{metadata, tool_names};
pub use models::{ModelEntry, encode_model, encode_models};
pub use openai::is_reasoning_model;
pub use peek::{Peek, peek, peek_form};
pub use quirks::Quirks;
pub use report::{Meter, Report, report};
pub use rewrite::{Parameters, Rewrite};
pub use scalar::scalar;
pub use stream::{Progress, StreamFault, StreamForm, StreamTranslator};
pub use translate::{
    ResponseContext, ResponseError, Translator, Unsupported, UpstreamRequest, WholeResponse,
};
pub use usage::{InputEstimate, ServiceTier, Usage, estimate_tokens};

use names::Names;

/// A wire format that a downstream or an upstream speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Dialect {
    /// OpenAI's chat completions and embeddings, also spoken by most other providers.
    OpenAi,
    /// Anthropic's Messages.
    Anthropic,
    /// Gemini's generateContent, of the Developer API and of Vertex AI.
    Gemini,
    /// OpenAI's Responses.
    Responses,
    /// Bedrock's Converse.
    Bedrock,
    /// Mistral's chat completions and embeddings: near OpenAI's, but strict.
    Mistral,
    /// Cohere's chat, embed and rerank, version 2; callers speak its rerank.
    Cohere,
    /// Ollama's own API.
    Ollama,
}

impl Dialect {
    /// Every dialect, in a stable order.
    pub const ALL: &'static [Self] = &[
        Self::OpenAi,
        Self::Anthropic,
        Self::Gemini,
        Self::Responses,
        Self::Bedrock,
        Self::Mistral,
        Self::Cohere,
        Self::Ollama,
    ];

    /// What a provider speaks that speaks nothing else.
    pub fn alone(self) -> &'static [Self] {
        Self::ALL.iter().find(|dialect| **dialect == self).map_or(&[], std::slice::from_ref)
    }
}
