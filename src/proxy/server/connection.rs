//! One connection from its first byte to its last: which HTTP it speaks, and when it must end.

use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use hyper::server::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::{Instant, Sleep, sleep_until, timeout};
use tokio_rustls::TlsAcceptor;

use super::activity::{Activity, Noted};
use super::rewake::Rewake;
use super::service::Service;
use super::{BoxError, Context, Handler, ServerLimits};

/// Streams of one h2 connection at one time.
const H2_STREAMS: u32 = 256;
/// What an h2 client may send before it is read, a stream and a connection.
const H2_STREAM_WINDOW: u32 = 256 << 10;
const H2_CONNECTION_WINDOW: u32 = 1 << 20;
/// What is kept for a slow reader of one h2 stream.
const H2_SEND_BUFFER: usize = 64 << 10;
/// Streams that a client may open and reset before it is cut off (CVE-2023-44487), and those that it
/// makes us reset (CVE-2025-8671).
const H2_PENDING_RESETS: usize = 20;
const H2_LOCAL_RESETS: usize = 128;
const H2_PING_EVERY: Duration = Duration::from_secs(30);
const H2_PING_TIMEOUT: Duration = Duration::from_secs(20);
/// How long after a time-out rang in the middle of a request it is looked at again.
const RECHECK: Duration = Duration::from_secs(60);
/// How often the first bytes are looked at again while they could still be h2's.
const SNIFF_PAUSE: Duration = Duration::from_millis(5);

/// Serves connections of one listener.
pub struct Wire<H> {
    handler: Arc<H>,
    context: Context,
    http1: http1::Builder,
    http2: http2::Builder<TokioExecutor>,
}

impl<H: Handler> Wire<H> {
    pub fn new(handler: Arc<H>, context: Context) -> Self {
        let http1 = http1_builder(&context.limits);
        let http2 = http2_builder(&context.limits);
        Self { handler, context, http1, http2 }
    }

    pub fn context(&self) -> &Context {
        &self.context
    }

    pub async fn serve_plain(&self, stream: TcpStream, peer: SocketAddr) -> Result<(), BoxError> {
        let sniffed = self.bounded(speaks_h2(&stream)).await??;
        if sniffed {
            Box::pin(self.serve_h2(stream, peer)).await
        } else {
            self.serve_h1(stream, peer).await
        }
    }

    pub async fn serve_tls(
        &self,
        stream: TcpStream,
        peer: SocketAddr,
        acceptor: TlsAcceptor,
    ) -> Result<(), BoxError> {
        let stream = self.bounded(acceptor.accept(stream)).await??;
        if stream.get_ref().1.alpn_protocol() == Some(b"h2") {
            Box::pin(self.serve_h2(stream, peer)).await
        } else {
            self.serve_h1(stream, peer).await
        }
    }

    /// What comes before the first request: not longer than a head may take, nor into a drain.
    async fn bounded<T>(&self, first: impl Future<Output = T>) -> Result<T, BoxError> {
        tokio::select! {
            () = self.context.drain.draining() => Err("the server is shutting down".into()),
            done = timeout(self.context.limits.header_timeout, first) => Ok(done?),
        }
    }

