//! Sessions: requests of one key come to one target, without anything that remembers them.
//!
//! Weighted rendezvous hashing (Schindelhauer and Schomaker, 2005): the key and a target's name give
//! a number u between 0 and 1, and the target with the lowest -ln(u)/weight serves the key. All replicas
//! choose alike, before and after a restart, and what changes about one target moves only keys that
//! come to it or leave it. The hash is the first 8 bytes of SHA-256, in network order, over the key's
//! own SHA-256 and the target's name.

use sha2::{Digest as _, Sha256};

/// What a session's key has been hashed to.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Session([u8; 32]);

impl Session {
    /// The session of a key. `kind` keeps equal words apart that came from different places.
    pub fn new(kind: &str, key: &[u8]) -> Self {
        let mut hash = Sha256::new();
        hash.update(kind.as_bytes());
        hash.update([0]);
        hash.update(key);
        Self(hash.finalize().into())
    }

    /// How far the target is from serving the session: the lowest does. Infinite without weight.
    pub fn distance(&self, target: &str, weight: u64) -> f64 {
        let mut hash = Sha256::new();
        hash.update(self.0);
        hash.update(target.as_bytes());
        let digest: [u8; 32] = hash.finalize().into();
        let (first, _) = digest.split_first_chunk::<8>().unwrap_or((&[0; 8], &[]));
        -unit(u64::from_be_bytes(*first)).ln() / weight as f64
    }
}

/// A number above 0 and below 1, of the 53 bits that a float can hold.
fn unit(bits: u64) -> f64 {
    ((bits >> 11) as f64 + 0.5) / (1_u64 << 53) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn serves<'a>(key: usize, targets: &[(&'a str, u64)]) -> &'a str {
        let session = Session::new("header", key.to_string().as_bytes());
        let distance = |target: &(&str, u64)| session.distance(target.0, target.1);
        targets.iter().min_by(|a, b| distance(a).total_cmp(&distance(b))).unwrap().0
    }

    fn share(name: &str, targets: &[(&str, u64)]) -> f64 {
        let keys = 20_000;
        (0..keys).filter(|key| serves(*key, targets) == name).count() as f64 / keys as f64
    }

    #[test]
    fn the_hash_is_the_same_everywhere_and_for_ever() {
        let distance = Session::new("header", b"abc").distance("openai/gpt", 1);
        assert!((distance - DISTANCE).abs() < 1e-12, "{distance}");
    }

    /// Reckoned by another program: sha256(sha256("header\0abc") + "openai/gpt").
    const DISTANCE: f64 = 1.454443983569503;

    #[test]
    fn keys_are_shared_by_weight() {
        // Three standard deviations of 20,000 draws at most.
        for (weights, expected) in [([1, 1], 0.5), ([90, 10], 0.9), ([1, 3], 0.25)] {
            let found = share("a", &[("a", weights[0]), ("b", weights[1])]);
            assert!((found - expected).abs() < 0.011, "{found} and not {expected}");
        }
    }

    #[test]
    fn a_change_moves_only_the_share_that_it_must() {
        let before = [("a", 50), ("b", 50), ("c", 50)];
        let heavier = [("a", 50), ("b", 100), ("c", 50)];
        let without = [("a", 50), ("c", 50)];
        let (mut moved, mut elsewhere) = (0_u32, 0_u32);
        let keys = 20_000;
        for key in 0..keys {
            let (old, new) = (serves(key, &before), serves(key, &heavier));
            moved += u32::from(old != new);
            elsewhere += u32::from(old != new && new != "b");
            assert!(old == "b" || serves(key, &without) == old, "only its own keys leave a target");
        }
        assert_eq!(elsewhere, 0);
        // From a third to a half: a sixth is what must move.
        let moved = f64::from(moved) / keys as f64;
        assert!((moved - 1.0 / 6.0).abs() < 0.008, "{moved}");
    }

    #[test]
    fn without_weight_nothing_is_served() {
        assert_eq!(Session::new("user", b"x").distance("a", 0), f64::INFINITY);
    }
}
