//! API-key Secrets to consumers.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

use crate::{
    api::consumer::{APP_LABEL, ENVIRONMENT_LABEL, EXPIRES_ANNOTATION, KEY, KEY_HASH, TEAM_LABEL},
    snapshot::{Consumer, ConsumerTable, KeyDigest, ObjectName},
};

use super::SecretData;

/// Compiles every API-key Secret. A Secret that is no use is left out and noted. Of several with
/// the same key the oldest has it: a hash is no secret, so who copies one must not become who is
/// called by it.
pub(super) fn compile_all(
    secrets: &BTreeMap<ObjectName, SecretData>,
) -> (ConsumerTable, BTreeMap<ObjectName, String>) {
    let mut table = ConsumerTable::default();
    let mut notes = BTreeMap::new();
    let mut owners: HashMap<KeyDigest, &ObjectName> = HashMap::new();
    let mut by_age: Vec<_> = secrets.iter().collect();
    by_age.sort_by_key(|(name, secret)| (secret.created.is_none(), secret.created, *name));
    for (name, secret) in by_age {
        let outcome = digest(secret).and_then(|digest| {
            // Also the key of a Secret that has another mistake is nobody else's.
            if let Some(owner) = owners.get(&digest) {
                return Err(taken(owner));
            }
            owners.insert(digest, name);
            let consumer = consumer(name, secret)?;
            table.insert(digest, consumer).map_err(|owner| taken(&owner.name))
        });
        if let Err(note) = outcome {
            notes.insert(name.clone(), note);
        }
    }
    (table, notes)
}

fn taken(owner: &ObjectName) -> String {
    format!("the same API key already belongs to Secret {owner}: give each its own")
}

fn consumer(name: &ObjectName, secret: &SecretData) -> Result<Consumer, String> {
    let expires = match secret.annotations.get(EXPIRES_ANNOTATION) {
        None => None,
        Some(text) => Some(text.parse().map_err(|_| {
            format!(
                "annotation {EXPIRES_ANNOTATION} is not an RFC 3339 time: \
                 write it as 2027-01-31T00:00:00Z (the key is refused until then)"
            )
        })?),
    };
    let attribute = |label: &str| secret.labels.get(label).map(|value| Arc::from(value.as_str()));
    Ok(Consumer {
        name: name.clone(),
        labels: secret.labels.clone(),
        app: attribute(APP_LABEL),
        team: attribute(TEAM_LABEL),
        environment: attribute(ENVIRONMENT_LABEL),
        expires,
    })
}

fn digest(secret: &SecretData) -> Result<KeyDigest, String> {
    if secret.data.contains_key(KEY_HASH) {
        return secret
            .text(KEY_HASH)
            .and_then(|text| KeyDigest::from_hex(text.strip_prefix("sha256:")?))
            .ok_or_else(|| {
                format!(
                    "data.{KEY_HASH} is not of the form sha256:<64 hexadecimal digits>: \
                     make it with \"sluice keys create\""
                )
            });
    }
    match secret.text(KEY) {
        Some(key) => Ok(KeyDigest::of(key.as_bytes())),
        None => Err(format!(
            "neither data.{KEY_HASH} nor data.{KEY} holds an API key: \
             make one with \"sluice keys create\""
        )),
    }
}
