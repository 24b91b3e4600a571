//! What went wrong in a try, and to which group of failures that belongs.

use std::borrow::Cow;

use crate::snapshot::FailureClass;

/// What went wrong.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Reason {
    /// No connection.
    Connect,
    /// The provider is a Service that has no endpoint which takes requests.
    NoEndpoints,
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
    /// An answer that the provider's filter ended.
    Filtered,
    /// Every key of the provider is refused, the last of them by this try.
    Refused,
    /// Every key of the provider has been refused before.
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
    /// The accounts of all targets are at their limits.
    AccountLimit,
}

impl Reason {
    /// A stable word for records and metrics.
    pub fn word(self) -> Cow<'static, str> {
        match self {
            Self::Connect => "connect".into(),
            Self::NoEndpoints => "no_endpoints".into(),
            Self::Closed => "closed".into(),
            Self::FirstToken => "first_token_timeout".into(),
            Self::Deadline => "deadline".into(),
            Self::Status(status) => format!("http_{status}").into(),
            Self::ErrorEvent(status) => format!("error_event_{status}").into(),
            Self::Empty => "empty".into(),
            Self::Malformed => "malformed".into(),
            Self::Filtered => "content_filter".into(),
            Self::Refused | Self::Credentials => "credentials".into(),
            Self::CredentialsUnavailable => "credentials_unavailable".into(),
            Self::OwnCredential => "own_credential".into(),
            Self::Translation => "translation".into(),
            Self::Fidelity => "fidelity".into(),
            Self::NoTarget => "no_target".into(),
            Self::AccountLimit => "provider_limit".into(),
        }
    }

    /// What may follow, where the provider has said nothing more than this.
    pub(super) fn class(self) -> Class {
        match self {
            Self::Connect => Class::Of(FailureClass::Connect),
            Self::FirstToken => Class::Of(FailureClass::FirstTokenTimeout),
            Self::Closed | Self::Empty | Self::Malformed => Class::Of(FailureClass::ServerError),
            Self::Filtered => Class::Of(FailureClass::ContentFilter),
            Self::Refused
            | Self::Credentials
            | Self::CredentialsUnavailable
            | Self::OwnCredential => Class::Of(FailureClass::Auth),
            Self::Status(status) | Self::ErrorEvent(status) => of_status(status),
            // Another provider's dialect may have a place for it.
            Self::Fidelity | Self::Translation | Self::NoEndpoints => Class::OfTarget,
            Self::Deadline | Self::NoTarget | Self::AccountLimit => Class::OfRequest,
        }
    }
}

/// What may follow a failure.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Class {
    /// What the route says of this class.
    Of(FailureClass),
    /// Another target, whatever the route says: this one cannot serve the request.
    OfTarget,
    /// Nothing: every other target would repeat it.
    OfRequest,
}

/// 520 to 530 are Cloudflare's for an origin that failed, and Anthropic's 529.
fn of_status(status: u16) -> Class {
    match status {
        401..=403 => Class::Of(FailureClass::Auth),
        429 => Class::Of(FailureClass::RateLimited),
        408 | 409 | 425 | 500 | 502..=504 | 520..=530 => Class::Of(FailureClass::ServerError),
        // A redirect is a wrong endpoint, which another target need not have.
        300..=399 => Class::OfTarget,
        _ => Class::OfRequest,
    }
}
