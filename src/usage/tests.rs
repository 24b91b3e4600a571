//! That sums are exact, bounded and turn with the clock.

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};

use super::{DAYS, MAX_COMBINATIONS, Names, Query, Report, Rollup, Sums, Unanswerable};
use crate::budget::NanoUsd;

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn used(tokens: u64) -> Sums {
    Sums { requests: 1, input_tokens: tokens, cost: NanoUsd(3 * tokens), ..Sums::default() }
}

fn team(team: &str) -> Names<'_> {
    Names { team, ..Names::default() }
}

fn ask(rollup: &Rollup, now: Timestamp, parameters: &[(&str, &str)]) -> Report {
    let query = Query::parse(parameters.iter().copied(), now).unwrap();
    rollup.report(&query, now).unwrap()
}

/// Time, names and requests of each row.
fn rows(report: &Report) -> Vec<(String, String, u64)> {
    let row = |row: &super::Row| {
        let time = row.time.map(|time| time.to_string()).unwrap_or_default();
        let names: Vec<_> = row.of.values().cloned().collect();
        (time, names.join(" "), row.sums.requests)
    };
    report.rows.iter().map(row).collect()
}

#[test]
fn rows_are_the_sums_of_what_was_added_by_any_dimension() {
    let now = at("2026-01-05T10:20:00Z");
    let rollup = Rollup::new(now);
    for (team, model, tokens) in [("a", "m", 1), ("b", "m", 20), ("a", "n", 300), ("a", "m", 4000)]
    {
        let names = Names { team, model, route: "space/r", ..Names::default() };
        rollup.add(now, &names, &used(tokens));
    }
    let report = ask(&rollup, now, &[("by", "team,model")]);
    let tokens: Vec<_> = report
        .rows
        .iter()
        .map(|row| (&*row.of["team"], &*row.of["model"], row.sums.input_tokens, row.sums.cost.0))
        .collect();
    assert_eq!(tokens, [("a", "m", 4001, 12_003), ("a", "n", 300, 900), ("b", "m", 20, 60)]);
    assert_eq!((report.totals.input_tokens, report.totals.cost), (4321, NanoUsd(12_963)));
    assert_eq!(rows(&ask(&rollup, now, &[("by", "namespace")])), [("".into(), "space".into(), 4)]);
    assert_eq!(rows(&ask(&rollup, now, &[])), [("".into(), "".into(), 4)]);
}

#[test]
fn what_exceeds_the_bound_is_summed_as_other_and_nothing_is_lost() {
    let now = at("2026-01-05T10:20:00Z");
    let rollup = Rollup::new(now);
    let names: Vec<_> = (0..MAX_COMBINATIONS + 100).map(|n| format!("team-{n}")).collect();
    for _ in 0..2 {
        for name in &names {
            rollup.add(now, &team(name), &used(1));
        }
    }
    let report = ask(&rollup, now, &[("by", "team")]);
    assert_eq!(report.rows.len(), MAX_COMBINATIONS + 1);
    assert_eq!(report.totals.requests, 2 * names.len() as u64);
    let other = report.rows.iter().find(|row| row.of["team"] == "other").unwrap();
    assert_eq!(other.sums.requests, 200);
    // The next hour has room again, a day of both has as much as an hour.
    let next = now + SignedDuration::from_hours(1);
    for n in 0..MAX_COMBINATIONS {
        rollup.add(next, &team(&format!("next-{n}")), &used(1));
    }
    let report = ask(&rollup, next, &[("by", "team"), ("since", "1h")]);
    assert_eq!(report.rows.iter().filter(|row| row.of["team"] == "other").count(), 1);
    let late = next + SignedDuration::from_hours(72);
    let report = ask(&rollup, late, &[("by", "team")]);
    assert_eq!(report.rows.len(), MAX_COMBINATIONS + 1);
    assert_eq!(report.totals.requests, (2 * names.len() + MAX_COMBINATIONS) as u64);
}

#[test]
fn hours_and_days_turn_in_utc_also_where_clocks_are_put_forward() {
    let start = at("2026-03-28T22:59:59Z");
    let rollup = Rollup::new(start);
    // The night of summer time in Europe.
    for hour in 0..5 {
        let now = start + SignedDuration::from_hours(hour);
        rollup.add(now, &team("a"), &used(1));
        rollup.add(now + SignedDuration::from_secs(1), &team("a"), &used(1));
    }
    let now = at("2026-03-29T04:10:00Z");
    let hours = ask(&rollup, now, &[("step", "hour"), ("since", "24h")]);
    let counts: Vec<_> = rows(&hours).into_iter().map(|(time, _, n)| (time, n)).collect();
    let hour = |time: &str, n| (time.to_owned(), n);
    assert_eq!(
        counts,
        [
            hour("2026-03-28T22:00:00Z", 1),
            hour("2026-03-28T23:00:00Z", 2),
            hour("2026-03-29T00:00:00Z", 2),
            hour("2026-03-29T01:00:00Z", 2),
            hour("2026-03-29T02:00:00Z", 2),
            hour("2026-03-29T03:00:00Z", 1),
        ]
    );
    let days = ask(&rollup, now, &[("step", "day")]);
    let counts: Vec<_> = rows(&days).into_iter().map(|(time, _, n)| (time, n)).collect();
    assert_eq!(counts, [hour("2026-03-28T00:00:00Z", 3), hour("2026-03-29T00:00:00Z", 7)]);
}

