//! What status, metrics and the console show of a budget. Reads the ledger, changes nothing that
//! counts.

use std::cmp::Reverse;
use std::sync::Arc;

use jiff::Timestamp;

use super::book::Book;
use super::ledger::{Ledger, timestamp};
use super::plan::{BudgetPlan, Limit, Unit};
use super::window::{Span, Window};

/// Subjects shown of each limit.
pub const MAX_TOP_SUBJECTS: usize = 20;

/// How the subjects that share a counter, for want of room, are shown.
pub const OVERFLOW_SUBJECT: &str = "(others)";

/// How much of one limit is used. Amounts are in the limit's unit, money in nano-dollars.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LimitView {
    /// Name of the limit.
    pub name: Arc<str>,
    /// What it counts.
    pub unit: Unit,
    /// Used by the fullest subject, the one next to be refused; the pool where there is one. Of
    /// [`Unit::Concurrent`] the calls under way.
    pub used: u64,
    /// Reserved by that subject's calls in flight.
    pub reserved: u64,
    /// The most that a subject may use.
    pub max: u64,
    /// Used by all subjects together.
    pub total_used: u64,
    /// Reserved by all subjects together.
    pub total_reserved: u64,
    /// Subjects that have used or reserved something.
    pub subjects: usize,
    /// When the window ends; of a sliding one when all that is used now will have left it, or
    /// `None` if nothing is used. `None` too where calls under way are counted.
    pub resets_at: Option<Timestamp>,
    /// The subjects that used most, most first, at most [`MAX_TOP_SUBJECTS`].
    pub top: Vec<SubjectView>,
    /// Calls that this limit refused since the process started.
    pub refusals: u64,
    /// Calls that it would have refused if it were enforced, since the process started.
    pub shadow_refusals: u64,
}

/// One subject's share.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SubjectView {
    /// The value of `per`, empty for the one pool, [`OVERFLOW_SUBJECT`] for those that share.
    pub subject: Arc<str>,
    /// What it used in the present window.
    pub used: u64,
    /// What its calls in flight have reserved.
    pub reserved: u64,
}

impl Ledger {
    /// The present state of each limit, in the plan's order.
    pub fn views(&self, plan: &BudgetPlan) -> Vec<LimitView> {
        let mut views: Vec<_> = plan.limits.iter().map(|limit| empty(limit, self.now())).collect();
        let Some(book) = self.book(plan) else { return views };
        self.read(&book, plan, &mut views);
        for view in &mut views {
            finish(view);
            (view.refusals, view.shadow_refusals) = book.refusals.of(&view.name);
        }
        views
    }

    /// Adds what every account holds.
    fn read(&self, book: &Book, plan: &BudgetPlan, views: &mut [LimitView]) {
        for account in book.accounts() {
            let mut state = account.lock();
            let now = self.now();
            for (limit, view) in plan.limits.iter().zip(views.iter_mut()) {
                let Some(counter) = state.counter(limit, now).filter(|c| !c.is_empty()) else {
                    continue;
                };
                let subject: Arc<str> = match account.is_overflow {
                    true => OVERFLOW_SUBJECT.into(),
                    false => Arc::clone(&account.subject),
                };
                let (used, reserved) = counter.shown();
                view.resets_at = view.resets_at.max(counter.resets_at().map(timestamp));
                view.top.push(SubjectView { subject, used, reserved });
            }
        }
    }
}

fn empty(limit: &Limit, now: i64) -> LimitView {
    let resets_at = match &limit.window {
        Window::Sliding { .. } | Window::Present => None,
        Window::Calendar { period, time_zone } => Some(Span::of(*period, time_zone, now).end),
    };
    LimitView {
        name: Arc::clone(&limit.name),
        unit: limit.unit,
        used: 0,
        reserved: 0,
        max: limit.amount,
        total_used: 0,
        total_reserved: 0,
        subjects: 0,
        resets_at: resets_at.map(timestamp),
        top: Vec::new(),
        refusals: 0,
        shadow_refusals: 0,
    }
}

/// Turns the list of all subjects into sums and the top of the list.
fn finish(view: &mut LimitView) {
    view.subjects = view.top.len();
    for subject in &view.top {
        view.total_used = view.total_used.saturating_add(subject.used);
        view.total_reserved = view.total_reserved.saturating_add(subject.reserved);
    }
    let total = |s: &&SubjectView| (u128::from(s.used) + u128::from(s.reserved), s.used);
    let fullest = view.top.iter().max_by_key(total);
    (view.used, view.reserved) = fullest.map_or((0, 0), |subject| (subject.used, subject.reserved));
    // By name where equal, so that the same state always reads the same.
    view.top.sort_by(|a, b| Reverse(a.used).cmp(&Reverse(b.used)).then(a.subject.cmp(&b.subject)));
    view.top.truncate(MAX_TOP_SUBJECTS);
}
