//! Access: from the API's form to the one that is evaluated.

use std::{collections::BTreeSet, sync::Arc};

use crate::{
    api::route as api,
    snapshot::{Access, Allow, KeyNamespaces, Selector},
};

use super::{Inputs, selector};

/// Converts a route's access; without one, the API keys of its own namespace are admitted.
pub(super) fn compile(
    access: Option<&api::Access>,
    namespace: &Arc<str>,
    inputs: &Inputs,
) -> Access {
    let anonymous = access.is_some_and(|access| access.anonymous);
    let groups = access.map(|access| access.allow.as_slice()).unwrap_or_default();
    Access { anonymous, allow: allow(groups, namespace, inputs) }
}

/// Converts groups of callers; none stands for the API keys of the object's own namespace.
pub(super) fn allow(groups: &[api::Allow], namespace: &Arc<str>, inputs: &Inputs) -> Vec<Allow> {
    let own = || KeyNamespaces::Of(BTreeSet::from([namespace.clone()]));
    if groups.is_empty() {
        return vec![Allow { namespaces: own(), labels: Selector::default() }];
    }
    let compile = |allow: &api::Allow| Allow {
        namespaces: allow
            .api_keys
            .namespaces
            .as_ref()
            .map_or_else(own, |selector| namespaces(&selector::compile(selector), inputs)),
        labels: selector::labels(&allow.api_keys.match_labels),
    };
    groups.iter().map(compile).collect()
}

fn namespaces(selector: &Selector, inputs: &Inputs) -> KeyNamespaces {
    if selector.requirements.is_empty() {
        return KeyNamespaces::All;
    }
    let candidates: BTreeSet<_> = inputs
        .namespaces
        .keys()
        .chain(inputs.consumers.keys().map(|consumer| &consumer.namespace))
        .collect();
    let selected = candidates
        .into_iter()
        .filter(|namespace| selector.matches(&inputs.namespace_labels(namespace)));
    KeyNamespaces::Of(selected.cloned().collect())
}
