//! The status that an object should have, or nothing if it has it. Pure but for the present time.

use std::sync::Arc;

use jiff::Timestamp;
use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;

use super::{
    condition::{Conditions, Statement, owned},
    usage::BudgetUse,
};
use crate::{
    api::{
        AIBudgetStatus, AIProviderStatus, AIRouteStatus, API_VERSION,
        condition::{Condition, READY, Reason, TargetStatus, WITHIN_BUDGET},
    },
    compile::{ObjectKey, Verdict},
    controller::event,
};

/// A status to be written.
#[derive(Debug)]
pub(super) struct Desired {
    pub(super) status: Value,
    /// The checkpoint in it.
    pub(super) checkpoint: Option<String>,
    /// What people are told once it is written.
    pub(super) notices: Vec<Notice>,
}

/// An Event about a condition.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Notice {
    is_warning: bool,
    reason: String,
    note: String,
}

impl Notice {
    fn of(condition: &Condition) -> Self {
        Self {
            is_warning: condition.status == "False",
            reason: condition.reason.clone(),
            note: condition.message.clone(),
        }
    }

    pub(super) fn about(self, key: &ObjectKey, uid: &Arc<str>) -> event::Notice {
        let Self { is_warning, reason, note } = self;
        event::Notice {
            api_version: API_VERSION,
            kind: key.kind.as_str(),
            name: key.name.clone(),
            uid: uid.clone(),
            is_warning,
            reason,
            note,
        }
    }
}

/// Status of an AIProvider. `health` is asked whether it does well, given what the status says; where
/// it has no answer, the status has none.
pub(super) fn provider(
    verdict: &Verdict,
    seen: &Value,
    health: impl FnOnce(Option<bool>) -> Option<bool>,
) -> Option<Desired> {
    let last: Option<AIProviderStatus> = parse(seen);
    let conditions =
        conditions(verdict, &last, |last| (&last.conditions, last.observed_generation))?;
    let notices = notices(&conditions);
    let desired = AIProviderStatus {
        observed_generation: Some(verdict.generation),
        conditions: conditions.finish(),
        models: verdict.models.and_then(|models| i64::try_from(models).ok()),
        healthy: match verdict.programmed {
            true => health(last.as_ref().and_then(|last| last.healthy)),
            false => None,
        },
    };
    let last = last.map(|last| AIProviderStatus { conditions: owned(last.conditions), ..last });
    differing(&desired, last.as_ref(), None, notices)
}

/// Status of an AIRoute. `health` is asked whether a target does well, given what the status says.
pub(super) fn route(
    verdict: &Verdict,
    seen: &Value,
    health: impl Fn(&TargetStatus, Option<bool>) -> Option<bool>,
) -> Option<Desired> {
    let last: Option<AIRouteStatus> = parse(seen);
    let conditions =
        conditions(verdict, &last, |last| (&last.conditions, last.observed_generation))?;
    let notices = notices(&conditions);
    let before = |target: &TargetStatus| {
        let known = last.iter().flat_map(|last| &last.targets);
        let mut same = known.filter(|seen| seen.name == target.name && seen.resolved);
        same.find(|seen| seen.provider == target.provider).map(|seen| seen.healthy)
    };
    let with_health = |target: &TargetStatus| TargetStatus {
        healthy: target.resolved && health(target, before(target)).unwrap_or(true),
        ..target.clone()
    };
    let targets: Vec<_> = verdict.targets.iter().map(with_health).collect();
    let of_all = |count: usize| (!targets.is_empty()).then(|| format!("{count}/{}", targets.len()));
    let resolved = targets.iter().filter(|target| target.resolved).count();
    let healthy = targets.iter().filter(|target| target.healthy).count();
    let desired = AIRouteStatus {
        observed_generation: Some(verdict.generation),
        conditions: conditions.finish(),
        resolved_targets: of_all(resolved),
        healthy_targets: of_all(healthy),
        targets,
    };
    let last = last.map(|last| AIRouteStatus { conditions: owned(last.conditions), ..last });
    differing(&desired, last.as_ref(), None, notices)
}

