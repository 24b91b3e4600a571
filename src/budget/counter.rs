//! One limit's count for one subject: what is used and reserved in the present window. Knows
//! nothing of locks or of other counters.

use std::sync::Arc;

use jiff::tz::TimeZone;

use super::plan::{Limit, Unit};
use super::sliding::{Sliding, Slot};
use super::window::{Period, Span, Window};

/// How far the clock may step back over the start of a period without reopening the one before:
/// corrections of clocks are smaller, wrong clocks are usually wrong by more.
const CLOCK_STEP_BACK: i64 = 3_600_000;

/// The longest slot of a sliding window, in milliseconds: a sixtieth of a day.
const LONGEST_SLOT: i64 = 24 * 60 * 1000;

#[derive(Debug)]
pub(super) struct Counter {
    /// Tells the counters of an account apart, also those of former limits.
    pub(super) serial: u32,
    pub(super) name: Arc<str>,
    pub(super) unit: Unit,
    /// Wider than an amount, so that adding and taking away never loses anything.
    reserved: u128,
    /// Counts calendar periods: what was reserved in a former one is not of this one.
    epoch: u32,
    meter: Meter,
}

#[derive(Debug)]
enum Meter {
    Sliding(Sliding),
    Calendar(Calendar),
    /// Counts what is reserved and nothing else.
    Present,
}

#[derive(Debug)]
struct Calendar {
    period: Period,
    time_zone: TimeZone,
    span: Span,
    used: u64,
}

/// What one reservation holds of one counter.
#[derive(Debug, Clone, Copy)]
pub(super) struct Held {
    pub(super) serial: u32,
    epoch: u32,
    pub(super) unit: Unit,
    pub(super) amount: u64,
}

/// What a checkpoint keeps of a counter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Record {
    Sliding(Vec<Slot>),
    Calendar(Span, u64),
}

impl Counter {
    pub(super) fn new(limit: &Limit, serial: u32, now: i64) -> Self {
        let meter = match &limit.window {
            Window::Present => Meter::Present,
            Window::Sliding { length } => Meter::Sliding(Sliding::new(*length)),
            Window::Calendar { period, time_zone } => Meter::Calendar(Calendar {
                period: *period,
                time_zone: time_zone.clone(),
                span: Span::of(*period, time_zone, now),
                used: 0,
            }),
        };
        let (name, unit) = (Arc::clone(&limit.name), limit.unit);
        Self { serial, name, unit, reserved: 0, epoch: 0, meter }
    }

    /// Whether this is the count of `limit`: the same name, unit and kind of window. Amount,
    /// length, period and time zone may change and the count goes on.
    pub(super) fn counts(&self, limit: &Limit) -> bool {
        let same_kind = matches!(
            (&self.meter, &limit.window),
            (Meter::Sliding(_), Window::Sliding { .. })
                | (Meter::Calendar(_), Window::Calendar { .. })
                | (Meter::Present, Window::Present)
        );
        same_kind && self.unit == limit.unit && self.name == limit.name
    }

    /// Goes on as the count of `limit`, whose sliding window was made a calendar one: what was used
    /// in the present period is known of it, slot by slot. The other way round nothing is: when in a
    /// period something was used is not remembered.
    pub(super) fn follow(&mut self, limit: &Limit, now: i64) -> bool {
        let (Meter::Sliding(sliding), Window::Calendar { period, time_zone }) =
            (&mut self.meter, &limit.window)
        else {
            return false;
        };
        if self.unit != limit.unit || self.name != limit.name {
            return false;
        }
        sliding.expire(now);
        let span = Span::of(*period, time_zone, now);
        let used = sliding.used_since(span.start);
        let (period, time_zone) = (*period, time_zone.clone());
        self.meter = Meter::Calendar(Calendar { period, time_zone, span, used });
        true
    }

    /// Brings the count to the window as it is defined and to the present.
    pub(super) fn align(&mut self, window: &Window, now: i64) {
        match (&mut self.meter, window) {
            (Meter::Sliding(sliding), Window::Sliding { length }) => sliding.align(*length, now),
            (Meter::Calendar(calendar), Window::Calendar { period, time_zone }) => {
                let redefined =
                    calendar.period != *period || !is_same_zone(&calendar.time_zone, time_zone);
                if redefined {
                    calendar.period = *period;
                    calendar.time_zone = time_zone.clone();
                }
                self.turn(redefined, now);
            }
            _ => {}
        }
    }

    /// Brings the count to the present by its last known window.
    pub(super) fn expire(&mut self, now: i64) {
        match &mut self.meter {
            Meter::Sliding(sliding) => sliding.expire(now),
            Meter::Calendar(_) => self.turn(false, now),
            Meter::Present => {}
        }
    }

    /// Moves a calendar count to the period of `now`. What was used is kept if most of the
    /// former window lies in the new one (the zone changed, a day became a month), or if the
    /// clock was set back; else the count starts from zero.
    fn turn(&mut self, redefined: bool, now: i64) {
        let Meter::Calendar(calendar) = &mut self.meter else { return };
        let old = calendar.span;
        let current = old.start.saturating_sub(CLOCK_STEP_BACK) <= now && now < old.end;
        if current && !redefined {
            return;
        }
        let new = Span::of(calendar.period, &calendar.time_zone, now);
        calendar.span = new;
        if now < old.start || (redefined && old.is_mostly_within(&new)) {
            return;
        }
        calendar.used = 0;
        if now >= old.end {
            self.reserved = 0;
            self.epoch = self.epoch.wrapping_add(1);
        }
    }

