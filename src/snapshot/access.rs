//! Access: which callers may use a route.

use std::{collections::BTreeSet, sync::Arc};

use super::{Consumer, Selector};

/// Who may use a route.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Access {
    /// Whether callers without a key are admitted; then so is everybody.
    pub anonymous: bool,
    /// Groups of consumers: any one suffices.
    pub allow: Vec<Allow>,
}

/// One group of consumers.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Allow {
    /// Where their Secrets live.
    pub namespaces: KeyNamespaces,
    /// What their Secrets' labels satisfy.
    pub labels: Selector,
}

/// Namespaces of API-key Secrets.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum KeyNamespaces {
    /// Any.
    All,
    /// These.
    Of(BTreeSet<Arc<str>>),
}

impl Access {
    /// Whether a caller may use the route. `None` is a caller without a key.
    pub fn admits(&self, consumer: Option<&Consumer>) -> bool {
        self.anonymous
            || consumer
                .is_some_and(|consumer| self.allow.iter().any(|allow| allow.admits(consumer)))
    }
}

impl Allow {
    fn admits(&self, consumer: &Consumer) -> bool {
        let namespace = match &self.namespaces {
            KeyNamespaces::All => true,
            KeyNamespaces::Of(names) => names.contains(&consumer.name.namespace),
        };
        namespace && self.labels.matches(&consumer.labels)
    }
}
