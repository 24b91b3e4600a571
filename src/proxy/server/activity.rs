//! What one connection is doing, and when it has done nothing for too long.
//!
//! hyper's own header time-out also ends idle connections and arms a timer for each request; this one
//! tells the two apart and costs two atomic stores a request.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::Instant;

use super::ServerLimits;
use super::takeover::Taken;

/// Longest time that a client with a request under way may take nothing of its answer. Without it, who
/// stops reading would keep a provider's stream and a permit for as long as it likes.
const WRITE_STALL: Duration = Duration::from_secs(60);

/// What a connection is doing. Times are in milliseconds after its start.
#[derive(Debug)]
pub struct Activity {
    start: Instant,
    header_timeout: Duration,
    keep_alive: Duration,
    under_way: AtomicUsize,
    /// When a head began to arrive, plus one; 0 if none does.
    head_since: AtomicU64,
    /// Since when the socket takes nothing, plus one; 0 if it does.
    stalled_since: AtomicU64,
    /// When the answer of the request under way must have ended, plus one; 0 if nobody says so.
    must_end: AtomicU64,
    idle_since: AtomicU64,
    /// What runs on the socket once HTTP has ended on it.
    taken: Mutex<Option<Taken>>,
}

impl Activity {
    /// A connection that begins now. A client of HTTP/1.1 owes a head from the start; one of h2 may
    /// connect ahead of its first request.
    pub fn new(limits: &ServerLimits, owes_head: bool) -> Arc<Self> {
        Arc::new(Self {
            start: Instant::now(),
            header_timeout: limits.header_timeout,
            keep_alive: limits.keep_alive,
            under_way: AtomicUsize::new(0),
            head_since: AtomicU64::new(u64::from(owes_head)),
            stalled_since: AtomicU64::new(0),
            must_end: AtomicU64::new(0),
            idle_since: AtomicU64::new(0),
            taken: Mutex::new(None),
        })
    }

    /// The connection stops being HTTP after this answer.
    pub fn take_over(&self, taken: Option<Taken>) {
        *self.taken.lock() = taken;
    }

    /// What runs on the connection now that HTTP has ended on it.
    pub fn taken(&self) -> Option<Taken> {
        self.taken.lock().take()
    }

    /// A head is complete: its request is under way until the guard is dropped.
    pub fn begin(self: &Arc<Self>) -> UnderWay {
        self.head_since.store(0, Ordering::Relaxed);
        self.under_way.fetch_add(1, Ordering::Relaxed);
        UnderWay(Arc::clone(self))
    }

    /// An answer must have ended by then, whether its client takes it or not.
    pub fn must_end(&self, by: Instant) {
        let after = by.saturating_duration_since(self.start).as_millis();
        self.must_end.store(u64::try_from(after).unwrap_or(u64::MAX - 1) + 1, Ordering::Relaxed);
    }

    /// When the connection is to be closed, if nothing happens before.
    pub fn deadline(&self) -> Option<Instant> {
        let after = |since| self.start + Duration::from_millis(since);
        if self.under_way.load(Ordering::Relaxed) > 0 {
            let stalled = self.stalled_since.load(Ordering::Relaxed).checked_sub(1)?;
            let must_end = self.must_end.load(Ordering::Relaxed).checked_sub(1).map(after);
            let given_up = after(stalled) + WRITE_STALL;
            return Some(must_end.map_or(given_up, |by| by.min(given_up)));
        }
        let (since, allowed) = match self.head_since.load(Ordering::Relaxed) {
            0 => (self.idle_since.load(Ordering::Relaxed), self.keep_alive),
            head => (head - 1, self.header_timeout),
        };
        Some(after(since) + allowed)
    }

    fn bytes_arrived(&self) {
        let idle = self.under_way.load(Ordering::Relaxed) == 0;
        if idle && self.head_since.load(Ordering::Relaxed) == 0 {
            self.head_since.store(self.now() + 1, Ordering::Relaxed);
        }
    }

    fn written<T>(&self, polled: &Poll<T>) {
        let is_stalled = self.stalled_since.load(Ordering::Relaxed) != 0;
        match (polled.is_pending(), is_stalled) {
            (true, false) => self.stalled_since.store(self.now() + 1, Ordering::Relaxed),
            (false, true) => self.stalled_since.store(0, Ordering::Relaxed),
            _ => {}
        }
    }

    fn now(&self) -> u64 {
        u64::try_from(self.start.elapsed().as_millis()).unwrap_or(u64::MAX)
    }
}

/// One request that is under way.
#[derive(Debug)]
pub struct UnderWay(Arc<Activity>);

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.0.must_end.store(0, Ordering::Relaxed);
        self.0.idle_since.store(self.0.now(), Ordering::Relaxed);
        self.0.under_way.fetch_sub(1, Ordering::Relaxed);
    }
}

/// A socket of HTTP/1.1 that notes when a head begins to arrive.
#[derive(Debug)]
pub struct Noted<S> {
    io: S,
    activity: Arc<Activity>,
}

impl<S> Noted<S> {
    /// Notes what arrives on a socket.
    pub fn new(io: S, activity: Arc<Activity>) -> Self {
        Self { io, activity }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Noted<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let polled = Pin::new(&mut self.io).poll_read(cx, buf);
        if buf.filled().len() > before {
            self.activity.bytes_arrived();
        }
        polled
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Noted<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.io).poll_write(cx, buf);
        self.activity.written(&polled);
        polled
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.io).poll_write_vectored(cx, bufs);
        self.activity.written(&polled);
        polled
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, duplex};

    use super::*;

    #[tokio::test]
    async fn a_client_that_takes_nothing_of_its_answer_is_given_up() {
        let activity = Activity::new(&ServerLimits::default(), true);
        let (mut client, server) = duplex(4);
        let mut server = Noted::new(server, Arc::clone(&activity));
        let _request = activity.begin();
        let mut write = || {
            let poll = Pin::new(&mut server);
            let mut cx = Context::from_waker(std::task::Waker::noop());
            poll.poll_write(&mut cx, b"data").is_ready()
        };
        assert!(write() && activity.deadline().is_none());
        assert!(!write());
        let deadline = activity.deadline();
        assert!(!write());
        assert_eq!(activity.deadline(), deadline);
        assert!(deadline.is_some());
        // Its answer must have ended sooner than that.
        let by = Instant::now() + Duration::from_secs(5);
        activity.must_end(by);
        assert!(activity.deadline().is_some_and(|deadline| deadline <= by));
        client.read_exact(&mut [0; 4]).await.unwrap();
        assert!(write() && activity.deadline().is_none());
    }
}
