//! Secrets that AIProviders refer to: each is watched by its name, only while something refers to
//! it.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use futures_util::future::join_all;
use k8s_openapi::api::core::v1::Secret;
use kube::{Api, Client};
use parking_lot::Mutex;
use tokio::{
    sync::{oneshot, watch},
    task::AbortHandle,
    time::timeout,
};

use super::{
    connection::Connection,
    secret,
    watch::{Need, Sink, Subject, Watch},
};
use crate::{compile::SecretData, snapshot::ObjectName, source::Current};

/// The longest that an object waits for the Secrets that it refers to. Then it is taken without
/// them, and they are added when they come.
const PATIENCE: Duration = Duration::from_secs(2);

/// Secrets by the AIProvider that refers to them.
pub(super) type Owners = BTreeMap<ObjectName, BTreeSet<ObjectName>>;

/// The watches of referenced Secrets.
pub(super) struct References {
    client: Client,
    current: Arc<Current>,
    connection: Arc<Connection>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    owners: Owners,
    watched: BTreeMap<ObjectName, Watched>,
}

struct Watched {
    task: AbortHandle,
    /// True once it is known whether the Secret exists.
    known: watch::Receiver<bool>,
}

impl References {
    pub(super) fn new(
        client: Client,
        current: Arc<Current>,
        connection: Arc<Connection>,
    ) -> Arc<Self> {
        Arc::new(Self { client, current, connection, state: Mutex::default() })
    }

    /// Watches what `owners` refer to, besides what they referred to before, and waits until it is
    /// known of each Secret whether it exists: so that a new provider is not called broken while
    /// its Secret is on its way. [`Self::settle`] has to follow.
    pub(super) async fn ensure(&self, owners: &Owners) {
        let mut known = Vec::new();
        {
            let State { owners: all, watched } = &mut *self.state.lock();
            for (owner, names) in owners {
                all.entry(owner.clone()).or_default().extend(names.iter().cloned());
                for name in names {
                    let watch = watched.entry(name.clone()).or_insert_with(|| self.watch(name));
                    known.push(watch.known.clone());
                }
            }
        }
        let wait = known.into_iter().map(|mut known| async move {
            // An error means that the watch has been stopped meanwhile.
            let _ = known.wait_for(|known| *known).await;
        });
        // Too late is not an error: the Secret is then reported as missing until it comes.
        let _ = timeout(PATIENCE, join_all(wait)).await;
    }

    /// These owners refer to exactly this from here on, also in the inputs. Stops what nothing
    /// refers to any more.
    pub(super) fn settle(&self, owners: Owners) {
        let mut state = self.state.lock();
        let State { owners: all, watched } = &mut *state;
        all.extend(owners);
        all.retain(|_, names| !names.is_empty());
        let referenced: BTreeSet<&ObjectName> = all.values().flatten().collect();
        let mut gone = BTreeSet::new();
        watched.retain(|name, watch| {
            let is_used = referenced.contains(name);
            if !is_used {
                watch.task.abort();
                gone.insert(name.clone());
            }
            is_used
        });
        if gone.is_empty() {
            return;
        }
        self.current.update(|inputs| {
            let before = inputs.secrets.len();
            inputs.secrets.retain(|name, _| !gone.contains(name));
            inputs.secrets.len() != before
        });
    }

    /// Stops all.
    pub(super) fn stop(&self) {
        let watched = std::mem::take(&mut self.state.lock().watched);
        watched.into_values().for_each(|watch| watch.task.abort());
    }

    fn watch(&self, name: &ObjectName) -> Watched {
        let sink = Referenced { name: name.clone(), current: self.current.clone() };
        let watch = Watch::new(self.client.clone(), subject(name), self.connection.clone());
        let (first, listed) = oneshot::channel();
        let (know, known) = watch::channel(false);
        let task = tokio::spawn(async move {
            let run = watch.run(sink, Some(first));
            let tell = async {
                let _ = listed.await;
                know.send_replace(true);
            };
            tokio::join!(run, tell);
        });
        Watched { task: task.abort_handle(), known }
    }
}

fn subject(name: &ObjectName) -> Subject<Secret> {
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
struct Referenced {
    name: ObjectName,
    current: Arc<Current>,
}

impl Referenced {
    fn set(&self, secret: Option<Secret>) {
        let data = secret.map(|secret| SecretData { data: secret::data(secret), ..<_>::default() });
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
