//! The entry for the proxy: one [`Translator`] for a pair of downstream endpoint and upstream
//! dialect. It chooses between passing bytes through and crossing dialects; it does neither itself.

use bytes::Bytes;
use thiserror::Error;

use super::chat::FinishReason;
use super::crossing::{self, CrossingStream};
use super::error::{ApiError, RequestError};
use super::passthrough::{self, PassthroughStream};
use super::peek::{Peek, peek};
use super::rewrite::{Rewrite, apply_parameters, splice};
use super::stream::StreamTranslator;
use super::usage::Usage;
use super::{Dialect, Endpoint};

/// The upstream dialect has no counterpart for the endpoint.
#[derive(Debug, Clone, Copy, Error, PartialEq, Eq)]
#[error("a provider that speaks {upstream:?} has no counterpart for {}", .endpoint.path())]
pub struct Unsupported {
    /// What the caller asked for.
    pub endpoint: Endpoint,
    /// What the provider speaks.
    pub upstream: Dialect,
}

/// A request as it is sent upstream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UpstreamRequest {
    /// The body.
    pub body: Bytes,
    /// Parameters that the target cannot take and that were left out, by their downstream names,
    /// sorted, each once.
    pub dropped: Vec<String>,
    /// Headers that the translation needs; they replace the client's of the same name.
    pub headers: &'static [(&'static str, &'static str)],
}

/// What an answer must carry that the provider may not give.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ResponseContext {
    /// Seconds of Unix time; `created` of OpenAI answers.
    pub created: i64,
    /// The model as the client named it; used when the provider names none.
    pub model: String,
    /// The request's id; used in the answer's id when the provider gives none.
    pub request_id: String,
}

/// A whole answer, translated and metered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WholeResponse {
    /// The body for the client.
    pub body: Bytes,
    /// Reported usage; `None`: nothing was reported (zero is not nothing).
    pub usage: Option<Usage>,
    /// The model that answered, as the provider names it.
    pub model: Option<String>,
    /// Why the model stopped.
    pub finish_reason: Option<FinishReason>,
    /// Bytes of content, for estimates; 0 together with no finish reason is an empty answer.
    pub output_bytes: u64,
}

/// Why a whole answer cannot be used.
#[derive(Debug, Clone, Error, PartialEq, Eq)]
pub enum ResponseError {
    /// The provider put an error into a 200.
    #[error("the provider reported an error in its answer: {}", .0.message)]
    Upstream(ApiError),
    /// Not an answer of the provider's dialect.
    #[error("the provider's answer is malformed: {0}")]
    Malformed(String),
}

/// Translates between a downstream endpoint and an upstream dialect.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Translator {
    endpoint: Endpoint,
    upstream: Dialect,
}

impl Translator {
    /// A translator for the pair.
    ///
    /// # Errors
    /// [`Unsupported`] for embeddings of a provider that speaks Anthropic.
    pub fn new(endpoint: Endpoint, upstream: Dialect) -> Result<Self, Unsupported> {
        match (endpoint, upstream) {
            (Endpoint::Embeddings, Dialect::Anthropic) => Err(Unsupported { endpoint, upstream }),
            _ => Ok(Self { endpoint, upstream }),
        }
    }

    /// Whether both sides speak the same dialect, so that bytes pass through.
    pub fn is_passthrough(&self) -> bool {
        self.endpoint.dialect() == self.upstream
    }

    /// The dialect that the upstream speaks.
    pub fn upstream(&self) -> Dialect {
        self.upstream
    }

    /// The endpoint that the downstream called.
    pub fn endpoint(&self) -> Endpoint {
        self.endpoint
    }

    /// The path to join to the provider's base URL, which ends in `/v1`.
    pub fn upstream_path(&self) -> &'static str {
        match (self.endpoint, self.upstream) {
            (Endpoint::Embeddings, _) => "/embeddings",
            (_, Dialect::OpenAi) => "/chat/completions",
            (_, Dialect::Anthropic) => "/messages",
        }
    }

    /// Puts a request into the upstream's dialect. `peek` must be of this very `body`.
    ///
    /// # Errors
    /// [`RequestError`] if the request cannot be read in the caller's dialect. Passing through reads
    /// no more than [`peek()`] did.
    pub fn request(
        &self,
        body: &Bytes,
        peeked: &Peek,
        rewrite: &Rewrite<'_>,
    ) -> Result<UpstreamRequest, RequestError> {
        let edited = apply_parameters(body, rewrite.parameters)?;
        if !self.is_passthrough() {
            let body = edited.as_ref().unwrap_or(body);
            return crossing::request(self.endpoint.dialect(), self.upstream, body, rewrite);
        }
        let body = match edited {
            None => splice(body, peeked, rewrite.model, self.asks_for_usage(peeked)),
            Some(edited) => {
                let peeked = peek(self.endpoint, &edited)?;
                splice(&edited, &peeked, rewrite.model, self.asks_for_usage(&peeked))
            }
        };
        Ok(UpstreamRequest { body, dropped: Vec::new(), headers: &[] })
    }

    /// Puts a whole answer into the caller's dialect.
    ///
    /// # Errors
    /// [`ResponseError`] if it is an error in disguise or not an answer of the upstream's dialect.
    pub fn response(
        &self,
        body: &Bytes,
        context: &ResponseContext,
    ) -> Result<WholeResponse, ResponseError> {
        if self.is_passthrough() {
            passthrough::response(self.upstream, body)
        } else {
            crossing::response(self.endpoint.dialect(), self.upstream, body, context)
        }
    }

    /// A translator for one stream.
    pub fn stream(&self, peek: &Peek, context: &ResponseContext) -> Box<dyn StreamTranslator> {
        if self.is_passthrough() {
            let strip_usage = self.asks_for_usage(peek) && !peek.include_usage;
            Box::new(PassthroughStream::new(self.upstream, strip_usage))
        } else {
            let downstream = self.endpoint.dialect();
            Box::new(CrossingStream::new(downstream, self.upstream, context, peek.include_usage))
        }
    }

    /// OpenAI reports usage in a stream only when asked.
    fn asks_for_usage(&self, peek: &Peek) -> bool {
        self.endpoint == Endpoint::ChatCompletions
            && self.upstream == Dialect::OpenAi
            && peek.stream
    }
}

#[cfg(test)]
mod tests;
