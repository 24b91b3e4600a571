//! One watch: lists, follows, survives errors, and hands complete states to its sink.
//!
//! Knows nothing of what the objects mean. An error never removes an object: only a later complete
//! list or a deletion does.

use std::{fmt::Debug, future::Future, pin::pin, sync::Arc, time::Duration};

use futures_util::StreamExt as _;
use kube::{
    Api, Client, Resource,
    core::Status,
    runtime::watcher::{self, Config, Event, watcher},
};
use serde::de::DeserializeOwned;
use tokio::{
    sync::oneshot,
    time::{sleep, timeout},
};
use tracing::{debug, warn};

use super::connection::Connection;

/// A watch is opened anew after so many seconds; five later a silent one is taken for dead.
const TIMEOUT_SECONDS: u32 = 60;
/// Pause after the first error; doubles with each one after it.
const FIRST_PAUSE: Duration = Duration::from_millis(200);
/// The longest pause: an API server that is back is noticed within it.
const LONGEST_PAUSE: Duration = Duration::from_secs(5);
/// A watch that was resumed and has no new error for so long works again.
const PROVEN: Duration = Duration::from_secs(6);

/// Takes what a watch reads.
pub(super) trait Sink: Send + 'static {
    /// What is watched.
    type Object: Clone + Debug + DeserializeOwned + Resource + Send + Sync + 'static;

    /// These are all that there are.
    fn replace(&mut self, objects: Vec<Self::Object>) -> impl Future<Output = ()> + Send;
    /// This one is new or different.
    fn apply(&mut self, object: Self::Object) -> impl Future<Output = ()> + Send;
    /// This one is gone.
    fn delete(&mut self, object: Self::Object);
}

/// Whether the process can do without.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Need {
    /// Nothing is served before it has been read.
    Required,
    /// Without the permission to read it, something less precise works.
    Optional,
}

/// What is watched.
pub(super) struct Subject<K> {
    /// For metrics and logs, as it stands in manifests.
    pub(super) kind: &'static str,
    /// What a person is told if reading is refused.
    pub(super) remedy: &'static str,
    pub(super) need: Need,
    /// Makes the API handle.
    pub(super) api: Box<dyn FnOnce(Client) -> Api<K> + Send>,
    pub(super) fields: Option<String>,
    pub(super) labels: Option<String>,
}

/// A watch that can run.
pub(super) struct Watch<K> {
    kind: &'static str,
    remedy: &'static str,
    need: Need,
    api: Api<K>,
    fields: Option<String>,
    labels: Option<String>,
    connection: Arc<Connection>,
    failures: u32,
    is_refused: bool,
}

/// Why following ended.
enum End {
    /// The server can't stream lists.
    NoStreaming,
}

