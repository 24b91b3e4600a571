//! Budgets: what a request may use at worst is reserved before any provider is called, and what it did
//! use is settled afterwards.

mod subject;

use std::{sync::Arc, time::Duration};

use http::{HeaderMap, StatusCode};

use crate::{
    budget::{Amounts, Bound, Demand, Ledger, NanoUsd, Refusal, Reservation},
    llm::{Endpoint, ErrorKind, InputEstimate, Peek},
    route::demand::{self, Extent},
    snapshot::{Budget, Consumer, Route},
};

use super::{
    respond::Rejection,
    select::{Candidate, Size},
};

pub use subject::Traits;

/// How long a reservation outlives the time that its request may take.
const GRACE: Duration = Duration::from_secs(30);

/// What admission looks at.
#[derive(Clone, Copy)]
pub struct Admitted<'a> {
    /// The route.
    pub route: &'a Route,
    /// Who calls.
    pub consumer: Option<&'a Consumer>,
    /// The request's headers.
    pub headers: &'a HeaderMap,
    /// What is asked for.
    pub endpoint: Endpoint,
    /// The request.
    pub peek: &'a Peek,
    /// What the request may count as input.
    pub input: InputEstimate,
    /// The targets that may serve it.
    pub candidates: &'a [Candidate],
    /// How long the request may take.
    pub may_take: Duration,
}

/// What a request holds of its budgets.
pub struct Admission {
    reservation: Reservation,
    /// For each demand, the candidates that it counts.
    covers: Vec<Vec<usize>>,
}

/// The answer to a request for which a limit has no room.
pub fn exceeded(refusal: &Refusal) -> Rejection {
    let mut rejection = Rejection::refuse(
        StatusCode::TOO_MANY_REQUESTS,
        ErrorKind::RateLimit,
        "budget_exceeded",
        refusal.to_string(),
    );
    rejection.retry_after = Some(refusal.retry_after);
    rejection
}

/// Leaves out the candidates that a budget counts in USD but that have no price: another target may
/// serve the request in their place.
///
/// # Errors
/// 403 if none remains.
pub fn leave_out_unpriced(
    candidates: &mut Vec<Candidate>,
    route: &Route,
    consumer: Option<&Consumer>,
) -> Result<(), Rejection> {
    let mut first = None;
    candidates.retain(|candidate| {
        let Some(budget) = demand::unpriced_in(route, consumer, candidate) else { return true };
        first.get_or_insert_with(|| unpriced(budget, candidate));
        false
    });
    match first {
        Some(refusal) if candidates.is_empty() => Err(refusal),
        _ => Ok(()),
    }
}

/// Reserves the worst case in every budget that binds, or in none; `None` if no budget binds.
///
/// Where a budget counts by model or provider, each subject that a candidate would be charged to is
/// reserved for.
///
/// # Errors
/// The limit that has no room.
pub fn admit(
    ledger: &Arc<Ledger>,
    request: &Admitted<'_>,
) -> Result<Option<Admission>, Box<Refusal>> {
    reserve(ledger, request, worst_case)
}

/// Reserves what a second try of the request may cost that is broken off: its input. Whichever of the
/// candidates it is, and as [`admit`] does it.
///
/// # Errors
/// The limit that has no room.
pub fn admit_hedge(
    ledger: &Arc<Ledger>,
    request: &Admitted<'_>,
) -> Result<Option<Admission>, Box<Refusal>> {
    reserve(ledger, request, input_alone)
}

/// Reserves the place of a session among the requests under way, to its end.
///
/// # Errors
/// The limit that has no room.
pub fn admit_session(
    ledger: &Arc<Ledger>,
    request: &Admitted<'_>,
) -> Result<Option<Admission>, Box<Refusal>> {
    reserve(ledger, request, place)
}

/// As [`admit`], for one response of a session that has its place already.
///
/// # Errors
/// The limit that has no room.
pub fn admit_response(
    ledger: &Arc<Ledger>,
    request: &Admitted<'_>,
) -> Result<Option<Admission>, Box<Refusal>> {
    reserve(ledger, request, within_session)
}

