//! The end of every request, reached exactly once whatever happens: budgets are settled, metrics
//! counted, the record emitted. It happens when a [`Settlement`] is dropped, so that a caller who
//! leaves at any await ends the request like any other.

mod delivered;
mod served;

use std::sync::Arc;

use tokio::time::Instant;

use crate::{
    budget::{Amounts, NanoUsd},
    llm::{InputEstimate, Progress, Usage, WholeResponse, Work},
    route::{End, Flight},
    snapshot::Provider,
    telemetry::{AccessLog, AttemptRecord, Metrics, Outcome, Record},
};

use super::{
    admit::{Admission, beside},
    respond::Rejection,
};

use delivered::Delivered;

pub use delivered::counts;
pub use served::{Served, provider_name};

/// The status that records give to a caller who left, as nginx does.
pub(super) const CLIENT_GONE: u16 = 499;

/// Owns what a request holds, and knows what it has used so far.
pub struct Settlement {
    /// What will be recorded.
    pub record: Record,
    metrics: Arc<Metrics>,
    log: Arc<AccessLog>,
    started: Instant,
    admission: Option<Admission>,
    served: Option<Served>,
    hedge: Option<Hedged>,
    input_estimate: InputEstimate,
    delivered: Delivered,
    /// The answer itself is an estimate.
    is_estimate: bool,
    is_charged: bool,
    /// No try is under way: the next one has to wait.
    is_between: bool,
    /// The try whose answer the caller gets, and what it says about its target.
    flight: Option<Flight>,
    end: End,
}

/// One of two tries of a request that run at the same time.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Side {
    /// The one that began first, or the only one.
    First,
    /// The hedge.
    Second,
}

/// What a hedged request holds beside the rest.
struct Hedged {
    admission: Option<Admission>,
    /// The try that runs beside the one that serves, and in the end the one that lost.
    beside: Option<Served>,
    /// It was broken off, for what the other one got ended the request.
    is_broken_off: bool,
    /// What that one cost.
    cost: Option<NanoUsd>,
}

impl Settlement {
    /// Opens the record of a request.
    pub fn open(metrics: &Arc<Metrics>, log: &Arc<AccessLog>, record: Record) -> Self {
        metrics.inflight.inc();
        Self {
            record,
            metrics: Arc::clone(metrics),
            log: Arc::clone(log),
            started: Instant::now(),
            admission: None,
            served: None,
            hedge: None,
            input_estimate: InputEstimate::default(),
            delivered: Delivered::default(),
            is_estimate: false,
            is_charged: false,
            is_between: false,
            flight: None,
            end: End::Unjudged,
        }
    }

    /// This try's answer goes to the caller.
    pub fn deliver(&mut self, flight: Option<Flight>) {
        self.flight = flight;
    }

    /// When the request came.
    pub fn started(&self) -> Instant {
        self.started
    }

    /// Takes over what was reserved.
    pub fn hold(&mut self, admission: Option<Admission>, input: InputEstimate) {
        self.admission = admission;
        self.input_estimate = input;
    }

    /// The gateway answers by an estimate of its own.
    pub fn estimate(&mut self) {
        self.is_estimate = true;
    }

    /// A second try is about to begin beside the first; takes over what was reserved for it.
    pub fn hedge(&mut self, admission: Option<Admission>) {
        self.record.hedged = true;
        let (beside, is_broken_off) = (None, false);
        self.hedge = Some(Hedged { admission, beside, is_broken_off, cost: None });
    }

    /// A candidate is about to be called.
    pub fn serve(&mut self, side: Side, served: Served) {
        self.is_between = false;
        match (side, &mut self.hedge) {
            (Side::Second, Some(hedge)) => hedge.beside = Some(served),
            _ => {
                self.record.target = Arc::clone(&served.target.name);
                self.served = Some(served);
            }
        }
    }

    /// Every try has failed, and the next one has to wait.
    pub fn pause(&mut self) {
        self.is_between = true;
    }

    /// Whether the candidate that was called last is another one than this.
    pub fn serves_another(&self, index: usize) -> bool {
        self.served.as_ref().is_some_and(|served| served.index != index)
    }

