//! Why a try gave no answer, and what that means for the next one.

use std::{borrow::Cow, time::Duration};

use http::{HeaderMap, StatusCode};

use crate::{
    llm::{ApiError, ErrorKind, ResponseError, StreamFault},
    snapshot::{Provider, Target},
    telemetry::Outcome,
};

use super::super::{
    body::stream_error, identify::own_credential_missing, quotable::Quotable, respond::Rejection,
    upstream::SendError,
};

/// Longest detail in a record, in bytes.
const MAX_DETAIL: usize = 160;

/// What went wrong.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Reason {
    /// No connection.
    Connect,
    /// The connection ended before the answer was complete, or the stream before its first content.
    Closed,
    /// No first token (stream) or no head (whole) in time.
    FirstToken,
    /// The time of the whole request is over.
    Deadline,
    /// An HTTP status that is not a success.
    Status(u16),
    /// An error inside a 200, by the status that it stands for.
    ErrorEvent(u16),
    /// A 200 without anything in it.
    Empty,
    /// A 200 that is not of the provider's dialect.
    Malformed,
    /// Every key of the provider has been refused.
    Credentials,
    /// The provider's cloud issues no credentials.
    CredentialsUnavailable,
    /// The provider takes the caller's own credential, and there is none.
    OwnCredential,
    /// The request cannot be put into the provider's dialect.
    Translation,
    /// Parameters would be lost, which the route does not want.
    Fidelity,
    /// No target is left to be tried.
    NoTarget,
}

impl Reason {
    /// A stable word for records and metrics.
    pub fn word(self) -> Cow<'static, str> {
        match self {
            Self::Connect => "connect".into(),
            Self::Closed => "closed".into(),
            Self::FirstToken => "first_token_timeout".into(),
            Self::Deadline => "deadline".into(),
            Self::Status(status) => format!("http_{status}").into(),
            Self::ErrorEvent(status) => format!("error_event_{status}").into(),
            Self::Empty => "empty".into(),
            Self::Malformed => "malformed".into(),
            Self::Credentials => "credentials".into(),
            Self::CredentialsUnavailable => "credentials_unavailable".into(),
            Self::OwnCredential => "own_credential".into(),
            Self::Translation => "translation".into(),
            Self::Fidelity => "fidelity".into(),
            Self::NoTarget => "no_target".into(),
        }
    }

    /// Whether another target may do better.
    pub fn falls_back(self) -> bool {
        match self {
            // A redirect is a wrong endpoint, which another target need not have.
            Self::Status(300..=399) => true,
            Self::Status(status) | Self::ErrorEvent(status) => is_transient(status),
            Self::Deadline | Self::Translation | Self::NoTarget => false,
            _ => true,
        }
    }

    /// Whether the same target may do better a moment later.
    pub fn repeats(self) -> bool {
        match self {
            Self::Connect | Self::Closed | Self::Empty => true,
            Self::Status(status) | Self::ErrorEvent(status) => {
                status >= 500 && is_transient(status)
            }
            _ => false,
        }
    }
}

/// Statuses that say nothing about the request itself; 520 to 530 are Cloudflare's for an origin that
/// failed.
fn is_transient(status: u16) -> bool {
    matches!(status, 401..=403 | 408 | 409 | 425 | 429 | 500 | 502..=504 | 520..=530)
}

/// A try that gave no answer.
#[derive(Debug)]
pub struct Failure {
    /// What went wrong.
    pub reason: Reason,
    /// What the caller is told if nothing else works.
    pub error: ApiError,
    /// When the provider wants to be asked again.
    pub retry_after: Option<Duration>,
    /// What the machine said, for the record.
    detail: String,
}

impl Failure {
    fn new(reason: Reason, status: StatusCode, code: &'static str, message: String) -> Self {
        let kind = match status {
            StatusCode::GATEWAY_TIMEOUT => ErrorKind::Timeout,
            _ => ErrorKind::Upstream,
        };
        let error = ApiError::new(status, kind, code, message);
        Self { reason, error, retry_after: None, detail: String::new() }
    }

    /// The answer to the caller. A request that cannot be translated is refused; no provider failed.
    pub fn into_rejection(self) -> Rejection {
        let outcome = match self.reason {
            Reason::Translation | Reason::Fidelity | Reason::OwnCredential => Outcome::Refused,
            _ => Outcome::Failed,
        };
        Rejection { outcome, ..Rejection::fail(self.error, self.retry_after) }
    }

    /// Takes the credentials that it was sent out of what the provider said.
    pub fn without(mut self, quotable: &Quotable) -> Self {
        quotable.mask_error(&mut self.error);
        quotable.mask(&mut self.detail);
        self
    }

