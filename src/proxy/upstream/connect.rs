//! New connections to providers: names that resolve to no forbidden address, TCP, TLS, all within one
//! bound. Keeps none.

use std::{
    future::poll_fn,
    net::SocketAddr,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use http::Uri;
use hyper_rustls::{HttpsConnector, MaybeHttpsStream};
use hyper_util::client::legacy::connect::{Connection as _, HttpConnector, dns::Name};
use rustls::{ClientConfig, RootCertStore};
use tokio::time::timeout;
use tower_service::Service;

use super::{BoxError, SendError, chain};
use crate::snapshot::address;

/// How often the kernel asks whether a silent peer is still there.
const TCP_KEEPALIVE: Duration = Duration::from_secs(60);

/// Which HTTP a connection may speak.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Http {
    /// HTTP/2 where TLS negotiates it.
    Any,
    /// HTTP/1.1 only, whose connections can become something else.
    One,
}

/// What a connection reads and writes: TCP with or without TLS.
pub trait Io: hyper::rt::Read + hyper::rt::Write + Send + Unpin {}

impl<T: hyper::rt::Read + hyper::rt::Write + Send + Unpin> Io for T {}

/// A connection before a protocol is spoken on it.
pub struct Established {
    /// Boxed: TLS is a hundred times the size of a socket.
    pub io: Box<dyn Io>,
    /// Whether TLS negotiated HTTP/2.
    pub is_http2: bool,
}

/// Makes connections.
pub struct Connector {
    tcp: HttpConnector<Resolver>,
    /// Offers HTTP/1.1 only.
    one: Arc<ClientConfig>,
    /// Offers HTTP/2 too.
    any: Arc<ClientConfig>,
    allow_loopback: bool,
}

impl Connector {
    /// Speaks TLS by `tls`; calls this machine itself only if that is allowed.
    pub fn new(tls: ClientConfig, allow_loopback: bool) -> Self {
        let mut tcp = HttpConnector::new_with_resolver(Resolver { allow_loopback });
        tcp.enforce_http(false);
        tcp.set_nodelay(true);
        tcp.set_keepalive(Some(TCP_KEEPALIVE));
        let mut any = tls.clone();
        any.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Self { tcp, one: Arc::new(tls), any: Arc::new(any), allow_loopback }
    }

    /// Connects to a place; `within` bounds look-up, TCP and TLS together.
    ///
    /// # Errors
    /// [`SendError::Connect`].
    pub async fn connect(
        &self,
        Place { uri, address }: Place<'_>,
        http: Http,
        within: Duration,
    ) -> Result<Established, SendError> {
        let checked = match address {
            Some(address) => address::check(address.ip(), self.allow_loopback),
            None => address::check_host(uri.host().unwrap_or_default(), self.allow_loopback),
        };
        checked.map_err(|refused| SendError::Connect(refused.to_string()))?;
        let tls = match http {
            Http::Any => &self.any,
            Http::One => &self.one,
        };
        let mut tcp = self.tcp.clone();
        // Shared by the addresses of a name, so that a dead one does not use it up.
        tcp.set_connect_timeout(Some(within));
        let to = address.map(at).transpose()?;
        let mut https = HttpsConnector::from((Tcp { connector: tcp, to }, Arc::clone(tls)));
        let connecting = async {
            poll_fn(|cx| https.poll_ready(cx)).await?;
            https.call(uri.clone()).await
        };
        let stream = timeout(within, connecting)
            .await
            .map_err(|_| SendError::late())?
            .map_err(|error| SendError::Connect(chain(&*error)))?;
        let is_http2 = stream.connected().is_negotiated_h2();
        let io: Box<dyn Io> = match stream {
            MaybeHttpsStream::Http(tcp) => Box::new(tcp),
            MaybeHttpsStream::Https(tls) => Box::new(tls),
        };
        Ok(Established { io, is_http2 })
    }
}

/// Where a connection leads.
#[derive(Clone, Copy)]
pub struct Place<'a> {
    /// The scheme, and the authority that TLS asks for.
    pub uri: &'a Uri,
    /// The address, where the name is not to be looked up.
    pub address: Option<SocketAddr>,
}

fn at(address: SocketAddr) -> Result<Uri, SendError> {
    let uri = Uri::builder().scheme("http").authority(address.to_string()).path_and_query("/");
    uri.build().map_err(|error| SendError::Connect(error.to_string()))
}

/// TCP to where a URI leads, or to somewhere else.
struct Tcp {
    connector: HttpConnector<Resolver>,
    to: Option<Uri>,
}

impl Service<Uri> for Tcp {
    type Response = <HttpConnector<Resolver> as Service<Uri>>::Response;
    type Error = <HttpConnector<Resolver> as Service<Uri>>::Error;
    type Future = <HttpConnector<Resolver> as Service<Uri>>::Future;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.connector.poll_ready(cx)
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        self.connector.call(self.to.take().unwrap_or(uri))
    }
}

/// The machine's root certificates, or Mozilla's where it has none.
pub fn roots() -> RootCertStore {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    if roots.is_empty() {
        roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
    }
    roots
}

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
