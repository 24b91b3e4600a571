//! The last seen status and identity of every object: what status is compared with, and where
//! budgets' checkpoints come from. Holds no spec.

use std::{collections::BTreeMap, sync::Arc};

use parking_lot::RwLock;
use serde_json::Value;

use crate::{
    compile::{Kind, ObjectKey},
    snapshot::ObjectName,
};

/// What was last seen of the objects' status.
#[derive(Debug, Default)]
pub struct Statuses {
    seen: RwLock<BTreeMap<ObjectKey, Seen>>,
}

/// One object as last seen.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Seen {
    /// `metadata.uid`.
    pub uid: Arc<str>,
    /// `metadata.resourceVersion`.
    pub resource_version: Arc<str>,
    /// `status`, as it is; null if there is none.
    pub status: Arc<Value>,
}

impl Statuses {
    /// The object as last seen.
    pub fn get(&self, key: &ObjectKey) -> Option<Seen> {
        self.seen.read().get(key).cloned()
    }

    /// The text of an AIBudget's checkpoint.
    pub fn checkpoint(&self, key: &ObjectKey) -> Option<String> {
        let seen = self.get(key)?;
        Some(seen.status.get("checkpoint")?.as_str()?.to_owned())
    }

    /// Takes what a watch or an answer to a write shows. An older version of the same object does
    /// not replace a newer one: the answer to a write can overtake the watch.
    pub fn observe(&self, key: ObjectKey, seen: Seen) {
        let mut all = self.seen.write();
        match all.get(&key) {
            Some(last) if last.uid == seen.uid && last.version() > seen.version() => {}
            _ => drop(all.insert(key, seen)),
        }
    }

    /// Takes the answer to a write. Not if the object has been deleted meanwhile.
    pub(crate) fn written(&self, key: &ObjectKey, seen: Seen) {
        if self.get(key).is_some_and(|last| last.uid == seen.uid) {
            self.observe(key.clone(), seen);
        }
    }

    /// The object is gone.
    pub fn forget(&self, key: &ObjectKey) {
        self.seen.write().remove(key);
    }

    /// Forgets the objects of a kind, in a namespace or in all, that are not in `live`.
    pub(super) fn retain(
        &self,
        kind: Kind,
        scope: Option<&str>,
        live: &dyn Fn(&ObjectName) -> bool,
    ) {
        let in_scope = |key: &ObjectKey| {
            key.kind == kind && scope.is_none_or(|scope| *scope == *key.name.namespace)
        };
        self.seen.write().retain(|key, _| !in_scope(key) || live(&key.name));
    }
}

impl Seen {
    /// The resource version as a number, which Kubernetes guarantees for its own storage since
    /// 1.35 and which held before; 0 for one that is none.
    pub(crate) fn version(&self) -> u64 {
        self.resource_version.parse().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key() -> ObjectKey {
        ObjectKey { kind: Kind::Budget, name: ObjectName::new("team", "month") }
    }

    fn seen(uid: &str, version: &str, status: Value) -> Seen {
        Seen { uid: uid.into(), resource_version: version.into(), status: Arc::new(status) }
    }

    #[test]
    fn an_older_version_does_not_replace_a_newer_one() {
        let statuses = Statuses::default();
        statuses.observe(key(), seen("a", "10", Value::from("new")));
        statuses.observe(key(), seen("a", "9", Value::from("old")));
        assert_eq!(*statuses.get(&key()).unwrap().status, Value::from("new"));
    }

    #[test]
    fn an_object_created_anew_replaces_its_predecessor() {
        let statuses = Statuses::default();
        statuses.observe(key(), seen("a", "10", Value::from("old")));
        statuses.observe(key(), seen("b", "9", Value::Null));
        assert_eq!(&*statuses.get(&key()).unwrap().uid, "b");
    }

    #[test]
    fn the_answer_to_a_write_does_not_bring_a_deleted_object_back() {
        let statuses = Statuses::default();
        statuses.written(&key(), seen("a", "10", Value::Null));
        assert_eq!(statuses.get(&key()), None);
    }
}
