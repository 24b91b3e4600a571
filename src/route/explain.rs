//! Why a request would go where it goes, and why not elsewhere. Decides nothing: every answer comes from
//! what the proxy asks too ([`choose`](super::choose), `holds`, `targets`, `demand`, `translated`); health,
//! sessions and counters, which no manifest has, are left out.

mod passed;
mod report;

use std::sync::Arc;

use bytes::Bytes;

use crate::{
    llm::{InputEstimate, Peek},
    snapshot::{Condition, Consumer, Fidelity, Route, Rule, Snapshot, condition::Known},
};

use super::{
    Asked, Candidate, Choice, Refused, Why, choose,
    choose::{holds, targets},
    demand::{self, Extent},
    translated,
};

pub use passed::OtherRoute;
pub use report::{Explanation, Outcome, Reserved, RuleFate, TargetFate, WeighedBudget};

/// A request that might be sent.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    /// What decides where it goes.
    pub asked: Asked<'a>,
    /// What is read of its body.
    pub peek: &'a Peek,
    /// The estimate of its input.
    pub input: InputEstimate,
    /// Its body.
    pub body: &'a Bytes,
}

/// Explains a request.
pub fn explain(snapshot: &Snapshot, request: &Request<'_>) -> Explanation {
    let asked = &request.asked;
    let chosen = choose(&snapshot.routes, asked);
    let (route, rule) = match &chosen {
        Ok(Choice { route, rule, .. }) => (Some(route), Some(rule)),
        Err(refused) => (refused.route.as_ref(), refused.rule.as_ref()),
    };
    let found = snapshot.routes.find(&asked.sought());
    let star = found.as_ref().map_or("", |found| found.star);
    let mut weighed = match (route, rule) {
        (Some(route), Some(rule)) => weigh(route, rule, request, star),
        _ => Vec::new(),
    };
    leave_conversation(&mut weighed, request.peek);
    let outcome = outcome(&chosen, &weighed, asked.consumer);
    if let Some(refusal) = unpriced(&outcome) {
        weighed.iter_mut().for_each(|target| target.refuse(&refusal));
    }
    let budgets = route.map(|route| budgets(route, &weighed, request)).unwrap_or_default();
    let shares = shares(&weighed);
    let targets = weighed.into_iter().zip(shares);
    Explanation {
        outcome,
        route: route.map(|route| route.name.to_string()),
        rule: rule.map(|rule| rule.name.to_string()),
        rules: route.map(|route| rules(route, rule, asked)).unwrap_or_default(),
        targets: targets.map(|(target, share)| target.fate(share)).collect(),
        budgets,
        other_routes: passed::others(&snapshot.routes, asked),
    }
}

/// A target, and what the proxy would make of it.
struct Weighed {
    fate: TargetFate,
    candidate: Option<Candidate>,
    size: Option<crate::budget::Amounts>,
}

impl Weighed {
    fn is_usable(&self) -> bool {
        self.fate.passed_over.is_none()
    }

    fn refuse(&mut self, why: &str) {
        self.fate.passed_over.get_or_insert_with(|| why.to_owned());
    }

    fn fate(self, share: Option<String>) -> TargetFate {
        TargetFate { share, ..self.fate }
    }
}

fn weigh(route: &Route, rule: &Rule, request: &Request<'_>, star: &str) -> Vec<Weighed> {
    let size =
        Extent { endpoint: request.asked.endpoint, peek: request.peek, input: request.input };
    let each = targets(rule, &request.asked, star).map(|(target, found)| {
        let mut fate = TargetFate {
            name: target.name.to_string(),
            provider: target.provider.name.to_string(),
            model: target.model.resolve(request.asked.model, star).into_owned(),
            priority: target.priority,
            weight: target.weight,
            ..TargetFate::default()
        };
        match found {
            Err(why) => {
                fate.passed_over = Some(why.to_string());
                Weighed { fate, candidate: None, size: None }
            }
            Ok(candidate) => {
                let worst = size.worst_case(&candidate);
                fate.price_source = candidate.terms.price_source.as_str();
                if let Some(price) = &candidate.terms.price {
                    fate.input_price = Some(price.rates.input.to_string());
                    fate.output_price = Some(price.rates.output.to_string());
                    fate.worst_case_usd = Some(worst.cost.to_string());
                }
                fate.worst_case_tokens = Some(worst.tokens);
                fate.passed_over = refusal(route, &candidate, request, &mut fate.dropped);
                Weighed { fate, candidate: Some(candidate), size: Some(worst) }
            }
        }
    });
    each.collect()
}

