//! What AIProviders refer to: Secrets and Services are each watched by their name, and the
//! EndpointSlices of a Service by its label, only while something refers to them. So the work grows
//! with what is used and not with what a cluster or a namespace holds.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use futures_util::future::join_all;
use kube::Client;
use parking_lot::Mutex;
use tokio::{
    sync::{oneshot, watch},
    task::AbortHandle,
    time::timeout,
};

use super::{
    connection::Connection,
    endpoint, secret,
    watch::{Sink, Subject, Watch},
};
use crate::{compile::Inputs, snapshot::ObjectName, source::Current};

/// The longest that an object waits for what it refers to. Then it is taken without, and the rest is
/// added when it comes.
const PATIENCE: Duration = Duration::from_secs(2);

/// What is referred to.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(super) enum Reference {
    /// A Secret.
    Secret(ObjectName),
    /// A Service.
    Service(ObjectName),
    /// The EndpointSlices of a Service.
    Slices(ObjectName),
}

impl Reference {
    /// Removes it from the inputs. Whether it was there.
    fn remove(&self, inputs: &mut Inputs) -> bool {
        match self {
            Self::Secret(name) => inputs.secrets.remove(name).is_some(),
            Self::Service(name) => inputs.services.remove(name).is_some(),
            Self::Slices(name) => inputs.slices.remove(name).is_some(),
        }
    }
}

/// What each AIProvider refers to.
pub(super) type Owners = BTreeMap<ObjectName, BTreeSet<Reference>>;

/// The watches of what is referred to.
pub(super) struct References {
    client: Client,
    current: Arc<Current>,
    connection: Arc<Connection>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    owners: Owners,
    watched: BTreeMap<Reference, Watched>,
}

struct Watched {
    task: AbortHandle,
    /// True once it is known what there is.
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
    /// known of each whether it exists: so that a new provider is not called broken while its Secret
    /// is on its way. [`Self::settle`] has to follow.
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
        // Too late is not an error: a Secret is then reported as missing until it comes.
        let _ = timeout(PATIENCE, join_all(wait)).await;
    }

    /// These owners refer to exactly this from here on, also in the inputs. Stops what nothing
    /// refers to any more.
    pub(super) fn settle(&self, owners: Owners) {
        let mut state = self.state.lock();
        let State { owners: all, watched } = &mut *state;
        all.extend(owners);
        all.retain(|_, names| !names.is_empty());
        let referenced: BTreeSet<&Reference> = all.values().flatten().collect();
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
            let mut differs = false;
            for reference in &gone {
                differs |= reference.remove(inputs);
            }
            differs
        });
    }

    /// Stops all.
    pub(super) fn stop(&self) {
        let watched = std::mem::take(&mut self.state.lock().watched);
        watched.into_values().for_each(|watch| watch.task.abort());
    }

    fn watch(&self, reference: &Reference) -> Watched {
        let current = self.current.clone();
        match reference {
            Reference::Secret(name) => {
                let sink = secret::Referenced { name: name.clone(), current };
                self.start(secret::referenced(name), sink)
            }
            Reference::Service(name) => {
                let sink = endpoint::ReferencedService { name: name.clone(), current };
                self.start(endpoint::service(name), sink)
            }
            Reference::Slices(name) => {
                let sink = endpoint::ReferencedSlices { service: name.clone(), current };
                self.start(endpoint::slices(name), sink)
            }
        }
    }

    fn start<S: Sink>(&self, subject: Subject<S::Object>, sink: S) -> Watched {
        let watch = Watch::new(self.client.clone(), subject, self.connection.clone());
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
