//! From a request to the targets that may answer it: route, rule, candidates. The order in which
//! candidates are tried is not decided here.

use std::sync::Arc;

use crate::{
    llm::{Endpoint, Translator},
    snapshot::{
        Addressing, Consumer, Model, ObjectName, Provider, Route, RouteTable, Rule, Target,
    },
};

/// What decides where a request goes.
#[derive(Clone, Copy, Debug)]
pub struct Asked<'a> {
    /// The model as the caller named it.
    pub model: &'a str,
    /// Who calls.
    pub consumer: Option<&'a Consumer>,
    /// What is called.
    pub endpoint: Endpoint,
}

/// Where a request goes.
pub struct Choice {
    /// The route.
    pub route: Arc<Route>,
    /// The rule of it that holds.
    pub rule: Arc<Rule>,
    /// The rule's targets that can answer, by priority; at least one.
    pub candidates: Vec<Candidate>,
}

/// Why a request goes nowhere.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum Refused {
    /// No route has the model for this caller.
    #[error("no route serves the model to this caller")]
    UnknownModel,
    /// None of the targets can be used, whatever the request is.
    #[error(
        "route {route} cannot serve: {fault}; its owner finds more in the status of the AIRoute"
    )]
    Fault {
        /// The route.
        route: ObjectName,
        /// The reason that its status names.
        fault: Arc<str>,
    },
    /// No target has a counterpart for the endpoint.
    #[error(
        "no target of route {route} has a counterpart for {}: ask another model", endpoint.path()
    )]
    NoCounterpart {
        /// The route.
        route: ObjectName,
        /// What was called.
        endpoint: Endpoint,
    },
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

/// Chooses the route, its rule, and the targets that can answer.
///
/// # Errors
/// If there is none.
pub fn choose(routes: &RouteTable, asked: &Asked<'_>) -> Result<Choice, Refused> {
    let found = routes.find(asked.model, asked.consumer, Some(asked.endpoint));
    let found = found.ok_or(Refused::UnknownModel)?;
    let route = found.route;
    let refuse =
        |fault: &Arc<str>| Refused::Fault { route: route.name.clone(), fault: fault.clone() };
    if let Some(fault) = &route.fault {
        return Err(refuse(fault));
    }
    let rule = route.rules.first().ok_or_else(|| refuse(&"NoTarget".into()))?;
    if let Some(fault) = &rule.fault {
        return Err(refuse(fault));
    }
    let candidates = candidates(rule, asked.endpoint, asked.model, found.star);
    if candidates.is_empty() {
        let (route, endpoint) = (route.name.clone(), asked.endpoint);
        return Err(Refused::NoCounterpart { route, endpoint });
    }
    Ok(Choice { route: Arc::clone(route), rule: Arc::clone(rule), candidates })
}

/// The targets of a rule that can answer, by priority. Targets with weight 0 never do, nor those
/// whose provider has no counterpart for the endpoint. Of those that take the caller's own credential
/// only the first and others of its service do: it is nobody else's business.
fn candidates(rule: &Rule, endpoint: Endpoint, asked: &str, star: &str) -> Vec<Candidate> {
    let usable = rule.targets.iter().filter(|target| target.weight > 0);
    let providers = || usable.clone().map(|target| &target.provider);
    let home = providers().find(|provider| provider.is_passthrough());
    let is_foreign = |provider: &Provider| {
        provider.is_passthrough() && home.is_some_and(|home| !home.is_same_service(provider))
    };
    usable
        .clone()
        .filter(|target| !is_foreign(&target.provider))
        .filter_map(|target| {
            let model: Arc<str> = target.model.resolve(asked, star).into();
            let provider = &target.provider;
            let translator = Translator::new(endpoint, provider.dialects(&model)).ok()?;
            let mut translator = translator.with_quirks(provider.quirks);
            if provider.addressing == Addressing::Vertex {
                translator = translator.on_vertex();
            }
            let terms = provider.model(&model);
            Some(Candidate { target: target.clone(), model, terms, translator })
        })
        .collect()
}
