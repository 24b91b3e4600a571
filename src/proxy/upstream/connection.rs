//! One connection to a provider, and one request on it. An HTTP/1.1 connection has no task of its own:
//! whoever waits for its answer drives it, so that a request passes through the scheduler once and not
//! three times. HTTP/2 connections are shared, so each is a task.

use std::{
    future::poll_fn,
    pin::{Pin, pin},
    task::{Context, Poll, Waker},
    time::Duration,
};

use http::{Request, Response};
use hyper::{
    body::Incoming,
    client::conn::{TrySendError, http1, http2},
};
use hyper_util::rt::{TokioExecutor, TokioTimer};
use tokio::task::coop::unconstrained;

use super::{Outgoing, SendError, chain, connect::Io};

/// Largest read buffer of an HTTP/1.1 connection.
const READ_BUFFER: usize = 64 << 10;
/// Bytes that one slow HTTP/2 stream may have in flight or unread.
const STREAM_WINDOW: u32 = 256 << 10;
/// The same for all streams of a connection: a stalled one must not stop the others.
const CONNECTION_WINDOW: u32 = 32 << 20;
const H2_PING_EVERY: Duration = Duration::from_secs(30);
const H2_PING_TIMEOUT: Duration = Duration::from_secs(10);

/// Sends on a shared HTTP/2 connection.
pub type Http2 = http2::SendRequest<Outgoing>;

/// Why a request got no answer.
pub enum Unanswered {
    /// Nothing of it was sent: it may be sent on another connection.
    Unsent(Box<Request<Outgoing>>, SendError),
    /// It may have reached the provider.
    Lost(SendError),
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

    /// Sends a request in origin form, and waits for the head of its answer.
    ///
    /// # Errors
    /// [`Unanswered`].
    pub async fn exchange(
        &mut self,
        request: Request<Outgoing>,
    ) -> Result<Response<Incoming>, Unanswered> {
        let mut sent = pin!(unconstrained(self.sender.try_send_request(request)));
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
    request: Request<Outgoing>,
) -> Result<Response<Incoming>, SendError> {
    let (mut sender, connection) = http1::Builder::new().handshake(io).await.map_err(refused)?;
    // Told to whoever waits for the answer.
    tokio::spawn(async move { drop(connection.with_upgrades().await) });
    sender.send_request(request).await.map_err(|error| SendError::Closed(chain(&error)))
}

/// Begins to speak HTTP/2.
///
/// # Errors
/// [`SendError::Connect`].
pub async fn http2(io: Box<dyn Io>) -> Result<Http2, SendError> {
    let (sender, connection) = http2::Builder::new(TokioExecutor::new())
        .timer(TokioTimer::new())
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .keep_alive_interval(H2_PING_EVERY)
        .keep_alive_timeout(H2_PING_TIMEOUT)
        .handshake(io)
        .await
        .map_err(refused)?;
    tokio::spawn(async move { drop(connection.await) });
    Ok(sender)
}

/// Sends a request in absolute form on an HTTP/2 connection, and waits for the head of its answer.
///
/// # Errors
/// [`Unanswered`].
pub async fn exchange_http2(
    mut sender: Http2,
    request: Request<Outgoing>,
) -> Result<Response<Incoming>, Unanswered> {
    if let Err(error) = sender.ready().await {
        let reason = SendError::Closed(chain(&error));
        return Err(Unanswered::Unsent(Box::new(request), reason));
    }
    sender.try_send_request(request).await.map_err(Unanswered::from)
}

fn refused(error: hyper::Error) -> SendError {
    SendError::Connect(chain(&error))
}
