//! Limits that are edited while they count: what was used stays where it has a meaning.

use super::*;

const NOON: &str = "2026-06-15T12:00:00Z";

fn day(uid: &str, amount: u64) -> Arc<BudgetPlan> {
    tokens_plan(uid, amount, calendar(Period::Day, "UTC"))
}

#[test]
fn an_amount_below_what_is_used_lets_nothing_pass_until_the_reset_and_loses_nothing() {
    let bench = Bench::at(NOON);
    bench.spend(&day("a", 100), 80);
    let under_way = bench.reserve(&day("a", 100), 10).unwrap();
    let refusal = bench.reserve(&day("a", 50), 1).unwrap_err();
    assert_eq!((refusal.used, refusal.reserved, refusal.amount), (80, 10, 50));
    assert_eq!(refusal.retry_after, Duration::from_secs(12 * 3600));
    assert!(under_way.settle_all(amounts(10)));
    assert_eq!(bench.counts(&day("a", 50)), (90, 0));
    assert!(bench.reserve(&day("a", 100), 11).is_err(), "raised again, it is all still there");
    bench.spend(&day("a", 100), 10);
    bench.advance(12 * 3600);
    bench.spend(&day("a", 50), 50);
}

#[test]
fn an_amount_below_what_is_used_frees_a_sliding_window_step_by_step() {
    let (bench, of) = (Bench::at(NOON), |amount| tokens_plan("a", amount, sliding(60)));
    bench.spend(&of(100), 40);
    bench.advance(30);
    bench.spend(&of(100), 40);
    assert_eq!(bench.reserve(&of(50), 20).unwrap_err().retry_after, Duration::from_secs(61));
    assert_eq!(bench.reserve(&of(50), 10).unwrap_err().retry_after, Duration::from_secs(31));
    bench.advance(31);
    bench.spend(&of(50), 10);
}

#[test]
fn a_sliding_window_made_a_calendar_one_keeps_what_was_used_in_the_present_period() {
    let bench = Bench::at("2026-06-15T23:40:00Z");
    let (before, after) = (tokens_plan("a", 100, sliding(3600)), day("a", 100));
    bench.spend(&before, 30);
    bench.set("2026-06-16T00:05:00Z");
    bench.spend(&before, 20);
    let under_way = bench.reserve(&before, 40).unwrap();
    assert_eq!(bench.counts(&before), (50, 40));
    assert_eq!(bench.counts(&after), (20, 40), "status knows before the next call");
    assert!(bench.reserve(&after, 41).is_err());
    assert!(under_way.settle_all(amounts(35)));
    assert_eq!(bench.counts(&after), (55, 0));
    bench.spend(&after, 45);
    bench.set("2026-06-17T00:00:00Z");
    bench.spend(&after, 100);
}

#[test]
fn a_calendar_window_made_a_sliding_one_starts_from_zero_and_comes_back() {
    let bench = Bench::at(NOON);
    let (before, after) = (day("a", 100), tokens_plan("a", 100, sliding(60)));
    bench.spend(&before, 100);
    let first = bench.reserve(&after, 60).unwrap();
    assert_eq!(bench.counts(&after), (0, 60));
    assert!(first.settle_all(amounts(60)));
    assert_eq!((bench.counts(&after), bench.counts(&before)), ((60, 0), (100, 0)));
    assert!(bench.reserve(&before, 1).is_err());
}

#[test]
fn a_restart_together_with_that_edit_keeps_the_same() {
    let bench = Bench::at("2026-06-15T23:40:00Z");
    let (before, after) = (tokens_plan("a", 100, sliding(3600)), day("a", 100));
    bench.spend(&before, 30);
    bench.set("2026-06-16T00:15:00Z");
    bench.spend(&before, 20);
    let checkpoint = bench.ledger.checkpoint(&before);
    let fresh = bench.restarted();
    fresh.ledger.restore(&after, &checkpoint);
    assert_eq!(fresh.counts(&after), (20, 0));
    fresh.ledger.restore(&after, &checkpoint);
    assert_eq!(fresh.counts(&after), (20, 0), "what is known is not added again");
    fresh.spend(&after, 5);
    let later = fresh.ledger.checkpoint(&after);
    let other = bench.restarted();
    other.ledger.restore(&after, &checkpoint);
    other.ledger.restore(&after, &later);
    assert_eq!(other.counts(&after), (25, 0), "nor after the record has followed the edit");
}

