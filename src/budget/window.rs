//! Windows of time. Owns where a calendar period begins and ends; holds no counts.

use std::time::Duration;

use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{Span as Step, Timestamp, ToSpan};

/// A calendar period. Each begins at the first instant of its first day in the time zone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Period {
    /// From midnight to midnight: 23, 24 or 25 hours where clocks change.
    Day,
    /// Monday to Sunday (ISO 8601).
    Week,
    /// A month of the calendar.
    Month,
    /// January to March, and so on.
    Quarter,
    /// January to December.
    Year,
}

/// The time over which a limit counts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Window {
    /// The last `length`, at every moment.
    Sliding {
        /// How far back; below a millisecond counts as one.
        length: Duration,
    },
    /// The present calendar period.
    Calendar {
        /// Which period.
        period: Period,
        /// Where its midnights are.
        time_zone: TimeZone,
    },
    /// This very moment: what calls under way hold, and nothing once they have ended.
    Present,
}

/// A time zone name that the time zone database does not have.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a time zone of the IANA database, such as \"UTC\" or \"Europe/Berlin\"")]
pub struct UnknownTimeZone(pub String);

impl Window {
    /// A calendar window in the time zone of this IANA name.
    ///
    /// # Errors
    /// If the time zone database has no such name.
    pub fn calendar(period: Period, time_zone: &str) -> Result<Self, UnknownTimeZone> {
        let unknown = |_| UnknownTimeZone(time_zone.to_owned());
        let time_zone = TimeZone::get(time_zone).map_err(unknown)?;
        Ok(Self::Calendar { period, time_zone })
    }
}

/// A stretch of time in milliseconds since 1970, the end excluded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Span {
    pub(super) start: i64,
    pub(super) end: i64,
}

impl Span {
    /// The calendar period that contains `now`. Where the calendar ends (year 9999) the period
    /// never does.
    pub(super) fn of(period: Period, time_zone: &TimeZone, now: i64) -> Self {
        calendar_span(period, time_zone, now).unwrap_or(Self { start: now, end: i64::MAX })
    }

    /// Whether at least half of `self` lies within `other`.
    pub(super) fn is_mostly_within(&self, other: &Self) -> bool {
        let shared = i128::from(self.end.min(other.end)) - i128::from(self.start.max(other.start));
        2 * shared >= i128::from(self.end) - i128::from(self.start)
    }
}

fn calendar_span(period: Period, time_zone: &TimeZone, now: i64) -> Result<Span, jiff::Error> {
    let today = Timestamp::from_millisecond(now)?.to_zoned(time_zone.clone()).date();
    let (first, step) = first_day(period, today)?;
    let next = first.checked_add(step)?;
    // Midnight by civil time, not by adding hours: where clocks skip midnight the day begins after
    // the gap, where they repeat it the day begins at the first of the two.
    let midnight = |day: Date| Ok(day.to_zoned(time_zone.clone())?.timestamp().as_millisecond());
    midnight(first).and_then(|start| Ok(Span { start, end: midnight(next)? }))
}

fn first_day(period: Period, today: Date) -> Result<(Date, Step), jiff::Error> {
    Ok(match period {
        Period::Day => (today, 1.day()),
        Period::Week => {
            let since_monday = i64::from(today.weekday().to_monday_zero_offset());
            (today.checked_sub(since_monday.days())?, 1.week())
        }
        Period::Month => (today.first_of_month(), 1.month()),
        Period::Quarter => {
            let since_first = i64::from((today.month() - 1) % 3);
            (today.first_of_month().checked_sub(since_first.months())?, 3.months())
        }
        Period::Year => (today.first_of_year(), 1.year()),
    })
}

#[cfg(test)]
mod tests;
