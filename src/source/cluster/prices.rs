//! ConfigMaps with prices, by label, in the gateway's own namespace.

use std::{collections::BTreeMap, sync::Arc};

use k8s_openapi::api::core::v1::ConfigMap;
use kube::Api;

use super::watch::{Need, Sink, Subject};
use crate::{
    api::pricing::PRICES_LABEL, compile::PriceData, snapshot::ObjectName, source::Current,
};

/// Puts price lists into the inputs.
pub(super) struct PriceLists {
    pub(super) current: Arc<Current>,
}

/// ConfigMaps labelled `sluice.dev/prices` of the gateway's own namespace.
pub(super) fn subject(namespace: &str) -> Subject<ConfigMap> {
    let namespace = namespace.to_owned();
    Subject {
        kind: "ConfigMap",
        remedy: "prices in ConfigMaps are not used; add a Role rule {apiGroups: [\"\"], resources: \
                 [configmaps], verbs: [get, list, watch]} in the gateway's own namespace",
        need: Need::Optional,
        api: Box::new(move |client| Api::namespaced(client, &namespace)),
        fields: None,
        labels: Some(PRICES_LABEL.to_owned()),
    }
}

impl Sink for PriceLists {
    type Object = ConfigMap;

    async fn replace(&mut self, objects: Vec<ConfigMap>) {
        let all: BTreeMap<_, _> = objects.into_iter().filter_map(entry).collect();
        self.current.update(|inputs| {
            let differs = inputs.price_lists != all;
            inputs.price_lists = all;
            differs
        });
    }

    async fn apply(&mut self, object: ConfigMap) {
        let Some((name, data)) = entry(object) else { return };
        self.current.update(|inputs| {
            inputs.price_lists.insert(name, data.clone()).is_none_or(|before| before != data)
        });
    }

    fn delete(&mut self, object: ConfigMap) {
        let Some((name, _)) = entry(object) else { return };
        self.current.update(|inputs| inputs.price_lists.remove(&name).is_some());
    }
}

fn entry(object: ConfigMap) -> Option<(ObjectName, PriceData)> {
    let metadata = object.metadata;
    let name = ObjectName::new(metadata.namespace.as_deref()?, metadata.name.as_deref()?);
    let uid = metadata.uid.unwrap_or_default().into();
    Some((name, PriceData { uid, data: object.data.unwrap_or_default() }))
}
