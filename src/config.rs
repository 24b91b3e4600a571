//! The bootstrap configuration (`sluice.yaml`): what belongs to the process and not to an object.
//!
//! Everything is optional. A value comes, in rising precedence, from the default, the file, the
//! environment (`SLUICE_LIMITS__DRAIN=10s`) and `--set limits.drain=10s`. An unknown key or a value
//! that cannot be fails the start with the place where it stands.

mod overrides;
mod size;

use std::{net::SocketAddr, path::Path, path::PathBuf};

use serde::Deserialize;
use serde_saphyr::{MessageFormatter as _, UserMessageFormatter};

use crate::{
    api::duration::Duration,
    proxy::{self, server::ServerLimits},
    telemetry::log,
    usage::Dimension,
};

pub use overrides::Override;
pub use size::Size;

/// The bootstrap configuration.
#[derive(Clone, Debug, Default, Deserialize, PartialEq)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Config {
    /// The gateway itself.
    pub gateway: Gateway,
    /// Which objects are watched.
    pub watch: Watch,
    /// Sockets of the data port.
    pub listeners: Vec<Listener>,
    /// The admin port.
    pub admin: Admin,
    /// Bounds of the proxy.
    pub limits: Limits,
    /// Logs.
    pub telemetry: Telemetry,
    /// Prices of models.
    pub prices: Prices,
    /// What is kept over the end of the process.
    pub store: Store,
}

/// The gateway itself.
#[derive(Clone, Debug, Deserialize, PartialEq)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Gateway {
    /// Its own namespace: AIBudgets there may count every namespace, and its Lease lives there.
    pub namespace: String,
    /// Its name, which the Lease carries.
    pub name: String,
    /// Namespaces whose AIProviders may use the gateway's own identity in a cloud; empty: all.
    pub identity_namespaces: Vec<String>,
    /// The zone that it runs in, as in the label `topology.kubernetes.io/zone` of its node: backends
    /// of a Service in the same zone are preferred. None or empty: no zone is.
    pub zone: Option<String>,
}

impl Default for Gateway {
    fn default() -> Self {
        Self {
            namespace: "sluice-system".into(),
            name: "default".into(),
            identity_namespaces: Vec::new(),
            zone: None,
        }
    }
}

/// Which objects are watched.
#[derive(Clone, Debug, Default, Deserialize, PartialEq)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Watch {
    /// Namespaces to watch; empty: all. With a list, Roles in these namespaces are enough.
    pub namespaces: Vec<String>,
}

/// One socket of the data port.
#[derive(Clone, Debug, Deserialize, PartialEq)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Listener {
    /// Address to bind, for example `0.0.0.0:8080`.
    pub address: SocketAddr,
    /// TLS; plain text if omitted.
    #[serde(default)]
    pub tls: Option<Tls>,
}

/// TLS of a listener. The files are read again when they change.
#[derive(Clone, Debug, Deserialize, PartialEq)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Tls {
    /// Certificate chain, PEM.
    pub cert_file: PathBuf,
    /// Private key, PEM.
    pub key_file: PathBuf,
    /// If set, callers must present a certificate signed by one of these, PEM.
    #[serde(default, rename = "clientCAFile")]
    pub client_ca_file: Option<PathBuf>,
}

/// The admin port: health, metrics, configuration dump.
#[derive(Clone, Debug, Deserialize, PartialEq)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Admin {
    /// Address to bind. Default 127.0.0.1:9090.
    pub address: SocketAddr,
    /// A file with the token that `/debug/` asks for (`Authorization: Bearer`). Without one,
    /// `/debug/` is served on loopback only.
    pub token_file: Option<PathBuf>,
}

impl Default for Admin {
    fn default() -> Self {
        Self { address: SocketAddr::from(([127, 0, 0, 1], 9090)), token_file: None }
    }
}

/// Bounds of the proxy.
#[derive(Clone, Debug, Deserialize, PartialEq)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Limits {
    /// Largest request body. Default 32Mi.
    pub max_body_size: Size,
    /// Requests at one time; more are refused with 503. Default 10000.
    pub concurrent_requests: usize,
    /// How long a caller may take to send its headers. Default 10s.
    pub header_timeout: Duration,
    /// How long requests under way may go on after SIGTERM. Default 30s.
    pub drain: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        let (request, server) = (proxy::Limits::default(), ServerLimits::default());
        Self {
            max_body_size: Size(request.max_body as u64),
            concurrent_requests: server.concurrent_requests,
            header_timeout: Duration::from_std(server.header_timeout),
            drain: Duration::from_std(server.drain),
        }
    }
}

/// Prices of models.
#[derive(Clone, Debug, Deserialize, PartialEq)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Prices {
    /// Whether a model that neither its AIProvider nor a ConfigMap prices has the price of the
    /// built-in table. Default true.
    pub builtin: bool,
}

