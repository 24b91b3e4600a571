//! The answer's body as the server sends it: whole, or a stream that is translated and metered while
//! it passes. Streams have no task and no channel: the provider is read when the caller's connection
//! has room, and left at once when the caller is gone.

use std::{
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use bytes::{Bytes, BytesMut};
use http::{HeaderValue, StatusCode};
use http_body::{Frame, SizeHint};
use thiserror::Error;
use tokio::time::{Instant, Sleep};

use crate::{
    llm::{ApiError, ErrorKind, StreamFault, StreamForm, StreamTranslator},
    route::End,
};

use super::{
    attempt::judge, direct::Download, quotable::Quotable, server::DrainWait, settle::Settlement,
    upstream::UpstreamBody,
};

/// An answer broke midway, and nothing but the end of its connection can say so: it is handed on
/// unread. Whole answers are complete before their head is sent, and a stream of frames whose provider
/// fails ends with an error in a frame.
#[derive(Debug, Error)]
#[error("the provider's answer broke off")]
pub struct BodyError;

/// Bytes read from a provider at most before the caller's connection gets its turn.
const BURST: usize = 64 << 10;
/// How long a caller has after a time limit to take what is said about it.
const LAST_WORDS: Duration = Duration::from_secs(1);
/// Pieces that a provider may have ready one after the other before the time limits are looked at.
const PIECES: u8 = 8;
/// How long a provider may keep its connection open after the end of its stream.
const GRACE: Duration = Duration::from_millis(500);

/// The body of every answer of the data port.
pub struct Body {
    inner: Inner,
    /// It breaks off with the next frame.
    is_broken: bool,
}

enum Inner {
    Whole(Option<Bytes>),
    Stream(Box<Stream>),
    Download(Box<Download>),
}

/// What a stream starts from.
pub struct Opened {
    /// The rest of the provider's answer.
    pub upstream: UpstreamBody,
    /// Puts it into the caller's dialect.
    pub translator: Box<dyn StreamTranslator>,
    /// What is already translated.
    pub held: Vec<Bytes>,
    /// Whether the provider's answer has ended already.
    pub ended: bool,
    /// What the caller gets.
    pub form: Form,
    /// What an error in it may quote.
    pub quotable: Quotable,
}

/// What a stream looks like to the caller.
#[derive(Clone, Debug)]
pub enum Form {
    /// Frames: between two of them something may be put.
    Frames(StreamForm),
    /// Bytes of the provider's media type, if it names one.
    Opaque(Option<HeaderValue>),
}

/// Time limits of a stream.
pub struct Pace {
    /// Longest silence of the provider.
    pub idle: Duration,
    /// Silence after which the caller gets a comment.
    pub keep_alive: Duration,
    /// When the request must have ended.
    pub deadline: Instant,
    /// When the process ends.
    pub expired: DrainWait,
}

impl Body {
    /// A body that is complete.
    pub fn whole(bytes: Bytes) -> Self {
        Self::of(Inner::Whole((!bytes.is_empty()).then_some(bytes)))
    }

    /// A stream. It settles the request when it ends or is dropped.
    pub(super) fn stream(opened: Opened, pace: Pace, settlement: Settlement) -> Self {
        let Opened { upstream, translator, held, ended, form, quotable } = opened;
        let now = Instant::now();
        let timer = Box::pin(tokio::time::sleep_until(now + pace.keep_alive));
        let mut stream = Stream {
            upstream: Some(upstream),
            translator,
            out: held,
            settlement: Some(settlement),
            form,
            quotable,
            is_broken: false,
            pace,
            timer,
            silent_since: None,
            commented_at: now,
            unseen: 0,
        };
        if ended {
            stream.complete();
        }
        Self::of(Inner::Stream(Box::new(stream)))
    }

    /// The answer of a direct call.
    pub(super) fn download(download: Download) -> Self {
        Self::of(Inner::Download(Box::new(download)))
    }

    /// When a stream must have ended, its last words included: who reads slowly is told them.
    pub fn deadline(&self) -> Option<Instant> {
        match &self.inner {
            Inner::Stream(stream) => Some(stream.pace.deadline + LAST_WORDS),
            Inner::Whole(_) | Inner::Download(_) => None,
        }
    }

    fn of(inner: Inner) -> Self {
        Self { inner, is_broken: false }
    }

    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, BodyError>>> {
        match &mut self.inner {
            Inner::Whole(whole) => Poll::Ready(whole.take().map(Ok)),
            Inner::Stream(stream) => stream.poll_next(cx),
            Inner::Download(download) => download.poll_next(cx),
        }
    }
}

impl http_body::Body for Body {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        if !self.is_broken {
            match std::task::ready!(self.poll_next(cx)) {
                // The server drops what it has not written when a body breaks: it gets a turn to write.
                Some(Err(BodyError)) => {
                    self.is_broken = true;
                    cx.waker().wake_by_ref();
                    return Poll::Pending;
                }
                next => return Poll::Ready(next.map(|bytes| bytes.map(Frame::data))),
            }
        }
        Poll::Ready(Some(Err(BodyError)))
    }

    fn is_end_stream(&self) -> bool {
        if self.is_broken {
            return false;
        }
        match &self.inner {
            Inner::Whole(whole) => whole.is_none(),
            Inner::Stream(stream) => {
                stream.upstream.is_none() && stream.out.is_empty() && !stream.is_broken
            }
            Inner::Download(download) => download.is_over(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.inner {
            Inner::Whole(whole) => {
                SizeHint::with_exact(whole.as_ref().map_or(0, |bytes| bytes.len() as u64))
            }
            Inner::Stream(_) | Inner::Download(_) => SizeHint::default(),
        }
    }
}

impl std::fmt::Debug for Body {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self.inner {
            Inner::Whole(_) => "Body(whole)",
            Inner::Stream(_) => "Body(stream)",
            Inner::Download(_) => "Body(download)",
        })
    }
}

