//! What objects become, and what is said of the broken ones.

mod balance;
mod clouds;
mod failover;
mod rules;
mod services;

use std::sync::Arc;

use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use zeroize::Zeroizing;

use super::{Compiled, Inputs, Kind, Meta, Object, ObjectKey, SecretData, Verdict, compile};
use crate::{
    api::condition::Reason,
    snapshot::{Endpoint, ObjectName, TargetModel},
};

fn name(text: &str) -> ObjectName {
    let (namespace, name) = text.split_once('/').unwrap();
    ObjectName::new(namespace, name)
}

fn object<S: DeserializeOwned>(text: &str, created: i64, spec: &Value) -> (ObjectName, Object<S>) {
    let meta = Meta {
        name: name(text),
        uid: text.into(),
        generation: 7,
        created: Some(jiff::Timestamp::from_second(created).unwrap()),
        labels: Default::default(),
    };
    let spec = serde_json::from_value(spec.clone()).map(Arc::new).map_err(|e| e.to_string());
    (name(text), Object { meta, spec })
}

fn secret(pairs: &[(&str, &str)]) -> SecretData {
    let data = pairs
        .iter()
        .map(|(key, value)| ((*key).to_owned(), Zeroizing::new(value.as_bytes().to_vec())))
        .collect();
    SecretData { data, ..SecretData::default() }
}

/// A provider `a/openai` with its Secret, and a route `a/chat` that uses it.
fn inputs() -> Inputs {
    let mut inputs = Inputs::default();
    provider(
        &mut inputs,
        "a/openai",
        json!({
            "type": "OpenAI",
            "auth": {"apiKeys": [{"secretKeyRef": {"name": "openai", "key": "api-key"}}]},
            "models": [{"name": "gpt-5", "pricing": {"input": "1.25", "output": "10"}}],
        }),
    );
    inputs.secrets.insert(name("a/openai"), secret(&[("api-key", "sk-upstream\n")]));
    route(
        &mut inputs,
        "a/chat",
        1,
        json!({
            "models": ["chat"],
            "rules": [{"targets": [{"providerRef": {"name": "openai"}, "model": "gpt-5"}]}],
        }),
    );
    inputs
}

fn provider(inputs: &mut Inputs, name: &str, spec: Value) {
    let (name, object) = object(name, 0, &spec);
    inputs.providers.insert(name, object);
}

fn route(inputs: &mut Inputs, name: &str, created: i64, spec: Value) {
    let (name, object) = object(name, created, &spec);
    inputs.routes.insert(name, object);
}

fn budget(inputs: &mut Inputs, name: &str, spec: Value) {
    let (name, object) = object(name, 0, &spec);
    inputs.budgets.insert(name, object);
}

fn verdict(compiled: &Compiled, kind: Kind, text: &str) -> Verdict {
    compiled.verdicts[&ObjectKey { kind, name: name(text) }].clone()
}

fn only_problem(verdict: &Verdict) -> (Reason, String) {
    let problems: Vec<_> = verdict.problems().collect();
    assert_eq!(problems.len(), 1, "{problems:?}");
    (problems[0].reason, problems[0].message.clone())
}

#[test]
fn a_provider_a_route_and_a_secret_serve_traffic() {
    let compiled = compile(&inputs());
    assert!(verdict(&compiled, Kind::Provider, "a/openai").is_ready());
    assert!(verdict(&compiled, Kind::Route, "a/chat").is_ready());
    assert_eq!(verdict(&compiled, Kind::Route, "a/chat").generation, 7);
    let route = compiled.snapshot.routes.iter().next().unwrap();
    assert_eq!(&*route.rules[0].targets[0].name, "openai/gpt-5");
    let provider = &route.rules[0].targets[0].provider;
    assert_eq!(provider.endpoint.to_string(), "https://api.openai.com/v1");
    assert_eq!(provider.credentials[0].key.expose(), "sk-upstream");
    assert!(provider.models["gpt-5"].price.is_some());
}

