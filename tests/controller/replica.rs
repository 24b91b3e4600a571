//! A replica's control plane inside the test process, and a namespace of the shared cluster.

use std::{
    path::Path,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicU32, Ordering},
    },
    time::{Duration, Instant},
};

use kube::config::{KubeConfigOptions, Kubeconfig};
use prometheus::Registry;
use serde_json::Value;
use sluice::{
    budget::{Ledger, SystemClock},
    compile::{Inputs, Settings},
    controller::{self, Control, LeaseName, Outcome},
    route::Targets,
    snapshot::{Budget, ObjectName, Published, Snapshot},
    source::{Current, cluster::ClusterConfig},
    telemetry::control::ControlMetrics,
};
use tokio::{sync::watch, task::JoinHandle, time::timeout};
use tokio_util::sync::CancellationToken;

use crate::cluster::{Cluster, eventually};

/// What every wait of the suite is bounded by, unless it says otherwise.
pub const SOON: Duration = Duration::from_secs(20);

/// The cluster that tests share which do not kill it.
pub fn shared() -> &'static Cluster {
    static SHARED: OnceLock<Cluster> = OnceLock::new();
    SHARED.get_or_init(|| {
        let cluster = Cluster::start_bare();
        install_definitions(&cluster);
        cluster
    })
}

/// Applies the CRDs and waits until they are served.
pub fn install_definitions(cluster: &Cluster) {
    cluster.kubectl(&["apply", "--server-side", "-f", "crds/"], "").expect_success();
    let wait = ["wait", "--for=condition=Established", "--timeout=30s", "-f", "crds/"];
    cluster.kubectl(&wait, "").expect_success();
}

/// A namespace of one test.
pub struct Namespace {
    pub cluster: &'static Cluster,
    pub name: String,
}

impl Namespace {
    /// A new one in the shared cluster.
    pub fn new(purpose: &str) -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let name = format!("{purpose}-{}-{number}", std::process::id());
        shared().kubectl(&["create", "namespace", &name], "").expect_success();
        Self { cluster: shared(), name }
    }

    /// Applies manifests in it.
    #[track_caller]
    pub fn apply(&self, manifests: &str) {
        self.kubectl(&["apply", "-f", "-"], manifests);
    }

    /// Runs kubectl in it.
    #[track_caller]
    pub fn kubectl(&self, args: &[&str], stdin: &str) -> String {
        let mut all = vec!["--namespace", &self.name];
        all.extend(args);
        self.cluster.kubectl(&all, stdin).expect_success().to_owned()
    }

    /// An object.
    #[track_caller]
    pub fn get(&self, object: &str) -> Value {
        serde_json::from_str(&self.kubectl(&["get", object, "-o", "json"], "")).unwrap()
    }

    /// Waits until a condition has a status and a reason; returns its message.
    #[track_caller]
    pub fn await_condition(&self, object: &str, wanted: [&str; 3]) -> String {
        eventually(SOON, || {
            let object = self.get(object);
            let [type_, status, reason] = wanted;
            let condition =
                condition(&object, type_).ok_or_else(|| object["status"].to_string())?;
            match condition["status"] == status && condition["reason"] == reason {
                true => Ok(condition["message"].as_str().unwrap_or_default().to_owned()),
                false => Err(object["status"].to_string()),
            }
        })
    }

    /// The Events about an object: type and reason of each.
    pub fn events(&self, name: &str) -> Vec<(String, String)> {
        let all = self.kubectl(&["get", "events.events.k8s.io", "-o", "json"], "");
        let all: Value = serde_json::from_str(&all).unwrap();
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let about = all["items"].as_array().unwrap().iter();
        about
            .filter(|event| event["regarding"]["name"] == name)
            .map(|event| (text(&event["type"]), text(&event["reason"])))
            .collect()
    }

    /// Its name with an object's.
    pub fn object(&self, name: &str) -> ObjectName {
        ObjectName::new(self.name.as_str(), name)
    }

    /// Starts a replica that watches it.
    pub fn replica(&self, identity: &str) -> Replica {
        Replica::start(self.cluster.kubeconfig(), &[&self.name], identity)
    }
}

