//! Conditions of a verdict. Pure; the present time is only taken over where a status changes.

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};

use crate::{
    api::condition::{ACCEPTED, PROGRAMMED, READY, RESOLVED_REFS, Reason, STALLED, WITHIN_BUDGET},
    compile::{Problem, Verdict},
};

/// Longest message, in bytes.
const MAX_MESSAGE: usize = 2048;

/// The condition types that are written here; others on the object belong to somebody else.
const OWNED: [&str; 6] = [ACCEPTED, RESOLVED_REFS, PROGRAMMED, READY, STALLED, WITHIN_BUDGET];

/// The conditions of an object, sorted by type.
pub(super) struct Conditions {
    generation: i64,
    last: Vec<Condition>,
    now: Timestamp,
    list: Vec<Condition>,
}

/// One statement.
pub(super) struct Statement<'a> {
    pub(super) type_: &'a str,
    pub(super) holds: bool,
    pub(super) reason: Reason,
    pub(super) message: String,
}

impl Conditions {
    /// What the verdict says; `last` are the conditions on the object, `now` is the time of those
    /// transitions that follow.
    pub(super) fn new(verdict: &Verdict, last: Vec<Condition>, now: Timestamp) -> Self {
        let generation = verdict.generation;
        let mut conditions = Self { generation, last, now, list: Vec::new() };
        conditions.add(accepted(verdict));
        conditions.add(resolved(verdict));
        conditions.add(programmed(verdict));
        let ready = ready(verdict);
        if verdict.problems().next().is_some() {
            let (reason, message) = (ready.reason, ready.message.clone());
            conditions.add(Statement { type_: STALLED, holds: true, reason, message });
        }
        conditions.add(ready);
        conditions
    }

    pub(super) fn add(&mut self, statement: Statement<'_>) {
        let Statement { type_, holds, reason, mut message } = statement;
        message.truncate(message.floor_char_boundary(MAX_MESSAGE));
        let status = if holds { "True" } else { "False" };
        let last = self.last.iter().find(|last| last.type_ == type_ && last.status == status);
        self.list.push(Condition {
            type_: type_.to_owned(),
            status: status.to_owned(),
            reason: reason.as_str().to_owned(),
            message,
            observed_generation: Some(self.generation),
            last_transition_time: last
                .map_or_else(|| Time(self.now), |last| last.last_transition_time.clone()),
        });
    }

    /// Takes over a condition of the object as it is.
    pub(super) fn keep(&mut self, type_: &str) {
        let last = self.last.iter().find(|last| last.type_ == type_);
        self.list.extend(last.cloned());
    }

    /// Whether the status of a condition differs from what is on the object: `Some` with the new
    /// condition if so.
    pub(super) fn transition(&self, type_: &str) -> Option<&Condition> {
        let new = self.list.iter().find(|condition| condition.type_ == type_)?;
        let last = self.last.iter().find(|condition| condition.type_ == type_);
        last.is_none_or(|last| last.status != new.status).then_some(new)
    }

    pub(super) fn finish(self) -> Vec<Condition> {
        owned(self.list)
    }
}

/// Those conditions of a list that are written here, in a stable order.
pub(super) fn owned(mut conditions: Vec<Condition>) -> Vec<Condition> {
    conditions.retain(|condition| OWNED.contains(&condition.type_.as_str()));
    conditions.sort_by(|a, b| a.type_.cmp(&b.type_));
    conditions
}

fn accepted(verdict: &Verdict) -> Statement<'static> {
    let (holds, reason, message) = match verdict.errors.first() {
        Some(first) => (false, first.reason, messages(&verdict.errors)),
        None if verdict.warnings.is_empty() => (true, Reason::Accepted, "valid".to_owned()),
        None => (true, Reason::Accepted, format!("valid, but: {}", verdict.warnings.join("; "))),
    };
    Statement { type_: ACCEPTED, holds, reason, message }
}

fn resolved(verdict: &Verdict) -> Statement<'static> {
    let (holds, reason, message) = match verdict.unresolved.first() {
        Some(first) => (false, first.reason, messages(&verdict.unresolved)),
        None => (true, Reason::ResolvedRefs, "every reference leads somewhere".to_owned()),
    };
    Statement { type_: RESOLVED_REFS, holds, reason, message }
}

