//! What a failure says about the target: whether it is to blame, wants to rest, or has nothing to do
//! with it.

use std::time::Duration;

use crate::route::End;

use super::{Failure, Reason};

/// A request whose whole time ran out has waited in vain for its target if it waited for this long.
const IN_VAIN: Duration = Duration::from_secs(30);

/// What a status says about the target that answered with it.
pub fn judge(status: u16, retry_after: Option<Duration>) -> End {
    match status {
        429 => End::Limited(retry_after),
        // A redirect is a wrong endpoint; 520 to 530 are Cloudflare's for an origin that failed, and
        // Anthropic's 529.
        300..=399 | 408 | 500 | 502..=504 | 520..=530 => End::Failed(retry_after),
        _ => End::Unjudged,
    }
}

impl Failure {
    /// What it says about the target, which was waited for so long.
    pub fn end(&self, waited: Duration) -> End {
        match self.reason {
            // It is about the request, whatever its status.
            _ if self.cause.is_some() => End::Unjudged,
            Reason::Status(status) | Reason::ErrorEvent(status) => judge(status, self.retry_after),
            Reason::Connect
            | Reason::Closed
            | Reason::FirstToken
            | Reason::Empty
            | Reason::Malformed => End::Failed(self.retry_after),
            Reason::Deadline if waited >= IN_VAIN => End::Failed(None),
            Reason::Deadline | Reason::Filtered => End::Unjudged,
            Reason::NoEndpoints
            | Reason::Credentials
            | Reason::CredentialsUnavailable
            | Reason::OwnCredential
            | Reason::Translation
            | Reason::Fidelity
            | Reason::NoTarget
            | Reason::AccountLimit => End::Unsent,
        }
    }
}

#[cfg(test)]
mod tests {
    use http::{HeaderMap, StatusCode};

    use super::*;
    use crate::{
        llm::{ApiError, ErrorKind},
        snapshot::{ObjectName, Provider, Target, TargetModel},
    };

    const WAIT: Option<Duration> = Some(Duration::from_secs(7));

    #[test]
    fn only_what_is_the_targets_fault_counts() {
        for status in [301, 408, 500, 502, 503, 504, 520, 529] {
            assert_eq!(judge(status, WAIT), End::Failed(WAIT), "{status}");
        }
        for status in [400, 401, 402, 403, 404, 409, 413, 422, 425, 501] {
            assert_eq!(judge(status, WAIT), End::Unjudged, "{status}");
        }
        assert_eq!(judge(429, WAIT), End::Limited(WAIT));
        assert_eq!(judge(429, None), End::Limited(None));
    }

    fn target() -> Target {
        let provider = Provider {
            name: ObjectName::new("team", "p"),
            uid: "p".into(),
            kind: "Mock",
            dialects: &[crate::llm::Dialect::OpenAi],
            quirks: crate::llm::Quirks::NONE,
            addressing: Default::default(),
            key_header: Default::default(),
            identity: None,
            endpoint: crate::snapshot::Endpoint::Mock,
            credentials: Vec::new(),
            headers: Vec::new(),
            models: Default::default(),
            prices: Vec::new(),
            probe: None,
            backends: None,
            connect_timeout: Duration::from_secs(5),
            limits: Default::default(),
            ejection: Default::default(),
        };
        Target {
            name: "t".into(),
            provider: std::sync::Arc::new(provider),
            model: TargetModel::AsAsked,
            weight: 1,
            priority: 0,
            parameters: None,
        }
    }

    #[test]
    fn running_out_of_time_is_a_fault_only_where_the_target_had_time() {
        let target = target();
        let (short, long) = (Duration::from_secs(29), Duration::from_secs(30));
        assert_eq!(Failure::late(&target, false).end(short), End::Failed(None));
        assert_eq!(Failure::late(&target, true).end(short), End::Unjudged);
        assert_eq!(Failure::late(&target, true).end(long), End::Failed(None));
        assert_eq!(Failure::no_target().end(long), End::Unsent);
    }

    #[test]
    fn what_a_provider_says_of_the_request_is_no_fault_of_its_own() {
        let target = target();
        let status = StatusCode::BAD_GATEWAY;
        let say = |code: &'static str| {
            let error = ApiError::new(status, ErrorKind::InvalidRequest, code, "m");
            Failure::status(&target.provider, status, error, &HeaderMap::new()).end(Duration::ZERO)
        };
        assert_eq!(say("context_length_exceeded"), End::Unjudged);
        assert_eq!(say("server_error"), End::Failed(None));
    }
}
