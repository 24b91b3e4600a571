//! What comes first, and what comes when that is gone.

use std::time::Duration;

use super::*;
use crate::route::{End, Targets};

const fn ms(milliseconds: u64) -> Duration {
    Duration::from_millis(milliseconds)
}

struct Stage {
    targets: Targets,
    turns: Turns,
    now: Instant,
    seed: u64,
}

/// Name, weight, priority.
type Plan = (&'static str, u32, u32);

impl Stage {
    fn new() -> Self {
        let now = Instant::now();
        // Targets that were known for long have no slow start.
        Self { targets: Targets::new(now), turns: Turns::default(), now: now + ms(60_000), seed: 0 }
    }

    fn state(&self, name: &str) -> Arc<TargetState> {
        self.targets.target(&name.into(), &"m".into(), self.now - ms(60_000))
    }

    fn seat(&self, (name, weight, priority): Plan) -> Seat {
        let (state, ejection) = (self.state(name), Ejection::default());
        let name = name.into();
        Seat { name, weight, priority, cost: None, tokens: 10, state, ejection, account: None }
    }

    fn seats(&self, plans: &[Plan]) -> Seats {
        Seats::Many(plans.iter().map(|plan| self.seat(*plan)).collect())
    }

    fn order(&mut self, seats: Seats, balance: Balance) -> Order<'_> {
        self.seed += 1;
        let (turns, seed) = (&self.turns, self.seed);
        let criteria = Criteria {
            balance,
            session: None,
            preferred: None,
            turns,
            key: ("route", "rule"),
            seed,
        };
        Order::new(seats, criteria)
    }

    /// All the seats that are handed out, none of them answering.
    fn all(&mut self, seats: Seats, balance: Balance) -> Vec<usize> {
        let now = self.now;
        let mut order = self.order(seats, balance);
        std::iter::from_fn(|| order.next(now)).map(|turn| turn.index).collect()
    }

    fn first(&mut self, seats: Seats, balance: Balance) -> usize {
        let now = self.now;
        self.order(seats, balance).next(now).unwrap().index
    }

    fn end(&self, name: &str, end: End) {
        let mut flight = Flight::begin(self.state(name), Ejection::default(), None, self.now);
        flight.end(end, self.now);
    }

    fn eject(&self, name: &str) {
        for _ in 0..5 {
            self.end(name, End::Failed(None));
        }
    }
}

#[test]
fn every_target_comes_once_and_lower_priorities_first() {
    let mut stage = Stage::new();
    let plans = [("a", 1, 0), ("b", 3, 0), ("c", 1, 1), ("d", 5, 2), ("e", 5, 2)];
    for balance in
        [Balance::Weighted, Balance::LeastLatency, Balance::LeastCost, Balance::LeastBusy]
    {
        for _ in 0..50 {
            let order = stage.all(stage.seats(&plans), balance);
            let priorities: Vec<u32> = order.iter().map(|index| plans[*index].2).collect();
            assert_eq!(priorities, [0, 0, 1, 2, 2], "{balance:?}");
            let mut sorted = order.clone();
            sorted.sort_unstable();
            assert_eq!(sorted, [0, 1, 2, 3, 4], "{balance:?}");
        }
    }
}

#[test]
fn the_next_priority_is_used_while_none_of_the_lower_is_ready() {
    let mut stage = Stage::new();
    let plans = [("a", 1, 0), ("b", 1, 0), ("c", 1, 1)];
    stage.eject("a");
    stage.end("b", End::Limited(Some(ms(5_000))));
    // And what is away comes last, the one first that is back soonest.
    assert_eq!(stage.all(stage.seats(&plans), Balance::Weighted), [2, 1, 0]);
    stage.now += ms(5_000);
    assert_eq!(stage.first(stage.seats(&plans), Balance::Weighted), 1);
}

#[test]
fn the_least_bad_is_asked_when_all_are_away() {
    let mut stage = Stage::new();
    stage.eject("a");
    stage.now += ms(1_000);
    stage.eject("b");
    let plans = [("b", 1, 0), ("a", 1, 1)];
    assert_eq!(stage.all(stage.seats(&plans), Balance::Weighted), [1, 0]);
    let one = Seats::One(stage.seat(("a", 1, 0)));
    assert_eq!(stage.all(one, Balance::Weighted), [0], "the only target is always asked");
}

