//! The answer of a direct call on its way to the caller: untouched, read as the caller takes it, its
//! usage picked up as it passes. It settles the call when it ends or is dropped.

use std::{
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use tokio::time::{Instant, Sleep};

use crate::llm::Meter;

use super::{
    super::{body::BodyError, server::DrainWait, upstream::UpstreamBody},
    settle::Settlement,
};

/// Pieces that a provider may have ready one after the other before the time limits are looked at.
const PIECES: u8 = 8;
const SHUTTING_DOWN: &str = "gateway_shutting_down";
const LATE: &str = "upstream_timeout";

/// Time limits of an answer.
pub struct Pace {
    /// Longest silence of the provider.
    pub idle: Duration,
    /// When the call must have ended.
    pub deadline: Instant,
    /// When the process ends.
    pub expired: DrainWait,
}

/// An answer that passes.
pub struct Download {
    /// `None` once nothing more will be read.
    upstream: Option<UpstreamBody>,
    meter: Meter,
    /// `None` once the call is settled.
    settlement: Option<Settlement>,
    pace: Pace,
    timer: Pin<Box<Sleep>>,
    silent_since: Option<Instant>,
    /// Pieces since the time limits were looked at.
    unseen: u8,
}

impl Download {
    /// Passes an answer on.
    pub fn new(upstream: UpstreamBody, meter: Meter, pace: Pace, settlement: Settlement) -> Self {
        let timer = Box::pin(tokio::time::sleep(pace.idle));
        let settlement = Some(settlement);
        let mut download = Self {
            upstream: Some(upstream),
            meter,
            settlement,
            pace,
            timer,
            silent_since: None,
            unseen: 0,
        };
        download.end_if_whole();
        download
    }

    /// Whether nothing more comes.
    pub fn is_over(&self) -> bool {
        self.upstream.is_none()
    }

    /// The next piece. An error cuts the caller's connection, so that it cannot take a part for the
    /// whole.
    pub fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, BodyError>>> {
        loop {
            let Some(upstream) = &mut self.upstream else { return Poll::Ready(None) };
            self.unseen += 1;
            if self.unseen > PIECES {
                self.unseen = 0;
                if self.pace.expired.is_reached() {
                    return self.break_off(SHUTTING_DOWN);
                }
                if Instant::now() >= self.pace.deadline {
                    return self.break_off(LATE);
                }
            }
            match upstream.poll_frame(cx) {
                Poll::Ready(Some(Ok(frame))) => {
                    self.silent_since = None;
                    let Ok(data) = frame.into_data() else { continue };
                    self.meter.push(&data);
                    // Servers that know the length do not ask for more than that.
                    self.end_if_whole();
                    return Poll::Ready(Some(Ok(data)));
                }
                Poll::Ready(Some(Err(_))) => return self.break_off("upstream_incomplete"),
                Poll::Ready(None) => self.end(),
                Poll::Pending => {
                    let code = std::task::ready!(self.poll_time(cx));
                    return self.break_off(code);
                }
            }
        }
    }

    /// Ready with a code when a time limit has passed.
    fn poll_time(&mut self, cx: &mut Context<'_>) -> Poll<&'static str> {
        self.unseen = 0;
        if Pin::new(&mut self.pace.expired).poll(cx).is_ready() {
            return Poll::Ready(SHUTTING_DOWN);
        }
        let silent = *self.silent_since.get_or_insert_with(Instant::now);
        let by = (silent + self.pace.idle).min(self.pace.deadline);
        if self.timer.deadline() != by {
            self.timer.as_mut().reset(by);
        }
        self.timer.as_mut().poll(cx).map(|()| LATE)
    }

    fn end_if_whole(&mut self) {
        if self.upstream.as_ref().is_some_and(UpstreamBody::is_end) {
            self.end();
        }
    }

    fn end(&mut self) {
        self.upstream = None;
        if let Some(mut settlement) = self.settlement.take() {
            settlement.metered(self.meter.finish());
            settlement.complete();
        }
    }

    fn break_off(&mut self, code: &'static str) -> Poll<Option<Result<Bytes, BodyError>>> {
        self.upstream = None;
        if let Some(mut settlement) = self.settlement.take() {
            settlement.metered(self.meter.finish());
            settlement.incomplete(code);
        }
        Poll::Ready(Some(Err(BodyError)))
    }
}

impl Drop for Download {
    fn drop(&mut self) {
        // Still here: the caller has left. What was reported until now is charged.
        if let Some(mut settlement) = self.settlement.take() {
            settlement.metered(self.meter.finish());
        }
    }
}