#[test]
fn a_shorter_sliding_window_counts_what_lies_within_it() {
    let bench = Bench::at(NOON);
    let (long, short) = (tokens_plan("a", 100, sliding(3600)), tokens_plan("a", 100, sliding(60)));
    bench.spend(&long, 50);
    bench.advance(600);
    bench.spend(&long, 20);
    bench.spend(&short, 5);
    assert_eq!(bench.counts(&short), (25, 0));
    bench.advance(62);
    assert_eq!(bench.counts(&short), (0, 0));
}

#[test]
fn a_longer_sliding_window_goes_on_with_what_the_shorter_one_knows() {
    let bench = Bench::at(NOON);
    let (short, long) = (tokens_plan("a", 100, sliding(60)), tokens_plan("a", 100, sliding(3600)));
    bench.spend(&short, 50);
    bench.advance(59);
    assert_eq!(bench.counts(&long), (50, 0));
    bench.advance(3500);
    assert!(bench.reserve(&long, 51).is_err());
    bench.advance(102);
    bench.spend(&long, 100);
}

#[test]
fn a_longer_period_keeps_what_was_used_and_a_shorter_one_starts_from_zero() {
    let periods = [Period::Day, Period::Week, Period::Month, Period::Quarter, Period::Year];
    for (at, &short) in periods.iter().enumerate() {
        for &long in periods.iter().skip(at + 1) {
            let of = |period| tokens_plan("a", 100, calendar(period, "UTC"));
            let bench = Bench::at(NOON);
            bench.spend(&of(short), 70);
            assert!(bench.reserve(&of(long), 31).is_err(), "{short:?} to {long:?}");
            assert_eq!(bench.counts(&of(long)), (70, 0), "{short:?} to {long:?}");
            let bench = Bench::at(NOON);
            bench.spend(&of(long), 70);
            bench.spend(&of(short), 100);
            assert_eq!(bench.counts(&of(short)), (100, 0), "{long:?} to {short:?}");
        }
    }
}

#[test]
fn a_renamed_limit_starts_from_zero_and_its_old_name_goes_on() {
    let bench = Bench::at(NOON);
    let named = |name| {
        let cap = limit(name, Unit::Tokens, 100, calendar(Period::Day, "UTC"));
        plan_of("a", Mode::Enforce, vec![cap])
    };
    bench.spend(&named("old"), 80);
    let under_way = bench.reserve(&named("old"), 10).unwrap();
    bench.spend(&named("new"), 100);
    assert!(under_way.settle_all(amounts(10)));
    assert_eq!(bench.counts(&named("new")), (100, 0));
    assert_eq!(bench.counts(&named("old")), (90, 0));
    assert!(bench.reserve(&named("old"), 11).is_err());
}

#[test]
fn a_changed_unit_starts_from_zero_and_comes_back() {
    let units = [
        Unit::Usd,
        Unit::Tokens,
        Unit::InputTokens,
        Unit::OutputTokens,
        Unit::Requests,
        Unit::Concurrent,
    ];
    let of = |unit| {
        let window = match unit {
            Unit::Concurrent => Window::Present,
            _ => calendar(Period::Day, "UTC"),
        };
        plan_of("a", Mode::Enforce, vec![limit("cap", unit, 10, window)])
    };
    let one = Amounts::one_call(NanoUsd(1), 1, 0);
    for (from, to) in units.iter().flat_map(|from| units.iter().map(move |to| (*from, *to))) {
        if from == to {
            continue;
        }
        let bench = Bench::at(NOON);
        let reserve = |unit| {
            let demand = Demand { plan: of(unit), subject: "".into(), amounts: one };
            bench.ledger.reserve(vec![demand], TTL).unwrap()
        };
        assert!(reserve(from).settle_all(Amounts { output_tokens: 1, ..one }));
        let held = reserve(to);
        let of_one = u64::from(to != Unit::OutputTokens);
        let counted = bench.counts(&of(to));
        assert_eq!(counted.0 + counted.1, of_one, "{from:?} to {to:?}");
        assert!(held.release());
        let kept = u64::from(from != Unit::Concurrent);
        assert_eq!(bench.counts(&of(from)), (kept, 0), "{from:?} to {to:?}");
    }
}