#[test]
fn a_target_that_is_due_gets_one_request_and_others_pass_by() {
    let mut stage = Stage::new();
    let plans = [("a", 1, 0), ("b", 1, 1)];
    stage.eject("a");
    stage.now += ms(10_000);
    let now = stage.now;
    let (turns, seats) = (Turns::default(), stage.seats(&plans));
    let criteria = Criteria {
        balance: Balance::Weighted,
        session: None,
        preferred: None,
        turns: &turns,
        key: ("route", "rule"),
        seed: 0,
    };
    let mut probe = Order::new(seats, criteria).next(now).unwrap();
    assert_eq!(probe.index, 0);
    assert_eq!(stage.first(stage.seats(&plans), Balance::Weighted), 1);
    probe.flight.first_content(now + ms(100));
    stage.now += ms(100);
    assert_eq!(stage.first(stage.seats(&plans), Balance::Weighted), 0);
}

#[test]
fn the_cheapest_comes_first_and_those_without_a_price_last() {
    let mut stage = Stage::new();
    let price = |stage: &Stage, name, weight, cost: Option<u64>| Seat {
        cost: cost.map(NanoUsd),
        ..stage.seat((name, weight, 0))
    };
    let seats = |stage: &Stage| {
        Seats::Many(vec![
            price(stage, "none", 9, None),
            price(stage, "dear", 9, Some(30)),
            price(stage, "cheap", 1, Some(20)),
            price(stage, "same", 3, Some(20)),
        ])
    };
    let mut firsts = [0; 4];
    for _ in 0..400 {
        let order = stage.all(seats(&stage), Balance::LeastCost);
        assert_eq!(order[2..], [1, 0]);
        firsts[order[0]] += 1;
    }
    assert_eq!(firsts[..2], [0, 0]);
    assert!((98..=102).contains(&firsts[2]), "ties by weight: {firsts:?}");
}

#[test]
fn the_most_room_comes_first() {
    let mut stage = Stage::new();
    let busy: Vec<Flight> = (0..6)
        .map(|_| Flight::begin(stage.state("a"), Ejection::default(), None, stage.now))
        .collect();
    // 7 of 4 against 1 of 1.
    let plans = [("a", 4, 0), ("b", 1, 0)];
    assert_eq!(stage.first(stage.seats(&plans), Balance::LeastBusy), 1);
    drop(busy);
    assert_eq!(stage.first(stage.seats(&plans), Balance::LeastBusy), 0);
}

#[test]
fn room_is_measured_by_the_accounts_limits_where_all_have_one() {
    let mut stage = Stage::new();
    let limited = |stage: &Stage, name, limit, taken: usize| {
        let limits = AccountLimits { concurrent_requests: Some(limit), ..Default::default() };
        let account = stage.targets.account(name, stage.now);
        let holds: Vec<Hold> =
            (0..taken).map(|_| account.take(&limits, 0, stage.now).unwrap()).collect();
        (Seat { account: Some((account, limits)), ..stage.seat((name, 1, 0)) }, holds)
    };
    let (first, _holds) = limited(&stage, "a", 10, 4);
    let (second, _others) = limited(&stage, "b", 100, 30);
    let seats = Seats::Many(vec![first, second]);
    assert_eq!(stage.first(seats, Balance::LeastBusy), 1);
}

#[test]
fn a_target_at_its_limit_is_passed_over_and_is_never_asked() {
    let mut stage = Stage::new();
    let limits = AccountLimits { requests_per_minute: Some(1), ..Default::default() };
    let seats = |stage: &Stage| {
        let account = stage.targets.account("a", stage.now);
        let limited = Seat { account: Some((account, limits)), ..stage.seat(("a", 1, 0)) };
        Seats::Many(vec![limited, stage.seat(("b", 1, 1))])
    };
    assert_eq!(stage.first(seats(&stage), Balance::Weighted), 0);
    assert_eq!(stage.all(seats(&stage), Balance::Weighted), [1]);
    let account = stage.targets.account("a", stage.now);
    let only = Seat { account: Some((account, limits)), ..stage.seat(("a", 1, 0)) };
    let now = stage.now;
    let mut order = stage.order(Seats::One(only), Balance::Weighted);
    assert!(order.next(now).is_none());
    assert!(order.next(now).is_none());
    assert!(order.full().is_some_and(|full| full.retry_after > ms(59_000)));
    let account = stage.targets.account("a", stage.now);
    assert_eq!(account.passed_over(), 2, "once for each of the requests after the first");
}

