//! Which route answers a request, and what a caller is told whom none answers.

use std::{sync::Arc, time::Duration};

use http::StatusCode;

use crate::{
    llm::ErrorKind,
    route::{self, Choice, Why},
    snapshot::{Consumer, Published, Snapshot},
    telemetry::{Outcome, Record, brief},
};

use super::{identify::key_missing, respond::Rejection};

/// The route that answers, its rule, and the targets; the record says which, also of a refusal.
pub fn select(
    snapshot: &Snapshot,
    asked: &route::Asked<'_>,
    record: &mut Record,
) -> Result<Choice, Rejection> {
    let chosen = route::choose(&snapshot.routes, asked);
    let (route, rule, unevaluated) = match &chosen {
        Ok(choice) => (Some(&choice.route), Some(&choice.rule), &choice.unevaluated),
        Err(refused) => (refused.route.as_ref(), refused.rule.as_ref(), &refused.unevaluated),
    };
    record.route = route.map(|route| Arc::clone(route.name.path())).unwrap_or_default();
    record.rule = rule.map(|rule| Arc::clone(&rule.name)).unwrap_or_default();
    if !unevaluated.0.is_empty() {
        record.rule_errors = unevaluated.to_string();
    }
    chosen.map_err(|refused| {
        let (status, kind, code) = match refused.why {
            Why::UnknownModel => return unknown_model(asked.consumer, asked.model),
            Why::Fault(_) => return unavailable(refused.to_string()),
            Why::NoRule => (StatusCode::NOT_FOUND, ErrorKind::NotFound, "no_rule_matches"),
            Why::NoCounterpart(_) => {
                (StatusCode::BAD_REQUEST, ErrorKind::InvalidRequest, "unsupported_endpoint")
            }
        };
        Rejection::refuse(status, kind, code, refused.to_string())
    })
}

/// A key that is not known yet must not be called wrong: clients do not try again after a 401.
///
/// # Errors
/// 503 until the first configuration is published.
pub fn refuse_before_live(published: &Published) -> Result<(), Rejection> {
    if published.is_live() {
        return Ok(());
    }
    let message = "the gateway has just started and has not read its configuration yet: ask again";
    let (status, kind) = (StatusCode::SERVICE_UNAVAILABLE, ErrorKind::Overloaded);
    let rejection = Rejection::refuse(status, kind, "gateway_starting", message);
    Err(Rejection { retry_after: Some(Duration::from_secs(1)), ..rejection })
}

fn unavailable(message: String) -> Rejection {
    let status = StatusCode::SERVICE_UNAVAILABLE;
    let rejection = Rejection::refuse(status, ErrorKind::Overloaded, "route_unavailable", message);
    Rejection { outcome: Outcome::Failed, ..rejection }
}

/// The same answer for a model that does not exist and for one that this caller may not use.
pub fn unknown_model(consumer: Option<&Consumer>, model: &str) -> Rejection {
    if consumer.is_none() {
        return key_missing();
    }
    let model = brief(model);
    Rejection::refuse(
        StatusCode::NOT_FOUND,
        ErrorKind::NotFound,
        "model_not_found",
        format!("there is no model {model:?} for this API key: GET /v1/models lists what there is"),
    )
}
