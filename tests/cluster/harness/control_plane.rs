//! Starts or joins an API server and speaks to it through kubectl and Helm, as a user does.
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use super::command::{Output, TempDir, run};

/// What a cluster is started with.
#[derive(Debug, Clone, Copy)]
pub struct Options {
    /// Runs kube-controller-manager too: ReplicaSets, garbage collection, default ServiceAccounts.
    pub controller_manager: bool,
}

/// An API server of this test's own, or the existing one that `USE_EXISTING_CLUSTER=true` and
/// `KUBECONFIG` name. Stopped when dropped, or by a guard when the test process has gone.
#[derive(Debug)]
pub struct Cluster {
    dir: TempDir,
    kubeconfig: PathBuf,
    binaries: Binaries,
    owned: bool,
}

/// Where kubectl and helm are.
#[derive(Debug, Clone)]
pub(super) struct Binaries {
    cache: PathBuf,
}

impl Binaries {
    /// Builds what is missing of a group or list of build.sh.
    pub(super) fn build(wanted: &[&str]) -> Self {
        let built = run(Command::new(script("build.sh")).args(wanted), "");
        Self { cache: PathBuf::from(built.expect_success().trim()) }
    }

    fn path(&self, name: &str) -> PathBuf {
        let assets = std::env::var_os("KUBEBUILDER_ASSETS").map(PathBuf::from);
        let found = assets.map(|folder| folder.join(name)).filter(|path| path.exists());
        found.unwrap_or_else(|| self.cache.join(name))
    }
}

/// A script or folder of the test bed.
pub(super) fn script(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cluster").join(name)
}

impl Cluster {
    /// Starts a control plane with every component, or joins the existing one.
    ///
    /// # Panics
    /// When it does not come up; with the output of what failed.
    pub fn start() -> Self {
        Self::start_with(Options { controller_manager: true })
    }

    /// Starts only etcd and the API server: faster, enough for schemas, watches and status.
    ///
    /// # Panics
    /// As [`Cluster::start`].
    pub fn start_bare() -> Self {
        Self::start_with(Options { controller_manager: false })
    }

