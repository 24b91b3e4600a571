//! All accounts of one budget, found by subject. Owns the cap on their number: an account that
//! holds something is never dropped, so no subject gets its amount back before its time.

use std::collections::HashMap;
use std::hash::BuildHasher;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use foldhash::fast::RandomState;
use parking_lot::{Mutex, RwLock};

use super::account::{Account, Refusals};
use super::checkpoint::Checkpoint;
use super::plan::MAX_SUBJECT_BYTES;

/// Parts of a map that are locked apart.
const SHARDS: usize = 16;
/// Milliseconds between two searches of a full book for accounts to drop.
const SEARCH_INTERVAL: i64 = 1000;
/// Accounts that are dropped before the next new subject is let in.
const BATCH: usize = 256;

/// A map in parts, so that requests rarely wait for one another to look something up.
#[derive(Debug)]
pub(super) struct Shards<V> {
    /// Chooses the part; inside of it keys are hashed in the way that nobody can make collide.
    hasher: RandomState,
    maps: [RwLock<HashMap<Arc<str>, Arc<V>>>; SHARDS],
}

impl<V> Default for Shards<V> {
    fn default() -> Self {
        Self { hasher: RandomState::default(), maps: std::array::from_fn(|_| RwLock::default()) }
    }
}

impl<V> Shards<V> {
    pub(super) fn get(&self, key: &str) -> Option<Arc<V>> {
        self.map(key).read().get(key).cloned()
    }

    pub(super) fn get_or_insert(&self, key: &Arc<str>, make: impl FnOnce() -> V) -> Arc<V> {
        let mut map = self.map(key).write();
        Arc::clone(map.entry(Arc::clone(key)).or_insert_with(|| Arc::new(make())))
    }

    pub(super) fn values(&self) -> Vec<Arc<V>> {
        self.maps.iter().flat_map(|map| map.read().values().cloned().collect::<Vec<_>>()).collect()
    }

    pub(super) fn remove(&self, key: &str) {
        self.map(key).write().remove(key);
    }

    pub(super) fn retain(&self, mut keep: impl FnMut(&str) -> bool) {
        self.maps.iter().for_each(|map| map.write().retain(|key, _| keep(key)));
    }

    fn map(&self, key: &str) -> &RwLock<HashMap<Arc<str>, Arc<V>>> {
        // The remainder is always within bounds.
        &self.maps[(self.hasher.hash_one(key) % SHARDS as u64) as usize]
    }
}

#[derive(Debug)]
pub(super) struct Book {
    accounts: Shards<Account>,
    admission: Mutex<Admission>,
    pub(super) refusals: Arc<Refusals>,
    /// What the record outside of this process held when it was last read or written: part of
    /// these counters.
    pub(super) record: Mutex<Checkpoint>,
    max_subjects: usize,
}

/// Taken to admit a new subject or to drop accounts, never while an account is locked.
#[derive(Debug, Default)]
struct Admission {
    count: usize,
    /// While it exists all new subjects share it: a subject must not find fresh counters while
    /// something it used is counted here.
    overflow: Option<Arc<Account>>,
    next_search: Option<i64>,
}

impl Book {
    pub(super) fn new(max_subjects: usize) -> Self {
        Self {
            accounts: Shards::default(),
            admission: Mutex::default(),
            refusals: Arc::default(),
            record: Mutex::default(),
            max_subjects,
        }
    }

    /// The account of `subject`, made if need be.
    pub(super) fn account(&self, subject: &Arc<str>, ids: &AtomicU64, now: i64) -> Arc<Account> {
        let key = bounded(subject);
        if let Some(account) = self.accounts.get(key) {
            return account;
        }
        let mut admission = self.admission.lock();
        // Another request of the same subject may have been faster.
        if let Some(account) = self.accounts.get(key) {
            return account;
        }
        if admission.overflow.is_none() && admission.count >= self.max_subjects {
            self.search(&mut admission, now);
        }
        let account = |subject, is_overflow| {
            let id = ids.fetch_add(1, Ordering::Relaxed);
            Account::new(id, subject, is_overflow, Arc::clone(&self.refusals))
        };
        if admission.overflow.is_none() && admission.count < self.max_subjects {
            admission.count += 1;
            let key: Arc<str> =
                if key.len() == subject.len() { Arc::clone(subject) } else { key.into() };
            return self.accounts.get_or_insert(&key, || account(Arc::clone(&key), false));
        }
        let overflow = admission.overflow.get_or_insert_with(|| Arc::new(account("".into(), true)));
        Arc::clone(overflow)
    }

    /// The account that a checkpoint's shared counters go to.
    pub(super) fn overflow(&self, ids: &AtomicU64) -> Arc<Account> {
        let mut admission = self.admission.lock();
        Arc::clone(admission.overflow.get_or_insert_with(|| {
            let id = ids.fetch_add(1, Ordering::Relaxed);
            Arc::new(Account::new(id, "".into(), true, Arc::clone(&self.refusals)))
        }))
    }

    /// Every account, the shared one last.
    pub(super) fn accounts(&self) -> Vec<Arc<Account>> {
        let mut all = self.accounts.values();
        all.extend(self.admission.lock().overflow.clone());
        all
    }

    /// Drops the accounts that hold nothing. Looks for them without keeping new subjects waiting,
    /// who are let in between any two batches.
    pub(super) fn sweep(&self, now: i64) {
        let all = self.accounts.values();
        let idle: Vec<_> = all.iter().filter(|account| account.lock().is_idle(now)).collect();
        for batch in idle.chunks(BATCH) {
            let mut admission = self.admission.lock();
            batch.iter().for_each(|account| self.drop_if_idle(account, &mut admission, now));
        }
        self.drop_overflow(&mut self.admission.lock(), now);
    }

    /// As [`Self::sweep`], but not again at once: a full book must not be searched at each call.
    fn search(&self, admission: &mut Admission, now: i64) {
        if admission.next_search.is_none_or(|next| now >= next || next - now > SEARCH_INTERVAL) {
            admission.next_search = Some(now.saturating_add(SEARCH_INTERVAL));
            for account in self.accounts.values() {
                self.drop_if_idle(&account, admission, now);
            }
            self.drop_overflow(admission, now);
        }
    }

    /// An account that was dropped before is looked at in vain: another may have taken its place.
    fn drop_if_idle(&self, account: &Account, admission: &mut Admission, now: i64) {
        let mut state = account.lock();
        if state.is_dropped || !state.is_idle(now) {
            return;
        }
        state.is_dropped = true;
        // Under the account's lock: whoever waits for it finds it gone on looking again.
        self.accounts.remove(&account.subject);
        admission.count = admission.count.saturating_sub(1);
    }

    fn drop_overflow(&self, admission: &mut Admission, now: i64) {
        admission.overflow.take_if(|account| {
            let mut state = account.lock();
            state.is_dropped = state.is_idle(now);
            state.is_dropped
        });
    }
}

/// The part of a subject that tells it apart.
fn bounded(subject: &str) -> &str {
    &subject[..subject.floor_char_boundary(MAX_SUBJECT_BYTES)]
}
