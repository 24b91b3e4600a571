//! The entry for the proxy: one [`Translator`] for a pair of downstream endpoint and upstream
//! dialect. It chooses between passing bytes through and crossing dialects; it does neither itself.

use std::borrow::Cow;

use bytes::Bytes;
use thiserror::Error;

use super::chat::FinishReason;
use super::codec::{Dropped, codec};
use super::crossing::{self, CrossingStream};
use super::embeddings::EmbeddingCrossing;
use super::endpoint::{Endpoint, Work};
use super::error::{ApiError, RequestError};
use super::framing::Framing;
use super::opaque::OpaqueStream;
use super::passthrough;
use super::peek::Peek;
use super::quirks::Quirks;
use super::rerank;
use super::rewrite::{Rewrite, apply_parameters, rewrite_form, splice};
use super::stream::{StreamForm, StreamTranslator};
use super::tokens::count_request;
use super::usage::Usage;
use super::{Dialect, batch, bedrock, gemini, history};

/// The provider has no counterpart for the endpoint.
#[derive(Debug, Clone, Copy, Error, PartialEq, Eq)]
#[error("a provider that speaks {spoken:?} has no counterpart for {}", .endpoint.path())]
pub struct Unsupported {
    /// What the caller asked for.
    pub endpoint: Endpoint,
    /// What the provider speaks.
    pub spoken: &'static [Dialect],
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
    /// How a stream is written.
    pub form: StreamForm,
    /// The caller's request, where the answer is made or checked by it
    /// ([`Endpoint::answers_by_request`]); else empty.
    pub request: Bytes,
    /// Whether vectors are written in base64.
    pub base64: bool,
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
    /// The id by which a later request can go on from the answer, where the provider stores answers
    /// (Responses).
    pub stored_as: Option<String>,
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
    quirks: Quirks,
    on_vertex: bool,
}

impl Translator {
    /// A translator for an endpoint and what the provider speaks, its main dialect first: the
    /// caller's own where it is spoken, so that bytes pass through; else chat crosses to the main
    /// one.
    ///
    /// # Errors
    /// [`Unsupported`] for what only exists in the caller's dialect.
    pub fn new(endpoint: Endpoint, spoken: &'static [Dialect]) -> Result<Self, Unsupported> {
        let own = endpoint.dialect();
        let crossed = || match endpoint.work() {
            Work::Chat | Work::Count => spoken.first(),
            Work::Vectors => {
                spoken.iter().find(|to| EmbeddingCrossing::new(endpoint, **to).is_some())
            }
            // Servers that follow OpenAI have it beside OpenAI's own endpoints.
            Work::Order => spoken.iter().find(|to| **to == Dialect::OpenAi),
            Work::Text | Work::Verdict | Work::Media | Work::Transcript => None,
        };
        let upstream = spoken.iter().find(|spoken| **spoken == own).or_else(crossed);
        let upstream = *upstream.ok_or(Unsupported { endpoint, spoken })?;
        Ok(Self { endpoint, upstream, quirks: Quirks::NONE, on_vertex: false })
    }

    /// The same for a provider that differs from its dialect.
    pub fn with_quirks(self, quirks: Quirks) -> Self {
        Self { quirks, ..self }
    }

    /// The same for a provider that is Vertex AI, whose models embed in a form of their own.
    pub fn on_vertex(self) -> Self {
        Self { on_vertex: true, ..self }
    }

    /// Whether both sides speak the same dialect, so that bytes pass through.
    pub fn is_passthrough(&self) -> bool {
        let is_same = self.endpoint.dialect() == self.upstream;
        (is_same && !self.predicts()) || self.endpoint.work() == Work::Order
    }

    /// Whether vectors are asked for in Vertex AI's form.
    fn predicts(&self) -> bool {
        self.on_vertex && self.upstream == Dialect::Gemini && self.endpoint.work() == Work::Vectors
    }

