//! Errors as OpenAI writes them (API reference, "Error codes").

use serde_json::{Value, json};

use crate::llm::error::{ApiError, ErrorCodec, ErrorKind};

/// The errors of OpenAI and of those who follow it.
pub struct Errors;

impl ErrorCodec for Errors {
    fn encode(&self, error: &ApiError, _: &str) -> Vec<u8> {
        object(error).to_string().into_bytes()
    }

    fn encode_event(&self, error: &ApiError) -> Vec<u8> {
        format!("data: {}\n\n", object(error)).into_bytes()
    }
}

fn object(error: &ApiError) -> Value {
    json!({"error": {
        "message": error.message,
        "type": word(error.kind),
        "param": error.param,
        "code": error.code,
    }})
}

/// `error.type`.
fn word(kind: ErrorKind) -> &'static str {
    match kind {
        ErrorKind::InvalidRequest
        | ErrorKind::Authentication
        | ErrorKind::NotFound
        | ErrorKind::TooLarge => "invalid_request_error",
        ErrorKind::Permission => "permission_error",
        ErrorKind::RateLimit => "rate_limit_exceeded",
        ErrorKind::Timeout | ErrorKind::Overloaded | ErrorKind::Upstream | ErrorKind::Internal => {
            "server_error"
        }
    }
}
