//! Errors of Responses: those of OpenAI, and the events that end a stream.

use http::{HeaderMap, StatusCode};
use serde::Deserialize;
use serde_json::json;
use serde_json::value::RawValue;

use crate::llm::error::{ApiError, ErrorCodec, ErrorKind, decode};
use crate::llm::openai;

/// The errors of Responses.
pub struct Errors;

impl ErrorCodec for Errors {
    fn encode(&self, error: &ApiError, request_id: &str) -> Vec<u8> {
        openai::Errors.encode(error, request_id)
    }

    fn encode_event(&self, error: &ApiError) -> Vec<u8> {
        let event = json!({
            "type": "error",
            "code": error.code,
            "message": error.message,
            "param": error.param,
            "sequence_number": 0,
        });
        format!("event: error\ndata: {event}\n\n").into_bytes()
    }

    /// In `response.failed` the error lies in the answer. Neither there nor in an `error` event is
    /// there a type: the code says what it means.
    fn decode(&self, status: StatusCode, _: &HeaderMap, body: &[u8]) -> ApiError {
        #[derive(Deserialize)]
        struct Failed<'a> {
            #[serde(borrow)]
            response: &'a RawValue,
        }
        let inner = serde_json::from_slice::<Failed<'_>>(body).ok();
        let mut error =
            decode(status, inner.map_or(body, |failed| failed.response.get().as_bytes()));
        if !(status.is_client_error() || status.is_server_error())
            && error.status == StatusCode::BAD_GATEWAY
            && let Some((kind, code)) = ErrorKind::from_type(&error.code)
        {
            error.kind = kind;
            error.status = StatusCode::from_u16(code).unwrap_or(StatusCode::BAD_GATEWAY);
        }
        error
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(body: &str) -> (u16, String, String) {
        let error = Errors.decode(StatusCode::OK, &HeaderMap::new(), body.as_bytes());
        (error.status.as_u16(), error.code.into_owned(), error.message)
    }

    #[test]
    fn errors_inside_a_200_have_the_status_that_their_code_means() {
        let events = [
            r#"{"type":"error","code":"rate_limit_exceeded","message":"slow","param":null,"sequence_number":3}"#,
            r#"{"type":"error","sequence_number":2,"error":{"type":"rate_limit_exceeded","code":"rate_limit_exceeded","message":"slow"}}"#,
            r#"{"type":"response.failed","response":{"status":"failed","error":{"code":"rate_limit_exceeded","message":"slow"}}}"#,
            r#"{"id":"resp_1","status":"failed","error":{"code":"rate_limit_exceeded","message":"slow"}}"#,
        ];
        for event in events {
            let told = (429, "rate_limit_exceeded".to_owned(), "slow".to_owned());
            assert_eq!(read(event), told, "{event}");
        }
        let unknown = r#"{"type":"response.failed","response":{"error":{"code":"server_error","message":"x"}}}"#;
        assert_eq!(read(unknown), (502, "server_error".to_owned(), "x".to_owned()));
    }
}
