//! The end of every direct call, reached exactly once whatever happens: budgets are settled and the
//! record is written when the [`Settlement`] is dropped.

use std::sync::Arc;

use tokio::time::Instant;

use crate::{
    budget::{Amounts, NanoUsd},
    llm::Report,
    route::Hold,
    snapshot::Provider,
    telemetry::{AttemptRecord, Outcome, Record},
};

use super::{
    super::{ending::Ending, respond::Rejection},
    admit::Held,
};

/// Owns what a direct call holds, and knows what it has used so far.
pub struct Settlement {
    ending: Ending,
    held: Option<Held>,
    /// Whether what the answer reports was used by this very call.
    charges_report: bool,
    report: Report,
    status: u16,
    is_settled: bool,
    /// Its place in the provider's account.
    place: Option<Hold>,
}

impl Settlement {
    /// Opens the record of a call.
    pub fn new(ending: Ending) -> Self {
        Self {
            ending,
            held: None,
            charges_report: false,
            report: Report::default(),
            status: 0,
            is_settled: false,
            place: None,
        }
    }

    /// The call has a place in the provider's account, to its end.
    pub fn take(&mut self, place: Hold) {
        self.place = Some(place);
    }

    /// What will be recorded.
    pub fn record(&mut self) -> &mut Record {
        &mut self.ending.record
    }

    /// A call of this provider was admitted. An answer to a call that starts no work reports what
    /// another call used: it is read again and again, and charged once, there.
    pub fn hold(&mut self, provider: &Arc<Provider>, held: Option<Held>, starts_work: bool) {
        self.ending.provider = Some(Arc::clone(provider));
        self.held = held;
        self.charges_report = starts_work;
    }

    /// When the call came.
    pub fn started(&self) -> Instant {
        self.ending.started()
    }

    /// The try has ended.
    pub fn attempted(&mut self, attempt: AttemptRecord) {
        self.ending.attempted(attempt);
    }

    /// The provider has answered with this status.
    pub fn answered(&mut self, status: u16) {
        self.status = status;
    }

    /// What the answer reports so far.
    pub fn metered(&mut self, report: &Report) {
        self.report.clone_from(report);
    }

    /// The answer went out whole.
    pub fn complete(&mut self) {
        self.ending.record.outcome = Outcome::Complete;
        self.settle();
    }

    /// The answer broke off.
    pub fn incomplete(&mut self, code: &str) {
        self.ending.record.outcome = Outcome::Incomplete;
        code.clone_into(&mut self.ending.record.error);
        self.settle();
    }

    /// The caller gets an error instead of an answer.
    pub fn rejected(&mut self, rejection: &Rejection, status: u16) {
        let record = &mut self.ending.record;
        record.outcome = rejection.outcome;
        record.error = rejection.error.code.clone().into_owned();
        self.status = status;
        self.settle();
    }

    fn settle(&mut self) {
        if std::mem::replace(&mut self.is_settled, true) {
            return;
        }
        let record = &mut self.ending.record;
        record.status = self.status;
        record.model_served = self.report.model.clone().unwrap_or_default();
        let is_answered = !matches!(record.outcome, Outcome::Refused | Outcome::Failed);
        if is_answered && self.charges_report {
            record.usage = self.report.usage.unwrap_or_default();
            let cost =
                self.ending.cost(&self.ending.record.model_served, &self.ending.record.usage);
            self.ending.record.cost = cost;
        }
        if let Some(place) = &mut self.place {
            place.correct(self.ending.record.usage.total());
        }
        let Some(held) = self.held.take() else { return };
        match is_answered {
            true => {
                let record = &self.ending.record;
                let (cost, usage) = (record.cost.unwrap_or(NanoUsd(0)), &record.usage);
                let used = Amounts::one_call(cost, usage.input, usage.output);
                held.settle(used, &record.model_served);
            }
            false => held.release(),
        }
    }
}

impl Drop for Settlement {
    fn drop(&mut self) {
        // Nothing was said of the end until here: the caller has left.
        self.settle();
    }
}
