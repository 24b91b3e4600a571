//! In which order the targets that can answer are asked: puts what the request, the rule and the
//! providers say before [`crate::route::Order`], which looks at the targets' state. Which targets these
//! are is chosen by [`crate::route`] as well.

use std::{sync::Arc, time::Instant};

pub use crate::route::Candidate;
use crate::{
    budget::NanoUsd,
    route::{Criteria, Order, Seat, Seats, Session, Targets, Turns},
    snapshot::{Balance, Route, Rule},
};

/// What orders are made with. Outlives reloads.
pub struct Selector {
    /// Whose turn it is.
    pub turns: Turns,
    /// What is known of targets.
    pub targets: Arc<Targets>,
}

/// How large a request is at one target.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Size {
    /// What it is expected to cost; `None` without a price.
    pub cost: Option<NanoUsd>,
    /// The tokens that it may use.
    pub tokens: u64,
}

/// What a request wants of the order.
#[derive(Clone, Debug, Default)]
pub struct Wish {
    /// Its session.
    pub session: Option<Session>,
    /// The candidate that is to come first, if it is ready.
    pub preferred: Option<usize>,
    /// How large it is at each candidate; empty where nobody asks.
    pub sizes: Vec<Size>,
}

/// Whether somebody asks how large a request is.
pub fn asks_for_size(balance: Balance, candidates: &[Candidate]) -> bool {
    let counts_tokens =
        |candidate: &Candidate| candidate.target.provider.limits.tokens_per_minute.is_some();
    (balance == Balance::LeastCost && candidates.len() > 1) || candidates.iter().any(counts_tokens)
}

impl Selector {
    /// Nothing is known yet.
    pub fn new(now: Instant) -> Self {
        Self { turns: Turns::default(), targets: Arc::new(Targets::new(now)) }
    }

    /// The order of one request's candidates.
    pub fn order<'a>(
        &'a self,
        (route, rule): (&'a Route, &'a Rule),
        candidates: &[Candidate],
        wish: &Wish,
        now: Instant,
    ) -> Order<'a> {
        let size = |index: usize| wish.sizes.get(index).copied().unwrap_or_default();
        let seats = match candidates {
            [only] => Seats::One(self.seat(only, size(0), now)),
            several => {
                let seats = several.iter().enumerate();
                Seats::Many(seats.map(|(at, one)| self.seat(one, size(at), now)).collect())
            }
        };
        let criteria = Criteria {
            balance: rule.balance,
            session: wish.session,
            preferred: wish.preferred,
            turns: &self.turns,
            key: (&route.uid, &rule.name),
            seed: fastrand::u64(..),
        };
        Order::new(seats, criteria)
    }

    fn seat(&self, candidate: &Candidate, size: Size, now: Instant) -> Seat {
        let target = &candidate.target;
        let provider = &target.provider;
        let limits = provider.limits;
        let account = || (self.targets.account(&provider.uid, now), limits);
        Seat {
            name: Arc::clone(&target.name),
            weight: target.weight,
            priority: target.priority,
            cost: size.cost,
            tokens: size.tokens,
            state: self.targets.at(provider, &candidate.model, now),
            ejection: provider.ejection,
            account: (!limits.is_unlimited()).then(account),
        }
    }
}