impl<K> Watch<K>
where
    K: Clone + Debug + DeserializeOwned + Resource + Send + Sync + 'static,
{
    pub(super) fn new(client: Client, subject: Subject<K>, connection: Arc<Connection>) -> Self {
        let Subject { kind, remedy, need, api, fields, labels } = subject;
        Self {
            kind,
            remedy,
            need,
            api: api(client),
            fields,
            labels,
            connection,
            failures: 0,
            is_refused: false,
        }
    }

    /// Follows until dropped. `first` is told after the first complete list has been taken, or when
    /// it is known that there won't be one and that nobody has to wait for it.
    pub(super) async fn run<S: Sink<Object = K>>(
        mut self,
        mut sink: S,
        mut first: Option<oneshot::Sender<()>>,
    ) {
        let mut config = Config::default().timeout(TIMEOUT_SECONDS);
        config.field_selector.clone_from(&self.fields);
        config.label_selector.clone_from(&self.labels);
        let End::NoStreaming =
            self.follow(config.clone().streaming_lists(), &mut sink, &mut first).await;
        debug!(kind = self.kind, "the API server can't stream lists; listing in pages");
        loop {
            self.follow(config.clone(), &mut sink, &mut first).await;
        }
    }

    async fn follow<S: Sink<Object = K>>(
        &mut self,
        config: Config,
        sink: &mut S,
        first: &mut Option<oneshot::Sender<()>>,
    ) -> End {
        let streaming = config.initial_list_strategy == watcher::InitialListStrategy::StreamingList;
        let mut events = pin!(watcher(self.api.clone(), config));
        let mut list: Option<Vec<K>> = None;
        loop {
            let event = match self.failures {
                0 => events.next().await,
                _ => match timeout(PROVEN, events.next()).await {
                    Ok(event) => event,
                    Err(_) => {
                        self.recover();
                        continue;
                    }
                },
            };
            match event {
                // A list that starts anew before it was complete: the server ignores the request
                // for one.
                Some(Ok(Event::Init)) if streaming && list.is_some() && self.failures == 0 => {
                    return End::NoStreaming;
                }
                Some(Ok(event)) => {
                    if self.take(event, &mut list, sink).await {
                        self.recover();
                        tell(first);
                    }
                }
                Some(Err(error)) if streaming && refuses_streaming(&error) => {
                    return End::NoStreaming;
                }
                Some(Err(error)) => self.fail(&error, first).await,
                None => return End::NoStreaming,
            }
        }
    }

    /// Whether the event completes a state.
    async fn take<S: Sink<Object = K>>(
        &self,
        event: Event<K>,
        list: &mut Option<Vec<K>>,
        sink: &mut S,
    ) -> bool {
        match event {
            Event::Init => {
                *list = Some(Vec::new());
                return false;
            }
            Event::InitApply(mut object) => {
                strip(&mut object);
                list.get_or_insert_default().push(object);
                return false;
            }
            Event::InitDone => sink.replace(list.take().unwrap_or_default()).await,
            Event::Apply(mut object) => {
                strip(&mut object);
                sink.apply(object).await;
            }
            Event::Delete(object) => sink.delete(object),
        }
        self.connection.heard();
        true
    }

    async fn fail(&mut self, error: &watcher::Error, first: &mut Option<oneshot::Sender<()>>) {
        let code = code(error);
        if self.need == Need::Optional && code == Some(403) {
            tell(first);
            self.refused(error);
            sleep(LONGEST_PAUSE).await;
            return;
        }
        let is_first = self.failures == 0;
        self.connection.error(self.kind, is_first, code.is_some(), &answer(error));
        match (is_first, code) {
            (true, Some(404)) => {
                let missing = "this kind is unknown to the API server, and nothing is served \
                               before: install the CRDs by \"kubectl apply -f crds/\" or by the \
                               Helm chart";
                warn!(kind = self.kind, error = answer(error), "{missing}");
            }
            (true, Some(403)) => {
                warn!(kind = self.kind, error = answer(error), "may not be read: {}", self.remedy);
            }
            _ => debug!(kind = self.kind, %error, "watch failed; trying again"),
        }
        self.failures = self.failures.saturating_add(1);
        sleep(pause(self.failures)).await;
    }

    /// Says once that something works less precisely for want of a permission.
    fn refused(&mut self, error: &watcher::Error) {
        self.connection.refused(self.kind);
        if !std::mem::replace(&mut self.is_refused, true) {
            warn!(kind = self.kind, error = answer(error), "may not be read: {}", self.remedy);
        }
    }

    fn recover(&mut self) {
        self.is_refused = false;
        if self.failures > 0 {
            self.failures = 0;
            self.connection.recovered();
            debug!(kind = self.kind, "watch works again");
        }
    }
}

impl<K> Drop for Watch<K> {
    fn drop(&mut self) {
        if self.failures > 0 {
            self.connection.given_up();
        }
    }
}

fn tell(first: &mut Option<oneshot::Sender<()>>) {
    if let Some(first) = first.take() {
        // Nobody waits any more during shutdown.
        let _ = first.send(());
    }
}

/// Drops what nobody reads and what can be larger than the object.
fn strip<K: Resource>(object: &mut K) {
    object.meta_mut().managed_fields = None;
}

/// Doubling pauses, up to a half shorter by chance, so that replicas do not return together.
fn pause(failures: u32) -> Duration {
    let doubled = FIRST_PAUSE.saturating_mul(1 << failures.saturating_sub(1).min(10));
    doubled.min(LONGEST_PAUSE).mul_f64(0.5 + fastrand::f64() / 2.0)
}

/// Servers without streaming lists answer the parameter with 400 or 422.
fn refuses_streaming(error: &watcher::Error) -> bool {
    matches!(error, watcher::Error::WatchStartFailed(_)) && matches!(code(error), Some(400 | 422))
}

/// What the API server says, or else the error itself with its causes, those that repeat what was
/// said left out.
fn answer(error: &watcher::Error) -> String {
    if let Some(status) = status(error) {
        return status.message.clone();
    }
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        let said = error.to_string();
        if !text.contains(&said) {
            text = format!("{text}: {said}");
        }
        cause = error.source();
    }
    text
}

/// The HTTP status of an error, if the API server has answered.
fn code(error: &watcher::Error) -> Option<u16> {
    status(error).map(|status| status.code)
}

fn status(error: &watcher::Error) -> Option<&Status> {
    match error {
        watcher::Error::InitialListFailed(kube::Error::Api(status))
        | watcher::Error::WatchStartFailed(kube::Error::Api(status))
        | watcher::Error::WatchFailed(kube::Error::Api(status))
        | watcher::Error::WatchError(status) => Some(status),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
