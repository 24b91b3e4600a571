//! Random schedules against the invariants: never past an enforced amount, every reservation
//! ends, a restart never lowers what counts.

use proptest::prelude::{Just, Strategy, prop_oneof};
use proptest::test_runner::TestCaseError;
use proptest::{prop_assert, prop_assert_eq, proptest};

use super::*;

#[derive(Debug, Clone)]
enum Step {
    /// Which plans (bits), whose, how much.
    Reserve(usize, usize, u64),
    /// Which open one, percent used of what was reserved.
    Settle(usize, u64),
    Release(usize),
    Drop(usize),
    /// The holder dies without a word.
    Leak(usize),
    /// Milliseconds.
    Advance(u64),
    SetBack(i64),
    Sweep,
    Restart,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        8 => (1_usize..8, 0_usize..3, 0_u64..80).prop_map(|(p, s, n)| Step::Reserve(p, s, n)),
        5 => (0_usize..99, 0_u64..=100).prop_map(|(at, percent)| Step::Settle(at, percent)),
        1 => (0_usize..99).prop_map(Step::Release),
        1 => (0_usize..99).prop_map(Step::Drop),
        1 => (0_usize..99).prop_map(Step::Leak),
        4 => (0_u64..90_000).prop_map(Step::Advance),
        1 => (0_u64..40_000_000).prop_map(Step::Advance),
        1 => (0_i64..100_000).prop_map(Step::SetBack),
        2 => Just(Step::Sweep),
        1 => Just(Step::Restart),
    ];
    proptest::collection::vec(step, 1..80)
}

fn plans() -> [Arc<BudgetPlan>; 3] {
    let berlin = |period| calendar(period, "Europe/Berlin");
    let both = vec![
        limit("day", Unit::Tokens, 200, berlin(Period::Day)),
        limit("minute", Unit::Usd, 90, sliding(60)),
        limit("calls", Unit::Requests, 7, sliding(3600)),
        limit("parallel", Unit::Concurrent, 3, Window::Present),
    ];
    let shadow = vec![limit("day", Unit::Tokens, 20, berlin(Period::Day))];
    [
        tokens_plan("sliding", 100, sliding(60)),
        plan_of("both", Mode::Enforce, both),
        plan_of("shadow", Mode::Shadow, shadow),
    ]
}

struct Run {
    bench: Bench,
    plans: [Arc<BudgetPlan>; 3],
    open: Vec<Reservation>,
}

impl Run {
    fn take(&mut self, at: usize) -> Option<Reservation> {
        (!self.open.is_empty()).then(|| self.open.swap_remove(at % self.open.len()))
    }

    fn apply(&mut self, step: &Step) -> Result<(), TestCaseError> {
        match *step {
            Step::Reserve(bits, subject, tokens) => {
                let chosen = (0..3).filter(|bit| bits & (1 << bit) != 0);
                let subject = ["", "ann", "bob"][subject];
                let demands = chosen.map(|n| demand(&self.plans[n], subject, tokens)).collect();
                self.open.extend(self.bench.ledger.reserve(demands, TTL));
            }
            Step::Settle(at, percent) => {
                if let Some(reservation) = self.take(at) {
                    reservation.settle_with(|_, demand| Amounts {
                        cost: NanoUsd(demand.amounts.cost.0 * percent / 100),
                        tokens: demand.amounts.tokens * percent / 100,
                        ..demand.amounts
                    });
                }
            }
            Step::Release(at) => {
                self.take(at).map(Reservation::release);
            }
            Step::Drop(at) => drop(self.take(at)),
            Step::Leak(at) => std::mem::forget(self.take(at)),
            Step::Advance(by) => self.bench.clock.advance(Duration::from_millis(by)),
            Step::SetBack(by) => {
                let now = crate::budget::Clock::now(&*self.bench.clock);
                self.bench.clock.set(now - jiff::SignedDuration::from_millis(by));
            }
            Step::Sweep => self.bench.ledger.sweep(),
            Step::Restart => self.restart()?,
        }
        Ok(())
    }

    /// A kill: what was in flight never settles, the new process has the checkpoint alone.
    fn restart(&mut self) -> Result<(), TestCaseError> {
        let fresh = self.bench.restarted();
        for plan in &self.plans {
            let json = serde_json::to_vec(&self.bench.ledger.checkpoint(plan)).unwrap();
            fresh.ledger.restore(plan, &serde_json::from_slice(&json).unwrap());
            for (old, new) in self.bench.ledger.views(plan).iter().zip(fresh.ledger.views(plan)) {
                let kept = match old.unit {
                    // What was under way has ended with the process.
                    Unit::Concurrent => 0,
                    _ => old.total_used + old.total_reserved,
                };
                prop_assert_eq!(kept, new.total_used);
            }
        }
        self.open.clear();
        self.bench = fresh;
        Ok(())
    }

    fn check(&self) -> Result<(), TestCaseError> {
        for plan in self.plans.iter().filter(|plan| plan.mode == Mode::Enforce) {
            for view in self.bench.ledger.views(plan) {
                for subject in &view.top {
                    prop_assert!(subject.used + subject.reserved <= view.max, "{view:?}");
                }
            }
        }
        Ok(())
    }
}

proptest! {
    #[test]
    fn no_schedule_passes_an_enforced_amount_and_every_reservation_ends(steps in steps()) {
        // Shortly before a midnight on which clocks change.
        let bench = Bench::at("2026-10-24T21:59:00Z");
        let mut run = Run { bench, plans: plans(), open: Vec::new() };
        for step in &steps {
            run.apply(step)?;
            run.check()?;
        }
        run.open.clear();
        run.bench.clock.advance(TTL + Duration::from_secs(3600));
        run.bench.ledger.sweep();
        run.check()?;
        prop_assert_eq!(run.bench.ledger.open_reservations(), 0);
        for plan in &run.plans {
            for view in run.bench.ledger.views(plan) {
                prop_assert_eq!(view.total_reserved, 0);
                prop_assert!(view.unit != Unit::Concurrent || view.total_used == 0);
            }
        }
        // Long after, nothing is left to remember.
        run.bench.clock.advance(Duration::from_secs(2 * 86_400));
        for plan in &run.plans {
            prop_assert!(run.bench.ledger.checkpoint(plan).counters.is_empty());
        }
    }
}
