//! The hour that is not over: where requests add what they used. One look-up and one short lock of a
//! sixteenth of the table for a request; nothing is allocated for names that the hour has seen.

use std::{
    collections::{HashMap, hash_map},
    fmt,
    hash::BuildHasher as _,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use foldhash::fast::RandomState;
use jiff::Timestamp;
use parking_lot::{Mutex, MutexGuard};

use super::{
    Combination, Kept, MAX_COMBINATIONS, Names, Period, Saved, Sums,
    history::{Bucket, HOUR, History, start_of},
};

/// A power of two.
const SHARDS: usize = 16;

/// Adds up what requests use.
pub struct Rollup {
    hasher: RandomState,
    shards: [Mutex<Shard>; SHARDS],
    /// Combinations of this hour, without `other`.
    combinations: AtomicUsize,
    /// Locked before any shard.
    history: Mutex<History>,
}

/// A part of the hour that is not over, by the hash of the names.
struct Shard {
    hour: i64,
    entries: HashMap<u64, Entry, RandomState>,
}

struct Entry {
    combination: Arc<Combination>,
    sums: Sums,
    /// Whether a journal has got these sums.
    is_written: bool,
}

/// What a journal has not got yet.
pub struct Changes {
    /// Whether this is everything, to be written in place of what there is.
    pub is_whole: bool,
    /// What to write.
    pub saved: Saved,
}

/// Buckets by their first second, and what they are of.
pub(super) struct View {
    pub(super) since: i64,
    pub(super) first_hour: i64,
    pub(super) buckets: Vec<(Period, i64, Arc<Bucket>)>,
}

impl fmt::Debug for Rollup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Rollup").field("combinations", &self.combinations).finish_non_exhaustive()
    }
}

impl Rollup {
    /// Counts from now on.
    pub fn new(now: Timestamp) -> Self {
        let history = History::new(now.as_second());
        let hour = history.hour;
        let shard = |_| Mutex::new(Shard { hour, entries: HashMap::default() });
        Self {
            hasher: RandomState::default(),
            shards: std::array::from_fn(shard),
            combinations: AtomicUsize::new(0),
            history: Mutex::new(history),
        }
    }

    /// Goes on from what an earlier process has kept. What was added before is forgotten: call it
    /// before the first request.
    pub fn restore(&self, now: Timestamp, saved: Saved) {
        let mut history = self.history.lock();
        *history = History { since: saved.since, ..History::new(now.as_second()) };
        let next = history.hour + HOUR;
        let is_next = |kept: &Kept| kept.period == Period::Hour && kept.start == next;
        if saved.kept.iter().any(is_next) {
            history.hour = next;
        }
        for kept in saved.kept {
            let buckets = match kept.period {
                Period::Hour => &mut history.hours,
                Period::Day => &mut history.days,
            };
            let bucket = Arc::make_mut(buckets.entry(kept.start).or_default());
            bucket.insert(kept.combination, kept.sums);
        }
        self.combinations.store(0, Ordering::Relaxed);
        for shard in &self.shards {
            *shard.lock() = Shard { hour: history.hour, entries: HashMap::default() };
        }
        self.resume(&mut history);
        history.roll();
    }

    /// Adds what a request used, at its end.
    pub fn add(&self, now: Timestamp, names: &Names<'_>, used: &Sums) {
        let hour = start_of(now.as_second(), HOUR);
        if !self.put(hour, names, used) {
            self.put(hour, &Names::OTHER, used);
        }
    }

    /// Whether the hour has room for these names.
    fn put(&self, hour: i64, names: &Names<'_>, used: &Sums) -> bool {
        let hash = self.hasher.hash_one(names);
        let mut shard = self.shard(hash).lock();
        if is_other_hour(shard.hour, hour) {
            drop(shard);
            drop(self.turn(hour));
            shard = self.shard(hash).lock();
        }
        let is_other = *names == Names::OTHER;
        match shard.entries.entry(hash) {
            hash_map::Entry::Occupied(mut entry) => {
                let entry = entry.get_mut();
                // Two that have the same hash: the second is one of the others.
                if entry.combination.names() != *names && !is_other {
                    return false;
                }
                entry.sums += *used;
                entry.is_written = false;
            }
            hash_map::Entry::Vacant(entry) => {
                if !is_other
                    && self.combinations.fetch_add(1, Ordering::Relaxed) >= MAX_COMBINATIONS
                {
                    self.combinations.fetch_sub(1, Ordering::Relaxed);
                    return false;
                }
                let combination = Arc::new(Combination::from(names));
                entry.insert(Entry { combination, sums: *used, is_written: false });
            }
        }
        true
    }

    fn shard(&self, hash: u64) -> &Mutex<Shard> {
        let bits = SHARDS.trailing_zeros();
        &self.shards[(hash >> (u64::BITS - bits)) as usize]
    }

