//! Routes that have the model and are not the one that answers, and by what they lost.

use serde::Serialize;

use crate::snapshot::{Pattern, Route, RouteTable, table::Rank};

use super::Asked;

/// A route that was passed over.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct OtherRoute {
    /// `namespace/name`.
    pub name: String,
    /// Its pattern that fits best.
    pub pattern: String,
    /// Why another one answers, or none.
    pub why: String,
}

/// Routes that have the model, the nearest first.
pub(super) fn others(routes: &RouteTable, asked: &Asked<'_>) -> Vec<OtherRoute> {
    let chosen = routes.find(&asked.sought()).map(|found| found.route);
    let best = |route: &'_ Route| -> Option<Pattern> {
        let fitting = route.models.iter().filter(|pattern| pattern.matches(asked.model));
        fitting.min_by_key(|pattern| Rank::of(route, pattern, asked.consumer)).cloned()
    };
    let winner = chosen.and_then(|route| Some((route, best(route)?)));
    let mut others: Vec<(&Route, Pattern)> = routes
        .iter()
        .filter(|route| chosen.is_none_or(|chosen| chosen.name != route.name))
        .filter_map(|route| Some((&**route, best(route)?)))
        .collect();
    others.sort_by(|(a, on_a), (b, on_b)| {
        Rank::of(a, on_a, asked.consumer).cmp(&Rank::of(b, on_b, asked.consumer))
    });
    let each = others.into_iter().map(|(route, pattern)| {
        let why = unfit(route, asked).or_else(|| {
            let (winner, on) = winner.as_ref()?;
            let theirs = Rank::of(winner, on, asked.consumer);
            let lost = Rank::of(route, &pattern, asked.consumer).lost_to(&theirs)?;
            Some(format!("{} comes first: {lost}", winner.name))
        });
        OtherRoute {
            name: route.name.to_string(),
            pattern: pattern.to_string(),
            why: why.unwrap_or_default(),
        }
    });
    each.collect()
}

/// Why a route does not take the request, whatever others there are.
fn unfit(route: &Route, asked: &Asked<'_>) -> Option<String> {
    if !route.serves(asked.endpoint) {
        return Some(format!("it does not answer on {}", asked.endpoint.path()));
    }
    if !route.is_at(asked.hostname) {
        return Some(match asked.hostname {
            "" => "it answers on certain hosts only, and none is given".to_owned(),
            host => format!("it does not answer on the host {host}"),
        });
    }
    if !route.access.admits(asked.consumer) {
        return Some("its access does not admit the caller".to_owned());
    }
    None
}
