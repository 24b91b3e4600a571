//! The downstream side's sockets: accept, TLS, HTTP/1.1 and h2, permits, time-outs, drain.
//!
//! It hands requests to a [`Handler`] and knows nothing of routes, models or budgets. It spawns on the
//! runtime that calls [`serve`] and assumes nothing about its kind.

use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use hyper::body::Incoming;
use tokio::net::TcpStream;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{debug, info, warn};

mod activity;
mod connection;
mod drain;
mod limits;
mod listener;
mod permit;
mod rewake;
mod service;
mod takeover;
mod tls;

pub use drain::{DrainSignal, DrainWait};
pub use limits::ServerLimits;
pub use listener::{BindError, Listener};
pub use permit::{Permit, Permits};
pub use takeover::Takeover;
pub use tls::{Tls, TlsError, TlsFiles};

use connection::Wire;

/// Any error, as hyper takes it from a body.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// How long to wait after a failed accept: out of file descriptors or memory does not pass at once.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
/// How long streams that were told to end have for their last event.
const LAST_WORDS: Duration = Duration::from_secs(2);
/// How often the files of a certificate are looked at.
const TLS_POLL: Duration = Duration::from_secs(5);

/// Answers requests.
pub trait Handler: Send + Sync + 'static {
    /// The body of an answer. The request counts as under way until it is dropped.
    type Body: http_body::Body<Data = Bytes, Error: Into<BoxError>> + Send + Unpin + 'static;

    /// Answers one request. The future is dropped if the client goes away first.
    fn handle(
        self: &Arc<Self>,
        request: Request<Incoming>,
        peer: SocketAddr,
    ) -> impl Future<Output = Response<Self::Body>> + Send;

    /// When an answer must have ended: whose client takes nothing of it any longer is cut off then.
    fn deadline(_body: &Self::Body) -> Option<Instant> {
        None
    }

    /// A request was refused with 503 because too many are under way: [`Self::handle`] never sees it.
    fn overloaded(&self) {}
}

/// What the listeners of one handler share.
#[derive(Debug, Clone)]
pub struct Context {
    /// Bounds and times.
    pub limits: ServerLimits,
    /// Requests under way, over all listeners that share it.
    pub permits: Arc<Permits>,
    /// How far the shutdown is; bodies watch it too.
    pub drain: DrainSignal,
    /// Begins the shutdown.
    pub shutdown: CancellationToken,
    connections: Arc<Semaphore>,
}

impl Context {
    /// A context with everything unused.
    pub fn new(limits: ServerLimits, drain: DrainSignal, shutdown: CancellationToken) -> Self {
        Self {
            permits: Arc::new(Permits::new(limits.concurrent_requests)),
            connections: Arc::new(Semaphore::new(limits.connections)),
            limits,
            drain,
            shutdown,
        }
    }
}

/// Serves a listener until the shutdown has come and every connection is closed.
///
/// On shutdown it accepts nothing more and lets idle connections go; requests under way get
/// `limits.drain` to end. Then [`DrainSignal::expired`] tells their bodies to send a last event, and
/// two seconds later what is still open is cut.
pub async fn serve<H: Handler>(listener: Listener, handler: Arc<H>, context: Context) {
    info!(listener = listener.name(), address = %listener.address(), "listening");
    if let Some(tls) = listener.tls() {
        tokio::spawn(tls.watch(TLS_POLL, context.shutdown.clone()));
    }
    let tasks = TaskTracker::new();
    let wire = Arc::new(Wire::new(handler, context.clone()));
    accept(&listener, &wire, &tasks).await;
    let name = listener.name();
    // Closes the socket, so that new clients are refused and go elsewhere.
    drop(listener);
    drop(wire);
    wind_down(&context, &tasks).await;
    info!(listener = name, "closed");
}

async fn accept<H: Handler>(listener: &Listener, wire: &Arc<Wire<H>>, tasks: &TaskTracker) {
    let context = wire.context();
    let next = async || {
        // Fails only if the semaphore is closed, which nobody does.
        let slot = Arc::clone(&context.connections).acquire_owned().await.ok();
        let (stream, peer) = listener.accept().await?;
        Ok::<_, std::io::Error>((slot, stream, peer))
    };
    loop {
        let accepted = tokio::select! {
            biased;
            () = context.shutdown.cancelled() => return,
            accepted = next() => accepted,
        };
        match accepted {
            Ok((slot, stream, peer)) => {
                let tls = listener.tls().map(|tls| tls.acceptor());
                let connection = Connection { stream, peer, tls, _slot: slot };
                tasks.spawn(run(Arc::clone(wire), connection));
            }
            Err(error) if concerns_one_connection(&error) => debug!(%error, "accept"),
            Err(error) => {
                warn!(listener = listener.name(), %error, "cannot accept");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

struct Connection {
    stream: TcpStream,
    peer: SocketAddr,
    tls: Option<tokio_rustls::TlsAcceptor>,
    _slot: Option<OwnedSemaphorePermit>,
}

async fn run<H: Handler>(wire: Arc<Wire<H>>, connection: Connection) {
    let Connection { stream, peer, tls, _slot } = connection;
    let ended = match tls {
        None => wire.serve_plain(stream, peer).await,
        Some(acceptor) => Box::pin(wire.serve_tls(stream, peer, acceptor)).await,
    };
    if let Err(error) = ended {
        debug!(%peer, %error, "connection ended");
    }
}

async fn wind_down(context: &Context, tasks: &TaskTracker) {
    context.drain.begin();
    tasks.close();
    if tokio::time::timeout(context.limits.drain, tasks.wait()).await.is_ok() {
        return;
    }
    warn!(connections = tasks.len(), "drain time is over: ending what still runs");
    context.drain.expire();
    if tokio::time::timeout(LAST_WORDS, tasks.wait()).await.is_err() {
        context.drain.close();
        tasks.wait().await;
    }
}

/// Whether an accept failed because of that one client, so that the next may succeed at once.
fn concerns_one_connection(error: &std::io::Error) -> bool {
    use std::io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset, Interrupted};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset | Interrupted)
}
