//! Budgets: what a request may use at worst is reserved before any provider is called, and what it did
//! use is settled afterwards.

mod subject;

use std::{sync::Arc, time::Duration};

use http::{HeaderMap, StatusCode};

use crate::{
    budget::{Amounts, Bound, Demand, Ledger, Mode, NanoUsd, Refusal, Reservation, Unit},
    llm::{Endpoint, ErrorKind, InputEstimate, Peek, Work},
    snapshot::{Budget, Consumer, Route, Unpriced},
};

use super::{
    respond::Rejection,
    select::{Candidate, Size},
    settle,
};

pub use subject::Traits;

/// Output tokens assumed where neither the request nor anything known of the model bounds them.
const DEFAULT_OUTPUT: u64 = 4096;
/// Output tokens that are expected of a request that names no bound, to compare prices by: the same of
/// every model, however much it could write.
const EXPECTED_OUTPUT: u64 = 1000;
/// How long a reservation outlives the time that its request may take.
const GRACE: Duration = Duration::from_secs(30);

/// What admission looks at.
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
        let counted = |budget: &&Arc<Budget>| {
            let (provider, model) = (&candidate.target.provider.name, &candidate.model);
            budget.counts_consumer(consumer) && budget.counts_target(provider, model)
        };
        let counting = route.budgets.iter().filter(counted);
        let Some(refusal) = counting.filter_map(|budget| unpriced(budget, candidate)).next() else {
            return true;
        };
        first.get_or_insert(refusal);
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
                        demand.amounts.cost = demand.amounts.cost.max(amounts.cost);
                        demand.amounts.tokens = demand.amounts.tokens.max(amounts.tokens);
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
    match ledger.reserve(demands, time_to_live) {
        Ok(reservation) => Ok(Some(Admission { reservation, covers })),
        Err(refusal) => Err(Box::new(refusal)),
    }
}

/// How large the request is at each candidate.
pub fn sizes(request: &Admitted<'_>) -> Vec<Size> {
    let size = |candidate| {
        let (cost, tokens) =
            (expected_cost(request, candidate), worst_case(request, candidate).tokens);
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

/// Why a budget cannot count a candidate; `None` if it can.
fn unpriced(budget: &Budget, candidate: &Candidate) -> Option<Rejection> {
    let counts_money = budget.plan.limits.iter().any(|limit| limit.unit == Unit::Usd);
    let enforced = budget.plan.mode == Mode::Enforce && budget.unpriced == Unpriced::Deny;
    if !counts_money || !enforced || candidate.terms.price.is_some() {
        return None;
    }
    let (provider, model) = (&candidate.target.provider.name, &candidate.model);
    let message = format!(
        "model {model} has no price, and budget {} has a limit in USD: add the model with its pricing \
         to spec.models of AIProvider {provider} or to a ConfigMap with prices, or set unpriced: Allow \
         in the budget",
        budget.name
    );
    let status = StatusCode::FORBIDDEN;
    Some(Rejection::refuse(status, ErrorKind::Permission, "model_unpriced", message))
}

/// What the request is likely to cost at a candidate; `None` without a price.
fn expected_cost(request: &Admitted<'_>, candidate: &Candidate) -> Option<NanoUsd> {
    let price = candidate.terms.price.as_ref()?;
    let mut bound = bound(request, candidate);
    let (asked, choices) = asked_output(request.endpoint, request.peek, candidate);
    if asked.is_none() {
        let cap = candidate.terms.output_cap().unwrap_or(u64::MAX);
        bound.output = bound.output.min(EXPECTED_OUTPUT.min(cap).saturating_mul(choices));
    }
    Some(price.worst_case(&bound))
}

fn worst_case(request: &Admitted<'_>, candidate: &Candidate) -> Amounts {
    let bound = bound(request, candidate);
    let price = candidate.terms.price.as_ref();
    Amounts {
        cost: price.map_or(NanoUsd(0), |price| price.worst_case(&bound)),
        tokens: bound.input.saturating_add(bound.output),
        requests: 1,
    }
}

/// The most that the request may use at a candidate.
fn bound(request: &Admitted<'_>, candidate: &Candidate) -> Bound {
    let work = request.endpoint.work();
    let given = if work == Work::Count { InputEstimate::default() } else { request.input };
    let InputEstimate { tokens: input, audio_seconds } = given;
    let output = match work.has_output() {
        true => output_bound(request.endpoint, request.peek, candidate),
        false => 0,
    };
    let service_tier = match &candidate.target.parameters {
        Some(parameters) => parameters.service_tier(request.peek),
        None => request.peek.service_tier,
    };
    let service_tier = settle::service_tier(service_tier);
    let images = images(request.endpoint, request.peek, candidate);
    Bound { input, output, images, audio_seconds, requests: 1, service_tier }
}

/// One that has read the request and given nothing. It is no request of the caller's.
fn input_alone(request: &Admitted<'_>, candidate: &Candidate) -> Amounts {
    let input = request.input.tokens;
    let bound = Bound { input, ..Bound::default() };
    let price = candidate.terms.price.as_ref();
    Amounts {
        cost: price.map_or(NanoUsd(0), |price| price.worst_case(&bound)),
        tokens: input,
        requests: 0,
    }
}

/// How many pictures a request asks for, after the target's parameters.
pub fn images(endpoint: Endpoint, peek: &Peek, candidate: &Candidate) -> u64 {
    match &candidate.target.parameters {
        _ if !endpoint.makes_images() => 0,
        Some(parameters) => parameters.choices(endpoint, peek),
        None => u64::from(peek.choices),
    }
}

/// The most that may be generated, by what the provider will be asked for after the target's
/// parameters.
fn output_bound(endpoint: Endpoint, peek: &Peek, candidate: &Candidate) -> u64 {
    let terms = &candidate.terms;
    let (asked, choices) = asked_output(endpoint, peek, candidate);
    let bound = asked.or_else(|| terms.assumed_output()).unwrap_or(DEFAULT_OUTPUT);
    bound.min(terms.output_cap().unwrap_or(u64::MAX)).saturating_mul(choices)
}

/// The bound on output that the provider will be asked for, if any, and how many answers.
fn asked_output(endpoint: Endpoint, peek: &Peek, candidate: &Candidate) -> (Option<u64>, u64) {
    match &candidate.target.parameters {
        Some(parameters) => {
            (parameters.max_output_tokens(endpoint, peek), parameters.choices(endpoint, peek))
        }
        None => (peek.max_output_tokens, u64::from(peek.choices)),
    }
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
