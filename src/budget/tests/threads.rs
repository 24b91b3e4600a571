//! Real threads: exact whatever the interleaving.

use std::sync::Barrier;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;

use super::*;

const NOON: &str = "2026-06-15T12:00:00Z";
const THREADS: u64 = 200;

fn daily(uid: &str, amount: u64) -> Arc<BudgetPlan> {
    tokens_plan(uid, amount, calendar(Period::Day, "UTC"))
}

/// Runs `work` on [`THREADS`] threads that start together; how many said yes.
fn together(work: impl Fn(u64) -> bool + Sync) -> u64 {
    let (barrier, yes) = (Barrier::new(THREADS as usize), AtomicU64::new(0));
    thread::scope(|scope| {
        for n in 0..THREADS {
            let (barrier, yes, work) = (&barrier, &yes, &work);
            scope.spawn(move || {
                barrier.wait();
                yes.fetch_add(u64::from(work(n)), Ordering::Relaxed);
            });
        }
    });
    yes.into_inner()
}

#[test]
fn two_hundred_threads_never_pass_a_small_budget_and_use_all_of_it() {
    for window in [sliding(3600), calendar(Period::Day, "UTC")] {
        let (bench, plan) = (Bench::at(NOON), tokens_plan("a", 505, window));
        let admitted = together(|_| match bench.reserve(&plan, 10) {
            Ok(reservation) => {
                let (used, reserved) = bench.counts(&plan);
                assert!(used + reserved <= 505, "{used} + {reserved}");
                reservation.settle_all(amounts(10))
            }
            Err(_) => false,
        });
        assert_eq!((admitted, bench.counts(&plan)), (50, (500, 0)));
    }
}

#[test]
fn demands_in_opposite_orders_neither_deadlock_nor_refuse_each_other() {
    let (bench, one, other) = (Bench::at(NOON), daily("one", THREADS), daily("other", THREADS));
    let admitted = together(|n| {
        let mut demands = vec![demand(&one, "", 1), demand(&other, "", 1)];
        if n % 2 == 0 {
            demands.reverse();
        }
        bench.ledger.reserve(demands, TTL).is_ok_and(|r| r.settle_all(amounts(1)))
    });
    assert_eq!(admitted, THREADS);
    assert_eq!((bench.counts(&one), bench.counts(&other)), ((THREADS, 0), (THREADS, 0)));
}

#[test]
fn a_call_that_is_refused_elsewhere_never_stands_in_the_way() {
    let (bench, full, free) = (Bench::at(NOON), daily("full", 0), daily("free", THREADS / 2));
    let admitted = together(|n| {
        if n % 2 == 0 {
            let demands = vec![demand(&free, "", THREADS / 2), demand(&full, "", 1)];
            return bench.ledger.reserve(demands, TTL).is_ok();
        }
        bench.reserve(&free, 1).is_ok_and(|r| r.settle_all(amounts(1)))
    });
    assert_eq!(admitted, THREADS / 2);
}

#[test]
fn dropping_idle_counters_never_lets_two_in_where_one_fits() {
    let (bench, plan) = (Bench::at(NOON), daily("a", 1));
    let inside: [AtomicBool; 4] = std::array::from_fn(|_| AtomicBool::new(false));
    together(|n| {
        let at = (n % 4) as usize;
        for _ in 0..50 {
            if let Ok(reservation) = bench.reserve_for(&plan, &format!("user-{at}"), 1) {
                assert!(!inside[at].swap(true, Ordering::SeqCst), "two at once");
                inside[at].store(false, Ordering::SeqCst);
                assert!(reservation.release());
                bench.ledger.sweep();
            }
        }
        true
    });
    bench.ledger.sweep();
    assert_eq!(bench.ledger.views(&plan)[0].subjects, 0);
}

#[test]
fn sweeping_and_reading_meanwhile_loses_nothing() {
    let clock = Arc::new(ManualClock::new(time(NOON)));
    let ledger = Ledger::with_max_subjects(clock, 20);
    let (ledger, plan, done) = (Arc::new(ledger), daily("a", u64::MAX), AtomicBool::new(false));
    thread::scope(|scope| {
        let sweeper = scope.spawn(|| {
            while !done.load(Ordering::Relaxed) {
                ledger.sweep();
                ledger.views(&plan);
                ledger.restore(&plan, &ledger.checkpoint(&tokens_plan("b", 1, sliding(1))));
                thread::yield_now();
            }
        });
        together(|n| {
            for round in 0..20 {
                let demands = vec![demand(&plan, &format!("user-{}", n % 40), 3)];
                let reservation = ledger.reserve(demands, TTL).unwrap();
                match round % 3 {
                    0 => assert!(reservation.release()),
                    1 => assert!(reservation.settle_all(amounts(2))),
                    _ => drop(reservation),
                }
            }
            true
        });
        done.store(true, Ordering::Relaxed);
        sweeper.join().unwrap();
    });
    // Of 20 rounds 7 release, 7 settle two and 6 are dropped with three.
    let view = &ledger.views(&plan)[0];
    assert_eq!((view.total_used, view.total_reserved), (THREADS * (7 * 2 + 6 * 3), 0));
    assert!(view.subjects <= 21);
}
