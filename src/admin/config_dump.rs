//! The configuration in use, for people: no secret, no digest of one.

use serde_json::{Value, json};

use crate::snapshot::{
    Budget, Condition, Consumer, Direct, FailureClasses, Identity, Provider, Route, Rule,
    SessionKey, Snapshot, Target, TargetModel,
};

/// The snapshot as JSON.
pub(super) fn dump(snapshot: &Snapshot) -> Value {
    let Snapshot { routes, consumers, providers, direct, budgets } = snapshot;
    let mut consumers: Vec<_> = consumers.iter().collect();
    consumers.sort_by(|a, b| a.name.cmp(&b.name));
    json!({
        "routes": routes.iter().map(|route| self::route(route)).collect::<Vec<_>>(),
        "providers": providers.values().map(|provider| self::provider(provider)).collect::<Vec<_>>(),
        "directAccess": direct.values().map(|direct| self::direct(direct)).collect::<Vec<_>>(),
        "budgets": budgets.iter().map(|budget| self::budget(budget)).collect::<Vec<_>>(),
        "consumers": consumers.into_iter().map(|consumer| self::consumer(consumer)).collect::<Vec<_>>(),
    })
}

fn route(route: &Route) -> Value {
    json!({
        "name": route.name.to_string(),
        "models": route.models.iter().map(ToString::to_string).collect::<Vec<_>>(),
        "hostnames": route.hostnames.iter().map(ToString::to_string).collect::<Vec<_>>(),
        "anonymous": route.access.anonymous,
        "fault": route.fault,
        "session": route.session.iter().map(session_key).collect::<Vec<_>>(),
        "rules": route.rules.iter().map(|rule| self::rule(rule)).collect::<Vec<_>>(),
        "budgets": route.budgets.iter().map(|budget| budget.name.to_string()).collect::<Vec<_>>(),
        "timeoutsMs": {
            "firstToken": route.timeouts.first_token.as_millis(),
            "idle": route.timeouts.idle.as_millis(),
            "total": route.timeouts.total.as_millis(),
        },
        "retry": {
            "attempts": route.retry.attempts,
            "failures": failures(route.retry.on),
            "backoffMs": [route.retry.base.as_millis(), route.retry.max.as_millis()],
            "withinMs": route.retry.within.as_millis(),
        },
        "fallback": failures(route.fallback.on),
        "hedgeMs": route.hedge.map(|hedge| hedge.delay.as_millis()),
    })
}

fn rule(rule: &Rule) -> Value {
    json!({
        "name": rule.name,
        "when": rule.when.as_ref().map(Condition::text),
        "balance": format!("{:?}", rule.balance),
        "fault": rule.fault,
        "targets": rule.targets.iter().map(|target| self::target(target)).collect::<Vec<_>>(),
    })
}

/// A session's key in the words of a manifest.
fn session_key(key: &SessionKey) -> String {
    match key {
        SessionKey::Header(name) => format!("header:{name}"),
        SessionKey::Body(path) => format!("body:{}", path.join(".")),
        SessionKey::Consumer => "consumer".to_owned(),
        SessionKey::User => "user".to_owned(),
        SessionKey::ConsumerAndUser => "consumer+user".to_owned(),
    }
}

/// Their names as in a manifest.
fn failures(classes: FailureClasses) -> Vec<String> {
    classes.iter().map(|class| format!("{class:?}")).collect()
}

fn target(target: &Target) -> Value {
    let model = match &target.model {
        TargetModel::AsAsked => "as asked".to_owned(),
        TargetModel::Fixed(model) => model.to_string(),
        TargetModel::Star { before, after } => format!("{before}*{after}"),
    };
    json!({
        "name": target.name,
        "provider": target.provider.name.to_string(),
        "model": model,
        "weight": target.weight,
        "priority": target.priority,
    })
}

fn provider(provider: &Provider) -> Value {
    json!({
        "name": provider.name.to_string(),
        "type": provider.kind,
        "endpoint": provider.endpoint.to_string(),
        "apiKeys": provider
            .credentials
            .iter()
            .map(|credential| json!({ "secret": credential.source, "weight": credential.weight }))
            .collect::<Vec<_>>(),
        "identity": provider.identity.as_deref().map(identity),
        "headers": provider.headers.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>(),
        "models": provider.models.len(),
        "limits": {
            "concurrentRequests": provider.limits.concurrent_requests,
            "requestsPerMinute": provider.limits.requests_per_minute,
            "tokensPerMinute": provider.limits.tokens_per_minute,
        },
        "ejection": {
            "consecutiveFailures": provider.ejection.consecutive_failures,
            "baseMs": provider.ejection.base.as_millis(),
            "maxMs": provider.ejection.max.as_millis(),
        },
    })
}

/// Whose identity it is, without what proves it.
fn identity(identity: &Identity) -> Value {
    let cloud = match identity {
        Identity::Aws(_) => "aws",
        Identity::Gcp(_) => "gcp",
        Identity::Azure(_) => "azure",
        Identity::Caller => return json!({ "passthrough": true }),
    };
    let role = match identity {
        Identity::Aws(aws) => aws.role.as_ref().map(|role| &*role.arn),
        _ => None,
    };
    json!({ "cloud": cloud, "gatewaysOwn": identity.is_own(), "role": role })
}

fn direct(direct: &Direct) -> Value {
    let budgets = direct.budgets.iter().map(|counting| counting.budget.name.to_string());
    json!({
        "provider": direct.provider.name.to_string(),
        "paths": direct.paths,
        "budgets": budgets.collect::<Vec<_>>(),
    })
}

fn budget(budget: &Budget) -> Value {
    let limit = |limit: &crate::budget::Limit| json!({ "name": limit.name, "max": limit.unit.describe(limit.amount) });
    json!({
        "name": budget.name.to_string(),
        "limits": budget.plan.limits.iter().map(limit).collect::<Vec<_>>(),
        "mode": format!("{:?}", budget.plan.mode),
    })
}

fn consumer(consumer: &Consumer) -> Value {
    json!({
        "secret": consumer.name.to_string(),
        "app": consumer.app,
        "team": consumer.team,
        "environment": consumer.environment,
        "expires": consumer.expires.map(|time| time.to_string()),
    })
}
