//! AIRoute to runtime route.

use std::sync::Arc;

use crate::{
    api::{AIRouteSpec, condition::Reason, route as api},
    llm::Endpoint,
    snapshot::{Fidelity, Hostname, Pattern, Route, Rule, Timeouts},
};

use super::{
    Inputs, Kind, Object, ObjectKey, Problem, Verdict, Verdicts, access, balance,
    budget::CompiledBudget,
    failover,
    provider::Providers,
    rule::{self, Surroundings},
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
    let session = balance::session(spec.session.as_ref())
        .map_err(|problem| verdict.errors.push(problem))
        .ok()?;
    let models = models(spec).map_err(|problem| verdict.errors.push(problem)).ok()?;
    let hostnames = hostnames(spec).map_err(|problem| verdict.errors.push(problem)).ok()?;
    let rules = rule::compile_all(&spec.rules, &Surroundings { meta, inputs, providers }, verdict);
    let fault = rule::fault_of_all(&rules, verdict);
    wait_for_endpoints(&rules, verdict);
    let fallback = failover::fallback(spec.fallback.as_ref());
    failover::warn(fallback, &rules, verdict);
    verdict.programmed = fault.is_none();
    Some(Route {
        name: meta.name.clone(),
        uid: meta.uid.clone(),
        created: meta.created,
        labels: meta.labels.clone(),
        models,
        hostnames,
        endpoints: spec.endpoints.iter().copied().flat_map(endpoints).copied().collect(),
        fidelity: match spec.fidelity {
            api::Fidelity::Lenient => Fidelity::Lenient,
            api::Fidelity::Strict => Fidelity::Strict,
        },
        access: access::compile(spec.access.as_ref(), &meta.name.namespace, inputs),
        rules,
        fault,
        timeouts: timeouts(spec.timeouts.as_ref()),
        session,
        retry: failover::retry(spec.retry.as_ref()),
        fallback,
        hedge: failover::hedge(spec.hedge.as_ref()),
        budgets: Vec::new(),
    })
}

/// Says so where every target is a Service that has no endpoint at the moment.
fn wait_for_endpoints(rules: &[Arc<Rule>], verdict: &mut Verdict) {
    let targets = rules.iter().flat_map(|rule| &rule.targets);
    let mut usable = targets.filter(|target| target.weight > 0).peekable();
    let Some(first) = usable.peek().map(|target| target.provider.name.clone()) else { return };
    if !usable.any(|target| target.provider.has_server()) {
        let message = format!(
            "no target has an endpoint that is ready: requests are answered by 503 until one is; see \
             the status of AIProvider {first}"
        );
        verdict.waiting.push(Problem::new(Reason::NoEndpoints, message));
    }
}

fn hostnames(spec: &AIRouteSpec) -> Result<Vec<Hostname>, Problem> {
    let parse = |text: &String| {
        Hostname::parse(text).ok_or_else(|| {
            let message = format!(
                "hostname {text:?} is no host: write it without a port, for example api.example.com \
                 or *.example.com"
            );
            Problem::new(Reason::Invalid, message)
        })
    };
    spec.hostnames.iter().map(parse).collect()
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
