//! What the proxy would make of each target of a rule, in the order in which it sifts them: those that
//! can answer at all, those with a price, those that know the conversation, those that can take the
//! request.

use crate::{
    budget::{Amounts, NanoUsd},
    llm::ApiError,
    snapshot::{Consumer, Route, Rule, Target},
};

use super::{
    super::{
        Candidate,
        choose::targets,
        demand::{self, Extent},
        translated,
    },
    Request, TargetFate,
};

/// A target, and what the proxy would make of it.
pub(super) struct Weighed {
    pub(super) fate: TargetFate,
    /// What the proxy reserves for and goes through; `None` if the target is none of these.
    pub(super) candidate: Option<Candidate>,
    /// What it may use at worst.
    pub(super) worst: Amounts,
    /// What it is expected to cost.
    pub(super) expected: Option<NanoUsd>,
    /// Why it cannot take the request.
    pub(super) refuses: Option<ApiError>,
    /// Why a budget keeps it from being asked.
    pub(super) unpriced: Option<String>,
}

impl Weighed {
    /// Whether it can be asked.
    pub(super) fn is_usable(&self) -> bool {
        self.fate.passed_over.is_none()
    }

    fn pass_over(&mut self, why: String) {
        self.fate.passed_over = Some(why);
    }
}

pub(super) fn weigh(
    (route, rule): (&Route, &Rule),
    request: &Request<'_>,
    star: &str,
) -> Vec<Weighed> {
    let each = targets(rule, &request.asked, star).map(|(target, found)| {
        let model = target.model.resolve(request.asked.model, star).into_owned();
        let mut weighed = Weighed {
            fate: fate(target, model),
            candidate: None,
            worst: Amounts::default(),
            expected: None,
            refuses: None,
            unpriced: None,
        };
        match found {
            Err(why) => weighed.pass_over(why.to_string()),
            Ok(candidate) => size(&mut weighed, (route, candidate), request),
        }
        weighed
    });
    let mut all: Vec<Weighed> = each.collect();
    let candidates = all.iter().filter_map(|weighed| weighed.candidate.as_ref());
    let goes_on = translated::goes_on(request.peek, candidates);
    for weighed in &mut all {
        let Some(candidate) = &weighed.candidate else { continue };
        if goes_on && !translated::stores(candidate) {
            weighed.pass_over("it does not know the answer to go on from".to_owned());
        } else if let Err((error, why)) = take(route, candidate, request, &mut weighed.fate.dropped)
        {
            weighed.fate.refusal = Some(error.code.clone());
            weighed.refuses = Some(error);
            weighed.pass_over(why);
        }
    }
    all
}

fn fate(target: &Target, model: String) -> TargetFate {
    TargetFate {
        name: target.name.to_string(),
        provider: target.provider.name.to_string(),
        model,
        priority: target.priority,
        weight: target.weight,
        ..TargetFate::default()
    }
}

/// What the request costs at a candidate, and whether that may be unknown.
fn size(weighed: &mut Weighed, (route, candidate): (&Route, Candidate), request: &Request<'_>) {
    let Request { asked, peek, input, .. } = *request;
    let size = Extent { endpoint: asked.endpoint, peek, input };
    weighed.worst = size.worst_case(&candidate);
    weighed.expected = size.expected_cost(&candidate);
    let fate = &mut weighed.fate;
    fate.worst_case_tokens = Some(weighed.worst.tokens);
    fate.price_source = candidate.terms.price_source.as_str();
    if let Some(price) = &candidate.terms.price {
        fate.input_price = Some(price.rates.input.to_string());
        fate.output_price = Some(price.rates.output.to_string());
        fate.expected_usd = weighed.expected.map(|cost| cost.to_string());
        fate.worst_case_usd = Some(weighed.worst.cost.to_string());
    }
    match unpriced(route, &candidate, asked.consumer) {
        None => weighed.candidate = Some(candidate),
        Some(why) => {
            weighed.unpriced = Some(why.clone());
            weighed.pass_over(why);
        }
    }
}

/// Why a budget keeps a candidate from being asked.
fn unpriced(route: &Route, candidate: &Candidate, consumer: Option<&Consumer>) -> Option<String> {
    let budget = demand::unpriced_in(route, consumer, candidate)?;
    let model = &candidate.model;
    Some(format!("model {model} has no price, and budget {} has a limit in USD", budget.name))
}

/// Whether a candidate can take the request. `dropped`: what it would not be told.
///
/// # Errors
/// What the caller gets if no other candidate can, and the reason in words.
fn take(
    route: &Route,
    candidate: &Candidate,
    request: &Request<'_>,
    dropped: &mut Vec<String>,
) -> Result<(), (ApiError, String)> {
    let (endpoint, headers) = (request.asked.endpoint, request.asked.headers);
    let cannot = |error| {
        let error = ApiError::from(error);
        let why = format!("it cannot take the request: {}", error.message);
        (error, why)
    };
    if candidate.translator.is_local() || translated::cannot_count(endpoint, candidate) {
        let counted = candidate.translator.count(request.body, &candidate.model);
        return counted.map(drop).map_err(cannot);
    }
    let translated = translated::translate(candidate, headers, (request.body, request.peek));
    *dropped = translated.map_err(cannot)?.dropped;
    match translated::unfaithful(route, &candidate.target, dropped) {
        None => Ok(()),
        Some(error) => {
            let names = dropped.join(", ");
            Err((error, format!("the route is Strict, and it cannot take {names}")))
        }
    }
}
