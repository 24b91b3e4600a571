//! Routes with `fidelity: Strict`: through a real gateway, every request that would lose something is
//! refused with a 400 that names it, and no provider is asked.

use std::sync::Arc;

use sluice::llm::Endpoint;
use sluice::snapshot::{Fidelity, Pattern, Route, TargetModel};

use crate::asked::{Cell, Outcome};
use crate::data::UPSTREAMS;
use crate::fixture::{Gateway, Reply, provider_at, route};
use crate::upstream::{Upstream, json};

/// A strict route to each provider, under the name of its dialect.
fn routes(upstream: &Upstream) -> Vec<Route> {
    let strict = |to: &crate::data::Upstream| {
        let mut route = route([provider_at(upstream.address(), to.dialect)]);
        let rule = Arc::make_mut(&mut route.rules[0]);
        rule.name = to.name.into();
        let target = Arc::make_mut(&mut rule.targets[0]);
        target.model = TargetModel::Fixed(to.probes.model.as_str().into());
        Route {
            uid: to.name.into(),
            models: vec![Pattern::Exact(to.name.into())],
            fidelity: Fidelity::Strict,
            ..route
        }
    };
    UPSTREAMS.iter().map(strict).collect()
}

/// What is wrong with the refusals.
pub async fn faults(cells: &[Cell]) -> Vec<String> {
    let upstream = Upstream::always(json("{}")).await;
    let gateway = Gateway::start(routes(&upstream)).await;
    let mut faults = Vec::new();
    let mut refused = 0;
    for cell in cells {
        let (code, names) = match &cell.outcome {
            Outcome::Dropped(names) | Outcome::InPart(names) => {
                ("unsupported_parameters", names.clone())
            }
            Outcome::Refused(message) => ("", vec![message.clone()]),
            Outcome::Same | Outcome::Carried | Outcome::Unsayable(_) => continue,
        };
        let reply = ask(&gateway, cell).await;
        refused += 1;
        let error = &reply.json()["error"];
        let message = error["message"].as_str().unwrap_or_default();
        let named = names.iter().all(|name| message.contains(name.as_str()));
        let coded = error.get("code").is_none_or(|found| found.is_number() || found == code);
        if reply.status != 400 || !named || !(coded || code.is_empty()) {
            faults.push(format!("{}: {} {}", cell.name(), reply.status, reply.text()));
        }
    }
    assert!(refused > 0, "no cell loses anything");
    assert!(upstream.received().is_empty(), "a provider was asked");
    faults
}

async fn ask(gateway: &Gateway, cell: &Cell) -> Reply {
    let mut asked = cell.asked.clone();
    if cell.ingress.endpoint != Endpoint::GenerateContent {
        asked["model"] = cell.upstream.name.into();
    }
    let path = cell.ingress.requests.path.replace("{model}", cell.upstream.name);
    gateway.ask(&path, asked.to_string()).await
}
