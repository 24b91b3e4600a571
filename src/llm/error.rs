//! Errors in every dialect: one neutral form, how a provider's error is read into it, and how it is
//! written for the caller. Deciding whether to retry belongs to the proxy.

use std::borrow::Cow;

use bytes::Bytes;
use http::StatusCode;
use serde_json::json;
use thiserror::Error;

use super::Dialect;
use super::members::MAX_DEPTH;

mod decode;

pub use decode::decode_error;

/// The status that Anthropic uses for "overloaded"; other clients do not know it.
const OVERLOADED: u16 = 529;

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

    /// `error.type` for OpenAI clients.
    fn openai_type(self) -> &'static str {
        match self {
            Self::InvalidRequest | Self::Authentication | Self::NotFound | Self::TooLarge => {
                "invalid_request_error"
            }
            Self::Permission => "permission_error",
            Self::RateLimit => "rate_limit_exceeded",
            Self::Timeout | Self::Overloaded | Self::Upstream | Self::Internal => "server_error",
        }
    }

    /// `error.type` for Anthropic clients.
    fn anthropic_type(self) -> &'static str {
        match self {
            Self::InvalidRequest => "invalid_request_error",
            Self::Authentication => "authentication_error",
            Self::Permission => "permission_error",
            Self::NotFound => "not_found_error",
            Self::TooLarge => "request_too_large",
            Self::RateLimit => "rate_limit_error",
            Self::Timeout => "timeout_error",
            Self::Overloaded => "overloaded_error",
            Self::Upstream | Self::Internal => "api_error",
        }
    }

    /// The kind and status that a provider's word for an error stands for, where no HTTP status says
    /// so: an error event inside a 200.
    pub(crate) fn from_type(name: &str) -> Option<(Self, u16)> {
        Some(match name {
            "invalid_request_error" | "BadRequestError" | "invalid_prompt" => {
                (Self::InvalidRequest, 400)
            }
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
        match dialect {
            Dialect::OpenAi if self.status.as_u16() == OVERLOADED => {
                StatusCode::SERVICE_UNAVAILABLE
            }
            Dialect::OpenAi | Dialect::Anthropic => self.status,
        }
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

    pub(crate) fn syntax(error: &serde_json::Error) -> Self {
        Self::Syntax { message: error.to_string() }
    }
}

impl From<RequestError> for ApiError {
    fn from(error: RequestError) -> Self {
        let (code, param) = match &error {
            RequestError::Syntax { .. } => ("invalid_json", None),
            RequestError::TooDeep => ("json_too_deep", None),
            RequestError::Field { param, .. } => ("invalid_request", Some(param.to_string())),
        };
        let message = error.to_string();
        let mut api = Self::new(StatusCode::BAD_REQUEST, ErrorKind::InvalidRequest, code, message);
        api.param = param;
        api
    }
}

/// Writes an error as a whole body in the client's dialect.
pub fn encode_error(dialect: Dialect, error: &ApiError, request_id: &str) -> Bytes {
    let body = match dialect {
        Dialect::OpenAi => openai_error(error),
        Dialect::Anthropic => {
            let mut body = anthropic_error(error);
            body["request_id"] = json!(request_id);
            body
        }
    };
    Bytes::from(body.to_string())
}

/// Writes an error as one event of a stream that has already begun. Never a terminator: the stream
/// ends here, unfinished.
pub fn encode_stream_error(dialect: Dialect, error: &ApiError) -> Bytes {
    Bytes::from(match dialect {
        Dialect::OpenAi => format!("data: {}\n\n", openai_error(error)),
        Dialect::Anthropic => format!("event: error\ndata: {}\n\n", anthropic_error(error)),
    })
}

fn openai_error(error: &ApiError) -> serde_json::Value {
    json!({"error": {
        "message": error.message,
        "type": error.kind.openai_type(),
        "param": error.param,
        "code": error.code,
    }})
}

fn anthropic_error(error: &ApiError) -> serde_json::Value {
    json!({"type": "error", "error": {
        "type": error.kind.anthropic_type(),
        "message": error.message,
        "code": error.code,
    }})
}

#[cfg(test)]
mod tests;