/// Status of an AIBudget. `usage` is asked what is used, given the last status; where it has no
/// answer, what the status says of it stays, so that an edit that breaks a budget loses nothing.
pub(super) fn budget(
    verdict: &Verdict,
    seen: &Value,
    usage: impl FnOnce(&AIBudgetStatus) -> Option<BudgetUse>,
) -> Option<Desired> {
    let last: Option<AIBudgetStatus> = parse(seen);
    let mut conditions =
        conditions(verdict, &last, |last| (&last.conditions, last.observed_generation))?;
    let before = last.clone().unwrap_or_default();
    let (limits, checkpoint) = match usage(&before) {
        Some(BudgetUse { limits, checkpoint, exceeded }) => {
            conditions.add(within(exceeded));
            (limits, checkpoint)
        }
        None => {
            conditions.keep(WITHIN_BUDGET);
            (before.limits, before.checkpoint)
        }
    };
    let notices = notices(&conditions);
    let desired = AIBudgetStatus {
        observed_generation: Some(verdict.generation),
        conditions: conditions.finish(),
        limits,
        checkpoint: checkpoint.clone(),
    };
    let last = last.map(|last| AIBudgetStatus { conditions: owned(last.conditions), ..last });
    differing(&desired, last.as_ref(), checkpoint, notices)
}

fn within(exceeded: Option<String>) -> Statement<'static> {
    let type_ = WITHIN_BUDGET;
    match exceeded {
        None => {
            let message = "no limit is used up".to_owned();
            Statement { type_, holds: true, reason: Reason::WithinBudget, message }
        }
        Some(message) => Statement { type_, holds: false, reason: Reason::BudgetExceeded, message },
    }
}

/// `None` if the status is about a later generation than the verdict: a replica that has yet to
/// catch up must not write over what another one knows better.
fn conditions<S>(
    verdict: &Verdict,
    last: &Option<S>,
    part: impl FnOnce(&S) -> (&Vec<Condition>, Option<i64>),
) -> Option<Conditions> {
    let (conditions, generation) = match last.as_ref().map(part) {
        Some((conditions, generation)) => (conditions.clone(), generation),
        None => (Vec::new(), None),
    };
    let is_ahead = generation.is_some_and(|generation| generation > verdict.generation);
    // Whole seconds: this is what is stored.
    let now = Timestamp::from_second(Timestamp::now().as_second()).unwrap_or_default();
    (!is_ahead).then(|| Conditions::new(verdict, conditions, now))
}

fn notices(conditions: &Conditions) -> Vec<Notice> {
    let exceeded = conditions.transition(WITHIN_BUDGET).filter(|c| c.status == "False");
    conditions.transition(READY).into_iter().chain(exceeded).map(Notice::of).collect()
}

/// A status that was damaged by hand reads as none, and is written anew.
fn parse<S: DeserializeOwned>(seen: &Value) -> Option<S> {
    (!seen.is_null()).then(|| S::deserialize(seen).ok()).flatten()
}