    pub(super) fn used(&self) -> u64 {
        match &self.meter {
            Meter::Sliding(sliding) => sliding.used(),
            Meter::Calendar(calendar) => calendar.used,
            Meter::Present => 0,
        }
    }

    /// Used and reserved, as people are told: where only calls under way count, these are its use.
    pub(super) fn shown(&self) -> (u64, u64) {
        match &self.meter {
            Meter::Present => (self.reserved(), 0),
            _ => (self.used(), self.reserved()),
        }
    }

    pub(super) fn reserved(&self) -> u64 {
        u64::try_from(self.reserved).unwrap_or(u64::MAX)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.reserved == 0 && self.used() == 0
    }

    /// How much of `amount` does not fit under `most`. Nothing always fits.
    pub(super) fn excess(&self, amount: u64, most: u64) -> u128 {
        if amount == 0 {
            return 0;
        }
        let total = u128::from(self.used()) + self.reserved + u128::from(amount);
        total.saturating_sub(u128::from(most))
    }

    pub(super) fn reserve(&mut self, amount: u64) -> Held {
        self.reserved += u128::from(amount);
        Held { serial: self.serial, epoch: self.epoch, unit: self.unit, amount }
    }

    /// Ends a reservation: takes `held` away and counts `used`. A calendar count takes it in the
    /// period in which it was reserved, so nothing if that is over; a sliding one takes it now.
    pub(super) fn settle(&mut self, held: &Held, used: u64, now: i64) {
        if held.epoch != self.epoch {
            return;
        }
        self.reserved = self.reserved.saturating_sub(u128::from(held.amount));
        match &mut self.meter {
            Meter::Sliding(sliding) => sliding.charge(used, now),
            Meter::Calendar(calendar) => calendar.used = calendar.used.saturating_add(used),
            Meter::Present => {}
        }
    }

    /// When nothing of what counts now counts any more. `None`: nothing is used in a sliding
    /// window, or only calls under way count, whose end nobody knows.
    pub(super) fn resets_at(&self) -> Option<i64> {
        match &self.meter {
            Meter::Sliding(sliding) => sliding.empty_at(),
            Meter::Calendar(calendar) => Some(calendar.span.end),
            Meter::Present => None,
        }
    }

    /// When `excess` more would fit at the earliest, as far as that is known.
    pub(super) fn frees_at(&self, excess: u128) -> Option<i64> {
        match &self.meter {
            Meter::Sliding(sliding) => sliding.frees_at(excess),
            Meter::Calendar(calendar) => Some(calendar.span.end),
            Meter::Present => None,
        }
    }

    /// The length of a sliding window, in milliseconds.
    pub(super) fn sliding_length(&self) -> Option<i64> {
        match &self.meter {
            Meter::Sliding(sliding) => Some(sliding.length()),
            Meter::Calendar(_) | Meter::Present => None,
        }
    }

    /// What is used, in at most `slots` slots where it slides; `None` if no restart should know.
    pub(super) fn record(&self, slots: usize) -> Option<Record> {
        Some(match &self.meter {
            Meter::Sliding(sliding) => Record::Sliding(sliding.coarse(slots)),
            Meter::Calendar(calendar) => Record::Calendar(calendar.span, calendar.used),
            Meter::Present => return None,
        })
    }

    /// Adds what `record` counts in the present window beyond `known`, an earlier record of the
    /// same counter that is part of this count. Never lowers.
    pub(super) fn add(&mut self, record: &Record, known: Option<&Record>, now: i64) {
        match (&mut self.meter, record) {
            (Meter::Sliding(sliding), Record::Sliding(slots)) => {
                let known = match known {
                    Some(Record::Sliding(slots)) => slots.as_slice(),
                    _ => &[],
                };
                sliding.add(slots, known, now);
            }
            (Meter::Calendar(calendar), Record::Calendar(span, used))
                if now < span.start || span.is_mostly_within(&calendar.span) =>
            {
                let known = match known {
                    Some(Record::Calendar(earlier, used)) if is_same_period(earlier, span) => *used,
                    Some(Record::Sliding(slots)) => used_within(slots, span),
                    _ => 0,
                };
                let missing = used.saturating_sub(known);
                calendar.used = calendar.used.saturating_add(missing);
            }
            // Written before the window was made a calendar one.
            (Meter::Calendar(calendar), Record::Sliding(slots)) => {
                let known = match known {
                    Some(Record::Sliding(slots)) => used_within(slots, &calendar.span),
                    _ => 0,
                };
                let missing = used_within(slots, &calendar.span).saturating_sub(known);
                calendar.used = calendar.used.saturating_add(missing);
            }
            _ => {}
        }
    }
}

/// What these slots count in a period, and may count: a slot at its edge counts as a whole.
fn used_within(slots: &[Slot], span: &Span) -> u64 {
    let last = span.end.saturating_add(LONGEST_SLOT);
    let within = slots.iter().filter(|slot| span.start < slot.until && slot.until <= last);
    within.fold(0, |sum: u64, slot| sum.saturating_add(slot.used))
}

/// Whether what was counted in one span went on to be counted in the other: the same period, or
/// one whose zone or length was edited.
fn is_same_period(one: &Span, other: &Span) -> bool {
    one.is_mostly_within(other) || other.is_mostly_within(one)
}

fn is_same_zone(one: &TimeZone, other: &TimeZone) -> bool {
    match (one.iana_name(), other.iana_name()) {
        // Equality of time zones checks their whole tables, too dear for each call.
        (Some(one), Some(other)) => one == other,
        _ => one == other,
    }
}
