//! Calendar periods at the edges of the calendar: clock changes, month ends, leap years.

use super::*;

fn span(period: Period, zone: &str, now: &str) -> (String, String, i64) {
    let now = now.parse::<Timestamp>().unwrap().as_millisecond();
    let span = Span::of(period, &TimeZone::get(zone).unwrap(), now);
    assert!(span.start <= now && now < span.end, "{span:?} does not contain {now}");
    let show = |ms| Timestamp::from_millisecond(ms).unwrap().to_string();
    (show(span.start), show(span.end), (span.end - span.start) / 3_600_000)
}

#[track_caller]
fn check(period: Period, zone: &str, now: &str, start: &str, end: &str) -> i64 {
    let (s, e, hours) = span(period, zone, now);
    assert_eq!((s.as_str(), e.as_str()), (start, end));
    hours
}

#[test]
fn the_day_of_the_spring_change_has_23_hours() {
    let (start, end) = ("2026-03-28T23:00:00Z", "2026-03-29T22:00:00Z");
    for now in ["2026-03-28T23:00:00Z", "2026-03-29T00:59:59Z", "2026-03-29T21:59:59.999Z"] {
        assert_eq!(check(Period::Day, "Europe/Berlin", now, start, end), 23);
    }
}

#[test]
fn the_day_of_the_autumn_change_has_25_hours() {
    let (start, end) = ("2026-10-24T22:00:00Z", "2026-10-25T23:00:00Z");
    for now in ["2026-10-24T22:00:00Z", "2026-10-25T00:30:00Z", "2026-10-25T01:30:00Z"] {
        assert_eq!(check(Period::Day, "Europe/Berlin", now, start, end), 25);
    }
}

#[test]
fn weeks_begin_on_monday_also_across_the_clock_change() {
    let (start, end) = ("2026-03-22T23:00:00Z", "2026-03-29T22:00:00Z");
    assert_eq!(check(Period::Week, "Europe/Berlin", "2026-03-29T12:00:00Z", start, end), 167);
    // 2027-01-01 is a Friday: ISO week 53 of 2026.
    let (start, end) = ("2026-12-28T00:00:00Z", "2027-01-04T00:00:00Z");
    check(Period::Week, "UTC", "2027-01-01T00:00:00Z", start, end);
}

#[test]
fn months_end_where_the_calendar_says() {
    let (start, end) = ("2026-02-28T23:00:00Z", "2026-03-31T22:00:00Z");
    assert_eq!(check(Period::Month, "Europe/Berlin", "2026-03-31T21:59:59Z", start, end), 743);
    let (start, end) = ("2028-02-01T00:00:00Z", "2028-03-01T00:00:00Z");
    assert_eq!(check(Period::Month, "UTC", "2028-02-29T23:59:59Z", start, end), 29 * 24);
    let (start, end) = ("2026-02-01T00:00:00Z", "2026-03-01T00:00:00Z");
    assert_eq!(check(Period::Month, "UTC", "2026-02-28T23:59:59Z", start, end), 28 * 24);
}

#[test]
fn quarters_and_years_begin_in_their_zone() {
    let (start, end) = ("2026-03-31T22:00:00Z", "2026-06-30T22:00:00Z");
    check(Period::Quarter, "Europe/Berlin", "2026-05-31T12:00:00Z", start, end);
    let (start, end) = ("2025-12-31T15:00:00Z", "2026-12-31T15:00:00Z");
    check(Period::Year, "Asia/Tokyo", "2025-12-31T15:00:00Z", start, end);
    let (start, end) = ("2028-01-01T00:00:00Z", "2029-01-01T00:00:00Z");
    assert_eq!(check(Period::Year, "UTC", "2028-12-31T23:00:00Z", start, end), 366 * 24);
}

#[test]
fn a_day_whose_midnight_is_skipped_begins_after_the_gap() {
    // Cuba springs forward at midnight: 2026-03-08 begins at 01:00 local, UTC-4.
    let (start, end) = ("2026-03-08T05:00:00Z", "2026-03-09T04:00:00Z");
    assert_eq!(check(Period::Day, "America/Havana", "2026-03-08T05:00:00Z", start, end), 23);
    check(Period::Day, "America/Havana", "2026-03-08T04:59:59Z", "2026-03-07T05:00:00Z", start);
}

#[test]
fn consecutive_periods_touch_without_gap_or_overlap() {
    let zone = TimeZone::get("America/New_York").unwrap();
    for period in [Period::Day, Period::Week, Period::Month, Period::Quarter, Period::Year] {
        let mut now = "2023-06-15T12:00:00Z".parse::<Timestamp>().unwrap().as_millisecond();
        for _ in 0..800 {
            let span = Span::of(period, &zone, now);
            assert_eq!(Span::of(period, &zone, span.end - 1), span);
            let next = Span::of(period, &zone, span.end);
            assert_eq!(next.start, span.end);
            now = span.end;
        }
    }
}

#[test]
fn the_end_of_the_calendar_is_a_window_without_end() {
    let now = Timestamp::MAX.as_millisecond();
    assert_eq!(Span::of(Period::Year, &TimeZone::UTC, now).end, i64::MAX);
}

#[test]
fn an_unknown_time_zone_is_named() {
    let error = Window::calendar(Period::Day, "Europe/Atlantis").unwrap_err();
    assert!(error.to_string().starts_with("\"Europe/Atlantis\" is not a time zone"), "{error}");
    assert!(Window::calendar(Period::Day, "Europe/Berlin").is_ok());
}
