//! Rules of an AIRoute: their targets, and which of them can answer.

use std::{collections::BTreeSet, sync::Arc};

use crate::{
    api::{
        condition::{Reason, TargetStatus},
        route as api,
    },
    llm::Parameters,
    snapshot::{Condition, ObjectName, Rule, Target, TargetModel},
};

use super::{Inputs, Meta, Problem, Verdict, balance, provider::Providers};

/// What a rule's references are resolved in.
pub(super) struct Surroundings<'a> {
    /// The route.
    pub(super) meta: &'a Meta,
    /// All objects.
    pub(super) inputs: &'a Inputs,
    /// The providers that can be used.
    pub(super) providers: &'a Providers,
}

/// Compiles rules in their order. One without a usable target is compiled too: its requests get an
/// error that says why, rather than another rule's targets.
pub(super) fn compile_all(
    rules: &[api::Rule],
    surroundings: &Surroundings<'_>,
    verdict: &mut Verdict,
) -> Vec<Arc<Rule>> {
    if rules.is_empty() {
        verdict.errors.push(Problem::new(Reason::Invalid, "spec.rules is empty: add a rule"));
    }
    warn_unreachable(rules, verdict);
    let mut names = BTreeSet::new();
    let compiled = rules.iter().enumerate().map(|(place, rule)| {
        let name: Arc<str> = match &rule.name {
            Some(name) => name.as_str().into(),
            None => place.to_string().into(),
        };
        if !names.insert(Arc::clone(&name)) {
            let message = format!("two rules are called {name:?}: give each a name of its own");
            verdict.errors.push(Problem::new(Reason::Invalid, message));
        }
        let (when, unusable) = condition(rule, &name, verdict);
        let mistaken = unusable.as_ref().and(rule.when.as_deref()).map(Into::into);
        let before = verdict.problems().count();
        let targets = targets(rule, surroundings, verdict);
        let fault = unusable.or_else(|| fault(&targets, before, verdict));
        let balance = balance::balance(rule.balance);
        Arc::new(Rule { name, when, mistaken, balance, targets, fault })
    });
    compiled.collect()
}

/// The condition, or why it cannot be used. A rule without one is reached by every request that no
/// rule before it has taken, and so is one with a mistaken one: it answers with its fault, for nobody
/// knows which requests were meant, and the rules behind it would be wrong for them.
fn condition(
    rule: &api::Rule,
    name: &str,
    verdict: &mut Verdict,
) -> (Option<Condition>, Option<Arc<str>>) {
    let Some(text) = &rule.when else { return (None, None) };
    match Condition::compile(text) {
        Ok(condition) => (Some(condition), None),
        Err(mistake) => {
            let reason = Reason::InvalidCondition;
            let message = format!(
                "when of rule {name:?}, {mistake}; requests that come to this rule are answered \
                 with an error"
            );
            let excerpt = Some(mistake.excerpt);
            verdict.errors.push(Problem { excerpt, ..Problem::new(reason, message) });
            (None, Some(reason.as_str().into()))
        }
    }
}

/// Says of rules behind one without a condition that nothing reaches them.
fn warn_unreachable(rules: &[api::Rule], verdict: &mut Verdict) {
    let last = rules.iter().position(|rule| rule.when.is_none());
    if last.is_some_and(|last| last + 1 < rules.len()) {
        let message = "a rule without when takes every request, so the rules behind it are never \
                       reached: give it a when, or put it last";
        verdict.errors.push(Problem::new(Reason::Invalid, message));
    }
}

/// Why no request can be answered, if so.
pub(super) fn fault_of_all(rules: &[Arc<Rule>], verdict: &Verdict) -> Option<Arc<str>> {
    if rules.iter().any(|rule| rule.fault.is_none()) {
        return None;
    }
    let reason = verdict.problems().next().map_or("NoTarget", |problem| problem.reason.as_str());
    Some(reason.into())
}

/// Why no request that comes to these targets can be answered, if so. `before`: how many problems
/// there were before the rule was compiled.
fn fault(targets: &[Arc<Target>], before: usize, verdict: &mut Verdict) -> Option<Arc<str>> {
    if targets.iter().any(|target| target.weight > 0) {
        return None;
    }
    if verdict.problems().count() == before {
        let message = "every target has weight 0: give at least one a weight above 0";
        verdict.errors.push(Problem::new(Reason::Invalid, message));
    }
    let reason =
        verdict.problems().nth(before).map_or("NoTarget", |problem| problem.reason.as_str());
    Some(reason.into())
}

/// The targets whose provider can be used, by ascending priority.
fn targets(
    rule: &api::Rule,
    surroundings: &Surroundings<'_>,
    verdict: &mut Verdict,
) -> Vec<Arc<Target>> {
    let Surroundings { meta, inputs, providers } = surroundings;
    let mut names = BTreeSet::new();
    let mut targets = Vec::new();
    for target in &rule.targets {
        let namespace = target.provider_ref.namespace.as_deref().unwrap_or(&meta.name.namespace);
        let provider = ObjectName::new(namespace, target.provider_ref.name.as_str());
        let name = target_name(target);
        if !names.insert(name.clone()) {
            let message =
                format!("two targets of the rule are called {name:?}: give each a name of its own");
            verdict.errors.push(Problem::new(Reason::Invalid, message));
            continue;
        }
        let resolved = providers.resolve(&provider, &meta.name.namespace, inputs);
        verdict.targets.push(TargetStatus {
            name: name.clone(),
            provider: provider.to_string(),
            resolved: resolved.is_ok(),
            healthy: resolved.is_ok(),
        });
        match resolved {
            Ok(provider) => targets.push(Arc::new(Target {
                name: name.into(),
                provider,
                model: target_model(target.model.as_deref()),
                weight: u32::try_from(target.weight).unwrap_or_default(),
                priority: u32::try_from(target.priority).unwrap_or_default(),
                parameters: target.parameters.as_ref().map(parameters),
            })),
            Err(problem) => verdict.unresolved.push(problem),
        }
    }
    targets.sort_by_key(|target| target.priority);
    targets
}

fn target_name(target: &api::Target) -> String {
    match (&target.name, &target.model) {
        (Some(name), _) => name.clone(),
        (None, Some(model)) => format!("{}/{model}", target.provider_ref.name),
        (None, None) => target.provider_ref.name.clone(),
    }
}

fn target_model(model: Option<&str>) -> TargetModel {
    match model {
        None => TargetModel::AsAsked,
        Some(model) => match model.split_once('*') {
            None => TargetModel::Fixed(model.into()),
            Some((before, after)) => {
                TargetModel::Star { before: before.into(), after: after.into() }
            }
        },
    }
}

fn parameters(parameters: &api::Parameters) -> Parameters {
    let api::Parameters { set, default, remove } = parameters;
    Parameters { set: set.clone(), default: default.clone(), remove: remove.clone() }
}
