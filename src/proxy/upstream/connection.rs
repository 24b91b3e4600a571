//! One connection to a provider, and one request on it. An HTTP/1.1 connection has no task of its own:
//! whoever waits for its answer drives it, so that a request passes through the scheduler once and not
//! three times. HTTP/2 connections are shared, so each is a task.

use std::{
    future::poll_fn,
    pin::{Pin, pin},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering},
    },
    task::{Context, Poll, Waker},
    time::Duration,
};

use http::{Request, Response};
use hyper::{
    body::Incoming,
    client::conn::{TrySendError, http1, http2},
};
use hyper_util::rt::{TokioExecutor, TokioTimer};
use tokio::{task::coop::unconstrained, time::Instant};

use super::{
    Outgoing, SendError, chain,
    connect::Io,
    heard::{Heard, LastHeard},
};

/// Largest read buffer of an HTTP/1.1 connection.
const READ_BUFFER: usize = 64 << 10;
/// Bytes that one slow HTTP/2 stream may have in flight or unread.
const STREAM_WINDOW: u32 = 256 << 10;
/// The same for all streams of a connection: a stalled one must not stop the others.
const CONNECTION_WINDOW: u32 = 32 << 20;
const H2_PING_EVERY: Duration = Duration::from_secs(30);
const H2_PING_TIMEOUT: Duration = Duration::from_secs(10);

/// Streams that an HTTP/2 connection may have at once until its provider says how many: fewer than
/// that are not recommended (RFC 9113, 6.5.2).
const STREAMS: usize = 100;

/// Why a request got no answer.
pub enum Unanswered {
    /// Nothing of it was sent: it may be sent on another connection.
    Unsent(Box<Request<Outgoing>>, SendError),
    /// The provider says that it has done nothing about it (RFC 9113, 8.7): it may be sent again.
    Untouched(Box<Request<Outgoing>>, SendError),
    /// It may have reached the provider.
    Lost(SendError),
}

impl From<Unanswered> for SendError {
    fn from(unanswered: Unanswered) -> Self {
        match unanswered {
            Unanswered::Unsent(_, error)
            | Unanswered::Untouched(_, error)
            | Unanswered::Lost(error) => error,
        }
    }
}

impl From<TrySendError<Request<Outgoing>>> for Unanswered {
    fn from(mut error: TrySendError<Request<Outgoing>>) -> Self {
        let request = error.take_message();
        let reason = SendError::Closed(chain(&error.into_error()));
        match request {
            Some(request) => Self::Unsent(Box::new(request), reason),
            None => Self::Lost(reason),
        }
    }
}

/// An HTTP/1.1 connection that its user drives. Dropped, it closes.
pub struct Http1 {
    sender: http1::SendRequest<Outgoing>,
    /// `None` once it has ended.
    connection: Option<http1::Connection<Box<dyn Io>, Outgoing>>,
}

impl Http1 {
    /// Begins to speak HTTP/1.1.
    ///
    /// # Errors
    /// [`SendError::Connect`].
    pub async fn handshake(io: Box<dyn Io>) -> Result<Self, SendError> {
        let mut builder = http1::Builder::new();
        builder.max_buf_size(READ_BUFFER);
        let (sender, connection) = builder.handshake(io).await.map_err(refused)?;
        Ok(Self { sender, connection: Some(connection) })
    }

    /// Reads and writes what can be read and written. Whether the connection lives on.
    pub fn drive(&mut self, cx: &mut Context<'_>) -> bool {
        // An error is told to whoever waits for the answer.
        if let Some(connection) = &mut self.connection
            && Pin::new(connection).poll(cx).is_ready()
        {
            self.connection = None;
        }
        self.connection.is_some()
    }

    /// Drives it with nobody to wake. Whether it can take a request.
    pub fn is_idle(&mut self) -> bool {
        // A budget that is used up would look like a provider that has not finished.
        let driven = unconstrained(poll_fn(|cx| Poll::Ready(self.drive(cx))));
        let alive = pin!(driven).poll(&mut Context::from_waker(Waker::noop()));
        alive == Poll::Ready(true) && self.sender.is_ready()
    }