    /// Makes `hour` the one that is not over.
    fn turn(&self, hour: i64) -> MutexGuard<'_, History> {
        let mut history = self.history.lock();
        if !is_other_hour(history.hour, hour) {
            return history;
        }
        history.hour = hour;
        self.combinations.store(0, Ordering::Relaxed);
        for shard in &self.shards {
            let next = Shard { hour, entries: HashMap::default() };
            let over = std::mem::replace(&mut *shard.lock(), next);
            for Entry { combination, sums, is_written } in over.entries.into_values() {
                if history.is_journaled && !is_written {
                    let combination = Arc::clone(&combination);
                    let kept = Kept { period: Period::Hour, start: over.hour, combination, sums };
                    history.unwritten.push(kept);
                }
                history.take(over.hour, combination, sums);
            }
        }
        self.resume(&mut history);
        history
    }

    /// Goes on in the hour that is not over from what is known of it: after a restart, or where the
    /// clock was set back.
    fn resume(&self, history: &mut History) {
        let known = history.hours.remove(&history.hour).unwrap_or_default();
        for (combination, sums) in known.iter() {
            let hash = self.hasher.hash_one(combination.names());
            let combination = Arc::clone(combination);
            let new = Entry { combination, sums: Sums::default(), is_written: false };
            let mut shard = self.shard(hash).lock();
            let entry = shard.entries.entry(hash).or_insert(new);
            entry.sums += *sums;
            entry.is_written = false;
        }
        self.combinations.fetch_add(known.len(), Ordering::Relaxed);
    }

    /// Makes days of old hours and forgets old days. To be called now and then: requests do not.
    pub fn tidy(&self, now: Timestamp) {
        self.turned(now).roll();
    }

    fn turned(&self, now: Timestamp) -> MutexGuard<'_, History> {
        self.turn(start_of(now.as_second(), HOUR))
    }

    /// What has changed since this was last asked, or everything if `is_whole` or hours have become
    /// days since.
    pub fn changes(&self, now: Timestamp, is_whole: bool) -> Changes {
        let mut history = self.turned(now);
        history.roll();
        let is_whole = is_whole || history.is_rolled || !history.is_journaled;
        (history.is_journaled, history.is_rolled) = (true, false);
        let mut kept = std::mem::take(&mut history.unwritten);
        if is_whole {
            kept = over(&history);
        }
        for shard in &self.shards {
            let mut shard = shard.lock();
            let start = shard.hour;
            for entry in shard.entries.values_mut().filter(|entry| is_whole || !entry.is_written) {
                entry.is_written = true;
                let (combination, sums) = (Arc::clone(&entry.combination), entry.sums);
                kept.push(Kept { period: Period::Hour, start, combination, sums });
            }
        }
        Changes { is_whole, saved: Saved { since: history.since, kept } }
    }

    /// Everything as it is now.
    pub(super) fn view(&self, now: Timestamp) -> View {
        let mut history = self.turned(now);
        history.roll();
        let of = |period, buckets: &std::collections::BTreeMap<i64, Arc<Bucket>>| {
            let all = buckets.iter().map(|(start, bucket)| (period, *start, Arc::clone(bucket)));
            all.collect::<Vec<_>>()
        };
        let mut buckets = of(Period::Day, &history.days);
        buckets.extend(of(Period::Hour, &history.hours));
        let mut live = Bucket::default();
        for shard in &self.shards {
            let shard = shard.lock();
            let entries = shard.entries.values();
            live.extend(entries.map(|entry| (Arc::clone(&entry.combination), entry.sums)));
        }
        buckets.push((Period::Hour, history.hour, Arc::new(live)));
        View { since: history.since, first_hour: history.first_hour(), buckets }
    }
}

/// Whether a request that ends in `hour` belongs to another one than that which is not over. Requests
/// that end at the same moment may disagree about it, and clocks are set back a little: they go on in the
/// hour that they had come to.
fn is_other_hour(live: i64, hour: i64) -> bool {
    hour > live || hour < live - HOUR
}

/// All hours and days that are over.
fn over(history: &History) -> Vec<Kept> {
    let days = history.days.iter().map(|(start, bucket)| (Period::Day, start, bucket));
    let hours = history.hours.iter().map(|(start, bucket)| (Period::Hour, start, bucket));
    let kept = |(period, start, bucket): (Period, &i64, &Arc<Bucket>)| {
        let one = |(combination, sums): (&Arc<Combination>, &Sums)| Kept {
            period,
            start: *start,
            combination: Arc::clone(combination),
            sums: *sums,
        };
        bucket.iter().map(one).collect::<Vec<_>>()
    };
    days.chain(hours).flat_map(kept).collect()
}
