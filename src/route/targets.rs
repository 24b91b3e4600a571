//! Where the states of targets and accounts are kept between requests and across reloads: by the
//! provider's UID and the model asked of it, so that all routes share what one has learned.

use std::{
    collections::{HashMap, hash_map::RandomState},
    hash::BuildHasher as _,
    sync::Arc,
    time::Instant,
};

use parking_lot::RwLock;

use crate::snapshot::{Ejection, Endpoint, Provider};

use super::{
    limits::Account,
    target::{TargetState, View},
};

/// Locks that the targets are spread over.
const SHARDS: usize = 16;
/// Targets and accounts that are remembered at most: callers may name any number of models.
pub const MAX_TARGETS: usize = 10_000;

/// The keys are hashes already.
type ByHash<T> = HashMap<u64, Arc<T>, foldhash::fast::RandomState>;
type Shard = RwLock<ByHash<TargetState>>;

/// The states of all targets and accounts. Keys are hashes of 64 bits with a seed of this process: two
/// of ten thousand that fall together, once in a few hundred billion processes, share a state.
pub struct Targets {
    origin: Instant,
    hasher: RandomState,
    shards: [Shard; SHARDS],
    accounts: RwLock<ByHash<Account>>,
}

impl Targets {
    /// Nothing is known. `origin` is before every other time.
    pub fn new(origin: Instant) -> Self {
        Self {
            origin,
            hasher: RandomState::new(),
            shards: std::array::from_fn(|_| RwLock::default()),
            accounts: RwLock::default(),
        }
    }

    /// The state of a target of the built-in mock. `provider` is its UID.
    pub fn target(&self, provider: &Arc<str>, model: &Arc<str>, now: Instant) -> Arc<TargetState> {
        self.of((provider, &Endpoint::Mock), model, now)
    }

    /// The state of a target. It begins anew where its provider's endpoint is another one than before.
    pub fn at(&self, provider: &Provider, model: &Arc<str>, now: Instant) -> Arc<TargetState> {
        self.of((&provider.uid, &provider.endpoint), model, now)
    }

    fn of(
        &self,
        (provider, endpoint): (&Arc<str>, &Endpoint),
        model: &Arc<str>,
        now: Instant,
    ) -> Arc<TargetState> {
        let key = self.hasher.hash_one((provider, model));
        let names = || (Arc::clone(provider), Arc::clone(model));
        let new = || Arc::new(TargetState::at(endpoint.clone(), names(), now));
        let Some(shard) = self.shard(key) else { return new() };
        if let Some(found) = shard.read().get(&key).filter(|found| found.is_at(endpoint)) {
            return Arc::clone(found);
        }
        let mut shard = shard.write();
        if let Some(found) = shard.get_mut(&key) {
            // Those that are under way to the old one keep what they hold of it.
            if !found.is_at(endpoint) {
                *found = new();
            }
            return Arc::clone(found);
        }
        if shard.len() >= MAX_TARGETS / SHARDS {
            make_room(&mut shard);
            if shard.len() >= MAX_TARGETS / SHARDS {
                // Everything is in use: this one is not remembered.
                return new();
            }
        }
        Arc::clone(shard.entry(key).or_insert_with(new))
    }

    /// The account of a provider, by its UID.
    pub fn account(&self, provider: &str, now: Instant) -> Arc<Account> {
        let key = self.hasher.hash_one(provider);
        if let Some(found) = self.accounts.read().get(&key) {
            return Arc::clone(found);
        }
        let mut accounts = self.accounts.write();
        if accounts.len() >= MAX_TARGETS {
            accounts.retain(|_, account| !account.is_idle(now));
        }
        let new = || Arc::new(Account::new(self.origin));
        Arc::clone(accounts.entry(key).or_insert_with(new))
    }

    /// A target as it is now; `None` if nobody has asked it.
    pub fn view(&self, provider: &Arc<str>, model: &Arc<str>, now: Instant) -> Option<View> {
        let key = self.hasher.hash_one((provider, model));
        let state = self.shard(key)?.read().get(&key).cloned();
        state.map(|state| state.view(now))
    }

    /// Every target that has been asked, in no order.
    pub fn views(&self, now: Instant) -> Vec<View> {
        let states = self.shards.iter().flat_map(|shard| {
            let states: Vec<_> = shard.read().values().cloned().collect();
            states
        });
        states.map(|state| state.view(now)).collect()
    }

    /// An active check of a provider has been made, which says the same of all of its models. Alive:
    /// those that are ejected may be tried at once. Not: one more failure of each.
    pub fn checked(&self, provider: &str, is_alive: bool, settings: &Ejection, now: Instant) {
        for shard in &self.shards {
            let states: Vec<_> = shard.read().values().cloned().collect();
            for state in states.iter().filter(|state| state.provider() == provider) {
                state.checked(is_alive, settings, now);
            }
        }
    }

