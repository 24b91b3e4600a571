//! What a failure says about the target: whether it is to blame, wants to rest, or has nothing to do
//! with it.

use std::time::Duration;

use crate::{route::End, snapshot::Provider};

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
    /// What it says about the target of this provider, which was waited for so long.
    pub fn end(&self, provider: &Provider, waited: Duration) -> End {
        match self.reason {
            // It is about the request, whatever its status.
            _ if self.cause.is_some() => End::Unjudged,
            // It is the caller's own account that has had enough, and nobody else's.
            Reason::Status(429) | Reason::ErrorEvent(429) if provider.is_passthrough() => {
                End::Unjudged
            }
            Reason::Status(status) | Reason::ErrorEvent(status) => judge(status, self.retry_after),
            Reason::Connect
            | Reason::Closed
            | Reason::FirstToken
            | Reason::Empty
            | Reason::Malformed => End::Failed(self.retry_after),
            Reason::Deadline if waited >= IN_VAIN => End::Failed(None),
            Reason::Deadline | Reason::Filtered | Reason::Refused => End::Unjudged,
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
    use std::sync::Arc;

    use http::{HeaderMap, StatusCode};

    use super::*;
    use crate::{
        llm::{ApiError, ErrorKind},
        snapshot::{Identity, ObjectName, Target, TargetModel},
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

    fn target(identity: Option<Identity>) -> Target {
        let provider = Provider {
            name: ObjectName::new("team", "p"),
            uid: "p".into(),
            kind: "Mock",
            dialects: &[crate::llm::Dialect::OpenAi],
            quirks: crate::llm::Quirks::NONE,
            addressing: Default::default(),
            key_header: Default::default(),
            identity: identity.map(Arc::new),
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
            provider: Arc::new(provider),
            model: TargetModel::AsAsked,
            weight: 1,
            priority: 0,
            parameters: None,
        }
    }

    #[test]
    fn running_out_of_time_is_a_fault_only_where_the_target_had_time() {
        let target = target(None);
        let end =
            |failure: Failure, seconds| failure.end(&target.provider, Duration::from_secs(seconds));
        assert_eq!(end(Failure::late(&target, false), 29), End::Failed(None));
        assert_eq!(end(Failure::late(&target, true), 29), End::Unjudged);
        assert_eq!(end(Failure::late(&target, true), 30), End::Failed(None));
        assert_eq!(end(Failure::no_target(), 30), End::Unsent);
    }

    #[test]
    fn what_a_provider_says_of_the_request_is_no_fault_of_its_own() {
        let provider = target(None).provider;
        assert_eq!(said(&provider, 502, "context_length_exceeded"), End::Unjudged);
        assert_eq!(said(&provider, 502, "server_error"), End::Failed(None));
    }

    #[test]
    fn the_limit_of_a_callers_own_account_lets_nobody_else_wait() {
        let own = target(Some(Identity::Caller)).provider;
        assert_eq!(said(&own, 429, "rate_limit"), End::Unjudged);
        assert_eq!(said(&own, 503, "overloaded"), End::Failed(None));
        assert_eq!(said(&target(None).provider, 429, "rate_limit"), End::Limited(None));
    }

    fn said(provider: &Provider, status: u16, code: &'static str) -> End {
        let status = StatusCode::from_u16(status).unwrap();
        let error = ApiError::new(status, ErrorKind::InvalidRequest, code, "m");
        let failure = Failure::status(provider, status, error, &HeaderMap::new());
        failure.end(provider, Duration::ZERO)
    }
}
