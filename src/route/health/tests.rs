//! Ways out and back.

use super::*;

const fn ms(milliseconds: u64) -> Duration {
    Duration::from_millis(milliseconds)
}

fn settings() -> Ejection {
    Ejection { consecutive_failures: 3, base: ms(10_000), max: ms(60_000) }
}

fn fail(health: &mut Health, now: Instant) -> bool {
    let pass = health.pass(now);
    let ejected = health.failed(&settings(), pass, now);
    health.released(pass);
    ejected
}

fn succeed(health: &mut Health, now: Instant) {
    let mut pass = health.pass(now);
    health.succeeded(&mut pass, now);
    health.released(pass);
}

fn ejected(now: Instant) -> Health {
    let mut health = Health::new(now);
    assert!(!fail(&mut health, now) && !fail(&mut health, now) && fail(&mut health, now));
    health
}

#[test]
fn failures_in_a_row_eject_and_a_success_between_them_saves() {
    let now = Instant::now();
    let mut health = Health::new(now);
    for _ in 0..6 {
        fail(&mut health, now);
        fail(&mut health, now);
        succeed(&mut health, now);
    }
    assert_eq!(health.standing(now), Standing::Ready);
    // The twentieth answer makes a judgement: most have failed.
    assert!(!fail(&mut health, now) && fail(&mut health, now));
    let health = ejected(now);
    assert_eq!(health.standing(now + ms(9_999)), Standing::Away { until: now + ms(10_000) });
    assert_eq!(health.standing(now + ms(10_000)), Standing::Due);
}

#[test]
fn one_request_at_a_time_tries_a_target_that_is_due() {
    let now = Instant::now();
    let mut health = ejected(now);
    let due = now + ms(10_000);
    let probe = health.pass(due);
    assert_eq!(health.standing(due), Standing::Away { until: due });
    // Its caller left: nothing is known, and the next may try.
    health.released(probe);
    assert_eq!(health.standing(due), Standing::Due);
    let mut probe = health.pass(due);
    assert!(health.first_content(&mut probe, due + ms(100)));
    assert_eq!(health.standing(due + ms(100)), Standing::Ready);
}

#[test]
fn each_ejection_is_twice_as_long_up_to_the_longest() {
    let mut now = Instant::now();
    let mut health = ejected(now);
    let mut lengths = Vec::new();
    for _ in 0..6 {
        let until = health.ejected_until().unwrap();
        lengths.push((until - now).as_secs());
        now = until;
        assert!(fail(&mut health, now), "the probe fails");
    }
    assert_eq!(lengths, [10, 20, 40, 60, 60, 60]);
}

#[test]
fn time_in_health_makes_the_next_ejection_shorter() {
    let now = Instant::now();
    let mut health = ejected(now);
    let due = now + ms(10_000);
    assert!(fail(&mut health, due));
    let back = due + ms(20_000);
    succeed(&mut health, back);
    // 20 s of health take the 20 s ejection off, 9 s more are not enough for the 10 s one.
    let again = back + ms(29_000);
    for _ in 0..3 {
        fail(&mut health, again);
    }
    assert_eq!(health.ejected_until(), Some(again + ms(20_000)));
    succeed(&mut health, again + ms(20_000));
    let much_later = again + ms(200_000);
    for _ in 0..3 {
        fail(&mut health, much_later);
    }
    assert_eq!(health.ejected_until(), Some(much_later + ms(10_000)));
}

#[test]
fn who_is_back_is_on_trial_until_an_answer_is_complete() {
    let now = Instant::now();
    let mut health = ejected(now);
    let due = now + ms(10_000);
    let mut probe = health.pass(due);
    health.first_content(&mut probe, due);
    // The stream is cut after its first content.
    assert!(health.failed(&settings(), probe, due + ms(500)));
    assert_eq!(health.ejected_until(), Some(due + ms(500) + ms(20_000)));
}

