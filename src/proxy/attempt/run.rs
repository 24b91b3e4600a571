//! The order of tries: a target after the other until one answers, then, after a pause, those again whose
//! failure may pass. Which failure is followed by what, the route says.

use tokio::time::Instant;

use crate::{
    route::{
        Order, Turn,
        tries::{Failed, Tries},
    },
    snapshot::FailureClass,
};

use super::{
    super::{
        select::{Candidate, Wish},
        settle::Side,
    },
    Answer, Attempts, Failure,
    eligible::Eligible,
    failure::Class,
    now,
};

/// An answer, or what follows a try without one.
pub type Flow = Result<Answer, After>;

/// What follows a try that gave no answer.
#[derive(Debug)]
pub enum After {
    /// The next target.
    Next,
    /// No other target; but one that was tried may be tried again.
    Stay,
    /// Nothing, by what this candidate told.
    Over(usize, Failure),
}

/// The tries of one request, as far as they have come.
pub struct Run<'a, 'b> {
    pub(super) attempts: &'b Attempts<'a>,
    order: Order<'b>,
    eligible: Eligible<'b>,
    tries: Tries,
    first: Option<(usize, Failure)>,
    /// An answer that a filter ended.
    kept: Option<Box<(usize, Answer)>>,
    /// A second try may run beside one that is slow, once.
    pub(super) may_hedge: bool,
}

impl<'a, 'b> Run<'a, 'b> {
    /// Nothing is tried yet.
    pub fn new(attempts: &'b Attempts<'a>) -> Self {
        let (gateway, call) = (attempts.gateway, attempts.call);
        let eligible = Eligible::new(call);
        let home = call.peek.previous_response.as_deref().and_then(|id| {
            let names = call.candidates.iter().map(target_key);
            gateway.conversations.find(id, names)
        });
        // Where the conversation is stored comes first.
        let wish = Wish { preferred: home, ..call.wish.clone() };
        let by = (&*call.route, &*call.rule);
        Self {
            attempts,
            order: gateway.selector.order(by, &call.candidates, &wish, now()),
            eligible,
            tries: Tries::new(call.route.retry, call.route.timeouts.total),
            first: None,
            kept: None,
            may_hedge: call.route.hedge.is_some(),
        }
    }

    /// Tries until there is an answer or nothing more to try.
    pub async fn go(&mut self) -> Result<Answer, Failure> {
        let mut stays = false;
        loop {
            let untried = if stays { None } else { self.next() };
            let turn = match untried {
                Some(turn) => {
                    turn.flight.count_first(now());
                    turn
                }
                None => match self.again().await {
                    Some(turn) => turn,
                    None => return self.end(None),
                },
            };
            match self.attempt(turn).await {
                Ok(answer) => return Ok(answer),
                Err(After::Over(index, failure)) => return self.end(Some((index, failure))),
                Err(After::Stay) => stays = true,
                Err(After::Next) => stays = false,
            }
            if Instant::now() >= self.attempts.call.deadline {
                return self.end(None);
            }
        }
    }

    /// Waits until a target may be tried again; `None` if none may.
    async fn again(&mut self) -> Option<Turn> {
        loop {
            let again = self.tries.again(self.attempts.elapsed(), fastrand::f64())?;
            if !self.may_retry(again.index) {
                continue;
            }
            self.attempts.settlement.lock().pause();
            tokio::time::sleep_until(self.attempts.started + again.at).await;
            match self.beside(again.index) {
                Some(turn) => return Some(turn),
                None => {
                    self.attempts.settlement.lock().record.not_retried = "provider_limit";
                    self.tries.give_up(again.index);
                }
            }
        }
    }

    /// The next target that has not been tried.
    pub(super) fn next(&mut self) -> Option<Turn> {
        let Self { order, eligible, .. } = self;
        order.next_among(now(), |index| eligible.allows(index))
    }

    /// A target that has been tried, once more; `None` if its account has no room.
    pub(super) fn beside(&mut self, index: usize) -> Option<Turn> {
        Some(Turn { index, flight: self.order.again(index, now())?, is_ready: true })
    }

    /// A target that was taken from the order is not tried now.
    pub(super) fn give_back(&mut self, turn: Turn) {
        self.order.give_back(turn, now());
    }

