//! In which order the targets of one request are asked. Hands out one at a time and looks at their
//! state anew each time, for a try can take long.
//!
//! Of the targets that are ready, those of the lowest priority number are chosen among by the session
//! or the balance. Then those that are ejected or rest, the one first that is back soonest: nothing is
//! refused while something might answer. A target whose account is at its limit is never asked.

use std::{sync::Arc, time::Instant};

use crate::{
    budget::NanoUsd,
    snapshot::{AccountLimits, Balance, Ejection},
};

use super::{
    flight::Flight,
    health::Standing,
    limits::{Account, Full, Hold},
    session::Session,
    target::{End, TargetState},
    turns::{Draws, Turns, pick},
};

/// One target that may be asked, with what is looked at to choose it.
#[derive(Clone, Debug)]
pub struct Seat {
    /// Its name in the rule, which sessions are hashed with.
    pub name: Arc<str>,
    /// Its share.
    pub weight: u32,
    /// Lower comes first.
    pub priority: u32,
    /// What this request is expected to cost there; `None` without a price.
    pub cost: Option<NanoUsd>,
    /// Tokens that it may use there.
    pub tokens: u64,
    /// What is known of it.
    pub state: Arc<TargetState>,
    /// When it is ejected.
    pub ejection: Ejection,
    /// Where its provider's account has limits.
    pub account: Option<(Arc<Account>, AccountLimits)>,
}

/// Who decides among the seats of one priority.
pub struct Criteria<'a> {
    /// What the route says.
    pub balance: Balance,
    /// Comes before it.
    pub session: Option<Session>,
    /// Comes before both and before every priority, if it is ready: a place among the seats.
    pub preferred: Option<usize>,
    /// Whose turn it is.
    pub turns: &'a Turns,
    /// What takes turns there: the UID of the route and the name of the rule.
    pub key: (&'a str, &'a str),
    /// A random number.
    pub seed: u64,
}

/// The seats of a request: most have one, which needs no memory of its own.
pub enum Seats {
    /// One.
    One(Seat),
    /// Any number.
    Many(Vec<Seat>),
}

/// Hands out seats in the order in which they are to be asked.
pub struct Order<'a> {
    seats: Seats,
    criteria: Criteria<'a>,
    draws: Draws,
    /// A bit for each seat that has been handed out or refused.
    tried: u64,
    /// A bit for each seat that was found without room.
    passed_over: u64,
    is_first: bool,
    full: Option<Full>,
}

/// Why a seat that was chosen is not asked after all.
enum Missed {
    /// Its account is at its limit.
    Full,
    /// It is no longer ready.
    Away,
}

/// A seat that is asked now.
#[derive(Debug)]
pub struct Turn {
    /// Its place among the seats.
    pub index: usize,
    /// The try.
    pub flight: Flight,
    /// Whether it was chosen because it is ready, and not because nothing better was left.
    pub is_ready: bool,
}

impl<'a> Order<'a> {
    /// The order for one request. Of more than 64 seats the first 64 are used.
    pub fn new(seats: Seats, criteria: Criteria<'a>) -> Self {
        let draws = Draws::new(criteria.seed);
        Self { seats, criteria, draws, tried: 0, passed_over: 0, is_first: true, full: None }
    }

    /// The next target to ask; `None` when each has had its turn or is at its limit.
    pub fn next(&mut self, now: Instant) -> Option<Turn> {
        self.next_among(now, |_| true)
    }

    /// The same, of those that are allowed for the moment: the others keep their turn.
    pub fn next_among(&mut self, now: Instant, allows: impl Fn(usize) -> bool) -> Option<Turn> {
        loop {
            let (index, is_ready) = self.choose(now, &allows)?;
            match self.begin(index, is_ready, now) {
                Ok(flight) => {
                    self.tried |= bit(index);
                    self.is_first = false;
                    return Some(Turn { index, flight, is_ready });
                }
                Err(Missed::Full) => self.tried |= bit(index),
                // Another request was sooner to try it: it comes again among those that are away.
                Err(Missed::Away) => {}
            }
        }
    }

    /// The same target once more; `None` if its account is at its limit.
    pub fn again(&mut self, index: usize, now: Instant) -> Option<Flight> {
        self.begin(index, false, now).ok()
    }

    /// A target that was handed out is not asked now: it has its turn later.
    pub fn give_back(&mut self, Turn { index, mut flight, .. }: Turn, now: Instant) {
        flight.end(End::Unsent, now);
        self.tried &= !bit(index);
    }