/// A request that goes on from a stored answer goes to those only who store answers, if there are any.
fn leave_conversation(weighed: &mut [Weighed], peek: &Peek) {
    let can = |target: &Weighed| target.candidate.as_ref().is_some_and(translated::stores);
    if peek.previous_response.is_some() && weighed.iter().any(can) {
        let others = weighed.iter_mut().filter(|target| !can(target));
        others.for_each(|other| other.refuse("it does not know the answer to go on from"));
    }
}

/// Why a candidate would not be asked after all; and what it would not be told.
fn refusal(
    route: &Route,
    candidate: &Candidate,
    request: &Request<'_>,
    dropped: &mut Vec<String>,
) -> Option<String> {
    if let Some(budget) = demand::unpriced_in(route, request.asked.consumer, candidate) {
        let model = &candidate.model;
        return Some(format!(
            "model {model} has no price, and budget {} has a limit in USD",
            budget.name
        ));
    }
    let endpoint = request.asked.endpoint;
    if candidate.translator.is_local() || translated::cannot_count(endpoint, candidate) {
        return None;
    }
    let headers = request.asked.headers;
    match translated::translate(candidate, headers, (request.body, request.peek)) {
        Err(error) => {
            Some(format!("the request cannot be said in its provider's dialect: {error}"))
        }
        Ok(translated) => {
            dropped.clone_from(&translated.dropped);
            let is_strict = route.fidelity == Fidelity::Strict && !dropped.is_empty();
            is_strict
                .then(|| format!("the route is Strict, and it cannot take {}", dropped.join(", ")))
        }
    }
}

fn outcome(
    chosen: &Result<Choice, Refused>,
    weighed: &[Weighed],
    consumer: Option<&Consumer>,
) -> Outcome {
    let refused = |status, code: &'static str, message: String| Outcome { status, code, message };
    match chosen {
        Err(error) => {
            let message = error.to_string();
            match error.why {
                Why::UnknownModel if consumer.is_none() => refused(401, "invalid_api_key", message),
                Why::UnknownModel => refused(404, "model_not_found", message),
                Why::Fault(_) => refused(503, "route_unavailable", message),
                Why::NoRule => refused(404, "no_rule_matches", message),
                Why::NoCounterpart(_) => refused(400, "unsupported_endpoint", message),
            }
        }
        Ok(Choice { route, .. }) => {
            let unpriced = |target: &&Weighed| {
                let candidate = target.candidate.as_ref();
                candidate.is_some_and(|found| demand::unpriced_in(route, consumer, found).is_some())
            };
            let candidates = || weighed.iter().filter(|target| target.candidate.is_some());
            if candidates().all(|target| unpriced(&target)) {
                let why = candidates().find_map(|target| target.fate.passed_over.clone());
                return refused(403, "model_unpriced", why.unwrap_or_default());
            }
            match weighed.iter().any(Weighed::is_usable) {
                true => refused(200, "", format!("a target of route {} is asked", route.name)),
                false => refused(400, "invalid_request", "no target takes the request".to_owned()),
            }
        }
    }
}

/// What the request is refused with where no target has a price.
fn unpriced(outcome: &Outcome) -> Option<String> {
    (outcome.code == "model_unpriced").then(|| outcome.message.clone())
}

