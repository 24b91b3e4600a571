//! From a request to the targets that may answer it: route, rule, candidates. The order in which
//! candidates are tried is not decided here.

use std::{fmt, sync::Arc};

use crate::{
    llm::{Endpoint, Translator},
    snapshot::{
        Addressing, Model, Provider, Route, RouteTable, Rule, Target,
        condition::{Known, Unevaluable},
        table::Sought,
    },
};

use super::Asked;

/// Where a request goes.
pub struct Choice {
    /// The route.
    pub route: Arc<Route>,
    /// The rule of it that holds.
    pub rule: Arc<Rule>,
    /// The rule's targets that can answer, by priority; at least one.
    pub candidates: Vec<Candidate>,
    /// What was not known on the way to the rule.
    pub unevaluated: Unevaluated,
}

/// Rules whose condition could not be evaluated, with the reason: they did not hold.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Unevaluated(pub Vec<(Arc<str>, Unevaluable)>);

/// A request that goes nowhere.
#[derive(Debug)]
pub struct Refused {
    /// The route, if one takes the model.
    pub route: Option<Arc<Route>>,
    /// The rule that it came to.
    pub rule: Option<Arc<Rule>>,
    /// What was not known on the way.
    pub unevaluated: Unevaluated,
    /// Why.
    pub why: Why,
}

/// Why a request goes nowhere.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Why {
    /// No route has the model for this caller.
    UnknownModel,
    /// The targets cannot be used, whatever the request is; the reason that the route's status names.
    Fault(Arc<str>),
    /// No rule's condition holds.
    NoRule,
    /// No target has a counterpart for the endpoint.
    NoCounterpart(Endpoint),
}

/// A target that can answer the request.
pub struct Candidate {
    /// The target.
    pub target: Arc<Target>,
    /// The model to ask it for.
    pub model: Arc<str>,
    /// What is known of that model.
    pub terms: Model,
    /// How to talk to it.
    pub translator: Translator,
}

/// Why a target cannot answer.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum PassedOver {
    /// Its weight is 0.
    #[error("its weight is 0")]
    Drained,
    /// It takes the caller's own credential, which is of another service.
    #[error("it takes the caller's own credential, which is sent to one service only")]
    Foreign,
    /// Its provider has nothing like the endpoint.
    #[error("its provider has no counterpart for the endpoint")]
    NoCounterpart,
    /// Its provider is a Service without a server at the moment, and another target has one.
    #[error("no endpoint of its provider's Service is ready")]
    NoEndpoints,
}

/// Chooses the route, its rule, and the targets that can answer.
///
/// # Errors
/// If there is none.
pub fn choose(routes: &RouteTable, asked: &Asked<'_>) -> Result<Choice, Refused> {
    let Some(found) = routes.find(&asked.sought()) else { return Err(Refused::nowhere()) };
    let (route, mut unevaluated) = (found.route, Unevaluated::default());
    let holding = match &route.fault {
        Some(_) => None,
        None => first_that_holds(route, asked, &mut unevaluated),
    };
    let refuse = |rule: Option<&Arc<Rule>>, why, unevaluated| Refused {
        route: Some(Arc::clone(route)),
        rule: rule.cloned(),
        unevaluated,
        why,
    };
    let fault = route.fault.as_ref().or_else(|| holding?.fault.as_ref());
    if let Some(fault) = fault {
        return Err(refuse(holding, Why::Fault(Arc::clone(fault)), unevaluated));
    }
    let Some(rule) = holding else { return Err(refuse(None, Why::NoRule, unevaluated)) };
    let candidates: Vec<Candidate> =
        targets(rule, asked, found.star).filter_map(|(_, found)| found.ok()).collect();
    if candidates.is_empty() {
        return Err(refuse(holding, Why::NoCounterpart(asked.endpoint), unevaluated));
    }
    let (route, rule) = (Arc::clone(route), Arc::clone(rule));
    Ok(Choice { route, rule, candidates, unevaluated })
}

/// The targets of the request's route that serve this model, and the rule that has them: `first` if it
/// has some, else the first in order, whatever its condition. `None` if there is no such target.
pub fn serving(
    routes: &RouteTable,
    asked: &Asked<'_>,
    (first, model): (&Arc<Rule>, &str),
) -> Option<(Arc<Rule>, Vec<Candidate>)> {
    let found = routes.find(&asked.sought())?;
    let others = found.route.rules.iter().filter(|rule| !Arc::ptr_eq(rule, first));
    let usable = others.filter(|rule| rule.fault.is_none());
    std::iter::once(first).chain(usable).find_map(|rule| {
        let able = targets(rule, asked, found.star).filter_map(|(_, found)| found.ok());
        let candidates: Vec<_> = able.filter(|candidate| *candidate.model == *model).collect();
        (!candidates.is_empty()).then(|| (Arc::clone(rule), candidates))
    })
}

