//! Why a request would go where it goes, and why not elsewhere. Decides nothing: every answer comes from
//! what the proxy asks too ([`choose()`], `holds`, `targets`, `demand`, `translated`); health,
//! sessions and counters, which no manifest has, are left out.

mod passed;
mod report;

use std::sync::Arc;

use bytes::Bytes;

use crate::{
    llm::{InputEstimate, Peek},
    snapshot::{Balance, Condition, Consumer, Fidelity, Route, Rule, Snapshot, condition::Known},
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
    let budgets = route.map(|route| budgets(route, &weighed, request)).unwrap_or_default();
    let balance = rule.map(|rule| rule.balance);
    let shares = shares(&weighed, balance);
    let targets = weighed.into_iter().zip(shares);
    Explanation {
        outcome,
        route: route.map(|route| route.name.to_string()),
        rule: rule.map(|rule| rule.name.to_string()),
        balance: balance.map(|balance| format!("{balance:?}")),
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
                    fate.expected_usd = size.expected_cost(&candidate).map(|cost| cost.to_string());
                    fate.worst_case_usd = Some(worst.cost.to_string());
                }
                fate.worst_case_tokens = Some(worst.tokens);
                fate.passed_over = unpriced(route, &candidate, request.asked.consumer);
                if fate.passed_over.is_none() {
                    translate(route, &candidate, request, &mut fate);
                }
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

/// Why a budget keeps a candidate from being asked.
fn unpriced(route: &Route, candidate: &Candidate, consumer: Option<&Consumer>) -> Option<String> {
    let budget = demand::unpriced_in(route, consumer, candidate)?;
    let model = &candidate.model;
    Some(format!("model {model} has no price, and budget {} has a limit in USD", budget.name))
}

/// What a candidate would not be told, and whether that keeps it from being asked.
fn translate(route: &Route, candidate: &Candidate, request: &Request<'_>, fate: &mut TargetFate) {
    let (endpoint, headers) = (request.asked.endpoint, request.asked.headers);
    if candidate.translator.is_local() || translated::cannot_count(endpoint, candidate) {
        return;
    }
    match translated::translate(candidate, headers, (request.body, request.peek)) {
        Err(error) => fate.refuses = Some(error.to_string()),
        Ok(translated) => {
            fate.dropped = translated.dropped;
            if route.fidelity == Fidelity::Strict && !fate.dropped.is_empty() {
                let names = fate.dropped.join(", ");
                fate.passed_over = Some(format!("the route is Strict, and it cannot take {names}"));
            }
        }
    }
}

fn outcome(
    chosen: &Result<Choice, Refused>,
    weighed: &[Weighed],
    consumer: Option<&Consumer>,
) -> Outcome {
    let (status, code, message) = match chosen {
        Err(error) => {
            let (status, code) = match error.why {
                Why::UnknownModel if consumer.is_none() => (401, "invalid_api_key"),
                Why::UnknownModel => (404, "model_not_found"),
                Why::Fault(_) => (503, "route_unavailable"),
                Why::NoRule => (404, "no_rule_matches"),
                Why::NoCounterpart(_) => (400, "unsupported_endpoint"),
            };
            (status, code, error.to_string())
        }
        Ok(Choice { route, .. }) => asked(route, weighed, consumer),
    };
    Outcome { status, code, message }
}

/// The outcome where there are candidates.
fn asked(
    route: &Route,
    weighed: &[Weighed],
    consumer: Option<&Consumer>,
) -> (u16, &'static str, String) {
    let mut candidates = weighed.iter().filter_map(|target| target.candidate.as_ref());
    if let Some(why) = candidates.clone().next().and_then(|one| unpriced(route, one, consumer))
        && candidates.all(|candidate| unpriced(route, candidate, consumer).is_some())
    {
        return (403, "model_unpriced", why);
    }
    let usable = || weighed.iter().filter(|target| target.is_usable());
    let first = usable().map(|target| target.fate.priority).min();
    let mut asked_first = usable().filter(|target| Some(target.fate.priority) == first).peekable();
    if asked_first.peek().is_none() {
        let why = weighed.iter().find_map(|target| target.fate.passed_over.clone());
        return (400, "invalid_request", why.unwrap_or_default());
    }
    match asked_first.map(|target| target.fate.refuses.clone()).collect::<Option<Vec<_>>>() {
        Some(reasons) => (400, "invalid_request", reasons.join("; ")),
        None => (200, "", format!("a target of route {} is asked", route.name)),
    }
}

/// What part of the requests each target is asked first for, among those of the lowest priority that
/// can be asked. Other balances than by weight go by the state of the targets, which is not known here.
fn shares(weighed: &[Weighed], balance: Option<Balance>) -> Vec<Option<String>> {
    let usable = || weighed.iter().filter(|target| target.is_usable());
    let share = |target: &Weighed| {
        if !target.is_usable() || balance != Some(Balance::Weighted) {
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
