//! Units beside money: input and output apart, and calls under way.

use super::*;

const NOON: &str = "2026-06-15T12:00:00Z";

/// A budget of so many calls at a time.
fn places(uid: &str, mode: Mode, amount: u64) -> Arc<BudgetPlan> {
    plan_of(uid, mode, vec![limit("parallel", Unit::Concurrent, amount, Window::Present)])
}

fn of_call(plan: &Arc<BudgetPlan>, amounts: Amounts) -> Demand {
    Demand { plan: Arc::clone(plan), subject: "".into(), amounts }
}

#[test]
fn input_and_output_are_reserved_and_settled_apart() {
    let day = || calendar(Period::Day, "UTC");
    let limits = vec![
        limit("in", Unit::InputTokens, 100, day()),
        limit("out", Unit::OutputTokens, 50, day()),
        limit("all", Unit::Tokens, 1000, day()),
    ];
    let (bench, plan) = (Bench::at(NOON), plan_of("a", Mode::Enforce, limits));
    let reserve = |input, output| {
        let amounts = Amounts::one_call(NanoUsd(0), input, output);
        bench.ledger.reserve(vec![of_call(&plan, amounts)], TTL)
    };
    let views = || -> Vec<(u64, u64)> {
        bench.ledger.views(&plan).iter().map(|view| (view.used, view.reserved)).collect()
    };
    let held = reserve(60, 50).unwrap();
    assert_eq!(views(), [(0, 60), (0, 50), (0, 110)]);
    assert!(held.settle_all(Amounts::one_call(NanoUsd(0), 70, 20)));
    assert_eq!(views(), [(70, 0), (20, 0), (90, 0)]);
    assert_eq!(&*reserve(31, 0).unwrap_err().limit, "in");
    let refusal = reserve(30, 31).unwrap_err();
    assert_eq!(&*refusal.limit, "out");
    assert!(refusal.to_string().contains("20 of 50 output tokens used"), "{refusal}");
    assert!(reserve(30, 30).unwrap().release());
}

#[test]
fn calls_at_a_time_are_refused_beyond_and_free_their_place_however_they_end() {
    let (bench, plan) = (Bench::at(NOON), places("a", Mode::Enforce, 2));
    let ends: [fn(Reservation); 3] = [
        |held| drop(held),
        |held| assert!(held.release()),
        |held| assert!(held.settle_all(amounts(1000))),
    ];
    for end in ends {
        let (first, second) = (bench.reserve(&plan, 1).unwrap(), bench.reserve(&plan, 1).unwrap());
        assert_eq!(bench.counts(&plan), (2, 0));
        let refusal = bench.reserve(&plan, 1).unwrap_err();
        assert_eq!((refusal.retry_after, refusal.resets_at), (Duration::from_secs(1), None));
        assert_eq!(
            refusal.to_string(),
            "budget team/a: limit parallel of 2 requests at a time has 2 under way; retry in 1 s"
        );
        end(first);
        assert_eq!(bench.counts(&plan), (1, 0));
        end(second);
        assert_eq!(bench.counts(&plan), (0, 0));
    }
}

#[test]
fn a_place_whose_holder_is_lost_is_free_again_after_its_time() {
    let (bench, plan) = (Bench::at(NOON), places("a", Mode::Enforce, 1));
    std::mem::forget(bench.reserve_for(&plan, "ann", 1).unwrap());
    bench.advance(TTL.as_secs() - 1);
    bench.ledger.sweep();
    assert!(bench.reserve_for(&plan, "ann", 1).is_err());
    bench.advance(1);
    bench.ledger.sweep();
    assert_eq!((bench.ledger.open_reservations(), bench.ledger.views(&plan)[0].subjects), (0, 0));
    assert!(bench.reserve_for(&plan, "ann", 1).unwrap().release());
}

