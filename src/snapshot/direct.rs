//! Direct access: which endpoints of a provider callers may use past the routes.

use std::sync::Arc;

use super::{Access, Budget, Consumer, Provider};

/// The direct access that one AIProvider grants.
#[derive(Clone, Debug, PartialEq)]
pub struct Direct {
    /// The provider.
    pub provider: Arc<Provider>,
    /// Who may use it; never anybody without a key.
    pub access: Access,
    /// Paths below the base path, each with everything below it.
    pub paths: Vec<String>,
    /// Budgets that may count; [`Direct::budgets_of`] says which do.
    pub budgets: Vec<DirectBudget>,
}

/// A budget that may count direct calls of a provider.
#[derive(Clone, Debug, PartialEq)]
pub struct DirectBudget {
    /// Whether it counts every namespace.
    pub everywhere: bool,
    /// The budget.
    pub budget: Arc<Budget>,
}

impl Direct {
    /// The granted path that covers `path`, if one does. `path` follows the base path and starts
    /// with a slash.
    pub fn covering(&self, path: &str) -> Option<&str> {
        let covers = |granted: &&String| {
            let rest = path.strip_prefix(granted.as_str());
            rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        };
        self.paths.iter().find(covers).map(String::as_str)
    }

    /// The budgets that count a caller's direct calls: those of the provider's namespace, of the
    /// caller's namespace and of all namespaces, as far as they count this consumer.
    pub fn budgets_of(&self, consumer: &Consumer) -> impl Iterator<Item = &Arc<Budget>> {
        let own = [self.provider.name.namespace.clone(), consumer.name.namespace.clone()];
        let budgets = self.budgets.iter().filter(move |counting| {
            counting.everywhere || own.contains(&counting.budget.name.namespace)
        });
        budgets
            .map(|counting| &counting.budget)
            .filter(|budget| budget.counts_consumer(Some(consumer)))
    }
}