impl<'a> Asked<'a> {
    /// What decides between routes.
    pub fn sought(&self) -> Sought<'a> {
        Sought {
            model: self.model,
            consumer: self.consumer,
            endpoint: Some(self.endpoint),
            hostname: self.hostname,
        }
    }
}

fn first_that_holds<'r>(
    route: &'r Route,
    asked: &Asked<'_>,
    unevaluated: &mut Unevaluated,
) -> Option<&'r Arc<Rule>> {
    let known = Known::new(asked);
    route.rules.iter().find(|rule| match holds(rule, &known) {
        Ok(holds) => holds,
        Err(error) => {
            unevaluated.0.push((Arc::clone(&rule.name), error));
            false
        }
    })
}

/// Whether a rule takes a request that no rule before it has taken.
///
/// # Errors
/// If its condition cannot be evaluated: it does not take the request then.
pub fn holds(rule: &Rule, known: &Known<'_>) -> Result<bool, Unevaluable> {
    rule.when.as_ref().map_or(Ok(true), |condition| condition.holds(known))
}

/// The targets of a rule by priority, each with what talks to it, or why it cannot answer. Of those
/// that take the caller's own credential only the first and others of its service can: it is nobody
/// else's business. Those without a server are left to say so themselves if all are.
/// `star`: what the pattern's star matched.
pub fn targets<'r>(
    rule: &'r Rule,
    asked: &Asked<'_>,
    star: &str,
) -> impl Iterator<Item = (&'r Arc<Target>, Result<Candidate, PassedOver>)> {
    let usable = |target: &&Arc<Target>| target.weight > 0;
    let providers = rule.targets.iter().filter(usable).map(|target| &target.provider);
    let home = providers.clone().find(|provider| provider.is_passthrough());
    let judge = move |target: &Arc<Target>| {
        let is_foreign = |provider: &Provider| {
            provider.is_passthrough() && home.is_some_and(|home| !home.is_same_service(provider))
        };
        match () {
            () if target.weight == 0 => Err(PassedOver::Drained),
            () if is_foreign(&target.provider) => Err(PassedOver::Foreign),
            () => candidate(target, asked, star).ok_or(PassedOver::NoCounterpart),
        }
    };
    let has_server = |target: &&Arc<Target>| target.provider.has_server();
    let another_has = !rule.targets.iter().all(|target| has_server(&target))
        && rule.targets.iter().filter(has_server).any(|target| judge(target).is_ok());
    rule.targets.iter().map(move |target| {
        let found = judge(target).and_then(|candidate| match has_server(&target) || !another_has {
            true => Ok(candidate),
            false => Err(PassedOver::NoEndpoints),
        });
        (target, found)
    })
}

fn candidate(target: &Arc<Target>, asked: &Asked<'_>, star: &str) -> Option<Candidate> {
    let model: Arc<str> = target.model.resolve(asked.model, star).into();
    let provider = &target.provider;
    let translator = Translator::new(asked.endpoint, provider.dialects(&model)).ok()?;
    let mut translator = translator.with_quirks(provider.quirks);
    if provider.addressing == Addressing::Vertex {
        translator = translator.on_vertex();
    }
    let terms = provider.model(&model);
    Some(Candidate { target: target.clone(), model, terms, translator })
}

impl Refused {
    fn nowhere() -> Self {
        let unevaluated = Unevaluated::default();
        Self { route: None, rule: None, unevaluated, why: Why::UnknownModel }
    }
}

impl fmt::Display for Unevaluated {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, (rule, error)) in self.0.iter().enumerate() {
            let comma = if index == 0 { "" } else { ", " };
            write!(f, "{comma}{rule}: {error}")?;
        }
        Ok(())
    }
}

/// For the caller: names the route and its rules, and nothing of their conditions.
impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(route) = &self.route else {
            return f.write_str("no route serves the model to this caller");
        };
        let name = &route.name;
        match &self.why {
            Why::UnknownModel => f.write_str("no route serves the model to this caller"),
            Why::Fault(fault) => write!(
                f,
                "route {name} cannot serve: {fault}; its owner finds more in the status of the AIRoute"
            ),
            Why::NoRule => {
                let rules: Vec<&str> = route.rules.iter().map(|rule| &*rule.name).collect();
                write!(f, "no rule of route {name} takes this request, of: {}", rules.join(", "))?;
                match self.unevaluated.0.is_empty() {
                    true => Ok(()),
                    false => write!(f, " (not evaluated: {})", self.unevaluated),
                }
            }
            Why::NoCounterpart(endpoint) => write!(
                f,
                "no target of route {name} has a counterpart for {}: ask another model",
                endpoint.path()
            ),
        }
    }
}
