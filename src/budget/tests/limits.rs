//! Reserving, settling and refusing, regardless of time.

use std::collections::HashSet;

use super::*;

const NOON: &str = "2026-06-15T12:00:00Z";

fn daily(uid: &str, amount: u64) -> Arc<BudgetPlan> {
    tokens_plan(uid, amount, calendar(Period::Day, "UTC"))
}

#[test]
fn settling_replaces_what_was_reserved_by_what_was_used() {
    let (bench, plan) = (Bench::at(NOON), daily("a", 100));
    let reservation = bench.reserve(&plan, 80).unwrap();
    assert_eq!(bench.counts(&plan), (0, 80));
    assert!(bench.reserve(&plan, 21).is_err());
    assert!(reservation.settle(&[amounts(30)]));
    assert_eq!(bench.counts(&plan), (30, 0));
    bench.spend(&plan, 70);
    assert!(bench.reserve(&plan, 1).is_err());
    assert_eq!(bench.ledger.open_reservations(), 0);
}

#[test]
fn a_dropped_reservation_charges_all_that_was_reserved() {
    let (bench, plan) = (Bench::at(NOON), daily("a", 100));
    drop(bench.reserve(&plan, 80).unwrap());
    assert_eq!(bench.counts(&plan), (80, 0));
    assert_eq!(bench.ledger.open_reservations(), 0);
}

#[test]
fn a_released_reservation_charges_nothing() {
    let (bench, plan) = (Bench::at(NOON), daily("a", 100));
    assert!(bench.reserve(&plan, 80).unwrap().release());
    assert_eq!(bench.counts(&plan), (0, 0));
}

#[test]
fn a_refused_call_takes_nothing_from_any_budget() {
    let (bench, wide, narrow) = (Bench::at(NOON), daily("wide", 1000), daily("narrow", 10));
    for order in [[&wide, &narrow], [&narrow, &wide]] {
        let demands = order.map(|plan| demand(plan, "", 11)).to_vec();
        let refusal = bench.ledger.reserve(demands, TTL).unwrap_err();
        assert_eq!(&*refusal.budget, "team/narrow");
    }
    assert_eq!((bench.counts(&wide), bench.counts(&narrow)), ((0, 0), (0, 0)));
    let views = bench.ledger.views(&narrow);
    assert_eq!((views[0].refusals, views[0].shadow_refusals), (2, 0));
}

#[test]
fn all_limits_of_a_budget_count_each_in_its_unit() {
    let day = || calendar(Period::Day, "UTC");
    let limits = vec![
        limit("money", Unit::Usd, 1_000_000, day()),
        limit("tokens", Unit::Tokens, 500, day()),
        limit("calls", Unit::Requests, 2, day()),
    ];
    let (bench, plan) = (Bench::at(NOON), plan_of("a", Mode::Enforce, limits));
    let used = Amounts::one_call(NanoUsd(7), 60, 40);
    for _ in 0..2 {
        let demand = Demand { plan: Arc::clone(&plan), subject: "".into(), amounts: used };
        assert!(bench.ledger.reserve(vec![demand], TTL).unwrap().settle_all(used));
    }
    let used: Vec<_> = bench.ledger.views(&plan).iter().map(|view| view.used).collect();
    assert_eq!(used, [14, 200, 2]);
    assert_eq!(&*bench.reserve(&plan, 1).unwrap_err().limit, "calls");
}

#[test]
fn the_limit_that_holds_longest_is_the_one_that_refuses() {
    let minute = limit("minute", Unit::Tokens, 10, sliding(60));
    let day = limit("day", Unit::Tokens, 10, calendar(Period::Day, "UTC"));
    for limits in [vec![minute.clone(), day.clone()], vec![day, minute]] {
        let (bench, plan) = (Bench::at(NOON), plan_of("a", Mode::Enforce, limits));
        bench.spend(&plan, 10);
        let refusal = bench.reserve(&plan, 1).unwrap_err();
        assert_eq!(&*refusal.limit, "day");
        assert_eq!(refusal.retry_after, Duration::from_secs(12 * 3600));
    }
}

#[test]
fn a_shadow_budget_counts_past_its_amount_and_refuses_nothing() {
    let cap = limit("cap", Unit::Tokens, 10, calendar(Period::Day, "UTC"));
    let (bench, plan) = (Bench::at(NOON), plan_of("a", Mode::Shadow, vec![cap]));
    for _ in 0..3 {
        bench.spend(&plan, 8);
    }
    let view = &bench.ledger.views(&plan)[0];
    assert_eq!((view.used, view.shadow_refusals, view.refusals), (24, 2, 0));
}

