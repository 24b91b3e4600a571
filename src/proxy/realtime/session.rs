//! What a realtime session uses: its responses are counted as they end, each against a reservation of
//! its own, so that budgets are right while the session lasts and a session without money left is
//! told so. Settled exactly once, whatever ends it.

use std::{borrow::Cow, sync::Arc, time::Duration};

use http::HeaderMap;
use serde::Deserialize;
use tokio::time::Instant;

use crate::{
    budget::{Amounts, Ledger, NanoUsd, Refusal},
    llm::{Endpoint, InputEstimate, Peek, Usage, estimate_tokens, report},
    route::Flight,
    snapshot::{Consumer, Route, Rule},
    telemetry::{AttemptRecord, Outcome, Record},
};

use super::{
    super::{
        admit::{Admission, Admitted, admit_response, admit_session},
        ending::Ending,
        respond::Rejection,
        select::{Candidate, Wish},
    },
    frame::Messages,
};

/// The longest event that is looked at, in bytes: `response.done` has the texts of all its items.
const MAX_EVENT: usize = 1 << 20;
/// Bytes of base64 that one token of output audio takes: 50 ms of 24 kHz samples of 16 bits.
const AUDIO_TOKEN: usize = 3200;

/// What a session is admitted by.
pub struct Admissible {
    /// The route.
    pub route: Arc<Route>,
    /// The rule of it that holds.
    pub rule: Arc<Rule>,
    /// Who calls.
    pub consumer: Option<Arc<Consumer>>,
    /// The headers of the handshake.
    pub headers: HeaderMap,
    /// What is asked for.
    pub peek: Peek,
    /// The targets that may serve it.
    pub candidates: Vec<Candidate>,
    /// What it wants of their order.
    pub wish: Wish,
    /// How long the session may last.
    pub may_last: Duration,
}

/// Owns what a session holds, and knows what it has used so far.
pub struct Session {
    ending: Ending,
    ledger: Arc<Ledger>,
    by: Option<Admissible>,
    /// The candidate that serves.
    served: usize,
    /// Its place among the requests under way, to its end.
    place: Option<Admission>,
    admission: Option<Admission>,
    messages: Messages,
    /// Responses under way.
    responding: usize,
    /// Tokens of the conversation at the last response: what the next one reads.
    context: u64,
    /// Tokens that the responses under way may have put out.
    delivered: u64,
    refusal: Option<Box<Refusal>>,
    /// Its place at the target, to its end.
    flight: Option<Flight>,
}

/// The part of an event that matters.
#[derive(Deserialize)]
struct Event<'a> {
    #[serde(borrow, rename = "type")]
    kind: Cow<'a, str>,
    #[serde(borrow, default)]
    delta: Option<Cow<'a, str>>,
}

impl Session {
    /// Opens the record of a session.
    pub fn new(ending: Ending, ledger: &Arc<Ledger>) -> Self {
        Self {
            ending,
            ledger: Arc::clone(ledger),
            by: None,
            served: 0,
            place: None,
            admission: None,
            messages: Messages::default(),
            responding: 0,
            context: 0,
            delivered: 0,
            refusal: None,
            flight: None,
        }
    }

    /// The target has opened the session.
    pub fn hold(&mut self, flight: Flight) {
        self.flight = Some(flight);
    }

    /// What will be recorded.
    pub fn record(&mut self) -> &mut Record {
        &mut self.ending.record
    }

    /// When it began.
    pub fn started(&self) -> Instant {
        self.ending.started()
    }

    /// A try upstream has ended.
    pub fn attempted(&mut self, attempt: AttemptRecord) {
        self.ending.attempted(attempt);
    }

    /// Takes the session's place and reserves for the first response.
    ///
    /// # Errors
    /// The limit that has no room.
    pub fn admit(&mut self, by: Admissible) -> Result<&Admissible, Box<Refusal>> {
        self.ending.route = Some(Arc::clone(&by.route));
        let by = self.by.insert(by);
        self.place = admit_session(&self.ledger, &admitted(by, 0))?;
        self.admission = admit_response(&self.ledger, &admitted(by, 0))?;
        Ok(by)
    }

    /// What the session was admitted by.
    pub fn admitted(&self) -> Option<&Admissible> {
        self.by.as_ref()
    }

    /// A candidate is about to be called.
    pub fn serve(&mut self, index: usize) {
        let Some(candidate) = self.by.as_ref().and_then(|by| by.candidates.get(index)) else {
            return;
        };
        self.served = index;
        self.ending.provider = Some(Arc::clone(&candidate.target.provider));
        self.ending.record.target = Arc::clone(&candidate.target.name);
        candidate.model.as_ref().clone_into(&mut self.ending.record.model_served);
    }

