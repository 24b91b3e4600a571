//! One patch of one status, by server-side apply; and one status read anew.

use std::{sync::Arc, time::Duration};

use kube::{
    Api, Client, Resource,
    api::{Patch, PatchParams},
    core::DynamicObject,
    discovery::ApiResource,
};
use serde_json::{Value, json};
use tokio::time::timeout;
use tracing::debug;

use crate::{
    api::{AIBudget, AIProvider, AIRoute, API_VERSION},
    compile::{Kind, ObjectKey},
    source::cluster::Seen,
};

/// Name under which fields of status are owned.
const MANAGER: &str = "sluice-status";
/// The longest that one patch may take.
const REQUEST: Duration = Duration::from_secs(5);

/// What became of a patch.
pub(super) enum Outcome {
    /// It is stored; the object as the API server answered.
    Written(Seen),
    /// The object has been deleted, or replaced by another of the same name.
    Gone,
    /// It was not stored.
    Failed(Failure),
}

/// Why a patch was not stored.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub(super) enum Failure {
    /// The permission is missing.
    Forbidden,
    /// The object is another one by now.
    Conflict,
    /// The API server does not take such a status: its CRDs are of another version.
    Refused,
    /// No answer, or an error of the API server itself.
    Error,
}

impl Failure {
    /// What a person can do about it; `None` where time helps.
    pub(super) fn remedy(self, kind: Kind) -> Option<String> {
        let plural = resource(kind).plural;
        match self {
            Self::Forbidden => Some(format!(
                "add a rule {{apiGroups: [sluice.dev], resources: [{plural}/status], verbs: \
                 [patch]}}"
            )),
            Self::Refused => Some("update the CRDs to this version".to_owned()),
            Self::Conflict | Self::Error => None,
        }
    }
}

impl Outcome {
    pub(super) fn as_str(&self) -> &'static str {
        match self {
            Self::Written(_) => "written",
            Self::Gone => "gone",
            Self::Failed(Failure::Forbidden) => "forbidden",
            Self::Failed(Failure::Conflict) => "conflict",
            Self::Failed(Failure::Refused) => "refused",
            Self::Failed(Failure::Error) => "error",
        }
    }
}

/// Applies `status` to the object that was `seen`.
pub(super) async fn send(client: &Client, key: &ObjectKey, seen: &Seen, status: &Value) -> Outcome {
    let api: Api<DynamicObject> =
        Api::namespaced_with(client.clone(), &key.name.namespace, &resource(key.kind));
    let patch = Patch::Apply(json!({
        "apiVersion": API_VERSION,
        "kind": key.kind.as_str(),
        // With the UID, an object that was created anew meanwhile is a conflict.
        "metadata": { "name": &*key.name.name, "namespace": &*key.name.namespace, "uid": &*seen.uid },
        "status": status,
    }));
    let parameters = PatchParams::apply(MANAGER).force();
    let request = api.patch_status(&key.name.name, &parameters, &patch);
    match timeout(REQUEST, request).await {
        Ok(Ok(object)) => Outcome::Written(answer(object)),
        Ok(Err(kube::Error::Api(status))) if status.code == 404 => Outcome::Gone,
        Ok(Err(error)) => failed(key, &error),
        Err(_) => Outcome::Failed(Failure::Error),
    }
}

/// The object as the API server has it now; `None` if it has none.
pub(super) async fn read(client: &Client, key: &ObjectKey) -> Result<Option<Seen>, Failure> {
    let api: Api<DynamicObject> =
        Api::namespaced_with(client.clone(), &key.name.namespace, &resource(key.kind));
    match timeout(REQUEST, api.get_opt(&key.name.name)).await {
        Ok(Ok(object)) => Ok(object.map(answer)),
        Ok(Err(error)) => {
            debug!(object = %key, %error, "status not read");
            Err(Failure::Error)
        }
        Err(_) => Err(Failure::Error),
    }
}

fn failed(key: &ObjectKey, error: &kube::Error) -> Outcome {
    debug!(object = %key, %error, "status not written");
    let code = match error {
        kube::Error::Api(status) => Some(status.code),
        _ => None,
    };
    Outcome::Failed(match code {
        Some(403) => Failure::Forbidden,
        Some(409) => Failure::Conflict,
        Some(400 | 422) => Failure::Refused,
        _ => Failure::Error,
    })
}

fn answer(mut object: DynamicObject) -> Seen {
    Seen {
        uid: object.metadata.uid.unwrap_or_default().into(),
        resource_version: object.metadata.resource_version.unwrap_or_default().into(),
        status: Arc::new(object.data.get_mut("status").map(Value::take).unwrap_or_default()),
    }
}

fn resource(kind: Kind) -> ApiResource {
    fn erase<K: Resource<DynamicType = ()>>() -> ApiResource {
        ApiResource::erase::<K>(&())
    }
    match kind {
        Kind::Provider => erase::<AIProvider>(),
        Kind::Route => erase::<AIRoute>(),
        Kind::Budget => erase::<AIBudget>(),
    }
}
