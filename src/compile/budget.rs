//! AIBudget to runtime budget.

use std::sync::Arc;

use http::HeaderName;

use crate::{
    api::{
        AIBudgetSpec,
        budget::{self as api, BudgetSelector},
        condition::Reason,
    },
    budget::{BudgetPlan, Limit, Mode, NanoUsd, Period, Unit, Window},
    snapshot::{
        Budget, CREDENTIAL_HEADERS, Dimension, ObjectName, Pattern, Unpriced, selector::Labels,
    },
};

use super::{Inputs, Kind, Meta, ObjectKey, Problem, Verdict, Verdicts, selector};

/// A budget with the part of its selection that is decided here.
pub(super) struct CompiledBudget {
    pub(super) budget: Arc<Budget>,
    namespace: Option<Arc<str>>,
    routes: Option<api::RouteSelector>,
}

impl CompiledBudget {
    /// Whether the route's requests count.
    pub(super) fn selects(&self, route: &ObjectName, labels: &Labels) -> bool {
        self.namespace.as_ref().is_none_or(|namespace| *namespace == route.namespace)
            && self.routes.as_ref().is_none_or(|routes| {
                let named =
                    routes.names.is_empty() || routes.names.iter().any(|n| **n == *route.name);
                named && selector::labels(&routes.match_labels).matches(labels)
            })
    }

    /// The budget, if direct calls of this provider may count, and whether they do whatever the
    /// namespaces are. A budget of certain routes counts these alone.
    pub(super) fn direct(&self, provider: &ObjectName) -> Option<(bool, Arc<Budget>)> {
        let providers = &self.budget.providers;
        let counts =
            self.routes.is_none() && (providers.is_empty() || providers.contains(provider));
        counts.then(|| (self.namespace.is_none(), self.budget.clone()))
    }
}

/// Compiles every AIBudget.
pub(super) fn compile_all(inputs: &Inputs, verdicts: &mut Verdicts) -> Vec<CompiledBudget> {
    let mut budgets = Vec::new();
    for (name, object) in &inputs.budgets {
        let mut verdict = Verdict::new(object.meta.generation);
        let compiled = match &object.spec {
            Err(error) => Err(Problem::new(Reason::Invalid, error)),
            Ok(spec) => compile(&object.meta, spec, &inputs.settings.gateway_namespace),
        };
        match compiled {
            Ok(budget) => {
                verdict.programmed = true;
                budgets.push(budget);
            }
            Err(problem) => verdict.errors.push(problem),
        }
        verdicts.insert(ObjectKey { kind: Kind::Budget, name: name.clone() }, verdict);
    }
    budgets
}

fn compile(meta: &Meta, spec: &AIBudgetSpec, gateway: &str) -> Result<CompiledBudget, Problem> {
    let invalid = |message: String| Problem::new(Reason::Invalid, message);
    let BudgetSelector { routes, consumers, models, providers, all_namespaces } = &spec.selector;
    if *all_namespaces && *meta.name.namespace != *gateway {
        return Err(invalid(format!(
            "selector.allNamespaces is for budgets in the gateway's own namespace {gateway}: \
             move the budget there or remove the field"
        )));
    }
    let limits: Vec<_> =
        spec.limits.iter().map(limit).collect::<Result<_, _>>().map_err(invalid)?;
    let models =
        models.iter().map(|text| pattern(text)).collect::<Result<_, _>>().map_err(invalid)?;
    let providers: Vec<_> =
        providers.iter().map(|text| provider(text)).collect::<Result<_, _>>().map_err(invalid)?;
    let per =
        spec.per.iter().map(|text| dimension(text)).collect::<Result<_, _>>().map_err(invalid)?;
    let plan = BudgetPlan {
        uid: meta.uid.clone(),
        namespace: meta.name.namespace.clone(),
        name: meta.name.name.clone(),
        limits,
        mode: match spec.mode {
            api::Mode::Enforce => Mode::Enforce,
            api::Mode::Shadow => Mode::Shadow,
        },
    };
    let budget = Budget {
        name: meta.name.clone(),
        plan: Arc::new(plan),
        consumers: consumers.as_ref().map(selector::compile),
        models,
        providers,
        per,
        downgrade: spec.on_exceeded.as_ref().map(downgrade).transpose().map_err(invalid)?.flatten(),
        unpriced: match spec.unpriced {
            api::Unpriced::Deny => Unpriced::Deny,
            api::Unpriced::Allow => Unpriced::Allow,
        },
    };
    Ok(CompiledBudget {
        budget: Arc::new(budget),
        namespace: (!all_namespaces).then(|| meta.name.namespace.clone()),
        routes: routes.clone(),
    })
}