#[test]
fn compiling_the_same_objects_twice_gives_equal_snapshots() {
    assert_eq!(compile(&inputs()).snapshot, compile(&inputs()).snapshot);
}

#[test]
fn a_missing_secret_says_how_to_create_it_and_takes_the_route_down_with_a_reason() {
    let mut inputs = inputs();
    inputs.secrets.clear();
    let compiled = compile(&inputs);
    let (reason, message) = only_problem(&verdict(&compiled, Kind::Provider, "a/openai"));
    assert_eq!(reason, Reason::SecretNotFound);
    assert!(message.contains("kubectl create secret generic openai --namespace a"), "{message}");
    let route = verdict(&compiled, Kind::Route, "a/chat");
    assert_eq!(only_problem(&route).0, Reason::ProviderNotReady);
    assert!(!route.programmed);
    let fault = compiled.snapshot.routes.iter().next().unwrap().fault.clone();
    assert_eq!(fault.as_deref(), Some("ProviderNotReady"));
}

#[test]
fn a_wrong_key_names_the_keys_that_exist_and_never_their_values() {
    let mut inputs = inputs();
    inputs.secrets.insert(name("a/openai"), secret(&[("token", "sk-hidden"), ("api-key", "a b")]));
    let compiled = compile(&inputs);
    let (reason, message) = only_problem(&verdict(&compiled, Kind::Provider, "a/openai"));
    assert_eq!(reason, Reason::SecretKeyNotFound);
    assert!(message.contains("token") && !message.contains("sk-hidden"), "{message}");
    assert!(!format!("{inputs:?} {compiled:?}").contains("sk-hidden"));
}

#[test]
fn a_placeholder_is_not_taken_for_a_key() {
    let mut inputs = inputs();
    inputs.secrets.insert(name("a/openai"), secret(&[("api-key", "$(OPENAI_API_KEY)")]));
    let (reason, message) = only_problem(&verdict(&compile(&inputs), Kind::Provider, "a/openai"));
    assert_eq!(reason, Reason::SecretKeyNotFound);
    assert!(message.contains("store the API key itself"), "{message}");
}

#[test]
fn one_missing_key_of_a_pool_leaves_the_others_in_use() {
    let mut inputs = inputs();
    provider(
        &mut inputs,
        "a/openai",
        json!({
            "type": "OpenAI",
            "auth": {"apiKeys": [
                {"secretKeyRef": {"name": "openai", "key": "api-key"}},
                {"secretKeyRef": {"name": "second", "key": "api-key"}},
            ]},
        }),
    );
    let compiled = compile(&inputs);
    let provider = verdict(&compiled, Kind::Provider, "a/openai");
    assert_eq!(only_problem(&provider).0, Reason::SecretNotFound);
    assert!(provider.programmed && !provider.is_ready());
    assert!(verdict(&compiled, Kind::Route, "a/chat").is_ready());
}

#[test]
fn an_unknown_provider_lists_those_that_exist() {
    let mut inputs = inputs();
    route(
        &mut inputs,
        "a/chat",
        1,
        json!({
            "models": ["chat"],
            "rules": [{"targets": [{"providerRef": {"name": "opnai"}}]}],
        }),
    );
    let compiled = compile(&inputs);
    let (reason, message) = only_problem(&verdict(&compiled, Kind::Route, "a/chat"));
    assert_eq!(reason, Reason::ProviderNotFound);
    assert!(message.contains("a/opnai") && message.contains("openai"), "{message}");
}

#[test]
fn another_namespaces_provider_must_admit_the_route() {
    let cross = json!({
        "models": ["chat"],
        "rules": [{"targets": [{"providerRef": {"name": "openai", "namespace": "a"}}]}],
    });
    let mut inputs = inputs();
    route(&mut inputs, "b/chat", 2, cross);
    let refused = verdict(&compile(&inputs), Kind::Route, "b/chat");
    let (reason, message) = only_problem(&refused);
    assert_eq!(reason, Reason::ProviderNotAllowed);
    assert!(message.contains("allowedNamespaces"), "{message}");
    for allowed in [
        json!({"from": "All"}),
        json!({"from": "Selector", "selector": {"matchLabels": {"kubernetes.io/metadata.name": "b"}}}),
    ] {
        let spec = json!({"type": "Mock", "allowedNamespaces": allowed});
        provider(&mut inputs, "a/openai", spec);
        assert!(verdict(&compile(&inputs), Kind::Route, "b/chat").is_ready());
    }
}

