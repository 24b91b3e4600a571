//! Errors as Anthropic writes them (API reference, "Errors").

use http::StatusCode;
use serde_json::{Value, json};

use crate::llm::error::{ApiError, ErrorCodec, ErrorKind};

/// Anthropic's errors.
pub struct Errors;

impl ErrorCodec for Errors {
    /// 529 is Anthropic's own.
    fn status(&self, error: &ApiError) -> StatusCode {
        error.status
    }

    fn encode(&self, error: &ApiError, request_id: &str) -> Vec<u8> {
        let mut body = object(error);
        body["request_id"] = json!(request_id);
        body.to_string().into_bytes()
    }

    fn encode_event(&self, error: &ApiError) -> Vec<u8> {
        format!("event: error\ndata: {}\n\n", object(error)).into_bytes()
    }
}

fn object(error: &ApiError) -> Value {
    json!({"type": "error", "error": {
        "type": word(error.kind),
        "message": error.message,
        "code": error.code,
    }})
}

/// `error.type`.
fn word(kind: ErrorKind) -> &'static str {
    match kind {
        ErrorKind::InvalidRequest => "invalid_request_error",
        ErrorKind::Authentication => "authentication_error",
        ErrorKind::Permission => "permission_error",
        ErrorKind::NotFound => "not_found_error",
        ErrorKind::TooLarge => "request_too_large",
        ErrorKind::RateLimit => "rate_limit_error",
        ErrorKind::Timeout => "timeout_error",
        ErrorKind::Overloaded => "overloaded_error",
        ErrorKind::Upstream | ErrorKind::Internal => "api_error",
    }
}
