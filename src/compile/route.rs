//! AIRoute to runtime route.

use std::{collections::BTreeSet, sync::Arc};

use crate::{
    api::{
        AIRouteSpec,
        condition::{Reason, TargetStatus},
        route as api,
    },
    llm::{Endpoint, Parameters},
    snapshot::{Fidelity, ObjectName, Pattern, Route, Target, TargetModel, Timeouts},
};

use super::{
    Inputs, Kind, Meta, Object, ObjectKey, Problem, Verdict, Verdicts, access,
    budget::CompiledBudget, provider::Providers,
};

/// Compiles every AIRoute. A route without a usable target is compiled too: it answers its models
/// with an error that says why, rather than pretending that they do not exist.
pub(super) fn compile_all(
    inputs: &Inputs,
    providers: &Providers,
    budgets: &[CompiledBudget],
    verdicts: &mut Verdicts,
) -> Vec<Arc<Route>> {
    let mut routes = Vec::new();
    for (name, object) in &inputs.routes {
        let mut verdict = Verdict::new(object.meta.generation);
        if let Some(mut route) = compile(object, inputs, providers, &mut verdict) {
            let selecting = budgets.iter().filter(|b| b.selects(&route.name, &route.labels));
            route.budgets = selecting.map(|budget| budget.budget.clone()).collect();
            routes.push(Arc::new(route));
        }
        verdicts.insert(ObjectKey { kind: Kind::Route, name: name.clone() }, verdict);
    }
    routes
}

fn compile(
    object: &Object<AIRouteSpec>,
    inputs: &Inputs,
    providers: &Providers,
    verdict: &mut Verdict,
) -> Option<Route> {
    let meta = &object.meta;
    let spec = match &object.spec {
        Ok(spec) => spec,
        Err(error) => {
            verdict.errors.push(Problem::new(Reason::Invalid, error));
            return None;
        }
    };
    let models = models(spec).map_err(|problem| verdict.errors.push(problem)).ok()?;
    let Some(rule) = spec.rules.first() else {
        verdict.errors.push(Problem::new(Reason::Invalid, "spec.rules is empty: add a rule"));
        return None;
    };
    let targets = targets(meta, rule, inputs, providers, verdict);
    let fault = fault(&targets, verdict);
    verdict.programmed = fault.is_none();
    Some(Route {
        name: meta.name.clone(),
        uid: meta.uid.clone(),
        created: meta.created,
        labels: meta.labels.clone(),
        models,
        endpoints: spec.endpoints.iter().copied().flat_map(endpoints).copied().collect(),
        fidelity: match spec.fidelity {
            api::Fidelity::Lenient => Fidelity::Lenient,
            api::Fidelity::Strict => Fidelity::Strict,
        },
        access: access::compile(spec.access.as_ref(), &meta.name.namespace, inputs),
        rule: rule.name.as_deref().unwrap_or("0").into(),
        targets,
        fault,
        timeouts: timeouts(spec.timeouts.as_ref()),
        budgets: Vec::new(),
    })
}

/// Why no request can be answered, if so.
fn fault(targets: &[Arc<Target>], verdict: &mut Verdict) -> Option<Arc<str>> {
    if targets.iter().any(|target| target.weight > 0) {
        return None;
    }
    if verdict.problems().next().is_none() {
        let message = "every target has weight 0: give at least one a weight above 0";
        verdict.errors.push(Problem::new(Reason::Invalid, message));
    }
    let reason = verdict.problems().next().map_or("NoTarget", |problem| problem.reason.as_str());
    Some(reason.into())
}

fn models(spec: &AIRouteSpec) -> Result<Vec<Pattern>, Problem> {
    let parse = |text: &String| {
        Pattern::parse(text).ok_or_else(|| {
            let message = format!(
                "model pattern {text:?} has a * that is not at its start or end: write for example gpt-*"
            );
            Problem::new(Reason::Invalid, message)
        })
    };
    spec.models.iter().map(parse).collect()
}

/// The targets whose provider can be used, by ascending priority.
fn targets(
    meta: &Meta,
    rule: &api::Rule,
    inputs: &Inputs,
    providers: &Providers,
    verdict: &mut Verdict,
) -> Vec<Arc<Target>> {
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

/// The endpoints of the data port that a name stands for.
fn endpoints(endpoint: api::RouteEndpoint) -> &'static [Endpoint] {
    use api::RouteEndpoint as Named;
    match endpoint {
        Named::ChatCompletions => &[Endpoint::ChatCompletions],
        Named::Completions => &[Endpoint::Completions],
        Named::Responses => &[Endpoint::Responses],
        Named::Messages => &[Endpoint::Messages, Endpoint::CountTokens],
        Named::GenerateContent => &[Endpoint::GenerateContent, Endpoint::GeminiCountTokens],
        Named::Embeddings => {
            &[Endpoint::Embeddings, Endpoint::EmbedContent, Endpoint::BatchEmbedContents]
        }
        Named::Images => &[Endpoint::Images, Endpoint::ImageEdits, Endpoint::ImageVariations],
        Named::Speech => &[Endpoint::Speech],
        Named::Transcriptions => &[Endpoint::Transcriptions, Endpoint::Translations],
        Named::Moderations => &[Endpoint::Moderations],
        Named::Rerank => &[Endpoint::Rerank],
    }
}

fn parameters(parameters: &api::Parameters) -> Parameters {
    let api::Parameters { set, default, remove } = parameters;
    Parameters { set: set.clone(), default: default.clone(), remove: remove.clone() }
}

fn timeouts(timeouts: Option<&api::RouteTimeouts>) -> Timeouts {
    let default = Timeouts::default();
    let Some(api::RouteTimeouts { first_token, idle, total }) = timeouts else { return default };
    let first = first_token.as_ref().map(crate::api::duration::Duration::get);
    Timeouts {
        first_token: first.unwrap_or(default.first_token),
        first_byte: first,
        idle: idle.as_ref().map_or(default.idle, crate::api::duration::Duration::get),
        total: total.as_ref().map_or(default.total, crate::api::duration::Duration::get),
    }
}