#[test]
fn a_broken_target_leaves_the_others_serving_and_the_route_not_ready() {
    let mut inputs = inputs();
    route(
        &mut inputs,
        "a/chat",
        1,
        json!({
            "models": ["chat"],
            "rules": [{"targets": [
                {"providerRef": {"name": "openai"}},
                {"providerRef": {"name": "gone"}, "priority": 1},
            ]}],
        }),
    );
    let compiled = compile(&inputs);
    let route = verdict(&compiled, Kind::Route, "a/chat");
    assert!(route.programmed && !route.is_ready());
    assert_eq!(route.targets.iter().filter(|target| target.resolved).count(), 1);
    assert_eq!(compiled.snapshot.routes.iter().next().unwrap().fault, None);
}

#[test]
fn an_object_that_cannot_be_read_degrades_only_itself() {
    let mut inputs = inputs();
    route(&mut inputs, "a/broken", 1, json!({"models": 5}));
    provider(&mut inputs, "a/broken", json!({"type": "Nonsense"}));
    let compiled = compile(&inputs);
    assert_eq!(only_problem(&verdict(&compiled, Kind::Route, "a/broken")).0, Reason::Invalid);
    assert_eq!(only_problem(&verdict(&compiled, Kind::Provider, "a/broken")).0, Reason::Invalid);
    assert!(verdict(&compiled, Kind::Route, "a/chat").is_ready());
}

#[test]
fn the_older_of_two_equal_claims_keeps_the_model() {
    let mut inputs = inputs();
    let same = json!({
        "models": ["other", "chat"],
        "rules": [{"targets": [{"providerRef": {"name": "openai"}}]}],
    });
    route(&mut inputs, "a/late", 2, same.clone());
    route(
        &mut inputs,
        "b/elsewhere",
        3,
        json!({"models": ["chat"], "rules": [
        {"targets": [{"providerRef": {"name": "openai", "namespace": "a"}}]}]}),
    );
    let compiled = compile(&inputs);
    assert!(verdict(&compiled, Kind::Route, "a/chat").is_ready());
    let late = verdict(&compiled, Kind::Route, "a/late");
    let (reason, message) = only_problem(&late);
    assert_eq!(reason, Reason::ModelConflict);
    assert!(message.contains("\"chat\"") && message.contains("a/chat"), "{message}");
    assert!(late.programmed, "its other model is still served");
    assert_ne!(
        verdict(&compiled, Kind::Route, "b/elsewhere").problems().next().unwrap().reason,
        Reason::ModelConflict
    );
}

#[test]
fn loopback_is_for_standalone_mode_only() {
    for endpoint in ["http://localhost:1/v1", "http://127.9.9.9/v1", "http://[::1]:1/v1"] {
        let mut inputs = inputs();
        provider(&mut inputs, "a/openai", json!({"type": "VLLM", "endpoint": endpoint}));
        let refused = verdict(&compile(&inputs), Kind::Provider, "a/openai");
        assert_eq!(only_problem(&refused).0, Reason::Invalid, "{endpoint}");
        inputs.settings.allow_loopback = true;
        assert!(verdict(&compile(&inputs), Kind::Provider, "a/openai").is_ready(), "{endpoint}");
    }
}

#[test]
fn an_address_that_is_never_called_is_not_ready() {
    for endpoint in ["http://169.254.169.254/v1", "http://[fe80::1]/v1", "http://127.1/v1"] {
        let mut inputs = inputs();
        inputs.settings.allow_loopback = true;
        provider(&mut inputs, "a/openai", json!({"type": "VLLM", "endpoint": endpoint}));
        let refused = verdict(&compile(&inputs), Kind::Provider, "a/openai");
        assert_eq!(only_problem(&refused).0, Reason::Invalid, "{endpoint}");
    }
}

