//! The way to providers: pooled connections, connect timeouts, and the refusal of addresses that no
//! provider has. Chooses among the backends of a Service; decides nothing about retries.

mod backend;
mod body;
mod choose;
mod connect;
mod connection;
mod group;
mod heard;
mod host;
mod outgoing;

use std::{
    collections::HashMap,
    net::SocketAddr,
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
use crate::{
    credential::Unavailable,
    snapshot::{Backend, Endpoint, Provider, Published},
};

use body::Source;
use connect::Connector;
use group::{Group, Sending, Sent};
use host::Host;

pub use backend::BackendState;
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
    /// The Service has no endpoint that takes requests, so nothing was sent.
    #[error("no endpoint of the Service is ready")]
    NoEndpoints,
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
    pools: Arc<Pools>,
    sweeper: Once,
}

/// Addresses are configuration, so that nobody can make them collide.
type ByPlace<T> = RwLock<HashMap<(Scheme, Authority), Arc<T>, foldhash::fast::RandomState>>;

/// Connections by scheme and authority.
#[derive(Default)]
struct Pools {
    /// To what the authority's name resolves to.
    hosts: ByPlace<Host>,
    /// To the addresses that a cluster tells.
    groups: ByPlace<Group>,
    /// Where the present backends stand: a request may have begun under an older configuration.
    published: Option<Arc<Published>>,
}

/// The way to a provider.
#[derive(Clone, Copy)]
pub struct Way<'a> {
    /// Bound of establishing a connection, TLS included.
    connect_timeout: Duration,
    /// Whose backends are chosen from.
    provider: Option<&'a Provider>,
}

impl<'a> From<&'a Provider> for Way<'a> {
    fn from(provider: &'a Provider) -> Self {
        Self { connect_timeout: provider.connect_timeout, provider: Some(provider) }
    }
}

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

    /// With the backends of the published configuration, whichever a request began under.
    pub fn following(self, published: Arc<Published>) -> Self {
        Self { pools: Arc::new(Pools { published: Some(published), ..Pools::default() }), ..self }
    }

    fn with_tls(tls: ClientConfig, allow_loopback: bool) -> Self {
        let connector = Connector::new(tls.clone(), allow_loopback);
        Self { tls, connector, pools: Arc::default(), sweeper: Once::new() }
    }

    /// How TLS is spoken with the outside.
    pub fn tls(&self) -> &ClientConfig {
        &self.tls
    }

    /// Sends a request over a pooled connection: HTTP/2 where TLS negotiates it, else HTTP/1.1.
    ///
    /// # Errors
    /// [`SendError`].
    pub fn send<'a>(
        &'a self,
        way: impl Into<Way<'a>>,
        request: Request<impl Into<Outgoing>>,
    ) -> impl Future<Output = Result<Response<UpstreamBody>, SendError>> {
        self.exchange(way.into(), boxed(request), Sending::Pooled)
    }

    /// Sends a request that asks to change the protocol, which only HTTP/1.1 can: the answer gives
    /// the connection by `hyper::upgrade::on`.
    ///
    /// # Errors
    /// [`SendError`].
    pub fn upgrade<'a>(
        &'a self,
        way: impl Into<Way<'a>>,
        request: Request<impl Into<Outgoing>>,
    ) -> impl Future<Output = Result<Response<UpstreamBody>, SendError>> {
        self.exchange(way.into(), boxed(request), Sending::Alone)
    }

    async fn exchange(
        &self,
        way: Way<'_>,
        request: Box<Request<Outgoing>>,
        sending: Sending,
    ) -> Result<Response<UpstreamBody>, SendError> {
        let key = key(request.uri())?;
        let (connector, within) = (&self.connector, way.connect_timeout);
        if let Some(backends) = way.provider.and_then(|provider| self.pools.backends(provider)) {
            let group = self.group(key);
            // Boxed: it holds the other branch's futures too, and few providers need it.
            let sent = Box::pin(group.send(connector, within, (&backends, request, sending)));
            let Sent { response, held } = sent.await?;
            return Ok(response.map(|source| UpstreamBody::new(source, Some(held))));
        }
        let host = self.host(key)?;
        let response = match sending {
            Sending::Pooled => host.send(connector, within, request).await?,
            Sending::Alone => Box::pin(host.upgrade(connector, within, request)).await?,
        };
        Ok(response.map(|source| UpstreamBody::new(source, None)))
    }

    /// Whether a provider's name is looked up.
    pub fn is_by_name(&self, provider: &Provider) -> bool {
        self.pools.backends(provider).is_none()
    }

    /// Sends a request to this backend of a provider, or as [`Self::send`] does.
    ///
    /// # Errors
    /// [`SendError`].
    pub async fn send_to(
        &self,
        provider: &Provider,
        address: Option<SocketAddr>,
        request: Request<impl Into<Outgoing>>,
    ) -> Result<Response<UpstreamBody>, SendError> {
        let (Some(address), Some(backends)) = (address, self.pools.backends(provider)) else {
            return self.send(provider, request).await;
        };
        let group = self.group(key(request.uri())?);
        let call = (address, &backends, boxed(request));
        let Sent { response, held } =
            group.send_to(&self.connector, provider.connect_timeout, call).await?;
        Ok(response.map(|source| UpstreamBody::new(source, Some(held))))
    }

    /// A check has found a backend alive, or dead: then it is left out for so long at least.
    pub fn found(
        &self,
        provider: &Provider,
        address: SocketAddr,
        is_alive: bool,
        at_least: Duration,
    ) {
        let group = key_of(provider).and_then(|key| self.pools.groups.read().get(&key).cloned());
        if let Some(group) = group {
            group.found(address, is_alive, (Instant::now(), at_least));
        }
    }

    fn host(&self, key: (Scheme, Authority)) -> Result<Arc<Host>, SendError> {
        if let Some(host) = self.pools.hosts.read().get(&key) {
            return Ok(Arc::clone(host));
        }
        let host = Arc::new(Host::new(key.0.clone(), key.1.clone(), None)?);
        self.start_sweeping();
        Ok(Arc::clone(self.pools.hosts.write().entry(key).or_insert(host)))
    }

    fn group(&self, key: (Scheme, Authority)) -> Arc<Group> {
        if let Some(group) = self.pools.groups.read().get(&key) {
            return Arc::clone(group);
        }
        self.start_sweeping();
        let new = || Arc::new(Group::new(key.0.clone(), key.1.clone()));
        Arc::clone(self.pools.groups.write().entry(key.clone()).or_insert_with(new))
    }

    fn start_sweeping(&self) {
        self.sweeper.call_once(|| drop(tokio::spawn(keep_sweeping(Arc::downgrade(&self.pools)))));
    }

    /// The backends of a provider as they are at this moment; empty where it is looked up by name.
    pub fn backends(&self, provider: &Provider) -> Vec<BackendState> {
        let Some(backends) = self.pools.backends(provider) else { return Vec::new() };
        let Some(key) = key_of(provider) else { return Vec::new() };
        self.group(key).state(&backends, Instant::now())
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
            Ok(response) => {
                Ok(response.map(|body| UpstreamBody::new(Source::Mock(Box::pin(body)), None)))
            }
            Err(fault @ mock::Fault::Refused) => Err(SendError::Connect(fault.to_string())),
            Err(fault) => Err(SendError::Closed(fault.to_string())),
        }
    }
}