#[test]
fn old_hours_become_days_and_old_days_go() {
    let start = at("2026-01-05T10:20:00Z");
    let rollup = Rollup::new(start);
    let mut now = start;
    for _ in 0..24 * 80 {
        rollup.add(now, &team("a"), &used(1));
        now += SignedDuration::from_hours(1);
    }
    let all = ask(&rollup, now, &[("since", "2026-01-01")]);
    let first = at("2026-01-05T00:00:00Z") + SignedDuration::from_hours(24 * (80 - DAYS));
    assert_eq!(all.since, first);
    let hours = now.duration_since(first).as_hours();
    assert_eq!(all.totals.requests, u64::try_from(hours).unwrap());
    // Every day but the last is whole.
    let days = ask(&rollup, now, &[("since", "2026-01-01"), ("step", "day")]);
    assert_eq!(days.rows.len() as i64, DAYS + 1);
    assert!(days.rows[..62].iter().all(|row| row.sums.requests == 24));
    // Hours are there for two days at least, and what is not there is said.
    let hours = ask(&rollup, now, &[("since", "48h"), ("step", "hour")]);
    assert_eq!(hours.rows.len(), 48);
    let query = Query::parse([("since", "73h"), ("step", "hour")], now).unwrap();
    let error = rollup.report(&query, now).unwrap_err();
    assert!(matches!(error, Unanswerable::NoHours { .. }), "{error}");
}

#[test]
fn a_time_that_cuts_an_hour_or_an_old_day_counts_all_of_it() {
    let start = at("2026-01-05T10:20:00Z");
    let rollup = Rollup::new(start);
    rollup.add(start, &team("a"), &used(1));
    let now = at("2026-01-09T10:00:00Z");
    rollup.add(now, &team("a"), &used(1));
    let cut = |since, until| {
        let report = ask(&rollup, now, &[("since", since), ("until", until)]);
        (report.totals.requests, report.from.to_string(), report.until.to_string())
    };
    assert_eq!(
        cut("2026-01-05T23:00:00Z", "2026-01-09T10:30:00Z"),
        (2, "2026-01-05T00:00:00Z".into(), "2026-01-09T11:00:00Z".into())
    );
    assert_eq!(cut("2026-01-06", "2026-01-09T10:00:00Z").0, 0);
    assert_eq!(cut("2026-01-09T10:59:00Z", "2026-01-09T11:00:00Z").0, 1);
    assert_eq!(cut("2026-01-05", "2026-01-05T00:00:01Z").0, 1);
}

#[test]
fn a_clock_that_is_set_back_loses_nothing() {
    let now = at("2026-01-05T10:20:00Z");
    let rollup = Rollup::new(now);
    rollup.add(now, &team("a"), &used(1));
    // A little: it goes on in the hour that it had come to.
    rollup.add(at("2026-01-05T11:00:00Z"), &team("a"), &used(1));
    rollup.add(now, &team("a"), &used(1));
    // Far ahead and back again: the hours are those that they were.
    rollup.add(at("2026-01-06T12:20:00Z"), &team("a"), &used(1));
    for _ in 0..3 {
        rollup.add(at("2026-01-05T11:20:00Z"), &team("a"), &used(1));
    }
    rollup.add(at("2026-01-05T12:20:00Z"), &team("a"), &used(1));
    let copy = Rollup::new(now);
    let later = at("2026-01-05T13:20:00Z");
    copy.restore(later, rollup.changes(later, true).saved);
    for rollup in [rollup, copy] {
        let hours =
            ask(&rollup, later, &[("step", "hour"), ("since", "1d"), ("until", "2026-01-07")]);
        let counts: Vec<_> = hours.rows.iter().map(|row| row.sums.requests).collect();
        assert_eq!(counts, [1, 5, 1, 1]);
    }
}

#[test]
fn what_many_threads_add_while_hours_turn_and_others_read_is_all_there() {
    let now = at("2026-01-05T10:20:00Z");
    let rollup = Arc::new(Rollup::new(now));
    let threads: Vec<_> = (0..4)
        .map(|thread| {
            let rollup = Arc::clone(&rollup);
            std::thread::spawn(move || {
                for n in 0..2000 {
                    let time = now + SignedDuration::from_mins(n / 10);
                    rollup.add(time, &team(&format!("team-{}", (n + thread) % 7)), &used(2));
                    if n % 500 == 0 {
                        rollup.changes(time, false);
                        ask(&rollup, time, &[("by", "team")]);
                    }
                }
            })
        })
        .collect();
    for thread in threads {
        thread.join().unwrap();
    }
    let report = ask(&rollup, now + SignedDuration::from_hours(5), &[("by", "team")]);
    assert_eq!((report.totals.requests, report.totals.input_tokens), (8000, 16_000));
    assert_eq!(report.rows.len(), 7);
}

#[test]
fn an_answer_of_too_many_rows_is_refused() {
    let mut now = at("2026-01-05T10:20:00Z");
    let rollup = Rollup::new(now);
    for _ in 0..6 {
        for n in 0..MAX_COMBINATIONS {
            rollup.add(now, &team(&format!("team-{n}")), &used(1));
        }
        now += SignedDuration::from_hours(1);
    }
    let query = Query::parse([("by", "team"), ("step", "hour"), ("since", "1d")], now).unwrap();
    assert!(matches!(rollup.report(&query, now).unwrap_err(), Unanswerable::TooMany));
    assert_eq!(ask(&rollup, now, &[("by", "team")]).rows.len(), MAX_COMBINATIONS);
}