#[test]
fn an_endpoint_and_a_service_at_once_are_refused() {
    let mut inputs = inputs();
    let spec = json!({"type": "VLLM", "endpoint": "https://a.example/v1",
        "service": {"name": "b", "port": 8000}});
    provider(&mut inputs, "a/openai", spec);
    let refused = verdict(&compile(&inputs), Kind::Provider, "a/openai");
    assert_eq!(only_problem(&refused).0, Reason::Invalid);
}

#[test]
fn a_service_becomes_its_cluster_address() {
    let mut inputs = inputs();
    provider(
        &mut inputs,
        "a/openai",
        json!({
            "type": "VLLM", "service": {"name": "llama", "port": 8000},
        }),
    );
    let compiled = compile(&inputs);
    let provider = &compiled.snapshot.providers[&name("a/openai")];
    assert_eq!(provider.endpoint.to_string(), "http://llama.a.svc:8000/v1");
    assert!(matches!(provider.endpoint, Endpoint::Http { .. }));
}

#[test]
fn a_target_model_may_take_what_the_star_matched() {
    let mut inputs = inputs();
    route(
        &mut inputs,
        "a/chat",
        1,
        json!({
            "models": ["eu/*"],
            "rules": [{"targets": [{"providerRef": {"name": "openai"}, "model": "*-eu"}]}],
        }),
    );
    let compiled = compile(&inputs);
    let found = compiled.snapshot.routes.iter().next().unwrap();
    assert_eq!(
        found.rules[0].targets[0].model,
        TargetModel::Star { before: "".into(), after: "-eu".into() }
    );
    assert_eq!(found.rules[0].targets[0].model.resolve("eu/gpt-5", "gpt-5"), "gpt-5-eu");
}

#[test]
fn no_budget_counts_by_a_header_that_carries_credentials() {
    let limits =
        json!([{"name": "day", "amount": "5", "unit": "USD", "window": {"calendar": "Day"}}]);
    let mut inputs = inputs();
    for (header, is_refused) in [
        ("X-Team", false),
        ("Authorization", true),
        ("x-api-key", true),
        ("X-Sluice-API-Key", true),
        ("COOKIE", true),
    ] {
        let per = json!({"limits": limits, "per": [format!("Header:{header}")]});
        budget(&mut inputs, "a/mine", per);
        let verdict = verdict(&compile(&inputs), Kind::Budget, "a/mine");
        assert_eq!(verdict.is_ready(), !is_refused, "{header}");
        let refusal = verdict.problems().next().map(|problem| problem.message.clone());
        assert_eq!(refusal.is_some_and(|text| text.contains("credentials")), is_refused);
    }
}

#[test]
fn a_copied_key_hash_stays_with_the_oldest_secret() {
    let aged = |seconds: Option<i64>| SecretData {
        created: seconds.map(|at| jiff::Timestamp::from_second(at).unwrap()),
        ..secret(&[("key", "sk-shared")])
    };
    for (first, second, owner) in [
        (Some(200), Some(100), "b/mine"),
        (Some(100), Some(200), "a/mine"),
        (Some(100), Some(100), "a/mine"),
        (None, Some(100), "b/mine"),
        (None, None, "a/mine"),
    ] {
        let mut inputs = Inputs::default();
        inputs.consumers.insert(name("a/mine"), aged(first));
        inputs.consumers.insert(name("b/mine"), aged(second));
        let Compiled { snapshot, notes, .. } = compile(&inputs);
        assert_eq!(snapshot.consumers.get(b"sk-shared").unwrap().name, name(owner));
        let loser = if owner == "a/mine" { "b/mine" } else { "a/mine" };
        assert!(notes[&name(loser)].contains(owner), "{notes:?}");
        assert_eq!(notes.len(), 1);
    }
}

