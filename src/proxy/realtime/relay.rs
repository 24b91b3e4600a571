//! The bytes of a session, both ways, until something ends it. One task, two buffers: a side is read
//! only when the other has taken what came before.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, ReadBuf},
    time::{Instant, Sleep, timeout},
};

use crate::{llm::ErrorKind, telemetry::Outcome};

use super::{
    super::server::{DrainSignal, DrainWait},
    frame::{CLOSE, Cursor, TEXT, close_payload, frame, masked_close},
    guard::{Fault, Guard},
    session::Session,
};

/// What is read of one side before the other has taken it.
const BUFFER: usize = 16 << 10;
/// How long both sides have for the last words.
const LAST_WORDS: Duration = Duration::from_secs(1);
/// Codes of close frames (RFC 6455, 7.4.1).
const GOING_AWAY: u16 = 1001;
const INVALID: u16 = 1007;
const POLICY: u16 = 1008;
const TOO_BIG: u16 = 1009;
const INTERNAL: u16 = 1011;

/// Time limits of a session.
pub struct Pace {
    /// Longest time in which no byte moves.
    pub idle: Duration,
    /// When the session must have ended.
    pub deadline: Instant,
    /// How far a shutdown is.
    pub drain: DrainSignal,
}

/// Why a session ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    /// One of the sides has closed it in order.
    Closed,
    /// The caller is gone.
    ClientGone,
    /// The provider is gone.
    UpstreamGone,
    /// A budget has nothing left.
    Budget,
    /// The caller said what it may not say.
    Refused(Fault),
    /// The process ends.
    Drain,
    /// Nothing has moved for too long.
    Idle,
    /// It has lasted too long.
    Deadline,
}

/// One direction.
struct Pump {
    buffer: Box<[u8]>,
    /// What may be written, and how much of it was.
    out: Vec<u8>,
    start: usize,
    needs_flush: bool,
    /// Where the bytes are that have been written.
    written: Cursor,
    /// Nothing more is read.
    is_stopped: bool,
}

impl Pump {
    fn new() -> Self {
        Self {
            buffer: vec![0; BUFFER].into(),
            out: Vec::new(),
            start: 0,
            needs_flush: false,
            written: Cursor::default(),
            is_stopped: false,
        }
    }

    /// Moves bytes until nothing more can be moved; ready at the end of `from`, or once `tap`, which
    /// adds what may pass, has said that it is enough and everything before was written.
    fn poll(
        &mut self,
        cx: &mut Context<'_>,
        (from, to): (&mut (impl AsyncRead + Unpin), &mut (impl AsyncWrite + Unpin)),
        moved_at: &mut Instant,
        mut tap: impl FnMut(&[u8], &mut Vec<u8>) -> bool,
    ) -> Poll<io::Result<()>> {
        loop {
            ready!(self.poll_write(cx, to, moved_at))?;
            if self.is_stopped {
                return Pin::new(to).poll_flush(cx);
            }
            let mut buffer = ReadBuf::new(&mut self.buffer);
            match Pin::new(&mut *from).poll_read(cx, &mut buffer) {
                Poll::Ready(read) => read?,
                Poll::Pending => {
                    if self.needs_flush {
                        ready!(Pin::new(&mut *to).poll_flush(cx))?;
                        self.needs_flush = false;
                    }
                    return Poll::Pending;
                }
            }
            let came = buffer.filled();
            // A message that is held until it is whole is no silence.
            *moved_at = Instant::now();
            if came.is_empty() {
                self.is_stopped = true;
            } else if !tap(came, &mut self.out) {
                self.is_stopped = true;
                // A frame that is not whole would leave no room for last words.
                let whole = self.written.last_boundary(&self.out);
                self.out.truncate(whole.unwrap_or(self.out.len()));
            }
        }
    }

    /// Writes all that may be written.
    fn poll_write(
        &mut self,
        cx: &mut Context<'_>,
        to: &mut (impl AsyncWrite + Unpin),
        moved_at: &mut Instant,
    ) -> Poll<io::Result<()>> {
        while let Some(left) = self.out.get(self.start..).filter(|left| !left.is_empty()) {
            let length = ready!(Pin::new(&mut *to).poll_write(cx, left))?;
            if length == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.written.skip(left.get(..length).unwrap_or_default());
            self.start += length;
            self.needs_flush = true;
            *moved_at = Instant::now();
        }
        self.start = 0;
        self.out.clear();
        self.out.shrink_to(BUFFER);
        Poll::Ready(Ok(()))
    }

    /// Writes what is left of the frames that have begun, then `last`, if a frame may stand there.
    async fn end(&mut self, to: &mut (impl AsyncWrite + Unpin), last: &[u8]) -> io::Result<()> {
        let left = self.out.get(self.start..).unwrap_or_default();
        let whole = self.written.last_boundary(left);
        if let Some(left) = whole.and_then(|whole| left.get(..whole)) {
            to.write_all(left).await?;
            self.written.skip(left);
            if !self.written.has_closed() {
                to.write_all(last).await?;
            }
        }
        to.flush().await?;
        to.shutdown().await
    }
}

/// A session between two sockets.
pub struct Relay<C, U> {
    client: C,
    upstream: U,
    session: Session,
    guard: Guard,
    pace: Pace,
    up: Pump,
    down: Pump,
    draining: DrainWait,
    expired: DrainWait,
    timer: Pin<Box<Sleep>>,
    moved_at: Instant,
}

