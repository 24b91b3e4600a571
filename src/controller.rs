//! Keeps the published snapshot, the ledger and the objects' status in step with the objects.
//!
//! [`Rebuild`] and [`ledger`] serve both sources; [`run`] wires them with what only a cluster has:
//! watches, leadership, status and Events. Nothing here is on the way of a request.

pub mod event;
pub mod lease;
pub mod ledger;
pub mod rebuild;
pub mod status;

use std::{sync::Arc, time::Duration};

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::{
    budget::Ledger,
    route::Targets,
    snapshot::Published,
    source::{
        Current,
        cluster::{self, ClusterConfig, Statuses},
    },
    telemetry::control::ControlMetrics,
};

pub use lease::Election;
pub use rebuild::{Outcome, Rebuild};
pub use status::StatusWriter;

/// The control plane of a replica in a cluster.
pub struct Control {
    /// Client made by [`client`].
    pub client: kube::Client,
    /// What is watched.
    pub config: ClusterConfig,
    /// The gateway's own namespace and name: where and how the Lease is called.
    pub lease: LeaseName,
    /// What tells this replica from others; see [`lease::identity`].
    pub identity: String,
    /// The inputs that the watches keep.
    pub current: Arc<Current>,
    /// The snapshot that the proxy serves.
    pub published: Arc<Published>,
    /// The budgets' counters.
    pub ledger: Arc<Ledger>,
    /// How targets do.
    pub targets: Arc<Targets>,
    /// Told of every compilation.
    pub outcome: watch::Sender<Arc<Outcome>>,
    /// Where the work is counted.
    pub metrics: Arc<ControlMetrics>,
}

/// Where the Lease is.
#[derive(Clone, Debug)]
pub struct LeaseName {
    /// Namespace: the gateway's own.
    pub namespace: String,
    /// Name of the Lease.
    pub name: String,
}

/// A client for the control plane: without the default retry (up to 15 times and minutes), because
/// every caller here has a shorter one of its own.
///
/// # Errors
/// If the configuration's certificates or credentials can't be used.
pub fn client(mut config: kube::Config) -> kube::Result<kube::Client> {
    config.default_retry = false;
    config.connect_timeout = Some(Duration::from_secs(5));
    kube::Client::try_from(config)
}

/// Runs the control plane until `shutdown`; then writes the budgets' last state and gives the
/// Lease back. Cancel it when no request is left that could settle.
pub async fn run(control: Control, shutdown: CancellationToken) {
    let Control { client, config, lease, identity, current, published, .. } = control;
    let Control { ledger, targets, outcome, metrics, .. } = control;
    let statuses = Arc::new(Statuses::default());
    let outcomes = outcome.subscribe();
    // Leadership outlives the rest: the final status is written by the leader.
    let end_of_leadership = CancellationToken::new();
    let election = Election {
        client: client.clone(),
        lease,
        identity: identity.clone(),
        metrics: metrics.clone(),
    };
    let (leader, leadership) = election.start(end_of_leadership.clone());
    let source = cluster::run(
        client.clone(),
        config,
        cluster::Sinks {
            current: current.clone(),
            statuses: statuses.clone(),
            metrics: metrics.clone(),
        },
        shutdown.clone(),
    );
    let served = published.clone();
    let rebuild = Rebuild {
        current,
        published,
        outcome,
        ledger: ledger.clone(),
        checkpoints: Some(statuses.clone()),
        metrics: metrics.clone(),
    };
    let writer = StatusWriter {
        recorder: event::start(client.clone(), identity, metrics.clone(), shutdown.clone()),
        client,
        statuses,
        ledger: ledger.clone(),
        targets,
        published: served,
        outcomes: outcomes.clone(),
        leader,
        metrics: metrics.clone(),
    };
    tokio::join!(
        source,
        rebuild.run(shutdown.clone()),
        ledger::run(ledger, outcomes, metrics.clone(), shutdown.clone()),
        writer.run(shutdown),
    );
    end_of_leadership.cancel();
    // A panic there has been reported already; the Lease then simply runs out.
    let _ = leadership.await;
}