    async fn serve_h1<S>(&self, stream: S, peer: SocketAddr) -> Result<(), BoxError>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let activity = Activity::new(&self.context.limits, true);
        let io = TokioIo::new(Noted::new(stream, Arc::clone(&activity)));
        let service = self.service(&activity, peer);
        let ended = {
            let connection = pin!(self.http1.serve_connection(io, service).with_upgrades());
            let shut_down = http1::UpgradeableConnection::graceful_shutdown;
            self.drive(connection, shut_down, &activity).await
        };
        // Taken out whatever happened: it keeps the activity that keeps it.
        let taken = activity.taken();
        ended?;
        if let Some(taken) = taken {
            // Boxed: nearly no connection needs the room.
            let session = Box::pin(taken.run());
            tokio::select! {
                () = self.context.drain.closed() => {}
                () = session => {}
            }
        }
        Ok(())
    }

    async fn serve_h2<S>(&self, stream: S, peer: SocketAddr) -> Result<(), BoxError>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let activity = Activity::new(&self.context.limits, false);
        let service = self.service(&activity, peer);
        let connection = pin!(self.http2.serve_connection(TokioIo::new(stream), service));
        self.drive(connection, http2::Connection::graceful_shutdown, &activity).await
    }

    fn service(&self, activity: &Arc<Activity>, peer: SocketAddr) -> Service<H> {
        Service {
            handler: Arc::clone(&self.handler),
            permits: Arc::clone(&self.context.permits),
            activity: Arc::clone(activity),
            peer,
        }
    }

    /// Runs a connection until it ends, is idle for too long, or a drain cuts it. It is taken by
    /// reference: a task keeps room for an argument and for what it is moved into.
    async fn drive<C>(
        &self,
        mut connection: Pin<&mut C>,
        shut_down: impl Fn(Pin<&mut C>),
        activity: &Activity,
    ) -> Result<(), BoxError>
    where
        C: Future<Output = hyper::Result<()>>,
    {
        let drain = &self.context.drain;
        let mut draining = drain.draining();
        let mut closed = drain.closed();
        let mut is_draining = false;
        let mut sleep = pin!(sleep_until(activity.deadline().unwrap_or_else(Instant::now)));
        let rewake = Rewake::new();
        poll_fn(|cx| {
            if !is_draining && Pin::new(&mut draining).poll(cx).is_ready() {
                is_draining = true;
                shut_down(connection.as_mut());
            }
            if let Poll::Ready(ended) = rewake.poll(connection.as_mut(), cx) {
                return Poll::Ready(ended.map_err(BoxError::from));
            }
            if is_draining && Pin::new(&mut closed).poll(cx).is_ready() {
                return Poll::Ready(Err("cut at the end of the drain".into()));
            }
            poll_idle(sleep.as_mut(), activity, cx).map(|()| Err("idle for too long".into()))
        })
        .await
    }
}

/// Ready when a connection has been idle for too long. The timer is moved only when it rings or would
/// ring too late, not for each request.
fn poll_idle(
    mut sleep: Pin<&mut Sleep>,
    activity: &Activity,
    cx: &mut std::task::Context<'_>,
) -> Poll<()> {
    if let Some(deadline) = activity.deadline()
        && deadline < sleep.deadline()
    {
        sleep.as_mut().reset(deadline);
    }
    while sleep.as_mut().poll(cx).is_ready() {
        match activity.deadline() {
            Some(deadline) if deadline <= Instant::now() => return Poll::Ready(()),
            Some(deadline) => sleep.as_mut().reset(deadline),
            None => sleep.as_mut().reset(Instant::now() + RECHECK),
        }
    }
    Poll::Pending
}

/// Whether a plain connection begins with h2's preface (RFC 9113 3.4). Nothing is consumed.
async fn speaks_h2(stream: &TcpStream) -> io::Result<bool> {
    // No method of HTTP/1.1 is "PRI".
    const PREFACE: &[u8; 4] = b"PRI ";
    let mut first = [0; PREFACE.len()];
    loop {
        let seen = stream.peek(&mut first).await?;
        if seen == 0 || first[..seen] != PREFACE[..seen] {
            return Ok(false);
        }
        if seen == PREFACE.len() {
            return Ok(true);
        }
        // The same bytes would be seen again at once.
        tokio::time::sleep(SNIFF_PAUSE).await;
    }
}

fn http1_builder(limits: &ServerLimits) -> http1::Builder {
    let mut builder = http1::Builder::new();
    builder
        .timer(TokioTimer::new())
        // The activity's deadline covers it.
        .header_read_timeout(None)
        .max_header_size(limits.max_headers)
        .max_buf_size(limits.max_headers);
    builder
}

fn http2_builder(limits: &ServerLimits) -> http2::Builder<TokioExecutor> {
    let mut builder = http2::Builder::new(TokioExecutor::new());
    builder
        .timer(TokioTimer::new())
        .adaptive_window(false)
        .initial_stream_window_size(H2_STREAM_WINDOW)
        .initial_connection_window_size(H2_CONNECTION_WINDOW)
        .max_concurrent_streams(H2_STREAMS)
        .max_send_buf_size(H2_SEND_BUFFER)
        .max_header_list_size(u32::try_from(limits.max_headers).unwrap_or(u32::MAX))
        .max_pending_accept_reset_streams(H2_PENDING_RESETS)
        .max_local_error_reset_streams(H2_LOCAL_RESETS)
        .keep_alive_interval(H2_PING_EVERY)
        .keep_alive_timeout(H2_PING_TIMEOUT);
    builder
}