#[test]
fn calls_under_way_are_no_part_of_a_checkpoint() {
    let mut limits = places("a", Mode::Enforce, 5).limits.clone();
    limits.push(limit("day", Unit::Tokens, 100, calendar(Period::Day, "UTC")));
    let (bench, plan) = (Bench::at(NOON), plan_of("a", Mode::Enforce, limits));
    let _under_way = bench.reserve(&plan, 30).unwrap();
    let checkpoint = bench.ledger.checkpoint(&plan);
    let names: Vec<&str> = checkpoint.counters.iter().map(|mark| &*mark.limit).collect();
    assert_eq!(names, ["day"]);
    let fresh = bench.restarted();
    fresh.ledger.restore(&plan, &checkpoint);
    let used: Vec<u64> = fresh.ledger.views(&plan).iter().map(|view| view.used).collect();
    assert_eq!(used, [0, 30]);
}

#[test]
fn shadow_counts_calls_past_the_amount_and_refuses_none() {
    let (bench, plan) = (Bench::at(NOON), places("a", Mode::Shadow, 1));
    let _held = [bench.reserve(&plan, 1).unwrap(), bench.reserve(&plan, 1).unwrap()];
    let view = &bench.ledger.views(&plan)[0];
    assert_eq!((view.used, view.shadow_refusals, view.refusals), (2, 1, 0));
}

#[test]
fn a_call_that_another_budget_refuses_takes_no_place() {
    let bench = Bench::at(NOON);
    let (parallel, small) =
        (places("places", Mode::Enforce, 1), tokens_plan("small", 10, sliding(60)));
    let both = |tokens| vec![demand(&parallel, "", tokens), demand(&small, "", tokens)];
    assert!(bench.ledger.reserve(both(11), TTL).is_err());
    assert_eq!(bench.counts(&parallel), (0, 0));
    let held = bench.ledger.reserve(both(4), TTL).unwrap();
    assert_eq!(&*bench.ledger.reserve(both(4), TTL).unwrap_err().budget, "team/places");
    assert_eq!(bench.counts(&small), (0, 4), "nothing of the refused one is left");
    assert!(held.release());
}

#[test]
fn what_holds_no_place_passes_a_full_limit() {
    let (bench, plan) = (Bench::at(NOON), places("a", Mode::Enforce, 1));
    let _held = bench.reserve(&plan, 1).unwrap();
    let beside = Amounts { concurrent: 0, ..amounts(1) };
    let beside = bench.ledger.reserve(vec![of_call(&plan, beside)], TTL).unwrap();
    assert_eq!(bench.counts(&plan), (1, 0));
    assert!(beside.settle_all(amounts(1)));
    assert_eq!(bench.counts(&plan), (1, 0));
}

#[test]
fn an_edited_number_of_places_counts_those_that_are_taken() {
    let bench = Bench::at(NOON);
    let of = |amount| places("a", Mode::Enforce, amount);
    let held = [bench.reserve(&of(3), 1).unwrap(), bench.reserve(&of(3), 1).unwrap()];
    assert!(bench.reserve(&of(1), 1).is_err());
    let third = bench.reserve(&of(3), 1).unwrap();
    assert_eq!(bench.counts(&of(1)), (3, 0));
    held.into_iter().for_each(drop);
    assert!(bench.reserve(&of(1), 1).is_err());
    assert!(third.release());
    assert!(bench.reserve(&of(1), 1).unwrap().release());
}

#[test]
fn a_place_is_given_back_although_its_limit_became_another() {
    let bench = Bench::at(NOON);
    let first = places("a", Mode::Enforce, 1);
    let requests = limit("parallel", Unit::Requests, 5, sliding(60));
    let second = plan_of("a", Mode::Enforce, vec![requests]);
    let held = bench.reserve(&first, 1).unwrap();
    bench.spend(&second, 1);
    assert!(held.settle_all(amounts(1)));
    assert_eq!((bench.counts(&first), bench.counts(&second)), ((0, 0), (1, 0)));
    assert!(bench.reserve(&first, 1).unwrap().release());
}
