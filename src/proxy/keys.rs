//! The pool of a provider's API keys: whose turn it is, and which keys rest because the provider
//! refused them. Lives outside the snapshot; a key that is replaced is a new key.

use std::{
    collections::{HashMap, hash_map::RandomState},
    hash::BuildHasher as _,
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};

use parking_lot::RwLock;
use tokio::time::Instant;

use crate::{
    route::{Turns, pick},
    snapshot::{Credential, Provider},
};

/// How long a key rests that the provider did not accept.
pub const REFUSED: Duration = Duration::from_secs(5 * 60);

/// The longest rest that a provider can ask for.
const LONGEST: Duration = Duration::from_secs(3600);

/// Rests that are remembered at most.
const MAX_RESTS: usize = 10_000;

/// Which keys rest, and until when.
#[derive(Default)]
pub struct KeyPool {
    hasher: RandomState,
    turns: Turns,
    resting: RwLock<HashMap<u64, Rest>>,
    /// Size of `resting`, so that the usual case looks at nothing else.
    count: AtomicUsize,
}

#[derive(Clone, Copy)]
struct Rest {
    until: Instant,
    refused: bool,
}

/// Every key of the provider has been refused.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Exhausted;

impl KeyPool {
    /// The index of the key to use next; `None` where the provider needs none. Keys that were rate
    /// limited are used only if no other is left: they might answer.
    ///
    /// # Errors
    /// [`Exhausted`] if all keys were refused or are in `tried`.
    pub fn choose(
        &self,
        provider: &Provider,
        (model, tried): (&str, &[usize]),
        now: Instant,
    ) -> Result<Option<usize>, Exhausted> {
        let keys = &provider.credentials;
        if keys.is_empty() {
            return Ok(None);
        }
        let rests: Vec<Option<Rest>> = match self.count.load(Ordering::Relaxed) {
            0 if keys.len() == 1 && tried.is_empty() => return Ok(Some(0)),
            0 => vec![None; keys.len()],
            _ => self.rests(provider, model, now),
        };
        let free = |index: usize, limited: bool| {
            let rest = rests.get(index).copied().flatten();
            let usable = rest.is_none_or(|rest| limited && !rest.refused);
            usable && !tried.contains(&index)
        };
        let point = self.turns.first((&provider.uid, "keys"));
        let weighted = |limited: bool| {
            let weights = keys.iter().enumerate().map(|(index, key)| {
                // A single key is used whatever its weight.
                let weight = if keys.len() == 1 { 1 } else { key.weight };
                if free(index, limited) { u64::from(weight) } else { 0 }
            });
            pick(weights, point)
        };
        weighted(false).or_else(|| weighted(true)).map(Some).ok_or(Exhausted)
    }

    /// The provider did not accept the key.
    pub fn refuse(&self, provider: &Provider, key: &Credential, now: Instant) {
        self.rest(self.id(provider, key), Rest { until: now + REFUSED, refused: true }, now);
    }

    /// The provider accepts the key, but not for this model: other models must not suffer by it.
    pub fn forbid(&self, provider: &Provider, key: &Credential, model: &str, now: Instant) {
        let id = self.id_for(provider, key, model);
        self.rest(id, Rest { until: now + REFUSED, refused: true }, now);
    }

    /// The provider wants the key to rest `until` then, at most for an hour. A later end is never
    /// brought forward.
    pub fn limit(&self, provider: &Provider, key: &Credential, until: Instant, now: Instant) {
        let until = until.min(now + LONGEST);
        self.rest(self.id(provider, key), Rest { until, refused: false }, now);
    }

    fn rest(&self, key: u64, rest: Rest, now: Instant) {
        let mut resting = self.resting.write();
        resting.retain(|_, rest| rest.until > now);
        // Callers may name any number of models. Who is forgotten here is asked once more.
        if resting.len() >= MAX_RESTS {
            resting.clear();
        }
        let entry = resting.entry(key).or_insert(rest);
        entry.until = entry.until.max(rest.until);
        entry.refused |= rest.refused;
        self.count.store(resting.len(), Ordering::Relaxed);
    }

    fn rests(&self, provider: &Provider, model: &str, now: Instant) -> Vec<Option<Rest>> {
        let resting = self.resting.read();
        let rest = |id| resting.get(&id).filter(|rest| rest.until > now).copied();
        let rests = |key| {
            let forbidden = rest(self.id_for(provider, key, model));
            forbidden.or_else(|| rest(self.id(provider, key)))
        };
        provider.credentials.iter().map(rests).collect()
    }

    fn id(&self, provider: &Provider, key: &Credential) -> u64 {
        self.hasher.hash_one((&*provider.uid, key.key.expose()))
    }

    fn id_for(&self, provider: &Provider, key: &Credential, model: &str) -> u64 {
        self.hasher.hash_one((&*provider.uid, key.key.expose(), model))
    }
}

#[cfg(test)]
mod tests;
