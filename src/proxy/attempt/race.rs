//! Hedging: a second try beside one that is slow. The first answer is used; the other try is dropped,
//! which closes its connection or resets its stream, and is charged as far as it has read.

use std::{sync::Arc, time::Duration};

use tokio::time::Instant;

use crate::{
    llm::is_repeatable,
    route::{End, Turn},
    telemetry::AttemptRecord,
};

use super::{
    super::{admit::Admitted, admit::admit_hedge, settle::Side},
    Answer, Failure, now,
    run::{After, Flow, Run},
};

/// Two tries that run at the same time.
#[derive(Clone, Copy)]
struct Pair {
    first: usize,
    first_began: Instant,
    second: usize,
    second_began: Instant,
}

impl Run<'_, '_> {
    /// Tries a target, and after `delay` a second one beside it.
    pub(super) async fn race(&mut self, turn: Turn, delay: Duration) -> Flow {
        let (attempts, first, first_began) = (self.attempts, turn.index, Instant::now());
        let mut one = Box::pin(attempts.target(turn, Side::First));
        tokio::select! {
            biased;
            tried = &mut one => return self.ended(first, tried),
            () = tokio::time::sleep(delay) => {}
        }
        let Some(turn) = self.hedge(first) else {
            let tried = one.await;
            return self.ended(first, tried);
        };
        let second = turn.index;
        let pair = Pair { first, first_began, second, second_began: Instant::now() };
        let mut two = Box::pin(attempts.target(turn, Side::Second));
        let (side, tried) = tokio::select! {
            biased;
            tried = &mut one => (Side::First, tried),
            tried = &mut two => (Side::Second, tried),
        };
        let failure = match (side, tried) {
            (Side::First, Ok(answer)) => {
                drop(two);
                return self.won(pair, side, answer);
            }
            (Side::Second, Ok(answer)) => {
                drop(one);
                return self.won(pair, side, answer);
            }
            (_, Err(failure)) => failure,
        };
        match side {
            Side::First => {
                let flow = self.ended(first, Err(failure));
                if matches!(flow, Err(After::Over(_))) {
                    drop(two);
                    self.lost(pair, Side::Second);
                    return flow;
                }
                attempts.settlement.lock().fell_out(side);
                let other = two.await;
                self.count(second, if other.is_ok() { "won" } else { "failed" });
                both(flow, self.ended(second, other))
            }
            Side::Second => {
                attempts.settlement.lock().fell_out(side);
                self.count(second, "failed");
                let flow = match one.await {
                    Ok(answer) => return self.ended(first, Ok(answer)),
                    Err(failure) => self.ended(first, Err(failure)),
                };
                // The first target's failure is told, whichever came first.
                both(flow, self.also_failed(second, failure))
            }
        }
    }

    /// Whether a second try may begin, and where: the next target, or the same one if there is no
    /// other. At most once in a request.
    fn hedge(&mut self, first: usize) -> Option<Turn> {
        self.may_hedge = false;
        let (call, gateway) = (self.attempts.call, self.attempts.gateway);
        if !is_repeatable(call.endpoint, &call.body) {
            self.count(first, "unrepeatable");
            return None;
        }
        // One that is away is no help against one that is slow.
        let next = match self.next() {
            Some(turn) if !turn.is_ready => {
                self.give_back(turn);
                None
            }
            next => next,
        };
        let is_next = next.is_some();
        let mut turn = next.or_else(|| self.beside(first))?;
        let second = turn.index;
        // Of the slow one: whoever helps it out may have no requests of its own to take a share of.
        let refused = match self.take(first) {
            false => "retry_budget",
            true => {
                let request = Admitted {
                    route: &call.route,
                    consumer: call.consumer.as_deref(),
                    headers: &call.headers,
                    endpoint: call.endpoint,
                    peek: &call.peek,
                    input: call.input,
                    candidates: &call.candidates,
                    may_take: call.route.timeouts.total,
                };
                match admit_hedge(&gateway.deps.ledger, &request) {
                    Ok(admission) => {
                        self.attempts.settlement.lock().hedge(admission);
                        return Some(turn);
                    }
                    Err(_) => "budget",
                }
            }
        };
        self.count(second, refused);
        match is_next {
            true => self.give_back(turn),
            false => turn.flight.end(End::Unsent, now()),
        }
        None
    }

    /// One of the two has answered.
    fn won(&mut self, pair: Pair, side: Side, answer: Answer) -> Flow {
        self.attempts.settlement.lock().won(side);
        let (winner, outcome, loser) = match side {
            Side::First => (pair.first, "lost", Side::Second),
            Side::Second => (pair.second, "won", Side::First),
        };
        self.lost(pair, loser);
        self.count(pair.second, outcome);
        self.ended(winner, Ok(answer))
    }

    /// Notes the try that was broken off.
    fn lost(&self, pair: Pair, side: Side) {
        let (index, began) = match side {
            Side::First => (pair.first, pair.first_began),
            Side::Second => (pair.second, pair.second_began),
        };
        let Some(candidate) = self.attempts.candidate(index) else { return };
        let attempt = AttemptRecord {
            target: Arc::clone(&candidate.target.name),
            reason: "hedge_lost".into(),
            duration: began.elapsed(),
        };
        self.attempts.settlement.lock().attempted(&candidate.target.provider, attempt);
    }

    /// A second try has failed as well as the first.
    fn also_failed(&mut self, index: usize, failure: Failure) -> Flow {
        match self.ended(index, Err(failure)) {
            // Another one than the caller's request would have come to.
            Err(After::Over(_)) => Err(After::Stay),
            flow => flow,
        }
    }

    fn count(&self, index: usize, outcome: &str) {
        let Some(candidate) = self.attempts.candidate(index) else { return };
        let route = self.attempts.call.route.name.path();
        let metrics = &self.attempts.gateway.deps.metrics;
        metrics.count_hedge(route, &candidate.target.name, outcome);
    }
}

/// What follows two tries that ended one after the other.
fn both(first: Flow, second: Flow) -> Flow {
    match (first, second) {
        (answered @ Ok(_), _) | (_, answered @ Ok(_)) => answered,
        (over @ Err(After::Over(_)), _) | (_, over @ Err(After::Over(_))) => over,
        (next @ Err(After::Next), _) | (_, next @ Err(After::Next)) => next,
        (stay, _) => stay,
    }
}
