//! From objects to a snapshot and one verdict per object. Pure: no IO, no clock, no client.
//!
//! It never fails. A broken object degrades only itself and what refers to it, and its verdict says
//! what to do.

pub mod inputs;
pub mod verdict;

mod budget;
mod conflict;
mod consumer;
mod provider;
mod route;
mod selector;

use std::collections::BTreeMap;

use crate::snapshot::{ObjectName, RouteTable, Snapshot};

pub use inputs::{Inputs, Meta, Object, SecretData, Settings};
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
}

/// Compiles all objects.
pub fn compile(inputs: &Inputs) -> Compiled {
    let mut verdicts = Verdicts::default();
    let (consumers, notes) = consumer::compile_all(&inputs.consumers);
    let providers = provider::compile_all(inputs, &mut verdicts);
    let budgets = budget::compile_all(inputs, &mut verdicts);
    let routes = route::compile_all(inputs, &providers, &budgets, &mut verdicts);
    conflict::find(&routes, &mut verdicts);
    let snapshot = Snapshot {
        routes: RouteTable::new(routes),
        consumers,
        providers: providers.ready(),
        budgets: budgets.into_iter().map(|compiled| compiled.budget).collect(),
    };
    Compiled { snapshot, verdicts, notes }
}

#[cfg(test)]
mod tests;
