//! Errors as Google writes them (`google.rpc.Status`; Gemini API, "Troubleshooting").

use std::time::Duration;

use http::{HeaderMap, StatusCode};
use serde_json::{Value, json};

use crate::llm::error::{ApiError, ErrorCodec, ErrorKind, decode};

/// The longest wait that is believed.
const MAX_WAIT: Duration = Duration::from_hours(24);

/// Google's errors.
pub struct Errors;

impl ErrorCodec for Errors {
    fn encode(&self, error: &ApiError, request_id: &str) -> Vec<u8> {
        let mut body = object(self.status(error), error);
        let info = json!({"@type": TYPE_REQUEST, "requestId": request_id});
        if let Some(details) = body.pointer_mut("/error/details").and_then(Value::as_array_mut)
            && !request_id.is_empty()
        {
            details.push(info);
        }
        body.to_string().into_bytes()
    }

    fn encode_event(&self, error: &ApiError) -> Vec<u8> {
        format!("data: {}\r\n\r\n", object(self.status(error), error)).into_bytes()
    }

    /// Google tells when to come back in the body.
    fn retry_after(&self, body: &[u8]) -> Option<Duration> {
        let body: Value = serde_json::from_slice(body).ok()?;
        let mut delays = details(&body).filter_map(|detail| detail.get("retryDelay")?.as_str());
        delays.find_map(seconds)
    }

    /// Google says 400 where its key is wrong.
    fn decode(&self, status: StatusCode, _: &HeaderMap, body: &[u8]) -> ApiError {
        let mut error = decode(status, body);
        let body: Value = serde_json::from_slice(body).unwrap_or_default();
        let mut reasons = details(&body).filter_map(|detail| detail.get("reason")?.as_str());
        if reasons.any(|reason| matches!(reason, "API_KEY_INVALID" | "API_KEY_EXPIRED")) {
            error.status = StatusCode::UNAUTHORIZED;
            error.kind = ErrorKind::Authentication;
        }
        error
    }
}

/// The details of an error, which may stand in a list.
fn details(body: &Value) -> impl Iterator<Item = &Value> {
    let details = body.pointer("/error/details").or_else(|| body.pointer("/0/error/details"));
    details.and_then(Value::as_array).into_iter().flatten()
}

const TYPE_INFO: &str = "type.googleapis.com/google.rpc.ErrorInfo";
const TYPE_REQUEST: &str = "type.googleapis.com/google.rpc.RequestInfo";
const TYPE_FIELD: &str = "type.googleapis.com/google.rpc.BadRequest";

/// `34.4s` (a `google.protobuf.Duration` in JSON).
fn seconds(delay: &str) -> Option<Duration> {
    let seconds: f64 = delay.strip_suffix('s')?.parse().ok()?;
    Duration::try_from_secs_f64(seconds).ok().filter(|wait| *wait <= MAX_WAIT)
}

fn object(status: StatusCode, error: &ApiError) -> Value {
    let mut details =
        vec![json!({"@type": TYPE_INFO, "reason": error.code, "domain": "sluice.dev"})];
    if let Some(param) = &error.param {
        let violation = json!({"field": param, "description": error.message});
        details.push(json!({"@type": TYPE_FIELD, "fieldViolations": [violation]}));
    }
    json!({"error": {
        "code": status.as_u16(),
        "message": error.message,
        "status": word(error.kind),
        "details": details,
    }})
}

/// `error.status`.
fn word(kind: ErrorKind) -> &'static str {
    match kind {
        ErrorKind::InvalidRequest | ErrorKind::TooLarge => "INVALID_ARGUMENT",
        ErrorKind::Authentication => "UNAUTHENTICATED",
        ErrorKind::Permission => "PERMISSION_DENIED",
        ErrorKind::NotFound => "NOT_FOUND",
        ErrorKind::RateLimit => "RESOURCE_EXHAUSTED",
        ErrorKind::Timeout => "DEADLINE_EXCEEDED",
        ErrorKind::Overloaded | ErrorKind::Upstream => "UNAVAILABLE",
        ErrorKind::Internal => "INTERNAL",
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
    fn the_wait_stands_in_the_body() {
        let body = r#"{"error": {"code": 429, "message": "slow", "status": "RESOURCE_EXHAUSTED",
            "details": [{"@type": "type.googleapis.com/google.rpc.QuotaFailure"},
                {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "34.4s"}]}}"#;
        for body in [body.to_owned(), format!("[{body}]")] {
            let error = read(429, &body);
            assert_eq!(Errors.retry_after(body.as_bytes()), Some(Duration::from_millis(34_400)));
            assert_eq!((error.kind, error.message.as_str()), (ErrorKind::RateLimit, "slow"));
        }
        assert_eq!([seconds("-1s"), seconds("1e9s"), seconds("x"), seconds("5")], [None; 4]);
    }

    #[test]
    fn a_wrong_key_is_no_fault_of_the_request() {
        let body = r#"{"error": {"code": 400, "message": "API key not valid.",
            "status": "INVALID_ARGUMENT", "details": [{"reason": "API_KEY_INVALID"}]}}"#;
        let error = read(400, body);
        assert!(error.concerns_upstream_credential());
        assert_eq!(error.kind, ErrorKind::Authentication);
    }

    #[test]
    fn an_error_inside_a_200_has_the_status_of_its_code() {
        let error =
            read(200, r#"{"error": {"code": 503, "message": "m", "status": "UNAVAILABLE"}}"#);
        assert_eq!((error.status.as_u16(), error.kind), (503, ErrorKind::Overloaded));
    }

    #[test]
    fn a_client_is_told_in_googles_words() {
        let mut error =
            ApiError::new(StatusCode::TOO_MANY_REQUESTS, ErrorKind::RateLimit, "budget", "no");
        error.param = Some("contents".to_owned());
        let body: Value = serde_json::from_slice(&Errors.encode(&error, "r-1")).unwrap();
        assert_eq!(body["error"]["code"], 429);
        assert_eq!(body["error"]["status"], "RESOURCE_EXHAUSTED");
        let details = &body["error"]["details"];
        assert_eq!(details[0]["reason"], "budget");
        assert_eq!(details[1]["fieldViolations"][0]["field"], "contents");
        assert_eq!(details[2]["requestId"], "r-1");
        let event = Errors.encode_event(&error);
        assert!(event.starts_with(b"data: {") && event.ends_with(b"}\r\n\r\n"));
    }
}