fn reserve(
    ledger: &Arc<Ledger>,
    request: &Admitted<'_>,
    amounts: fn(&Admitted<'_>, &Candidate) -> Amounts,
) -> Result<Option<Admission>, Box<Refusal>> {
    let mut demands: Vec<Demand> = Vec::new();
    let mut covers: Vec<Vec<usize>> = Vec::new();
    let binding = request.route.budgets.iter();
    for budget in binding.filter(|budget| budget.counts_consumer(request.consumer)) {
        let start = demands.len();
        for (index, candidate) in request.candidates.iter().enumerate() {
            if !budget.counts_target(&candidate.target.provider.name, &candidate.model) {
                continue;
            }
            let amounts = amounts(request, candidate);
            let subject = traits(request, candidate).subject(budget);
            let known = demands.iter().skip(start).position(|demand| *demand.subject == *subject);
            match known.map(|at| at + start) {
                Some(at) => {
                    if let (Some(demand), Some(cover)) = (demands.get_mut(at), covers.get_mut(at)) {
                        demand.amounts = demand.amounts.max(amounts);
                        cover.push(index);
                    }
                }
                None => {
                    let (plan, subject) = (Arc::clone(&budget.plan), subject.into());
                    demands.push(Demand { plan, subject, amounts });
                    covers.push(vec![index]);
                }
            }
        }
    }
    if demands.is_empty() {
        return Ok(None);
    }
    let time_to_live = request.may_take.saturating_add(GRACE);
    let reservation = ledger.reserve(demands, time_to_live)?;
    Ok(Some(Admission { reservation, covers }))
}

/// How large the request is at each candidate.
pub fn sizes(request: &Admitted<'_>) -> Vec<Size> {
    let size = |candidate| {
        let (cost, tokens) =
            (extent(request).expected_cost(candidate), worst_case(request, candidate).tokens);
        Size { cost, tokens }
    };
    request.candidates.iter().map(size).collect()
}

impl Admission {
    /// Charges what was used to what counts the candidate that served.
    pub fn settle(self, served: usize, used: Amounts) {
        let covers = self.covers;
        self.reservation.settle_with(|index, _| {
            let counts = covers.get(index).is_some_and(|cover| cover.contains(&served));
            if counts { used } else { Amounts::default() }
        });
    }

    /// Charges nothing.
    pub fn release(self) {
        self.reservation.release();
    }
}

/// The answer to a request that a budget counts in USD and whose model has no price.
fn unpriced(budget: &Budget, candidate: &Candidate) -> Rejection {
    let (provider, model) = (&candidate.target.provider.name, &candidate.model);
    let message = format!(
        "model {model} has no price, and budget {} has a limit in USD: add the model with its pricing \
         to spec.models of AIProvider {provider} or to a ConfigMap with prices, or set unpriced: Allow \
         in the budget",
        budget.name
    );
    let status = StatusCode::FORBIDDEN;
    Rejection::refuse(status, ErrorKind::Permission, "model_unpriced", message)
}

/// What bounds the use of the request.
fn extent<'a>(request: &Admitted<'a>) -> Extent<'a> {
    let Admitted { endpoint, peek, input, .. } = *request;
    Extent { endpoint, peek, input }
}

fn worst_case(request: &Admitted<'_>, candidate: &Candidate) -> Amounts {
    extent(request).worst_case(candidate)
}

/// One that has read the request and given nothing.
fn input_alone(request: &Admitted<'_>, candidate: &Candidate) -> Amounts {
    let input = request.input.tokens;
    let bound = Bound { input, ..Bound::default() };
    let price = candidate.terms.price.as_ref();
    beside(price.map_or(NanoUsd(0), |price| price.worst_case(&bound)), input)
}

/// What a try uses that has read the input beside another one. It is no request of the caller's and
/// holds no place among them.
pub(super) fn beside(cost: NanoUsd, input: u64) -> Amounts {
    Amounts { requests: 0, concurrent: 0, ..Amounts::one_call(cost, input, 0) }
}

/// A response within a session, whose place is the session's.
fn within_session(request: &Admitted<'_>, candidate: &Candidate) -> Amounts {
    Amounts { concurrent: 0, ..worst_case(request, candidate) }
}

/// The place of a session.
fn place(_: &Admitted<'_>, _: &Candidate) -> Amounts {
    Amounts { concurrent: 1, ..Amounts::default() }
}

/// What a candidate's subjects are made of.
fn traits<'a>(request: &Admitted<'a>, candidate: &'a Candidate) -> Traits<'a> {
    Traits {
        consumer: request.consumer,
        headers: request.headers,
        user: request.peek.user.as_deref().unwrap_or_default(),
        route: Some(&request.route.name),
        namespace: &request.route.name.namespace,
        provider: &candidate.target.provider.name,
        model: &candidate.model,
    }
}

#[cfg(test)]
mod tests;
