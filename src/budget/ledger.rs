//! The ledger: all budgets' counters, reserved from and settled exactly. Owns the order of locks.
//! Must not be asked to wait: every operation is short and synchronous.
//!
//! A reservation locks the accounts of its demands in the order of their ids, takes the present
//! time, tries all limits and keeps either everything or nothing before it unlocks. Hence used
//! plus reserved never passes an enforced amount, and no call is refused for room that another
//! one takes only to give it back.

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use jiff::Timestamp;
use parking_lot::{Mutex, MutexGuard};

use super::account::{Account, State};
use super::book::{Book, Shards};
use super::clock::Clock;
use super::counter::{Counter, Held};
use super::plan::{BudgetPlan, Demand, Limit, MAX_SUBJECTS, Mode};
use super::refusal::Refusal;
use super::reservation::{Entry, Hold, Reservation};
use super::window::Window;

/// Parts of the register of open reservations that are locked apart.
const REGISTERS: usize = 16;

/// Open reservations by their ids, which nobody else chooses.
type Register = HashMap<u64, Arc<Hold>, foldhash::fast::RandomState>;

/// The counters of all budgets of this process. Share it by `Arc`.
pub struct Ledger {
    clock: Arc<dyn Clock>,
    books: Shards<Book>,
    open: [Mutex<Register>; REGISTERS],
    /// Gives accounts and reservations their ids.
    ids: AtomicU64,
    max_subjects: usize,
}

