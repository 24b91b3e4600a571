//! The ledger's behaviour, by topic; this file holds what the topics share.

mod calendars;
mod durability;
mod edits;
mod limits;
mod random;
mod subjects;
mod threads;
mod units;
mod windows;

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

use super::{
    Amounts, BudgetPlan, Demand, Ledger, Limit, ManualClock, Mode, NanoUsd, Period, Refusal,
    Reservation, Unit, Window,
};

const TTL: Duration = Duration::from_secs(600);

struct Bench {
    clock: Arc<ManualClock>,
    ledger: Arc<Ledger>,
}

impl Bench {
    fn at(now: &str) -> Self {
        let clock = Arc::new(ManualClock::new(time(now)));
        let ledger = Arc::new(Ledger::new(Arc::clone(&clock) as Arc<dyn super::Clock>));
        Self { clock, ledger }
    }

    fn with_max_subjects(now: &str, most: usize) -> Self {
        let clock = Arc::new(ManualClock::new(time(now)));
        let ledger = Ledger::with_max_subjects(Arc::clone(&clock) as Arc<dyn super::Clock>, most);
        Self { clock, ledger: Arc::new(ledger) }
    }

    /// A new process at the same time.
    fn restarted(&self) -> Self {
        let clock = Arc::clone(&self.clock);
        let ledger = Arc::new(Ledger::new(Arc::clone(&clock) as Arc<dyn super::Clock>));
        Self { clock, ledger }
    }

    fn set(&self, now: &str) {
        self.clock.set(time(now));
    }

    fn advance(&self, seconds: u64) {
        self.clock.advance(Duration::from_secs(seconds));
    }

    fn reserve(&self, plan: &Arc<BudgetPlan>, tokens: u64) -> Result<Reservation, Box<Refusal>> {
        self.reserve_for(plan, "", tokens)
    }

    fn reserve_for(
        &self,
        plan: &Arc<BudgetPlan>,
        subject: &str,
        tokens: u64,
    ) -> Result<Reservation, Box<Refusal>> {
        self.ledger.reserve(vec![demand(plan, subject, tokens)], TTL)
    }

    /// Reserves and settles the same.
    fn spend(&self, plan: &Arc<BudgetPlan>, tokens: u64) {
        self.spend_for(plan, "", tokens);
    }

    fn spend_for(&self, plan: &Arc<BudgetPlan>, subject: &str, tokens: u64) {
        let reservation = self.reserve_for(plan, subject, tokens).unwrap();
        assert!(reservation.settle_all(amounts(tokens)));
    }

    /// Used and reserved of the first limit's fullest subject.
    fn counts(&self, plan: &BudgetPlan) -> (u64, u64) {
        let views = self.ledger.views(plan);
        (views[0].used, views[0].reserved)
    }
}

fn time(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn amounts(tokens: u64) -> Amounts {
    Amounts::one_call(NanoUsd(tokens), tokens, 0)
}

fn demand(plan: &Arc<BudgetPlan>, subject: &str, tokens: u64) -> Demand {
    Demand { plan: Arc::clone(plan), subject: subject.into(), amounts: amounts(tokens) }
}

fn limit(name: &str, unit: Unit, amount: u64, window: Window) -> Limit {
    Limit { name: name.into(), unit, amount, window }
}

fn sliding(seconds: u64) -> Window {
    Window::Sliding { length: Duration::from_secs(seconds) }
}

fn calendar(period: Period, zone: &str) -> Window {
    Window::calendar(period, zone).unwrap()
}

fn plan_of(uid: &str, mode: Mode, limits: Vec<Limit>) -> Arc<BudgetPlan> {
    let (namespace, name) = ("team".into(), uid.into());
    Arc::new(BudgetPlan { uid: uid.into(), namespace, name, limits, mode })
}

/// An enforced budget of one limit in tokens.
fn tokens_plan(uid: &str, amount: u64, window: Window) -> Arc<BudgetPlan> {
    plan_of(uid, Mode::Enforce, vec![limit("cap", Unit::Tokens, amount, window)])
}
