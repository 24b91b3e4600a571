//! The counters of one budget for one subject, behind one mutex. Reserving in several accounts
//! locks them in the order of their ids; nothing else is locked meanwhile.

use std::sync::Arc;

use parking_lot::{Mutex, MutexGuard};

use super::counter::{Counter, Held};
use super::plan::{Amounts, BudgetPlan, Limit};

/// Counters of former limits that are remembered in case the limit comes back.
const MAX_RETIRED: usize = 16;

#[derive(Debug)]
pub(super) struct Account {
    /// Unique in the ledger: the order of locking.
    pub(super) id: u64,
    /// Whose it is; of no meaning if `is_overflow`.
    pub(super) subject: Arc<str>,
    /// Shared by the subjects that found no room.
    pub(super) is_overflow: bool,
    pub(super) refusals: Arc<Refusals>,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
pub(super) struct State {
    /// Dropped from its book: whoever found it before must look again.
    pub(super) is_dropped: bool,
    /// Reservations that will still settle here.
    pub(super) open: u32,
    /// The plan that `counters` follow, index by index.
    plan: Option<Arc<BudgetPlan>>,
    counters: Vec<Counter>,
    retired: Vec<Counter>,
    next_serial: u32,
}

/// How often each limit of a budget refused, and would have refused in shadow mode.
#[derive(Debug, Default)]
pub(super) struct Refusals(Mutex<Vec<(Arc<str>, u64, u64)>>);

impl Refusals {
    pub(super) fn count(&self, limit: &Arc<str>, is_shadow: bool) {
        let mut rows = self.0.lock();
        let at = rows.iter().position(|(name, ..)| name == limit).unwrap_or_else(|| {
            rows.push((Arc::clone(limit), 0, 0));
            rows.len() - 1
        });
        if let Some((_, refused, shadow)) = rows.get_mut(at) {
            *(if is_shadow { shadow } else { refused }) += 1;
        }
    }

    /// Refused and shadow-refused.
    pub(super) fn of(&self, limit: &str) -> (u64, u64) {
        let rows = self.0.lock();
        rows.iter().find(|row| *row.0 == *limit).map_or((0, 0), |row| (row.1, row.2))
    }
}

impl Account {
    pub(super) fn new(id: u64, subject: Arc<str>, overflow: bool, refusals: Arc<Refusals>) -> Self {
        Self { id, subject, is_overflow: overflow, refusals, state: Mutex::default() }
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock()
    }
}

impl State {
    /// The counters of `plan`, index by index, brought to the present.
    pub(super) fn counters(&mut self, plan: &Arc<BudgetPlan>, now: i64) -> &mut [Counter] {
        if !self.plan.as_ref().is_some_and(|known| Arc::ptr_eq(known, plan)) {
            self.follow(plan, now);
        }
        for (counter, limit) in self.counters.iter_mut().zip(&plan.limits) {
            counter.align(&limit.window, now);
        }
        &mut self.counters
    }

    /// The counter of `limit` brought to the present, if anything was ever counted.
    pub(super) fn counter(&mut self, limit: &Limit, now: i64) -> Option<&mut Counter> {
        let is_known = self.counters.iter().chain(&self.retired).any(|c| c.counts(limit));
        let mut all = self.counters.iter_mut().chain(&mut self.retired);
        let counter = match is_known {
            true => all.find(|counter| counter.counts(limit)),
            false => all.find_map(|counter| counter.follow(limit, now).then_some(counter)),
        }?;
        counter.align(&limit.window, now);
        Some(counter)
    }

    /// The counter of `limit`, made if there is none.
    pub(super) fn counter_or_new(&mut self, limit: &Limit, now: i64) -> Option<&mut Counter> {
        if self.counter(limit, now).is_none() {
            let counter = self.new_counter(limit, now);
            self.retired.push(counter);
        }
        self.counter(limit, now)
    }

    /// Takes what was reserved as `held` away again, as if it had never been there.
    pub(super) fn undo(&mut self, held: &Held, now: i64) {
        self.settle_one(held, 0, now);
    }

    /// Ends one reservation by what was used.
    pub(super) fn settle(&mut self, held: &[Held], used: &Amounts, now: i64) {
        for held in held {
            self.settle_one(held, used.of(held.unit), now);
        }
        self.open = self.open.saturating_sub(1);
    }

    /// Brings everything to the present; whether nothing is left that would be missed.
    pub(super) fn is_idle(&mut self, now: i64) -> bool {
        self.counters.iter_mut().chain(&mut self.retired).for_each(|c| c.expire(now));
        // An open reservation may still settle in a counter that is empty now.
        if self.open == 0 {
            self.retired.retain(|counter| !counter.is_empty());
        }
        self.open == 0 && self.retired.is_empty() && self.counters.iter().all(Counter::is_empty)
    }

    fn settle_one(&mut self, held: &Held, used: u64, now: i64) {
        let mut all = self.counters.iter_mut().chain(&mut self.retired);
        if let Some(counter) = all.find(|counter| counter.serial == held.serial) {
            counter.settle(held, used, now);
        }
    }

    fn follow(&mut self, plan: &Arc<BudgetPlan>, now: i64) {
        let mut known = std::mem::take(&mut self.counters);
        known.append(&mut self.retired);
        for limit in &plan.limits {
            let counter = match known.iter().position(|counter| counter.counts(limit)) {
                Some(at) => known.remove(at),
                None => match known.iter_mut().position(|counter| counter.follow(limit, now)) {
                    Some(at) => known.remove(at),
                    None => self.new_counter(limit, now),
                },
            };
            self.counters.push(counter);
        }
        // As in `is_idle`: what is open may still settle in an empty counter.
        known.retain(|counter| self.open > 0 || !counter.is_empty());
        known.sort_by_key(|counter| counter.serial);
        known.drain(..known.len().saturating_sub(MAX_RETIRED));
        self.retired = known;
        self.plan = Some(Arc::clone(plan));
    }

    fn new_counter(&mut self, limit: &Limit, now: i64) -> Counter {
        self.next_serial = self.next_serial.wrapping_add(1);
        Counter::new(limit, self.next_serial, now)
    }
}
