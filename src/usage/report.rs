//! The answer to a question: rows, and the totals of all of them.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, HashMap},
};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{
    Dimension, Names, Period, Query, Rollup, Step, Sums,
    history::{DAY, HOUR, start_of},
    rollup::View,
};

/// Rows of one answer.
const MAX_ROWS: usize = 10_000;

/// What was used.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Report {
    /// The replica that counted.
    pub replica: String,
    /// What the numbers cover: every replica counts for itself.
    pub covers: String,
    /// From when on it has counted everything.
    pub since: Timestamp,
    /// Where the first hour or day of this answer begins.
    pub from: Timestamp,
    /// Where the last one ends.
    pub until: Timestamp,
    /// How time is cut.
    pub step: Step,
    /// The dimensions of the rows.
    pub by: Vec<Dimension>,
    /// By time, then by cost, the dearest first.
    pub rows: Vec<Row>,
    /// All rows together.
    pub totals: Sums,
}

/// One row.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct Row {
    /// Where its hour or day begins, with a step.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub time: Option<Timestamp>,
    /// The name in each dimension; empty where there is none.
    pub of: BTreeMap<String, String>,
    /// What was used.
    #[serde(flatten)]
    pub sums: Sums,
}

/// A question that a roll-up has no answer to.
#[derive(Debug, thiserror::Error)]
pub enum Unanswerable {
    /// Hours have become days.
    #[error("hours are kept since {since}: ask for step=day, or since={since}")]
    NoHours {
        /// The first hour.
        since: Timestamp,
    },
    /// Too many rows.
    #[error(
        "that is more than {MAX_ROWS} rows: ask by fewer dimensions, in larger steps or for a \
         shorter time"
    )]
    TooMany,
}

type Key<'a> = (Option<i64>, Vec<&'a str>);

impl Rollup {
    /// Answers a question.
    ///
    /// # Errors
    /// If hours are asked for that are days by now, or the answer is too long.
    pub fn report(&self, query: &Query, now: Timestamp) -> Result<Report, Unanswerable> {
        let view = self.view(now);
        let (since, until) = (query.since.as_second(), query.until.as_second());
        if query.step == Step::Hour && since < view.first_hour {
            return Err(Unanswerable::NoHours { since: time(view.first_hour) });
        }
        let (groups, totals) = groups(&view, query)?;
        let mut groups: Vec<_> = groups.into_iter().collect();
        groups.sort_by(|((time, names), sums), ((later, others), more)| {
            let size = |sums: &Sums| Reverse((sums.cost, sums.requests));
            (time, size(sums), names).cmp(&(later, size(more), others))
        });
        let row = |((start, names), sums): (Key<'_>, Sums)| Row {
            time: start.map(time),
            of: query
                .by
                .iter()
                .map(ToString::to_string)
                .zip(names.iter().map(ToString::to_string))
                .collect(),
            sums,
        };
        let period = |at| if at < view.first_hour { DAY } else { HOUR };
        Ok(Report {
            replica: String::new(),
            covers: String::new(),
            since: time(view.since),
            from: time(start_of(since, period(since))),
            until: time(start_of(until - 1, period(until - 1)) + period(until - 1)),
            step: query.step,
            by: query.by.clone(),
            rows: groups.into_iter().map(row).collect(),
            totals,
        })
    }
}

/// Sums by time and names.
fn groups<'a>(
    view: &'a View,
    query: &Query,
) -> Result<(HashMap<Key<'a>, Sums>, Sums), Unanswerable> {
    let (mut groups, mut totals) = (HashMap::<Key<'a>, Sums>::new(), Sums::default());
    let (since, until) = (query.since.as_second(), query.until.as_second());
    for (period, start, bucket) in &view.buckets {
        let length = match period {
            Period::Hour => HOUR,
            Period::Day => DAY,
        };
        if start + length <= since || *start >= until {
            continue;
        }
        let time = match query.step {
            Step::Total => None,
            Step::Hour => Some(*start),
            Step::Day => Some(start_of(*start, DAY)),
        };
        for (combination, sums) in bucket.iter() {
            let names: Names<'a> = combination.names();
            let key = (time, query.by.iter().map(|dimension| names.get(*dimension)).collect());
            *groups.entry(key).or_default() += *sums;
            totals += *sums;
            if groups.len() > MAX_ROWS {
                return Err(Unanswerable::TooMany);
            }
        }
    }
    Ok((groups, totals))
}

fn time(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap_or_default()
}
