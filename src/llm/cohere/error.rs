//! Errors as Cohere writes them: `{"id", "message"}`, with statuses of its own, and the end of a stream
//! that failed (API reference, "Errors").

use http::{HeaderMap, StatusCode};
use serde::Deserialize;
use serde_json::json;

use super::response::failed;
use crate::llm::error::{ApiError, ErrorCodec, ErrorKind, decode};

/// What Cohere says where its filter blocks what goes in or comes out.
const BLOCKED: u16 = 498;

/// The errors of Cohere.
pub struct Errors;

#[derive(Deserialize)]
struct End {
    delta: Delta,
}

#[derive(Deserialize)]
struct Delta {
    #[serde(default)]
    error: Option<String>,
    #[serde(default)]
    finish_reason: Option<String>,
}

impl ErrorCodec for Errors {
    fn encode(&self, error: &ApiError, request_id: &str) -> Vec<u8> {
        let body = json!({"id": request_id, "message": error.message, "code": error.code});
        body.to_string().into_bytes()
    }

    fn encode_event(&self, error: &ApiError) -> Vec<u8> {
        let delta = json!({"finish_reason": "ERROR", "error": error.message});
        let event = json!({"type": "message-end", "delta": delta});
        format!("event: message-end\ndata: {event}\n\n").into_bytes()
    }

    fn decode(&self, status: StatusCode, _: &HeaderMap, body: &[u8]) -> ApiError {
        let mut error = decode(status, body);
        if let Ok(End { delta }) = serde_json::from_slice(body) {
            let told = delta.error.filter(|text| !text.is_empty());
            error.message =
                told.unwrap_or_else(|| failed(delta.finish_reason.as_deref().unwrap_or("ERROR")));
        }
        if status.as_u16() == BLOCKED {
            error.status = StatusCode::BAD_REQUEST;
            error.kind = ErrorKind::InvalidRequest;
            error.code = "content_filter".into();
        }
        error
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(status: u16, body: &str) -> ApiError {
        let status = StatusCode::from_u16(status).unwrap();
        Errors.decode(status, &HeaderMap::new(), body.as_bytes())
    }

    #[test]
    fn a_stream_that_failed_tells_why() {
        let end = r#"{"type":"message-end","delta":{"finish_reason":"ERROR","error":"boom"}}"#;
        assert_eq!((read(200, end).message, read(200, end).status.as_u16()), ("boom".into(), 502));
        let mute = r#"{"type":"message-end","delta":{"finish_reason":"TIMEOUT"}}"#;
        assert!(read(200, mute).message.contains("TIMEOUT"));
    }

    #[test]
    fn what_the_filter_blocks_is_the_callers_to_change() {
        let error = read(498, r#"{"id":"i","message":"blocked"}"#);
        assert_eq!((error.status.as_u16(), &*error.code), (400, "content_filter"));
        assert_eq!(error.message, "blocked");
    }

    #[test]
    fn errors_are_written_with_an_id_and_a_message() {
        let error =
            ApiError::new(StatusCode::NOT_FOUND, ErrorKind::NotFound, "model_not_found", "no m");
        let body: serde_json::Value = serde_json::from_slice(&Errors.encode(&error, "r1")).unwrap();
        assert_eq!(body, json!({"id": "r1", "message": "no m", "code": "model_not_found"}));
    }
}
