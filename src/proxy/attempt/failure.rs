//! Why a try gave no answer, and what that means for the next one.

mod reason;
mod wait;

use std::{borrow::Cow, time::Duration};

use http::{HeaderMap, StatusCode};

use crate::{
    llm::{ApiError, Cause, ErrorKind, ResponseError, StreamFault},
    snapshot::{FailureClass, Fallback, Provider, Target},
    telemetry::Outcome,
};

use super::{
    super::{
        body::stream_error, identify::own_credential_missing, quotable::Quotable,
        respond::Rejection, upstream::SendError,
    },
    Answer,
};

pub use reason::{Class, Reason};

use wait::retry_after;

/// Longest detail in a record, in bytes.
const MAX_DETAIL: usize = 160;

/// A try that gave no answer.
#[derive(Debug)]
pub struct Failure {
    /// What went wrong.
    pub reason: Reason,
    /// What the caller is told if nothing else works.
    pub error: ApiError,
    /// When the provider wants to be asked again.
    pub retry_after: Option<Duration>,
    /// What the provider says beyond a status.
    pub cause: Option<Cause>,
    more: Box<More>,
}

/// What is seldom looked at.
#[derive(Debug, Default)]
struct More {
    /// What the machine said, for the record.
    detail: String,
    /// See [`Failure::answer`].
    answer: Option<Answer>,
}

impl Failure {
    fn new(reason: Reason, status: StatusCode, code: &'static str, message: String) -> Self {
        let kind = match status {
            StatusCode::GATEWAY_TIMEOUT => ErrorKind::Timeout,
            _ => ErrorKind::Upstream,
        };
        Self::of(reason, ApiError::new(status, kind, code, message))
    }

    fn of(reason: Reason, error: ApiError) -> Self {
        Self { reason, error, retry_after: None, cause: None, more: Box::default() }
    }

    fn with_detail(mut self, detail: impl Into<String>) -> Self {
        self.more.detail = detail.into();
        self
    }

    /// The answer that the caller gets where no other target gives one.
    pub fn answer(&mut self) -> &mut Option<Answer> {
        &mut self.more.answer
    }

    /// What may follow.
    pub fn class(&self) -> Class {
        match self.cause {
            Some(Cause::ContextLength) => Class::Of(FailureClass::ContextLength),
            Some(Cause::ContentFilter) => Class::Of(FailureClass::ContentFilter),
            Some(Cause::UnknownConversation) => Class::OfTarget,
            None => self.reason.class(),
        }
    }

    /// Whether another target is tried.
    pub fn falls_back(&self, fallback: &Fallback) -> bool {
        match self.class() {
            Class::Of(class) => fallback.on.contains(class),
            Class::OfTarget => true,
            Class::OfRequest => false,
        }
    }

    /// The answer to the caller. A request that cannot be translated is refused; no provider failed.
    pub fn into_rejection(self) -> Rejection {
        let outcome = match self.reason {
            Reason::Translation
            | Reason::Fidelity
            | Reason::OwnCredential
            | Reason::AccountLimit => Outcome::Refused,
            _ => Outcome::Failed,
        };
        Rejection { outcome, ..Rejection::fail(self.error, self.retry_after) }
    }

    /// The sooner end of two limits: each key of a provider may have one of its own.
    pub fn or_sooner(self, other: &Self) -> Self {
        let both = self.retry_after.zip(other.retry_after);
        Self { retry_after: both.map(|(one, other)| one.min(other)), ..self }
    }

    /// Takes the credentials that it was sent out of what the provider said.
    pub fn without(mut self, quotable: &Quotable) -> Self {
        quotable.mask_error(&mut self.error);
        quotable.mask(&mut self.more.detail);
        self
    }

