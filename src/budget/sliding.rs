//! The count of a sliding window in at most [`SLOTS`] slots. Errs only towards refusing: a slot
//! stays until all of its time is outside the window, so what was used counts for at most one
//! sixtieth of the window longer than the window.

use std::collections::VecDeque;
use std::time::Duration;

/// Slots in which a window is counted.
pub(super) const SLOTS: i64 = 60;
/// Slots kept at most, where windows of changed length leave slots of other widths.
const MAX_SLOTS: usize = 2 * SLOTS as usize;

/// What was used up to `until` (milliseconds since 1970, excluded).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Slot {
    pub(super) until: i64,
    pub(super) used: u64,
}

#[derive(Debug)]
pub(super) struct Sliding {
    length: i64,
    /// Oldest first, `until` strictly rising.
    slots: VecDeque<Slot>,
}

impl Sliding {
    pub(super) fn new(length: Duration) -> Self {
        Self { length: milliseconds(length), slots: VecDeque::new() }
    }

    /// Drops what is outside of a window of `length` that ends now.
    pub(super) fn align(&mut self, length: Duration, now: i64) {
        self.length = milliseconds(length);
        self.expire(now);
    }

    pub(super) fn expire(&mut self, now: i64) {
        while self.slots.front().is_some_and(|slot| self.leaves_at(slot) <= now) {
            self.slots.pop_front();
        }
        // A clock that was set back: what it stamped in the future was used by now at the latest.
        let latest = self.slot_end(now);
        while self.slots.back().is_some_and(|slot| slot.until > latest) {
            let Some(slot) = self.slots.pop_back() else { break };
            let from_future = |newest: &Slot| newest.until >= latest;
            match self.slots.back_mut().filter(|newest| from_future(newest)) {
                Some(newest) => newest.used = newest.used.saturating_add(slot.used),
                None => self.slots.push_back(Slot { until: latest, used: slot.used }),
            }
        }
    }

    pub(super) fn charge(&mut self, used: u64, now: i64) {
        if used == 0 {
            return;
        }
        self.expire(now);
        let until = self.slot_end(now);
        match self.slots.back_mut().filter(|newest| newest.until >= until) {
            Some(newest) => newest.used = newest.used.saturating_add(used),
            None => self.slots.push_back(Slot { until, used }),
        }
        self.compact(MAX_SLOTS);
    }

    pub(super) fn used(&self) -> u64 {
        self.slots.iter().fold(0, |sum: u64, slot| sum.saturating_add(slot.used))
    }

    /// What was used after `start`, and what may have been: a slot counts as a whole.
    pub(super) fn used_since(&self, start: i64) -> u64 {
        let since = self.slots.iter().filter(|slot| slot.until > start);
        since.fold(0, |sum: u64, slot| sum.saturating_add(slot.used))
    }

    /// When everything counted now will have left; `None` if nothing is counted.
    pub(super) fn empty_at(&self) -> Option<i64> {
        self.slots.back().map(|slot| self.leaves_at(slot))
    }

    /// When at least `amount` will have left, or all there is.
    pub(super) fn frees_at(&self, amount: u128) -> Option<i64> {
        let mut freed = 0_u128;
        let enough = self.slots.iter().find(|slot| {
            freed += u128::from(slot.used);
            freed >= amount
        });
        enough.map(|slot| self.leaves_at(slot)).or_else(|| self.empty_at())
    }

    pub(super) fn length(&self) -> i64 {
        self.length
    }

    /// At most `count` slots that err towards refusing as the slots themselves do.
    pub(super) fn coarse(&self, count: usize) -> Vec<Slot> {
        let slots: Vec<Slot> = self.slots.iter().copied().collect();
        let merge = |group: &[Slot]| Slot {
            until: group.last().map_or(0, |slot| slot.until),
            used: group.iter().fold(0, |sum: u64, slot| sum.saturating_add(slot.used)),
        };
        slots.chunks(slots.len().div_ceil(count.max(1)).max(1)).map(merge).collect()
    }

    /// Takes in slots counted elsewhere, less what of them is `known` to be counted here; the
    /// newest first, because those stay longest.
    pub(super) fn add(&mut self, slots: &[Slot], known: &[Slot], now: i64) {
        let latest = self.slot_end(now);
        let sum = |slots: &mut dyn Iterator<Item = &Slot>| -> u128 {
            slots.map(|slot| u128::from(slot.used)).sum()
        };
        let known = sum(&mut known.iter().filter(|slot| self.leaves_at(slot) > now));
        let live = slots.iter().filter(|slot| self.leaves_at(slot) > now).copied();
        let mut live: Vec<Slot> =
            live.map(|slot| Slot { until: slot.until.min(latest), ..slot }).collect();
        live.sort_by_key(|slot| std::cmp::Reverse(slot.until));
        let missing = sum(&mut live.iter()).saturating_sub(known);
        let mut missing = u64::try_from(missing).unwrap_or(u64::MAX);
        for slot in live {
            let used = slot.used.min(missing);
            missing -= used;
            self.insert(Slot { used, ..slot });
        }
        self.compact(MAX_SLOTS);
    }

