//! Errors in every dialect: one neutral form, how a provider's error is read into it, and how it is
//! written for the caller. Deciding whether to retry belongs to the proxy.

use std::borrow::Cow;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, StatusCode};
use thiserror::Error;

use super::members::MAX_DEPTH;
use super::{Dialect, anthropic, bedrock, cohere, gemini, mistral, ollama, openai, responses};

pub(super) use words::in_words;

mod cause;
mod decode;
mod words;

pub use cause::Cause;
pub(super) use decode::decode;

/// The status that Anthropic uses for "overloaded"; other clients do not know it.
pub(super) const OVERLOADED: u16 = 529;

/// What kind of failure it is; each dialect has its own word for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ErrorKind {
    /// The request is wrong and would be wrong again.
    InvalidRequest,
    /// The credential is missing or wrong.
    Authentication,
    /// The credential is right but may not do this.
    Permission,
    /// No such model or path.
    NotFound,
    /// The request is larger than allowed.
    TooLarge,
    /// Too many requests, tokens, or too much money.
    RateLimit,
    /// Nothing came in time.
    Timeout,
    /// The server has no capacity now.
    Overloaded,
    /// The provider failed or answered nonsense.
    Upstream,
    /// The gateway failed.
    Internal,
}

impl ErrorKind {
    /// The kind that an HTTP status stands for.
    pub fn from_status(status: StatusCode) -> Self {
        match status.as_u16() {
            401 => Self::Authentication,
            402 | 403 => Self::Permission,
            404 => Self::NotFound,
            408 | 504 => Self::Timeout,
            413 => Self::TooLarge,
            429 => Self::RateLimit,
            503 | OVERLOADED => Self::Overloaded,
            400..=499 => Self::InvalidRequest,
            _ => Self::Upstream,
        }
    }

    /// The code given when the provider names none.
    pub fn default_code(self) -> &'static str {
        match self {
            Self::InvalidRequest => "invalid_request",
            Self::Authentication => "invalid_api_key",
            Self::Permission => "permission_denied",
            Self::NotFound => "not_found",
            Self::TooLarge => "request_too_large",
            Self::RateLimit => "rate_limit_exceeded",
            Self::Timeout => "timeout",
            Self::Overloaded => "overloaded",
            Self::Upstream => "upstream_error",
            Self::Internal => "internal_error",
        }
    }

    /// The kind and status that a provider's word for an error stands for, where no HTTP status says
    /// so: an error event inside a 200.
    pub(crate) fn from_type(name: &str) -> Option<(Self, u16)> {
        Some(match name {
            "invalid_request_error"
            | "BadRequestError"
            | "invalid_prompt"
            | "context_length_exceeded" => (Self::InvalidRequest, 400),
            "authentication_error" | "invalid_api_key" => (Self::Authentication, 401),
            "billing_error" => (Self::Permission, 402),
            "permission_error" => (Self::Permission, 403),
            "not_found_error" | "model_not_found" => (Self::NotFound, 404),
            "request_too_large" => (Self::TooLarge, 413),
            "rate_limit_error" | "rate_limit_exceeded" | "insufficient_quota" => {
                (Self::RateLimit, 429)
            }
            "timeout_error" => (Self::Timeout, 504),
            "overloaded_error" | "overloaded" => (Self::Overloaded, OVERLOADED),
            _ => return None,
        })
    }
}

/// An error as the caller will see it, in no dialect yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiError {
    /// The HTTP status; see [`ApiError::status_for`].
    pub status: StatusCode,
    /// What kind of failure it is.
    pub kind: ErrorKind,
    /// Stable, snake_case, for programs.
    pub code: Cow<'static, str>,
    /// For people: what is wrong and what to do.
    pub message: String,
    /// The request's field at fault.
    pub param: Option<String>,
}

impl ApiError {
    /// An error without a field at fault.
    pub fn new(
        status: StatusCode,
        kind: ErrorKind,
        code: impl Into<Cow<'static, str>>,
        message: impl Into<String>,
    ) -> Self {
        Self { status, kind, code: code.into(), message: message.into(), param: None }
    }

    /// The status for a client of a dialect: Anthropic's 529 is 503 for all others.
    pub fn status_for(&self, dialect: Dialect) -> StatusCode {
        errors(dialect).status(self)
    }

    /// Whether the provider refused the gateway's own credential or account (401, 402, 403).
    pub fn concerns_upstream_credential(&self) -> bool {
        matches!(self.status.as_u16(), 401..=403)
    }

    /// A provider's error as the caller may see it: a refused gateway credential becomes a 502 that
    /// does not repeat the provider's words, which may quote the key.
    pub fn shield_credential(self) -> Self {
        if !self.concerns_upstream_credential() {
            return self;
        }
        let status = self.status.as_u16();
        Self::new(
            StatusCode::BAD_GATEWAY,
            ErrorKind::Upstream,
            "upstream_credential_refused",
            format!("the provider refused the gateway's credential (HTTP {status})"),
        )
    }
}