    /// The word and the detail.
    pub fn summary(&self) -> Cow<'static, str> {
        let word = self.reason.word();
        match self.more.detail.is_empty() {
            true => word,
            false => format!("{word} ({})", cut(&self.more.detail)).into(),
        }
    }

    /// Nothing was sent, or nothing came back.
    pub fn unsent(target: &Target, error: &SendError) -> Self {
        let (reason, code) = match error {
            SendError::Connect(_) => (Reason::Connect, "upstream_unreachable"),
            SendError::Closed(_) => (Reason::Closed, "upstream_closed"),
            SendError::NoEndpoints => (Reason::NoEndpoints, "upstream_no_endpoints"),
            SendError::Credentials(_) => {
                (Reason::CredentialsUnavailable, "upstream_credentials_unavailable")
            }
        };
        let what = match reason {
            Reason::Connect => "cannot be reached".to_owned(),
            Reason::NoEndpoints => "has no server that is ready at the moment".to_owned(),
            // Why is the owner's business, and stands in the log.
            Reason::CredentialsUnavailable => format!(
                "was not called, for the gateway got no credentials for it: the owner of AIProvider \
                 {} finds the reason in the gateway's log",
                target.provider.name
            ),
            _ => "closed the connection without an answer".to_owned(),
        };
        let message = format!("the provider of target {} {what}", target.name);
        let status = match reason {
            Reason::NoEndpoints => StatusCode::SERVICE_UNAVAILABLE,
            _ => StatusCode::BAD_GATEWAY,
        };
        Self::new(reason, status, code, message).with_detail(error.to_string())
    }

    /// The answer ended too early.
    pub fn cut_off(target: &Target, detail: String) -> Self {
        let message = format!("the provider of target {} ended its answer too early", target.name);
        let (status, code) = (StatusCode::BAD_GATEWAY, "upstream_incomplete");
        Self::new(Reason::Closed, status, code, message).with_detail(detail)
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
        let failure = Self::new(Reason::Malformed, status, code, message);
        failure.with_detail(without_text(detail))
    }

    /// An error answer.
    pub fn status(
        provider: &Provider,
        status: StatusCode,
        error: ApiError,
        headers: &HeaderMap,
    ) -> Self {
        let (detail, cause) = (error.code.clone(), error.cause());
        let error = match cause {
            // Of its own credential the caller must know.
            _ if provider.is_passthrough() => error,
            Some(Cause::ContentFilter) => blocked(error),
            _ => shielded(error),
        };
        let failure = Self::of(Reason::Status(status.as_u16()), error).with_detail(detail);
        Self { retry_after: retry_after(headers), cause, ..failure }
    }

    /// A stream that failed before its first content.
    pub fn stream(target: &Target, fault: StreamFault) -> Self {
        match fault {
            StreamFault::Upstream(error) => Self::error_event(error),
            StreamFault::Truncated => Self::cut_off(target, String::new()),
            StreamFault::Malformed(_) => {
                let detail = without_text(fault.to_string());
                Self::of(Reason::Malformed, stream_error(fault)).with_detail(detail)
            }
        }
    }

    /// A whole answer that is none.
    pub fn whole(target: &Target, error: ResponseError) -> Self {
        match error {
            ResponseError::Upstream(error) => Self::error_event(error),
            ResponseError::Malformed(detail) => Self::malformed(target, detail),
        }
    }

    /// The status that the provider told, by an error answer or by an error inside a 200.
    pub fn told(&self) -> Option<u16> {
        match self.reason {
            // It is about the request, whatever its status.
            _ if self.cause.is_some() => None,
            Reason::Status(status) | Reason::ErrorEvent(status) => Some(status),
            _ => None,
        }
    }

    /// Every key is refused: when they were tried just now, or before.
    pub fn exhausted(target: &Target, just_now: bool) -> Self {
        let message = format!(
            "the provider of target {} refuses the gateway's credentials: its owner must check the \
             keys of AIProvider {}",
            target.name, target.provider.name
        );
        let (status, code) = (StatusCode::BAD_GATEWAY, "upstream_credentials_exhausted");
        let reason = if just_now { Reason::Refused } else { Reason::Credentials };
        Self::new(reason, status, code, message)
    }

    /// The provider takes the caller's own credential, and there is none.
    pub fn no_own_credential() -> Self {
        Self::of(Reason::OwnCredential, own_credential_missing().error)
    }

    /// The request itself is at fault.
    pub fn untranslatable(error: ApiError) -> Self {
        Self::of(Reason::Translation, error)
    }

    /// The route wants every parameter kept, and the target cannot take these.
    pub fn unfaithful(error: ApiError, dropped: &[String]) -> Self {
        Self::of(Reason::Fidelity, error).with_detail(dropped.join(", "))
    }

    /// Every target's account is at its limit.
    pub fn account_limit(retry_after: Duration) -> Self {
        let message = "every target is at the limits that its AIProvider names for its account: ask \
                       again later";
        let (status, kind) = (StatusCode::TOO_MANY_REQUESTS, ErrorKind::RateLimit);
        let error = ApiError::new(status, kind, "provider_limit", message);
        Self { retry_after: Some(retry_after), ..Self::of(Reason::AccountLimit, error) }
    }

    /// There is nothing to try.
    pub fn no_target() -> Self {
        let message = "the route has no target that can answer".to_owned();
        let (status, code) = (StatusCode::SERVICE_UNAVAILABLE, "route_unavailable");
        Self::new(Reason::NoTarget, status, code, message)
    }

    /// An answer that the provider's filter ended. The caller gets it if nobody gives another one.
    pub fn filtered(target: &Target, answer: Answer) -> Self {
        let message = format!("the provider of target {} blocked the answer", target.name);
        let status = StatusCode::BAD_REQUEST;
        let error = ApiError::new(status, ErrorKind::InvalidRequest, "content_filter", message);
        let mut failure = Self::of(Reason::Filtered, error);
        failure.more.answer = Some(answer);
        failure
    }

    /// An error inside a 200 with these headers, which may say when to ask again.
    pub fn beside(self, headers: &HeaderMap) -> Self {
        match self.reason {
            Reason::ErrorEvent(_) => Self { retry_after: retry_after(headers), ..self },
            _ => self,
        }
    }

    fn error_event(error: ApiError) -> Self {
        let (detail, cause) = (error.code.clone(), error.cause());
        let reason = Reason::ErrorEvent(error.status.as_u16());
        Self { cause, ..Self::of(reason, shielded(error)).with_detail(detail) }
    }
}

