//! Why a process cannot start.

use std::{io, path::PathBuf};

use crate::{
    proxy::server::{BindError, TlsError},
    state::StateError,
};

/// Why a process cannot start.
#[derive(Debug, thiserror::Error)]
pub enum RuntimeError {
    /// Threads cannot be started.
    #[error("cannot start threads")]
    Threads(#[source] io::Error),
    /// A socket cannot be bound.
    #[error(transparent)]
    Bind(#[from] BindError),
    /// A listener's certificate cannot be used.
    #[error("cannot use the listener's certificate")]
    Certificate(#[from] TlsError),
    /// A file cannot be read.
    #[error("cannot read {}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The folder of `--state-dir` cannot be used.
    #[error(transparent)]
    State(#[from] StateError),
    /// TLS towards providers cannot be set up.
    #[error("cannot set up TLS towards providers")]
    Tls(#[from] rustls::Error),
    /// Metrics cannot be registered.
    #[error("cannot register metrics")]
    Metrics(#[from] prometheus::Error),
    /// The cluster's configuration is of no use.
    #[error("cannot use the cluster's configuration")]
    Client(#[from] kube::Error),
}
