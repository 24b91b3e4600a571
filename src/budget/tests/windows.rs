//! Windows that pass, change and meet clocks that step; reservations that outlive their holder.

use super::*;

#[test]
fn a_calendar_window_starts_from_zero_at_midnight_of_its_zone() {
    let bench = Bench::at("2026-03-29T21:59:59Z");
    let plan = tokens_plan("a", 100, calendar(Period::Day, "Europe/Berlin"));
    bench.spend(&plan, 100);
    let refusal = bench.reserve(&plan, 1).unwrap_err();
    assert_eq!(refusal.retry_after, Duration::from_secs(1));
    assert_eq!(refusal.resets_at, Some(time("2026-03-29T22:00:00Z")));
    bench.advance(1);
    assert_eq!(bench.counts(&plan), (0, 0));
    bench.spend(&plan, 100);
}

#[test]
fn a_day_of_25_hours_is_one_window() {
    let bench = Bench::at("2026-10-24T22:00:00Z");
    let plan = tokens_plan("a", 100, calendar(Period::Day, "Europe/Berlin"));
    bench.spend(&plan, 100);
    let refusal = bench.reserve(&plan, 1).unwrap_err();
    assert_eq!(refusal.retry_after, Duration::from_secs(25 * 3600));
    bench.advance(25 * 3600 - 1);
    assert!(bench.reserve(&plan, 1).is_err());
    bench.advance(1);
    bench.spend(&plan, 1);
}

#[test]
fn a_reservation_settled_after_the_boundary_is_charged_to_the_window_before() {
    let bench = Bench::at("2026-01-31T23:59:00Z");
    let plan = tokens_plan("a", 100, calendar(Period::Month, "UTC"));
    let seen = bench.reserve(&plan, 40).unwrap();
    let unseen = bench.reserve(&plan, 60).unwrap();
    bench.advance(120);
    assert!(unseen.settle_all(amounts(60)), "settled before anything looks at the new window");
    assert_eq!(bench.counts(&plan), (0, 0));
    assert!(seen.settle_all(amounts(40)));
    assert_eq!(bench.counts(&plan), (0, 0));
    bench.spend(&plan, 100);
}

#[test]
fn a_sliding_window_frees_what_was_used_after_its_length_and_one_slot() {
    let (bench, plan) = (Bench::at("2026-06-15T12:00:00Z"), tokens_plan("a", 100, sliding(60)));
    bench.spend(&plan, 60);
    bench.advance(30);
    bench.spend(&plan, 40);
    let refusal = bench.reserve(&plan, 1).unwrap_err();
    assert_eq!(refusal.retry_after, Duration::from_secs(31));
    assert_eq!(refusal.resets_at, Some(time("2026-06-15T12:01:31Z")));
    assert_eq!(bench.reserve(&plan, 61).unwrap_err().retry_after, Duration::from_secs(61));
    bench.advance(30);
    assert!(bench.reserve(&plan, 1).is_err(), "exactly the length ago is still inside");
    bench.advance(1);
    bench.spend(&plan, 60);
}

#[test]
fn what_is_reserved_counts_in_a_sliding_window_however_old() {
    let (bench, plan) = (Bench::at("2026-06-15T12:00:00Z"), tokens_plan("a", 100, sliding(60)));
    let old = bench.reserve(&plan, 100).unwrap();
    bench.advance(300);
    let refusal = bench.reserve(&plan, 1).unwrap_err();
    assert_eq!((refusal.used, refusal.reserved), (0, 100));
    assert_eq!(refusal.retry_after, Duration::from_secs(1), "it may end at any moment");
    assert!(old.settle_all(amounts(100)));
    bench.advance(60);
    assert!(bench.reserve(&plan, 1).is_err(), "charged at settlement");
    bench.advance(1);
    bench.spend(&plan, 1);
}

#[test]
fn a_reservation_without_holder_ends_by_itself_charged_in_full() {
    let bench = Bench::at("2026-06-15T12:00:00Z");
    let plan = tokens_plan("a", 100, calendar(Period::Day, "UTC"));
    let reservation = bench.reserve(&plan, 70).unwrap();
    bench.advance(TTL.as_secs() - 1);
    bench.ledger.sweep();
    assert_eq!(bench.counts(&plan), (0, 70));
    bench.advance(1);
    bench.ledger.sweep();
    assert_eq!(bench.counts(&plan), (70, 0));
    assert_eq!(bench.ledger.open_reservations(), 0);
    assert!(!reservation.settle_all(amounts(5)), "too late");
    assert_eq!(bench.counts(&plan), (70, 0));
}