    /// Drives it until it can take a request or has ended.
    pub async fn finish(&mut self) {
        poll_fn(|cx| match self.drive(cx) {
            true => self.sender.poll_ready(cx).map(drop),
            false => Poll::Ready(()),
        })
        .await;
    }

    /// Sends a request in origin form, and waits for the head of its answer.
    ///
    /// # Errors
    /// [`Unanswered`].
    pub async fn exchange(
        &mut self,
        request: Box<Request<Outgoing>>,
    ) -> Result<Response<Incoming>, Unanswered> {
        let mut sent = pin!(unconstrained(self.sender.try_send_request(*request)));
        poll_fn(|cx| {
            let is_alive = self.drive(cx);
            // Only driving the connection makes it ready: nobody needs to be woken for it.
            match sent.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
                Poll::Ready(answer) => Poll::Ready(answer.map_err(Unanswered::from)),
                Poll::Pending if is_alive => Poll::Pending,
                Poll::Pending => Poll::Ready(Err(Unanswered::Lost(SendError::ended()))),
            }
        })
        .await
    }
}

/// Sends one request in origin form on a connection of its own, which the answer may turn into
/// something else.
///
/// # Errors
/// [`SendError`].
pub async fn exchange_once(
    io: Box<dyn Io>,
    request: Box<Request<Outgoing>>,
) -> Result<Response<Incoming>, SendError> {
    let (mut sender, connection) = http1::Builder::new().handshake(io).await.map_err(refused)?;
    // Told to whoever waits for the answer.
    tokio::spawn(async move { drop(connection.with_upgrades().await) });
    sender.send_request(*request).await.map_err(|error| SendError::Closed(chain(&error)))
}

/// An HTTP/2 connection, which requests share.
pub struct Http2 {
    sender: http2::SendRequest<Outgoing>,
    load: Arc<Load>,
}

/// How many streams there are, how many there may be, and whether more are wise.
struct Load {
    streams: AtomicUsize,
    room: AtomicUsize,
    /// The provider takes no further request on it.
    is_over: AtomicBool,
    heard: Arc<LastHeard>,
    /// The mark of `heard` when somebody gave up waiting: until anything else comes the connection may
    /// be one whose other end is gone.
    doubted_at: AtomicU64,
}

/// No mark.
const NEVER: u64 = u64::MAX;

impl Load {
    fn new(heard: Arc<LastHeard>) -> Self {
        let (streams, is_over) = (AtomicUsize::new(0), AtomicBool::new(false));
        let (room, doubted_at) = (AtomicUsize::new(STREAMS), AtomicU64::new(NEVER));
        Self { streams, room, is_over, heard, doubted_at }
    }

    fn is_fit(&self) -> bool {
        !self.is_over.load(Ordering::Relaxed)
            && self.doubted_at.load(Ordering::Relaxed) != self.heard.mark()
    }
}

/// A request that waits for the head of its answer. Dropped before, it casts doubt on a connection
/// that was silent for most of that time.
struct Wait {
    load: Arc<Load>,
    since: Instant,
    is_over: bool,
}

impl Drop for Wait {
    fn drop(&mut self) {
        let heard = &self.load.heard;
        if !self.is_over && heard.silence() >= self.since.elapsed() / 2 {
            self.load.doubted_at.store(heard.mark(), Ordering::Relaxed);
        }
    }
}

/// The right to one of a connection's streams, until it is dropped.
pub struct Claim(Arc<Load>);

impl Drop for Claim {
    fn drop(&mut self) {
        self.0.streams.fetch_sub(1, Ordering::Relaxed);
    }
}

/// An HTTP/2 connection with room for a request.
pub struct Claimed {
    sender: http2::SendRequest<Outgoing>,
    claim: Claim,
}

