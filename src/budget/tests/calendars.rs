//! Calendar windows where calendars are odd: each is full to its last millisecond and empty from
//! its end on.

use super::*;

/// One whole window.
fn check(period: Period, zone: &str, (start, end): (&str, &str)) {
    let bench = Bench::at(start);
    let plan = tokens_plan("a", 100, calendar(period, zone));
    let label = format!("{period:?} in {zone} from {start}");
    bench.clock.set(time(start) - jiff::SignedDuration::from_millis(1));
    bench.spend(&plan, 100);
    let refusal = bench.reserve(&plan, 1).unwrap_err();
    assert_eq!(refusal.resets_at, Some(time(start)), "{label}");
    bench.set(start);
    assert_eq!(bench.counts(&plan), (0, 0), "{label}");
    bench.spend(&plan, 100);
    bench.clock.set(time(end) - jiff::SignedDuration::from_millis(1));
    let refusal = bench.reserve(&plan, 1).unwrap_err();
    assert_eq!(refusal.resets_at, Some(time(end)), "{label}");
    assert_eq!(refusal.retry_after, Duration::from_secs(1), "{label}");
    bench.set(end);
    bench.spend(&plan, 100);
}

#[test]
fn days_turn_where_clocks_are_half_and_quarter_hours_apart() {
    check(Period::Day, "Asia/Kolkata", ("2026-06-14T18:30:00Z", "2026-06-15T18:30:00Z"));
    check(Period::Day, "Asia/Kathmandu", ("2026-06-14T18:15:00Z", "2026-06-15T18:15:00Z"));
    check(Period::Day, "America/St_Johns", ("2026-06-15T02:30:00Z", "2026-06-16T02:30:00Z"));
}

#[test]
fn a_day_of_23_hours_and_one_of_25_are_one_window_each() {
    check(Period::Day, "Europe/Berlin", ("2026-03-28T23:00:00Z", "2026-03-29T22:00:00Z"));
    check(Period::Day, "Europe/Berlin", ("2026-10-24T22:00:00Z", "2026-10-25T23:00:00Z"));
}

#[test]
fn clocks_that_change_by_half_an_hour_make_days_of_half_hours() {
    check(Period::Day, "Australia/Lord_Howe", ("2026-04-04T13:00:00Z", "2026-04-05T13:30:00Z"));
    check(Period::Day, "Australia/Lord_Howe", ("2026-10-03T13:30:00Z", "2026-10-04T13:00:00Z"));
}

#[test]
fn a_midnight_that_is_skipped_or_repeated_turns_the_day_once() {
    // Cuba: 2026-03-08 begins at 01:00; on 2026-11-01 the hour from 00:00 to 01:00 comes twice.
    check(Period::Day, "America/Havana", ("2026-03-08T05:00:00Z", "2026-03-09T04:00:00Z"));
    check(Period::Day, "America/Havana", ("2026-11-01T04:00:00Z", "2026-11-02T05:00:00Z"));
}

#[test]
fn the_leap_day_is_a_day_and_lengthens_its_month_and_year() {
    check(Period::Day, "UTC", ("2028-02-29T00:00:00Z", "2028-03-01T00:00:00Z"));
    check(Period::Month, "UTC", ("2028-02-01T00:00:00Z", "2028-03-01T00:00:00Z"));
    check(Period::Year, "UTC", ("2028-01-01T00:00:00Z", "2029-01-01T00:00:00Z"));
}

#[test]
fn weeks_months_quarters_and_years_begin_at_their_zones_midnight() {
    check(Period::Week, "Pacific/Kiritimati", ("2026-06-14T10:00:00Z", "2026-06-21T10:00:00Z"));
    check(Period::Week, "Europe/Berlin", ("2026-03-22T23:00:00Z", "2026-03-29T22:00:00Z"));
    // A week over the end of the year.
    check(Period::Week, "UTC", ("2026-12-28T00:00:00Z", "2027-01-04T00:00:00Z"));
    check(Period::Month, "Asia/Kathmandu", ("2026-05-31T18:15:00Z", "2026-06-30T18:15:00Z"));
    check(Period::Quarter, "America/New_York", ("2026-10-01T04:00:00Z", "2027-01-01T05:00:00Z"));
    check(Period::Year, "America/St_Johns", ("2026-01-01T03:30:00Z", "2027-01-01T03:30:00Z"));
}
