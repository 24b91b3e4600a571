//! Secrets that hold API keys of consumers, by type; those that AIProviders refer to, by name; and the
//! reading of any Secret's data.

use std::sync::Arc;

use k8s_openapi::api::core::v1::Secret;
use kube::Api;
use zeroize::Zeroizing;

use super::watch::{Need, Sink, Subject};
use crate::{
    api::consumer::API_KEY_SECRET_TYPE,
    compile::SecretData,
    snapshot::{ObjectName, selector::Labels},
    source::Current,
};

/// `kubectl apply` keeps the whole manifest here, keys included.
const LAST_APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";

/// Puts consumers into the inputs.
pub(super) struct Consumers {
    pub(super) current: Arc<Current>,
    pub(super) scope: Option<Arc<str>>,
}

/// Secrets of type `sluice.dev/api-key` of a namespace, or of all.
pub(super) fn subject(scope: Option<&str>) -> Subject<Secret> {
    let scope = scope.map(str::to_owned);
    Subject {
        kind: "Secret",
        remedy: "without consumers' keys nobody could be let in, so nothing is served; add a rule \
                 {apiGroups: [\"\"], resources: [secrets], verbs: [get, list, watch]} for the \
                 watched namespaces",
        need: Need::Required,
        api: Box::new(move |client| match scope {
            Some(namespace) => Api::namespaced(client, &namespace),
            None => Api::all(client),
        }),
        fields: Some(format!("type={API_KEY_SECRET_TYPE}")),
        labels: None,
    }
}

impl Sink for Consumers {
    type Object = Secret;

    async fn replace(&mut self, objects: Vec<Secret>) {
        let scope = self.scope.clone();
        let mut all: std::collections::BTreeMap<_, _> =
            objects.into_iter().filter_map(entry).collect();
        self.current.update(|inputs| {
            let kept = |name: &ObjectName| scope.as_ref().is_some_and(|s| *s != name.namespace);
            let others = inputs.consumers.iter().filter(|(name, _)| kept(name));
            all.extend(others.map(|(name, data)| (name.clone(), data.clone())));
            let differs = inputs.consumers != all;
            inputs.consumers = all;
            differs
        });
    }

    async fn apply(&mut self, object: Secret) {
        let Some((name, data)) = entry(object) else { return };
        self.current.update(|inputs| {
            let differs = inputs.consumers.get(&name) != Some(&data);
            inputs.consumers.insert(name, data);
            differs
        });
    }

    fn delete(&mut self, object: Secret) {
        let Some(name) = name(&object) else { return };
        self.current.update(|inputs| inputs.consumers.remove(&name).is_some());
    }
}

fn entry(mut secret: Secret) -> Option<(ObjectName, SecretData)> {
    let name = name(&secret)?;
    let created = secret.metadata.creation_timestamp.as_ref().map(|time| time.0);
    let labels = secret.metadata.labels.take().unwrap_or_default();
    let mut annotations: Labels = secret.metadata.annotations.take().unwrap_or_default();
    annotations.remove(LAST_APPLIED).map(Zeroizing::new);
    Some((name, SecretData { created, labels, annotations, data: data(secret) }))
}

fn name(secret: &Secret) -> Option<ObjectName> {
    let metadata = &secret.metadata;
    Some(ObjectName::new(metadata.namespace.as_deref()?, metadata.name.as_deref()?))
}

/// A Secret's data, in buffers that are wiped.
pub(super) fn data(secret: Secret) -> std::collections::BTreeMap<String, Zeroizing<Vec<u8>>> {
    let data = secret.data.unwrap_or_default();
    data.into_iter().map(|(key, value)| (key, Zeroizing::new(value.0))).collect()
}

/// One Secret, by its name.
pub(super) fn referenced(name: &ObjectName) -> Subject<Secret> {
    let namespace = name.namespace.clone();
    Subject {
        kind: "Secret",
        remedy: "providers that name it can't authenticate; add a rule {apiGroups: [\"\"], \
                 resources: [secrets], verbs: [get, list, watch]} for the provider's namespace",
        need: Need::Optional,
        api: Box::new(move |client| Api::namespaced(client, &namespace)),
        fields: Some(format!("metadata.name={}", name.name)),
        labels: None,
    }
}

/// Puts one Secret's data into the inputs.
pub(super) struct Referenced {
    pub(super) name: ObjectName,
    pub(super) current: Arc<Current>,
}

impl Referenced {
    fn set(&self, secret: Option<Secret>) {
        let data = secret.map(|secret| SecretData { data: data(secret), ..<_>::default() });
        self.current.update(|inputs| {
            if inputs.secrets.get(&self.name) == data.as_ref() {
                return false;
            }
            match data {
                Some(data) => inputs.secrets.insert(self.name.clone(), data),
                None => inputs.secrets.remove(&self.name),
            };
            true
        });
    }
}

impl Sink for Referenced {
    type Object = Secret;

    async fn replace(&mut self, objects: Vec<Secret>) {
        self.set(objects.into_iter().next());
    }

    async fn apply(&mut self, object: Secret) {
        self.set(Some(object));
    }

    fn delete(&mut self, _: Secret) {
        self.set(None);
    }
}
