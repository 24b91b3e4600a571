//! From objects to a snapshot and one verdict per object. Pure: no IO, no clock, no client.
//!
//! It never fails. A broken object degrades only itself and what refers to it, and its verdict says
//! what to do.

pub mod inputs;
pub mod verdict;

mod access;
mod balance;
mod budget;
mod conflict;
mod consumer;
mod direct;
mod failover;
mod overlay;
mod price;
mod provider;
mod route;
mod rule;
mod selector;

use std::collections::BTreeMap;

use crate::snapshot::{ObjectName, RouteTable, Snapshot};

pub use inputs::{Inputs, Meta, Object, PriceData, SecretData, Settings};
pub use overlay::{PriceNote, PriceNotes, book as price_book};
pub use price::catalogue;
pub use verdict::{Kind, ObjectKey, Problem, Verdict, Verdicts};

/// The outcome of a compilation.
#[derive(Debug, Default)]
pub struct Compiled {
    /// What the proxy serves.
    pub snapshot: Snapshot,
    /// What became of every object.
    pub verdicts: Verdicts,
    /// Mistakes in Secrets, which have no status of their own: for the log.
    pub notes: BTreeMap<ObjectName, String>,
    /// Mistakes in ConfigMaps with prices.
    pub price_notes: PriceNotes,
}

/// Compiles all objects.
pub fn compile(inputs: &Inputs) -> Compiled {
    let mut verdicts = Verdicts::default();
    let (consumers, notes) = consumer::compile_all(&inputs.consumers);
    let (prices, price_notes) = overlay::book(inputs);
    let providers = provider::compile_all(inputs, &prices, &mut verdicts);
    let budgets = budget::compile_all(inputs, &mut verdicts);
    let routes = route::compile_all(inputs, &providers, &budgets, &mut verdicts);
    conflict::find(&routes, &mut verdicts);
    let direct = direct::compile_all(inputs, &providers, &budgets);
    let snapshot = Snapshot {
        routes: RouteTable::new(routes),
        consumers,
        providers: providers.ready(),
        direct,
        budgets: budgets.into_iter().map(|compiled| compiled.budget).collect(),
    };
    Compiled { snapshot, verdicts, notes, price_notes }
}

#[cfg(test)]
mod tests;