/// A request that a filter blocked is the caller's to change, by whatever status it is told.
fn blocked(error: ApiError) -> ApiError {
    match error.concerns_upstream_credential() {
        true => ApiError {
            status: StatusCode::BAD_REQUEST,
            kind: ErrorKind::InvalidRequest,
            code: "content_filter".into(),
            ..error
        },
        false => error,
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

    #[test]
    fn what_the_caller_did_wrong_is_not_tried_elsewhere() {
        for status in [400, 404, 413, 422, 501] {
            assert_eq!(Reason::Status(status).class(), Class::OfRequest, "{status}");
        }
        for status in [408, 409, 425, 500, 502, 503, 504, 529] {
            let class = Class::Of(FailureClass::ServerError);
            assert_eq!(Reason::Status(status).class(), class, "{status}");
        }
        assert_eq!(Reason::Status(302).class(), Class::OfTarget);
        assert_eq!(Reason::Status(402).class(), Class::Of(FailureClass::Auth));
        assert_eq!(Reason::ErrorEvent(429).class(), Class::Of(FailureClass::RateLimited));
    }

    #[test]
    fn what_a_provider_says_counts_more_than_its_status() {
        let say = |status, code: &'static str| {
            let error = ApiError::new(status, ErrorKind::InvalidRequest, code, "m");
            Failure::error_event(error).class()
        };
        let class = say(StatusCode::BAD_GATEWAY, "context_length_exceeded");
        assert_eq!(class, Class::Of(FailureClass::ContextLength));
        let class = say(StatusCode::BAD_REQUEST, "content_filter");
        assert_eq!(class, Class::Of(FailureClass::ContentFilter));
        let class = say(StatusCode::BAD_REQUEST, "previous_response_not_found");
        assert_eq!(class, Class::OfTarget);
    }

    #[test]
    fn a_block_that_is_told_by_403_is_not_taken_for_a_refused_key() {
        let error = ApiError::new(StatusCode::FORBIDDEN, ErrorKind::Permission, "x", "flagged");
        let told = blocked(error);
        assert_eq!((told.status, &*told.code), (StatusCode::BAD_REQUEST, "content_filter"));
        assert_eq!(told.message, "flagged");
    }
}
