//! The way to providers: pooled connections, connect timeouts, and the refusal of addresses that no
//! provider has. Decides nothing about retries.

mod outgoing;

use std::{
    collections::HashMap,
    net::SocketAddr,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::Bytes;
use http::{Request, Response, Uri};
use http_body::Frame;
use hyper::body::Incoming;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder, MaybeHttpsStream};
use hyper_util::{
    client::legacy::{
        Client,
        connect::{HttpConnector, dns::Name},
    },
    rt::{TokioExecutor, TokioIo, TokioTimer},
};
use parking_lot::RwLock;
use rustls::{ClientConfig, RootCertStore};
use thiserror::Error;
use tokio::net::TcpStream;
use tower_service::Service;

use super::mock;
use crate::{credential::Unavailable, snapshot::address};

pub use outgoing::Outgoing;

type BoxError = Box<dyn std::error::Error + Send + Sync>;
type Pool = Client<Connector, Outgoing>;

/// Idle connections kept for each address.
const IDLE_CONNECTIONS: usize = 1024;
/// Bytes that one slow HTTP/2 stream may have in flight or unread.
const STREAM_WINDOW: u32 = 256 << 10;
/// The same for all streams of a connection: a stalled one must not stop the others.
const CONNECTION_WINDOW: u32 = 32 << 20;
/// Largest read buffer of an HTTP/1.1 connection.
const READ_BUFFER: usize = 64 << 10;

/// Which HTTP a pool speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Http {
    /// HTTP/2 where TLS negotiates it.
    Any,
    /// HTTP/1.1 only, whose connections can become something else.
    One,
}

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

/// The answer's body as it comes from a provider.
pub enum UpstreamBody {
    /// From a connection.
    Http(Incoming),
    /// From the built-in mock.
    Mock(Pin<Box<mock::Body>>),
}

impl UpstreamBody {
    /// The next frame; an error is the text of what broke.
    pub fn poll_frame(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, String>>> {
        let frame = match self {
            Self::Http(body) => ready!(http_body::Body::poll_frame(Pin::new(body), cx))
                .map(|frame| frame.map_err(|error| chain(&error))),
            Self::Mock(body) => ready!(http_body::Body::poll_frame(body.as_mut(), cx))
                .map(|frame| frame.map_err(|error| chain(&error))),
        };
        Poll::Ready(frame)
    }

    /// Whether it is known that nothing more comes.
    pub fn is_end(&self) -> bool {
        match self {
            Self::Http(body) => http_body::Body::is_end_stream(body),
            Self::Mock(body) => http_body::Body::is_end_stream(&**body),
        }
    }

    /// The next frame of data, `None` at the end.
    pub async fn data(&mut self) -> Option<Result<Bytes, String>> {
        loop {
            match std::future::poll_fn(|cx| self.poll_frame(cx)).await? {
                Ok(frame) => {
                    if let Ok(data) = frame.into_data() {
                        return Some(Ok(data));
                    }
                }
                Err(error) => return Some(Err(error)),
            }
        }
    }
}

/// Connections to all providers. Lives outside the snapshot: a reload drops none.
pub struct Upstreams {
    tls: ClientConfig,
    allow_loopback: bool,
    /// One pool for each connect timeout that is configured; within it, connections are kept by
    /// scheme and authority.
    pools: RwLock<HashMap<(Duration, Http), Pool>>,
}

impl Upstreams {
    /// No connection yet. Trusts the machine's root certificates, or Mozilla's where it has none.
    ///
    /// # Errors
    /// If the TLS library refuses its own defaults.
    pub fn new(allow_loopback: bool) -> Result<Self, rustls::Error> {
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let tls = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_root_certificates(roots())
            .with_no_client_auth();
        Ok(Self { tls, allow_loopback, pools: RwLock::default() })
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
        self.send_over(self.pool(connect_timeout, Http::Any), request.map(Into::into)).await
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
        self.send_over(self.pool(connect_timeout, Http::One), request.map(Into::into)).await
    }

