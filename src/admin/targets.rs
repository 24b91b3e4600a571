//! How the targets of all routes do, as JSON: what `/api/targets` shows. Holds no address but those of
//! a Service's endpoints, and no credential.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use jiff::Timestamp;
use serde_json::{Value, json};

use crate::{
    proxy::{BackendState, models},
    route::{Targets, View},
    snapshot::{Provider, Route, Rule, Snapshot, Target},
};

/// One entry for each model that a target is configured for; one without a model where callers name
/// it.
pub(super) fn list(
    snapshot: &Snapshot,
    targets: &Targets,
    backends: impl Fn(&Provider) -> Vec<BackendState>,
) -> Value {
    let now = Now { instant: Instant::now(), time: Timestamp::now() };
    let mut entries = Vec::new();
    for route in snapshot.routes.iter() {
        for (rule, target) in route
            .rules
            .iter()
            .flat_map(|rule| rule.targets.iter().map(move |target| (rule, target)))
        {
            let backends = backends(&target.provider);
            let names = models(route, target);
            if names.is_empty() {
                entries.push(entry((route, rule, target), (None, None), &backends, now));
            }
            for model in names {
                let view = targets.view(&target.provider.uid, &model, now.instant);
                entries.push(entry((route, rule, target), (Some(model), view), &backends, now));
            }
        }
    }
    json!({ "targets": entries })
}

/// The same moment by two clocks.
#[derive(Clone, Copy)]
struct Now {
    instant: Instant,
    time: Timestamp,
}

impl Now {
    /// A moment of the steady clock as a time of the day.
    fn time(self, at: Instant) -> Option<String> {
        let after = at.saturating_duration_since(self.instant);
        let before = self.instant.saturating_duration_since(at);
        let time = self.time.checked_add(after).ok()?.checked_sub(before).ok()?;
        Some(time.round(jiff::Unit::Millisecond).ok()?.to_string())
    }
}

fn entry(
    (route, rule, target): (&Route, &Rule, &Target),
    (model, view): (Option<Arc<str>>, Option<View>),
    backends: &[BackendState],
    now: Now,
) -> Value {
    let provider = &target.provider;
    let view = view.as_ref();
    let time = |at: Option<Instant>| at.and_then(|at| now.time(at));
    json!({
        "route": route.name.to_string(),
        "rule": rule.name,
        "target": target.name,
        "provider": provider.name.to_string(),
        "model": model,
        "healthy": provider.has_server() && view.is_none_or(|view| view.healthy),
        "ejectedUntil": time(view.and_then(|view| view.ejected_until)),
        "restingUntil": time(view.and_then(|view| view.resting_until)),
        "inFlight": view.map_or(0, |view| view.in_flight),
        "firstTokenMs": view.and_then(|view| view.first_token).map(milliseconds),
        "consecutiveFailures": view.map_or(0, |view| view.consecutive_failures),
        "ejections": view.map_or(0, |view| view.ejections),
        "backends": backends.iter().map(|backend| json!({
            "address": backend.address.to_string(),
            "zone": backend.zone,
            "inFlight": backend.in_flight,
            "outForMs": backend.out_for.map(milliseconds),
        })).collect::<Vec<_>>(),
    })
}

fn milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        admin::tests::snapshot,
        snapshot::{Backend, Ejection, ObjectName, Pattern, RouteTable, TargetModel},
    };

    /// A route with a target of a fixed model and one of any.
    fn with_route() -> Snapshot {
        let mut snapshot = snapshot();
        let provider = snapshot.providers.values().next().unwrap().clone();
        let address = "10.0.0.1:8000".parse().unwrap();
        let backend = Backend { address, zone: None, is_near: false };
        let service = Provider { backends: Some([backend].into()), ..(*provider).clone() };
        let target = |name: &str, provider: Arc<Provider>, model| {
            let (name, parameters) = (name.into(), None);
            Arc::new(Target { name, provider, model, weight: 1, priority: 0, parameters })
        };
        let targets = vec![
            target("fixed", provider, TargetModel::Fixed("m".into())),
            target("any", service.into(), TargetModel::AsAsked),
        ];
        let rule = Rule { name: "0".into(), targets, ..Rule::default() };
        let route = Route {
            name: ObjectName::new("team", "chat"),
            models: vec![Pattern::parse("gpt-*").unwrap()],
            rules: vec![rule.into()],
            ..Route::default()
        };
        snapshot.routes = RouteTable::new(vec![route.into()]);
        snapshot
    }

    #[test]
    fn every_target_is_shown_with_what_is_known_of_it() {
        let (snapshot, now) = (with_route(), Instant::now());
        let targets = Targets::new(now);
        let once = Ejection { consecutive_failures: 1, ..Ejection::default() };
        targets.target(&"uid".into(), &"m".into(), now).checked(false, &once, now);
        let backends = |provider: &Provider| {
            let all = provider.backends.iter().flat_map(|all| all.iter());
            let state = |backend: &Backend| BackendState {
                address: backend.address,
                zone: Some("a".into()),
                in_flight: 3,
                out_for: Some(Duration::from_millis(1500)),
            };
            all.map(state).collect()
        };
        let list = list(&snapshot, &targets, backends);
        let [fixed, any] = list["targets"].as_array().unwrap().as_slice() else { panic!("{list}") };
        assert_eq!((&fixed["route"], &fixed["model"]), (&"team/chat".into(), &"m".into()));
        assert_eq!((&fixed["healthy"], &fixed["ejections"]), (&false.into(), &1.into()));
        let until: Timestamp = fixed["ejectedUntil"].as_str().unwrap().parse().unwrap();
        assert!(until > Timestamp::now(), "{until}");
        assert_eq!(
            (&any["target"], &any["model"], &any["healthy"]),
            (&"any".into(), &Value::Null, &true.into())
        );
        let backend = &any["backends"][0];
        assert_eq!(
            (&backend["address"], &backend["inFlight"]),
            (&"10.0.0.1:8000".into(), &3.into())
        );
        assert_eq!((&backend["zone"], &backend["outForMs"]), (&"a".into(), &1500.into()));
    }
}
