//! The states of targets as metrics show them: those that are configured. A model that only a caller
//! names has no series.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use tokio::time::Instant;

use crate::{
    route::{Targets, View},
    snapshot::{Pattern, Provider, Route, Snapshot, Target, TargetModel},
    telemetry::{AccountSample, Samples, TargetSample},
};

/// The configured targets that have been asked, and the accounts that have limits.
pub fn samples(targets: &Targets, snapshot: &Snapshot) -> Samples {
    let now = Instant::now().into_std();
    let limited = snapshot.providers.values().filter(|provider| !provider.limits.is_unlimited());
    let account = |provider: &Arc<Provider>| AccountSample {
        provider: provider.name.to_string(),
        passed_over: targets.account(&provider.uid, now).passed_over(),
    };
    let accounts = limited.map(account).collect();
    Samples { targets: asked(targets, snapshot, now), accounts }
}

fn asked(targets: &Targets, snapshot: &Snapshot, now: std::time::Instant) -> Vec<TargetSample> {
    let views = targets.views(now).into_iter();
    let views: HashMap<_, View> =
        views.map(|view| ((Arc::clone(&view.provider), Arc::clone(&view.model)), view)).collect();
    let (mut shown, mut samples) = (HashSet::new(), Vec::new());
    for route in snapshot.routes.iter() {
        for target in route.rules.iter().flat_map(|rule| &rule.targets) {
            for model in models(route, target) {
                let provider = &target.provider;
                let key = (Arc::clone(&provider.uid), model);
                let Some(view) = views.get(&key) else { continue };
                if shown.insert(key) {
                    samples.push(sample(provider.name.to_string(), view));
                }
            }
        }
    }
    samples
}

fn sample(provider: String, view: &View) -> TargetSample {
    TargetSample {
        provider,
        model: Arc::clone(&view.model),
        healthy: view.healthy,
        ejections: view.ejections,
        in_flight: view.in_flight,
        first_token: view.first_token,
    }
}

/// The configured names of the models that a target may be asked for.
pub fn models(route: &Route, target: &Target) -> Vec<Arc<str>> {
    match &target.model {
        TargetModel::Fixed(model) => vec![Arc::clone(model)],
        TargetModel::AsAsked | TargetModel::Star { .. } => {
            let exact = route.models.iter().filter_map(|pattern| match pattern {
                Pattern::Exact(name) => Some(target.model.resolve(name, name).into()),
                Pattern::Prefix(_) | Pattern::Suffix(_) => None,
            });
            exact.chain(target.provider.models.keys().map(|name| name.as_str().into())).collect()
        }
    }
}
