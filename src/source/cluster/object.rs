//! The three custom resources: metadata and spec into the inputs, status into [`Statuses`].

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use kube::{Api, Resource, core::DynamicObject, discovery::ApiResource};
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::{
    Statuses, decode,
    reference::{Owners, Reference, References},
    statuses::Seen,
    watch::{Need, Sink, Subject},
};
use crate::{
    api::{AIBudgetSpec, AIProviderSpec, AIRouteSpec},
    compile::{Inputs, Kind, Meta, Object, ObjectKey},
    snapshot::ObjectName,
    source::Current,
};

type Map<S> = BTreeMap<ObjectName, Object<S>>;

/// What the sinks of all three kinds share.
#[derive(Clone)]
pub(super) struct Context {
    pub(super) current: Arc<Current>,
    pub(super) statuses: Arc<Statuses>,
    pub(super) references: Arc<References>,
    pub(super) scope: Option<Arc<str>>,
}

/// Puts the objects of one kind into the inputs.
pub(super) struct Objects<S> {
    context: Context,
    kind: Kind,
    map: fn(&mut Inputs) -> &mut Map<S>,
    /// What an object refers to.
    references: fn(&Object<S>) -> BTreeSet<Reference>,
}

/// The objects of a kind, read as they are: one that can't be understood must not hide the others.
pub(super) fn subject<K>(scope: Option<&Arc<str>>) -> Subject<DynamicObject>
where
    K: Resource<DynamicType = ()>,
{
    let resource = ApiResource::erase::<K>(&());
    let scope = scope.cloned();
    Subject {
        kind: match &*resource.kind {
            "AIProvider" => Kind::Provider.as_str(),
            "AIRoute" => Kind::Route.as_str(),
            _ => Kind::Budget.as_str(),
        },
        remedy: "nothing is served before; add a rule {apiGroups: [sluice.dev], resources: \
                 [aiproviders, airoutes, aibudgets], verbs: [get, list, watch]}",
        need: Need::Required,
        api: Box::new(move |client| match scope {
            Some(namespace) => Api::namespaced_with(client, &namespace, &resource),
            None => Api::all_with(client, &resource),
        }),
        fields: None,
        labels: None,
    }
}

impl Objects<AIProviderSpec> {
    pub(super) fn providers(context: &Context) -> Self {
        let references = |object: &Object<AIProviderSpec>| {
            let providers = [(object.meta.name.clone(), object.clone())].into();
            let inputs = Inputs { providers, ..Inputs::default() };
            let secrets = inputs.referenced_secrets().into_iter().map(Reference::Secret);
            let services = inputs.referenced_services().into_iter();
            secrets
                .chain(services.flat_map(|s| [Reference::Service(s.clone()), Reference::Slices(s)]))
                .collect()
        };
        let context = context.clone();
        Self { context, kind: Kind::Provider, map: |inputs| &mut inputs.providers, references }
    }
}

impl Objects<AIRouteSpec> {
    pub(super) fn routes(context: &Context) -> Self {
        Self {
            context: context.clone(),
            kind: Kind::Route,
            map: |inputs| &mut inputs.routes,
            references: |_| BTreeSet::new(),
        }
    }
}

impl Objects<AIBudgetSpec> {
    pub(super) fn budgets(context: &Context) -> Self {
        Self {
            context: context.clone(),
            kind: Kind::Budget,
            map: |inputs| &mut inputs.budgets,
            references: |_| BTreeSet::new(),
        }
    }
}

impl<S> Objects<S> {
    fn key(&self, name: &ObjectName) -> ObjectKey {
        ObjectKey { kind: self.kind, name: name.clone() }
    }

    fn in_scope(&self, name: &ObjectName) -> bool {
        self.context.scope.as_ref().is_none_or(|scope| *scope == name.namespace)
    }

    fn has_references(&self) -> bool {
        self.kind == Kind::Provider
    }

    /// What objects refer to; empty for kinds that refer to nothing.
    fn owners<'a>(&self, objects: impl IntoIterator<Item = &'a Object<S>>) -> Owners
    where
        S: 'a,
    {
        let objects = objects.into_iter().filter(|_| self.has_references());
        objects.map(|object| (object.meta.name.clone(), (self.references)(object))).collect()
    }

    fn settle(&self, owners: Owners) {
        if self.has_references() {
            self.context.references.settle(owners);
        }
    }
}

impl<S> Sink for Objects<S>
where
    S: DeserializeOwned + PartialEq + Send + Sync + 'static,
{
    type Object = DynamicObject;

    async fn replace(&mut self, objects: Vec<DynamicObject>) {
        let mut all: Map<S> = BTreeMap::new();
        for dynamic in objects {
            let Some((object, seen)) = object::<S>(dynamic) else { continue };
            self.context.statuses.observe(self.key(&object.meta.name), seen);
            all.insert(object.meta.name.clone(), object);
        }
        let scope = self.context.scope.as_deref();
        self.context.statuses.retain(self.kind, scope, &|name| all.contains_key(name));
        let mut owners = self.owners(all.values());
        self.context.references.ensure(&owners).await;
        self.context.current.update(|inputs| {
            let map = (self.map)(inputs);
            let others = std::mem::take(map).into_iter();
            let (before, others): (Map<S>, Map<S>) =
                others.partition(|(name, _)| self.in_scope(name));
            for gone in
                before.keys().filter(|name| self.has_references() && !all.contains_key(*name))
            {
                owners.insert(gone.clone(), BTreeSet::new());
            }
            let differs = before != all;
            *map = others;
            map.append(&mut all);
            differs
        });
        self.settle(owners);
    }

    async fn apply(&mut self, dynamic: DynamicObject) {
        let Some((object, seen)) = object::<S>(dynamic) else { return };
        let name = object.meta.name.clone();
        self.context.statuses.observe(self.key(&name), seen);
        let owners = self.owners([&object]);
        self.context.references.ensure(&owners).await;
        self.context.current.update(|inputs| {
            let map = (self.map)(inputs);
            // A status write changes nothing here and must not compile anything.
            let differs = map.get(&name) != Some(&object);
            map.insert(name, object);
            differs
        });
        self.settle(owners);
    }

    fn delete(&mut self, dynamic: DynamicObject) {
        let Some(name) = name(&dynamic) else { return };
        self.context.statuses.forget(&self.key(&name));
        self.context.current.update(|inputs| (self.map)(inputs).remove(&name).is_some());
        self.settle([(name, BTreeSet::new())].into());
    }
}

fn name(dynamic: &DynamicObject) -> Option<ObjectName> {
    let metadata = &dynamic.metadata;
    Some(ObjectName::new(metadata.namespace.as_deref()?, metadata.name.as_deref()?))
}

fn object<S: DeserializeOwned>(mut dynamic: DynamicObject) -> Option<(Object<S>, Seen)> {
    let name = name(&dynamic)?;
    let spec = decode::spec(&dynamic.data).map(Arc::new);
    let status = dynamic.data.get_mut("status").map(Value::take).unwrap_or_default();
    let metadata = dynamic.metadata;
    let uid: Arc<str> = metadata.uid.unwrap_or_default().into();
    let meta = Meta {
        name,
        uid: uid.clone(),
        generation: metadata.generation.unwrap_or_default(),
        created: metadata.creation_timestamp.map(|time| time.0),
        labels: metadata.labels.unwrap_or_default(),
    };
    let seen = Seen {
        uid,
        resource_version: metadata.resource_version.unwrap_or_default().into(),
        status: Arc::new(status),
    };
    Some((Object { meta, spec }, seen))
}
