//! The way to providers: pooled connections, connect timeouts, and the refusal of addresses that no
//! provider has. Decides nothing about retries.

mod body;
mod connect;
mod connection;
mod heard;
mod host;
mod outgoing;

use std::{
    collections::HashMap,
    sync::{Arc, Once, Weak},
    time::Duration,
};

use bytes::Bytes;
use http::{
    Request, Response, Uri,
    uri::{Authority, Scheme},
};
use parking_lot::RwLock;
use rustls::{ClientConfig, RootCertStore};
use thiserror::Error;
use tokio::time::Instant;

use super::mock;
use crate::credential::Unavailable;

use connect::Connector;
use host::Host;

pub use body::UpstreamBody;
pub use outgoing::Outgoing;

type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// Why nothing came back from a provider.
#[derive(Debug, Error)]
pub enum SendError {
    /// No connection was made in time, or it was refused.
    #[error("cannot connect: {0}")]
    Connect(String),
    /// The connection ended before the answer began.
    #[error("the connection broke before an answer: {0}")]
    Closed(String),
    /// There is nothing to authenticate with, so nothing was sent.
    #[error("{0}")]
    Credentials(#[from] Unavailable),
}

impl SendError {
    fn late() -> Self {
        Self::Connect("the connection was not established in time".to_owned())
    }

    fn ended() -> Self {
        Self::Closed("the provider closed the connection".to_owned())
    }
}

/// How often idle connections are looked through.
const SWEEP_EVERY: Duration = Duration::from_secs(10);

/// Connections to all providers. Lives outside the snapshot: a reload drops none.
pub struct Upstreams {
    tls: ClientConfig,
    connector: Connector,
    hosts: Arc<Hosts>,
    sweeper: Once,
}

/// Addresses are configuration, so that nobody can make them collide.
type Hosts = RwLock<HashMap<(Scheme, Authority), Arc<Host>, foldhash::fast::RandomState>>;

impl Upstreams {
    /// No connection yet. Trusts the machine's root certificates, or Mozilla's where it has none.
    ///
    /// # Errors
    /// If the TLS library refuses its own defaults.
    pub fn new(allow_loopback: bool) -> Result<Self, rustls::Error> {
        Self::trusting(connect::roots(), allow_loopback)
    }

    /// The same, trusting these root certificates.
    ///
    /// # Errors
    /// If the TLS library refuses its own defaults.
    pub fn trusting(roots: RootCertStore, allow_loopback: bool) -> Result<Self, rustls::Error> {
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let tls = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_root_certificates(roots)
            .with_no_client_auth();
        Ok(Self::with_tls(tls, allow_loopback))
    }

    fn with_tls(tls: ClientConfig, allow_loopback: bool) -> Self {
        let connector = Connector::new(tls.clone(), allow_loopback);
        Self { tls, connector, hosts: Arc::default(), sweeper: Once::new() }
    }

    /// How TLS is spoken with the outside.
    pub fn tls(&self) -> &ClientConfig {
        &self.tls
    }

    /// Sends a request over a pooled connection: HTTP/2 where TLS negotiates it, else HTTP/1.1.
    ///
    /// # Errors
    /// [`SendError`].
    pub async fn send(
        &self,
        connect_timeout: Duration,
        request: Request<impl Into<Outgoing>>,
    ) -> Result<Response<UpstreamBody>, SendError> {
        let host = self.host(request.uri())?;
        host.send(&self.connector, connect_timeout, request.map(Into::into)).await
    }

    /// Sends a request that asks to change the protocol, which only HTTP/1.1 can: the answer gives
    /// the connection by `hyper::upgrade::on`.
    ///
    /// # Errors
    /// [`SendError`].
    pub async fn upgrade(
        &self,
        connect_timeout: Duration,
        request: Request<impl Into<Outgoing>>,
    ) -> Result<Response<UpstreamBody>, SendError> {
        let host = self.host(request.uri())?;
        host.upgrade(&self.connector, connect_timeout, request.map(Into::into)).await
    }

    fn host(&self, uri: &Uri) -> Result<Arc<Host>, SendError> {
        let (Some(scheme), Some(authority)) = (uri.scheme(), uri.authority()) else {
            return Err(SendError::Connect(format!("{uri} names no host")));
        };
        let key = (scheme.clone(), authority.clone());
        if let Some(host) = self.hosts.read().get(&key) {
            return Ok(Arc::clone(host));
        }
        let host = Arc::new(Host::new(key.0.clone(), key.1.clone())?);
        self.sweeper.call_once(|| drop(tokio::spawn(keep_sweeping(Arc::downgrade(&self.hosts)))));
        Ok(Arc::clone(self.hosts.write().entry(key).or_insert(host)))
    }

    /// Asks the built-in mock.
    ///
    /// # Errors
    /// [`SendError`] where it was told to refuse or to break off.
    pub async fn ask_mock(
        &self,
        path: &str,
        body: &Bytes,
    ) -> Result<Response<UpstreamBody>, SendError> {
        match mock::respond(path, body).await {
            Ok(response) => Ok(response.map(|body| UpstreamBody::Mock(Box::pin(body)))),
            Err(fault @ mock::Fault::Refused) => Err(SendError::Connect(fault.to_string())),
            Err(fault) => Err(SendError::Closed(fault.to_string())),
        }
    }
}

async fn keep_sweeping(hosts: Weak<Hosts>) {
    loop {
        tokio::time::sleep(SWEEP_EVERY).await;
        let Some(hosts) = hosts.upgrade() else { return };
        sweep(&hosts, Instant::now());
    }
}

/// Closes connections that nobody uses at `now`, and forgets addresses without any.
fn sweep(hosts: &Hosts, now: Instant) {
    let all: Vec<_> = hosts.read().values().cloned().collect();
    for host in all {
        host.sweep(now);
    }
    // Whoever has one in hand gives connections back to it.
    hosts.write().retain(|_, host| host.has_any() || Arc::strong_count(host) > 1);
}

/// An error with its causes, in one line.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}

#[cfg(test)]
mod tests;
