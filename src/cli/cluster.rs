//! Which cluster a command speaks to, and what stands in it at this moment.

use std::{path::Path, sync::Arc, time::Duration};

use anyhow::Context as _;
use tokio_util::sync::CancellationToken;

use crate::{
    compile::{Inputs, Settings},
    source::{
        Current,
        cluster::{self, ClusterConfig, Sinks, Statuses},
    },
    telemetry::control::ControlMetrics,
};

/// How long a cluster may take to give all its objects.
const PATIENCE: Duration = Duration::from_secs(30);

/// The cluster of a kubeconfig, or of the environment.
pub(super) fn config(path: Option<&Path>) -> anyhow::Result<kube::Config> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        // These errors repeat their causes in their own words: the outermost is enough.
        let Some(path) = path else {
            return kube::Config::infer().await.map_err(|error| {
                anyhow::anyhow!(
                    "found no cluster: set KUBECONFIG or --kubeconfig, or serve a folder with \
                     --manifests ({error})"
                )
            });
        };
        let failed = |error: kube::config::KubeconfigError| {
            anyhow::anyhow!("cannot use {}: {error}", path.display())
        };
        let kubeconfig = kube::config::Kubeconfig::read_from(path).map_err(failed)?;
        kube::Config::from_custom_kubeconfig(kubeconfig, &Default::default()).await.map_err(failed)
    })
}

/// The objects of a cluster, read once.
pub(super) fn read(config: kube::Config, settings: Settings) -> anyhow::Result<Inputs> {
    // An error means that a provider is installed already, which is then used.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let client = kube::Client::try_from(config)?;
        let current = Current::new(Inputs { settings, ..Inputs::default() });
        let sinks = Sinks {
            current: Arc::clone(&current),
            statuses: Arc::new(Statuses::default()),
            metrics: ControlMetrics::new(&prometheus::Registry::new())?,
        };
        let shutdown = CancellationToken::new();
        let watching =
            tokio::spawn(cluster::run(client, ClusterConfig::default(), sinks, shutdown.clone()));
        let read = tokio::time::timeout(PATIENCE, current.synced()).await;
        shutdown.cancel();
        // It ends by the token; what it was doing is of no use any more.
        let _ = watching.await;
        read.context("the cluster does not give its objects: are the CRDs installed, and may you list them and Secrets?")?;
        Ok(current.inputs())
    })
}
