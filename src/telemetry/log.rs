//! Logs: JSON lines or text on standard error, filtered by `RUST_LOG`.

use std::io::IsTerminal as _;

use serde::Deserialize;
use tracing_subscriber::{EnvFilter, fmt};

/// What is logged when `RUST_LOG` says nothing. The Kubernetes client reports every failed request
/// as an error, also those that are tried again; what matters of them is logged by who sent them.
const DEFAULT_FILTER: &str = "info,kube_client=off,kube_runtime=off,hyper_util=warn";

/// How log lines are written.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// One JSON object a line.
    #[default]
    Json,
    /// Text for people.
    Text,
}

/// Sends everything that is logged to standard error. Later calls have no effect.
pub fn install(format: Format) {
    let filter =
        EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(DEFAULT_FILTER));
    let builder = fmt().with_env_filter(filter).with_writer(std::io::stderr);
    // An error means that another subscriber is installed already, which then gets the events.
    let _ = match format {
        Format::Json => builder
            .json()
            .flatten_event(true)
            .with_target(false)
            .with_current_span(false)
            .try_init(),
        Format::Text => builder
            .with_target(false)
            .with_ansi(std::io::stderr().is_terminal())
            .compact()
            .try_init(),
    };
}
