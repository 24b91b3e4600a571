//! Errors of Bedrock: `{"message"}` with the type in a header, or in `__type` where they come inside a
//! stream.

use bytes::Bytes;
use http::{HeaderMap, StatusCode};
use serde_json::{Value, json};

use crate::llm::error::{ApiError, ErrorCodec, ErrorKind};
use crate::llm::eventstream::write_exception;

/// The longest message that is passed on, in bytes.
const MAX_MESSAGE: usize = 2048;

/// The header that names the type, sometimes with a link behind a colon.
const TYPE_HEADER: &str = "x-amzn-errortype";

/// Bedrock's errors.
pub struct Errors;

impl ErrorCodec for Errors {
    fn encode(&self, error: &ApiError, _: &str) -> Vec<u8> {
        json!({"message": error.message}).to_string().into_bytes()
    }

    fn encode_event(&self, error: &ApiError) -> Vec<u8> {
        let mut out = Vec::new();
        let body = json!({"message": error.message}).to_string();
        // A message of a few kilobytes always fits.
        let _ = write_exception(word(error.kind), Bytes::from(body), &mut out);
        out
    }

    fn decode(&self, status: StatusCode, headers: &HeaderMap, body: &[u8]) -> ApiError {
        let named = headers.get(TYPE_HEADER).and_then(|value| value.to_str().ok());
        read(status, named, body)
    }
}

/// The name of an exception inside a stream.
fn word(kind: ErrorKind) -> &'static str {
    match kind {
        ErrorKind::InvalidRequest
        | ErrorKind::Authentication
        | ErrorKind::Permission
        | ErrorKind::NotFound
        | ErrorKind::TooLarge => "validationException",
        ErrorKind::RateLimit => "throttlingException",
        ErrorKind::Overloaded => "serviceUnavailableException",
        ErrorKind::Timeout | ErrorKind::Upstream => "modelStreamErrorException",
        ErrorKind::Internal => "internalServerException",
    }
}

/// Reads an error. Where the status is no error's, the type tells it.
fn read(status: StatusCode, named: Option<&str>, body: &[u8]) -> ApiError {
    let value: Value = serde_json::from_slice(body).unwrap_or_default();
    let word = |name: &str| value.get(name).and_then(Value::as_str).filter(|text| !text.is_empty());
    let named = named.or_else(|| word("__type")).and_then(by_type);
    let failed = status.is_client_error() || status.is_server_error();
    let status = match named {
        Some(named) if !failed || named == StatusCode::TOO_MANY_REQUESTS => named,
        _ if failed => status,
        _ => StatusCode::BAD_GATEWAY,
    };
    let message = word("message").or_else(|| word("Message")).or_else(|| word("originalMessage"));
    let message = message.map_or_else(
        || format!("the provider answered HTTP {} without a readable message", status.as_u16()),
        bounded,
    );
    settle(status, message)
}

fn bounded(text: &str) -> String {
    let end = text.floor_char_boundary(MAX_MESSAGE);
    let ellipsis = if end < text.len() { "..." } else { "" };
    format!("{}{ellipsis}", text.get(..end).unwrap_or_default())
}

/// The status that a type of exception stands for; the namespace and the link beside it do not matter.
/// Source: the service model of bedrock-runtime.
fn by_type(name: &str) -> Option<StatusCode> {
    let name = name.split(':').next().unwrap_or(name);
    let name = name.rsplit('#').next().unwrap_or(name).to_ascii_lowercase();
    Some(match name.as_str() {
        "validationexception" | "conflictexception" => StatusCode::BAD_REQUEST,
        "accessdeniedexception"
        | "unrecognizedclientexception"
        | "expiredtokenexception"
        | "invalidsignatureexception" => StatusCode::FORBIDDEN,
        "resourcenotfoundexception" => StatusCode::NOT_FOUND,
        "modeltimeoutexception" => StatusCode::REQUEST_TIMEOUT,
        "modelerrorexception" | "modelstreamerrorexception" => StatusCode::FAILED_DEPENDENCY,
        "throttlingexception" | "modelnotreadyexception" | "servicequotaexceededexception" => {
            StatusCode::TOO_MANY_REQUESTS
        }
        "serviceunavailableexception" => StatusCode::SERVICE_UNAVAILABLE,
        "internalserverexception" | "internalfailure" => StatusCode::INTERNAL_SERVER_ERROR,
        _ => return None,
    })
}

