//! Checkpoints: what a restart keeps, across window boundaries and edits.

use proptest::{prop_assert, proptest};

use super::*;
use crate::budget::{Checkpoint, MAX_CHECKPOINT_BYTES, MAX_CHECKPOINT_COUNTERS};

const NOON: &str = "2026-06-15T12:00:00Z";

/// Through JSON, as through an object's status.
fn stored(bench: &Bench, plan: &BudgetPlan) -> Checkpoint {
    let json = serde_json::to_string(&bench.ledger.checkpoint(plan)).unwrap();
    serde_json::from_str(&json).unwrap()
}

fn restart(bench: &Bench, plan: &BudgetPlan, seconds: u64) -> Bench {
    let checkpoint = stored(bench, plan);
    let fresh = bench.restarted();
    fresh.advance(seconds);
    fresh.ledger.restore(plan, &checkpoint);
    fresh
}

#[test]
fn a_restart_keeps_what_was_used() {
    for window in [sliding(3600), calendar(Period::Day, "UTC")] {
        let (bench, plan) = (Bench::at(NOON), tokens_plan("a", 100, window));
        bench.spend_for(&plan, "ann", 30);
        bench.advance(600);
        bench.spend_for(&plan, "ann", 40);
        bench.spend_for(&plan, "bob", 20);
        let fresh = restart(&bench, &plan, 5);
        assert_eq!(fresh.ledger.views(&plan)[0].top, bench.ledger.views(&plan)[0].top);
        assert!(fresh.reserve_for(&plan, "ann", 31).is_err());
        fresh.spend_for(&plan, "ann", 30);
    }
}

#[test]
fn what_was_in_flight_when_the_process_died_counts_as_used() {
    for window in [sliding(3600), calendar(Period::Day, "UTC")] {
        let (bench, plan) = (Bench::at(NOON), tokens_plan("a", 100, window));
        bench.spend(&plan, 30);
        let _in_flight = bench.reserve(&plan, 50).unwrap();
        assert_eq!(restart(&bench, &plan, 5).counts(&plan), (80, 0));
    }
}

#[test]
fn a_restart_after_the_window_starts_from_zero() {
    for window in [sliding(3600), calendar(Period::Day, "UTC")] {
        let (bench, plan) = (Bench::at(NOON), tokens_plan("a", 100, window));
        bench.spend(&plan, 100);
        assert_eq!(restart(&bench, &plan, 13 * 3600).counts(&plan), (0, 0));
    }
}

#[test]
fn a_restored_sliding_window_frees_step_by_step() {
    let (bench, plan) = (Bench::at(NOON), tokens_plan("a", 600, sliding(60)));
    for _ in 0..60 {
        bench.spend(&plan, 10);
        bench.advance(1);
    }
    let fresh = restart(&bench, &plan, 0);
    assert_eq!(fresh.counts(&plan), (600, 0));
    fresh.advance(30);
    let (left, _) = fresh.counts(&plan);
    assert!((300..=400).contains(&left), "{left}");
    fresh.advance(31);
    assert_eq!(fresh.counts(&plan), (0, 0));
}

#[test]
fn restoring_never_lowers_and_twice_is_once() {
    for window in [sliding(3600), calendar(Period::Day, "UTC")] {
        let (bench, plan) = (Bench::at(NOON), tokens_plan("a", 100, window));
        bench.spend(&plan, 30);
        let checkpoint = stored(&bench, &plan);
        bench.ledger.recorded(&plan, checkpoint.clone());
        bench.advance(60);
        bench.spend(&plan, 20);
        bench.ledger.restore(&plan, &checkpoint);
        assert_eq!(bench.counts(&plan), (50, 0));
        let fresh = bench.restarted();
        fresh.ledger.restore(&plan, &checkpoint);
        fresh.ledger.restore(&plan, &checkpoint);
        assert_eq!(fresh.counts(&plan), (30, 0));
    }
}