    /// The word and the detail.
    pub fn summary(&self) -> Cow<'static, str> {
        let word = self.reason.word();
        match self.detail.is_empty() {
            true => word,
            false => format!("{word} ({})", cut(&self.detail)).into(),
        }
    }

    /// Nothing was sent, or nothing came back.
    pub fn unsent(target: &Target, error: &SendError) -> Self {
        let (reason, code) = match error {
            SendError::Connect(_) => (Reason::Connect, "upstream_unreachable"),
            SendError::Closed(_) => (Reason::Closed, "upstream_closed"),
            SendError::Credentials(_) => {
                (Reason::CredentialsUnavailable, "upstream_credentials_unavailable")
            }
        };
        let what = match reason {
            Reason::Connect => "cannot be reached".to_owned(),
            // Why is the owner's business, and stands in the log.
            Reason::CredentialsUnavailable => format!(
                "was not called, for the gateway got no credentials for it: the owner of AIProvider \
                 {} finds the reason in the gateway's log",
                target.provider.name
            ),
            _ => "closed the connection without an answer".to_owned(),
        };
        let message = format!("the provider of target {} {what}", target.name);
        let failure = Self::new(reason, StatusCode::BAD_GATEWAY, code, message);
        Self { detail: error.to_string(), ..failure }
    }

    /// The answer ended too early.
    pub fn cut_off(target: &Target, detail: String) -> Self {
        let message = format!("the provider of target {} ended its answer too early", target.name);
        let (status, code) = (StatusCode::BAD_GATEWAY, "upstream_incomplete");
        Self { detail, ..Self::new(Reason::Closed, status, code, message) }
    }

    /// Nothing came in time.
    pub fn late(target: &Target, whole_request: bool) -> Self {
        let (reason, limit) = match whole_request {
            true => (Reason::Deadline, "timeouts.total"),
            false => (Reason::FirstToken, "timeouts.firstToken"),
        };
        let message = format!(
            "the provider of target {} did not answer within the route's {limit}",
            target.name
        );
        Self::new(reason, StatusCode::GATEWAY_TIMEOUT, "upstream_timeout", message)
    }

    /// A 200 with nothing in it.
    pub fn empty(target: &Target) -> Self {
        let message = format!("the provider of target {} gave an empty answer", target.name);
        Self::new(Reason::Empty, StatusCode::BAD_GATEWAY, "upstream_empty", message)
    }

    /// A 200 that cannot be read.
    pub fn malformed(target: &Target, detail: String) -> Self {
        let message =
            format!("the provider of target {} gave an answer that cannot be read", target.name);
        let (status, code) = (StatusCode::BAD_GATEWAY, "upstream_malformed");
        let detail = without_text(detail);
        Self { detail, ..Self::new(Reason::Malformed, status, code, message) }
    }

    /// An error answer.
    pub fn status(
        provider: &Provider,
        status: StatusCode,
        error: ApiError,
        headers: &HeaderMap,
    ) -> Self {
        Self {
            reason: Reason::Status(status.as_u16()),
            retry_after: retry_after(headers),
            detail: error.code.clone().into_owned(),
            // Of its own credential the caller must know.
            error: if provider.is_passthrough() { error } else { shielded(error) },
        }
    }

    /// A stream that failed before its first content.
    pub fn stream(target: &Target, fault: StreamFault) -> Self {
        match fault {
            StreamFault::Upstream(error) => Self::error_event(error),
            StreamFault::Truncated => Self::cut_off(target, String::new()),
            StreamFault::Malformed(_) => Self {
                reason: Reason::Malformed,
                retry_after: None,
                detail: without_text(fault.to_string()),
                error: stream_error(fault),
            },
        }
    }

    /// A whole answer that is none.
    pub fn whole(target: &Target, error: ResponseError) -> Self {
        match error {
            ResponseError::Upstream(error) => Self::error_event(error),
            ResponseError::Malformed(detail) => Self::malformed(target, detail),
        }
    }

    /// Every key is refused.
    pub fn exhausted(target: &Target) -> Self {
        let message = format!(
            "the provider of target {} refuses the gateway's credentials: its owner must check the \
             keys of AIProvider {}",
            target.name, target.provider.name
        );
        let (status, code) = (StatusCode::BAD_GATEWAY, "upstream_credentials_exhausted");
        Self::new(Reason::Credentials, status, code, message)
    }

    /// The provider takes the caller's own credential, and there is none.
    pub fn no_own_credential() -> Self {
        let (reason, error) = (Reason::OwnCredential, own_credential_missing().error);
        Self { reason, error, retry_after: None, detail: String::new() }
    }

    /// The request itself is at fault.
    pub fn untranslatable(error: ApiError) -> Self {
        Self { reason: Reason::Translation, error, retry_after: None, detail: String::new() }
    }

    /// The route wants every parameter kept, and the target cannot take these.
    pub fn unfaithful(target: &Target, dropped: &[String]) -> Self {
        let names = dropped.join(", ");
        let message = format!(
            "target {} cannot take {names}, and fidelity is Strict on this route: leave them out, \
             or ask a model whose provider has them",
            target.name
        );
        let mut error = ApiError::new(
            StatusCode::BAD_REQUEST,
            ErrorKind::InvalidRequest,
            "unsupported_parameters",
            message,
        );
        error.param = dropped.first().cloned();
        Self { reason: Reason::Fidelity, error, retry_after: None, detail: names }
    }

    /// There is nothing to try.
    pub fn no_target() -> Self {
        let message = "the route has no target that can answer".to_owned();
        let (status, code) = (StatusCode::SERVICE_UNAVAILABLE, "route_unavailable");
        Self::new(Reason::NoTarget, status, code, message)
    }

    fn error_event(error: ApiError) -> Self {
        Self {
            reason: Reason::ErrorEvent(error.status.as_u16()),
            retry_after: None,
            detail: error.code.clone().into_owned(),
            error: shielded(error),
        }
    }
}