    /// Takes a further try of a target out of its retry budget; whether there was one left.
    pub fn take_retry(&self, index: usize, now: Instant) -> bool {
        self.seat(index).is_some_and(|seat| seat.state.take_retry(now))
    }

    /// The limit that is in the way of a target, where one is: of several the soonest to have room.
    pub fn full(&self) -> Option<Full> {
        self.full
    }

    fn begin(&mut self, index: usize, is_ready: bool, now: Instant) -> Result<Flight, Missed> {
        let seat = self.seats.as_slice().get(index).ok_or(Missed::Full)?;
        let hold = match take(seat, now) {
            Ok(hold) => hold,
            Err(full) => {
                self.pass_over(index, full);
                return Err(Missed::Full);
            }
        };
        let (state, ejection) = (Arc::clone(&seat.state), seat.ejection);
        match is_ready {
            true => Flight::begin_if_ready(state, ejection, hold, now).ok_or(Missed::Away),
            false => Ok(Flight::begin(state, ejection, hold, now)),
        }
    }

    /// A seat has no room; its account counts that once for a request.
    fn pass_over(&mut self, index: usize, full: Full) {
        self.full = Some(self.full.map_or(full, |known| known.min(full)));
        if self.passed_over & bit(index) == 0 {
            self.passed_over |= bit(index);
            if let Some((account, _)) = self.seat(index).and_then(|seat| seat.account.as_ref()) {
                account.pass_over();
            }
        }
    }

    /// The next seat, and whether it is chosen because it is ready.
    fn choose(&mut self, now: Instant, allows: &impl Fn(usize) -> bool) -> Option<(usize, bool)> {
        if let Seats::One(_) = &self.seats {
            return (self.tried == 0 && allows(0)).then_some((0, false));
        }
        let mut away: Option<(Instant, u32, usize)> = None;
        let mut lowest = u32::MAX;
        let mut ready: Vec<usize> = Vec::with_capacity(self.seats.as_slice().len());
        let mut full: Vec<(usize, Full)> = Vec::new();
        for (index, seat) in self.seats.as_slice().iter().enumerate() {
            if self.tried & bit(index) != 0 || bit(index) == 0 || !allows(index) {
                continue;
            }
            if let Err(found) = room(seat, now) {
                full.push((index, found));
                continue;
            }
            match seat.state.standing(now) {
                Standing::Away { until } => {
                    let this = (until, seat.priority, index);
                    away = Some(away.map_or(this, |other| other.min(this)));
                }
                Standing::Ready | Standing::Due => {
                    if self.criteria.preferred == Some(index) {
                        return Some((index, true));
                    }
                    if seat.priority < lowest {
                        lowest = seat.priority;
                        ready.clear();
                    }
                    if seat.priority == lowest {
                        ready.push(index);
                    }
                }
            }
        }
        for (index, full) in full {
            self.pass_over(index, full);
        }
        match ready.as_slice() {
            [] => away.map(|(_, _, index)| (index, false)),
            [only] => Some((*only, true)),
            several => Some((self.among(several, now), true)),
        }
    }

    /// One of several that are ready and of one priority.
    fn among(&mut self, ready: &[usize], now: Instant) -> usize {
        let first = ready.first().copied().unwrap_or_default();
        if let Some(session) = self.criteria.session {
            let distance = |seat: &Seat| {
                let share = seat.state.share(false, now);
                session.distance(&seat.name, u64::from(seat.weight) * share)
            };
            return self.least(ready, distance);
        }
        match self.criteria.balance {
            Balance::Weighted => self.by_weight(ready, now),
            Balance::LeastLatency => self.sooner_of_two(ready, now),
            Balance::LeastCost => {
                let cheapest = self.equally_least(ready, |seat| dearness(seat.cost));
                self.by_weight(&cheapest, now)
            }
            Balance::LeastBusy => {
                let limited = |index: &usize| self.seat(*index).and_then(capacity).is_some();
                let by_limits = ready.iter().all(limited);
                let busy = |seat: &Seat| busy(seat, by_limits, now);
                let idlest = self.equally_least(ready, busy);
                self.by_weight(&idlest, now)
            }
        }
        .unwrap_or(first)
    }