fn programmed(verdict: &Verdict) -> Statement<'static> {
    let (reason, message) = match verdict.programmed {
        true => (
            Reason::Programmed,
            "served by the replica that writes status; the others follow by their own watches"
                .to_owned(),
        ),
        false => (Reason::NotProgrammed, format!("not served: {}", problems(verdict))),
    };
    Statement { type_: PROGRAMMED, holds: verdict.programmed, reason, message }
}

fn ready(verdict: &Verdict) -> Statement<'static> {
    let holds = verdict.is_ready();
    let (reason, message) = match (verdict.problems().next(), verdict.waiting.first()) {
        (Some(first), _) => (first.reason, problems(verdict)),
        (None, Some(first)) => (first.reason, messages(&verdict.waiting)),
        (None, None) if holds => (Reason::Ready, "works".to_owned()),
        (None, None) => (Reason::NotProgrammed, problems(verdict)),
    };
    Statement { type_: READY, holds, reason, message }
}

fn problems(verdict: &Verdict) -> String {
    let all: Vec<_> = verdict.problems().map(|problem| problem.message.as_str()).collect();
    match all.is_empty() {
        true => "see the other conditions".to_owned(),
        false => all.join("; "),
    }
}

fn messages(problems: &[Problem]) -> String {
    let all: Vec<_> = problems.iter().map(|problem| problem.message.as_str()).collect();
    all.join("; ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn time(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn find<'a>(conditions: &'a [Condition], type_: &str) -> Option<&'a Condition> {
        conditions.iter().find(|condition| condition.type_ == type_)
    }

    fn good() -> Verdict {
        Verdict { generation: 3, programmed: true, ..Verdict::default() }
    }

    fn broken() -> Verdict {
        let problem = Problem::new(Reason::SecretNotFound, "Secret a/b does not exist: create it");
        Verdict { generation: 4, unresolved: vec![problem], ..Verdict::default() }
    }

    #[test]
    fn a_good_object_is_ready_and_not_stalled() {
        let conditions = Conditions::new(&good(), Vec::new(), time(1)).finish();
        for type_ in [ACCEPTED, RESOLVED_REFS, PROGRAMMED, READY] {
            let condition = find(&conditions, type_).unwrap();
            assert_eq!((&*condition.status, condition.observed_generation), ("True", Some(3)));
        }
        assert_eq!(find(&conditions, STALLED), None);
    }

    #[test]
    fn an_unresolved_reference_is_named_in_ready_and_stalls() {
        let conditions = Conditions::new(&broken(), Vec::new(), time(1)).finish();
        let ready = find(&conditions, READY).unwrap();
        assert_eq!((&*ready.status, &*ready.reason), ("False", "SecretNotFound"));
        assert_eq!(ready.message, "Secret a/b does not exist: create it");
        assert_eq!(find(&conditions, STALLED).unwrap().status, "True");
        assert_eq!(find(&conditions, ACCEPTED).unwrap().status, "True");
    }

    #[test]
    fn transition_times_move_only_with_the_status() {
        let first = Conditions::new(&good(), Vec::new(), time(1)).finish();
        let edited = Verdict { generation: 9, ..good() };
        let second = Conditions::new(&edited, first, time(2));
        assert_eq!(second.transition(READY), None);
        let second = second.finish();
        assert!(second.iter().all(|condition| condition.last_transition_time.0 == time(1)));
        let third = Conditions::new(&broken(), second, time(3));
        assert_eq!(third.transition(READY).unwrap().status, "False");
        let third = third.finish();
        assert_eq!(find(&third, READY).unwrap().last_transition_time.0, time(3));
        assert_eq!(find(&third, ACCEPTED).unwrap().last_transition_time.0, time(1));
    }

    #[test]
    fn messages_are_cut_between_characters() {
        let problem = Problem::new(Reason::Invalid, "ä".repeat(5000));
        let verdict = Verdict { errors: vec![problem], ..Verdict::default() };
        let conditions = Conditions::new(&verdict, Vec::new(), time(1)).finish();
        assert!(conditions.iter().all(|condition| condition.message.len() <= MAX_MESSAGE));
    }
}
