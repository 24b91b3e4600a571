//! Which targets and providers requests are sent to, as this replica has it at one moment.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
    time::Instant,
};

use crate::{
    api::condition::TargetStatus,
    route::Targets,
    snapshot::{ObjectName, Provider, Route, Snapshot, Target, TargetModel},
};

/// The health of everything that is served.
pub(super) struct Health {
    snapshot: Arc<Snapshot>,
    routes: HashMap<ObjectName, Arc<Route>>,
    /// By the provider's UID: whether each model that was asked is not left out.
    models: HashMap<Arc<str>, BTreeMap<Arc<str>, bool>>,
}

impl Health {
    /// As it is now.
    pub(super) fn new(targets: &Targets, snapshot: Arc<Snapshot>) -> Self {
        let mut models: HashMap<Arc<str>, BTreeMap<Arc<str>, bool>> = HashMap::new();
        for view in targets.views(Instant::now()) {
            models.entry(view.provider).or_default().insert(view.model, view.healthy);
        }
        let routes = snapshot.routes.iter().map(|route| (route.name.clone(), route.clone()));
        Self { routes: routes.collect(), snapshot, models }
    }

    /// A provider's; `None` if it is not served.
    pub(super) fn provider(&self, name: &ObjectName) -> Option<bool> {
        let provider = self.snapshot.providers.get(name)?;
        Some(provider.has_server() && self.any_model(provider))
    }

    /// A route's target's; `None` if it is not served.
    pub(super) fn target(&self, route: &ObjectName, status: &TargetStatus) -> Option<bool> {
        let is_it = |target: &&Arc<Target>| {
            *target.name == *status.name && target.provider.name.to_string() == status.provider
        };
        let target = self.routes.get(route)?.targets().find(is_it)?;
        let provider = &target.provider;
        let does_well = match &target.model {
            TargetModel::Fixed(model) => {
                let models = self.models.get(&provider.uid);
                models.and_then(|models| models.get(model)).copied().unwrap_or(true)
            }
            // Which models callers ask for is known only when they have.
            TargetModel::AsAsked | TargetModel::Star { .. } => self.any_model(provider),
        };
        Some(provider.has_server() && does_well)
    }

    /// Whether a model of it does well, or nothing is known to the contrary.
    fn any_model(&self, provider: &Provider) -> bool {
        let models = self.models.get(&provider.uid);
        models.is_none_or(|models| models.values().any(|is_healthy| *is_healthy))
    }
}