struct Stream {
    /// `None` once nothing more will be read.
    upstream: Option<UpstreamBody>,
    translator: Box<dyn StreamTranslator>,
    out: Vec<Bytes>,
    /// `None` once the request is settled.
    settlement: Option<Settlement>,
    form: Form,
    quotable: Quotable,
    /// The caller must be told by the end of the connection.
    is_broken: bool,
    pace: Pace,
    /// Never reset while it would fire early enough anyway: an early wake-up is cheaper than a reset
    /// for every chunk.
    timer: Pin<Box<Sleep>>,
    /// Since when the provider has had nothing, while it was being asked.
    silent_since: Option<Instant>,
    commented_at: Instant,
    /// Pieces since the time limits were looked at.
    unseen: u8,
}

impl Stream {
    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, BodyError>>> {
        loop {
            self.unseen += 1;
            if self.unseen > PIECES {
                self.look_at_time();
            }
            let waiting = match self.upstream {
                Some(_) => self.read(cx).is_pending(),
                None => false,
            };
            if !self.out.is_empty() {
                return Poll::Ready(Some(Ok(join(&mut self.out))));
            }
            if self.upstream.is_none() {
                let broken = std::mem::take(&mut self.is_broken);
                return Poll::Ready(broken.then_some(Err(BodyError)));
            }
            if waiting {
                std::task::ready!(self.poll_time(cx));
            }
        }
    }

