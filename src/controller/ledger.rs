//! Upkeep of the ledger: ends what has expired, forgets budgets that are gone, shows what is used
//! as metrics.

use std::{collections::HashSet, sync::Arc, time::Duration};

use tokio::{
    sync::watch,
    time::{MissedTickBehavior, interval},
};
use tokio_util::sync::CancellationToken;

use super::Outcome;
use crate::{
    budget::{Ledger, Unit},
    snapshot::Budget,
    telemetry::control::ControlMetrics,
};

/// How often reservations are looked through.
const SWEEP: Duration = Duration::from_secs(2);
/// How often metrics are set. Reads every counter, so not more often than they are scraped.
const SHOW: Duration = Duration::from_secs(10);

/// Keeps the ledger in order until `shutdown`.
pub async fn run(
    ledger: Arc<Ledger>,
    mut outcomes: watch::Receiver<Arc<Outcome>>,
    metrics: Arc<ControlMetrics>,
    shutdown: CancellationToken,
) {
    let (mut sweep, mut show) = (interval(SWEEP), interval(SHOW));
    sweep.set_missed_tick_behavior(MissedTickBehavior::Delay);
    show.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut gauges = Gauges { metrics, shown: HashSet::new() };
    loop {
        tokio::select! {
            () = shutdown.cancelled() => return,
            _ = sweep.tick() => ledger.sweep(),
            _ = show.tick() => gauges.show(&ledger, &outcomes.borrow().budgets),
            changed = outcomes.changed() => {
                if changed.is_err() {
                    return;
                }
                let outcome = outcomes.borrow_and_update().clone();
                retain(&ledger, &outcome);
                gauges.show(&ledger, &outcome.budgets);
            }
        }
    }
}

fn retain(ledger: &Ledger, outcome: &Outcome) {
    // Before the first publication nothing is known to be gone.
    if outcome.version > 0 {
        ledger.retain(&outcome.budget_uids);
    }
}

/// The metrics of budgets.
struct Gauges {
    metrics: Arc<ControlMetrics>,
    shown: HashSet<[Arc<str>; 3]>,
}

impl Gauges {
    /// Sets the metrics of these budgets and removes those of all others.
    fn show(&mut self, ledger: &Ledger, budgets: &[Arc<Budget>]) {
        let mut shown = HashSet::new();
        for budget in budgets {
            for view in ledger.views(&budget.plan) {
                let labels =
                    [budget.name.namespace.clone(), budget.name.name.clone(), view.name.clone()];
                let names = labels.each_ref().map(|label| &**label);
                let used = self.metrics.budget_used.with_label_values(&names);
                used.set(in_unit(view.unit, view.total_used));
                let reserved = self.metrics.budget_reserved.with_label_values(&names);
                reserved.set(in_unit(view.unit, view.total_reserved));
                let max = self.metrics.budget_limit.with_label_values(&names);
                max.set(in_unit(view.unit, view.max));
                shown.insert(labels);
            }
        }
        for gone in self.shown.difference(&shown) {
            let names = gone.each_ref().map(|label| &**label);
            // Nothing to remove is what is wanted.
            let _ = self.metrics.budget_used.remove_label_values(&names);
            let _ = self.metrics.budget_reserved.remove_label_values(&names);
            let _ = self.metrics.budget_limit.remove_label_values(&names);
        }
        self.shown = shown;
    }
}

/// As a number for metrics: dollars, or a count.
#[expect(clippy::cast_precision_loss, reason = "metrics are floats")]
fn in_unit(unit: Unit, amount: u64) -> f64 {
    match unit {
        Unit::Usd => amount as f64 / 1e9,
        Unit::Tokens
        | Unit::InputTokens
        | Unit::OutputTokens
        | Unit::Requests
        | Unit::Concurrent => amount as f64,
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use prometheus::Registry;

    use super::*;
    use crate::{
        budget::{Amounts, BudgetPlan, Demand, Limit, ManualClock, Mode, NanoUsd, Window},
        snapshot::{ObjectName, Unpriced},
    };

    #[test]
    fn what_is_reserved_is_shown_until_it_is_settled() {
        let clock = ManualClock::new("2026-01-01T00:00:00Z".parse().unwrap());
        let ledger = Arc::new(Ledger::new(Arc::new(clock)));
        let window = Window::Sliding { length: Duration::from_secs(60) };
        let plan = Arc::new(BudgetPlan {
            uid: "uid".into(),
            namespace: "team".into(),
            name: "small".into(),
            limits: vec![Limit {
                name: "m".into(),
                unit: Unit::Usd,
                amount: 5_000_000_000,
                window,
            }],
            mode: Mode::Enforce,
        });
        let budget = Budget {
            name: ObjectName::new("team", "small"),
            plan: Arc::clone(&plan),
            consumers: None,
            models: Vec::new(),
            providers: Vec::new(),
            per: Vec::new(),
            downgrade: None,
            unpriced: Unpriced::Deny,
        };
        let metrics = ControlMetrics::new(&Registry::new()).unwrap();
        let mut gauges = Gauges { metrics: Arc::clone(&metrics), shown: HashSet::new() };
        let budgets = [Arc::new(budget)];
        let reserved = || metrics.budget_reserved.with_label_values(&["team", "small", "m"]).get();
        let amounts = Amounts { cost: NanoUsd(2_000_000_000), ..Amounts::default() };
        let demand = Demand { plan, subject: "".into(), amounts };
        let held = ledger.reserve(vec![demand], Duration::from_secs(60)).unwrap();
        gauges.show(&ledger, &budgets);
        assert_eq!(reserved(), 2.0);
        held.release();
        gauges.show(&ledger, &budgets);
        assert_eq!(reserved(), 0.0);
    }
}