    /// One cluster for all tests of a suite; the guard stops it when the suite has ended.
    ///
    /// # Panics
    /// As [`Cluster::start`].
    pub fn shared() -> &'static Self {
        static SHARED: OnceLock<Cluster> = OnceLock::new();
        SHARED.get_or_init(Self::start)
    }

    /// Starts a control plane of the wanted size, or joins the existing one.
    ///
    /// # Panics
    /// As [`Cluster::start`].
    pub fn start_with(options: Options) -> Self {
        let dir = TempDir::new("cluster");
        if std::env::var("USE_EXISTING_CLUSTER").is_ok_and(|value| value == "true") {
            let binaries = Binaries::build(&["kubectl", "helm"]);
            let kubeconfig = std::env::var_os("KUBECONFIG").expect("KUBECONFIG is not set").into();
            return Self { dir, kubeconfig, binaries, owned: false };
        }
        let binaries = Binaries::build(&["api"]);
        let mut start = Command::new(script("start.sh"));
        start.arg(dir.path()).env("OWNER_PID", std::process::id().to_string()).env("NO_SCHED", "1");
        if !options.controller_manager {
            start.env("NO_KCM", "1");
        }
        run(&mut start, "").expect_success();
        let kubeconfig = dir.path().join("kubeconfig");
        Self { dir, kubeconfig, binaries, owned: true }
    }

    /// Whether this test started it, and so may kill its components.
    pub fn is_owned(&self) -> bool {
        self.owned
    }

    /// The administrator's kubeconfig.
    pub fn kubeconfig(&self) -> &Path {
        &self.kubeconfig
    }

    /// Runs kubectl as the administrator.
    pub fn kubectl(&self, args: &[&str], stdin: &str) -> Output {
        self.kubectl_as(&self.kubeconfig, args, stdin)
    }

    /// Runs kubectl as whom a kubeconfig names.
    pub fn kubectl_as(&self, kubeconfig: &Path, args: &[&str], stdin: &str) -> Output {
        let mut kubectl = Command::new(self.binaries.path("kubectl"));
        kubectl.arg("--kubeconfig").arg(kubeconfig).args(args);
        run(kubectl.env("KUBECACHEDIR", self.dir.path().join("kubectl-cache")), stdin)
    }

    /// Applies manifests as the administrator.
    ///
    /// # Panics
    /// When the API server refuses one; with its message.
    #[track_caller]
    pub fn apply(&self, manifests: &str) {
        self.kubectl(&["apply", "-f", "-"], manifests).expect_success();
    }

    /// Runs Helm as the administrator, with caches of its own.
    pub fn helm<S: AsRef<OsStr>>(&self, args: &[S]) -> Output {
        helm(&self.binaries, self.dir.path(), &self.kubeconfig, args)
    }

    /// A kubeconfig that is a ServiceAccount, by a token that is valid for an hour.
    ///
    /// # Panics
    /// When there is no such ServiceAccount.
    pub fn service_account_kubeconfig(&self, namespace: &str, name: &str) -> PathBuf {
        let args = ["create", "token", name, "--namespace", namespace, "--duration=1h"];
        let token = self.kubectl(&args, "").expect_success().trim().to_owned();
        let view = self.kubectl(&["config", "view", "--raw", "--minify", "-o", "json"], "");
        let mut config: serde_json::Value = serde_json::from_str(view.expect_success()).unwrap();
        config["users"][0]["user"] = serde_json::json!({ "token": token });
        self.dir.write(&format!("{namespace}-{name}.kubeconfig"), &config.to_string())
    }

    /// Kills the API server with SIGKILL.
    pub fn kill_api_server(&self) {
        self.part("kill", "apiserver");
    }

    /// Starts the API server again on its port and returns when it is ready.
    pub fn restart_api_server(&self) {
        self.part("start", "apiserver");
        self.part("wait", "apiserver");
    }

    /// Kills etcd with SIGKILL.
    pub fn kill_etcd(&self) {
        self.part("kill", "etcd");
    }

    /// Starts etcd again on its data and returns when the API server reaches it.
    pub fn restart_etcd(&self) {
        self.part("start", "etcd");
        self.part("wait", "etcd");
    }

    fn part(&self, verb: &str, part: &str) {
        assert!(self.owned, "the components of an existing cluster are not this test's to kill");
        run(Command::new(script("part.sh")).arg(self.dir.path()).args([verb, part]), "")
            .expect_success();
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        if self.owned {
            run(Command::new(script("stop.sh")).arg(self.dir.path()).arg("--rm"), "");
        }
    }
}

/// Runs Helm without a cluster: `helm lint`, `helm template`.
pub(super) fn helm<S: AsRef<OsStr>>(
    binaries: &Binaries,
    state: &Path,
    kubeconfig: &Path,
    args: &[S],
) -> Output {
    let mut helm = Command::new(binaries.path("helm"));
    helm.args(args).env("KUBECONFIG", kubeconfig);
    for (variable, folder) in [
        ("HELM_CACHE_HOME", "helm-cache"),
        ("HELM_CONFIG_HOME", "helm-config"),
        ("HELM_DATA_HOME", "helm-data"),
    ] {
        helm.env(variable, state.join(folder));
    }
    run(&mut helm, "")
}

/// Helm and kubectl for what needs no server.
#[derive(Debug)]
pub struct Offline {
    dir: TempDir,
    binaries: Binaries,
}

impl Offline {
    /// Builds kubectl and helm when they are missing.
    ///
    /// # Panics
    /// When they cannot be built.
    pub fn new() -> Self {
        Self { dir: TempDir::new("offline"), binaries: Binaries::build(&["kubectl", "helm"]) }
    }

    /// Runs Helm.
    pub fn helm<S: AsRef<OsStr>>(&self, args: &[S]) -> Output {
        helm(&self.binaries, self.dir.path(), Path::new("/dev/null"), args)
    }

    /// Runs kubectl.
    pub fn kubectl(&self, args: &[&str]) -> Output {
        run(Command::new(self.binaries.path("kubectl")).args(args), "")
    }

    /// A folder for the caller's files, removed with this value.
    pub fn dir(&self) -> &TempDir {
        &self.dir
    }

    /// The folder of the built binaries, to be put on the `PATH` of a script.
    pub fn search_path(&self) -> String {
        let inherited = std::env::var("PATH").unwrap_or_default();
        format!("{}:{inherited}", self.binaries.cache.display())
    }
}
