//! The body of a direct call on its way to the provider: streamed piece by piece as the provider takes
//! it, of any length, never held as a whole. Notes how far it is and why it broke.

use std::{
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicU8, AtomicU64, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use http_body::{Frame, SizeHint};
use http_body_util::{BodyExt as _, combinators::UnsyncBoxBody};
use tokio::time::{Instant, Sleep};

use super::super::server::BoxError;

/// Why a body did not come to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The caller was silent for too long.
    Silent,
    /// The caller left.
    Gone,
}

/// How far an upload is, for who waits for its answer.
#[derive(Debug)]
pub struct Progress {
    start: Instant,
    /// When the last piece went, in milliseconds after the start.
    moved: AtomicU64,
    fault: AtomicU8,
}

impl Progress {
    /// Nothing has moved yet.
    pub fn new() -> Arc<Self> {
        let (moved, fault) = (AtomicU64::new(0), AtomicU8::new(0));
        Arc::new(Self { start: Instant::now(), moved, fault })
    }

    /// When the last piece went.
    pub fn last(&self) -> Instant {
        self.start + Duration::from_millis(self.moved.load(Ordering::Relaxed))
    }

    /// Why the body broke, if it did.
    pub fn fault(&self) -> Option<Fault> {
        match self.fault.load(Ordering::Relaxed) {
            1 => Some(Fault::Silent),
            2 => Some(Fault::Gone),
            _ => None,
        }
    }

    /// A piece went.
    pub fn note(&self) {
        let now = u64::try_from(self.start.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.moved.store(now, Ordering::Relaxed);
    }

    fn fail(&self, fault: Fault) -> BoxError {
        let (number, text) = match fault {
            Fault::Silent => (1, "the caller fell silent"),
            Fault::Gone => (2, "the caller left"),
        };
        self.fault.store(number, Ordering::Relaxed);
        text.into()
    }
}

/// A body that is sent as it comes.
pub struct Upload {
    body: UnsyncBoxBody<Bytes, ()>,
    progress: Arc<Progress>,
    idle: Duration,
    /// Runs while the provider waits for the caller.
    silence: Option<Pin<Box<Sleep>>>,
}

impl Upload {
    /// `idle`: the longest silence of the caller.
    pub fn new<B>(body: B, progress: Arc<Progress>, idle: Duration) -> Self
    where
        B: http_body::Body<Data = Bytes> + Send + 'static,
    {
        let body = body.map_err(|_| ()).boxed_unsync();
        Self { body, progress, idle, silence: None }
    }
}

impl http_body::Body for Upload {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let this = &mut *self;
        loop {
            match Pin::new(&mut this.body).poll_frame(cx) {
                Poll::Ready(Some(Ok(frame))) => {
                    this.silence = None;
                    this.progress.note();
                    // Trailers belong to this hop.
                    if frame.is_data() {
                        return Poll::Ready(Some(Ok(frame)));
                    }
                }
                Poll::Ready(Some(Err(()))) => {
                    return Poll::Ready(Some(Err(this.progress.fail(Fault::Gone))));
                }
                Poll::Ready(None) => {
                    this.progress.note();
                    return Poll::Ready(None);
                }
                Poll::Pending => {
                    let idle = this.idle;
                    let silence =
                        this.silence.get_or_insert_with(|| Box::pin(tokio::time::sleep(idle)));
                    std::task::ready!(silence.as_mut().poll(cx));
                    return Poll::Ready(Some(Err(this.progress.fail(Fault::Silent))));
                }
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