    fn embeddings(&self) -> Option<EmbeddingCrossing> {
        match self.predicts() {
            true => EmbeddingCrossing::to_vertex(self.endpoint),
            false if self.is_passthrough() => None,
            false => EmbeddingCrossing::new(self.endpoint, self.upstream),
        }
    }

    /// Whether the provider cannot answer, so that [`Self::count`] does.
    pub fn is_local(&self) -> bool {
        self.endpoint.work() == Work::Count && !self.is_passthrough()
    }

    /// Estimates how many tokens a request has. It takes time in proportion to the request, and on
    /// the first call of a process more than that: no thread that serves connections may call it.
    /// `model` is the provider's name of the model.
    ///
    /// # Errors
    /// [`RequestError`] if the request cannot be read in the caller's dialect.
    pub fn count(&self, body: &[u8], model: &str) -> Result<WholeResponse, RequestError> {
        let codec = codec(self.endpoint.dialect());
        let mut request = codec.decode_count(body)?;
        model.clone_into(&mut request.model);
        Ok(WholeResponse {
            body: codec.encode_count(count_request(&request)).into(),
            usage: None,
            model: None,
            stored_as: None,
            finish_reason: None,
            output_bytes: 0,
        })
    }

    /// The dialect that the upstream speaks.
    pub fn upstream(&self) -> Dialect {
        self.upstream
    }

    /// The endpoint that the downstream called.
    pub fn endpoint(&self) -> Endpoint {
        self.endpoint
    }