    fn shard(&self, key: u64) -> Option<&Shard> {
        // The low bits choose the place inside of a map.
        self.shards.get(usize::try_from(key >> 60).unwrap_or_default())
    }
}

/// Forgets a quarter of the targets that are idle: first those that are well, by how long ago they
/// were asked.
fn make_room(shard: &mut ByHash<TargetState>) {
    let idle = shard.iter().filter_map(|(key, state)| {
        let (is_well, used) = state.idle()?;
        Some((!is_well, used, *key))
    });
    let mut idle: Vec<_> = idle.collect();
    idle.sort_unstable();
    idle.truncate((MAX_TARGETS / SHARDS / 4).max(1));
    for (_, _, key) in idle {
        shard.remove(&key);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::route::{End, Flight};

    fn names(provider: &str, model: &str) -> (Arc<str>, Arc<str>) {
        (provider.into(), model.into())
    }

    #[test]
    fn a_target_is_the_same_for_everybody_who_asks_for_it() {
        let now = Instant::now();
        let targets = Targets::new(now);
        let (provider, model) = names("p", "m");
        let state = targets.target(&provider, &model, now);
        assert!(Arc::ptr_eq(&state, &targets.target(&"p".into(), &"m".into(), now)));
        let other = targets.target(&provider, &"n".into(), now);
        assert!(!Arc::ptr_eq(&state, &other));
        assert_eq!(targets.views(now).len(), 2);
        assert_eq!(targets.view(&provider, &"x".into(), now), None);
    }

    #[test]
    fn memory_is_bounded_and_forgets_the_idle_first() {
        let start = Instant::now();
        let targets = Targets::new(start);
        let (provider, busy) = names("p", "busy");
        let state = targets.target(&provider, &busy, start);
        let _flight = Flight::begin(state, Ejection::default(), None, start);
        let (_, sick) = names("p", "sick");
        let state = targets.target(&provider, &sick, start);
        for _ in 0..5 {
            let state = Arc::clone(&state);
            let mut flight = Flight::begin(state, Ejection::default(), None, start);
            flight.end(End::Failed(None), start);
        }
        for index in 0..3 * MAX_TARGETS {
            let now = start + Duration::from_millis(index as u64);
            targets.target(&provider, &format!("m{index}").into(), now);
        }
        let now = start + Duration::from_secs(60);
        assert!(targets.views(now).len() <= MAX_TARGETS);
        assert_eq!(targets.view(&provider, &busy, now).map(|view| view.in_flight), Some(1));
        assert_eq!(targets.view(&provider, &sick, now).map(|view| view.healthy), Some(false));
        assert_eq!(targets.view(&provider, &"m0".into(), now), None);
    }

    #[test]
    fn what_is_known_of_one_endpoint_is_not_known_of_another() {
        let now = Instant::now();
        let targets = Targets::new(now);
        let at = |authority: &str| Endpoint::Http {
            scheme: http::uri::Scheme::HTTPS,
            authority: authority.parse().unwrap(),
            base_path: "/v1".into(),
        };
        let (provider, model) = names("p", "m");
        let (wrong, right) = (at("wrong.test"), at("right.test"));
        let of = |endpoint| targets.of((&provider, endpoint), &model, now);
        let once = Ejection { consecutive_failures: 1, ..Ejection::default() };
        of(&wrong).checked(false, &once, now);
        assert!(!targets.view(&provider, &model, now).unwrap().healthy);
        assert!(Arc::ptr_eq(&of(&wrong), &of(&wrong)));
        assert!(of(&right).view(now).healthy);
        assert_eq!(targets.views(now).len(), 1);
    }

    #[test]
    fn a_check_speaks_for_every_model_of_its_provider() {
        let now = Instant::now();
        let targets = Targets::new(now);
        let settings = Ejection { consecutive_failures: 2, ..Ejection::default() };
        for model in ["a", "b"] {
            targets.target(&"p".into(), &model.into(), now);
        }
        targets.target(&"q".into(), &"a".into(), now);
        for _ in 0..2 {
            targets.checked("p", false, &settings, now);
        }
        let healthy = |provider: &str, model: &str| {
            targets.view(&provider.into(), &model.into(), now).unwrap().healthy
        };
        assert!(!healthy("p", "a") && !healthy("p", "b") && healthy("q", "a"));
        targets.checked("p", true, &settings, now);
        let view = targets.view(&"p".into(), &"a".into(), now).unwrap();
        assert_eq!((view.healthy, view.ejected_until, view.ejections), (false, Some(now), 1));
    }
}