    async fn send_over(
        &self,
        pool: Pool,
        request: Request<Outgoing>,
    ) -> Result<Response<UpstreamBody>, SendError> {
        match pool.request(request).await {
            Ok(response) => Ok(response.map(UpstreamBody::Http)),
            Err(error) if error.is_connect() => Err(SendError::Connect(causes(&error))),
            Err(error) => Err(SendError::Closed(causes(&error))),
        }
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

    fn pool(&self, connect_timeout: Duration, http: Http) -> Pool {
        let key = (connect_timeout, http);
        if let Some(pool) = self.pools.read().get(&key) {
            return pool.clone();
        }
        let mut pools = self.pools.write();
        pools.entry(key).or_insert_with(|| self.new_pool(connect_timeout, http)).clone()
    }

    fn new_pool(&self, timeout: Duration, http: Http) -> Pool {
        let allow_loopback = self.allow_loopback;
        let mut tcp = HttpConnector::new_with_resolver(Resolver { allow_loopback });
        tcp.enforce_http(false);
        tcp.set_nodelay(true);
        tcp.set_keepalive(Some(Duration::from_secs(60)));
        tcp.set_connect_timeout(Some(timeout));
        let inner = HttpsConnectorBuilder::new()
            .with_tls_config(self.tls.clone())
            .https_or_http()
            .enable_http1();
        let inner = match http {
            Http::Any => inner.enable_http2().wrap_connector(tcp),
            Http::One => inner.wrap_connector(tcp),
        };
        Client::builder(TokioExecutor::new())
            .timer(TokioTimer::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(Duration::from_secs(90))
            .pool_max_idle_per_host(IDLE_CONNECTIONS)
            .http1_max_buf_size(READ_BUFFER)
            .http2_initial_stream_window_size(STREAM_WINDOW)
            .http2_initial_connection_window_size(CONNECTION_WINDOW)
            .http2_keep_alive_interval(Duration::from_secs(30))
            .http2_keep_alive_timeout(Duration::from_secs(10))
            .build(Connector { inner, timeout, allow_loopback })
    }
}

fn roots() -> RootCertStore {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    if roots.is_empty() {
        roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
    }
    roots
}

/// The bound of a connection has passed.
#[derive(Debug, Error)]
#[error("the connection was not established in time")]
struct TimedOut;

/// Looks names up and leaves out the addresses that may not be called.
#[derive(Clone)]
struct Resolver {
    allow_loopback: bool,
}

impl Service<Name> for Resolver {
    type Response = std::vec::IntoIter<SocketAddr>;
    type Error = BoxError;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, BoxError>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, name: Name) -> Self::Future {
        let allow_loopback = self.allow_loopback;
        Box::pin(async move {
            let mut refused = None;
            let mut addresses = Vec::new();
            for address in tokio::net::lookup_host((name.as_str(), 0)).await? {
                match address::check(address.ip(), allow_loopback) {
                    Ok(()) => addresses.push(address),
                    Err(reason) => refused = Some(reason),
                }
            }
            match refused {
                Some(reason) if addresses.is_empty() => Err(reason.into()),
                _ => Ok(addresses.into_iter()),
            }
        })
    }
}

/// Connects within a bound that includes TLS. Checks addresses that need no look-up.
#[derive(Clone)]
struct Connector {
    inner: HttpsConnector<HttpConnector<Resolver>>,
    timeout: Duration,
    allow_loopback: bool,
}

impl Service<Uri> for Connector {
    type Response = MaybeHttpsStream<TokioIo<TcpStream>>;
    type Error = BoxError;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, BoxError>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        if let Err(refused) =
            address::check_host(uri.host().unwrap_or_default(), self.allow_loopback)
        {
            return Box::pin(std::future::ready(Err(refused.into())));
        }
        let connecting = tokio::time::timeout(self.timeout, self.inner.call(uri));
        Box::pin(async move { connecting.await.map_err(|_| TimedOut)? })
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

/// The causes of an error alone: the client's own words ("client error (Connect)") add nothing.
fn causes(error: &dyn std::error::Error) -> String {
    error.source().map_or_else(|| error.to_string(), chain)
}

#[cfg(test)]
mod tests;