    /// The model as the provider calls it.
    pub fn model(&self) -> Arc<str> {
        self.ending.record.model_served.as_str().into()
    }

    /// Looks at bytes of the provider; `false` once a budget has refused the next response.
    pub fn push(&mut self, bytes: &[u8]) -> bool {
        let mut messages = std::mem::take(&mut self.messages);
        messages.push(bytes, MAX_EVENT, |text, is_whole| self.observe(text, is_whole));
        self.messages = messages;
        self.refusal.is_none()
    }

    /// The budget that has refused the next response.
    pub fn refusal(&self) -> Option<&Refusal> {
        self.refusal.as_deref()
    }

    /// Whether the model is answering.
    pub fn is_responding(&self) -> bool {
        self.responding > 0
    }

    fn observe(&mut self, text: &[u8], is_whole: bool) {
        let has = |words: &[u8]| memchr::memmem::find(text, words).is_some();
        if !is_whole {
            // Too long to be read: what was reserved for it is what it is taken to have used.
            if has(b"\"response.done\"") {
                self.end_response(None);
            }
            return;
        }
        if !has(b"delta") && !has(b"response.") && !has(b"transcription.completed") {
            return;
        }
        let Ok(event) = serde_json::from_slice::<Event<'_>>(text) else { return };
        match &*event.kind {
            "response.created" => self.responding += 1,
            "response.done" => {
                self.end_response(report(text).usage);
            }
            "conversation.item.input_audio_transcription.completed" => {
                if let Some(usage) = report(text).usage {
                    self.charge(usage, 0);
                    self.reserve();
                }
            }
            kind if kind.ends_with(".delta") => {
                let length = event.delta.map_or(0, |delta| delta.len());
                let tokens = match kind.ends_with("audio.delta") {
                    true => u64::try_from(length.div_ceil(AUDIO_TOKEN)).unwrap_or(u64::MAX),
                    false => estimate_tokens(length),
                };
                self.delivered = self.delivered.saturating_add(tokens);
            }
            _ => {}
        }
    }

    fn end_response(&mut self, usage: Option<Usage>) {
        self.responding = self.responding.saturating_sub(1);
        let mut counted = usage.unwrap_or_else(|| self.estimate());
        // No content is made of no tokens: the count is missing, or was none.
        if counted.output == 0 {
            counted.output = self.delivered;
        }
        self.ending.record.estimated |= usage != Some(counted);
        let usage = counted;
        self.context = usage.total();
        self.delivered = 0;
        self.charge(usage, 1);
        self.reserve();
    }

    fn estimate(&self) -> Usage {
        Usage { input: self.context, output: self.delivered, ..Usage::default() }
    }

    fn charge(&mut self, usage: Usage, requests: u64) {
        let cost = self.ending.cost(&self.ending.record.model_served, &usage);
        let record = &mut self.ending.record;
        record.usage += usage;
        if let Some(NanoUsd(more)) = cost {
            let NanoUsd(before) = record.cost.unwrap_or_default();
            record.cost = Some(NanoUsd(before.saturating_add(more)));
        }
        if let Some(admission) = self.admission.take() {
            let used = Amounts::one_call(cost.unwrap_or_default(), usage.input, usage.output);
            admission.settle(self.served, Amounts { requests, ..used });
        }
    }

    fn reserve(&mut self) {
        let Some(by) = &self.by else { return };
        match admit_response(&self.ledger, &admitted(by, self.context)) {
            Ok(admission) => self.admission = admission,
            Err(refusal) => self.refusal = Some(refusal),
        }
    }

    /// The caller gets an error instead of a session.
    pub fn rejected(&mut self, rejection: &Rejection, status: u16) {
        let record = &mut self.ending.record;
        (record.outcome, record.status) = (rejection.outcome, status);
        record.error = rejection.error.code.clone().into_owned();
    }

    /// The session is over.
    pub fn ended(&mut self, outcome: Outcome, code: &str) {
        let record = &mut self.ending.record;
        (record.outcome, record.status) = (outcome, 101);
        code.clone_into(&mut record.error);
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        if self.responding > 0 {
            let usage = self.estimate();
            self.ending.record.estimated = true;
            self.charge(usage, 1);
        }
        for admission in [self.admission.take(), self.place.take()].into_iter().flatten() {
            admission.release();
        }
    }
}

/// What a response is admitted by that reads so many tokens.
fn admitted(by: &Admissible, context: u64) -> Admitted<'_> {
    Admitted {
        route: &by.route,
        consumer: by.consumer.as_deref(),
        headers: &by.headers,
        endpoint: Endpoint::ChatCompletions,
        peek: &by.peek,
        input: InputEstimate { tokens: context, ..InputEstimate::default() },
        candidates: &by.candidates,
        may_take: by.may_last,
    }
}
