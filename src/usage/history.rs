//! Hours that are over, and the days that old hours become.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

use foldhash::fast::RandomState;

use super::{Combination, Names, Sums};

/// Combinations of names that an hour or a day keeps apart.
pub const MAX_COMBINATIONS: usize = 2000;
/// Days that are kept before today.
pub const DAYS: i64 = 62;
/// Days before today whose hours are kept apart.
const DAYS_OF_HOURS: i64 = 2;

/// Seconds.
pub(super) const HOUR: i64 = 3600;
/// Seconds. Days are those of UTC and have no others.
pub(super) const DAY: i64 = 24 * HOUR;

/// The hour or the day that a time lies in, by its first second.
pub(super) fn start_of(time: i64, period: i64) -> i64 {
    time - time.rem_euclid(period)
}

/// Sums of one hour or day.
pub(super) type Bucket = HashMap<Arc<Combination>, Sums, RandomState>;

/// What a bucket is of.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Period {
    /// One hour.
    Hour,
    /// One day.
    Day,
}

/// The sums of one combination in one hour or day.
#[derive(Clone, Debug, PartialEq)]
pub struct Kept {
    /// Which of them.
    pub period: Period,
    /// Its first second, since 1970.
    pub start: i64,
    /// The names.
    pub combination: Arc<Combination>,
    /// All that was used in it so far.
    pub sums: Sums,
}

/// All that a roll-up keeps.
#[derive(Clone, Debug, Default)]
pub struct Saved {
    /// The second since 1970 from which everything was counted.
    pub since: i64,
    /// Of several for the same combination and time, the last holds.
    pub kept: Vec<Kept>,
}

/// What is over. Buckets are shared, so that who reads them holds no lock for long.
pub(super) struct History {
    /// The hour that is not over.
    pub(super) hour: i64,
    pub(super) since: i64,
    pub(super) hours: BTreeMap<i64, Arc<Bucket>>,
    pub(super) days: BTreeMap<i64, Arc<Bucket>>,
    /// Of hours that are over, what a journal has not got yet.
    pub(super) unwritten: Vec<Kept>,
    /// Whether a journal wants to know.
    pub(super) is_journaled: bool,
    /// Hours have become days: a journal has to be written anew.
    pub(super) is_rolled: bool,
}

impl History {
    pub(super) fn new(now: i64) -> Self {
        Self {
            hour: start_of(now, HOUR),
            since: now,
            hours: BTreeMap::new(),
            days: BTreeMap::new(),
            unwritten: Vec::new(),
            is_journaled: false,
            is_rolled: false,
        }
    }

    /// The first hour that is kept apart.
    pub(super) fn first_hour(&self) -> i64 {
        start_of(self.hour, DAY) - DAYS_OF_HOURS * DAY
    }

    /// Adds to an hour that is over.
    pub(super) fn take(&mut self, hour: i64, combination: Arc<Combination>, sums: Sums) {
        let bucket = self.hours.entry(hour).or_default();
        add(Arc::make_mut(bucket), combination, sums);
    }

    /// Makes days of hours that are old, and forgets days that are.
    pub(super) fn roll(&mut self) {
        let recent = self.hours.split_off(&self.first_hour());
        let old = std::mem::replace(&mut self.hours, recent);
        self.is_rolled |= !old.is_empty();
        for (hour, bucket) in old {
            let day = Arc::make_mut(self.days.entry(start_of(hour, DAY)).or_default());
            for (combination, sums) in bucket.iter() {
                add(day, Arc::clone(combination), *sums);
            }
        }
        let first = start_of(self.hour, DAY) - DAYS * DAY;
        let kept = self.days.split_off(&first);
        self.is_rolled |= !self.days.is_empty();
        self.days = kept;
        self.since = self.since.max(first);
    }
}

/// Adds to a bucket, to `other` once it is full.
fn add(bucket: &mut Bucket, combination: Arc<Combination>, sums: Sums) {
    let mut key = combination;
    if bucket.len() >= MAX_COMBINATIONS && !bucket.contains_key(&key) {
        let other = Arc::new(Combination::from(&Names::OTHER));
        // Which is not one of them itself.
        if bucket.len() > MAX_COMBINATIONS || !bucket.contains_key(&other) {
            key = other;
        }
    }
    *bucket.entry(key).or_default() += sums;
}
