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
    Answer, Attempts, BEATEN, Failure, OUTRUN, now,
    run::{After, Flow, Run},
};

/// By so much a try that is to show whether its target is silent has longer before a second one runs
/// beside it.
const WATCHED: u32 = 10;

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
    pub(super) async fn race(&mut self, mut turn: Turn, delay: Duration) -> Flow {
        let (attempts, first, first_began) = (self.attempts, turn.index, Instant::now());
        // Or else nobody would ever know whether a target that is always broken off is slow or dead.
        let delay = if turn.flight.is_watched() { delay.saturating_mul(WATCHED) } else { delay };
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
        let mut hedging = Hedging { attempts, second, outcome: "left" };
        let mut two = Box::pin(attempts.target(turn, Side::Second));
        let (side, tried) = tokio::select! {
            biased;
            tried = &mut one => (Side::First, tried),
            tried = &mut two => (Side::Second, tried),
        };
        let failure = match (side, tried) {
            (Side::First, Ok(answer)) => {
                attempts.break_off(BEATEN, two);
                hedging.outcome = "lost";
                return self.won(pair, side, answer);
            }
            (Side::Second, Ok(answer)) => {
                attempts.break_off(OUTRUN, one);
                hedging.outcome = "won";
                return self.won(pair, side, answer);
            }
            (_, Err(failure)) => failure,
        };
        match side {
            Side::First => {
                let flow = self.ended(first, Err(failure));
                if matches!(flow, Err(After::Over(..))) {
                    attempts.break_off(BEATEN, two);
                    hedging.outcome = "lost";
                    attempts.settlement.lock().break_off_hedge();
                    self.lost(pair, Side::Second);
                    return flow;
                }
                attempts.settlement.lock().fell_out(side);
                let other = two.await;
                hedging.outcome = if other.is_ok() { "won" } else { "failed" };
                both(flow, self.ended(second, other))
            }
            Side::Second => {
                attempts.settlement.lock().fell_out(side);
                hedging.outcome = "failed";
                drop(hedging);
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
        let may_leave = !call.route.fallback.on.is_empty();
        // One that is away is no help against one that is slow.
        let next = match if may_leave { self.next() } else { None } {
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
        let (winner, loser) = match side {
            Side::First => (pair.first, Side::Second),
            Side::Second => (pair.second, Side::First),
        };
        self.lost(pair, loser);
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
            Err(After::Over(..)) => Err(After::Stay),
            flow => flow,
        }
    }

    /// A second try that does not begin.
    fn count(&self, index: usize, outcome: &'static str) {
        drop(Hedging { attempts: self.attempts, second: index, outcome });
    }
}

/// A second try, which is counted whatever becomes of it.
struct Hedging<'a, 'b> {
    attempts: &'b Attempts<'a>,
    second: usize,
    outcome: &'static str,
}

impl Drop for Hedging<'_, '_> {
    fn drop(&mut self) {
        let Some(candidate) = self.attempts.candidate(self.second) else { return };
        let route = self.attempts.call.route.name.path();
        let metrics = &self.attempts.gateway.deps.metrics;
        metrics.count_hedge(route, &candidate.target.name, self.outcome);
    }
}

/// What follows two tries that ended one after the other.
fn both(first: Flow, second: Flow) -> Flow {
    match (first, second) {
        (answered @ Ok(_), _) | (_, answered @ Ok(_)) => answered,
        (over @ Err(After::Over(..)), _) | (_, over @ Err(After::Over(..))) => over,
        (next @ Err(After::Next), _) | (_, next @ Err(After::Next)) => next,
        (stay, _) => stay,
    }
}