impl Http2 {
    /// Begins to speak HTTP/2.
    ///
    /// # Errors
    /// [`SendError::Connect`].
    pub async fn handshake(io: Box<dyn Io>) -> Result<Self, SendError> {
        let (io, heard) = Heard::new(io);
        let (sender, mut connection) = http2::Builder::new(TokioExecutor::new())
            .timer(TokioTimer::new())
            .initial_stream_window_size(STREAM_WINDOW)
            .initial_connection_window_size(CONNECTION_WINDOW)
            .initial_max_send_streams(STREAMS)
            .keep_alive_interval(H2_PING_EVERY)
            .keep_alive_timeout(H2_PING_TIMEOUT)
            .handshake(io)
            .await
            .map_err(refused)?;
        let load = Arc::new(Load::new(heard));
        let told = Arc::clone(&load);
        tokio::spawn(async move {
            let driven = poll_fn(|cx| {
                let polled = Pin::new(&mut connection).poll(cx);
                told.room.store(connection.current_max_send_streams(), Ordering::Relaxed);
                polled
            });
            drop(driven.await);
        });
        Ok(Self { sender, load })
    }

    /// Whether no request can be sent any more.
    pub fn is_closed(&self) -> bool {
        self.sender.is_closed() || self.load.is_over.load(Ordering::Relaxed)
    }

    /// Whether no request is on its way.
    pub fn is_idle(&self) -> bool {
        self.load.streams.load(Ordering::Relaxed) == 0
    }

    /// Room for one more request: beyond what the provider allows it would wait for others' ends.
    /// None on a connection that has been closed, or that somebody has just waited on in vain.
    pub fn claim(&self) -> Option<Claimed> {
        if self.is_closed() || !self.load.is_fit() {
            return None;
        }
        let Load { streams, room, .. } = &*self.load;
        let room = room.load(Ordering::Relaxed);
        streams
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |streams| {
                (streams < room).then_some(streams + 1)
            })
            .ok()?;
        Some(Claimed { sender: self.sender.clone(), claim: Claim(Arc::clone(&self.load)) })
    }
}

impl Claimed {
    /// Sends a request in absolute form, and waits for the head of its answer. The claim is to be
    /// kept until the answer has ended.
    ///
    /// # Errors
    /// [`Unanswered`].
    pub async fn exchange(
        mut self,
        request: Box<Request<Outgoing>>,
    ) -> Result<(Response<Incoming>, Claim), Unanswered> {
        let load = Arc::clone(&self.claim.0);
        if let Err(error) = self.sender.ready().await {
            // Or it would be claimed again before its task has noticed.
            load.is_over.store(true, Ordering::Relaxed);
            let reason = SendError::Closed(chain(&error));
            return Err(Unanswered::Unsent(request, reason));
        }
        let copy = copy_of(&request);
        let mut wait = Wait { load, since: Instant::now(), is_over: false };
        let answer = self.sender.try_send_request(*request).await;
        wait.is_over = true;
        let error = match answer {
            Ok(response) => return Ok((response, self.claim)),
            Err(error) => error,
        };
        let cause = error.error();
        let (Some(untouched), Some(copy)) = (untouched(cause), copy) else {
            return Err(error.into());
        };
        if untouched == Untouched::GoneAway {
            wait.load.is_over.store(true, Ordering::Relaxed);
        }
        Err(Unanswered::Untouched(Box::new(copy), SendError::Closed(chain(cause))))
    }
}

/// The same request once more; none where its body is being read while it is sent.
fn copy_of(request: &Request<Outgoing>) -> Option<Request<Outgoing>> {
    let Outgoing::Whole(body) = request.body() else { return None };
    let mut copy = Request::new(Outgoing::Whole(body.clone()));
    copy.method_mut().clone_from(request.method());
    copy.uri_mut().clone_from(request.uri());
    copy.headers_mut().clone_from(request.headers());
    Some(copy)
}

/// How a provider says that it has done nothing about a request.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Untouched {
    /// `REFUSED_STREAM`: the connection has too much to do.
    Refused,
    /// `GOAWAY` with a last stream before the request's: the connection ends.
    GoneAway,
}

fn untouched(error: &hyper::Error) -> Option<Untouched> {
    let cause = std::error::Error::source(error)?.downcast_ref::<h2::Error>()?;
    if !cause.is_remote() {
        return None;
    }
    if cause.is_go_away() {
        return Some(Untouched::GoneAway);
    }
    let is_refusal = cause.is_reset() && cause.reason() == Some(h2::Reason::REFUSED_STREAM);
    is_refusal.then_some(Untouched::Refused)
}

fn refused(error: hyper::Error) -> SendError {
    SendError::Connect(chain(&error))
}
