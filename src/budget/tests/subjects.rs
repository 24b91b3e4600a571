//! One budget, many subjects: separate counts, bounded memory, views.

use super::*;

const NOON: &str = "2026-06-15T12:00:00Z";

fn daily(amount: u64) -> Arc<BudgetPlan> {
    tokens_plan("a", amount, calendar(Period::Day, "UTC"))
}

#[test]
fn each_subject_has_the_whole_amount() {
    let (bench, plan) = (Bench::at(NOON), daily(100));
    bench.spend_for(&plan, "ann", 100);
    bench.spend_for(&plan, "bob", 90);
    assert!(bench.reserve_for(&plan, "ann", 1).is_err());
    let in_flight = bench.reserve_for(&plan, "bob", 10).unwrap();
    let view = &bench.ledger.views(&plan)[0];
    assert_eq!((view.used, view.max, view.subjects), (100, 100, 2));
    assert_eq!((view.total_used, view.total_reserved), (190, 10));
    assert_eq!(view.resets_at, Some(time("2026-06-16T00:00:00Z")));
    let top: Vec<_> = view.top.iter().map(|s| (&*s.subject, s.used, s.reserved)).collect();
    assert_eq!(top, [("ann", 100, 0), ("bob", 90, 10)]);
    assert!(in_flight.release());
}

#[test]
fn views_show_the_twenty_that_used_most() {
    let (bench, plan) = (Bench::at(NOON), daily(100));
    for n in 1..=30 {
        bench.spend_for(&plan, &format!("user-{n}"), n);
    }
    let view = &bench.ledger.views(&plan)[0];
    assert_eq!((view.subjects, view.total_used), (30, 465));
    let used: Vec<_> = view.top.iter().map(|subject| subject.used).collect();
    assert_eq!(used, (11..=30).rev().collect::<Vec<_>>());
}

#[test]
fn views_of_a_budget_that_was_never_used_are_complete() {
    let bench = Bench::at(NOON);
    let views = bench.ledger.views(&tokens_plan("a", 100, sliding(60)));
    assert_eq!((views[0].used, views[0].max, views[0].resets_at), (0, 100, None));
    let views = bench.ledger.views(&daily(7));
    assert_eq!(views[0].resets_at, Some(time("2026-06-16T00:00:00Z")));
}

#[test]
fn subjects_without_room_share_one_counter() {
    let (bench, plan) = (Bench::with_max_subjects(NOON, 2), daily(100));
    for subject in ["ann", "bob", "cid"] {
        bench.spend_for(&plan, subject, 60);
    }
    assert!(bench.reserve_for(&plan, "dan", 41).is_err(), "shares with cid");
    bench.spend_for(&plan, "dan", 40);
    bench.spend_for(&plan, "ann", 40);
    let view = &bench.ledger.views(&plan)[0];
    let top: Vec<_> = view.top.iter().map(|s| (&*s.subject, s.used)).collect();
    assert_eq!(top, [("(others)", 100), ("ann", 100), ("bob", 60)]);
}

#[test]
fn inventing_subjects_does_not_reset_ones_own_count() {
    let (bench, plan) = (Bench::with_max_subjects(NOON, 8), daily(100));
    bench.spend_for(&plan, "eve", 100);
    for n in 0..100 {
        if let Ok(reservation) = bench.reserve_for(&plan, &format!("alias-{n}"), 10) {
            assert!(reservation.settle_all(amounts(10)));
        }
        assert!(bench.reserve_for(&plan, "eve", 1).is_err());
    }
    assert!(bench.ledger.views(&plan)[0].subjects <= 9);
}

#[test]
fn a_subject_that_shares_gets_no_fresh_counter_before_the_window_ends() {
    let minute = limit("minute", Unit::Tokens, 100, sliding(60));
    let bench = Bench::with_max_subjects(NOON, 1);
    let plan = plan_of("a", Mode::Enforce, vec![minute]);
    bench.spend_for(&plan, "ann", 1);
    bench.advance(30);
    bench.spend_for(&plan, "bob", 100);
    bench.advance(40);
    bench.ledger.sweep();
    assert!(bench.reserve_for(&plan, "bob", 1).is_err(), "ann left, bob's use is still shared");
    bench.advance(60);
    bench.ledger.sweep();
    bench.spend_for(&plan, "bob", 100);
    assert_eq!(&*bench.ledger.views(&plan)[0].top[0].subject, "bob");
}

#[test]
fn counters_that_hold_nothing_make_room() {
    let (bench, plan) = (Bench::with_max_subjects(NOON, 2), daily(100));
    assert!(bench.reserve_for(&plan, "ann", 5).unwrap().release());
    let in_flight = bench.reserve_for(&plan, "bob", 5).unwrap();
    bench.spend_for(&plan, "cid", 7);
    let view = &bench.ledger.views(&plan)[0];
    assert_eq!(&*view.top[0].subject, "cid", "took the place of ann");
    assert!(in_flight.release());
}

#[test]
fn an_account_with_an_open_reservation_of_nothing_is_kept_for_its_settlement() {
    let (bench, plan) = (Bench::at(NOON), daily(100));
    let free = bench.reserve_for(&plan, "ann", 0).unwrap();
    bench.ledger.sweep();
    assert!(free.settle_all(amounts(3)));
    assert_eq!(bench.counts(&plan), (3, 0));
}

#[test]
fn subjects_with_the_same_long_beginning_share() {
    let (bench, plan) = (Bench::at(NOON), daily(100));
    let long = "ü".repeat(200);
    bench.spend_for(&plan, &format!("{long}-1"), 100);
    assert!(bench.reserve_for(&plan, &format!("{long}-2"), 1).is_err());
    assert!(bench.ledger.views(&plan)[0].top[0].subject.len() <= crate::budget::MAX_SUBJECT_BYTES);
}
