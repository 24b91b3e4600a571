//! Routes of one namespace that claim the same model for the same callers.

use std::{collections::HashMap, sync::Arc};

use crate::{
    api::condition::Reason,
    llm::Endpoint,
    snapshot::{Hostname, Pattern, Route},
};

use super::{Kind, ObjectKey, Problem, Verdicts};

/// Adds a problem to every route that can never be reached by one of its models, because another
/// route of its namespace comes first that claims the same one and admits the same callers.
pub(super) fn find(routes: &[Arc<Route>], verdicts: &mut Verdicts) {
    let mut ordered: Vec<_> = routes.iter().collect();
    ordered.sort_by(|a, b| a.precedence().cmp(&b.precedence()));
    let mut claims: HashMap<(&str, &Pattern), Vec<&Arc<Route>>> = HashMap::new();
    for route in ordered {
        let mut lost = Vec::new();
        for pattern in &route.models {
            let earlier = claims.entry((&route.name.namespace, pattern)).or_default();
            match earlier.iter().find(|other| covers(other, route)) {
                Some(owner) => lost.push((pattern, *owner)),
                None => earlier.push(route),
            }
        }
        let key = ObjectKey { kind: Kind::Route, name: route.name.clone() };
        if let (Some((pattern, owner)), Some(verdict)) = (lost.first(), verdicts.get_mut(&key)) {
            let message = format!(
                "model {pattern:?} is already claimed by AIRoute {}, which {} and gets all of its \
                 requests: choose another model name, narrow hostnames, access or endpoints of one of \
                 the two, or delete one",
                owner.name,
                why_first(owner, route),
                pattern = pattern.to_string(),
            );
            verdict.errors.push(Problem::new(Reason::ModelConflict, message));
        }
    }
}

fn why_first(owner: &Route, route: &Route) -> &'static str {
    match () {
        () if owner.breadth() < route.breadth() => "is for narrower hostnames",
        () if owner.created == route.created => "comes first in the alphabet",
        () => "is older",
    }
}

fn covers(earlier: &Route, later: &Route) -> bool {
    let same_callers = earlier.access.anonymous || earlier.access == later.access;
    let every = |endpoint: &Endpoint| earlier.serves(*endpoint);
    let same_endpoints = match later.endpoints.is_empty() {
        true => Endpoint::ALL.iter().all(every),
        false => later.endpoints.iter().all(every),
    };
    let at = |host: &Hostname| earlier.hostnames.iter().any(|own| own.includes(host));
    let same_hosts = earlier.hostnames.is_empty()
        || (!later.hostnames.is_empty() && later.hostnames.iter().all(at));
    same_callers && same_endpoints && same_hosts
}
