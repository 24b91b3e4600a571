//! Who may hold a Lease: pure, with time injected.

use std::time::{Duration, Instant};

use k8s_openapi::api::coordination::v1::Lease;

/// How long a Lease holds after its last renewal.
pub(super) const DURATION: Duration = Duration::from_secs(15);
/// A holder that could not renew for so long no longer leads: earlier than anyone else may take
/// over, so that two never lead at once.
pub(super) const RENEW_DEADLINE: Duration = Duration::from_secs(10);

/// A Lease as this process has observed it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Observation {
    /// None: there is no Lease.
    version: Option<String>,
    holder: String,
    duration: Duration,
    transitions: i32,
    /// When this version was first seen, by the local monotonic clock.
    since: Instant,
}

/// What to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Decision {
    /// It is held by this process: renew it.
    Renew,
    /// Nobody holds it: take it.
    Take {
        /// Changes of holder, this one included.
        transitions: i32,
    },
    /// Someone else holds it, at least for so long.
    Wait(Duration),
}

impl Observation {
    /// What a look at `now` shows, given what the last one showed.
    pub(super) fn next(before: Option<Self>, lease: Option<&Lease>, now: Instant) -> Self {
        let spec = lease.and_then(|lease| lease.spec.as_ref());
        let seconds = spec.and_then(|spec| spec.lease_duration_seconds);
        let seconds = seconds.and_then(|seconds| u64::try_from(seconds).ok());
        let seen = Self {
            version: lease.and_then(|lease| lease.metadata.resource_version.clone()),
            holder: spec.and_then(|spec| spec.holder_identity.clone()).unwrap_or_default(),
            duration: seconds.map_or(DURATION, Duration::from_secs),
            transitions: spec.and_then(|spec| spec.lease_transitions).unwrap_or_default(),
            since: now,
        };
        match before {
            Some(before) if before.version == seen.version => Self { since: before.since, ..seen },
            _ => seen,
        }
    }
}

/// Decides for the candidate `identity`.
pub(super) fn evaluate(seen: &Observation, identity: &str, now: Instant) -> Decision {
    if seen.version.is_none() {
        return Decision::Take { transitions: 0 };
    }
    if seen.holder == identity {
        return Decision::Renew;
    }
    let rest = (seen.since + seen.duration).saturating_duration_since(now);
    if seen.holder.is_empty() || rest.is_zero() {
        return Decision::Take { transitions: seen.transitions.saturating_add(1) };
    }
    Decision::Wait(rest)
}

#[cfg(test)]
mod tests {
    use k8s_openapi::{
        api::coordination::v1::LeaseSpec, apimachinery::pkg::apis::meta::v1::ObjectMeta,
    };

    use super::*;

    fn lease(version: &str, holder: &str) -> Lease {
        let version = Some(version.to_owned());
        Lease {
            metadata: ObjectMeta { resource_version: version, ..ObjectMeta::default() },
            spec: Some(LeaseSpec {
                holder_identity: Some(holder.to_owned()),
                lease_duration_seconds: Some(15),
                lease_transitions: Some(3),
                ..LeaseSpec::default()
            }),
        }
    }

    fn look(before: Option<Observation>, lease: &Lease, now: Instant) -> Observation {
        Observation::next(before, Some(lease), now)
    }

    #[test]
    fn a_missing_lease_is_taken() {
        let now = Instant::now();
        let seen = Observation::next(None, None, now);
        assert_eq!(evaluate(&seen, "a", now), Decision::Take { transitions: 0 });
    }

    #[test]
    fn a_released_lease_is_taken_at_once() {
        let now = Instant::now();
        let seen = look(None, &lease("1", ""), now);
        assert_eq!(evaluate(&seen, "a", now), Decision::Take { transitions: 4 });
    }

    #[test]
    fn its_own_lease_is_renewed_also_after_a_restart() {
        let now = Instant::now();
        assert_eq!(evaluate(&look(None, &lease("1", "a"), now), "a", now), Decision::Renew);
    }

    #[test]
    fn a_foreign_lease_is_taken_only_after_it_stood_still_for_its_duration() {
        let start = Instant::now();
        let foreign = lease("1", "b");
        let seen = look(None, &foreign, start);
        assert_eq!(evaluate(&seen, "a", start), Decision::Wait(DURATION));
        let later = start + Duration::from_secs(14);
        let seen = look(Some(seen), &foreign, later);
        assert_eq!(evaluate(&seen, "a", later), Decision::Wait(Duration::from_secs(1)));
        let end = start + DURATION;
        let seen = look(Some(seen), &foreign, end);
        assert_eq!(evaluate(&seen, "a", end), Decision::Take { transitions: 4 });
    }

    #[test]
    fn a_renewal_by_the_holder_starts_the_wait_anew() {
        let start = Instant::now();
        let seen = look(None, &lease("1", "b"), start);
        let later = start + Duration::from_secs(14);
        let seen = look(Some(seen), &lease("2", "b"), later);
        assert_eq!(evaluate(&seen, "a", later), Decision::Wait(DURATION));
    }

    #[test]
    fn a_holder_stops_leading_before_others_may_take_over() {
        assert!(RENEW_DEADLINE < DURATION);
    }
}
