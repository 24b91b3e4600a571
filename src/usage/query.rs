//! What is asked of a roll-up, as `/api/usage` and `sluice usage` write it.

use std::{fmt, str::FromStr};

use jiff::{SignedDuration, Timestamp, civil::Date, tz::TimeZone};
use serde::{Deserialize, Serialize};

use super::{Dimension, UnknownDimension};

/// From when on, where nothing is said.
const SINCE: &str = "7d";
/// The parameters.
const PARAMETERS: &str = "by, since, until and step";

/// What to add up.
#[derive(Clone, Debug, PartialEq)]
pub struct Query {
    /// A row for each combination of these; empty: one row.
    pub by: Vec<Dimension>,
    /// Rounded down to the hour, or to the day where hours are no longer kept.
    pub since: Timestamp,
    /// Rounded up likewise.
    pub until: Timestamp,
    /// How time is cut.
    pub step: Step,
}

/// How time is cut.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Step {
    /// Not at all.
    #[default]
    Total,
    /// Rows for each hour.
    Hour,
    /// Rows for each day, of UTC.
    Day,
}

/// A question that cannot be understood.
#[derive(Debug, thiserror::Error)]
pub enum QueryError {
    /// No such parameter.
    #[error("there is no parameter {0:?}: there are {PARAMETERS}")]
    Parameter(String),
    /// A parameter that was given before.
    #[error("{0} is given twice")]
    Twice(&'static str),
    /// No such dimension.
    #[error("by: {0}")]
    Dimension(#[from] UnknownDimension),
    /// No such step.
    #[error("step: {0:?} is none: there are total, hour and day")]
    Step(String),
    /// No time.
    #[error(
        "{name}: {value:?} is no time: write how long ago (30m, 12h, 7d, 2w), a day (2026-01-31) or \
         a time (2026-01-31T12:00:00Z)"
    )]
    Time {
        /// The parameter.
        name: &'static str,
        /// What was written.
        value: String,
    },
    /// The time ends before it begins.
    #[error("until is not after since")]
    Backwards,
}

impl Step {
    /// The word that stands for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Total => "total",
            Self::Hour => "hour",
            Self::Day => "day",
        }
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Step {
    type Err = QueryError;

    fn from_str(word: &str) -> Result<Self, Self::Err> {
        let found = [Self::Total, Self::Hour, Self::Day].into_iter().find(|s| s.as_str() == word);
        found.ok_or_else(|| QueryError::Step(brief(word)))
    }
}

impl Query {
    /// Reads parameters.
    ///
    /// # Errors
    /// With what there is, where something is not understood.
    pub fn parse<'a>(
        parameters: impl IntoIterator<Item = (&'a str, &'a str)>,
        now: Timestamp,
    ) -> Result<Self, QueryError> {
        let [mut by, mut since, mut until, mut step] = [None; 4];
        for (name, value) in parameters {
            let (place, name) = match name {
                "by" => (&mut by, "by"),
                "since" => (&mut since, "since"),
                "until" => (&mut until, "until"),
                "step" => (&mut step, "step"),
                _ => return Err(QueryError::Parameter(brief(name))),
            };
            if place.replace(value).is_some() {
                return Err(QueryError::Twice(name));
            }
        }
        let query = Self {
            by: dimensions(by.unwrap_or_default())?,
            since: time("since", since.unwrap_or(SINCE), now)?,
            until: until.map_or(Ok(now), |until| time("until", until, now))?,
            step: step.map_or(Ok(Step::Total), str::parse)?,
        };
        if query.until <= query.since {
            return Err(QueryError::Backwards);
        }
        Ok(query)
    }
}

/// `team,model`; each once.
fn dimensions(text: &str) -> Result<Vec<Dimension>, QueryError> {
    let mut dimensions = Vec::new();
    for word in text.split(',').map(str::trim).filter(|word| !word.is_empty()) {
        let dimension = word.parse()?;
        if !dimensions.contains(&dimension) {
            dimensions.push(dimension);
        }
    }
    Ok(dimensions)
}

fn time(name: &'static str, text: &str, now: Timestamp) -> Result<Timestamp, QueryError> {
    let at = ago(text, now).or_else(|| text.parse().ok()).or_else(|| {
        let day: Date = text.parse().ok()?;
        Some(day.to_zoned(TimeZone::UTC).ok()?.timestamp())
    });
    at.ok_or_else(|| QueryError::Time { name, value: brief(text) })
}

/// `7d` before now.
fn ago(text: &str, now: Timestamp) -> Option<Timestamp> {
    let (number, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    let seconds = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 3600,
        "d" => 86_400,
        "w" => 604_800,
        _ => return None,
    };
    let number = number.bytes().all(|byte| byte.is_ascii_digit()).then_some(number)?;
    let ago = number.parse::<i64>().ok()?.checked_mul(seconds)?;
    now.checked_sub(SignedDuration::from_secs(ago)).ok()
}

/// What others wrote, as much of it as an error repeats.
fn brief(text: &str) -> String {
    text.chars().take(64).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(parameters: &[(&str, &str)]) -> Result<Query, QueryError> {
        let now = "2026-03-29T12:30:00Z".parse().unwrap();
        Query::parse(parameters.iter().copied(), now)
    }

    #[test]
    fn all_parameters_are_read() {
        let all = [("by", "team, model,team"), ("since", "48h"), ("until", "1h"), ("step", "hour")];
        let query = parse(&all).unwrap();
        assert_eq!(query.by, [Dimension::Team, Dimension::Model]);
        assert_eq!(query.since.to_string(), "2026-03-27T12:30:00Z");
        assert_eq!(
            (query.until.to_string(), query.step),
            ("2026-03-29T11:30:00Z".into(), Step::Hour)
        );
    }

    #[test]
    fn times_are_ago_or_days_or_moments_of_utc() {
        for (text, time) in [
            ("30m", "2026-03-29T12:00:00Z"),
            ("1w", "2026-03-22T12:30:00Z"),
            ("2026-03-01", "2026-03-01T00:00:00Z"),
            ("2026-03-01T10:00:00+02:00", "2026-03-01T08:00:00Z"),
        ] {
            assert_eq!(parse(&[("since", text)]).unwrap().since.to_string(), time);
        }
        // Seven days, where nothing is said.
        assert_eq!(parse(&[]).unwrap().since.to_string(), "2026-03-22T12:30:00Z");
        for text in ["", "d", "-1d", "1y", "yesterday", "99999999999999999999d", "é", "2026-02-30"]
        {
            let error = parse(&[("since", text)]).unwrap_err();
            assert!(error.to_string().contains("how long ago (30m, 12h, 7d, 2w)"), "{text}");
        }
    }

    #[test]
    fn what_is_not_understood_is_told_what_there_is() {
        for (parameters, words) in [
            (&[("group", "team")][..], "there are by, since, until and step"),
            (&[("by", "team,user")], "there are consumer, app, team"),
            (&[("step", "week")], "there are total, hour and day"),
            (&[("by", "team"), ("by", "app")], "by is given twice"),
            (&[("since", "1h"), ("until", "2h")], "until is not after since"),
        ] {
            let error = parse(parameters).unwrap_err().to_string();
            assert!(error.contains(words), "{error}");
        }
    }
}