impl Pools {
    /// The backends of a provider by the published configuration, as far as it still is the provider
    /// that a request was meant for.
    fn backends(&self, provider: &Provider) -> Option<Arc<[Backend]>> {
        let own = provider.backends.as_ref()?;
        let Some(published) = &self.published else { return Some(Arc::clone(own)) };
        let snapshot = published.load();
        let is_it =
            |now: &&Arc<Provider>| now.uid == provider.uid && now.endpoint == provider.endpoint;
        let now = snapshot.providers.get(&provider.name).filter(is_it);
        Some(Arc::clone(now.and_then(|now| now.backends.as_ref()).unwrap_or(own)))
    }

    /// Closes connections that nobody uses at `now` or that lead to backends which are gone, and
    /// forgets places without any.
    fn sweep(&self, now: Instant) {
        if let Some(published) = &self.published {
            for provider in published.load().providers.values() {
                let Some(backends) = &provider.backends else { continue };
                let group = key_of(provider).and_then(|key| self.groups.read().get(&key).cloned());
                group.into_iter().for_each(|group| drop(group.follow(backends)));
            }
        }
        let hosts: Vec<_> = self.hosts.read().values().cloned().collect();
        for host in hosts {
            host.sweep(now);
        }
        // Whoever has one in hand gives connections back to it.
        self.hosts.write().retain(|_, host| host.has_any() || Arc::strong_count(host) > 1);
        let groups: Vec<_> = self.groups.read().values().cloned().collect();
        for group in groups {
            group.sweep(now);
        }
        self.groups.write().retain(|_, group| group.is_used(now) || Arc::strong_count(group) > 1);
    }
}

/// Boxed, for it goes through many futures, each of which would have to make room for it.
fn boxed(request: Request<impl Into<Outgoing>>) -> Box<Request<Outgoing>> {
    Box::new(request.map(Into::into))
}

fn key(uri: &Uri) -> Result<(Scheme, Authority), SendError> {
    let (Some(scheme), Some(authority)) = (uri.scheme(), uri.authority()) else {
        return Err(SendError::Connect(format!("{uri} names no host")));
    };
    Ok((scheme.clone(), authority.clone()))
}

fn key_of(provider: &Provider) -> Option<(Scheme, Authority)> {
    let Endpoint::Http { scheme, authority, .. } = &provider.endpoint else { return None };
    Some((scheme.clone(), authority.clone()))
}

async fn keep_sweeping(pools: Weak<Pools>) {
    loop {
        tokio::time::sleep(SWEEP_EVERY).await;
        let Some(pools) = pools.upgrade() else { return };
        pools.sweep(Instant::now());
    }
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