#[test]
fn a_target_that_answers_a_second_request_is_judged_as_ever() {
    let now = Instant::now();
    let due = now + ms(10_000);
    let back = || {
        let mut health = ejected(now);
        let mut probe = health.pass(due);
        health.first_content(&mut probe, due);
        (health, probe)
    };
    let (mut health, _) = back();
    assert!(fail(&mut health, due), "it has answered nobody but the probe");
    let (mut health, probe) = back();
    let mut second = health.pass(due);
    health.first_content(&mut second, due);
    assert!(!fail(&mut health, due), "some of many may fail while the first answers go on");
    assert!(!health.failed(&settings(), probe, due + SLOW_START), "a late break is one of many");
    assert!(health.failed(&settings(), second, due + SLOW_START - ms(1)), "an early one is not");
}

#[test]
fn answers_that_go_on_do_not_hide_that_nothing_new_is_taken() {
    let now = Instant::now();
    let mut health = Health::new(now);
    let mut old: Vec<Pass> = (0..3).map(|_| health.pass(now)).collect();
    for pass in &mut old {
        health.first_content(pass, now);
    }
    let mut ejected = false;
    for pass in &mut old {
        ejected = fail(&mut health, now + ms(100));
        health.succeeded(pass, now + ms(100));
    }
    assert!(ejected);
}

#[test]
fn streams_that_always_break_off_eject_though_each_begins_well() {
    let now = Instant::now();
    let mut health = Health::new(now);
    let cut = |health: &mut Health| {
        let mut pass = health.pass(now);
        health.first_content(&mut pass, now);
        let ejected = health.failed(&settings(), pass, now);
        health.released(pass);
        ejected
    };
    assert!(!cut(&mut health) && !cut(&mut health));
    succeed(&mut health, now);
    assert!(!cut(&mut health) && !cut(&mut health) && cut(&mut health));
}

#[test]
fn what_began_before_an_ejection_says_nothing_after_it() {
    let now = Instant::now();
    let mut health = Health::new(now);
    let mut old = health.pass(now);
    for _ in 0..3 {
        fail(&mut health, now);
    }
    let until = health.ejected_until();
    assert!(!health.failed(&settings(), old, now + ms(5_000)));
    health.succeeded(&mut old, now + ms(6_000));
    assert_eq!(health.ejected_until(), until, "neither prolonged nor ended");
    succeed(&mut health, now + ms(10_000));
    assert!(!health.failed(&settings(), old, now + ms(10_001)));
    assert_eq!(health.standing(now + ms(10_001)), Standing::Ready);
}

#[test]
fn requests_for_want_of_a_better_target_end_an_ejection_but_never_prolong_it() {
    let now = Instant::now();
    let mut health = ejected(now);
    let until = health.ejected_until();
    assert!(!fail(&mut health, now + ms(1_000)));
    assert_eq!(health.ejected_until(), until);
    succeed(&mut health, now + ms(2_000));
    assert_eq!(health.standing(now + ms(2_000)), Standing::Ready);
}

#[test]
fn a_rest_is_never_shortened_and_is_no_failure() {
    let now = Instant::now();
    let mut health = Health::new(now);
    health.limited(Some(ms(30_000)), now);
    health.limited(Some(ms(5_000)), now + ms(1_000));
    health.limited(None, now + ms(1_000));
    assert_eq!(health.standing(now), Standing::Away { until: now + ms(30_000) });
    assert_eq!(health.standing(now + ms(30_000)), Standing::Ready);
    assert_eq!(health.consecutive_failures(), 0);
    health.limited(Some(Duration::from_secs(1 << 40)), now);
    assert_eq!(health.resting_until(now), Some(now + LONGEST_REST));
}

#[test]
fn limits_without_a_time_make_rests_that_double_until_an_answer() {
    let mut now = Instant::now();
    let mut health = Health::new(now);
    let mut rests = Vec::new();
    for _ in 0..7 {
        health.limited(None, now);
        // Another request that was under way at the same time.
        health.limited(None, now);
        let until = health.resting_until(now).unwrap();
        rests.push((until - now).as_secs());
        now = until;
    }
    assert_eq!(rests, [1, 2, 4, 8, 16, 32, 32]);
    succeed(&mut health, now);
    health.limited(None, now);
    assert_eq!(health.resting_until(now), Some(now + REST));
}

