//! The pool of a provider's API keys: whose turn it is, and which keys rest because the provider
//! refused or limited them. Lives outside the snapshot; a key that is replaced is a new key, and so is
//! one that is sent to another endpoint.

use std::{
    collections::{HashMap, hash_map::RandomState},
    hash::{BuildHasher as _, Hash as _, Hasher as _},
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};

use parking_lot::RwLock;
use tokio::time::Instant;

use crate::{
    route::{REST, Turns, pick},
    snapshot::{Credential, Endpoint, Provider},
};

/// How long a key rests that the provider did not accept.
pub const REFUSED: Duration = Duration::from_secs(5 * 60);

/// The longest rest that a provider can ask for.
const LONGEST: Duration = Duration::from_secs(3600);

/// The longest rest of a key whose provider names none.
const LONGEST_UNASKED: Duration = Duration::from_secs(32);

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
    /// Its length where the provider named none: the next is twice as long if it comes within the same
    /// time after this one.
    unasked: Duration,
}

impl Rest {
    fn new(until: Instant, refused: bool) -> Self {
        Self { until, refused, unasked: Duration::ZERO }
    }

    fn is_known(&self, now: Instant) -> bool {
        self.until + self.unasked > now
    }
}

/// No key can be used: they are refused or rest.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Exhausted;

/// What a key is wanted for.
#[derive(Clone, Copy, Debug, Default)]
pub struct Wanted<'a> {
    /// The model that is asked.
    pub model: &'a str,
    /// Keys that were tried for the same purpose.
    pub tried: &'a [usize],
    /// One of these was limited or unpaid: those that rest would be, too.
    pub was_limited: bool,
}

impl KeyPool {
    /// The index of the key to use next; `None` where the provider needs none. If all rest, and none
    /// was limited just now, it is the one that is back soonest: it might answer.
    ///
    /// # Errors
    /// [`Exhausted`] if all others were refused or are in `tried`.
    pub fn choose(
        &self,
        provider: &Provider,
        wanted: Wanted<'_>,
        now: Instant,
    ) -> Result<Option<usize>, Exhausted> {
        let Wanted { model, tried, was_limited } = wanted;
        let keys = &provider.credentials;
        if keys.is_empty() {
            return Ok(None);
        }
        let rests: Vec<Option<Rest>> = match self.count.load(Ordering::Relaxed) {
            0 if keys.len() == 1 && tried.is_empty() => return Ok(Some(0)),
            0 => vec![None; keys.len()],
            _ => self.rests(provider, model, now),
        };
        // A single key is used whatever its weight.
        let weight = |key: &Credential| if keys.len() == 1 { 1 } else { u64::from(key.weight) };
        let rest = |index: usize| rests.get(index).copied().flatten();
        let point = self.turns.first((&provider.uid, "keys"));
        let weights = keys.iter().enumerate().map(|(index, key)| {
            let is_free = rest(index).is_none() && !tried.contains(&index);
            if is_free { weight(key) } else { 0 }
        });
        if let Some(free) = pick(weights, point) {
            return Ok(Some(free));
        }
        if was_limited {
            return Err(Exhausted);
        }
        let resting = keys.iter().enumerate().filter_map(|(index, key)| {
            let rest = rest(index).filter(|rest| !rest.refused)?;
            (weight(key) > 0 && !tried.contains(&index)).then_some((rest.until, index))
        });
        resting.min().map(|(_, index)| Some(index)).ok_or(Exhausted)
    }

    /// The provider did not accept the key.
    pub fn refuse(&self, provider: &Provider, key: &Credential, now: Instant) {
        self.rest(self.id(provider, key), Rest::new(now + REFUSED, true), now);
    }

    /// The account of the key has no money left, or not enough for this request. It rests as long as
    /// one that is refused, but is asked if no other is left: the money may be there again.
    pub fn unpaid(&self, provider: &Provider, key: &Credential, now: Instant) {
        self.rest(self.id(provider, key), Rest::new(now + REFUSED, false), now);
    }

    /// The provider accepts the key, but not for this model: other models must not suffer by it.
    pub fn forbid(&self, provider: &Provider, key: &Credential, model: &str, now: Instant) {
        let id = self.id_for(provider, key, model);
        self.rest(id, Rest::new(now + REFUSED, true), now);
    }

    /// The provider wants the key to rest for so long, at most for an hour; where it does not say, a
    /// second, and twice as long each time that it says so again. A later end is never brought forward.
    pub fn limit(
        &self,
        provider: &Provider,
        key: &Credential,
        wait: Option<Duration>,
        now: Instant,
    ) {
        let id = self.id(provider, key);
        let rest = match wait {
            Some(wait) => Rest::new(now + wait.min(LONGEST), false),
            None => {
                let known = self.resting.read().get(&id).copied().filter(|rest| rest.is_known(now));
                let unasked = match known {
                    // Those that were under way together are one sign.
                    Some(rest) if rest.until > now => return,
                    Some(rest) => (rest.unasked * 2).clamp(REST, LONGEST_UNASKED),
                    None => REST,
                };
                Rest { until: now + unasked, refused: false, unasked }
            }
        };
        self.rest(id, rest, now);
    }

    fn rest(&self, key: u64, rest: Rest, now: Instant) {
        let mut resting = self.resting.write();
        resting.retain(|_, rest| rest.is_known(now));
        // Callers may name any number of models. Who is forgotten here is asked once more.
        if resting.len() >= MAX_RESTS {
            resting.clear();
        }
        let entry = resting.entry(key).or_insert(rest);
        let was_refused = entry.refused && entry.until > now;
        entry.until = entry.until.max(rest.until);
        entry.refused = was_refused || rest.refused;
        entry.unasked = rest.unasked;
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
        self.hash(provider, key, None)
    }

    fn id_for(&self, provider: &Provider, key: &Credential, model: &str) -> u64 {
        self.hash(provider, key, Some(model))
    }

    fn hash(&self, provider: &Provider, key: &Credential, model: Option<&str>) -> u64 {
        let mut hasher = self.hasher.build_hasher();
        (&*provider.uid, key.key.expose(), model).hash(&mut hasher);
        // What another server says of a key is no word of this one.
        if let Endpoint::Http { scheme, authority, base_path } = &provider.endpoint {
            (scheme, authority, base_path).hash(&mut hasher);
        }
        hasher.finish()
    }
}

#[cfg(test)]
mod tests;
