//! What one call holds of its budgets until it is settled. Owns that this happens exactly once.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::account::Account;
use super::counter::Held;
use super::ledger::Ledger;
use super::plan::{Amounts, Demand};

/// The part of a reservation that outlives its holder.
#[derive(Debug)]
pub(super) struct Hold {
    pub(super) id: u64,
    /// Milliseconds since 1970.
    pub(super) expires_at: i64,
    pub(super) entries: Vec<Entry>,
    pub(super) is_ended: AtomicBool,
}

/// What is held for one demand.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) account: Arc<Account>,
    pub(super) demand: Demand,
    pub(super) held: Vec<Held>,
}

impl Hold {
    /// Settles each entry by `used`, unless that has happened: whether it was this call.
    pub(super) fn end(
        &self,
        ledger: &Ledger,
        mut used: impl FnMut(usize, &Demand) -> Amounts,
    ) -> bool {
        if self.is_ended.swap(true, Ordering::AcqRel) {
            return false;
        }
        for (index, entry) in self.entries.iter().enumerate() {
            let used = used(index, &entry.demand);
            let mut state = entry.account.lock();
            state.settle(&entry.held, &used, ledger.now());
        }
        true
    }
}

/// What a call holds of its budgets. It ends exactly once: by [`Self::settle_with`], by
/// [`Self::release`], by being dropped, or when its time to live is over; the last two charge
/// what was reserved, because the call may have used it all and must not be had for nothing.
///
/// A calendar window is charged in the period in which the reservation was made, also when it is
/// settled in the next one: there it was admitted. A sliding window is charged at settlement.
#[derive(Debug)]
#[must_use = "dropping a reservation charges all of it"]
pub struct Reservation {
    ledger: Arc<Ledger>,
    hold: Arc<Hold>,
}

impl Reservation {
    pub(super) fn new(ledger: Arc<Ledger>, hold: Arc<Hold>) -> Self {
        Self { ledger, hold }
    }

    /// What was demanded, in the order in which it was.
    #[cfg(test)]
    pub(crate) fn demands(&self) -> impl ExactSizeIterator<Item = &Demand> {
        self.hold.entries.iter().map(|entry| &entry.demand)
    }

    /// Charges what was used, by index of the demand; a demand without an entry is charged what
    /// it reserved.
    #[cfg(test)]
    pub(crate) fn settle(self, used: &[Amounts]) -> bool {
        self.settle_with(|index, demand| used.get(index).copied().unwrap_or(demand.amounts))
    }

    /// Charges what `used` says for each demand and its index. More than was reserved is charged in
    /// full, even past the limit: it is spent.
    ///
    /// False if the reservation had already ended by its time to live: then it stays charged
    /// what was reserved.
    pub fn settle_with(self, used: impl FnMut(usize, &Demand) -> Amounts) -> bool {
        self.end(used)
    }

    /// Charges the same to every demand. Otherwise as [`Self::settle_with`].
    pub fn settle_all(self, used: Amounts) -> bool {
        self.settle_with(|_, _| used)
    }

    /// Charges nothing: the call never reached a provider. Otherwise as [`Self::settle_with`].
    pub fn release(self) -> bool {
        self.settle_all(Amounts::default())
    }

    fn end(&self, used: impl FnMut(usize, &Demand) -> Amounts) -> bool {
        let is_first = self.hold.end(&self.ledger, used);
        self.ledger.forget(self.hold.id);
        is_first
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        // Settled ones come by here too and have nothing left to end.
        if !self.hold.is_ended.load(Ordering::Acquire) {
            self.end(|_, demand| demand.amounts);
        }
    }
}
