//! What a request may use at worst, and which budgets count it. Counters are not looked at.

use std::sync::Arc;

use crate::{
    budget::{self, Amounts, Bound, Mode, NanoUsd, Unit},
    llm::{self, Endpoint, InputEstimate, Peek, Work},
    snapshot::{Budget, Consumer, Route, Unpriced},
};

use super::Candidate;

/// Output tokens assumed where neither the request nor anything known of the model bounds them.
pub const DEFAULT_OUTPUT: u64 = 4096;
/// Output tokens that are expected of a request that names no bound, to compare prices by: the same of
/// every model, however much it could write.
const EXPECTED_OUTPUT: u64 = 1000;

/// What bounds the use of a request.
#[derive(Clone, Copy, Debug)]
pub struct Extent<'a> {
    /// What is asked for.
    pub endpoint: Endpoint,
    /// The request.
    pub peek: &'a Peek,
    /// What it may count as input.
    pub input: InputEstimate,
}

impl Extent<'_> {
    /// The most that a candidate may use.
    pub fn worst_case(&self, candidate: &Candidate) -> Amounts {
        let bound = self.bound(candidate);
        let price = candidate.terms.price.as_ref();
        let cost = price.map_or(NanoUsd(0), |price| price.worst_case(&bound));
        Amounts::one_call(cost, bound.input, bound.output)
    }

    /// What the request is likely to cost at a candidate; `None` without a price.
    pub fn expected_cost(&self, candidate: &Candidate) -> Option<NanoUsd> {
        let price = candidate.terms.price.as_ref()?;
        let mut bound = self.bound(candidate);
        let (asked, choices) = asked_output(self.endpoint, self.peek, candidate);
        if asked.is_none() {
            let cap = candidate.terms.output_cap().unwrap_or(u64::MAX);
            bound.output = bound.output.min(EXPECTED_OUTPUT.min(cap).saturating_mul(choices));
        }
        Some(price.worst_case(&bound))
    }

    fn bound(&self, candidate: &Candidate) -> Bound {
        let work = self.endpoint.work();
        let given = if work == Work::Count { InputEstimate::default() } else { self.input };
        let InputEstimate { tokens: input, audio_seconds } = given;
        let output = match work.has_output() {
            true => output_bound(self.endpoint, self.peek, candidate),
            false => 0,
        };
        let tier = match &candidate.target.parameters {
            Some(parameters) => parameters.service_tier(self.peek),
            None => self.peek.service_tier,
        };
        let service_tier = service_tier(tier);
        let images = images(self.endpoint, self.peek, candidate);
        Bound { input, output, images, audio_seconds, requests: 1, service_tier }
    }
}

/// The budget of a route that counts a candidate in USD though it has no price, and does not allow
/// that.
pub fn unpriced_in<'r>(
    route: &'r Route,
    consumer: Option<&Consumer>,
    candidate: &Candidate,
) -> Option<&'r Arc<Budget>> {
    let (provider, model) = (&candidate.target.provider.name, &candidate.model);
    route.budgets.iter().find(|budget| {
        let counts_money = budget.plan.limits.iter().any(|limit| limit.unit == Unit::Usd);
        let enforced = budget.plan.mode == Mode::Enforce && budget.unpriced == Unpriced::Deny;
        budget.counts_consumer(consumer)
            && budget.counts_target(provider, model)
            && counts_money
            && enforced
            && candidate.terms.price.is_none()
    })
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
pub fn output_bound(endpoint: Endpoint, peek: &Peek, candidate: &Candidate) -> u64 {
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

/// The tier by which a price is chosen.
pub fn service_tier(tier: llm::ServiceTier) -> budget::ServiceTier {
    match tier {
        llm::ServiceTier::Standard => budget::ServiceTier::Standard,
        llm::ServiceTier::Batch => budget::ServiceTier::Batch,
        llm::ServiceTier::Flex => budget::ServiceTier::Flex,
        llm::ServiceTier::Priority => budget::ServiceTier::Priority,
    }
}