#[test]
fn the_key_of_a_secret_with_a_mistake_is_nobody_elses() {
    let mut inputs = Inputs::default();
    let mut mistaken = secret(&[("key", "sk-shared")]);
    mistaken.annotations.insert("sluice.dev/expires".into(), "soon".into());
    inputs.consumers.insert(name("a/mistaken"), mistaken);
    inputs.consumers.insert(name("b/copy"), secret(&[("key", "sk-shared")]));
    let Compiled { snapshot, notes, .. } = compile(&inputs);
    assert!(snapshot.consumers.get(b"sk-shared").is_none());
    assert_eq!(notes.len(), 2, "{notes:?}");
}

#[test]
fn budgets_select_routes_of_their_namespace_unless_they_are_the_gateways_own() {
    let limits =
        json!([{"name": "day", "amount": "5", "unit": "USD", "window": {"calendar": "Day"}}]);
    let mut inputs = inputs();
    budget(&mut inputs, "a/mine", json!({"limits": limits}));
    budget(
        &mut inputs,
        "a/other",
        json!({"limits": limits, "selector": {"routes": {"names": ["x"]}}}),
    );
    budget(&mut inputs, "b/not-here", json!({"limits": limits}));
    let all = json!({"limits": limits, "selector": {"allNamespaces": true}});
    budget(&mut inputs, "sluice-system/all", all.clone());
    budget(&mut inputs, "b/presumptuous", all);
    let compiled = compile(&inputs);
    let route = compiled.snapshot.routes.iter().next().unwrap();
    let names: Vec<_> = route.budgets.iter().map(|budget| budget.name.to_string()).collect();
    assert_eq!(names, ["a/mine", "sluice-system/all"]);
    let refused = verdict(&compiled, Kind::Budget, "b/presumptuous");
    assert!(only_problem(&refused).1.contains("sluice-system"));
}

#[test]
fn a_window_goes_with_every_unit_but_concurrent() {
    for (limit, complaint) in [
        (json!({"unit": "Concurrent"}), None),
        (json!({"unit": "OutputTokens", "window": {"sliding": "1m"}}), None),
        (json!({"unit": "InputTokens"}), Some("limit cap: window is missing")),
        (json!({"unit": "Concurrent", "window": {"sliding": "1m"}}), Some("remove window")),
        (json!({"unit": "Concurrent", "amount": "0"}), Some("above 0")),
    ] {
        let mut whole = json!({"name": "cap", "amount": "5"});
        whole.as_object_mut().unwrap().extend(limit.as_object().unwrap().clone());
        let mut inputs = inputs();
        budget(&mut inputs, "a/mine", json!({"limits": [whole]}));
        let verdict = verdict(&compile(&inputs), Kind::Budget, "a/mine");
        match complaint {
            None => assert!(verdict.is_ready(), "{limit}"),
            Some(text) => assert!(only_problem(&verdict).1.contains(text), "{verdict:?}"),
        }
    }
}

#[test]
fn a_model_goes_with_a_downgrade_and_the_other_way_round() {
    let limits =
        json!([{"name": "day", "amount": "5", "unit": "USD", "window": {"calendar": "Day"}}]);
    for (exceeded, model) in [
        (json!({"action": "Downgrade", "model": "gpt-5-mini"}), Some(Some("gpt-5-mini"))),
        (json!({"action": "Reject"}), Some(None)),
        (json!({}), Some(None)),
        (json!({"action": "Downgrade"}), None),
        (json!({"model": "gpt-5-mini"}), None),
    ] {
        let mut inputs = inputs();
        budget(&mut inputs, "a/mine", json!({"limits": limits, "onExceeded": exceeded}));
        let compiled = compile(&inputs);
        let verdict = verdict(&compiled, Kind::Budget, "a/mine");
        let got = compiled.snapshot.budgets.first().map(|budget| budget.downgrade.as_deref());
        assert_eq!(got, model, "{exceeded}");
        match model {
            Some(_) => assert!(verdict.is_ready(), "{exceeded}"),
            None => assert!(only_problem(&verdict).1.contains("needs a model"), "{verdict:?}"),
        }
    }
}