impl Ledger {
    /// An empty ledger that reads the time from `clock`.
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self::with_max_subjects(clock, MAX_SUBJECTS)
    }

    /// As [`Self::new`], with another bound than [`MAX_SUBJECTS`].
    pub(super) fn with_max_subjects(clock: Arc<dyn Clock>, max_subjects: usize) -> Self {
        Self {
            clock,
            books: Shards::default(),
            open: std::array::from_fn(|_| Mutex::default()),
            ids: AtomicU64::new(0),
            max_subjects,
        }
    }

    /// Reserves all demands in every window of their plans, or nothing at all. Plans in shadow
    /// mode are counted and refuse nothing. A demand of zero in a limit's unit always fits it.
    ///
    /// The reservation ends by itself, charged in full, at the first [`Self::sweep`] after
    /// `time_to_live`.
    ///
    /// # Errors
    /// The limit that refuses longest, if any demand of an enforced plan does not fit.
    pub fn reserve(
        self: &Arc<Self>,
        demands: Vec<Demand>,
        time_to_live: Duration,
    ) -> Result<Reservation, Box<Refusal>> {
        let attempt = loop {
            let accounts: Vec<_> = demands.iter().map(|demand| self.account(demand)).collect();
            // An account may be dropped between being found and being locked: look again.
            if let Some(attempt) = self.attempt(&accounts, &demands) {
                break attempt.map(|held| (accounts, held));
            }
        };
        let (accounts, held) = attempt?;
        let entries = accounts.into_iter().zip(demands).zip(held);
        let entries = entries.map(|((account, demand), held)| Entry { account, demand, held });
        let time_to_live = i64::try_from(time_to_live.as_millis()).unwrap_or(i64::MAX);
        let hold = Arc::new(Hold {
            id: self.ids.fetch_add(1, Ordering::Relaxed),
            expires_at: self.now().saturating_add(time_to_live),
            entries: entries.collect(),
            is_ended: AtomicBool::new(false),
        });
        self.register(hold.id).lock().insert(hold.id, Arc::clone(&hold));
        Ok(Reservation::new(Arc::clone(self), hold))
    }

    /// Ends the reservations whose time to live is over and drops counters that hold nothing.
    /// To be called every few seconds.
    pub fn sweep(&self) {
        let now = self.now();
        for register in &self.open {
            let mut expired = Vec::new();
            register.lock().retain(|_, hold| {
                let is_alive = now < hold.expires_at;
                if !is_alive {
                    expired.push(Arc::clone(hold));
                }
                is_alive
            });
            for hold in expired {
                hold.end(self, |_, demand| demand.amounts);
            }
        }
        self.books.values().iter().for_each(|book| book.sweep(now));
    }

    /// Forgets the counters of all budgets but those with these UIDs.
    pub fn retain(&self, live: &HashSet<Arc<str>>) {
        self.books.retain(|uid| live.contains(uid));
    }

    /// How many reservations are open.
    pub fn open_reservations(&self) -> usize {
        self.open.iter().map(|register| register.lock().len()).sum()
    }

    /// Milliseconds since 1970.
    pub(super) fn now(&self) -> i64 {
        self.clock.now().as_millisecond()
    }

    /// Strikes a reservation that has ended off the register.
    pub(super) fn forget(&self, id: u64) {
        self.register(id).lock().remove(&id);
    }

    pub(super) fn book(&self, plan: &BudgetPlan) -> Option<Arc<Book>> {
        self.books.get(&plan.uid)
    }

    pub(super) fn book_or_new(&self, plan: &BudgetPlan) -> Arc<Book> {
        let new = || self.books.get_or_insert(&plan.uid, || Book::new(self.max_subjects));
        self.books.get(&plan.uid).unwrap_or_else(new)
    }

    pub(super) fn account_of(&self, book: &Book, subject: &Arc<str>) -> Arc<Account> {
        book.account(subject, &self.ids, self.now())
    }

    pub(super) fn overflow_of(&self, book: &Book) -> Arc<Account> {
        book.overflow(&self.ids)
    }

    fn account(&self, demand: &Demand) -> Arc<Account> {
        self.account_of(&self.book_or_new(&demand.plan), &demand.subject)
    }

    fn register(&self, id: u64) -> &Mutex<Register> {
        // The remainder is always within bounds.
        &self.open[(id % REGISTERS as u64) as usize]
    }

    /// One try under the locks of all `accounts`; `None` if one of them was dropped meanwhile.
    fn attempt(&self, accounts: &[Arc<Account>], demands: &[Demand]) -> Option<Attempt> {
        let mut order: Vec<&Arc<Account>> = accounts.iter().collect();
        order.sort_unstable_by_key(|account| account.id);
        order.dedup_by_key(|account| account.id);
        let mut locked: Vec<_> = order.iter().map(|account| (account.id, account.lock())).collect();
        if locked.iter().any(|(_, state)| state.is_dropped) {
            return None;
        }
        // Taken under the locks, so that no account sees time go backwards.
        let mut trial = Trial { now: self.now(), ..Trial::default() };
        for (account, demand) in accounts.iter().zip(demands) {
            if let Some(state) = find(&mut locked, account.id) {
                trial.demand(account, state, demand);
            }
        }
        let refused = trial.worst.is_some();
        for (account, held) in accounts.iter().zip(&trial.held) {
            let Some(state) = find(&mut locked, account.id) else { continue };
            match refused {
                true => held.iter().for_each(|held| state.undo(held, trial.now)),
                false => state.open = state.open.saturating_add(1),
            }
        }
        drop(locked);
        trial.count_refusals();
        Some(match trial.worst {
            Some((_, refusal)) => Err(Box::new(refusal)),
            None => Ok(trial.held),
        })
    }
}

type Attempt = Result<Vec<Vec<Held>>, Box<Refusal>>;