    fn insert(&mut self, slot: Slot) {
        if slot.used == 0 {
            return;
        }
        let at = self.slots.partition_point(|other| other.until < slot.until);
        match self.slots.get_mut(at).filter(|other| other.until == slot.until) {
            Some(other) => other.used = other.used.saturating_add(slot.used),
            None => self.slots.insert(at, slot),
        }
    }

    fn compact(&mut self, most: usize) {
        while self.slots.len() > most {
            let Some(oldest) = self.slots.pop_front() else { return };
            if let Some(next) = self.slots.front_mut() {
                next.used = next.used.saturating_add(oldest.used);
            }
        }
    }

    fn leaves_at(&self, slot: &Slot) -> i64 {
        slot.until.saturating_add(self.length)
    }

    /// The end of the slot that `now` falls into.
    fn slot_end(&self, now: i64) -> i64 {
        let width = (self.length / SLOTS).max(1);
        now.div_euclid(width).saturating_add(1).saturating_mul(width)
    }
}

fn milliseconds(length: Duration) -> i64 {
    // Rounded up: a window is never shorter than was asked for.
    i64::try_from(length.as_nanos().div_ceil(1_000_000))
        .unwrap_or(i64::MAX / 4)
        .clamp(1, i64::MAX / 4)
}

#[cfg(test)]
mod tests {
    use proptest::{prop_assert, proptest};

    use super::*;

    proptest! {
        #[test]
        fn counts_at_least_the_window_and_at_most_one_slot_more(
            length in 1_i64..200_000,
            steps in proptest::collection::vec((0_i64..20_000, 0_u64..100), 1..200),
        ) {
            let duration = Duration::from_millis(length.unsigned_abs());
            let (mut sliding, mut now) = (Sliding::new(duration), 1_700_000_000_000);
            let mut events = Vec::new();
            for (pause, used) in steps {
                now += pause;
                sliding.align(duration, now);
                sliding.charge(used, now);
                events.push((now, used));
                let since = |start: i64| -> u64 {
                    events.iter().filter(|(at, _)| *at >= start).map(|(_, used)| used).sum()
                };
                let slot = (length / SLOTS).max(1);
                prop_assert!(sliding.used() >= since(now - length));
                prop_assert!(sliding.used() <= since(now - length - slot));
                prop_assert!(sliding.slots.len() <= MAX_SLOTS);
            }
        }
    }

    #[test]
    fn windows_that_grow_again_and_again_stay_bounded() {
        let mut sliding = Sliding::new(Duration::from_secs(1));
        let mut now = 1_700_000_000_000;
        for n in 0..2000 {
            now += 20;
            sliding.align(Duration::from_secs(1 + n), now);
            sliding.charge(1, now);
        }
        assert_eq!(sliding.used(), 2000);
        assert!(sliding.slots.len() <= MAX_SLOTS);
    }

    #[test]
    fn what_is_taken_in_is_taken_from_the_newest_slots() {
        let mut sliding = Sliding::new(Duration::from_secs(60));
        let slots = [Slot { until: 1000, used: 10 }, Slot { until: 31_000, used: 10 }];
        sliding.add(&slots, &[Slot { until: 1000, used: 8 }], 32_000);
        assert_eq!((sliding.used(), sliding.empty_at()), (12, Some(91_000)));
        sliding.expire(61_000);
        assert_eq!(sliding.used(), 10);
        // What has left the window meanwhile is known no more.
        sliding.add(&slots, &slots[..1], 61_000);
        assert_eq!(sliding.used(), 20);
    }

    #[test]
    fn coarse_slots_keep_the_sum_and_the_latest_end() {
        let mut sliding = Sliding::new(Duration::from_secs(60));
        for second in 0..50 {
            sliding.charge(2, second * 1000);
        }
        let coarse = sliding.coarse(6);
        assert!(coarse.len() <= 6);
        assert_eq!(coarse.iter().map(|slot| slot.used).sum::<u64>(), 100);
        assert_eq!(coarse.last().map(|slot| slot.until), Some(50_000));
    }
}
