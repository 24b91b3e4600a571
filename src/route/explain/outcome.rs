//! What the caller would get, in the order in which the proxy refuses: no route, no price, no room in a
//! budget, no target that can take the request.

use std::cmp::Reverse;

use crate::{llm::ApiError, snapshot::Balance};

use super::{
    super::{Choice, Refused, Why},
    Outcome, Request, budgets, turns,
    weigh::Weighed,
};

pub(super) fn outcome(
    chosen: &Result<Choice, Refused>,
    weighed: &[Weighed],
    request: &Request<'_>,
) -> Outcome {
    match chosen {
        Err(error) => nowhere(error, request),
        Ok(choice) => asked(choice, weighed, request),
    }
}

/// An error of the gateway's.
pub(super) fn refused(error: ApiError) -> Outcome {
    Outcome { status: error.status.as_u16(), code: error.code, message: error.message }
}

/// Nobody in particular asks for what only callers with a key are told of.
pub(super) fn key_missing() -> Outcome {
    of(401, "invalid_api_key", "no route serves callers without an API key".to_owned())
}

fn of(status: u16, code: &'static str, message: String) -> Outcome {
    Outcome { status, code: code.into(), message }
}

fn nowhere(error: &Refused, request: &Request<'_>) -> Outcome {
    let (status, code) = match error.why {
        Why::UnknownModel if request.asked.consumer.is_none() => (401, "invalid_api_key"),
        Why::UnknownModel => (404, "model_not_found"),
        Why::Fault(_) => (503, "route_unavailable"),
        Why::NoRule => (404, "no_rule_matches"),
        Why::NoCounterpart(_) => (400, "unsupported_endpoint"),
    };
    of(status, code, error.to_string())
}

/// The outcome where there are candidates.
fn asked(
    Choice { route, rule, .. }: &Choice,
    weighed: &[Weighed],
    request: &Request<'_>,
) -> Outcome {
    if weighed.iter().all(|target| target.candidate.is_none())
        && let Some(why) = weighed.iter().find_map(|target| target.unpriced.clone())
    {
        return of(403, "model_unpriced", why);
    }
    if let Some(refusal) = budgets::never_fits(route, weighed, request) {
        return of(429, "budget_exceeded", refusal.to_string());
    }
    if weighed.iter().any(Weighed::is_usable) {
        return of(200, "", format!("a target of route {} is asked", route.name));
    }
    // The caller is told what the first one says that would have been asked.
    let refusing = weighed.iter().filter(|target| target.refuses.is_some());
    let first = refusing.min_by(|a, b| match rule.balance {
        Balance::LeastCost => turns::compare(a, b),
        _ => (a.fate.priority, Reverse(a.fate.weight))
            .cmp(&(b.fate.priority, Reverse(b.fate.weight))),
    });
    match first.and_then(|target| target.refuses.clone()) {
        Some(error) => refused(error),
        None => of(503, "route_unavailable", "the route has no target that can answer".to_owned()),
    }
}