#[test]
fn an_unknown_time_zone_is_named() {
    let mut inputs = inputs();
    budget(
        &mut inputs,
        "a/mine",
        json!({"limits": [{
            "name": "day", "amount": "5", "unit": "USD",
            "window": {"calendar": "Day", "timeZone": "Europe/Berlim"},
        }]}),
    );
    let (_, message) = only_problem(&verdict(&compile(&inputs), Kind::Budget, "a/mine"));
    assert!(message.contains("Europe/Berlim") && message.contains("IANA"), "{message}");
}

#[test]
fn api_keys_are_found_by_key_and_by_hash_and_mistakes_are_noted() {
    let mut inputs = inputs();
    let digest = crate::snapshot::KeyDigest::of(b"sk-two").to_hex();
    for (consumer, data) in [
        ("a/one", secret(&[("key", "sk-one\n")])),
        ("a/two", secret(&[("keyHash", &format!("sha256:{digest}"))])),
        ("b/copy", secret(&[("key", "sk-one")])),
        ("b/empty", secret(&[])),
        ("b/short", secret(&[("keyHash", "sha256:abc")])),
    ] {
        inputs.consumers.insert(name(consumer), data);
    }
    let compiled = compile(&inputs);
    let owner = |key: &[u8]| compiled.snapshot.consumers.get(key).map(|c| c.name.to_string());
    assert_eq!(owner(b"sk-one").as_deref(), Some("a/one"));
    assert_eq!(owner(b"sk-two").as_deref(), Some("a/two"));
    assert_eq!(owner(b"sk-three"), None);
    let noted: Vec<_> = compiled.notes.keys().map(ToString::to_string).collect();
    assert_eq!(noted, ["b/copy", "b/empty", "b/short"]);
}

#[test]
fn direct_access_admits_the_providers_namespace_and_is_counted_by_budgets_without_routes() {
    let mut inputs = inputs();
    provider(
        &mut inputs,
        "a/files",
        json!({
            "type": "OpenAICompatible",
            "endpoint": "https://llm.example.com/v1",
            "directAccess": {"paths": ["/files"]},
        }),
    );
    let limits =
        json!([{"name": "day", "amount": "1", "unit": "Requests", "window": {"sliding": "1h"}}]);
    budget(&mut inputs, "a/all", json!({"limits": limits}));
    budget(
        &mut inputs,
        "a/some",
        json!({"limits": limits, "selector": {"routes": {"names": ["chat"]}}}),
    );
    budget(
        &mut inputs,
        "b/other",
        json!({"limits": limits, "selector": {"providers": ["a/openai"]}}),
    );
    let everything = json!({"limits": limits, "selector": {"allNamespaces": true}});
    budget(&mut inputs, "sluice-system/every", everything);
    let compiled = compile(&inputs);
    let granted: Vec<_> = compiled.snapshot.direct.keys().map(ToString::to_string).collect();
    assert_eq!(granted, ["a/files"]);
    let direct = &compiled.snapshot.direct[&name("a/files")];
    let counting = direct.budgets.iter().map(|c| (c.budget.name.to_string(), c.everywhere));
    let expected = [("a/all".to_owned(), false), ("sluice-system/every".to_owned(), true)];
    assert_eq!(counting.collect::<Vec<_>>(), expected);
    let consumer = |namespace: &str| crate::snapshot::Consumer {
        name: ObjectName::new(namespace, "key"),
        labels: Default::default(),
        app: None,
        team: None,
        environment: None,
        expires: None,
    };
    assert!(direct.access.admits(Some(&consumer("a"))));
    assert!(!direct.access.admits(Some(&consumer("b"))) && !direct.access.admits(None));
    let covers = |path| direct.covering(path).is_some();
    assert!(covers("/files") && covers("/files/f") && !covers("/filesystem") && !covers("/"));
}
