//! Labels of namespaces, which selectors look at.

use std::{collections::BTreeMap, sync::Arc};

use k8s_openapi::api::core::v1::Namespace;
use kube::Api;

use super::watch::{Need, Sink, Subject};
use crate::{snapshot::selector::Labels, source::Current};

/// Puts labels of namespaces into the inputs.
pub(super) struct Namespaces {
    pub(super) current: Arc<Current>,
}

/// Every namespace of the cluster. Where that is not allowed, a namespace has only the label
/// `kubernetes.io/metadata.name`, which needs no look at it.
pub(super) fn subject() -> Subject<Namespace> {
    Subject {
        kind: "Namespace",
        remedy: "selectors see only the label kubernetes.io/metadata.name of namespaces; for the \
                 others add a ClusterRole rule {apiGroups: [\"\"], resources: [namespaces], verbs: \
                 [get, list, watch]}",
        need: Need::Optional,
        api: Box::new(Api::all),
        fields: None,
        labels: None,
    }
}

impl Sink for Namespaces {
    type Object = Namespace;

    async fn replace(&mut self, objects: Vec<Namespace>) {
        let all: BTreeMap<Arc<str>, Labels> = objects.into_iter().filter_map(entry).collect();
        self.current.update(|inputs| {
            let differs = inputs.namespaces != all;
            inputs.namespaces = all;
            differs
        });
    }

    async fn apply(&mut self, object: Namespace) {
        let Some((name, labels)) = entry(object) else { return };
        self.current.update(|inputs| {
            inputs.namespaces.insert(name, labels.clone()).is_none_or(|before| before != labels)
        });
    }

    fn delete(&mut self, object: Namespace) {
        let Some((name, _)) = entry(object) else { return };
        self.current.update(|inputs| inputs.namespaces.remove(&name).is_some());
    }
}

fn entry(namespace: Namespace) -> Option<(Arc<str>, Labels)> {
    let metadata = namespace.metadata;
    Some((metadata.name?.into(), metadata.labels.unwrap_or_default()))
}
