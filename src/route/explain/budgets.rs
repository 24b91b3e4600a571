//! Which budgets count a request, and what it would reserve of them: the same amounts as the proxy's, in
//! a ledger that is empty, for what was used is not known here.

use std::{sync::Arc, time::Duration};

use jiff::Timestamp;

use crate::{
    budget::{Amounts, Clock, Demand, Ledger, Refusal},
    snapshot::{Budget, Consumer, Route},
};

use super::{Request, Reserved, WeighedBudget, weigh::Weighed};

/// The time of the request.
struct At(Timestamp);

impl Clock for At {
    fn now(&self) -> Timestamp {
        self.0
    }
}

/// Why the request can never be admitted, if so.
pub(super) fn never_fits(
    route: &Route,
    weighed: &[Weighed],
    request: &Request<'_>,
) -> Option<Refusal> {
    let consumer = request.asked.consumer;
    let binding = route.budgets.iter().filter(|budget| budget.counts_consumer(consumer));
    let demands = binding.filter_map(|budget| {
        // Whose counter it is makes no difference where all are empty.
        let (plan, subject) = (Arc::clone(&budget.plan), "".into());
        Some(Demand { plan, subject, amounts: most(budget, weighed)? })
    });
    let ledger = Arc::new(Ledger::new(Arc::new(At(request.asked.now))));
    match ledger.reserve(demands.collect(), Duration::ZERO) {
        Err(refusal) => Some(*refusal),
        Ok(reservation) => {
            reservation.release();
            None
        }
    }
}

/// The most that is reserved of a budget; `None` if it counts no candidate.
fn most(budget: &Budget, weighed: &[Weighed]) -> Option<Amounts> {
    let counted = weighed.iter().filter(|target| {
        target.candidate.as_ref().is_some_and(|candidate| {
            budget.counts_target(&candidate.target.provider.name, &candidate.model)
        })
    });
    counted.map(|target| target.worst).reduce(Amounts::max)
}

/// The budgets of a route, with what the request would reserve at worst.
pub(super) fn weighed(
    route: &Route,
    weighed: &[Weighed],
    consumer: Option<&Consumer>,
) -> Vec<WeighedBudget> {
    let each = route.budgets.iter().map(|budget| {
        let most = most(budget, weighed);
        let why_not = match most {
            _ if !budget.counts_consumer(consumer) => Some("it counts other callers"),
            None => Some("it counts other models or providers"),
            Some(_) => None,
        };
        let reserves = most.filter(|_| why_not.is_none()).map(|most| {
            let limits = budget.plan.limits.iter();
            limits.map(|limit| Reserved::of(limit, most)).collect()
        });
        WeighedBudget {
            name: budget.name.to_string(),
            binds: why_not.is_none(),
            mode: format!("{:?}", budget.plan.mode),
            why_not: why_not.map(str::to_owned),
            limits: reserves.unwrap_or_default(),
        }
    });
    each.collect()
}
