//! Consumers: who a credential belongs to.

use std::{collections::HashMap, fmt, sync::Arc};

use jiff::Timestamp;
use sha2::{Digest as _, Sha256};

use super::{ObjectName, selector::Labels};

/// SHA-256 of an API key. Keys themselves are not kept.
#[derive(Clone, Copy, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct KeyDigest([u8; 32]);

impl KeyDigest {
    /// The digest of a key as it came in a header.
    pub fn of(key: &[u8]) -> Self {
        Self(Sha256::digest(key).into())
    }

    /// Reads 64 hexadecimal digits.
    pub fn from_hex(hex: &str) -> Option<Self> {
        let mut bytes = [0; 32];
        if hex.len() != 64 || !hex.is_ascii() {
            return None;
        }
        for (byte, pair) in bytes.iter_mut().zip(hex.as_bytes().chunks(2)) {
            *byte = u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()?;
        }
        Some(Self(bytes))
    }

    /// 64 hexadecimal digits.
    pub fn to_hex(self) -> String {
        self.0.iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

impl fmt::Debug for KeyDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("KeyDigest(***)")
    }
}

/// One API key's owner: the Secret and its attributes.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Consumer {
    /// The Secret.
    pub name: ObjectName,
    /// The Secret's labels, which selectors and budgets look at.
    pub labels: Labels,
    /// `sluice.dev/app`.
    pub app: Option<Arc<str>>,
    /// `sluice.dev/team`.
    pub team: Option<Arc<str>>,
    /// `sluice.dev/environment`.
    pub environment: Option<Arc<str>>,
    /// After this time the key is refused.
    pub expires: Option<Timestamp>,
}

/// Consumers by the digest of their key.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct ConsumerTable {
    /// Digests are spread already: nobody can choose them.
    by_digest: HashMap<KeyDigest, Arc<Consumer>, foldhash::fast::RandomState>,
}

impl ConsumerTable {
    /// Adds a consumer; `Err` with the present owner where the key is already another's.
    pub fn insert(&mut self, digest: KeyDigest, consumer: Consumer) -> Result<(), Arc<Consumer>> {
        match self.by_digest.entry(digest) {
            std::collections::hash_map::Entry::Occupied(entry) => Err(entry.get().clone()),
            std::collections::hash_map::Entry::Vacant(entry) => {
                entry.insert(Arc::new(consumer));
                Ok(())
            }
        }
    }

    /// The owner of a key, expired or not.
    pub fn get(&self, key: &[u8]) -> Option<&Arc<Consumer>> {
        self.by_digest.get(&KeyDigest::of(key))
    }

    /// Every consumer, in no order.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<Consumer>> {
        self.by_digest.values()
    }

    /// How many keys there are.
    pub fn len(&self) -> usize {
        self.by_digest.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.by_digest.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digests_survive_hexadecimal() {
        let digest = KeyDigest::of(b"sk-test");
        assert_eq!(KeyDigest::from_hex(&digest.to_hex()), Some(digest));
        assert_eq!(KeyDigest::from_hex("abc"), None);
        assert_eq!(KeyDigest::from_hex(&"zz".repeat(32)), None);
        assert!(!format!("{digest:?}").contains(&digest.to_hex()[..8]));
    }
}
