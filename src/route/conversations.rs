//! Where answers are stored that a later request goes on from (`previous_response_id` of Responses): a
//! hint, kept in memory and bounded. What is not known here any more is found by asking: a provider
//! that has not stored it says so.

use std::{collections::HashMap, hash::BuildHasher as _};

use foldhash::fast::RandomState;
use parking_lot::RwLock;

/// Answers of one generation; two of them are kept.
const GENERATION: usize = 50_000;

/// Where the latest answers are stored. Ids and targets are kept as hashes.
#[derive(Default)]
pub struct Conversations {
    hasher: RandomState,
    known: RwLock<Generations>,
}

#[derive(Default)]
struct Generations {
    young: HashMap<u64, Home, RandomState>,
    old: HashMap<u64, Home, RandomState>,
}

/// Where an answer is stored: the provider, and that with the model that gave it.
#[derive(Clone, Copy)]
struct Home {
    provider: u64,
    target: u64,
}

impl Conversations {
    /// An answer with this id is stored at a provider, known by its UID, that gave it with this
    /// model.
    pub fn note(&self, id: &str, provider: &str, model: &str) {
        let home = Home {
            provider: self.hasher.hash_one(provider),
            target: self.hasher.hash_one((provider, model)),
        };
        let id = self.hasher.hash_one(id);
        let mut known = self.known.write();
        if known.young.len() >= GENERATION {
            known.old = std::mem::take(&mut known.young);
        }
        known.young.insert(id, home);
    }

    /// The place of the target that gave the answer, else of the first of its provider; `None` if it
    /// is not known, or none of them is.
    pub fn find<'a>(
        &self,
        id: &str,
        targets: impl IntoIterator<Item = (&'a str, &'a str)>,
    ) -> Option<usize> {
        let id = self.hasher.hash_one(id);
        let home = {
            let known = self.known.read();
            *known.young.get(&id).or_else(|| known.old.get(&id))?
        };
        let mut neighbour = None;
        for (index, (provider, model)) in targets.into_iter().enumerate() {
            if self.hasher.hash_one((provider, model)) == home.target {
                return Some(index);
            }
            let is_neighbour = self.hasher.hash_one(provider) == home.provider;
            neighbour = neighbour.or_else(|| is_neighbour.then_some(index));
        }
        neighbour
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_found_where_it_is_stored() {
        let known = Conversations::default();
        known.note("resp_1", "b", "m");
        let targets = [("a", "m"), ("b", "n"), ("b", "m")];
        assert_eq!(known.find("resp_1", targets), Some(2));
        assert_eq!(known.find("resp_1", [("a", "m")]), None);
        assert_eq!(known.find("resp_1", [("a", "m"), ("b", "n")]), Some(1), "another model there");
        assert_eq!(known.find("resp_2", targets), None);
    }

    #[test]
    fn the_latest_answers_are_known_and_memory_is_bounded() {
        let known = Conversations::default();
        (0..3 * GENERATION).for_each(|id| known.note(&id.to_string(), "a", "m"));
        let find = |id: usize| known.find(&id.to_string(), [("a", "m")]);
        assert_eq!(find(3 * GENERATION - 1), Some(0));
        assert_eq!(find(2 * GENERATION), Some(0), "one generation back");
        assert_eq!(find(GENERATION - 1), None);
        let kept = known.known.read();
        assert!(kept.young.len() + kept.old.len() <= 2 * GENERATION);
    }
}