/// A condition of an object.
pub fn condition<'a>(object: &'a Value, type_: &str) -> Option<&'a Value> {
    object["status"]["conditions"].as_array()?.iter().find(|condition| condition["type"] == type_)
}

/// A running control plane.
pub struct Replica {
    runtime: tokio::runtime::Runtime,
    shutdown: CancellationToken,
    task: JoinHandle<()>,
    pub current: Arc<Current>,
    pub published: Arc<Published>,
    pub ledger: Arc<Ledger>,
    pub targets: Arc<Targets>,
    pub metrics: Arc<ControlMetrics>,
    pub outcomes: watch::Receiver<Arc<Outcome>>,
}

impl Replica {
    /// Starts one that watches these namespaces; the first also holds its Lease.
    pub fn start(kubeconfig: &Path, namespaces: &[&str], identity: &str) -> Self {
        Self::start_as(kubeconfig, namespaces, identity, Settings::default())
    }

    /// The same with other settings.
    pub fn start_as(
        kubeconfig: &Path,
        namespaces: &[&str],
        identity: &str,
        settings: Settings,
    ) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        let client = runtime.block_on(client(kubeconfig));
        let current = Current::new(Inputs { settings, ..Inputs::default() });
        let published = Arc::new(Published::default());
        let ledger = Arc::new(Ledger::new(Arc::new(SystemClock)));
        let targets = Arc::new(Targets::new(Instant::now()));
        let metrics = ControlMetrics::new(&Registry::new()).unwrap();
        let (outcome, outcomes) = watch::channel(Arc::default());
        let control = Control {
            client,
            config: ClusterConfig { namespaces: namespaces.iter().map(|&n| n.into()).collect() },
            lease: LeaseName { namespace: namespaces[0].into(), name: "sluice".into() },
            identity: identity.into(),
            current: current.clone(),
            published: published.clone(),
            ledger: ledger.clone(),
            targets: targets.clone(),
            outcome,
            metrics: metrics.clone(),
        };
        let shutdown = CancellationToken::new();
        let task = runtime.spawn(controller::run(control, shutdown.clone()));
        Self { runtime, shutdown, task, current, published, ledger, targets, metrics, outcomes }
    }

    /// As SIGTERM does.
    pub fn stop(self) {
        self.shutdown.cancel();
        let ended = self.runtime.block_on(async { timeout(SOON, self.task).await });
        ended.expect("the control plane ends in time").unwrap();
    }

    /// As SIGKILL does: nothing is written or given back.
    pub fn kill(self) {
        self.runtime.shutdown_background();
    }

    /// Waits until the snapshot is as wanted, and returns how long that took.
    #[track_caller]
    pub fn await_snapshot(&self, wanted: impl Fn(&Snapshot) -> bool) -> Duration {
        let start = Instant::now();
        while !wanted(&self.published.load()) {
            assert!(start.elapsed() < SOON, "not published: {:?}", self.outcomes.borrow().verdicts);
            std::thread::sleep(Duration::from_millis(1));
        }
        start.elapsed()
    }

    /// The served budget of a name.
    pub fn budget(&self, name: &ObjectName) -> Option<Arc<Budget>> {
        self.published.load().budgets.iter().find(|budget| budget.name == *name).cloned()
    }

    /// Whether it leads.
    pub fn leads(&self) -> bool {
        self.metrics.leader.get() == 1
    }

    /// Waits until it leads.
    #[track_caller]
    pub fn await_leadership(&self, within: Duration) {
        eventually(within, || if self.leads() { Ok(()) } else { Err("does not lead".into()) });
    }
}

async fn client(kubeconfig: &Path) -> kube::Client {
    // Another test has installed it already, or this one does.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let kubeconfig = Kubeconfig::read_from(kubeconfig).unwrap();
    let options = KubeConfigOptions::default();
    let config = kube::Config::from_custom_kubeconfig(kubeconfig, &options).await.unwrap();
    controller::client(config).unwrap()
}
