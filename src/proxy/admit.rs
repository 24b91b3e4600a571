//! Budgets: what a request may use at worst is reserved before any provider is called, and what it did
//! use is settled afterwards.

use std::{borrow::Cow, sync::Arc, time::Duration};

use http::{HeaderMap, StatusCode};

use crate::{
    budget::{Amounts, Demand, Ledger, Mode, NanoUsd, Refusal, Reservation, Unit},
    llm::{Endpoint, ErrorKind, Peek, estimate_tokens},
    snapshot::{Budget, Consumer, Dimension, Model, Route, Unpriced},
};

use super::{respond::Rejection, select::Candidate};

/// Output tokens assumed where neither the request nor the catalogue bounds them.
const DEFAULT_OUTPUT: u64 = 4096;
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
    /// Bytes of the request's body.
    pub body_bytes: usize,
    /// The targets that may serve it.
    pub candidates: &'a [Candidate],
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
    let mut demands: Vec<Demand> = Vec::new();
    let mut covers: Vec<Vec<usize>> = Vec::new();
    let binding = request.route.budgets.iter();
    for budget in binding.filter(|budget| budget.counts_consumer(request.consumer)) {
        let start = demands.len();
        for (index, candidate) in request.candidates.iter().enumerate() {
            if !budget.counts_target(&candidate.target.provider.name, &candidate.model) {
                continue;
            }
            let amounts = worst_case(request, candidate);
            let subject = subject(budget, request, candidate);
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
    let time_to_live = request.route.timeouts.total.saturating_add(GRACE);
    match ledger.reserve(demands, time_to_live) {
        Ok(reservation) => Ok(Some(Admission { reservation, covers })),
        Err(refusal) => Err(Box::new(refusal)),
    }
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
    if !counts_money || !enforced || model(candidate).and_then(|model| model.price).is_some() {
        return None;
    }
    let (provider, model) = (&candidate.target.provider.name, &candidate.model);
    let message = format!(
        "model {model} has no price, and budget {} has a limit in USD: add the model with its pricing \
         to spec.models of AIProvider {provider}, or set unpriced: Allow in the budget",
        budget.name
    );
    let status = StatusCode::FORBIDDEN;
    Some(Rejection::refuse(status, ErrorKind::Permission, "model_unpriced", message))
}

/// The catalogue's entry for a candidate's model.
pub fn model(candidate: &Candidate) -> Option<&Model> {
    candidate.target.provider.models.get(&*candidate.model)
}

fn worst_case(request: &Admitted<'_>, candidate: &Candidate) -> Amounts {
    let input = estimate_tokens(request.body_bytes);
    let output = match request.endpoint {
        Endpoint::Embeddings => 0,
        Endpoint::ChatCompletions | Endpoint::Messages => output_bound(request.peek, candidate),
    };
    let price = model(candidate).and_then(|model| model.price);
    Amounts {
        cost: price.map_or(NanoUsd(0), |price| price.worst_case(input, output)),
        tokens: input.saturating_add(output),
        requests: 1,
    }
}

/// The most that may be generated, by what the provider will be asked for after the target's
/// parameters.
fn output_bound(peek: &Peek, candidate: &Candidate) -> u64 {
    let max = model(candidate).and_then(|model| model.max_output_tokens);
    let (asked, choices) = match &candidate.target.parameters {
        Some(parameters) => (parameters.max_output_tokens(peek), parameters.choices(peek)),
        None => (peek.max_output_tokens, u64::from(peek.choices)),
    };
    let bound = asked.or(max).unwrap_or(DEFAULT_OUTPUT);
    bound.min(max.unwrap_or(u64::MAX)).saturating_mul(choices)
}

/// Whose counter: the values of the budget's dimensions, joined by `/`; `-` for a value that the
/// request lacks. Slashes inside one of several values are escaped, so that nobody can take
/// another's name.
fn subject(budget: &Budget, request: &Admitted<'_>, candidate: &Candidate) -> String {
    let mut subject = String::new();
    for (index, dimension) in budget.per.iter().enumerate() {
        if index > 0 {
            subject.push('/');
        }
        let start = subject.len();
        let text = value(dimension, request, candidate);
        match budget.per.len() > 1 && is_free(dimension) && text.contains(['/', '%']) {
            true => subject.push_str(&text.replace('%', "%25").replace('/', "%2F")),
            false => subject.push_str(&text),
        }
        if subject.len() == start {
            subject.push('-');
        }
    }
    // People read subjects in status, on terminals; and each would take six bytes there.
    match subject.contains(char::is_control) {
        true => subject.replace(char::is_control, "\u{FFFD}"),
        false => subject,
    }
}

/// Whether callers choose the value themselves.
fn is_free(dimension: &Dimension) -> bool {
    matches!(dimension, Dimension::User | Dimension::Model | Dimension::Header(_))
}

/// The value of a dimension; empty where the request has none.
fn value<'a>(
    dimension: &Dimension,
    request: &Admitted<'a>,
    candidate: &'a Candidate,
) -> Cow<'a, str> {
    let consumer = request.consumer;
    let label = |value: Option<&'a Arc<str>>| value.map(|value| &**value).unwrap_or_default();
    Cow::Borrowed(match dimension {
        Dimension::Consumer => match consumer {
            Some(consumer) => return Cow::Owned(consumer.name.to_string()),
            None => "",
        },
        Dimension::Route => return Cow::Owned(request.route.name.to_string()),
        Dimension::Provider => return Cow::Owned(candidate.target.provider.name.to_string()),
        Dimension::App => label(consumer.and_then(|consumer| consumer.app.as_ref())),
        Dimension::Team => label(consumer.and_then(|consumer| consumer.team.as_ref())),
        Dimension::Environment => {
            label(consumer.and_then(|consumer| consumer.environment.as_ref()))
        }
        Dimension::User => request.peek.user.as_deref().unwrap_or_default(),
        Dimension::Model => &candidate.model,
        Dimension::Namespace => &request.route.name.namespace,
        Dimension::Header(name) => {
            request.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
        }
    })
}

#[cfg(test)]
mod tests;