/// What part of the requests each target is asked first for, among those of the lowest priority that
/// can be asked; none of a later priority.
fn shares(weighed: &[Weighed]) -> Vec<Option<String>> {
    let usable = || weighed.iter().filter(|target| target.is_usable());
    let share = |target: &Weighed| {
        if !target.is_usable() {
            return None;
        }
        let equals = usable().filter(|other| other.fate.priority == target.fate.priority);
        let sum: u64 = equals.map(|other| u64::from(other.fate.weight)).sum();
        let tenths = (u64::from(target.fate.weight) * 1000 + sum / 2).checked_div(sum)?;
        Some(match tenths % 10 {
            0 => format!("{}%", tenths / 10),
            tenth => format!("{}.{tenth}%", tenths / 10),
        })
    };
    weighed.iter().map(share).collect()
}

fn rules(route: &Route, chosen: Option<&Arc<Rule>>, asked: &Asked<'_>) -> Vec<RuleFate> {
    let known = Known::new(asked);
    let mut reached = true;
    let each = route.rules.iter().map(|rule| {
        let held = reached.then(|| holds(rule, &known));
        if chosen.is_some_and(|chosen| Arc::ptr_eq(chosen, rule)) {
            reached = false;
        }
        let verdict = match held {
            None => "not reached".to_owned(),
            Some(Ok(true)) if rule.when.is_none() && rule.fault.is_none() => {
                "takes every request".to_owned()
            }
            Some(Ok(true)) => "holds".to_owned(),
            Some(Ok(false)) => "does not hold".to_owned(),
            Some(Err(error)) => format!("cannot be evaluated: {error}"),
        };
        RuleFate {
            name: rule.name.to_string(),
            when: rule.when.as_ref().map(|condition| condition.text().to_owned()),
            verdict,
            fault: rule.fault.as_deref().map(str::to_owned),
            facts: rule.when.as_ref().map(|when| facts(when, asked)).unwrap_or_default(),
        }
    });
    each.collect()
}

/// What a condition was told.
fn facts(condition: &Condition, asked: &Asked<'_>) -> serde_json::Map<String, serde_json::Value> {
    use crate::snapshot::condition::{Fact, FactValue, Facts as _};
    let told = condition.facts().iter().map(|&fact| {
        let value = match (fact, asked.fact(fact)) {
            (Fact::Now, FactValue::Int(_)) => asked.now.to_string().into(),
            (_, FactValue::Unusable(why)) => why.into(),
            (_, value) => value.to_json(),
        };
        (fact.name().to_owned(), value)
    });
    told.collect()
}

/// The budgets of a route, with what the request would reserve at worst.
fn budgets(route: &Route, weighed: &[Weighed], request: &Request<'_>) -> Vec<WeighedBudget> {
    let each = route.budgets.iter().map(|budget| {
        let counted = weighed.iter().filter(|target| target.is_usable()).filter_map(|target| {
            let candidate = target.candidate.as_ref()?;
            let (provider, model) = (&candidate.target.provider.name, &candidate.model);
            budget.counts_target(provider, model).then_some(target.size?)
        });
        let most = counted.reduce(|a, b| crate::budget::Amounts {
            cost: a.cost.max(b.cost),
            tokens: a.tokens.max(b.tokens),
            requests: a.requests.max(b.requests),
        });
        let why_not = match most {
            _ if !budget.counts_consumer(request.asked.consumer) => Some("it counts other callers"),
            None => Some("it counts other models or providers"),
            Some(_) => None,
        };
        let reserves = most.filter(|_| why_not.is_none()).map(|most| {
            let limits = budget.plan.limits.iter();
            limits.map(|limit| Reserved::of(limit, most)).collect()
        });
        WeighedBudget {
            name: budget.name.to_string(),
            binds: why_not.is_none(),
            mode: format!("{:?}", budget.plan.mode),
            why_not: why_not.map(str::to_owned),
            limits: reserves.unwrap_or_default(),
        }
    });
    each.collect()
}
