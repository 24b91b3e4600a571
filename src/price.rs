//! Price tables: what models cost where their AIProvider does not say.
//!
//! Owns the built-in table, the lists that operators lay over it, and how a model's name is looked
//! up. Knows prices as values only: what a call costs is `budget`'s business, where the lists come
//! from `compile`'s.

mod book;
mod builtin;
mod name;

use std::{
    collections::{HashMap, hash_map},
    sync::Arc,
};

use crate::budget::Price;

pub use book::{PriceBook, Scope};
pub use builtin::{BuiltinTable, builtin};
pub use name::forms;

/// Who says what a model costs.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub enum PriceSource {
    /// Nobody: the model has no price.
    #[default]
    None,
    /// The model's own pricing in the AIProvider.
    Provider,
    /// A ConfigMap with prices.
    Overlay,
    /// The table in the binary.
    Builtin,
}

impl PriceSource {
    /// The word used in records and tables; empty for [`Self::None`].
    pub fn as_str(self) -> &'static str {
        match self {
            Self::None => "",
            Self::Provider => "provider",
            Self::Overlay => "overlay",
            Self::Builtin => "builtin",
        }
    }
}

/// What a list knows of a model.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Entry {
    /// Who says it, for people: `litellm 1.2.3`, `ConfigMap namespace/name`.
    pub origin: Arc<str>,
    /// What its calls cost.
    pub price: Option<Arc<Price>>,
    /// The most tokens that it takes, as the source counts them.
    pub context_window: Option<u64>,
    /// The most tokens that one answer can have.
    pub max_output_tokens: Option<u64>,
}

/// Prices of models from one source.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct PriceList {
    /// The sort of source.
    pub source: PriceSource,
    models: HashMap<String, Entry>,
}

impl PriceList {
    /// A list without models.
    pub fn new(source: PriceSource) -> Self {
        Self { source, models: HashMap::new() }
    }

    /// Adds a model.
    ///
    /// # Errors
    /// Who has named the model already; that entry stays.
    pub fn insert(&mut self, model: String, entry: Entry) -> Result<(), Arc<str>> {
        match self.models.entry(model) {
            hash_map::Entry::Occupied(taken) => Err(taken.get().origin.clone()),
            hash_map::Entry::Vacant(slot) => {
                slot.insert(entry);
                Ok(())
            }
        }
    }

    /// The model by its name, else by one of the [`forms`] of it.
    pub fn find(&self, model: &str) -> Option<&Entry> {
        find(&self.models, model)
    }

    /// Every model with its name, in no order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Entry)> {
        self.models.iter().map(|(name, entry)| (name.as_str(), entry))
    }

    /// How many models there are.
    pub fn len(&self) -> usize {
        self.models.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.models.is_empty()
    }
}

/// What stands in a map under a model's name, else under one of the [`forms`] of it.
pub fn find<'a, T>(models: &'a HashMap<String, T>, model: &str) -> Option<&'a T> {
    if models.is_empty() {
        return None;
    }
    models.get(model).or_else(|| forms(model).into_iter().find_map(|form| models.get(form)))
}
