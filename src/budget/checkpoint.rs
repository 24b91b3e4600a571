//! What a budget's counters become in its status, and back. Owns the format; bounded in size, so
//! that the object stays far below what the API server stores.

use std::cmp::Reverse;
use std::collections::HashMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::account::Account;
use super::counter::Record;
use super::ledger::Ledger;
use super::plan::{BudgetPlan, Limit, Unit};
use super::sliding::Slot;
use super::window::Span;

/// Counters in a checkpoint: those with the largest part of their limit used. Counters beyond
/// it start from zero after a restart.
pub const MAX_CHECKPOINT_COUNTERS: usize = 2000;

/// Bytes of JSON that a checkpoint has at most: less than the 524,288 characters that the CRD
/// admits, and less than half of what etcd stores of an object once its quotes are escaped.
pub const MAX_CHECKPOINT_BYTES: usize = 500_000;
/// Bytes around the counters, and between two of them.
const FRAME: usize = r#"{"c":[]}"#.len();
const COMMA: usize = 1;

/// Slots in which a checkpoint keeps a sliding window. After a restart something used may count
/// for a sixth of the window longer than without.
const SLOTS: usize = 6;

/// The counters of one budget at one moment. What calls in flight had reserved is written as
/// used: if the process dies, nobody will tell what they used. All numbers fit in a signed
/// 64-bit integer.
#[derive(Debug, Default, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Checkpoint {
    /// At most [`MAX_CHECKPOINT_COUNTERS`].
    #[serde(rename = "c", default, skip_serializing_if = "Vec::is_empty")]
    pub counters: Vec<Mark>,
}

/// One counter with something used.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mark {
    /// Name of the limit.
    #[serde(rename = "l")]
    pub limit: Arc<str>,
    /// What it counts.
    #[serde(rename = "n")]
    pub unit: Unit,
    /// Whose it is; empty for the one pool.
    #[serde(rename = "s", default = "no_subject", skip_serializing_if = "is_empty")]
    pub subject: Arc<str>,
    /// It is the one that subjects without room share.
    #[serde(rename = "o", default, skip_serializing_if = "std::ops::Not::not")]
    pub is_overflow: bool,
    /// Of a calendar window: start and end in milliseconds since 1970, used.
    #[serde(rename = "p", default, skip_serializing_if = "Option::is_none")]
    pub period: Option<(i64, i64, u64)>,
    /// Of a sliding window: when each slot ended in milliseconds since 1970, used in it.
    #[serde(rename = "b", default, skip_serializing_if = "Vec::is_empty")]
    pub slots: Vec<(i64, u64)>,
}

impl Ledger {
    /// The counters of `plan` that hold something.
    pub fn checkpoint(&self, plan: &BudgetPlan) -> Checkpoint {
        let accounts = self.book(plan).map(|book| book.accounts()).unwrap_or_default();
        let mut marks: Vec<(Reverse<u128>, Mark)> = Vec::new();
        for account in accounts {
            self.mark(&account, plan, &mut marks);
        }
        marks.sort_by(|(a, one), (b, other)| {
            a.cmp(b).then_with(|| (&one.subject, &one.limit).cmp(&(&other.subject, &other.limit)))
        });
        let mut bytes = FRAME;
        let fits = |mark: &Mark| {
            bytes = bytes.saturating_add(mark.bytes() + COMMA);
            bytes <= MAX_CHECKPOINT_BYTES
        };
        let counters = marks.into_iter().map(|(_, mark)| mark).take(MAX_CHECKPOINT_COUNTERS);
        Checkpoint { counters: counters.take_while(fits).collect() }
    }