impl Default for Prices {
    fn default() -> Self {
        Self { builtin: true }
    }
}

/// What is kept over the end of the process.
#[derive(Clone, Debug, Default, Deserialize, PartialEq)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Store {
    /// A folder of this gateway's own, for what requests have used; none: that is kept in memory.
    pub state_dir: Option<PathBuf>,
}

/// Logs and metrics.
#[derive(Clone, Debug, Default, Deserialize, PartialEq)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Telemetry {
    /// How logs are written.
    pub logs: Logs,
    /// Metrics beside those that are always there.
    pub metrics: Metrics,
}

/// Counters of what is used, by labels of one's own choice.
#[derive(Clone, Debug, Deserialize, PartialEq)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Metrics {
    /// What `sluice_usage_*` is counted by; empty: these series are not there.
    pub labels: Vec<Dimension>,
    /// Combinations of values that have series of their own; what comes beyond counts as `other`.
    /// Default 1000.
    pub max_series: usize,
}

impl Default for Metrics {
    fn default() -> Self {
        Self { labels: Vec::new(), max_series: 1000 }
    }
}

/// How logs are written.
#[derive(Clone, Debug, Default, Deserialize, PartialEq)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Logs {
    /// One JSON object a line, or text for people.
    pub format: log::Format,
}

/// The configuration cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("cannot read {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The file is not YAML, or a key or value in it cannot be.
    #[error("{}:{line}:{column}: {message}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Line from 1.
        line: u64,
        /// Column from 1.
        column: u64,
        /// What is wrong.
        message: String,
    },
    /// An override is not of the form key=value or leads to a value that cannot be.
    #[error("{place}: {message}")]
    Override {
        /// The flag or variable.
        place: String,
        /// What is wrong.
        message: String,
    },
}

impl Config {
    /// Reads the configuration: `file` if given, then `overrides` in their order.
    ///
    /// # Errors
    /// A file that cannot be read or understood, an override that names no key or gives an
    /// impossible value.
    pub fn load(file: Option<&Path>, overrides: &[Override]) -> Result<Self, ConfigError> {
        let mut value = serde_json::json!({});
        if let Some(path) = file {
            let read = |source| ConfigError::Read { path: path.to_owned(), source };
            let text = std::fs::read_to_string(path).map_err(read)?;
            value = Self::parse(path, &text)?;
        }
        let mut config = Self::read(
            &value,
            file.map_or("configuration".into(), |file| file.display().to_string()),
        )?;
        for item in overrides {
            item.apply(&mut value)?;
            config = Self::read(&value, item.place.clone())?;
        }
        if config.listeners.is_empty() {
            let address = SocketAddr::from(([0, 0, 0, 0], 8080));
            config.listeners.push(Listener { address, tls: None });
        }
        Ok(config)
    }

    /// The configuration that a value holds; `place` is where the value got its last part from.
    fn read(value: &serde_json::Value, place: String) -> Result<Self, ConfigError> {
        let fail = |message: String| ConfigError::Override { place: place.clone(), message };
        let config = Self::deserialize(value).map_err(|error| fail(error.to_string()))?;
        let names = config.watch.namespaces.iter().chain([&config.gateway.namespace]);
        let names = names.chain(&config.gateway.identity_namespaces);
        for name in names {
            if !is_namespace(name) {
                return Err(fail(format!(
                    "{name:?} is no namespace: a name has lower case letters, digits and -, at most 63"
                )));
            }
        }
        let labels = &config.telemetry.metrics.labels;
        for (at, label) in labels.iter().enumerate() {
            if labels.iter().take(at).any(|other| other == label) {
                return Err(fail(format!("telemetry.metrics.labels names {label} twice")));
            }
        }
        Ok(config)
    }

    /// Reads a file's text twice: once typed, for errors with line and column, and once as a value
    /// that overrides are laid over.
    fn parse(path: &Path, text: &str) -> Result<serde_json::Value, ConfigError> {
        let failed = |error: serde_saphyr::Error| {
            let error = error.without_snippet();
            let location = error.location();
            ConfigError::File {
                path: path.to_owned(),
                line: location.map_or(1, |location| location.line()),
                column: location.map_or(1, |location| location.column()),
                message: UserMessageFormatter
                    .format_message(error)
                    .escape_debug()
                    .to_string()
                    .replace("\\\"", "\""),
            }
        };
        if text.lines().all(|line| line.trim().is_empty() || line.trim().starts_with('#')) {
            return Ok(serde_json::json!({}));
        }
        serde_saphyr::from_str::<Self>(text).map_err(failed)?;
        serde_saphyr::from_str(text).map_err(failed)
    }
}

/// RFC 1123 label.
fn is_namespace(name: &str) -> bool {
    let good = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    (1..=63).contains(&name.len())
        && name.bytes().all(good)
        && !name.starts_with('-')
        && !name.ends_with('-')
}

#[cfg(test)]
mod tests;