/// What the status means to a caller who does not know that it is Bedrock's.
fn settle(status: StatusCode, message: String) -> ApiError {
    let (status, kind) = match status {
        // An unknown model is 400 here and 404 everywhere else.
        StatusCode::BAD_REQUEST if message.contains("model identifier is invalid") => {
            let (status, kind) = (StatusCode::NOT_FOUND, ErrorKind::NotFound);
            return ApiError::new(status, kind, "model_not_found", message);
        }
        StatusCode::REQUEST_TIMEOUT => (StatusCode::GATEWAY_TIMEOUT, ErrorKind::Timeout),
        StatusCode::FAILED_DEPENDENCY => (StatusCode::BAD_GATEWAY, ErrorKind::Upstream),
        other => (other, ErrorKind::from_status(other)),
    };
    ApiError::new(status, kind, kind.default_code(), message)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decode(status: u16, kind: Option<&'static str>, body: &str) -> ApiError {
        let mut headers = HeaderMap::new();
        headers.extend(kind.map(|kind| {
            (http::HeaderName::from_static(TYPE_HEADER), http::HeaderValue::from_static(kind))
        }));
        Errors.decode(StatusCode::from_u16(status).unwrap(), &headers, body.as_bytes())
    }

    fn read(status: u16, body: &str) -> (u16, ErrorKind, String) {
        let error = decode(status, None, body);
        (error.status.as_u16(), error.kind, error.message)
    }

    #[test]
    fn statuses_mean_what_they_mean_elsewhere() {
        let body = r#"{"message":"m"}"#;
        for (status, expected, kind) in [
            (400, 400, ErrorKind::InvalidRequest),
            (403, 403, ErrorKind::Permission),
            (404, 404, ErrorKind::NotFound),
            (408, 504, ErrorKind::Timeout),
            (424, 502, ErrorKind::Upstream),
            (429, 429, ErrorKind::RateLimit),
            (500, 500, ErrorKind::Upstream),
            (503, 503, ErrorKind::Overloaded),
        ] {
            assert_eq!(read(status, body), (expected, kind, "m".to_owned()));
        }
    }

    #[test]
    fn an_unknown_model_is_not_found() {
        let body = r#"{"message":"The provided model identifier is invalid."}"#;
        let error = decode(400, Some("ValidationException:http://internal.amazon.com/"), body);
        assert_eq!((error.status, &*error.code), (StatusCode::NOT_FOUND, "model_not_found"));
    }

    #[test]
    fn inside_a_stream_the_type_tells_the_status() {
        for (kind, status) in [
            ("throttlingException", 429),
            ("ValidationException:http://internal.amazon.com/", 400),
            ("com.amazonaws#ModelStreamErrorException", 502),
            ("modelTimeoutException", 504),
            ("serviceUnavailableException", 503),
            ("somethingNew", 502),
        ] {
            let body = format!(r#"{{"__type":"{kind}","message":"m"}}"#);
            assert_eq!(read(200, &body).0, status, "{kind}");
        }
    }

    #[test]
    fn a_quota_is_told_by_400_and_means_429() {
        let error = decode(400, Some("ServiceQuotaExceededException"), r#"{"Message":"too much"}"#);
        assert_eq!((error.status.as_u16(), error.kind), (429, ErrorKind::RateLimit));
        assert_eq!(error.message, "too much");
    }

    #[test]
    fn an_error_written_into_a_stream_is_read_as_the_same_kind() {
        for kind in [ErrorKind::InvalidRequest, ErrorKind::RateLimit, ErrorKind::Overloaded] {
            let status = StatusCode::BAD_GATEWAY;
            let event = Errors.encode_event(&ApiError::new(status, kind, "code", "why"));
            let frame = crate::llm::eventstream::parse(&event).unwrap();
            let again = Errors.decode(StatusCode::OK, &HeaderMap::new(), &frame.data);
            assert_eq!((again.kind, &*again.message), (kind, "why"));
        }
    }

    #[test]
    fn anything_unreadable_is_still_an_error() {
        assert_eq!(read(502, "<html>").0, 502);
        assert!(!read(200, "").2.is_empty());
        assert!(read(400, &format!(r#"{{"message":"{}"}}"#, "é".repeat(3000))).2.len() < 2100);
    }
}
