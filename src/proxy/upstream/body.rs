//! The body of a provider's answer. Reading it drives the connection that it comes from; the end of it
//! gives the connection back.

use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, Waker, ready},
};

use bytes::Bytes;
use http_body::{Body as _, Frame};
use hyper::body::Incoming;

use super::{
    super::mock,
    SendError,
    backend::Held,
    chain,
    connection::{Claim, Http1},
    host::Host,
};

/// The answer's body as it comes from a provider. While there is one, its backend counts as busy
/// with it.
pub struct UpstreamBody {
    source: Source,
    _held: Option<Held>,
}

/// Where an answer's body comes from.
pub enum Source {
    /// An HTTP/1.1 connection.
    Http1(Driven),
    /// An HTTP/2 connection, of which it has a stream.
    Http2 {
        /// What comes on it.
        body: Incoming,
        /// Held until it has ended.
        _claim: Claim,
    },
    /// A connection of its own.
    Task(Incoming),
    /// The built-in mock.
    Mock(Pin<Box<mock::Body>>),
}

impl UpstreamBody {
    /// A body, and what its backend is held by.
    pub fn new(source: Source, held: Option<Held>) -> Self {
        Self { source, _held: held }
    }

    /// The next frame; an error is the text of what broke.
    pub fn poll_frame(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, String>>> {
        match &mut self.source {
            Source::Http1(body) => body.poll_frame(cx),
            Source::Http2 { body, .. } | Source::Task(body) => {
                Pin::new(body).poll_frame(cx).map(|next| next.map(|frame| frame.map_err(broken)))
            }
            Source::Mock(body) => {
                body.as_mut().poll_frame(cx).map(|next| next.map(|frame| frame.map_err(broken)))
            }
        }
    }

    /// Whether it is known that nothing more comes.
    pub fn is_end(&self) -> bool {
        match &self.source {
            Source::Http1(body) => body.is_end(),
            Source::Http2 { body, .. } | Source::Task(body) => body.is_end_stream(),
            Source::Mock(body) => body.is_end_stream(),
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

/// A body and the connection that brings it.
pub struct Driven {
    body: Incoming,
    has_ended: bool,
    /// `None` once it is given back.
    connection: Option<Box<Http1>>,
    host: Arc<Host>,
}

impl Driven {
    /// The body of an answer that `connection` to `host` has begun.
    pub fn new(body: Incoming, connection: Box<Http1>, host: Arc<Host>) -> Self {
        Self { body, has_ended: false, connection: Some(connection), host }
    }

    fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, String>>> {
        // Asked first, the body tells the connection to read on.
        let next = match self.poll_body() {
            Poll::Pending => {
                let is_alive =
                    self.connection.as_mut().is_some_and(|connection| connection.drive(cx));
                match self.poll_body() {
                    Poll::Pending if !is_alive => {
                        Poll::Ready(Some(Err(SendError::ended().to_string())))
                    }
                    next => next,
                }
            }
            next => next,
        };
        let next = ready!(next);
        self.has_ended = next.is_none();
        Poll::Ready(next)
    }

    /// What the connection has brought so far: only driving it brings more, so nobody is woken.
    fn poll_body(&mut self) -> Poll<Option<Result<Frame<Bytes>, String>>> {
        Pin::new(&mut self.body)
            .poll_frame(&mut Context::from_waker(Waker::noop()))
            .map(|next| next.map(|frame| frame.map_err(broken)))
    }

    fn is_end(&self) -> bool {
        self.has_ended || self.body.is_end_stream()
    }
}

impl Drop for Driven {
    fn drop(&mut self) {
        // One that still has to bring something is closed instead.
        if self.is_end()
            && let Some(connection) = self.connection.take()
        {
            self.host.give_back(connection);
        }
    }
}

fn broken(error: impl std::error::Error) -> String {
    chain(&error)
}
