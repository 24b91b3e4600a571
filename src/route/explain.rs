//! Why a request would go where it goes, and why not elsewhere. Decides nothing: every answer comes from
//! what the proxy asks too ([`choose()`], `holds`, `targets`, `demand`, `translated`, the ledger of
//! budgets); health, sessions and counters, which no manifest has, are left out.

mod budgets;
mod outcome;
mod passed;
mod report;
mod rules;
mod turns;
mod weigh;

use bytes::Bytes;

use crate::{
    llm::{InputEstimate, Peek, RequestError},
    snapshot::{Consumer, Snapshot},
};

use super::{Asked, Choice, choose};

pub use passed::OtherRoute;
pub use report::{Explanation, Outcome, Reserved, RuleFate, TargetFate, WeighedBudget};

/// A request that might be sent.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    /// What decides where it goes.
    pub asked: Asked<'a>,
    /// What is read of its body.
    pub peek: &'a Peek,
    /// The estimate of its input.
    pub input: InputEstimate,
    /// Its body.
    pub body: &'a Bytes,
}

/// Explains a request.
pub fn explain(snapshot: &Snapshot, request: &Request<'_>) -> Explanation {
    let asked = &request.asked;
    let chosen = choose(&snapshot.routes, asked);
    let (route, rule) = match &chosen {
        Ok(Choice { route, rule, .. }) => (Some(route), Some(rule)),
        Err(refused) => (refused.route.as_ref(), refused.rule.as_ref()),
    };
    let found = snapshot.routes.find(&asked.sought());
    let star = found.as_ref().map_or("", |found| found.star);
    let mut weighed = match (route, rule) {
        (Some(route), Some(rule)) => weigh::weigh((route, rule), request, star),
        _ => Vec::new(),
    };
    let outcome = outcome::outcome(&chosen, &weighed, request);
    if let Some(rule) = rule.filter(|_| outcome.status == 200) {
        turns::give(&mut weighed, rule.balance);
    }
    Explanation {
        outcome,
        route: route.map(|route| route.name.to_string()),
        rule: rule.map(|rule| rule.name.to_string()),
        balance: rule.map(|rule| format!("{:?}", rule.balance)),
        rules: route.map(|route| rules::rules(route, rule, asked)).unwrap_or_default(),
        budgets: route
            .map(|route| budgets::weighed(route, &weighed, asked.consumer))
            .unwrap_or_default(),
        targets: weighed.into_iter().map(|target| target.fate).collect(),
        other_routes: passed::others(&snapshot.routes, asked),
    }
}

/// Explains a request whose body cannot be read: it comes to no route.
pub fn unreadable(
    snapshot: &Snapshot,
    consumer: Option<&Consumer>,
    error: RequestError,
) -> Explanation {
    // Who has no key is told so before the body is looked at.
    let is_nobody = consumer.is_none() && !snapshot.routes.admits_anonymous();
    Explanation {
        outcome: if is_nobody { outcome::key_missing() } else { outcome::refused(error.into()) },
        route: None,
        rule: None,
        balance: None,
        rules: Vec::new(),
        targets: Vec::new(),
        budgets: Vec::new(),
        other_routes: Vec::new(),
    }
}