    /// One try of a target, and perhaps a second one beside it.
    async fn attempt(&mut self, turn: Turn) -> Flow {
        match self.attempts.call.route.hedge {
            Some(hedge) if self.may_hedge => Box::pin(self.race(turn, hedge.delay)).await,
            _ => {
                let index = turn.index;
                let tried = self.attempts.target(turn, Side::First).await;
                self.ended(index, tried)
            }
        }
    }

    /// A try has ended.
    pub(super) fn ended(&mut self, index: usize, tried: Result<Answer, Failure>) -> Flow {
        let mut failure = match tried {
            Ok(answer) => {
                self.remember(index, &answer);
                return Ok(answer);
            }
            Err(failure) => failure,
        };
        let class = match failure.class() {
            Class::Of(class) => Some(class),
            Class::OfTarget | Class::OfRequest => None,
        };
        let (retry_after, at) = (failure.retry_after, self.attempts.elapsed());
        let repeats = self.tries.failed(index, Failed { class, retry_after, at });
        match (self.falls_back(index, &mut failure), repeats) {
            (true, _) => Err(self.keep(index, failure, After::Next)),
            (false, true) => Err(self.keep(index, failure, After::Stay)),
            (false, false) => Err(After::Over(index, failure)),
        }
    }

    /// Whether another target is tried after a failure; which ones, if it says so.
    fn falls_back(&mut self, index: usize, failure: &mut Failure) -> bool {
        if !failure.falls_back(&self.attempts.call.route.fallback) {
            return false;
        }
        match failure.class() {
            Class::Of(FailureClass::ContextLength) => {
                self.eligible.too_long_for(index, self.attempts.call.input.tokens);
            }
            Class::Of(FailureClass::ContentFilter) => self.eligible.blocked_by(index),
            _ => return true,
        }
        // Where no target is of the sort that it takes, what this one says is the answer.
        failure.answer().is_some() || self.has_next()
    }

    fn has_next(&self) -> bool {
        let untried = |index: &usize| !self.tries.tried(*index) && self.eligible.allows(*index);
        (0..self.attempts.call.candidates.len()).any(|index| untried(&index))
    }

    fn keep(&mut self, index: usize, mut failure: Failure, after: After) -> After {
        if let Some(answer) = failure.answer().take() {
            self.kept.get_or_insert_with(|| Box::new((index, answer)));
        }
        self.first.get_or_insert((index, failure));
        after
    }

    /// What the caller gets if no try gave an answer.
    fn end(&mut self, last: Option<(usize, Failure)>) -> Result<Answer, Failure> {
        if let Some((index, answer)) = self.kept.take().map(|kept| *kept) {
            if let Some(candidate) = self.attempts.candidate(index) {
                self.attempts.serve(Side::First, index, candidate);
            }
            return Ok(answer);
        }
        let Some((index, failure)) = last.or_else(|| self.first.take()) else {
            return Err(match self.order.full() {
                Some(full) => Failure::account_limit(full.retry_after),
                None => Failure::no_target(),
            });
        };
        // Whose failure is told is named beside it.
        if let Some(candidate) = self.attempts.candidate(index)
            && self.attempts.settlement.lock().serves_another(index)
        {
            self.attempts.serve(Side::First, index, candidate);
        }
        Err(failure)
    }

    /// Takes a further try of a target out of its retry budget. Where there is none left, its failure
    /// is final.
    fn may_retry(&mut self, index: usize) -> bool {
        if self.take(index) {
            return true;
        }
        self.tries.give_up(index);
        let attempts = self.attempts;
        attempts.settlement.lock().record.not_retried = "retry_budget";
        if let Some(candidate) = attempts.candidate(index) {
            let (route, target) = (attempts.call.route.name.path(), &candidate.target.name);
            attempts.gateway.deps.metrics.count_unretried(route, target);
        }
        false
    }

    /// Takes a try out of a target's retry budget; whether there was one left.
    pub(super) fn take(&self, index: usize) -> bool {
        self.order.take_retry(index, now())
    }

    /// Remembers where an answer is stored.
    fn remember(&self, index: usize, answer: &Answer) {
        if let (Some(id), Some(candidate)) = (answer.stored_as(), self.attempts.candidate(index)) {
            let (provider, model) = target_key(candidate);
            self.attempts.gateway.conversations.note(id, provider, model);
        }
    }
}

/// By what a target is known beyond a request: its provider's UID and the model.
fn target_key(candidate: &Candidate) -> (&str, &str) {
    (&candidate.target.provider.uid, &candidate.model)
}