fn limit(limit: &api::Limit) -> Result<Limit, String> {
    let whole = || {
        limit.amount.parse().map_err(|_| {
            format!("limit {}: amount {:?} is not a whole number", limit.name, limit.amount)
        })
    };
    let (unit, amount) = match limit.unit {
        api::Unit::USD => {
            let usd = NanoUsd::from_decimal(&limit.amount)
                .map_err(|error| format!("limit {}: amount: {error}", limit.name))?;
            (Unit::Usd, usd.0)
        }
        api::Unit::Tokens => (Unit::Tokens, whole()?),
        api::Unit::InputTokens => (Unit::InputTokens, whole()?),
        api::Unit::OutputTokens => (Unit::OutputTokens, whole()?),
        api::Unit::Requests => (Unit::Requests, whole()?),
        api::Unit::Concurrent => (Unit::Concurrent, whole()?),
    };
    if amount == 0 {
        return Err(format!("limit {}: amount must be above 0", limit.name));
    }
    Ok(Limit { name: limit.name.as_str().into(), unit, amount, window: window(limit)? })
}

fn window(limit: &api::Limit) -> Result<Window, String> {
    let window = match (&limit.window, limit.unit) {
        (None, api::Unit::Concurrent) => return Ok(Window::Present),
        (Some(_), api::Unit::Concurrent) => {
            return Err(format!(
                "limit {}: Concurrent counts the requests under way: remove window",
                limit.name
            ));
        }
        (None, _) => {
            return Err(format!(
                "limit {}: window is missing: write for example window: {{sliding: 1m}} or \
                 window: {{calendar: Month}}",
                limit.name
            ));
        }
        (Some(window), _) => window,
    };
    let zone = window.time_zone.as_deref().unwrap_or("UTC");
    match (&window.sliding, window.calendar) {
        (Some(length), None) => Ok(Window::Sliding { length: length.get() }),
        (None, Some(calendar)) => {
            let period = match calendar {
                api::Calendar::Day => Period::Day,
                api::Calendar::Week => Period::Week,
                api::Calendar::Month => Period::Month,
                api::Calendar::Quarter => Period::Quarter,
                api::Calendar::Year => Period::Year,
            };
            Window::calendar(period, zone).map_err(|_| {
                format!(
                    "limit {}: time zone {zone:?} is unknown: write an IANA name such as Europe/Berlin",
                    limit.name
                )
            })
        }
        _ => Err(format!("limit {}: a window is either sliding or calendar", limit.name)),
    }
}

fn downgrade(exceeded: &api::OnExceeded) -> Result<Option<Arc<str>>, String> {
    match (exceeded.action, &exceeded.model) {
        (api::ExceededAction::Reject, None) => Ok(None),
        (api::ExceededAction::Downgrade, Some(model)) => Ok(Some(model.as_str().into())),
        _ => Err(
            "onExceeded: model goes with action: Downgrade, and action: Downgrade needs a model"
                .to_owned(),
        ),
    }
}

fn pattern(text: &str) -> Result<Pattern, String> {
    Pattern::parse(text)
        .ok_or_else(|| format!("model pattern {text:?} has a * that is not at its start or end"))
}

fn provider(text: &str) -> Result<ObjectName, String> {
    text.split_once('/')
        .map(|(namespace, name)| ObjectName::new(namespace, name))
        .ok_or_else(|| format!("provider {text:?} is not namespace/name"))
}

fn dimension(text: &str) -> Result<Dimension, String> {
    Ok(match text {
        "Consumer" => Dimension::Consumer,
        "App" => Dimension::App,
        "Team" => Dimension::Team,
        "Environment" => Dimension::Environment,
        "User" => Dimension::User,
        "Route" => Dimension::Route,
        "Model" => Dimension::Model,
        "Provider" => Dimension::Provider,
        "Namespace" => Dimension::Namespace,
        other => Dimension::Header(header(other)?),
    })
}

fn header(text: &str) -> Result<HeaderName, String> {
    let name: HeaderName = text
        .strip_prefix("Header:")
        .and_then(|name| name.parse().ok())
        .ok_or_else(|| format!("per {text:?} is unknown"))?;
    // The CRD refuses them too; an object may be older than its rule.
    if CREDENTIAL_HEADERS.contains(&name.as_str()) {
        return Err(format!(
            "per {text:?}: this header carries credentials, and subjects are written into status \
             for everyone who may read it: use Consumer to count by API key"
        ));
    }
    Ok(name)
}
