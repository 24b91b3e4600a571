//! Simulations: whole gateways before targets that slow down, stall, fail and recover, with a clock
//! that only events move and random numbers of a seed. The figures that they assert stand in
//! docs/reference/routing.md.

mod world;

use std::time::Duration;

use crate::snapshot::Balance;

use world::{Answer, World, secs};

/// A target that always answers after so long.
fn steady(milliseconds: u64) -> impl Fn(Duration, u32) -> Answer {
    move |_, _| Answer::After(Duration::from_millis(milliseconds))
}

#[test]
fn weights_are_exact_within_three_standard_deviations_of_chance() {
    let weights = [70, 20, 10];
    for replicas in [1, 3] {
        let mut world = World::new(replicas, Balance::Weighted);
        for weight in weights {
            world.target(weight, steady(300));
        }
        world.run(secs(10), 100);
        let sent = world.sent(secs(0), secs(10));
        let all: u32 = sent.iter().sum();
        assert_eq!(all, 1000);
        for (sent, weight) in sent.iter().zip(weights) {
            let share = f64::from(weight) / 100.0;
            let sigma = (1000.0 * share * (1.0 - share)).sqrt();
            let off = (f64::from(*sent) - 1000.0 * share).abs();
            println!(
                "{replicas} replicas, weight {weight}: {sent} of 1000, {:.2} sigma",
                off / sigma
            );
            assert!(off <= 3.0 * sigma, "{sent} of {weight}");
            // In truth it is far better than chance.
            assert!(off <= 1.0 + 2.0 * f64::from(replicas as u32), "{sent} of {weight}");
        }
    }
}

#[test]
fn a_drained_target_gets_nothing() {
    let mut world = World::new(1, Balance::Weighted);
    world.target(1, steady(100));
    world.target(1, steady(100));
    world.seatless(1);
    world.run(secs(5), 100);
    assert_eq!(world.sent(secs(0), secs(5)), [500, 0]);
}

#[test]
fn the_least_latency_leaves_a_target_that_slows_down_and_returns_when_it_recovers() {
    let mut world = World::new(1, Balance::LeastLatency);
    world.target(1, |at, _| {
        let slow = (secs(30)..secs(60)).contains(&at);
        Answer::After(Duration::from_millis(if slow { 3_000 } else { 300 }))
    });
    world.target(1, steady(300));
    world.target(1, steady(300));
    world.run(secs(120), 50);
    let share = |from, to| world.share(0, secs(from), secs(to));
    let (before, slow, later, after) =
        (share(15, 30), share(31, 60), share(60, 90), share(90, 120));
    println!("share of a target: {before:.3} before, {slow:.3} slow, {later:.3} then {after:.3}");
    assert!((before - 1.0 / 3.0).abs() < 0.05, "{before}");
    assert!(slow < 0.06, "{slow}");
    assert!((after - 1.0 / 3.0).abs() < 0.05, "{after}");
    assert!(later > slow);
    let until = world.first_second(0, secs(60), 0.25);
    println!("back at three quarters of its share after {until:?} s");
    assert!(until.is_some_and(|until| until <= 40), "{until:?}");
}

#[test]
fn a_target_that_stalls_is_known_before_its_first_timeout() {
    let mut sent = Vec::new();
    for balance in [Balance::Weighted, Balance::LeastLatency] {
        let mut world = World::new(1, balance);
        world.target(1, |at, _| match at >= secs(30) {
            true => Answer::FailAfter(secs(10)),
            false => Answer::After(Duration::from_millis(300)),
        });
        world.target(1, steady(300));
        world.run(secs(40), 50);
        sent.push(world.sent(secs(30), secs(40))[0]);
    }
    println!("sent to a stalled target in 10 s: {} by weight, {} by latency", sent[0], sent[1]);
    assert!((248..=252).contains(&sent[0]), "{}", sent[0]);
    assert!(sent[1] <= 20, "{}", sent[1]);
}

#[test]
fn replicas_that_know_nothing_of_each_other_do_not_herd() {
    let mut world = World::new(3, Balance::LeastLatency);
    for _ in 0..4 {
        // A queue of its own: with 40 requests under way it takes twice as long.
        world.target(1, |_, busy| {
            Answer::After(Duration::from_secs_f64(0.2 * (1.0 + f64::from(busy) / 40.0)))
        });
    }
    world.run(secs(60), 200);
    let worst = (20..60).map(|second| {
        (0..4).map(|target| world.share(target, secs(second), secs(second + 1))).fold(0.0, f64::max)
    });
    let worst = worst.fold(0.0, f64::max);
    println!("largest share of any target in any second: {worst:.3}");
    assert!(worst < 0.36, "{worst}");
}

#[test]
fn a_dead_target_costs_a_handful_of_tries_and_comes_back_by_one_request() {
    let mut world = World::new(1, Balance::Weighted);
    world.target(1, |at, _| match (secs(30)..secs(75)).contains(&at) {
        true => Answer::FailAfter(Duration::from_millis(50)),
        false => Answer::After(Duration::from_millis(300)),
    });
    world.target(1, steady(300));
    world.run(secs(150), 50);
    // Answers to what was under way, 5 failures and what was sent until then, and two probes.
    let failed = world.failed(0);
    println!("tries at a target that was dead for 45 s, at 25 requests/s: {failed}");
    assert!((7..=20).contains(&failed), "{failed}");
    let back = world.first_sent_after(0, secs(75));
    println!("first request after its recovery: {:.1} s later", (back - secs(75)).as_secs_f64());
    // Ejections of 10, 20 and 40 s have begun at 30, 40 and 60.
    assert!(back >= secs(99) && back <= secs(102), "{back:?}");
    let (ramp, after) =
        (world.share(0, back, back + secs(5)), world.share(0, secs(120), secs(150)));
    println!("share in the 5 s after it: {ramp:.3}, later {after:.3}");
    assert!(ramp < 0.3 && (after - 0.5).abs() < 0.01, "{ramp} {after}");
    assert_eq!(world.unanswered(), 0, "the other target answers every request");
}
