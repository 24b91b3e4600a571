//! Model traffic as pure functions: what a request asks for, how it is put to a provider of another
//! dialect, what an answer used, and how an error reads in the caller's dialect.
//!
//! Bytes go in and bytes come out. Nothing here may open a socket, read a clock, spawn a task or know
//! Kubernetes; a timestamp that an answer needs is passed in.
//!
//! Reading order: [`peek()`] (one look at a request), [`Translator`] (the only entry that the proxy
//! needs), `passthrough` (same dialect, the hot path), `chat` (the canonical types), `codec` (the
//! traits that every dialect implements), then one folder for each dialect.

mod anthropic;
pub mod chat;
pub mod codec;
mod crossing;
pub mod error;
mod members;
pub mod models;
mod one_or_many;
mod openai;
mod passthrough;
pub mod peek;
pub mod rewrite;
mod scan;
pub mod sse;
pub mod stream;
pub mod translate;
pub mod usage;

pub use chat::FinishReason;
pub use error::{
    ApiError, ErrorKind, RequestError, decode_error, encode_error, encode_stream_error,
};
pub use models::{ModelEntry, encode_model, encode_models};
pub use peek::{Peek, peek};
pub use rewrite::{Parameters, Rewrite};
pub use stream::{Progress, StreamFault, StreamTranslator};
pub use translate::{
    ResponseContext, ResponseError, Translator, Unsupported, UpstreamRequest, WholeResponse,
};
pub use usage::{Usage, estimate_tokens};

/// A wire format that a downstream or an upstream speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Dialect {
    /// OpenAI's chat completions and embeddings, also spoken by most other providers.
    OpenAi,
    /// Anthropic's Messages.
    Anthropic,
}

/// An endpoint of the data port.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Endpoint {
    /// `POST /v1/chat/completions`.
    ChatCompletions,
    /// `POST /v1/embeddings`.
    Embeddings,
    /// `POST /v1/messages`.
    Messages,
}

impl Endpoint {
    /// Every endpoint, in a stable order.
    pub const ALL: [Self; 3] = [Self::ChatCompletions, Self::Embeddings, Self::Messages];

    /// The dialect that callers of this endpoint speak.
    pub fn dialect(self) -> Dialect {
        match self {
            Self::ChatCompletions | Self::Embeddings => Dialect::OpenAi,
            Self::Messages => Dialect::Anthropic,
        }
    }

    /// The path on the data port.
    pub fn path(self) -> &'static str {
        match self {
            Self::ChatCompletions => "/v1/chat/completions",
            Self::Embeddings => "/v1/embeddings",
            Self::Messages => "/v1/messages",
        }
    }

    /// The endpoint that answers on a path of the data port.
    pub fn from_path(path: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|endpoint| endpoint.path() == path)
    }

    /// The operation's name in the OpenTelemetry GenAI conventions (`gen_ai.operation.name`).
    pub fn operation(self) -> &'static str {
        match self {
            Self::ChatCompletions | Self::Messages => "chat",
            Self::Embeddings => "embeddings",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_endpoint_is_found_by_its_own_path() {
        for endpoint in Endpoint::ALL {
            assert_eq!(Endpoint::from_path(endpoint.path()), Some(endpoint));
        }
        assert_eq!(Endpoint::from_path("/v1/chat/completions/"), None);
    }
}
