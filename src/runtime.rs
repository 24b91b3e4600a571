//! Wires the tasks of a process together, and takes them down in the right order.
//!
//! Two runtimes: the data plane's serves requests, the control plane's watches, compiles, writes
//! status and answers the admin port, so that none of this can stall a request.

mod data;
mod error;
mod handler;
mod series;
mod socket;
mod usage;

use std::{
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use tokio::{sync::watch, task::JoinHandle};
use tokio_util::sync::CancellationToken;

use crate::{
    admin::Admin,
    budget::{Ledger, SystemClock},
    compile::{Inputs, Settings},
    config::{self, Config},
    controller::{self, Control, LeaseName, Outcome, Rebuild},
    credential::Environment,
    proxy::{
        Deps, Limits, Pipeline, keep_probing,
        server::{self, Context, DrainSignal, ServerLimits},
    },
    route::Targets,
    snapshot::{Published, SecretString},
    source::{Current, cluster::ClusterConfig, directory},
    telemetry::{AccessLog, Metrics, Spend, Writer, control::ControlMetrics},
};

pub use error::RuntimeError;

/// Where objects come from.
pub enum Source {
    /// A folder of manifests.
    Directory(PathBuf),
    /// A cluster.
    Cluster(Box<kube::Config>),
}

/// Serves until SIGTERM or SIGINT. `allow_loopback`: providers may be on this machine.
///
/// # Errors
/// If a socket cannot be bound, a file cannot be read, or the cluster's configuration is of no use.
/// Everything that fails later is retried and reported instead.
pub fn run(config: &Config, source: Source, allow_loopback: bool) -> Result<(), RuntimeError> {
    let data = data::build().map_err(RuntimeError::Threads)?;
    let control = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .thread_name("control")
        .enable_all()
        .build()
        .map_err(RuntimeError::Threads)?;
    let outcome = control.block_on(async {
        let process = Process::start(config, source, allow_loopback, data.handle()).await?;
        process.serve_until(termination()).await;
        Ok(())
    });
    data.shutdown_background();
    outcome
}

/// Everything that runs.
struct Process {
    /// How far the end of the data port is; answers under way watch it.
    drain: DrainSignal,
    /// Ends the data port: no new connection, requests under way finish.
    stop_data: CancellationToken,
    data: Vec<JoinHandle<()>>,
    /// Ends the control plane and the admin port.
    stop_control: CancellationToken,
    control: Vec<JoinHandle<()>>,
    /// Writes access records.
    records: Writer,
    /// Keeps what was used.
    usage: usage::Keeper,
}

/// What the parts share.
struct Shared {
    current: Arc<Current>,
    published: Arc<Published>,
    ledger: Arc<Ledger>,
    metrics: Arc<Metrics>,
    log: Arc<AccessLog>,
    control_metrics: Arc<ControlMetrics>,
    outcome: watch::Sender<Arc<Outcome>>,
}

impl Process {
    async fn start(
        config: &Config,
        source: Source,
        allow_loopback: bool,
        data_runtime: &tokio::runtime::Handle,
    ) -> Result<Self, RuntimeError> {
        let shared = Shared::new(config, allow_loopback)?;
        let mut process = Self {
            drain: DrainSignal::new(),
            stop_data: CancellationToken::new(),
            data: Vec::new(),
            stop_control: CancellationToken::new(),
            control: Vec::new(),
            records: shared.log.start(std::io::stderr()).map_err(RuntimeError::Threads)?,
            usage: usage::keep(shared.log.usage(), config.store.state_dir.as_deref())?,
        };
        let pipeline = process.pipeline(config, &shared, allow_loopback)?;
        process.start_admin(config, &shared, &pipeline)?;
        process.start_data(config, &pipeline, data_runtime)?;
        process.start_control(config, (shared, pipeline.targets().clone()), source)?;
        Ok(process)
    }

    fn pipeline(
        &self,
        config: &Config,
        shared: &Shared,
        allow_loopback: bool,
    ) -> Result<Arc<Pipeline>, RuntimeError> {
        let max_body = usize::try_from(config.limits.max_body_size.0).unwrap_or(usize::MAX);
        Ok(Pipeline::new(Deps {
            published: shared.published.clone(),
            ledger: shared.ledger.clone(),
            metrics: shared.metrics.clone(),
            log: shared.log.clone(),
            limits: Limits { max_body, ..Limits::default() },
            allow_loopback,
            environment: Environment::process(),
            clock: Arc::new(SystemClock),
            drain: self.drain.clone(),
        })?)
    }

    fn start_admin(
        &mut self,
        config: &Config,
        shared: &Shared,
        pipeline: &Arc<Pipeline>,
    ) -> Result<(), RuntimeError> {
        let live = Arc::new(AtomicBool::new(false));
        let admin = Admin {
            published: shared.published.clone(),
            current: shared.current.clone(),
            live: live.clone(),
            drain: self.drain.clone(),
            registry: shared.metrics.registry.clone(),
            pipeline: Some(pipeline.clone()),
            usage: shared.log.usage().clone(),
            replica: controller::lease::identity(),
            token: config.admin.token_file.as_deref().map(read_token).transpose()?,
        };
        let listener = socket::bind(config.admin.address, "admin", None)?;
        let limits = ServerLimits { drain: Duration::ZERO, ..ServerLimits::default() };
        let context = Context::new(limits, DrainSignal::new(), self.stop_control.clone());
        let handler = Arc::new(handler::AdminHandler(admin));
        self.control.push(tokio::spawn(server::serve(listener, handler, context)));
        let mut outcomes = shared.outcome.subscribe();
        tokio::spawn(async move {
            // An error means that the process ends before its first snapshot.
            let _ = outcomes.wait_for(|outcome| outcome.version > 0).await;
            live.store(true, Ordering::Relaxed);
        });
        Ok(())
    }

    fn start_data(
        &mut self,
        config: &Config,
        pipeline: &Arc<Pipeline>,
        runtime: &tokio::runtime::Handle,
    ) -> Result<(), RuntimeError> {
        let bounds = &config.limits;
        let handler = Arc::new(handler::DataHandler(pipeline.clone()));
        let limits = ServerLimits {
            concurrent_requests: bounds.concurrent_requests,
            header_timeout: bounds.header_timeout.get(),
            drain: bounds.drain.get(),
            ..ServerLimits::default()
        };
        let context = Context::new(limits, self.drain.clone(), self.stop_data.clone());
        // Sockets register with the runtime that accepts on them.
        let _entered = runtime.enter();
        for listener in &config.listeners {
            let bound = socket::bind(listener.address, "data", listener.tls.as_ref())?;
            let serve = server::serve(bound, handler.clone(), context.clone());
            self.data.push(runtime.spawn(serve));
        }
        let probing = keep_probing(pipeline.clone());
        let stop = self.stop_data.clone();
        self.data.push(runtime.spawn(async move {
            let _ = stop.run_until_cancelled_owned(probing).await;
        }));
        Ok(())
    }

    fn start_control(
        &mut self,
        config: &Config,
        (shared, targets): (Shared, Arc<Targets>),
        source: Source,
    ) -> Result<(), RuntimeError> {
        let stop = self.stop_control.clone();
        let tidy = series::tidy(
            shared.metrics.clone(),
            shared.published.clone(),
            shared.outcome.subscribe(),
        );
        let tidy = stop.clone().run_until_cancelled_owned(tidy);
        self.control.push(tokio::spawn(async move {
            let _ = tidy.await;
        }));
        let Shared { current, published, ledger, control_metrics: metrics, outcome, .. } = shared;
        match source {
            Source::Directory(path) => {
                let outcomes = outcome.subscribe();
                let rebuild = Rebuild {
                    current: current.clone(),
                    published,
                    outcome,
                    ledger: ledger.clone(),
                    checkpoints: None,
                    metrics: metrics.clone(),
                };
                self.control.push(tokio::spawn(directory::run(path, current, stop.clone())));
                self.control.push(tokio::spawn(rebuild.run(stop.clone())));
                let upkeep = controller::ledger::run(ledger, outcomes, metrics, stop);
                self.control.push(tokio::spawn(upkeep));
            }
            Source::Cluster(cluster) => {
                tracing::info!(server = %cluster.cluster_url, "reading objects from a cluster");
                let control = Control {
                    client: controller::client(*cluster)?,
                    config: ClusterConfig { namespaces: config.watch.namespaces.clone() },
                    lease: LeaseName {
                        namespace: config.gateway.namespace.clone(),
                        name: format!("sluice-{}", config.gateway.name),
                    },
                    identity: controller::lease::identity(),
                    current,
                    published,
                    ledger,
                    targets,
                    outcome,
                    metrics,
                };
                self.control.push(tokio::spawn(controller::run(control, stop)));
            }
        }
        Ok(())
    }

    /// Serves until `end`, then: unready at once, requests under way finish, their settlements are
    /// in the ledger, the last state is written, the Lease is given back.
    async fn serve_until(self, end: impl Future<Output = &'static str>) {
        let signal = end.await;
        tracing::info!(signal, "shutting down: finishing what runs");
        self.drain.begin();
        self.stop_data.cancel();
        for task in self.data {
            // A panic of a task has been reported by its hook; the others still end in order.
            let _ = task.await;
        }
        self.stop_control.cancel();
        for task in self.control {
            let _ = task.await;
        }
        self.records.stop();
        self.usage.stop();
        tracing::info!("stopped");
    }
}

/// What the configuration says of the compilation of objects.
pub(crate) fn settings(config: &Config, allow_loopback: bool) -> Settings {
    Settings {
        gateway_namespace: config.gateway.namespace.as_str().into(),
        allow_loopback,
        identity_namespaces: (config.gateway.identity_namespaces.iter())
            .map(|namespace| namespace.as_str().into())
            .collect(),
        zone: (config.gateway.zone.as_deref()).filter(|z| !z.is_empty()).map(Into::into),
        builtin_prices: config.prices.builtin,
    }
}

impl Shared {
    fn new(config: &Config, allow_loopback: bool) -> Result<Self, RuntimeError> {
        let metrics = Arc::new(Metrics::new()?);
        let config::Metrics { labels, max_series } = &config.telemetry.metrics;
        let spend = match labels.is_empty() {
            true => None,
            false => Some(Spend::register(labels, *max_series, &metrics.registry)?),
        };
        let settings = settings(config, allow_loopback);
        Ok(Self {
            current: Current::new(Inputs { settings, ..Inputs::default() }),
            published: Arc::new(Published::default()),
            ledger: Arc::new(Ledger::new(Arc::new(SystemClock))),
            control_metrics: ControlMetrics::new(&metrics.registry)?,
            log: AccessLog::counting(config.telemetry.logs.format, &metrics.registry, spend)?,
            metrics,
            outcome: watch::Sender::default(),
        })
    }
}

fn read_token(path: &std::path::Path) -> Result<SecretString, RuntimeError> {
    let text = std::fs::read_to_string(path)
        .map_err(|source| RuntimeError::File { path: path.to_owned(), source })?;
    Ok(SecretString::new(text.trim().to_owned()))
}

/// Waits for SIGTERM or SIGINT and names it.
async fn termination() -> &'static str {
    use tokio::signal::unix::{SignalKind, signal};
    let (Ok(mut terminate), Ok(mut interrupt)) =
        (signal(SignalKind::terminate()), signal(SignalKind::interrupt()))
    else {
        return std::future::pending().await;
    };
    tokio::select! {
        _ = terminate.recv() => "SIGTERM",
        _ = interrupt.recv() => "SIGINT",
    }
}
