//! Answers that the gateway writes itself, and the heads of all others. Every refusal and failure of
//! the data plane is a [`Rejection`]; this file puts it into the caller's dialect.

use std::{borrow::Cow, time::Duration};

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode, header};

use crate::{
    llm::{ApiError, Dialect, ErrorKind, RequestError, encode_error},
    telemetry::{Outcome, Record},
};

use super::{Body, body::Form};

/// The provider's own id of the request.
pub const X_UPSTREAM_REQUEST_ID: HeaderName = HeaderName::from_static("x-upstream-request-id");
const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const X_SLUICE_ROUTE: HeaderName = HeaderName::from_static("x-sluice-route");
const X_SLUICE_TARGET: HeaderName = HeaderName::from_static("x-sluice-target");
const X_SLUICE_ATTEMPTS: HeaderName = HeaderName::from_static("x-sluice-attempts");
const X_SLUICE_DOWNGRADED: HeaderName = HeaderName::from_static("x-sluice-downgraded");
const X_SLUICE_DROPPED: HeaderName = HeaderName::from_static("x-sluice-dropped");
const X_SLUICE_ESTIMATED: HeaderName = HeaderName::from_static("x-sluice-estimated");
const X_SLUICE_COST: HeaderName = HeaderName::from_static("x-sluice-cost-usd");
const JSON: HeaderValue = HeaderValue::from_static("application/json");

/// Why a request gets an error instead of an answer.
#[derive(Debug)]
pub struct Rejection {
    /// What the caller is told.
    pub error: ApiError,
    /// Whether the gateway refused or the providers failed.
    pub outcome: Outcome,
    /// When it is worth trying again.
    pub retry_after: Option<Duration>,
    /// The method that the path takes, where it was called with another.
    pub allow: Option<&'static str>,
}

impl Rejection {
    /// A refusal by the gateway.
    pub fn refuse(
        status: StatusCode,
        kind: ErrorKind,
        code: impl Into<Cow<'static, str>>,
        message: impl Into<String>,
    ) -> Self {
        let error = ApiError::new(status, kind, code, message);
        Self { error, outcome: Outcome::Refused, retry_after: None, allow: None }
    }

    /// A failure of the providers.
    pub fn fail(error: ApiError, retry_after: Option<Duration>) -> Self {
        Self { error, outcome: Outcome::Failed, retry_after, allow: None }
    }

    /// The caller left while sending.
    pub fn gone() -> Self {
        let error = ApiError::new(
            StatusCode::BAD_REQUEST,
            ErrorKind::InvalidRequest,
            "request_aborted",
            "the request ended before its body was complete",
        );
        Self { error, outcome: Outcome::ClientGone, retry_after: None, allow: None }
    }
}

impl From<RequestError> for Rejection {
    fn from(error: RequestError) -> Self {
        let error = error.into();
        Self { error, outcome: Outcome::Refused, retry_after: None, allow: None }
    }
}

/// Writes a rejection for a caller of this dialect.
pub fn reject(dialect: Dialect, rejection: &Rejection, record: &Record) -> Response<Body> {
    let Rejection { error, retry_after, allow, .. } = rejection;
    let status = error.status_for(dialect);
    let mut response = json(status, encode_error(dialect, error, &record.request_id), record);
    let headers = response.headers_mut();
    if status == StatusCode::UNAUTHORIZED {
        headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
    }
    if let Some(allow) = allow {
        headers.insert(header::ALLOW, HeaderValue::from_static(allow));
    }
    let waits = matches!(status.as_u16(), 429 | 503 | 529);
    let default = (status == StatusCode::SERVICE_UNAVAILABLE).then_some(Duration::from_secs(1));
    if waits && let Some(wait) = retry_after.or(default) {
        let seconds = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
        headers.insert(header::RETRY_AFTER, seconds.max(1).into());
    }
    response
}

/// A whole answer in JSON.
pub fn json(status: StatusCode, body: Bytes, record: &Record) -> Response<Body> {
    let mut response = Response::new(Body::whole(body));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, JSON);
    describe(response.headers_mut(), record);
    response
}

/// The head of a stream, whose body is put in afterwards.
pub fn stream(form: &Form, record: &Record) -> Response<Body> {
    let mut response = Response::new(Body::whole(Bytes::new()));
    let headers = response.headers_mut();
    let media_type = match form {
        Form::Frames(form) => Some(HeaderValue::from_static(form.media_type())),
        Form::Opaque(media_type) => media_type.clone(),
    };
    if let Some(media_type) = media_type {
        headers.insert(header::CONTENT_TYPE, media_type);
    }
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    // Or else nginx and its like hold the events back.
    headers.insert(HeaderName::from_static("x-accel-buffering"), HeaderValue::from_static("no"));
    describe(headers, record);
    response
}

/// What happened to the request, in headers.
pub fn describe(headers: &mut HeaderMap, record: &Record) {
    let mut text = |name: HeaderName, value: &str| {
        if !value.is_empty()
            && let Ok(value) = HeaderValue::from_str(value)
        {
            headers.insert(name, value);
        }
    };
    text(X_REQUEST_ID, &record.request_id);
    text(X_SLUICE_ROUTE, &record.route);
    text(X_SLUICE_TARGET, &record.target);
    text(X_SLUICE_DOWNGRADED, &record.downgraded);
    text(X_SLUICE_DROPPED, &record.dropped);
    if record.estimated {
        headers.insert(X_SLUICE_ESTIMATED, HeaderValue::from_static("true"));
    }
    if !record.attempts.is_empty() {
        headers.insert(X_SLUICE_ATTEMPTS, record.attempts.len().into());
    }
}

/// Adds what the answer cost.
pub fn add_cost(headers: &mut HeaderMap, record: &Record) {
    if let Some(cost) = record.cost
        && let Ok(value) = HeaderValue::from_str(&cost.to_string())
    {
        headers.insert(X_SLUICE_COST, value);
    }
}

/// The caller's `x-request-id` where it is fit to be repeated, else a new one.
pub fn request_id(headers: &HeaderMap) -> String {
    let given = headers.get(X_REQUEST_ID).and_then(|value| value.to_str().ok());
    let fit = |id: &&str| {
        (1..=128).contains(&id.len())
            && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.:/+=".contains(&byte))
    };
    match given.filter(fit) {
        Some(given) => given.to_owned(),
        None => {
            let mut digits = [0; 32];
            let mut random = fastrand::u128(..);
            for digit in &mut digits {
                *digit = b"0123456789abcdef"[(random % 16) as usize];
                random /= 16;
            }
            ["req_", str::from_utf8(&digits).unwrap_or_default()].concat()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with_id(id: &str) -> String {
        let mut headers = HeaderMap::new();
        headers.insert(X_REQUEST_ID, HeaderValue::from_str(id).unwrap());
        request_id(&headers)
    }

    #[test]
    fn a_valid_request_id_is_kept() {
        assert_eq!(with_id("abc-1.2"), "abc-1.2");
        for bad in ["", "a b", "{\"x\"}", &"a".repeat(129)] {
            assert!(with_id(bad).starts_with("req_"), "{bad}");
        }
    }

    #[test]
    fn overload_always_says_when_to_come_back() {
        let error = ApiError::new(
            StatusCode::from_u16(529).unwrap(),
            ErrorKind::Overloaded,
            "overloaded",
            "busy",
        );
        let rejection = Rejection::fail(error, None);
        let response = reject(Dialect::OpenAi, &rejection, &Record::default());
        assert_eq!(response.status(), 503);
        assert_eq!(response.headers()["retry-after"], "1");
    }
}
