//! Budgets of direct calls. What such a call will use is not known beforehand, and for a batch or a
//! training never told: a budget that counts money or tokens lets it pass only if it says so.

use std::{sync::Arc, time::Duration};

use http::{HeaderMap, StatusCode};

use crate::{
    budget::{Amounts, Demand, Ledger, Mode, NanoUsd, Refusal, Reservation, Unit},
    llm::ErrorKind,
    snapshot::{Budget, Consumer, Direct, Unpriced},
};

use super::super::{admit::Traits, respond::Rejection};

/// What admission looks at.
pub struct Asked<'a> {
    /// The grant.
    pub direct: &'a Direct,
    /// Who calls.
    pub consumer: &'a Consumer,
    /// The request's headers.
    pub headers: &'a HeaderMap,
    /// The end user; empty if none is named.
    pub user: &'a str,
    /// Whether the provider may work for money that the answer need not tell.
    pub starts_work: bool,
    /// How long the call may hold what it reserves.
    pub time_to_live: Duration,
}

/// What a call holds of its budgets.
#[derive(Debug)]
pub struct Held {
    reservation: Reservation,
    /// The budget of each demand.
    budgets: Vec<Arc<Budget>>,
}

/// The budget that refuses a call whose use it could not count.
///
/// # Errors
/// 403 `direct_use_unmetered`.
pub fn refuse_unmetered(asked: &Asked<'_>) -> Result<(), Rejection> {
    let counts = |budget: &&Arc<Budget>| {
        let counts_use = |unit| !matches!(unit, Unit::Requests | Unit::Concurrent);
        let counts_use = budget.plan.limits.iter().any(|limit| counts_use(limit.unit));
        counts_use && budget.plan.mode == Mode::Enforce && budget.unpriced == Unpriced::Deny
    };
    if !asked.starts_work {
        return Ok(());
    }
    let Some(budget) = asked.direct.budgets_of(asked.consumer).find(counts) else { return Ok(()) };
    let message = format!(
        "what this call makes the provider do cannot be counted beforehand, and budget {} limits it: \
         use a model through its route, or set unpriced: Allow in the budget",
        budget.name
    );
    let status = StatusCode::FORBIDDEN;
    Err(Rejection::refuse(status, ErrorKind::Permission, "direct_use_unmetered", message))
}

/// Reserves one request and its place in every budget that counts the call, and where the call may
/// start work the least amount of money and tokens, so that a budget with nothing left refuses it.
///
/// # Errors
/// The limit that has no room.
pub fn admit(ledger: &Arc<Ledger>, asked: &Asked<'_>) -> Result<Option<Held>, Box<Refusal>> {
    let least = u64::from(asked.starts_work);
    let amounts = Amounts { tokens: least, ..Amounts::one_call(NanoUsd(least), least, least) };
    let provider = &asked.direct.provider.name;
    let traits = Traits {
        consumer: Some(asked.consumer),
        headers: asked.headers,
        user: asked.user,
        route: None,
        namespace: &provider.namespace,
        provider,
        model: "",
    };
    let budgets: Vec<_> = asked.direct.budgets_of(asked.consumer).cloned().collect();
    if budgets.is_empty() {
        return Ok(None);
    }
    let demand = |budget: &Arc<Budget>| Demand {
        plan: Arc::clone(&budget.plan),
        subject: traits.subject(budget).into(),
        amounts,
    };
    let demands = budgets.iter().map(demand).collect();
    let reservation = ledger.reserve(demands, asked.time_to_live)?;
    Ok(Some(Held { reservation, budgets }))
}

impl Held {
    /// Charges what was used to every budget that counts the model; an unknown model is counted by
    /// all of them.
    pub fn settle(self, used: Amounts, model: &str) {
        let budgets = self.budgets;
        self.reservation.settle_with(|index, _| {
            let counts = budgets.get(index).is_none_or(|budget| {
                model.is_empty()
                    || budget.models.is_empty()
                    || budget.models.iter().any(|pattern| pattern.matches(model))
            });
            if counts { used } else { Amounts::default() }
        });
    }

    /// Charges nothing.
    pub fn release(self) {
        self.reservation.release();
    }
}
