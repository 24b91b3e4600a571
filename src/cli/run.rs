//! `sluice run`: serve traffic.

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    process::ExitCode,
};

use anyhow::Context as _;

use crate::{
    config::{Config, Listener, Override},
    runtime::{self, Source},
    telemetry::log,
};

use super::cluster;

/// Arguments of `sluice run`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Bootstrap configuration.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Serve a folder of manifests instead of a cluster. Providers on this machine may be called.
    #[arg(long, value_name = "DIR", conflicts_with = "kubeconfig")]
    manifests: Option<PathBuf>,
    /// Address of the data port, instead of the configuration's listeners.
    #[arg(long, value_name = "ADDRESS", value_parser = address)]
    listen: Option<SocketAddr>,
    /// Address of the admin port.
    #[arg(long, value_name = "ADDRESS", value_parser = address)]
    admin: Option<SocketAddr>,
    /// The cluster, instead of the environment's (KUBECONFIG, ~/.kube/config, or the pod's own).
    #[arg(long, value_name = "FILE")]
    kubeconfig: Option<PathBuf>,
    /// Let a cluster's providers be on this machine, which only --manifests allows otherwise.
    /// Whoever may write an AIProvider then reaches what listens on the gateway's loopback.
    #[arg(long)]
    allow_loopback_upstreams: bool,
    /// A folder of this gateway's own where what requests have used is kept over a restart.
    #[arg(long, value_name = "DIR")]
    state_dir: Option<PathBuf>,
    /// One value of the configuration, for example limits.drain=10s.
    #[arg(long = "set", value_name = "KEY=VALUE")]
    set: Vec<String>,
}

fn address(text: &str) -> Result<SocketAddr, String> {
    text.parse().map_err(|_| "write an IP address and a port, for example 0.0.0.0:8080".to_owned())
}

pub(super) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let config = configuration(args)?;
    log::install(config.telemetry.logs.format);
    // An error means that a provider is installed already, which is then used.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let source = match &args.manifests {
        Some(directory) => {
            let metadata = std::fs::metadata(directory)
                .with_context(|| format!("cannot read {}", directory.display()))?;
            anyhow::ensure!(metadata.is_dir(), "{} is not a folder", directory.display());
            Source::Directory(directory.clone())
        }
        None => Source::Cluster(Box::new(cluster::config(args.kubeconfig.as_deref())?)),
    };
    let allow_loopback = args.allow_loopback_upstreams || args.manifests.is_some();
    runtime::run(&config, source, allow_loopback)?;
    Ok(ExitCode::SUCCESS)
}

/// The configuration of a file, the environment and `--set`.
pub(super) fn load(file: Option<&Path>, set: &[String]) -> anyhow::Result<Config> {
    let mut overrides = Override::from_environment(std::env::vars());
    for flag in set {
        overrides.push(Override::from_flag(flag)?);
    }
    Ok(Config::load(file, &overrides)?)
}

fn configuration(args: &Args) -> anyhow::Result<Config> {
    let mut config = load(args.config.as_deref(), &args.set)?;
    if let Some(address) = args.listen {
        config.listeners = vec![Listener { address, tls: None }];
    }
    if let Some(address) = args.admin {
        config.admin.address = address;
    }
    if let Some(folder) = &args.state_dir {
        config.store.state_dir = Some(folder.clone());
    }
    Ok(config)
}