#[test]
fn a_restart_with_another_zone_keeps_and_with_another_unit_forgets() {
    let bench = Bench::at(NOON);
    let plan = tokens_plan("a", 100, calendar(Period::Month, "UTC"));
    bench.spend(&plan, 70);
    let checkpoint = stored(&bench, &plan);
    let moved = tokens_plan("a", 100, calendar(Period::Month, "Asia/Tokyo"));
    let fresh = bench.restarted();
    fresh.ledger.restore(&moved, &checkpoint);
    assert_eq!(fresh.counts(&moved), (70, 0));
    let cap = limit("cap", Unit::Requests, 100, calendar(Period::Month, "UTC"));
    let calls = plan_of("b", Mode::Enforce, vec![cap]);
    fresh.ledger.restore(&calls, &checkpoint);
    assert_eq!(fresh.counts(&calls), (0, 0));
}

#[test]
fn the_shared_counter_survives_a_restart_and_others_keep_their_own() {
    let bench = Bench::with_max_subjects(NOON, 1);
    let plan = tokens_plan("a", 100, calendar(Period::Day, "UTC"));
    bench.spend_for(&plan, "ann", 10);
    bench.spend_for(&plan, "bob", 90);
    let fresh = restart(&bench, &plan, 5);
    let shown = fresh.ledger.views(&plan);
    let top: Vec<_> = shown[0].top.iter().map(|s| (&*s.subject, s.used)).collect();
    assert_eq!(top, [("(others)", 90), ("ann", 10)]);
    assert!(fresh.reserve_for(&plan, "bob", 11).is_err());
}

#[test]
fn the_format_is_compact_and_stable() {
    let (bench, day) = (Bench::at(NOON), calendar(Period::Day, "UTC"));
    let limits =
        vec![limit("day", Unit::Usd, 100, day), limit("min", Unit::Tokens, 90, sliding(60))];
    let plan = plan_of("a", Mode::Enforce, limits);
    assert_eq!(serde_json::to_string(&bench.ledger.checkpoint(&plan)).unwrap(), "{}");
    bench.spend_for(&plan, "ann", 30);
    assert_eq!(
        serde_json::to_string(&bench.ledger.checkpoint(&plan)).unwrap(),
        r#"{"c":[{"l":"min","n":"Tokens","s":"ann","b":[[1781524801000,30]]},{"l":"day","n":"USD","s":"ann","p":[1781481600000,1781568000000,30]}]}"#
    );
}

#[test]
fn a_checkpoint_is_bounded_and_keeps_those_nearest_to_their_limit() {
    let (bench, plan) = (Bench::at(NOON), tokens_plan("a", 100_000, sliding(60)));
    for n in 0..3000 {
        bench.spend_for(&plan, &format!("user-{n}"), 10 + n);
    }
    let checkpoint = bench.ledger.checkpoint(&plan);
    assert_eq!(checkpoint.counters.len(), MAX_CHECKPOINT_COUNTERS);
    assert_eq!(&*checkpoint.counters[0].subject, "user-2999");
    let long = "x".repeat(230);
    for n in 0..3000 {
        bench.spend_for(&plan, &format!("{n:04}-{long}"), 10_000);
    }
    let checkpoint = bench.ledger.checkpoint(&plan);
    assert!(checkpoint.counters.len() > 500);
    assert!(serde_json::to_vec(&checkpoint).unwrap().len() <= MAX_CHECKPOINT_BYTES);
}

#[test]
fn a_checkpoint_edited_into_nonsense_is_passed_over() {
    let (bench, plan) = (Bench::at(NOON), tokens_plan("a", 100, calendar(Period::Day, "UTC")));
    for json in [
        r#"{"c":[{"l":"cap","n":"Tokens"}]}"#,
        r#"{"c":[{"l":"cap","n":"Tokens","p":[9,1,50]}]}"#,
        r#"{"c":[{"l":"cap","n":"Tokens","p":[-9223372036854775808,9223372036854775807,50]}]}"#,
        r#"{"c":[{"l":"cap","n":"Tokens","b":[[9223372036854775807,50]]}]}"#,
        r#"{"c":[{"l":"other","n":"Tokens","p":[0,9223372036854775807,50]}]}"#,
    ] {
        bench.ledger.restore(&plan, &serde_json::from_str(json).unwrap());
        assert_eq!(bench.counts(&plan), (0, 0), "{json}");
    }
}

