//! `GET /v1/models`: what this caller may ask for.

use std::{borrow::Cow, collections::BTreeMap};

use bytes::Bytes;
use http::request::Parts;

use crate::{
    llm::{Dialect, ModelEntry, encode_model, encode_models},
    route::hostname,
    snapshot::{Consumer, Pattern, Route, Snapshot, Target, TargetModel, table::Sought},
};

use super::{identify::key_missing, respond::Rejection, routing::unknown_model};

/// The answer to `GET /v1/models`.
///
/// # Errors
/// 401 for a caller without a key where there is nothing for such callers.
pub fn models(
    snapshot: &Snapshot,
    consumer: Option<&Consumer>,
    head: &Parts,
    dialect: Dialect,
) -> Result<Bytes, Rejection> {
    let hostname = hostname(head.uri.authority(), &head.headers);
    let catalogue = Catalogue::of(snapshot, consumer, &hostname);
    if consumer.is_none() && catalogue.is_empty() {
        return Err(key_missing());
    }
    Ok(encode_models(dialect, catalogue.entries()))
}

/// The answer to `GET /v1/models/{model}`.
///
/// # Errors
/// 404 for a model that this caller cannot use; 401 if they sent no key.
pub fn model(
    snapshot: &Snapshot,
    consumer: Option<&Consumer>,
    head: &Parts,
    dialect: Dialect,
    id: &str,
) -> Result<Bytes, Rejection> {
    let hostname = hostname(head.uri.authority(), &head.headers);
    let entry = entry(snapshot, consumer, &hostname, id);
    entry.map(|entry| encode_model(dialect, entry)).ok_or_else(|| unknown_model(consumer, id))
}

/// Models that a caller may use, by name.
struct Catalogue<'a> {
    models: BTreeMap<Cow<'a, str>, Listed<'a>>,
}

#[derive(Clone, Copy)]
struct Listed<'a> {
    created: i64,
    owned_by: &'a str,
}

impl<'a> Catalogue<'a> {
    /// Names that routes give, and for patterns those models of the providers' catalogues that the
    /// pattern fits.
    fn of(snapshot: &'a Snapshot, consumer: Option<&Consumer>, hostname: &str) -> Self {
        let mut models = BTreeMap::new();
        let routes = snapshot.routes.iter().filter(|route| route.is_at(hostname));
        for route in routes.filter(|route| route.access.admits(consumer)) {
            for pattern in &route.models {
                for (name, owned_by) in names(route, pattern) {
                    let created = created(route);
                    models.entry(name).or_insert(Listed { created, owned_by });
                }
            }
        }
        Self { models }
    }

    /// Whether there is nothing.
    fn is_empty(&self) -> bool {
        self.models.is_empty()
    }

    /// All of them, by name.
    fn entries(&self) -> impl Iterator<Item = ModelEntry<'_>> {
        self.models.iter().map(|(id, listed)| ModelEntry {
            id,
            created: listed.created,
            owned_by: listed.owned_by,
        })
    }
}

/// One model, listed or only covered by a pattern.
fn entry<'a>(
    snapshot: &'a Snapshot,
    consumer: Option<&Consumer>,
    hostname: &str,
    id: &'a str,
) -> Option<ModelEntry<'a>> {
    let sought = Sought { model: id, consumer, endpoint: None, hostname };
    let route = snapshot.routes.find(&sought)?.route;
    let owned_by = route.targets().next().map_or("", |target| target.provider.kind);
    Some(ModelEntry { id, created: created(route), owned_by })
}

/// Seconds of Unix time; 0 for objects of a folder, which have no time.
fn created(route: &Route) -> i64 {
    route.created.map_or(0, |created| created.as_second())
}

fn names<'a>(route: &'a Route, pattern: &'a Pattern) -> Vec<(Cow<'a, str>, &'a str)> {
    if let Pattern::Exact(name) = pattern {
        let owned_by = route.targets().next().map_or("", |target| target.provider.kind);
        return vec![(Cow::Borrowed(name), owned_by)];
    }
    let targets = route.targets().filter(|target| target.weight > 0);
    let asked = |target: &'a Target| {
        let models = target.provider.models.keys();
        models.filter_map(move |model| {
            Some((asked_by(pattern, target, model)?, target.provider.kind))
        })
    };
    targets.flat_map(|target| asked(target)).collect()
}

/// What a caller would write so that the target asks its provider for `model`.
fn asked_by<'a>(pattern: &Pattern, target: &Target, model: &'a str) -> Option<Cow<'a, str>> {
    match &target.model {
        TargetModel::AsAsked => pattern.matches(model).then_some(Cow::Borrowed(model)),
        TargetModel::Fixed(_) => None,
        TargetModel::Star { before, after } => {
            let star = model.strip_prefix(&**before)?.strip_suffix(&**after)?;
            match pattern {
                Pattern::Prefix(fixed) => Some(format!("{fixed}{star}").into()),
                Pattern::Suffix(fixed) => Some(format!("{star}{fixed}").into()),
                Pattern::Exact(_) => None,
            }
        }
    }
}
