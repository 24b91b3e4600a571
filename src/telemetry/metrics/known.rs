//! Which label values a snapshot accounts for, and the removal of series that none does.

use std::collections::{HashMap, HashSet};

use prometheus::core::{Collector as _, MetricVec, MetricVecBuilder};

use crate::snapshot::{Pattern, Snapshot, TargetModel};

/// Label values of one series, by name.
pub(super) type Labels<'a> = HashMap<&'a str, &'a str>;

/// What stands for a model that is nobody's configuration.
const OTHER: &str = "other";

/// Names that are configured.
pub(super) struct Known<'a> {
    /// Targets by `namespace/name` of their route.
    targets: HashMap<String, HashSet<&'a str>>,
    /// Limits by `namespace/name` of their budget.
    limits: HashMap<String, HashSet<&'a str>>,
    models: HashSet<&'a str>,
}

impl<'a> Known<'a> {
    pub(super) fn of(snapshot: &'a Snapshot) -> Self {
        let mut known = Self {
            targets: HashMap::new(),
            limits: HashMap::new(),
            models: HashSet::from([OTHER]),
        };
        for route in snapshot.routes.iter() {
            let targets = route.targets().map(|target| &*target.name).collect();
            known.targets.insert(route.name.to_string(), targets);
            known.models.extend(route.models.iter().filter_map(|pattern| match pattern {
                Pattern::Exact(name) => Some(name.as_str()),
                Pattern::Prefix(_) | Pattern::Suffix(_) => None,
            }));
            known.models.extend(route.targets().filter_map(|target| match &target.model {
                TargetModel::Fixed(name) => Some(&**name),
                TargetModel::AsAsked | TargetModel::Star { .. } => None,
            }));
        }
        for provider in snapshot.providers.values() {
            known.models.extend(provider.models.keys().map(String::as_str));
        }
        for budget in &snapshot.budgets {
            let limits = budget.plan.limits.iter().map(|limit| &*limit.name).collect();
            known.limits.insert(budget.name.to_string(), limits);
        }
        known
    }

    /// Empty names are of requests that came to no route, or to no target of one.
    pub(super) fn has_target(&self, labels: &Labels<'_>) -> bool {
        let of = |name| labels.get(name).copied().unwrap_or_default();
        let (route, target) = (of("route"), of("target"));
        let targets = self.targets.get(route);
        let has = |targets: &HashSet<&str>| target.is_empty() || targets.contains(target);
        (route.is_empty() && target.is_empty()) || targets.is_some_and(has)
    }

    pub(super) fn has_model(&self, labels: &Labels<'_>) -> bool {
        labels.get("gen_ai_request_model").is_none_or(|model| self.models.contains(model))
    }

    pub(super) fn has_limit(&self, labels: &Labels<'_>) -> bool {
        let of = |name| labels.get(name).copied().unwrap_or_default();
        self.limits.get(of("budget")).is_some_and(|limits| limits.contains(of("limit")))
    }
}

/// Removes the series that `is_gone`.
pub(super) fn remove<T: MetricVecBuilder>(
    series: &MetricVec<T>,
    is_gone: impl Fn(&Labels<'_>) -> bool,
) {
    for family in series.collect() {
        for metric in family.get_metric() {
            let labels: Labels<'_> =
                metric.get_label().iter().map(|pair| (pair.name(), pair.value())).collect();
            if is_gone(&labels) {
                // Gone already is as good.
                let _ = series.remove(&labels);
            }
        }
    }
}
