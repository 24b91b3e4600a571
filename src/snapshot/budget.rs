//! Budgets: what counts towards which plan, and for whom.

use std::sync::Arc;

use crate::budget::BudgetPlan;

use super::{Consumer, ObjectName, Pattern, Selector};

/// One AIBudget. Routes know which budgets select them; the rest of the selection is here.
#[derive(Clone, Debug, PartialEq)]
pub struct Budget {
    /// The AIBudget.
    pub name: ObjectName,
    /// Limits and windows, in the form that the ledger counts by.
    pub plan: Arc<BudgetPlan>,
    /// Consumers that count; `None` counts callers without a key too.
    pub consumers: Option<Selector>,
    /// Served models that count; empty: all.
    pub models: Vec<Pattern>,
    /// Providers that count; empty: all.
    pub providers: Vec<ObjectName>,
    /// One counter for each value of these together.
    pub per: Vec<Dimension>,
    /// The served model that takes over requests which do not fit; `None` refuses them.
    pub downgrade: Option<Arc<str>>,
    /// Models without a price.
    pub unpriced: Unpriced,
}

/// What a budget can count by.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Dimension {
    /// The API-key Secret.
    Consumer,
    /// The consumer's app.
    App,
    /// The consumer's team.
    Team,
    /// The consumer's environment.
    Environment,
    /// The end user that the caller names.
    User,
    /// The route.
    Route,
    /// The served model.
    Model,
    /// The serving provider.
    Provider,
    /// The route's namespace.
    Namespace,
    /// A request header.
    Header(http::HeaderName),
}

/// Treatment of models without a price by limits in USD.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Unpriced {
    /// Refuse.
    Deny,
    /// Count as free.
    Allow,
}

impl Budget {
    /// Whether a caller's requests count.
    pub fn counts_consumer(&self, consumer: Option<&Consumer>) -> bool {
        match (&self.consumers, consumer) {
            (None, _) => true,
            (Some(selector), Some(consumer)) => selector.matches(&consumer.labels),
            (Some(_), None) => false,
        }
    }

    /// Whether requests served by this provider and model count.
    pub fn counts_target(&self, provider: &ObjectName, model: &str) -> bool {
        (self.providers.is_empty() || self.providers.contains(provider))
            && (self.models.is_empty() || self.models.iter().any(|pattern| pattern.matches(model)))
    }
}
