//! Rules: conditions, their mistakes, and which of them can answer.

use serde_json::json;

use super::{Kind, compile, inputs, only_problem, provider, route, verdict};
use crate::{api::condition::Reason, llm::Endpoint, snapshot::Route};

fn ruled(rules: serde_json::Value) -> (super::Verdict, std::sync::Arc<Route>) {
    let mut inputs = inputs();
    route(&mut inputs, "a/chat", 1, json!({"models": ["chat"], "rules": rules}));
    let compiled = compile(&inputs);
    let route = compiled.snapshot.routes.iter().next().unwrap().clone();
    (verdict(&compiled, Kind::Route, "a/chat"), route)
}

fn target() -> serde_json::Value {
    json!([{"providerRef": {"name": "openai"}, "model": "gpt-5"}])
}

#[test]
fn rules_keep_their_order_and_their_targets() {
    let (verdict, route) = ruled(json!([
        {"name": "streams", "when": "request.stream", "targets": target()},
        {"when": "request.inputTokens > 5", "targets": target()},
        {"targets": target()},
    ]));
    assert!(verdict.is_ready(), "{verdict:?}");
    let names: Vec<_> = route.rules.iter().map(|rule| &*rule.name).collect();
    assert_eq!(names, ["streams", "1", "2"]);
    let texts: Vec<_> =
        route.rules.iter().map(|rule| rule.when.as_ref().map(|when| when.text())).collect();
    assert_eq!(texts, [Some("request.stream"), Some("request.inputTokens > 5"), None]);
    assert_eq!((verdict.targets.len(), route.targets().count()), (3, 3));
}

#[test]
fn a_mistaken_condition_names_its_place_and_takes_down_only_its_rule() {
    let (verdict, route) = ruled(json!([
        {"name": "streams", "when": "request.stream", "targets": target()},
        {"name": "long", "when": "request.stream &&\n  request.inputTokns > 5", "targets": target()},
    ]));
    let (reason, message) = only_problem(&verdict);
    assert_eq!(reason, Reason::InvalidCondition);
    assert!(message.starts_with("when of rule \"long\", 2:11: request has no member"), "{message}");
    let excerpt = verdict.problems().next().unwrap().excerpt.clone().unwrap();
    assert_eq!(excerpt, "  request.inputTokns > 5\n          ^");
    assert!(verdict.programmed && !verdict.is_ready());
    assert_eq!(route.fault, None);
    let faults: Vec<_> = route.rules.iter().map(|rule| rule.fault.as_deref()).collect();
    assert_eq!(faults, [None, Some("InvalidCondition")]);
    assert!(route.rules[1].when.is_none(), "it is reached by everything, and answers nothing");
}

#[test]
fn a_route_whose_every_rule_is_at_fault_serves_nothing() {
    let (verdict, route) = ruled(json!([
        {"when": "nobody", "targets": target()},
        {"targets": [{"providerRef": {"name": "gone"}}]},
    ]));
    assert!(!verdict.programmed);
    assert_eq!(route.fault.as_deref(), Some("InvalidCondition"));
    assert_eq!(route.rules[1].fault.as_deref(), Some("ProviderNotFound"));
}

#[test]
fn what_the_schema_refuses_too_is_said_of_older_objects() {
    let unreachable = ruled(json!([{"targets": target()}, {"targets": target()}])).0;
    assert!(only_problem(&unreachable).1.contains("never reached"));
    let twins = ruled(json!([
        {"name": "x", "when": "request.stream", "targets": target()},
        {"name": "x", "targets": target()},
    ]));
    assert!(only_problem(&twins.0).1.contains("two rules are called \"x\""));
    let mut inputs = inputs();
    let spec = json!({"models": ["chat"], "hostnames": ["a:80"], "rules": [{"targets": target()}]});
    route(&mut inputs, "a/chat", 1, spec);
    let refused = verdict(&compile(&inputs), Kind::Route, "a/chat");
    assert!(only_problem(&refused).1.contains("is no host"));
}

#[test]
fn routes_on_different_hosts_do_not_claim_each_others_models() {
    let mut inputs = inputs();
    provider(&mut inputs, "a/openai", json!({"type": "Mock"}));
    let at = |hosts: serde_json::Value| json!({"models": ["m"], "hostnames": hosts, "rules": [{"targets": target()}]});
    route(&mut inputs, "a/eu", 1, at(json!(["*.eu.example"])));
    route(&mut inputs, "a/us", 2, at(json!(["us.example"])));
    route(&mut inputs, "a/narrow", 3, at(json!(["x.eu.example", "*.y.eu.example"])));
    route(&mut inputs, "a/everywhere", 1, at(json!([])));
    route(&mut inputs, "a/lost", 4, at(json!(["*.eu.example"])));
    let compiled = compile(&inputs);
    for name in ["a/eu", "a/us", "a/narrow", "a/everywhere"] {
        assert!(verdict(&compiled, Kind::Route, name).is_ready(), "{name}");
    }
    let lost = verdict(&compiled, Kind::Route, "a/lost");
    assert_eq!(only_problem(&lost).0, Reason::ModelConflict);
    assert!(only_problem(&lost).1.contains("AIRoute a/eu, which is older"), "{lost:?}");
}

#[test]
fn endpoints_have_the_names_that_routes_have_for_them() {
    for endpoint in Endpoint::ALL {
        let mut inputs = inputs();
        let spec = json!({"models": ["chat"], "endpoints": [endpoint.group()], "rules": [{"targets": target()}]});
        route(&mut inputs, "a/chat", 1, spec);
        let compiled = compile(&inputs);
        assert!(compiled.snapshot.routes.iter().next().unwrap().serves(endpoint), "{endpoint:?}");
    }
}
