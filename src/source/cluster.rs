//! Objects from a cluster: watches that keep [`Current`] as the API server has it.
//!
//! Reads only what is needed: the custom resources, Secrets that hold API keys, namespaces' labels,
//! ConfigMaps with prices, and one by one the Secrets and Services that AIProviders refer to. Decides
//! nothing and writes nothing. When the API server is away, what was read last stays.

mod connection;
mod decode;
mod endpoint;
mod namespace;
mod object;
mod prices;
mod reference;
mod secret;
mod statuses;
mod watch;

use std::sync::Arc;

use futures_util::future::join_all;
use tokio::{sync::oneshot, task::JoinSet};
use tokio_util::sync::CancellationToken;
use tracing::{error, info};

use super::Current;
use crate::telemetry::control::ControlMetrics;

use connection::Connection;
use object::Objects;
use reference::References;
use watch::{Subject, Watch};

pub use statuses::{Seen, Statuses};

/// What of a cluster is watched.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ClusterConfig {
    /// Namespaces whose objects count; empty: all. With a list, Roles in those namespaces are
    /// enough.
    pub namespaces: Vec<String>,
}

impl ClusterConfig {
    /// The scopes that each kind is watched in.
    fn scopes(&self) -> Vec<Option<Arc<str>>> {
        match self.namespaces.as_slice() {
            [] => vec![None],
            names => names.iter().map(|name| Some(name.as_str().into())).collect(),
        }
    }
}

/// Where a source puts what it reads.
#[derive(Clone)]
pub struct Sinks {
    /// Specs, keys and labels.
    pub current: Arc<Current>,
    /// The status and identity of objects, for who writes status.
    pub statuses: Arc<Statuses>,
    /// Where errors are counted.
    pub metrics: Arc<ControlMetrics>,
}

/// Watches until `shutdown`. Marks the inputs as synced when every watch has delivered its first
/// list and everything that those objects refer to has been looked for once.
pub async fn run(
    client: kube::Client,
    config: ClusterConfig,
    sinks: Sinks,
    shutdown: CancellationToken,
) {
    let connection = Connection::new(sinks.metrics.clone());
    let references = References::new(client.clone(), sinks.current.clone(), connection.clone());
    let mut tasks = Tasks { set: JoinSet::new(), first: Vec::new(), client, connection };
    for scope in config.scopes() {
        tasks.custom(scope.as_ref(), &sinks, &references);
        let consumers = secret::Consumers { current: sinks.current.clone(), scope: scope.clone() };
        tasks.add(secret::subject(scope.as_deref()), consumers);
    }
    let own = sinks.current.inputs().settings.gateway_namespace;
    tasks.add(prices::subject(&own), prices::PriceLists { current: sinks.current.clone() });
    tasks.add(namespace::subject(), namespace::Namespaces { current: sinks.current.clone() });
    let Tasks { mut set, first, .. } = tasks;
    let work = async {
        join_all(first).await;
        info!("everything has been read once");
        sinks.current.mark_synced();
        // Watches run for ever; a task that ends has panicked.
        while let Some(ended) = set.join_next().await {
            error!(?ended, "a watch ended; its objects stay as they are until a restart");
        }
    };
    let _ = shutdown.run_until_cancelled(work).await;
    references.stop();
}

/// The watches that run for as long as the process.
struct Tasks {
    set: JoinSet<()>,
    first: Vec<oneshot::Receiver<()>>,
    client: kube::Client,
    connection: Arc<Connection>,
}

impl Tasks {
    /// Watches the three custom resources.
    fn custom(&mut self, scope: Option<&Arc<str>>, sinks: &Sinks, references: &Arc<References>) {
        let context = object::Context {
            current: sinks.current.clone(),
            statuses: sinks.statuses.clone(),
            references: references.clone(),
            scope: scope.cloned(),
        };
        self.add(object::subject::<crate::api::AIProvider>(scope), Objects::providers(&context));
        self.add(object::subject::<crate::api::AIRoute>(scope), Objects::routes(&context));
        self.add(object::subject::<crate::api::AIBudget>(scope), Objects::budgets(&context));
    }

    fn add<S: watch::Sink>(&mut self, subject: Subject<S::Object>, sink: S) {
        let (sender, receiver) = oneshot::channel();
        self.first.push(receiver);
        let watch = Watch::new(self.client.clone(), subject, self.connection.clone());
        self.set.spawn(watch.run(sink, Some(sender)));
    }
}