    /// The first of two tries has failed in a way that ends the request: the other one is broken off.
    pub fn break_off_hedge(&mut self) {
        if let Some(hedge) = &mut self.hedge {
            hedge.is_broken_off = true;
        }
    }

    /// One of two tries has answered: the other one is broken off.
    pub fn won(&mut self, side: Side) {
        if side == Side::Second {
            self.swap();
        }
    }

    /// One of two tries has failed: only the other one counts.
    pub fn fell_out(&mut self, side: Side) {
        if side == Side::First {
            self.swap();
        }
        if let Some(hedge) = &mut self.hedge {
            hedge.beside = None;
            if let Some(admission) = hedge.admission.take() {
                admission.release();
            }
        }
    }

    /// The second try takes the place of the first.
    fn swap(&mut self) {
        if let Some(beside) = self.hedge.as_mut().and_then(|hedge| hedge.beside.as_mut())
            && let Some(served) = &mut self.served
        {
            std::mem::swap(beside, served);
            self.record.target = Arc::clone(&served.target.name);
        }
    }

    /// A try at this provider has ended.
    pub fn attempted(&mut self, provider: &Provider, attempt: AttemptRecord) {
        if attempt.reason != "ok" {
            let reason = attempt.reason.split(' ').next().unwrap_or_default();
            self.metrics.count_attempt(provider_name(provider), reason);
        }
        // Nearly always the only one.
        self.record.attempts.reserve_exact(1);
        self.record.attempts.push(attempt);
    }

    /// The first content is there.
    pub fn first_token(&mut self) {
        if self.record.first_token.is_none() {
            self.record.first_token = Some(self.started.elapsed());
        }
    }

    /// What a stream has delivered so far.
    pub fn delivered(&mut self, progress: &Progress) {
        self.delivered = Delivered {
            usage: progress.usage,
            output_bytes: progress.output_bytes,
            is_final: progress.terminated,
        };
        if let Some(model) = &progress.model {
            self.record.model_served.clone_from(model);
        }
    }

    /// What a whole answer has delivered.
    pub fn answered(&mut self, answer: &WholeResponse) {
        self.delivered =
            Delivered { usage: answer.usage, output_bytes: answer.output_bytes, is_final: true };
        if let Some(model) = &answer.model {
            self.record.model_served.clone_from(model);
        }
    }

    /// The answer is complete: settles the budgets now, so that its cost can be told.
    pub fn complete(&mut self) {
        self.record.outcome = Outcome::Complete;
        self.record.status = 200;
        self.end = End::Answered;
        self.charge();
    }

    /// A stream broke after its head was sent; `end` is what that says about its target.
    pub fn incomplete(&mut self, code: &str, end: End) {
        self.end = end;
        self.record.outcome = Outcome::Incomplete;
        self.record.status = 200;
        code.clone_into(&mut self.record.error);
    }

    /// The caller gets an error.
    pub fn rejected(&mut self, rejection: &Rejection, status: u16) {
        self.record.outcome = rejection.outcome;
        self.record.status = status;
        self.record.error = rejection.error.code.clone().into_owned();
    }

    /// Settles the budgets and fills in the record, once.
    fn charge(&mut self) {
        if std::mem::replace(&mut self.is_charged, true) {
            return;
        }
        let admission = self.admission.take();
        let charged = match (self.record.outcome, &self.served) {
            (Outcome::Complete | Outcome::Incomplete, Some(served)) => served,
            (Outcome::ClientGone, Some(served)) if !self.is_between => served,
            _ => {
                if let Some(admission) = admission {
                    admission.release();
                }
                return self.charge_only_hedge();
            }
        };
        let (mut usage, estimated) = self.delivered.tokens(self.input_estimate, charged.endpoint);
        // Answers that are pictures do not say how many they are.
        if usage.images == 0 {
            usage.images = charged.images;
        }
        let cost = charged.cost(&usage);
        let price_source = charged.terms.price_source.as_str();
        if let Some(flight) = &mut self.flight {
            flight.used(usage.total());
            flight.end(self.end, Instant::now().into_std());
        }
        if let Some(admission) = admission {
            let used = Amounts::one_call(cost.unwrap_or(NanoUsd(0)), usage.input, usage.output);
            admission.settle(charged.index, used);
        }
        self.record.usage = usage;
        self.record.estimated = estimated || self.is_estimate;
        self.record.cost = cost;
        self.record.price_source = price_source;
        self.charge_hedge();
    }

