//! Downgrades: a request that does not fit a budget is served by the model that the budget names, of the
//! same route, if that one fits. Must not be where any request comes by that fits at once.

use std::sync::Arc;

use crate::{
    budget::{Ledger, Refusal},
    route::{self, Candidate},
    snapshot::{Budget, RouteTable, Rule},
};

use super::admit::{Admission, Admitted, admit, leave_out_unpriced};

/// How a request is served instead.
pub struct Downgraded {
    /// The budget that was full.
    pub budget: Arc<str>,
    /// The rule whose targets serve it.
    pub rule: Arc<Rule>,
    /// These targets.
    pub candidates: Vec<Candidate>,
    /// What it holds of the budgets.
    pub admission: Option<Admission>,
}

/// Finds a model that fits instead, after `refusal` of `request`, which came to `rule`. Each budget
/// that refuses a model may name the next one; `None` once one names none or names one again.
pub fn downgrade(
    ledger: &Arc<Ledger>,
    (request, refusal): (&Admitted<'_>, &Refusal),
    (routes, asked): (&RouteTable, &route::Asked<'_>),
    rule: &Arc<Rule>,
) -> Option<Downgraded> {
    let first = refused_by(request, refusal)?;
    let (mut budget, mut tried) = (first, Vec::new());
    loop {
        let model = budget.downgrade.as_deref().filter(|model| !tried.contains(model))?;
        tried.push(model);
        let (rule, mut candidates) = route::serving(routes, asked, (rule, model))?;
        leave_out_unpriced(&mut candidates, request.route, request.consumer).ok()?;
        let cheaper = Admitted { candidates: &candidates, ..*request };
        match admit(ledger, &cheaper) {
            Ok(admission) => {
                let budget = Arc::clone(first.name.path());
                return Some(Downgraded { budget, rule, candidates, admission });
            }
            Err(refusal) => budget = refused_by(request, &refusal)?,
        }
    }
}

fn refused_by<'a>(request: &Admitted<'a>, refusal: &Refusal) -> Option<&'a Budget> {
    let is_it = |budget: &&Arc<Budget>| **budget.name.path() == *refusal.budget;
    request.route.budgets.iter().find(is_it).map(|budget| &**budget)
}