#[test]
fn a_session_stays_leaves_a_sick_target_and_returns() {
    let mut stage = Stage::new();
    let plans = [("a", 1, 0), ("b", 1, 0), ("c", 1, 0), ("d", 1, 1)];
    let serves = |stage: &mut Stage, key: u32| {
        let (now, seats) = (stage.now, stage.seats(&plans));
        let mut order = stage.order(seats, Balance::LeastCost);
        order.criteria.session = Some(Session::new("header", &key.to_be_bytes()));
        order.next(now).unwrap().index
    };
    let before: Vec<usize> = (0..300).map(|key| serves(&mut stage, key)).collect();
    assert!((0..3).all(|index| before.iter().filter(|one| **one == index).count() > 70));
    stage.eject("b");
    let without: Vec<usize> = (0..300).map(|key| serves(&mut stage, key)).collect();
    for (old, new) in before.iter().zip(&without) {
        assert!(if *old == 1 { *new == 0 || *new == 2 } else { new == old });
    }
    stage.now += ms(10_000);
    stage.end("b", End::Answered);
    let coming: Vec<usize> = (0..300).map(|key| serves(&mut stage, key)).collect();
    assert!(coming.iter().zip(&before).all(|(new, old)| new == old || *old == 1));
    stage.now += ms(10_000);
    let after: Vec<usize> = (0..300).map(|key| serves(&mut stage, key)).collect();
    assert_eq!(before, after);
}

#[test]
fn a_preferred_target_comes_first_as_long_as_it_is_ready() {
    let mut stage = Stage::new();
    let plans = [("a", 1, 0), ("b", 1, 1)];
    let (now, seats) = (stage.now, stage.seats(&plans));
    let mut order = stage.order(seats, Balance::Weighted);
    order.criteria.preferred = Some(1);
    assert_eq!(order.next(now).map(|turn| turn.index), Some(1));
    assert_eq!(order.next(now).map(|turn| turn.index), Some(0));
    stage.eject("b");
    let seats = stage.seats(&plans);
    let mut order = stage.order(seats, Balance::Weighted);
    order.criteria.preferred = Some(1);
    assert_eq!(order.next(now).map(|turn| turn.index), Some(0));
}

#[test]
fn a_target_that_is_not_allowed_or_given_back_keeps_its_turn() {
    let mut stage = Stage::new();
    let plans = [("a", 1, 0), ("b", 1, 1)];
    let (now, seats) = (stage.now, stage.seats(&plans));
    let mut order = stage.order(seats, Balance::Weighted);
    let turn = order.next_among(now, |index| index != 0).unwrap();
    assert_eq!(turn.index, 1);
    order.give_back(turn, now);
    assert_eq!(order.next(now).map(|turn| turn.index), Some(0));
    assert_eq!(order.next(now).map(|turn| turn.index), Some(1));
    assert!(order.next(now).is_none());
    assert_eq!(stage.state("b").in_flight(), 0);
}

#[test]
fn the_slower_of_two_is_asked_less() {
    let mut stage = Stage::new();
    for (name, took) in [("slow", 900), ("fast", 100)] {
        let mut flight = Flight::begin(stage.state(name), Ejection::default(), None, stage.now);
        flight.first_content(stage.now + ms(took));
    }
    stage.now += ms(900);
    let plans = [("slow", 1, 0), ("fast", 1, 0)];
    let seats = stage.seats(&plans);
    assert_eq!(stage.first(seats, Balance::LeastLatency), 1);
    // Many requests under way make a fast target slow.
    let busy: Vec<Flight> = (0..20)
        .map(|_| Flight::begin(stage.state("fast"), Ejection::default(), None, stage.now))
        .collect();
    let seats = stage.seats(&plans);
    assert_eq!(stage.first(seats, Balance::LeastLatency), 0);
    drop(busy);
}
