//! All price lists of a configuration, and which of them hold for a provider.

use std::{collections::BTreeMap, sync::Arc};

use super::{Entry, PriceList, PriceSource, builtin};

/// Which providers a list holds for.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Scope {
    /// One AIProvider, `namespace/name`. More precise, so it precedes a type.
    Provider(String),
    /// Every AIProvider of a type, as it is written in manifests.
    Type(String),
}

/// The lists that operators have written, and whether the built-in table is used.
#[derive(Clone, Debug, Default)]
pub struct PriceBook {
    builtin: bool,
    overlays: BTreeMap<Scope, Arc<PriceList>>,
}

impl PriceBook {
    /// A book without overlays.
    pub fn new(builtin: bool) -> Self {
        Self { builtin, overlays: BTreeMap::new() }
    }

    /// Adds a model to what operators have written.
    ///
    /// # Errors
    /// Who has named the model for the same providers already; that entry stays.
    pub fn insert(&mut self, scope: Scope, model: String, entry: Entry) -> Result<(), Arc<str>> {
        let list = self.overlays.entry(scope);
        let list = list.or_insert_with(|| Arc::new(PriceList::new(PriceSource::Overlay)));
        Arc::make_mut(list).insert(model, entry)
    }

    /// The lists for a provider; the first that names a model decides.
    pub fn lists(&self, provider_type: &str, provider: &str) -> Vec<Arc<PriceList>> {
        let of = |scope: Scope| self.overlays.get(&scope).cloned();
        let builtin = self.builtin.then(builtin).and_then(|table| table.list(provider_type));
        of(Scope::Provider(provider.to_owned()))
            .into_iter()
            .chain(of(Scope::Type(provider_type.to_owned())))
            .chain(builtin.cloned())
            .collect()
    }

    /// Every list that an operator has written.
    pub fn overlays(&self) -> impl Iterator<Item = (&Scope, &PriceList)> {
        self.overlays.iter().map(|(scope, list)| (scope, &**list))
    }
}
