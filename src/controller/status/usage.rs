//! What is used of budgets, in the words of their status.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use crate::{
    api::budget::{LimitStatus, SubjectStatus},
    budget::{Ledger, LimitView, Unit},
    snapshot::Budget,
};

/// What is used of one budget.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct BudgetUse {
    pub(super) limits: Vec<LimitStatus>,
    pub(super) checkpoint: Option<String>,
    /// What people are told where a limit has nothing left.
    pub(super) exceeded: Option<String>,
}

/// Reads the ledger.
pub(super) struct Usage {
    ledger: Arc<Ledger>,
    refused: HashMap<(Arc<str>, Arc<str>), Refused>,
}

/// The refusals of one limit that are known.
#[derive(Default)]
struct Refused {
    count: u64,
    /// The amount when the limit was last looked at.
    max: Option<u64>,
    /// What was used when the last one was seen.
    used: Option<u64>,
}

impl Usage {
    pub(super) fn new(ledger: Arc<Ledger>) -> Self {
        Self { ledger, refused: HashMap::new() }
    }

    /// What is used of a budget now.
    pub(super) fn of(&mut self, budget: &Budget) -> BudgetUse {
        let views = self.ledger.views(&budget.plan);
        let checkpoint = self.ledger.checkpoint(&budget.plan);
        let text = serde_json::to_string(&checkpoint).ok();
        let exceeded: Vec<_> = views
            .iter()
            .filter(|view| {
                let key = (budget.plan.uid.clone(), view.name.clone());
                self.refused.entry(key).or_default().is_exceeded(view)
            })
            .map(exceeded)
            .collect();
        BudgetUse {
            limits: views.iter().map(limit).collect(),
            checkpoint: text.filter(|_| !checkpoint.counters.is_empty()),
            exceeded: (!exceeded.is_empty()).then(|| exceeded.join("; ")),
        }
    }

    /// Forgets all budgets but these.
    pub(super) fn retain(&mut self, uids: &HashSet<Arc<str>>) {
        self.refused.retain(|(uid, _), _| uids.contains(uid));
    }
}

impl Refused {
    /// Nothing is left, or so little that a call was refused and nothing has become free since.
    fn is_exceeded(&mut self, view: &LimitView) -> bool {
        // Full for a moment is what such a limit is for: nothing has run out.
        if view.unit == Unit::Concurrent {
            return false;
        }
        let count = view.refusals.saturating_add(view.shadow_refusals);
        // Refusals that were seen together with a larger amount happened under the smaller one.
        if self.max.replace(view.max).is_some_and(|max| view.max > max) {
            (self.count, self.used) = (count, None);
        }
        if count > self.count {
            self.count = count;
            self.used = Some(view.used);
        }
        self.used = self.used.filter(|used| view.used > 0 && view.used >= *used);
        view.used >= view.max || self.used.is_some()
    }
}

fn exceeded(view: &LimitView) -> String {
    let resets = view.resets_at.map_or(String::new(), |time| format!("; resets at {time:.0}"));
    format!(
        "limit {}: {} of {} used{resets}; wait for it, or raise the amount",
        view.name,
        view.unit.quantity(view.used),
        view.unit.describe(view.max),
    )
}

fn limit(view: &LimitView) -> LimitStatus {
    let quantity = |amount| view.unit.quantity(amount);
    let subject = |subject: &crate::budget::SubjectView| SubjectStatus {
        subject: subject.subject.to_string(),
        used: quantity(subject.used),
    };
    // The one pool has no name, and its use is the limit's.
    let is_pool = view.top.iter().all(|subject| subject.subject.is_empty());
    LimitStatus {
        name: view.name.to_string(),
        unit: unit(view.unit).to_owned(),
        used: quantity(view.used),
        reserved: quantity(view.reserved),
        max: quantity(view.max),
        resets_at: view.resets_at.map(|time| format!("{time:.0}")),
        subjects: match is_pool {
            true => Vec::new(),
            false => view.top.iter().map(subject).collect(),
        },
    }
}

fn unit(unit: Unit) -> &'static str {
    match unit {
        Unit::Usd => "USD",
        Unit::Tokens => "Tokens",
        Unit::InputTokens => "InputTokens",
        Unit::OutputTokens => "OutputTokens",
        Unit::Requests => "Requests",
        Unit::Concurrent => "Concurrent",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn view(used: u64, refusals: u64) -> LimitView {
        LimitView {
            name: "month".into(),
            unit: Unit::Tokens,
            used,
            reserved: 0,
            max: 100,
            total_used: used,
            total_reserved: 0,
            subjects: 1,
            resets_at: None,
            top: Vec::new(),
            refusals,
            shadow_refusals: 0,
        }
    }

    #[test]
    fn a_full_limit_is_exceeded() {
        assert!(Refused::default().is_exceeded(&view(100, 0)));
        assert!(!Refused::default().is_exceeded(&view(99, 0)));
    }

    #[test]
    fn a_limit_of_requests_at_a_time_never_runs_out() {
        let full = LimitView { unit: Unit::Concurrent, ..view(100, 3) };
        assert!(!Refused::default().is_exceeded(&full));
    }

    #[test]
    fn a_refusal_counts_until_something_becomes_free() {
        let mut refused = Refused::default();
        assert!(refused.is_exceeded(&view(90, 1)));
        assert!(refused.is_exceeded(&view(90, 1)));
        assert!(!refused.is_exceeded(&view(50, 1)));
        assert!(!refused.is_exceeded(&view(95, 1)));
    }

    #[test]
    fn a_raised_amount_ends_what_was_refused_before() {
        let mut refused = Refused::default();
        assert!(refused.is_exceeded(&view(90, 1)));
        assert!(!refused.is_exceeded(&LimitView { max: 200, ..view(90, 1) }));
        assert!(!refused.is_exceeded(&LimitView { max: 200, ..view(95, 1) }));
        // One more was refused before the amount was raised, and nobody has looked meanwhile.
        assert!(!refused.is_exceeded(&LimitView { max: 300, ..view(95, 2) }));
        assert!(refused.is_exceeded(&LimitView { max: 300, ..view(290, 3) }));
    }

    #[test]
    fn a_call_that_never_fits_does_not_make_an_unused_limit_exceeded() {
        assert!(!Refused::default().is_exceeded(&view(0, 1)));
    }
}
