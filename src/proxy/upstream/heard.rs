//! Notes when anything comes on a connection, so that one whose other end is gone can be told from one
//! that is slow.

use std::{
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    task::{Context, Poll, ready},
    time::Duration,
};

use hyper::rt::{Read, ReadBufCursor, Write};
use tokio::time::Instant;

use super::connect::Io;

/// When something last came on a connection.
pub struct LastHeard {
    since: Instant,
    /// Microseconds after `since`.
    at: AtomicU64,
}

impl LastHeard {
    /// A number that changes with whatever comes.
    pub fn mark(&self) -> u64 {
        self.at.load(Ordering::Relaxed)
    }

    /// How long nothing has come.
    pub fn silence(&self) -> Duration {
        self.since.elapsed().saturating_sub(Duration::from_micros(self.mark()))
    }

    fn note(&self) {
        let now = u64::try_from(self.since.elapsed().as_micros()).unwrap_or(u64::MAX);
        self.at.store(now.max(self.mark() + 1), Ordering::Relaxed);
    }
}

/// A connection that is listened to.
pub struct Heard {
    io: Box<dyn Io>,
    last: Arc<LastHeard>,
}

impl Heard {
    /// The connection, and when something last came on it.
    pub fn new(io: Box<dyn Io>) -> (Self, Arc<LastHeard>) {
        let last = Arc::new(LastHeard { since: Instant::now(), at: AtomicU64::new(0) });
        (Self { io, last: Arc::clone(&last) }, last)
    }
}

impl Read for Heard {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: ReadBufCursor<'_>,
    ) -> Poll<std::io::Result<()>> {
        let read = ready!(Pin::new(&mut self.io).poll_read(cx, buffer));
        self.last.note();
        Poll::Ready(read)
    }
}

impl Write for Heard {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<std::io::Result<usize>> {
        Pin::new(&mut self.io).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        pieces: &[std::io::IoSlice<'_>],
    ) -> Poll<std::io::Result<usize>> {
        Pin::new(&mut self.io).poll_write_vectored(cx, pieces)
    }
}