fn differing<S: PartialEq + Serialize>(
    desired: &S,
    last: Option<&S>,
    checkpoint: Option<String>,
    notices: Vec<Notice>,
) -> Option<Desired> {
    if last == Some(desired) {
        return None;
    }
    // Plain structs with string keys always serialise.
    let status = serde_json::to_value(desired).ok()?;
    Some(Desired { status, checkpoint, notices })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compile::Problem;

    fn good() -> Verdict {
        Verdict { generation: 2, programmed: true, models: Some(1), ..Verdict::default() }
    }

    #[test]
    fn a_status_that_is_true_is_not_written_again() {
        let first = provider(&good(), &Value::Null, |_| Some(true)).unwrap();
        assert!(provider(&good(), &first.status, |_| Some(true)).is_none());
    }

    #[test]
    fn conditions_of_others_and_their_order_do_not_matter() {
        let mut status = provider(&good(), &Value::Null, |_| Some(true)).unwrap().status;
        let conditions = status["conditions"].as_array_mut().unwrap();
        let mut foreign = conditions[0].clone();
        foreign["type"] = "Audited".into();
        conditions.insert(0, foreign);
        conditions.reverse();
        assert!(provider(&good(), &status, |_| Some(true)).is_none());
    }

    #[test]
    fn health_is_asked_with_what_the_status_says_and_written_where_it_differs() {
        let target = |name: &str, resolved| TargetStatus {
            name: name.into(),
            provider: "a/p".into(),
            resolved,
            healthy: resolved,
        };
        let targets = vec![target("one", true), target("two", true), target("three", false)];
        let verdict = Verdict { targets, ..good() };
        let first = route(&verdict, &Value::Null, |_, last| last).unwrap().status;
        assert_eq!(
            (&first["resolvedTargets"], &first["healthyTargets"]),
            (&"2/3".into(), &"2/3".into())
        );
        let ill = |target: &TargetStatus, _| Some(target.name != "one");
        let second = route(&verdict, &first, ill).unwrap();
        assert!(second.notices.is_empty(), "health alone is no transition");
        assert_eq!(second.status["healthyTargets"], "1/3");
        assert_eq!(second.status["targets"][0]["healthy"], false);
        let kept = |_: &TargetStatus, last: Option<bool>| last;
        assert!(route(&verdict, &second.status, kept).is_none());
        let unserved = Verdict { programmed: false, ..good() };
        let unserved = provider(&unserved, &Value::Null, |_| Some(true)).unwrap();
        assert_eq!(unserved.status["healthy"], Value::Null);
    }

    #[test]
    fn a_replica_that_is_behind_writes_nothing() {
        let first = provider(&good(), &Value::Null, |_| Some(true)).unwrap();
        let behind = Verdict { generation: 1, ..good() };
        assert!(provider(&behind, &first.status, |_| Some(true)).is_none());
    }

    #[test]
    fn only_a_transition_of_ready_is_told() {
        let first = provider(&good(), &Value::Null, |_| Some(true)).unwrap();
        assert_eq!(first.notices.len(), 1);
        let edited = Verdict { generation: 3, ..good() };
        assert!(provider(&edited, &first.status, |_| Some(true)).unwrap().notices.is_empty());
        let problem = Problem::new(Reason::Invalid, "write something else");
        let broken = Verdict { errors: vec![problem], generation: 3, ..Verdict::default() };
        let notices = provider(&broken, &first.status, |_| Some(true)).unwrap().notices;
        assert!(matches!(&*notices, [n] if n.is_warning && n.reason == "Invalid"));
    }

    #[test]
    fn a_budget_that_an_edit_breaks_keeps_its_checkpoint() {
        let used = BudgetUse { checkpoint: Some("c".into()), ..BudgetUse::default() };
        let first = budget(&good(), &Value::Null, |_| Some(used)).unwrap();
        let problem = Problem::new(Reason::Invalid, "write something else");
        let broken = Verdict { errors: vec![problem], generation: 3, ..Verdict::default() };
        let second = budget(&broken, &first.status, |_| None).unwrap();
        assert_eq!(second.status["checkpoint"], "c");
    }

    #[test]
    fn an_exceeded_budget_is_told_once() {
        let exceeded = || BudgetUse { exceeded: Some("all".into()), ..BudgetUse::default() };
        let first = budget(&good(), &Value::Null, |_| Some(BudgetUse::default())).unwrap();
        let second = budget(&good(), &first.status, |_| Some(exceeded())).unwrap();
        assert!(matches!(&*second.notices, [n] if n.is_warning && n.reason == "BudgetExceeded"));
        assert!(budget(&good(), &second.status, |_| Some(exceeded())).is_none());
    }
}