fn find<'a>(locked: &'a mut [(u64, MutexGuard<'_, State>)], id: u64) -> Option<&'a mut State> {
    let at = locked.binary_search_by_key(&id, |(id, _)| *id).ok()?;
    locked.get_mut(at).map(|(_, state)| &mut **state)
}

/// What a try has taken so far and what stands against it.
#[derive(Default)]
struct Trial {
    now: i64,
    held: Vec<Vec<Held>>,
    worst: Option<(Arc<Account>, Refusal)>,
    shadow: Vec<(Arc<Account>, Arc<str>)>,
}

impl Trial {
    fn demand(&mut self, account: &Arc<Account>, state: &mut State, demand: &Demand) {
        let counters = state.counters(&demand.plan, self.now);
        let mut held = Vec::with_capacity(counters.len());
        for (counter, limit) in counters.iter_mut().zip(&demand.plan.limits) {
            let amount = demand.amounts.of(limit.unit);
            let excess = counter.excess(amount, limit.amount);
            if excess > 0 {
                match demand.plan.mode {
                    Mode::Shadow => {
                        self.shadow.push((Arc::clone(account), Arc::clone(&limit.name)))
                    }
                    Mode::Enforce => {
                        self.refuse(account, refusal(demand, limit, counter, (excess, self.now)));
                    }
                }
            }
            held.push(counter.reserve(amount));
        }
        self.held.push(held);
    }

    fn refuse(&mut self, account: &Arc<Account>, refusal: Refusal) {
        let rank = |refusal: &Refusal| (refusal.never_fits(), refusal.retry_after);
        if self.worst.as_ref().is_none_or(|(_, worst)| rank(worst) < rank(&refusal)) {
            self.worst = Some((Arc::clone(account), refusal));
        }
    }

    fn count_refusals(&self) {
        match &self.worst {
            Some((account, refusal)) => account.refusals.count(&refusal.limit, false),
            None => {
                self.shadow.iter().for_each(|(account, limit)| account.refusals.count(limit, true));
            }
        }
    }
}

fn refusal(demand: &Demand, limit: &Limit, counter: &Counter, at: (u128, i64)) -> Refusal {
    let (excess, now) = at;
    let demanded = demand.amounts.of(limit.unit);
    // Nothing used, so calls in flight stand in the way: what they use leaves a window later.
    let in_flight = || now.saturating_add(counter.sliding_length().unwrap_or(0));
    let resets_at = match limit.window {
        Window::Present => None,
        _ => Some(counter.resets_at().unwrap_or_else(in_flight)),
    };
    let retry_at = match resets_at {
        Some(resets_at) if demanded > limit.amount => resets_at,
        _ => counter.frees_at(excess).unwrap_or(now),
    };
    let (used, reserved) = counter.shown();
    let milliseconds = u64::try_from(retry_at.saturating_sub(now)).unwrap_or(0);
    Refusal {
        budget: format!("{}/{}", demand.plan.namespace, demand.plan.name).into(),
        limit: Arc::clone(&limit.name),
        subject: Arc::clone(&demand.subject),
        unit: limit.unit,
        used,
        reserved,
        demanded,
        amount: limit.amount,
        retry_after: Duration::from_secs(milliseconds.div_ceil(1000).max(1)),
        resets_at: resets_at.map(timestamp),
    }
}

/// The instant of so many milliseconds since 1970, the last one if there is none.
pub(super) fn timestamp(milliseconds: i64) -> Timestamp {
    Timestamp::from_millisecond(milliseconds).unwrap_or(Timestamp::MAX)
}

impl fmt::Debug for Ledger {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ledger").field("open_reservations", &self.open_reservations()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::budget::{Amounts, ManualClock};

    #[test]
    fn an_account_dropped_before_it_is_locked_is_looked_up_again() {
        let ledger = Arc::new(Ledger::new(Arc::new(ManualClock::new(Timestamp::UNIX_EPOCH))));
        let plan = BudgetPlan {
            uid: "uid".into(),
            namespace: "team".into(),
            name: "a".into(),
            limits: Vec::new(),
            mode: Mode::Enforce,
        };
        let amounts = Amounts::default();
        let demand = Demand { plan: Arc::new(plan), subject: "ann".into(), amounts };
        let found = ledger.account(&demand);
        ledger.sweep();
        assert!(ledger.attempt(&[Arc::clone(&found)], std::slice::from_ref(&demand)).is_none());
        assert_ne!(ledger.account(&demand).id, found.id);
    }
}