#[test]
fn a_shadow_refusal_is_not_counted_when_the_call_is_refused_anyway() {
    let cap = limit("cap", Unit::Tokens, 0, calendar(Period::Day, "UTC"));
    let (bench, full) = (Bench::at(NOON), daily("full", 0));
    let shadow = plan_of("shadow", Mode::Shadow, vec![cap]);
    let demands = vec![demand(&shadow, "", 1), demand(&full, "", 1)];
    bench.ledger.reserve(demands, TTL).unwrap_err();
    assert_eq!(bench.ledger.views(&shadow)[0].shadow_refusals, 0);
}

#[test]
fn using_more_than_was_reserved_is_charged_in_full() {
    let (bench, plan) = (Bench::at(NOON), daily("a", 100));
    assert!(bench.reserve(&plan, 90).unwrap().settle_all(amounts(120)));
    assert_eq!(bench.counts(&plan), (120, 0));
    assert!(bench.reserve(&plan, 1).is_err());
}

#[test]
fn a_demand_of_nothing_fits_a_used_up_budget() {
    let (bench, plan) = (Bench::at(NOON), daily("a", 100));
    bench.spend(&plan, 100);
    assert!(bench.reserve(&plan, 0).unwrap().release());
}

#[test]
fn two_demands_on_the_same_counter_add_up() {
    let (bench, plan) = (Bench::at(NOON), daily("a", 100));
    let twice = |n| vec![demand(&plan, "", n), demand(&plan, "", n)];
    assert!(bench.ledger.reserve(twice(51), TTL).is_err());
    let reservation = bench.ledger.reserve(twice(50), TTL).unwrap();
    assert_eq!(reservation.demands().len(), 2);
    assert_eq!(bench.counts(&plan), (0, 100));
    assert!(reservation.settle(&[amounts(10)]), "the second is charged what it reserved");
    assert_eq!(bench.counts(&plan), (60, 0));
}

#[test]
fn a_refusal_says_which_budget_how_much_and_until_when() {
    let cap = limit("month", Unit::Usd, 500_000_000_000, calendar(Period::Month, "Europe/Berlin"));
    let (bench, plan) = (Bench::at(NOON), plan_of("search", Mode::Enforce, vec![cap]));
    bench.spend(&plan, 498_200_000_000);
    let in_flight = bench.reserve(&plan, 1_500_000_000).unwrap();
    let refusal = bench.reserve(&plan, 3_000_000_000).unwrap_err();
    assert_eq!(
        refusal.to_string(),
        "budget team/search: limit month has 498.2 of 500 USD used and 1.5 reserved by requests \
         in flight; this request may use up to 3 USD; retry in 1332000 s, resets at \
         2026-06-30T22:00:00Z"
    );
    assert!(in_flight.release());
}

#[test]
fn a_call_that_can_never_fit_is_told_so() {
    let (bench, plan) = (Bench::at(NOON), daily("a", 100));
    let refusal = bench.reserve(&plan, 101).unwrap_err();
    assert!(refusal.never_fits());
    assert_eq!(refusal.retry_after, Duration::from_secs(12 * 3600));
    assert_eq!(
        refusal.to_string(),
        "budget team/a: this request may use up to 101 tokens and can never fit limit cap of 100 \
         tokens; ask for less output or raise the limit"
    );
}

#[test]
fn no_demands_make_an_empty_reservation() {
    let bench = Bench::at(NOON);
    assert!(bench.ledger.reserve(Vec::new(), TTL).unwrap().settle(&[]));
}

#[test]
fn counters_of_deleted_budgets_are_forgotten() {
    let (bench, kept, deleted) = (Bench::at(NOON), daily("kept", 9), daily("deleted", 9));
    bench.spend(&kept, 5);
    let in_flight = bench.reserve(&deleted, 5).unwrap();
    bench.ledger.retain(&HashSet::from(["kept".into()]));
    assert_eq!((bench.counts(&kept), bench.counts(&deleted)), ((5, 0), (0, 0)));
    assert!(in_flight.settle_all(amounts(5)));
    assert_eq!(bench.counts(&deleted), (0, 0));
}