#[test]
fn a_target_that_comes_back_grows_into_its_share() {
    let now = Instant::now();
    let mut health = ejected(now);
    let back = now + ms(10_000);
    succeed(&mut health, back);
    let share = |after| health.share(false, back + ms(after));
    assert_eq!([share(0), share(5_000), share(10_000)], [102, 563, FULL]);
    let new = Health::new(now);
    assert_eq!(new.share(false, now), FULL, "weights are exact from the first request on");
    assert_eq!(new.share(true, now), 102);
}

#[test]
fn an_active_check_lets_a_request_try_early() {
    let now = Instant::now();
    let mut health = ejected(now);
    health.found_alive(now + ms(1_000));
    assert_eq!(health.standing(now + ms(1_000)), Standing::Due);
}

#[test]
fn answers_that_begin_well_and_fail_are_failures_only() {
    let settings = Ejection { consecutive_failures: 100, ..settings() };
    let now = Instant::now();
    let mut health = Health::new(now);
    let mut ejected_by = None;
    for number in 1..=20 {
        let mut pass = health.pass(now);
        health.first_content(&mut pass, now);
        match number % 5 {
            0 => health.succeeded(&mut pass, now),
            _ if health.failed(&settings, pass, now) => ejected_by = Some(number),
            _ => {}
        }
        health.released(pass);
    }
    assert_eq!(ejected_by, None, "sixteen of twenty have failed, and the last has not");
    let mut pass = health.pass(now);
    health.first_content(&mut pass, now);
    assert!(health.failed(&settings, pass, now));
}

/// Tries that a faster one made needless, `number` of them.
fn outrun(health: &mut Health, number: u32, now: Instant) {
    for _ in 0..number {
        let pass = health.pass(now);
        assert!(!health.outrun(&settings(), pass, now));
        health.released(pass);
    }
}

#[test]
fn a_target_that_is_always_outrun_is_left_out_only_if_time_shows_that_it_is_silent() {
    let now = Instant::now();
    let mut health = Health::new(now);
    outrun(&mut health, OUTRUN - 1, now);
    let mut pass = health.pass(now);
    assert!(!health.watch(&mut pass));
    outrun(&mut health, 1, now);
    let (mut watch, mut other) = (health.pass(now), health.pass(now));
    assert!(health.watch(&mut watch) && !health.watch(&mut other), "one at a time");
    // Others go on being outrun, which proves nothing.
    outrun(&mut health, 100, now);
    // The watched one answers, however late: the target is slow.
    health.succeeded(&mut watch, now);
    health.released(watch);
    assert_eq!(health.standing(now), Standing::Ready);
    let mut next = health.pass(now);
    assert!(!health.watch(&mut next), "its answer ends the row");
    outrun(&mut health, OUTRUN, now);
    // The caller of one leaves: the next one shows it.
    let mut watch = health.pass(now);
    assert!(health.watch(&mut watch));
    health.released(watch);
    let mut watch = health.pass(now);
    assert!(health.watch(&mut watch));
    assert!(health.outrun(&settings(), watch, now));
    assert_eq!(health.standing(now), Standing::Away { until: now + ms(10_000) });
}

#[test]
fn a_probe_that_is_outrun_goes_back_for_as_long_again() {
    let now = Instant::now();
    let mut health = ejected(now);
    let due = now + ms(10_000);
    let probe = health.pass(due);
    assert!(!health.outrun(&settings(), probe, due + ms(500)));
    health.released(probe);
    assert_eq!(health.standing(due + ms(500)), Standing::Away { until: due + ms(10_500) });
    assert_eq!(health.standing(due + ms(10_500)), Standing::Due);
    // It was no failure: the next ejection is as long as it would have been.
    assert!(fail(&mut health, due + ms(10_500)));
    assert_eq!(health.ejected_until(), Some(due + ms(30_500)));
}