    /// Adds what `checkpoint` counts beyond the record that this ledger knows already, by an
    /// earlier call or by [`Self::recorded`], in windows that still run. So restoring twice counts
    /// nothing twice, and what another process has counted meanwhile comes on top of what was
    /// counted here. Never lowers a counter.
    pub fn restore(&self, plan: &BudgetPlan, checkpoint: &Checkpoint) {
        if checkpoint.counters.is_empty() && self.book(plan).is_none() {
            return;
        }
        let book = self.book_or_new(plan);
        let known = std::mem::replace(&mut *book.record.lock(), checkpoint.clone());
        let known: HashMap<_, _> = known.counters.iter().map(|mark| (mark.key(), mark)).collect();
        // The shared account last: once it exists, new subjects are sent to it.
        let (shared, own): (Vec<_>, Vec<_>) =
            checkpoint.counters.iter().partition(|m| m.is_overflow);
        for mark in own.into_iter().chain(shared) {
            let Some(record) = mark.record() else { continue };
            let Some(limit) = plan.limits.iter().find(|limit| mark.is_of(limit)) else { continue };
            let known = known.get(&mark.key()).and_then(|mark| mark.record());
            loop {
                let account = match mark.is_overflow {
                    true => self.overflow_of(&book),
                    false => self.account_of(&book, &mark.subject),
                };
                let mut state = account.lock();
                if state.is_dropped {
                    continue;
                }
                let now = self.now();
                if let Some(counter) = state.counter_or_new(limit, now) {
                    counter.add(&record, known.as_ref(), now);
                }
                break;
            }
        }
    }

    /// Notes that the record is now `checkpoint`, all of which is counted here.
    pub fn recorded(&self, plan: &BudgetPlan, checkpoint: Checkpoint) {
        if let Some(book) = self.book(plan) {
            *book.record.lock() = checkpoint;
        }
    }

    fn mark(&self, account: &Account, plan: &BudgetPlan, marks: &mut Vec<(Reverse<u128>, Mark)>) {
        let mut state = account.lock();
        let now = self.now();
        for limit in &plan.limits {
            let Some(counter) = state.counter(limit, now).filter(|c| !c.is_empty()) else {
                continue;
            };
            let Some(record) = counter.record(SLOTS) else { continue };
            let reserved = storable(counter.reserved());
            let mut mark = Mark {
                limit: Arc::clone(&limit.name),
                unit: limit.unit,
                subject: Arc::clone(&account.subject),
                is_overflow: account.is_overflow,
                period: None,
                slots: Vec::new(),
            };
            match record {
                Record::Calendar(span, used) => {
                    let used = storable(used.saturating_add(reserved));
                    mark.period = Some((span.start, span.end, used));
                }
                Record::Sliding(slots) => {
                    mark.slots = slots.iter().map(|s| (s.until, storable(s.used))).collect();
                    // What is in flight counts from the present at the earliest.
                    let in_flight = Some((now.saturating_add(1), reserved));
                    mark.slots.extend(in_flight.filter(|_| reserved > 0));
                }
            }
            let total = u128::from(counter.used()) + u128::from(reserved);
            marks.push((Reverse(total * 1_000_000 / u128::from(limit.amount.max(1))), mark));
        }
    }
}

impl Mark {
    fn key(&self) -> (&str, Unit, &str, bool) {
        (&self.limit, self.unit, &self.subject, self.is_overflow)
    }

    fn is_of(&self, limit: &Limit) -> bool {
        self.unit == limit.unit && self.limit == limit.name
    }

    /// `None` if it says nothing, as when someone edited the status by hand.
    fn record(&self) -> Option<Record> {
        if let Some((start, end, used)) = self.period {
            return (start < end).then_some(Record::Calendar(Span { start, end }, used));
        }
        let slots: Vec<Slot> =
            self.slots.iter().map(|&(until, used)| Slot { until, used }).collect();
        (!slots.is_empty()).then_some(Record::Sliding(slots))
    }

    /// Its length as JSON, counted: callers choose subjects, and some characters become six bytes.
    fn bytes(&self) -> usize {
        let mut count = Count(0);
        // Plain structs with string keys always serialise.
        let _ = serde_json::to_writer(&mut count, self);
        count.0
    }
}

/// Takes bytes and keeps their number.
struct Count(usize);

impl std::io::Write for Count {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0 += bytes.len();
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

fn storable(amount: u64) -> u64 {
    amount.min(i64::MAX as u64)
}

fn no_subject() -> Arc<str> {
    "".into()
}

fn is_empty(subject: &str) -> bool {
    subject.is_empty()
}