/// A provider's error as the caller may see it, once it is masked. What is wrong with the gateway's
/// account (402) is worth knowing: mostly that its money is spent.
fn shielded(error: ApiError) -> ApiError {
    let is_account = error.status == StatusCode::PAYMENT_REQUIRED;
    let message = is_account.then(|| error.message.clone());
    let mut shielded = error.shield_credential();
    if let Some(message) = message {
        shielded.message = format!("{}: {message}", shielded.message);
    }
    shielded
}

fn cut(text: &str) -> &str {
    let end = (0..=MAX_DETAIL.min(text.len())).rev().find(|end| text.is_char_boundary(*end));
    text.get(..end.unwrap_or(0)).unwrap_or_default()
}

/// When a provider wants to be asked again: `retry-after-ms` and `x-ms-retry-after-ms` (Azure), else
/// `retry-after` in seconds or as a date (RFC 9110, 10.2.3).
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let text = |name: &str| headers.get(name)?.to_str().ok().map(str::trim);
    let milliseconds = text("retry-after-ms").or_else(|| text("x-ms-retry-after-ms"));
    if let Some(wait) = milliseconds.and_then(|text| text.parse().ok()) {
        return Some(Duration::from_millis(wait));
    }
    let text = text("retry-after")?;
    if let Some(seconds) = text.parse().ok().filter(|seconds: &f64| (0.0..1e9).contains(seconds)) {
        return Some(Duration::from_secs_f64(seconds));
    }
    let date = jiff::fmt::rfc2822::parse(text).ok()?.timestamp();
    let now = jiff::Timestamp::now();
    Some(Duration::try_from(date.duration_since(now)).unwrap_or_default())
}

/// A parser's complaint without the text that it quotes: records hold no content.
fn without_text(mut complaint: String) -> String {
    const QUOTED: &str = "string \"";
    if let Some(start) = complaint.find(QUOTED).map(|at| at + QUOTED.len())
        && let Some(end) = complaint.rfind('"').filter(|end| *end >= start)
    {
        complaint.replace_range(start..end, "...");
    }
    complaint
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_complaint_quotes_no_text() {
        let error = serde_json::from_str::<Vec<u8>>(r#"["a \"word\" of it"]"#).unwrap_err();
        let complaint = without_text(error.to_string());
        assert_eq!(complaint, "invalid type: string \"...\", expected u8 at line 1 column 19");
        assert_eq!(without_text("expected \"x\"".to_owned()), "expected \"x\"");
    }

    fn parsed(name: &'static str, value: &str) -> Option<Duration> {
        let mut headers = HeaderMap::new();
        headers.insert(name, value.parse().unwrap());
        retry_after(&headers)
    }

    #[test]
    fn every_form_of_retry_after_is_read() {
        assert_eq!(parsed("retry-after", "3"), Some(Duration::from_secs(3)));
        assert_eq!(parsed("retry-after", "0.5"), Some(Duration::from_millis(500)));
        assert_eq!(parsed("retry-after-ms", "1500"), Some(Duration::from_millis(1500)));
        assert_eq!(parsed("x-ms-retry-after-ms", "7"), Some(Duration::from_millis(7)));
        assert_eq!(parsed("retry-after", "Sun, 06 Nov 1994 08:49:37 GMT"), Some(Duration::ZERO));
        for bad in ["soon", "-1", "NaN", "1e300"] {
            assert_eq!(parsed("retry-after", bad), None, "{bad}");
        }
    }

    #[test]
    fn what_the_caller_did_wrong_is_not_tried_elsewhere() {
        for status in [400, 404, 413, 422, 501] {
            assert!(!Reason::Status(status).falls_back(), "{status}");
        }
        for status in [302, 401, 403, 408, 409, 425, 429, 500, 502, 503, 504, 529] {
            assert!(Reason::Status(status).falls_back(), "{status}");
        }
        assert!(!Reason::Status(302).repeats());
        assert!(!Reason::Status(429).repeats() && Reason::Status(503).repeats());
    }
}
