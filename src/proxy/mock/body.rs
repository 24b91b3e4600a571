//! Plays the steps of an answer as a body, in their rhythm. It makes nothing up: what is sent was
//! decided by the plan.

use std::collections::VecDeque;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Frame, SizeHint};
use tokio::time::Sleep;

use super::Fault;
use super::encode::Encoder;
use super::plan::Step;

/// The body of an answer of the Mock provider.
///
/// It must be polled in a tokio runtime with timers. A stalled body stays pending for ever and wakes
/// nobody: the reader's own time-out has to end it.
#[derive(Debug)]
pub struct Body {
    encoder: Option<Box<Encoder>>,
    steps: VecDeque<Step>,
    sleep: Option<Pin<Box<Sleep>>>,
}

impl Body {
    /// A stream.
    pub(super) fn stream(encoder: Encoder, steps: VecDeque<Step>) -> Self {
        Self { encoder: Some(Box::new(encoder)), steps, sleep: None }
    }

    /// Steps without events.
    pub(super) fn steps(steps: VecDeque<Step>) -> Self {
        Self { encoder: None, steps, sleep: None }
    }

    /// One piece.
    pub(super) fn whole(body: Bytes) -> Self {
        Self::steps(VecDeque::from([Step::Data(body)]))
    }

    fn start_waiting(&mut self, duration: Duration) {
        if !duration.is_zero() {
            self.sleep = Some(Box::pin(tokio::time::sleep(duration)));
        }
    }
}

impl http_body::Body for Body {
    type Data = Bytes;
    type Error = Fault;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Fault>>> {
        loop {
            if let Some(sleep) = &mut self.sleep {
                ready!(sleep.as_mut().poll(cx));
                self.sleep = None;
            }
            let Some(step) = self.steps.pop_front() else { return Poll::Ready(None) };
            let data = match (step, &self.encoder) {
                (Step::Wait(duration), _) => {
                    self.start_waiting(duration);
                    continue;
                }
                (Step::Data(data), _) => data,
                (Step::Event(event), Some(encoder)) => encoder.event(event),
                // Only streams are planned with events.
                (Step::Event(_), None) => continue,
                (Step::Stall, _) => {
                    self.steps.push_front(Step::Stall);
                    return Poll::Pending;
                }
                (Step::Cut, _) => {
                    self.steps.clear();
                    return Poll::Ready(Some(Err(Fault::Cut)));
                }
            };
            return Poll::Ready(Some(Ok(Frame::data(data))));
        }
    }

    fn is_end_stream(&self) -> bool {
        self.steps.is_empty() && self.sleep.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        match (self.steps.len(), self.steps.front()) {
            (0, _) if self.sleep.is_none() => SizeHint::with_exact(0),
            (1, Some(Step::Data(data))) => SizeHint::with_exact(data.len() as u64),
            _ => SizeHint::default(),
        }
    }
}
