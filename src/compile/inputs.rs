//! Everything that a compilation looks at: objects, dereferenced Secrets, namespaces, settings.

pub mod service;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use jiff::Timestamp;
use zeroize::Zeroizing;

use crate::{
    api::{AIBudgetSpec, AIProviderSpec, AIRouteSpec, provider::ProviderAuth},
    snapshot::{ObjectName, selector::Labels},
};

use service::{ServiceData, Slices};

/// All objects as they are at one moment.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Inputs {
    /// What belongs to the process and not to an object.
    pub settings: Settings,
    /// AIProviders.
    pub providers: BTreeMap<ObjectName, Object<AIProviderSpec>>,
    /// AIRoutes.
    pub routes: BTreeMap<ObjectName, Object<AIRouteSpec>>,
    /// AIBudgets.
    pub budgets: BTreeMap<ObjectName, Object<AIBudgetSpec>>,
    /// Secrets that AIProviders refer to, as far as they exist.
    pub secrets: BTreeMap<ObjectName, SecretData>,
    /// Services that AIProviders name, of which it is known whether they exist. A folder knows of
    /// none: they are found by their DNS names.
    pub services: BTreeMap<ObjectName, Option<ServiceData>>,
    /// EndpointSlices of these Services, by Service, as far as they may be read.
    pub slices: BTreeMap<ObjectName, Arc<Slices>>,
    /// Secrets of type `sluice.dev/api-key`.
    pub consumers: BTreeMap<ObjectName, SecretData>,
    /// ConfigMaps labelled `sluice.dev/prices`.
    pub price_lists: BTreeMap<ObjectName, PriceData>,
    /// Labels of namespaces. Every namespace also has `kubernetes.io/metadata.name`.
    pub namespaces: BTreeMap<Arc<str>, Labels>,
}

/// Process-wide settings that decide what an object may do.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// The gateway's own namespace: budgets there may count every namespace.
    pub gateway_namespace: Arc<str>,
    /// Whether providers may be on the machine itself (`sluice run --manifests`, or
    /// `--allow-loopback-upstreams`).
    pub allow_loopback: bool,
    /// Namespaces whose providers may use the gateway's own identity in a cloud; empty: all.
    pub identity_namespaces: Vec<Arc<str>>,
    /// The zone that the gateway runs in, if known: backends of a Service in it are preferred.
    pub zone: Option<Arc<str>>,
    /// Whether models that nobody else prices have the price of the built-in table.
    pub builtin_prices: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            gateway_namespace: "sluice-system".into(),
            allow_loopback: false,
            identity_namespaces: Vec::new(),
            zone: None,
            builtin_prices: true,
        }
    }
}

/// One custom resource.
#[derive(Clone, Debug, PartialEq)]
pub struct Object<S> {
    /// What is known of it whatever its spec is.
    pub meta: Meta,
    /// Its spec, or why it cannot be read.
    pub spec: Result<Arc<S>, String>,
}

/// Metadata of an object.
#[derive(Clone, Debug, PartialEq)]
pub struct Meta {
    /// Namespace and name.
    pub name: ObjectName,
    /// `metadata.uid`; in a folder, kind, namespace and name.
    pub uid: Arc<str>,
    /// `metadata.generation`; 1 in a folder.
    pub generation: i64,
    /// `metadata.creationTimestamp`; none in a folder.
    pub created: Option<Timestamp>,
    /// Its labels.
    pub labels: Labels,
}

/// What is used of a Secret.
#[derive(Clone, Default, PartialEq)]
pub struct SecretData {
    /// `metadata.creationTimestamp`; none in a folder.
    pub created: Option<Timestamp>,
    /// Its labels.
    pub labels: Labels,
    /// Its annotations.
    pub annotations: Labels,
    /// Its data, decoded.
    pub data: BTreeMap<String, Zeroizing<Vec<u8>>>,
}

/// What is used of a ConfigMap with prices.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct PriceData {
    /// `metadata.uid`; in a folder, kind, namespace and name.
    pub uid: Arc<str>,
    /// Its data.
    pub data: BTreeMap<String, String>,
}

impl std::fmt::Debug for SecretData {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SecretData").field("keys", &self.data.keys()).finish_non_exhaustive()
    }
}

impl SecretData {
    /// The text under a key, without surrounding white space (`echo` and editors leave line ends).
    /// `None` where the key is missing, empty or not printable ASCII.
    pub fn text(&self, key: &str) -> Option<&str> {
        let text = std::str::from_utf8(self.data.get(key)?).ok()?.trim();
        (!text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic())).then_some(text)
    }
}

impl Inputs {
    /// Secrets that the providers refer to: what a source has to fetch.
    pub fn referenced_secrets(&self) -> BTreeSet<ObjectName> {
        let mut names = BTreeSet::new();
        for object in self.providers.values() {
            let Some(auth) = object.spec.as_ref().ok().and_then(|spec| spec.auth.as_ref()) else {
                continue;
            };
            let ProviderAuth { api_keys, aws, gcp, azure, passthrough: _ } = auth;
            let keys = api_keys.iter().flatten().map(|key| &key.secret_key_ref.name);
            let others = [
                aws.as_ref().and_then(|aws| aws.secret_ref.as_ref()),
                gcp.as_ref().and_then(|gcp| gcp.secret_ref.as_ref()),
                azure.as_ref().and_then(|azure| azure.secret_ref.as_ref()),
            ];
            let others = others.into_iter().flatten().map(|reference| &reference.name);
            let namespace = &object.meta.name.namespace;
            names.extend(
                keys.chain(others).map(|name| ObjectName::new(namespace.clone(), name.as_str())),
            );
        }
        names
    }

    /// Services that the providers name: what a source in a cluster has to follow.
    pub fn referenced_services(&self) -> BTreeSet<ObjectName> {
        let named = self.providers.values().filter_map(|object| {
            let service = object.spec.as_ref().ok()?.service.as_ref()?;
            Some(ObjectName::new(object.meta.name.namespace.clone(), service.name.as_str()))
        });
        named.collect()
    }

    /// Labels of a namespace, with the name label that Kubernetes sets itself.
    pub fn namespace_labels(&self, namespace: &str) -> Labels {
        let mut labels = self.namespaces.get(namespace).cloned().unwrap_or_default();
        labels.insert("kubernetes.io/metadata.name".into(), namespace.into());
        labels
    }
}