    /// Reads everything that is ready, up to a burst.
    fn read(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let mut burst = 0;
        while burst < BURST {
            let Some(upstream) = &mut self.upstream else { break };
            match upstream.poll_frame(cx) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(Some(Ok(frame))) => {
                    self.silent_since = None;
                    let Ok(data) = frame.into_data() else { continue };
                    burst += data.len();
                    // Whatever comes after the terminator is of no interest.
                    if self.translator.progress().terminated {
                        if !data.trim_ascii().is_empty() {
                            self.complete();
                        }
                        continue;
                    }
                    if let Err(fault) = self.translator.push(data, &mut self.out) {
                        self.break_off_by(fault);
                    } else if self.translator.progress().content
                        && let Some(settlement) = &mut self.settlement
                    {
                        settlement.first_token();
                    }
                }
                Poll::Ready(None) => match self.translator.finish(&mut self.out) {
                    Ok(()) => self.complete(),
                    Err(fault) => self.break_off_by(fault),
                },
                Poll::Ready(Some(Err(_))) => self.break_off_by(StreamFault::Truncated),
            }
        }
        Poll::Ready(())
    }

    /// The limits that hold for a provider that always has something, too.
    fn look_at_time(&mut self) {
        self.unseen = 0;
        if self.upstream.is_none() {
            return;
        }
        if self.pace.expired.is_reached() {
            self.break_off(shutting_down(), End::Unjudged);
        } else if Instant::now() >= self.pace.deadline {
            self.break_off(late(true), End::Unjudged);
        }
    }

    /// The provider has nothing now: looks at the time limits. Ready when something has changed.
    fn poll_time(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        self.unseen = 0;
        loop {
            let now = Instant::now();
            let silent = *self.silent_since.get_or_insert(now);
            let comment_at = silent.max(self.commented_at) + self.pace.keep_alive;
            let (idle_at, deadline) = (silent + self.pace.idle, self.pace.deadline);
            let terminated = self.translator.progress().terminated;
            if terminated && now >= silent + GRACE {
                self.complete();
                return Poll::Ready(());
            }
            if now >= deadline || now >= idle_at {
                let is_over = now >= deadline;
                // Its whole time is the route's matter, and silence the provider's.
                let end = if is_over { End::Unjudged } else { End::Failed(None) };
                self.break_off(late(is_over), end);
                return Poll::Ready(());
            }
            if Pin::new(&mut self.pace.expired).poll(cx).is_ready() {
                self.break_off(shutting_down(), End::Unjudged);
                return Poll::Ready(());
            }
            if now >= comment_at {
                self.commented_at = now;
                if let Form::Frames(form) = self.form {
                    self.out.push(Bytes::from_static(form.filler()));
                    return Poll::Ready(());
                }
                continue;
            }
            let mut next = comment_at.min(idle_at).min(deadline);
            if terminated {
                next = next.min(silent + GRACE);
            }
            if self.timer.is_elapsed() || self.timer.deadline() > next {
                self.timer.as_mut().reset(next);
            }
            std::task::ready!(self.timer.as_mut().poll(cx));
        }
    }

    fn complete(&mut self) {
        self.upstream = None;
        if let Some(mut settlement) = self.settlement.take() {
            settlement.delivered(self.translator.progress());
            settlement.complete();
        }
    }

    fn break_off_by(&mut self, fault: StreamFault) {
        let end = match &fault {
            StreamFault::Upstream(error) => judge(error.status.as_u16(), None),
            StreamFault::Malformed(_) | StreamFault::Truncated => End::Failed(None),
        };
        self.break_off(stream_error(fault), end);
    }

    /// Ends the stream with an error and without a terminator, unless it is complete already. `end`:
    /// what it says about the target.
    fn break_off(&mut self, mut error: ApiError, end: End) {
        if self.translator.progress().terminated {
            return self.complete();
        }
        self.quotable.mask_error(&mut error);
        self.upstream = None;
        self.is_broken = matches!(self.form, Form::Opaque(_));
        self.translator.fail(&error, &mut self.out);
        if let Some(mut settlement) = self.settlement.take() {
            settlement.delivered(self.translator.progress());
            settlement.incomplete(&error.code, end);
        }
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        // Still here: the caller has left, or was cut off. What it got until now is charged.
        let Some(mut settlement) = self.settlement.take() else { return };
        let progress = self.translator.progress();
        settlement.delivered(progress);
        if progress.terminated && self.out.is_empty() {
            // It has all of it, and did not wait for the provider to close.
            settlement.complete();
        } else if self.pace.expired.is_reached() {
            settlement.incomplete(&shutting_down().code, End::Unjudged);
        } else if Instant::now() >= self.pace.deadline {
            settlement.incomplete(&late(true).code, End::Unjudged);
        }
    }
}

/// One piece of bytes out of several.
fn join(pieces: &mut Vec<Bytes>) -> Bytes {
    match pieces.len() {
        1 => pieces.pop().unwrap_or_default(),
        _ => {
            let mut joined = BytesMut::with_capacity(pieces.iter().map(Bytes::len).sum());
            pieces.drain(..).for_each(|piece| joined.extend_from_slice(&piece));
            joined.freeze()
        }
    }
}

/// What the caller is told about a stream that cannot be continued.
pub fn stream_error(fault: StreamFault) -> ApiError {
    let code = match fault {
        StreamFault::Upstream(error) => return error.shield_credential(),
        StreamFault::Malformed(_) => "upstream_malformed",
        StreamFault::Truncated => "upstream_incomplete",
    };
    ApiError::new(StatusCode::BAD_GATEWAY, ErrorKind::Upstream, code, fault.to_string())
}

/// What the caller is told about an answer that the end of the process cuts off.
pub fn shutting_down() -> ApiError {
    ApiError::new(
        StatusCode::SERVICE_UNAVAILABLE,
        ErrorKind::Overloaded,
        "gateway_shutting_down",
        "the gateway is restarting and could not wait longer for this answer: ask again",
    )
}

fn late(whole_request: bool) -> ApiError {
    let message = match whole_request {
        true => "the request took longer than the route's timeouts.total",
        false => "the provider was silent for longer than the route's timeouts.idle",
    };
    let status = StatusCode::GATEWAY_TIMEOUT;
    ApiError::new(status, ErrorKind::Timeout, "upstream_timeout", message)
}