/// Why a request body cannot be used; always the caller's to fix.
#[derive(Debug, Clone, Error, PartialEq, Eq)]
pub enum RequestError {
    /// Not JSON, or not an object.
    #[error("the request body is not valid JSON: {message}")]
    Syntax {
        /// What the parser found, with line and column.
        message: String,
    },
    /// Nested too deep.
    #[error("the request body is nested deeper than {MAX_DEPTH} levels: flatten it")]
    TooDeep,
    /// The request is right, but the model's provider cannot take it.
    #[error("{message}")]
    Unsupported {
        /// The field's name.
        param: Cow<'static, str>,
        /// Stable, snake_case, for programs.
        code: &'static str,
        /// What cannot be taken and what to do instead.
        message: String,
    },
    /// Not a form, or one that could be read in two ways.
    #[error("the form is malformed at byte {at}: {message}")]
    Form {
        /// The offset in the body.
        at: usize,
        /// What is wrong there.
        message: String,
    },
    /// One field is missing or wrong.
    #[error("{message}")]
    Field {
        /// The field's name.
        param: Cow<'static, str>,
        /// What is wrong and what to write instead.
        message: String,
    },
}

impl RequestError {
    pub(crate) fn field(param: impl Into<Cow<'static, str>>, message: impl Into<String>) -> Self {
        Self::Field { param: param.into(), message: message.into() }
    }

    pub(crate) fn unsupported(
        param: impl Into<Cow<'static, str>>,
        code: &'static str,
        message: impl Into<String>,
    ) -> Self {
        Self::Unsupported { param: param.into(), code, message: message.into() }
    }

    pub(crate) fn syntax(error: &serde_json::Error) -> Self {
        Self::Syntax { message: in_words(error) }
    }
}

impl From<RequestError> for ApiError {
    fn from(error: RequestError) -> Self {
        let (code, param) = match &error {
            RequestError::Syntax { .. } => ("invalid_json", None),
            RequestError::TooDeep => ("json_too_deep", None),
            RequestError::Form { .. } => ("invalid_form", None),
            RequestError::Unsupported { param, code, .. } => (*code, Some(param.to_string())),
            RequestError::Field { param, .. } => ("invalid_request", Some(param.to_string())),
        };
        let message = error.to_string();
        let mut api = Self::new(StatusCode::BAD_REQUEST, ErrorKind::InvalidRequest, code, message);
        api.param = param;
        api
    }
}

/// Errors of one dialect, as its folder reads and writes them.
pub trait ErrorCodec: Sync {
    /// The status for a client: Anthropic's 529 is 503 for all others.
    fn status(&self, error: &ApiError) -> StatusCode {
        match error.status.as_u16() {
            OVERLOADED => StatusCode::SERVICE_UNAVAILABLE,
            _ => error.status,
        }
    }

    /// The body for a client.
    fn encode(&self, error: &ApiError, request_id: &str) -> Vec<u8>;

    /// One event of a stream that has already begun. Never a terminator.
    fn encode_event(&self, error: &ApiError) -> Vec<u8>;

    /// When the provider wants to be asked again, where the body says so and not a header.
    fn retry_after(&self, _body: &[u8]) -> Option<Duration> {
        None
    }

    /// Reads a provider's error answer, or an error inside a 200.
    fn decode(&self, status: StatusCode, _headers: &HeaderMap, body: &[u8]) -> ApiError {
        decode(status, body)
    }
}

/// The errors of a dialect.
pub fn errors(dialect: Dialect) -> &'static dyn ErrorCodec {
    match dialect {
        Dialect::OpenAi => &openai::Errors,
        Dialect::Anthropic => &anthropic::Errors,
        Dialect::Gemini => &gemini::Errors,
        Dialect::Responses => &responses::Errors,
        Dialect::Bedrock => &bedrock::Errors,
        Dialect::Mistral => &mistral::Errors,
        Dialect::Cohere => &cohere::Errors,
        Dialect::Ollama => &ollama::Errors,
    }
}

/// Reads a provider's error answer, whatever its shape, into the neutral form. A status that is not an
/// error (an error object in a 200) is replaced by the one that the error's type stands for, else 502.
pub fn decode_error(
    upstream: Dialect,
    status: StatusCode,
    headers: &HeaderMap,
    body: &[u8],
) -> ApiError {
    errors(upstream).decode(status, headers, body)
}

/// Writes an error as a whole body in the client's dialect.
pub fn encode_error(dialect: Dialect, error: &ApiError, request_id: &str) -> Bytes {
    errors(dialect).encode(error, request_id).into()
}

/// Writes an error as one event of a stream that has already begun. Never a terminator: the stream
/// ends here, unfinished.
pub fn encode_stream_error(dialect: Dialect, error: &ApiError) -> Bytes {
    errors(dialect).encode_event(error).into()
}

#[cfg(test)]
mod tests;