impl<C, U> Relay<C, U>
where
    C: AsyncRead + AsyncWrite + Unpin,
    U: AsyncRead + AsyncWrite + Unpin,
{
    /// A session that begins.
    pub fn new((client, upstream): (C, U), (session, guard): (Session, Guard), pace: Pace) -> Self {
        let (draining, expired) = (pace.drain.draining(), pace.drain.expired());
        let now = Instant::now();
        let timer = Box::pin(tokio::time::sleep_until((now + pace.idle).min(pace.deadline)));
        let (up, down) = (Pump::new(), Pump::new());
        let moved_at = now;
        Self {
            client,
            upstream,
            session,
            guard,
            pace,
            up,
            down,
            draining,
            expired,
            timer,
            moved_at,
        }
    }

    /// Runs until the session is over.
    pub async fn run(mut self) {
        let end = std::future::poll_fn(|cx| self.poll(cx)).await;
        let (outcome, code, closing) = self.verdict(end);
        self.session.ended(outcome, code);
        // Both sides at once, and not for long: the session's end does not depend on it.
        let Self { mut client, mut upstream, mut up, mut down, session, .. } = self;
        drop(session);
        let last = closing.unwrap_or_default();
        let to_client = async {
            if down.end(&mut client, &last).await.is_ok() {
                // Unread bytes would make the system reset the connection, and the frame be lost.
                let mut rest = [0; 1024];
                while client.read(&mut rest).await.is_ok_and(|length| length > 0) {}
            }
        };
        let goodbye = masked_close(GOING_AWAY);
        let to_upstream = async {
            let _ = up.end(&mut upstream, &goodbye).await;
        };
        let _ = timeout(LAST_WORDS, async { tokio::join!(to_client, to_upstream) }).await;
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<End> {
        let Self { client, upstream, session, down, moved_at, .. } = self;
        let from_upstream = down.poll(cx, (upstream, client), moved_at, |bytes, out| {
            out.extend_from_slice(bytes);
            session.push(bytes)
        });
        if from_upstream.is_ready() {
            let end = match self.session.refusal() {
                Some(_) => End::Budget,
                None => self.closed_or(End::UpstreamGone),
            };
            return Poll::Ready(end);
        }
        let Self { client, upstream, guard, up, moved_at, .. } = self;
        let from_client =
            up.poll(cx, (client, upstream), moved_at, |bytes, out| guard.push(bytes, out));
        if from_client.is_ready() {
            let refused = self.guard.fault().map(End::Refused);
            return Poll::Ready(refused.unwrap_or_else(|| self.closed_or(End::ClientGone)));
        }
        if Pin::new(&mut self.expired).poll(cx).is_ready() {
            return Poll::Ready(End::Drain);
        }
        // A response under way may still come to its end.
        if Pin::new(&mut self.draining).poll(cx).is_ready() && !self.session.is_responding() {
            return Poll::Ready(End::Drain);
        }
        loop {
            let by = (self.moved_at + self.pace.idle).min(self.pace.deadline);
            if Instant::now() >= by {
                let is_over = by == self.pace.deadline;
                return Poll::Ready(if is_over { End::Deadline } else { End::Idle });
            }
            // An early ring is cheaper than a reset for each frame.
            if self.timer.is_elapsed() || self.timer.deadline() > by {
                self.timer.as_mut().reset(by);
            }
            ready!(self.timer.as_mut().poll(cx));
        }
    }

    fn closed_or(&self, end: End) -> End {
        match self.up.written.has_closed() || self.down.written.has_closed() {
            true => End::Closed,
            false => end,
        }
    }

    /// The outcome, its code, and the last words to the caller.
    fn verdict(&self, end: End) -> (Outcome, &'static str, Option<Vec<u8>>) {
        let close = |code, reason: &str| Some(frame(CLOSE, &close_payload(code, reason)));
        let incomplete = Outcome::Incomplete;
        match end {
            End::Closed => (Outcome::Complete, "", None),
            End::ClientGone => (Outcome::ClientGone, "", None),
            End::UpstreamGone => {
                let last = close(INTERNAL, "the provider closed the connection");
                (incomplete, "upstream_closed", last)
            }
            End::Budget => (incomplete, "budget_exceeded", Some(self.refused())),
            End::Refused(Fault::OtherModel) => {
                let last = "the model of a session is the one that it was opened with";
                (incomplete, "model_changed", close(POLICY, last))
            }
            End::Refused(Fault::Unreadable) => {
                let last = "messages are texts of JSON objects without a member that comes twice";
                (incomplete, "invalid_json", close(INVALID, last))
            }
            End::Refused(Fault::TooLong) => {
                (incomplete, "message_too_large", close(TOO_BIG, "the message is too large"))
            }
            End::Drain => {
                let last = close(GOING_AWAY, "the gateway is restarting: connect again");
                (incomplete, "gateway_shutting_down", last)
            }
            End::Idle => {
                (incomplete, "idle_timeout", close(GOING_AWAY, "the session was idle for too long"))
            }
            End::Deadline => {
                (incomplete, "session_expired", close(GOING_AWAY, "the session lasted too long"))
            }
        }
    }

    /// An error event, for whoever reads events, and the close frame.
    fn refused(&self) -> Vec<u8> {
        let message = self.session.refusal().map(ToString::to_string).unwrap_or_default();
        let event = serde_json::json!({
            "type": "error",
            "event_id": format!("event_{:016x}", fastrand::u64(..)),
            "error": {
                "type": ErrorKind::RateLimit.default_code(),
                "code": "budget_exceeded",
                "message": message,
                "param": null,
                "event_id": null,
            },
        });
        let mut last = frame(TEXT, event.to_string().as_bytes());
        last.extend(frame(CLOSE, &close_payload(POLICY, &format!("budget_exceeded: {message}"))));
        last
    }
}