    /// The request itself is not charged. The try that was broken off has read its input, if there is
    /// one.
    fn charge_only_hedge(&mut self) {
        match &self.hedge {
            Some(hedge) if hedge.is_broken_off => self.charge_hedge(),
            _ => {
                if let Some(admission) = self.hedge.take().and_then(|hedge| hedge.admission) {
                    admission.release();
                }
            }
        }
    }

    /// Charges the try that was broken off: nobody reports what it used, but it has read the input.
    fn charge_hedge(&mut self) {
        let Some(hedge) = &mut self.hedge else { return };
        let admission = hedge.admission.take();
        let Some(lost) = &hedge.beside else {
            if let Some(admission) = admission {
                admission.release();
            }
            return;
        };
        let usage = Usage { input: self.input_estimate.tokens, ..Usage::default() };
        hedge.cost = lost.cost(&usage);
        if let Some(admission) = admission {
            let cost = hedge.cost.unwrap_or(NanoUsd(0));
            admission.settle(lost.index, beside(cost, usage.input));
        }
        self.record.hedge_cost = hedge.cost;
        if let Some(NanoUsd(lost)) = hedge.cost {
            let NanoUsd(won) = self.record.cost.unwrap_or(NanoUsd(0));
            self.record.cost = Some(NanoUsd(won.saturating_add(lost)));
        }
    }

    fn count(&self) {
        let record = &self.record;
        let seconds = record.duration.as_secs_f64();
        let Some(served) = &self.served else {
            let outcome = record.outcome.as_str();
            self.metrics.count_failure(&record.route, "", record.status, outcome);
            return;
        };
        let labels = served.labels();
        let series = self.metrics.target(&labels);
        if record.outcome == Outcome::Complete {
            series.complete.inc();
            series.ok.inc();
            series.duration.observe(seconds);
        } else {
            let outcome = record.outcome.as_str();
            let target = if record.outcome == Outcome::Failed { "" } else { &*record.target };
            self.metrics.count_failure(&record.route, target, record.status, outcome);
            self.metrics.observe_failure(&labels, outcome, seconds);
        }
        let NanoUsd(lost) = record.hedge_cost.unwrap_or(NanoUsd(0));
        if let Some(beside) = self.hedge.as_ref().and_then(|hedge| hedge.beside.as_ref()) {
            self.metrics.target(&beside.labels()).cost.inc_by(lost as f64 / 1e9);
        }
        let counts = served.endpoint.work() == Work::Count;
        if counts || matches!(record.outcome, Outcome::Refused | Outcome::Failed) {
            return;
        }
        series.input.observe(record.usage.input as f64);
        if served.endpoint.work().has_output() {
            series.output.observe(record.usage.output as f64);
        }
        if let Some(first) = record.first_token {
            series.first_token.observe(first.as_secs_f64());
        }
        if let Some(NanoUsd(nano)) = record.cost {
            series.cost.inc_by(nano.saturating_sub(lost) as f64 / 1e9);
        }
    }
}

impl Drop for Settlement {
    fn drop(&mut self) {
        if self.record.outcome == Outcome::ClientGone {
            self.record.status = CLIENT_GONE;
        }
        self.charge();
        if self.record.outcome != Outcome::Failed
            && let Some(served) = &self.served
        {
            self.record.provider = Arc::clone(served.target.provider.name.path());
            if self.record.model_served.is_empty() {
                served.model.as_ref().clone_into(&mut self.record.model_served);
            }
        }
        self.record.duration = self.started.elapsed();
        self.count();
        self.log.write(&self.record);
        self.metrics.inflight.dec();
    }
}