    fn by_weight(&mut self, ready: &[usize], now: Instant) -> Option<usize> {
        if let [only] = ready {
            return Some(*only);
        }
        let point = match self.is_first {
            true => self.criteria.turns.first(self.criteria.key),
            false => self.criteria.turns.further(self.criteria.key),
        };
        let weights = ready.iter().map(|index| self.weight(*index, false, now));
        let weights: Vec<u64> = weights.collect();
        pick(weights.into_iter(), point).and_then(|at| ready.get(at).copied())
    }

    /// Two are drawn by weight, and the lighter burden decides.
    fn sooner_of_two(&mut self, ready: &[usize], now: Instant) -> Option<usize> {
        let mut weights: Vec<u64> =
            ready.iter().map(|index| self.weight(*index, true, now)).collect();
        let one = pick(weights.iter().copied(), self.draws.draw())?;
        if let Some(weight) = weights.get_mut(one) {
            *weight = 0;
        }
        let one = *ready.get(one)?;
        let Some(other) = pick(weights.into_iter(), self.draws.draw()) else { return Some(one) };
        let other = *ready.get(other)?;
        let (first, second) = (self.seat(one)?, self.seat(other)?);
        let known = [first.state.estimate(now), second.state.estimate(now)];
        // One of which nothing is known is taken to be like the other.
        let otherwise = known.into_iter().flatten().reduce(f64::max).unwrap_or(1.0);
        let heavier = first.state.burden(otherwise, now) > second.state.burden(otherwise, now);
        Some(if heavier { other } else { one })
    }

    fn weight(&self, index: usize, is_adaptive: bool, now: Instant) -> u64 {
        self.seat(index)
            .map_or(0, |seat| u64::from(seat.weight) * seat.state.share(is_adaptive, now))
    }

    fn seat(&self, index: usize) -> Option<&Seat> {
        self.seats.as_slice().get(index)
    }

    fn least(&self, ready: &[usize], score: impl Fn(&Seat) -> f64) -> usize {
        let score = |index: &usize| self.seat(*index).map_or(f64::INFINITY, &score);
        let least = ready.iter().min_by(|a, b| score(a).total_cmp(&score(b)));
        least.copied().unwrap_or_default()
    }

    fn equally_least(&self, ready: &[usize], score: impl Fn(&Seat) -> f64) -> Vec<usize> {
        let scores = ready.iter().map(|index| self.seat(*index).map_or(f64::INFINITY, &score));
        let scores: Vec<f64> = scores.collect();
        let least = scores.iter().copied().fold(f64::INFINITY, f64::min);
        let all = ready.iter().zip(scores).filter(|(_, score)| *score <= least);
        all.map(|(index, _)| *index).collect()
    }
}

impl Seats {
    /// The seats.
    pub fn as_slice(&self) -> &[Seat] {
        match self {
            Self::One(seat) => std::slice::from_ref(seat),
            Self::Many(seats) => seats,
        }
    }
}

/// By what `LeastCost` compares: those without a price come last.
pub(super) fn dearness(cost: Option<NanoUsd>) -> f64 {
    cost.map_or(f64::INFINITY, |cost| cost.0 as f64)
}

fn bit(index: usize) -> u64 {
    u32::try_from(index).ok().and_then(|index| 1_u64.checked_shl(index)).unwrap_or(0)
}

fn take(seat: &Seat, now: Instant) -> Result<Option<Hold>, Full> {
    let Some((account, limits)) = &seat.account else { return Ok(None) };
    account.take(limits, seat.tokens, now).map(Some)
}

fn room(seat: &Seat, now: Instant) -> Result<(), Full> {
    let Some((account, limits)) = &seat.account else { return Ok(()) };
    account.room(limits, seat.tokens, now)
}

fn capacity(seat: &Seat) -> Option<(u32, u32)> {
    let (account, limits) = seat.account.as_ref()?;
    Some((account.in_flight(), limits.concurrent_requests?))
}

/// How full a target would be with one request more: of its account's limit, or where not all have one
/// by weight.
fn busy(seat: &Seat, by_limits: bool, now: Instant) -> f64 {
    let share = seat.state.share(true, now) as f64 / super::FULL as f64;
    let (in_flight, room) = match capacity(seat).filter(|_| by_limits) {
        Some(limited) => limited,
        None => (seat.state.in_flight(), seat.weight),
    };
    (f64::from(in_flight) + 1.0) / (f64::from(room) * share)
}

#[cfg(test)]
mod tests;