    /// The path to join to the provider's base URL, which ends in the API's version. It may have a
    /// query. `model` is the provider's name of it.
    pub fn upstream_path(&self, model: &str, stream: bool) -> Cow<'static, str> {
        match (self.endpoint.work(), self.embeddings()) {
            (Work::Chat, _) => codec(self.upstream).path(model, stream),
            (_, Some(crossing)) => crossing.path(model),
            _ if self.upstream == Dialect::Gemini => {
                gemini::place::path(self.endpoint.upstream(), model).into()
            }
            _ => self.endpoint.upstream().into(),
        }
    }

    /// How the upstream's streams are cut.
    pub fn framing(&self) -> Framing {
        codec(self.upstream).framing()
    }

    /// Puts a request into the upstream's dialect. `peek` must be of this very `body`.
    ///
    /// # Errors
    /// [`RequestError`] if the request cannot be read in the caller's dialect. Passing through reads
    /// no more than [`peek()`](super::peek()) did.
    pub fn request(
        &self,
        body: &Bytes,
        peeked: &Peek,
        rewrite: &Rewrite<'_>,
    ) -> Result<UpstreamRequest, RequestError> {
        if peeked.form.is_some() {
            let body = rewrite_form(self.endpoint, body, peeked, rewrite)?;
            return Ok(UpstreamRequest { body, dropped: Vec::new(), headers: &[] });
        }
        // A count takes none of the parameters of an answer.
        let counts = self.endpoint.work() == Work::Count;
        let mut edited =
            apply_parameters(self.endpoint, body, rewrite.parameters.filter(|_| !counts))?;
        if let Some(crossing) = self.embeddings() {
            let crossed = crossing.request(edited.as_ref().unwrap_or(body), rewrite)?;
            return match self.upstream {
                // It names the provider's model already.
                Dialect::Gemini => Ok(crossed),
                _ => self.adapt(crossed, rewrite.model),
            };
        }
        let mut dropped = Dropped::default();
        if self.endpoint.work() == Work::Order && self.upstream == Dialect::Cohere {
            let made = rerank::to_cohere(edited.as_ref().unwrap_or(body), &mut dropped)?;
            edited = made.map(Bytes::from).or(edited);
        }
        if !self.is_passthrough() {
            let body = edited.as_ref().unwrap_or(body);
            let wanted = crossing::Wanted { stream: peeked.stream, rewrite: *rewrite };
            let own = self.endpoint.dialect();
            let crossed = crossing::request(own, self.upstream, body, &wanted)?;
            return self.adapt(crossed, rewrite.model);
        }
        let body = match edited {
            None => splice(body, peeked, rewrite.model, self.asks_for_usage(peeked)),
            Some(edited) => {
                let peeked = peeked.again(self.endpoint, &edited)?;
                splice(&edited, &peeked, rewrite.model, self.asks_for_usage(&peeked))
            }
        };
        let mut dropped = dropped.into_names();
        let body = match self.endpoint.work() {
            Work::Chat | Work::Count => {
                history::restore(self.upstream, body, rewrite.model, &mut dropped)?
            }
            _ => body,
        };
        self.adapt(UpstreamRequest { body, dropped, headers: &[] }, rewrite.model)
    }

    /// Puts a request in the upstream's dialect into the provider's form of it.
    fn adapt(
        &self,
        mut request: UpstreamRequest,
        model: &str,
    ) -> Result<UpstreamRequest, RequestError> {
        match self.upstream {
            Dialect::OpenAi => {
                request.body = self.quirks.adapt(request.body, &mut request.dropped)?;
            }
            Dialect::Gemini if self.endpoint.work() != Work::Chat => {
                if let Some(renamed) = gemini::place::rename(&request.body, model) {
                    request.body = renamed.into();
                }
            }
            Dialect::Anthropic
            | Dialect::Gemini
            | Dialect::Responses
            | Dialect::Bedrock
            | Dialect::Mistral
            | Dialect::Cohere
            | Dialect::Ollama => {}
        }
        Ok(request)
    }

    /// Adds the features that a caller asked for by Anthropic's header (`anthropic-beta`) to a request
    /// for `model` that crossed to a dialect in which they have a place. What has none there is named
    /// as dropped.
    pub fn add_betas(&self, request: &mut UpstreamRequest, model: &str, header: &str) {
        if self.endpoint.dialect() == Dialect::Anthropic && self.upstream == Dialect::Bedrock {
            bedrock::add_betas(request, model, header);
        }
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
        let asked = batch::asked(self.endpoint, &context.request);
        if self.endpoint.work() == Work::Order {
            rerank::response(self.upstream, body, asked)
        } else if let Some(crossing) = self.embeddings() {
            crossing.response(body, context, asked)
        } else if self.is_passthrough() {
            let whole = passthrough::response(self.upstream, self.quirks, body)?;
            batch::check_untouched(body, asked)?;
            Ok(whole)
        } else {
            crossing::response(self.endpoint.dialect(), self.upstream, body, context)
        }
    }

    /// A translator for one stream.
    pub fn stream(&self, peek: &Peek, context: &ResponseContext) -> Box<dyn StreamTranslator> {
        if self.is_passthrough() {
            let strip_usage = self.asks_for_usage(peek) && !peek.include_usage;
            passthrough::stream(self.upstream, strip_usage, self.quirks, context.form)
        } else {
            let downstream = self.endpoint.dialect();
            Box::new(CrossingStream::new(downstream, self.upstream, context, peek.include_usage))
        }
    }

    /// A translator for one answer that is handed on unread ([`Work::is_opaque`]).
    pub fn opaque(&self, body: &[u8], peek: &Peek) -> Box<dyn StreamTranslator> {
        let stream = match self.endpoint.work() {
            Work::Transcript => {
                let form = peek.form.as_ref();
                let wanted = form.and_then(|form| form.text(body, "response_format"));
                OpaqueStream::transcript(
                    self.upstream,
                    matches!(wanted, Some("text" | "srt" | "vtt")),
                )
            }
            _ => OpaqueStream::new(self.upstream),
        };
        Box::new(stream)
    }

    /// OpenAI reports usage in a stream only when asked.
    fn asks_for_usage(&self, peek: &Peek) -> bool {
        matches!(self.endpoint, Endpoint::ChatCompletions | Endpoint::Completions)
            && self.upstream == Dialect::OpenAi
            && !self.quirks.usage_unasked
            && peek.stream
    }
}

#[cfg(test)]
mod tests;