#[test]
fn a_changed_amount_keeps_what_was_used() {
    let bench = Bench::at("2026-06-15T12:00:00Z");
    let of = |amount| tokens_plan("a", amount, calendar(Period::Day, "UTC"));
    bench.spend(&of(100), 80);
    assert!(bench.reserve(&of(50), 1).is_err());
    assert!(bench.reserve(&of(100), 21).is_err());
    bench.spend(&of(200), 120);
}

#[test]
fn a_changed_length_or_zone_keeps_what_was_used() {
    let bench = Bench::at("2026-06-15T12:00:00Z");
    for (uid, before, after) in [
        ("length", sliding(60), sliding(3600)),
        ("zone", calendar(Period::Month, "UTC"), calendar(Period::Month, "America/New_York")),
        ("longer", calendar(Period::Day, "UTC"), calendar(Period::Month, "UTC")),
    ] {
        let before = tokens_plan(uid, 100, before);
        let after = tokens_plan(uid, 100, after);
        bench.spend(&before, 50);
        let in_flight = bench.reserve(&before, 10).unwrap();
        assert_eq!(bench.counts(&after), (50, 10), "{uid}");
        assert!(bench.reserve(&after, 41).is_err(), "{uid}");
        assert!(in_flight.settle_all(amounts(5)));
        assert_eq!(bench.counts(&after), (55, 0), "{uid}");
    }
}

#[test]
fn a_shorter_period_does_not_inherit_what_was_used_before_it() {
    let bench = Bench::at("2026-06-15T12:00:00Z");
    bench.spend(&tokens_plan("a", 900, calendar(Period::Month, "UTC")), 800);
    bench.spend(&tokens_plan("a", 30, calendar(Period::Day, "UTC")), 30);
}

#[test]
fn another_unit_or_kind_of_window_is_another_count_and_the_first_comes_back() {
    let bench = Bench::at("2026-06-15T12:00:00Z");
    let first = tokens_plan("a", 100, calendar(Period::Day, "UTC"));
    bench.spend(&first, 80);
    bench.spend(&tokens_plan("a", 100, sliding(60)), 100);
    let money = limit("cap", Unit::Usd, 100, calendar(Period::Day, "UTC"));
    bench.spend(&plan_of("a", Mode::Enforce, vec![money]), 100);
    assert_eq!(bench.counts(&first), (80, 0));
    assert!(bench.reserve(&first, 21).is_err());
}

#[test]
fn a_call_that_reserved_nothing_settles_in_its_counter_after_the_limit_changed() {
    let bench = Bench::at("2026-06-15T12:00:00Z");
    let first = tokens_plan("a", 100, calendar(Period::Day, "UTC"));
    let second = tokens_plan("a", 100, sliding(60));
    let free = bench.reserve(&first, 0).unwrap();
    bench.spend(&second, 1);
    bench.ledger.sweep();
    assert!(free.settle_all(amounts(3)));
    assert_eq!((bench.counts(&first), bench.counts(&second)), ((3, 0), (1, 0)));
}

#[test]
fn a_clock_set_back_gives_nothing_back() {
    for window in [sliding(60), calendar(Period::Day, "UTC")] {
        let bench = Bench::at("2026-06-15T00:00:05Z");
        let plan = tokens_plan("a", 100, window);
        bench.spend(&plan, 100);
        for back in ["2026-06-14T23:59:50Z", "2026-06-14T12:00:00Z", "2025-01-01T00:00:00Z"] {
            bench.set(back);
            assert!(bench.reserve(&plan, 1).is_err(), "{back}");
        }
        bench.set("2025-01-02T00:00:00Z");
        bench.spend(&plan, 100);
    }
}

#[test]
fn a_small_step_back_over_midnight_does_not_reopen_the_day_before() {
    let bench = Bench::at("2026-06-15T00:00:05Z");
    let plan = tokens_plan("a", 100, calendar(Period::Day, "UTC"));
    bench.spend(&plan, 100);
    bench.set("2026-06-14T23:59:55Z");
    assert!(bench.reserve(&plan, 1).is_err());
    bench.set("2026-06-15T00:00:10Z");
    assert!(bench.reserve(&plan, 1).is_err());
}
