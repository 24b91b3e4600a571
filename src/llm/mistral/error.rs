//! Errors of Mistral: flat, `{"object": "error", "message", "type", "param", "code"}`, where what its
//! validation finds is a list of places and sentences in `message.detail` or `detail`.

use http::{HeaderMap, StatusCode};
use serde::Deserialize;

use crate::llm::error::{ApiError, ErrorCodec, decode};
use crate::llm::openai;

/// The errors of Mistral.
pub struct Errors;

#[derive(Deserialize)]
struct Flat {
    #[serde(default)]
    message: Option<Detailed>,
    #[serde(default)]
    detail: Option<Vec<Finding>>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Detailed {
    Detail { detail: Vec<Finding> },
    Other(serde::de::IgnoredAny),
}

/// One finding of the validation.
#[derive(Deserialize)]
struct Finding {
    #[serde(default)]
    loc: Vec<serde_json::Value>,
    msg: String,
}

impl ErrorCodec for Errors {
    fn encode(&self, error: &ApiError, request_id: &str) -> Vec<u8> {
        openai::Errors.encode(error, request_id)
    }

    fn encode_event(&self, error: &ApiError) -> Vec<u8> {
        openai::Errors.encode_event(error)
    }

    fn decode(&self, status: StatusCode, _: &HeaderMap, body: &[u8]) -> ApiError {
        let mut error = decode(status, body);
        if let Some(message) = findings(body) {
            error.message = message;
        }
        error
    }
}

/// What the validation found, as sentences; `None` if this is another error.
fn findings(body: &[u8]) -> Option<String> {
    let flat: Flat = serde_json::from_slice(body).ok()?;
    let list = match (flat.message, flat.detail) {
        (Some(Detailed::Detail { detail }), _) => detail,
        (_, detail) => detail?,
    };
    let sentence = |finding: &Finding| {
        let place: Vec<String> = finding
            .loc
            .iter()
            .map(|step| step.as_str().map_or_else(|| step.to_string(), str::to_owned))
            .collect();
        format!("{}: {}", place.join("."), finding.msg)
    };
    let sentences: Vec<String> = list.iter().take(8).map(sentence).collect();
    (!sentences.is_empty()).then(|| sentences.join("; "))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(status: u16, body: &str) -> ApiError {
        let status = StatusCode::from_u16(status).unwrap();
        Errors.decode(status, &HeaderMap::new(), body.as_bytes())
    }

    #[test]
    fn what_validation_found_is_told_in_sentences() {
        let finding = r#"{"detail":[{"type":"extra_forbidden","loc":["body","messages",0,"x"],"msg":"Extra inputs are not permitted","input":"y"}]}"#;
        let nested = format!(
            r#"{{"object":"error","message":{finding},"type":"invalid_request_error","param":null,"code":null}}"#
        );
        for body in [finding, nested.as_str()] {
            let error = read(422, body);
            assert_eq!(error.message, "body.messages.0.x: Extra inputs are not permitted");
            assert_eq!(error.status, 422);
        }
    }

    #[test]
    fn other_errors_keep_their_message() {
        let flat = r#"{"object":"error","message":"Rate limit exceeded","type":"rate_limited","param":null,"code":"1300"}"#;
        let error = read(429, flat);
        assert_eq!((&*error.message, &*error.code), ("Rate limit exceeded", "rate_limit_exceeded"));
        assert_eq!(read(401, r#"{"detail":"Unauthorized"}"#).message, "Unauthorized");
    }
}
