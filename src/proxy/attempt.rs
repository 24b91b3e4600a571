//! Tries upstream: what one request is, and what becomes of it. Everything here happens before a byte of
//! an answer has gone to the caller; afterwards there is no second try.

mod address;
mod answer;
mod blame;
mod count;
mod eligible;
mod failure;
mod race;
mod request;
mod run;
mod target;

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicU8, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue};
use parking_lot::Mutex;
use tokio::time::Instant;

use crate::{
    llm::{Endpoint, FinishReason, InputEstimate, Peek, ResponseContext, WholeResponse},
    route::Flight,
    snapshot::{Consumer, Route, Rule},
};

use super::{
    body::Opened,
    pipeline::Pipeline,
    select::{Candidate, Wish},
    settle::Settlement,
};

pub use answer::{error_answer, upstream_id};
pub use blame::judge;
pub use failure::{Failure, Reason};
pub use request::{credential, key_header};

/// A request that is ready to be sent.
pub struct Call {
    /// What the caller called.
    pub endpoint: Endpoint,
    /// The caller's headers.
    pub headers: HeaderMap,
    /// Who calls.
    pub consumer: Option<Arc<Consumer>>,
    /// The caller's body.
    pub body: Bytes,
    /// What it asks for.
    pub peek: Peek,
    /// What it may count as input.
    pub input: InputEstimate,
    /// Whether the answer is streamed.
    pub stream: bool,
    /// The route.
    pub route: Arc<Route>,
    /// The rule of it that holds.
    pub rule: Arc<Rule>,
    /// The targets that may answer.
    pub candidates: Vec<Candidate>,
    /// What it wants of their order.
    pub wish: Wish,
    /// What answers must carry that a provider may not give.
    pub context: ResponseContext,
    /// When the request must have ended.
    pub deadline: Instant,
}

/// An answer that can be sent to the caller.
pub struct Answer {
    /// The provider's own id of the request.
    pub upstream_id: Option<HeaderValue>,
    /// Parameters that the target could not take.
    pub dropped: Vec<String>,
    /// Its body.
    pub content: Content,
    /// The try that gave it.
    pub flight: Option<Flight>,
}

/// The body of an answer.
pub enum Content {
    /// Complete.
    Whole(WholeResponse),
    /// Its first content is there.
    Stream(Opened),
}

impl Answer {
    /// Whether the provider's filter ended it, before any of it could go to the caller.
    fn is_filtered(&self) -> bool {
        let reason = match &self.content {
            Content::Whole(whole) => &whole.finish_reason,
            Content::Stream(opened) if opened.translator.progress().content => &None,
            Content::Stream(opened) => &opened.translator.progress().finish_reason,
        };
        *reason == Some(FinishReason::ContentFilter)
    }

    /// The id by which a later request can go on from it.
    fn stored_as(&self) -> Option<&str> {
        match &self.content {
            Content::Whole(whole) => whole.stored_as.as_deref(),
            Content::Stream(opened) => opened.translator.progress().stored_as.as_deref(),
        }
    }
}

impl fmt::Debug for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // What is in it is nobody's business.
        f.debug_struct("Answer").finish_non_exhaustive()
    }
}

/// The tries of one request. Two of them may run at the same time.
pub struct Attempts<'a> {
    gateway: &'a Pipeline,
    call: &'a Call,
    /// When the request came.
    started: Instant,
    /// Where tries are noted. Never locked across an await.
    settlement: Mutex<&'a mut Settlement>,
    /// What a try that is dropped now is dropped for.
    dropped_for: AtomicU8,
}

/// Nobody waits for a try any longer: the caller has left, or the process ends.
const LEFT: u8 = 0;
/// A later try was faster.
const OUTRUN: u8 = 1;
/// It ran beside an earlier one, which has ended the request.
const BEATEN: u8 = 2;

impl<'a> Attempts<'a> {
    /// Nothing is tried yet.
    pub fn new(gateway: &'a Pipeline, call: &'a Call, settlement: &'a mut Settlement) -> Self {
        let started = settlement.started();
        let (settlement, dropped_for) = (Mutex::new(settlement), AtomicU8::new(LEFT));
        Self { gateway, call, started, settlement, dropped_for }
    }

    /// Tries targets until one answers.
    ///
    /// # Errors
    /// The first target's failure if all failed; a failure that another target would repeat, at once.
    pub async fn run(&self) -> Result<Answer, Failure> {
        run::Run::new(self).go().await
    }

    fn candidate(&self, index: usize) -> Option<&'a Candidate> {
        self.call.candidates.get(index)
    }

    /// Breaks off a try.
    fn break_off(&self, why: u8, tried: impl Sized) {
        self.dropped_for.store(why, Ordering::Relaxed);
        drop(tried);
        self.dropped_for.store(LEFT, Ordering::Relaxed);
    }

    fn is_dropped_for(&self, why: u8) -> bool {
        self.dropped_for.load(Ordering::Relaxed) == why
    }

    fn elapsed(&self) -> Duration {
        self.started.elapsed()
    }
}

/// The time, for those who know no clock.
fn now() -> std::time::Instant {
    Instant::now().into_std()
}