/// What the leader of a moment has written, as the next one reads it.
fn hand_over(from: &Bench, to: &Bench, plan: &BudgetPlan) {
    let record = stored(from, plan);
    from.ledger.recorded(plan, record.clone());
    to.ledger.restore(plan, &record);
}

#[test]
fn what_overlapping_processes_counted_adds_up_at_each_hand_over() {
    for window in [sliding(3600), calendar(Period::Day, "UTC")] {
        let (old, plan) = (Bench::at(NOON), tokens_plan("a", 1000, window));
        old.spend(&plan, 100);
        let new = old.restarted();
        hand_over(&old, &new, &plan);
        old.spend(&plan, 40);
        new.spend(&plan, 5);
        hand_over(&old, &new, &plan);
        assert_eq!(new.counts(&plan), (145, 0));
        new.spend(&plan, 10);
        old.spend(&plan, 1);
        hand_over(&new, &old, &plan);
        assert_eq!(old.counts(&plan), (156, 0));
        hand_over(&old, &new, &plan);
        assert_eq!(new.counts(&plan), (156, 0));
    }
}

#[test]
fn a_record_of_a_former_period_takes_nothing_off_a_later_one() {
    let (old, plan) = (Bench::at(NOON), tokens_plan("a", 100, calendar(Period::Day, "UTC")));
    old.spend(&plan, 90);
    let new = old.restarted();
    hand_over(&old, &new, &plan);
    old.advance(24 * 3600);
    old.spend(&plan, 30);
    hand_over(&old, &new, &plan);
    assert_eq!(new.counts(&plan), (30, 0));
}

#[test]
fn each_subject_is_handed_over_by_itself() {
    let (old, plan) = (Bench::at(NOON), tokens_plan("a", 100, calendar(Period::Day, "UTC")));
    old.spend_for(&plan, "ann", 10);
    let new = old.restarted();
    hand_over(&old, &new, &plan);
    old.spend_for(&plan, "ann", 20);
    old.spend_for(&plan, "bob", 30);
    new.spend_for(&plan, "bob", 5);
    hand_over(&old, &new, &plan);
    let shown = new.ledger.views(&plan);
    let top: Vec<_> = shown[0].top.iter().map(|s| (&*s.subject, s.used)).collect();
    assert_eq!(top, [("bob", 35), ("ann", 30)]);
}

/// `maxLength` of `status.checkpoint` in the CRD.
const CRD_BOUND: usize = 524_288;

#[test]
fn subjects_of_control_characters_do_not_outgrow_the_crd() {
    let (bench, plan) = (Bench::at(NOON), tokens_plan("a", 100_000, sliding(60)));
    for n in 0..2000 {
        bench.spend_for(&plan, &format!("{n}{}", "\u{1}".repeat(250)), 10);
    }
    let checkpoint = bench.ledger.checkpoint(&plan);
    assert!(checkpoint.counters.len() > 300);
    assert!(serde_json::to_vec(&checkpoint).unwrap().len() <= MAX_CHECKPOINT_BYTES);
    const { assert!(MAX_CHECKPOINT_BYTES < CRD_BOUND) }
}

proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig::with_cases(8))]
    #[test]
    fn a_checkpoint_always_fits(
        subjects in proptest::collection::vec(proptest::collection::vec(0_u8..=127, 200..250), 800..1200),
    ) {
        let (bench, plan) = (Bench::at(NOON), tokens_plan("a", u64::MAX / 2, sliding(60)));
        for subject in subjects {
            bench.spend_for(&plan, &String::from_utf8_lossy(&subject), 1 << 40);
        }
        let json = serde_json::to_string(&bench.ledger.checkpoint(&plan)).unwrap();
        prop_assert!(json.len() <= MAX_CHECKPOINT_BYTES, "{}", json.len());
        prop_assert!(json.len() > MAX_CHECKPOINT_BYTES / 4, "{}", json.len());
    }
}
