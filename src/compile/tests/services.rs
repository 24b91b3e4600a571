//! Providers that are Services of a cluster.

use std::sync::Arc;

use serde_json::json;

use super::{name, only_problem, provider, route, verdict};
use crate::{
    api::condition::Reason,
    compile::{
        Inputs, Kind, compile,
        inputs::service::{EndpointData, NamedPort, ServiceData, SliceData},
    },
};

/// A provider of the Service `a/llm` with port 80, and a route that uses it.
fn with_service(ready: bool) -> Inputs {
    let mut inputs = Inputs::default();
    let service = json!({"name": "llm", "port": 80});
    provider(&mut inputs, "a/vllm", json!({"type": "VLLM", "service": service}));
    let targets = json!([{"providerRef": {"name": "vllm"}}]);
    route(&mut inputs, "a/chat", 1, json!({"models": ["chat"], "rules": [{"targets": targets}]}));
    let port = |number| vec![NamedPort { name: "".into(), number }];
    let endpoint = EndpointData {
        address: [10, 0, 0, 1].into(),
        is_ready: ready,
        is_serving: ready,
        is_terminating: false,
        zone: None,
        for_zones: Vec::new(),
    };
    let slice = SliceData { ports: port(8000), endpoints: vec![endpoint] };
    let data = ServiceData { ports: port(80), ..ServiceData::default() };
    inputs.services.insert(name("a/llm"), Some(data));
    inputs.slices.insert(name("a/llm"), Arc::new([("llm-1".into(), slice)].into()));
    inputs
}

#[test]
fn a_service_is_called_by_its_name_at_the_addresses_of_its_endpoints() {
    let compiled = compile(&with_service(true));
    assert!(verdict(&compiled, Kind::Provider, "a/vllm").is_ready());
    assert!(verdict(&compiled, Kind::Route, "a/chat").is_ready());
    let provider = &compiled.snapshot.providers[&name("a/vllm")];
    assert_eq!(provider.endpoint.to_string(), "http://llm.a.svc:80/v1");
    let backends = provider.backends.as_deref().unwrap();
    assert_eq!(backends.len(), 1);
    assert_eq!(backends[0].address.to_string(), "10.0.0.1:8000");
}

#[test]
fn a_service_without_a_ready_endpoint_is_served_but_not_ready() {
    let compiled = compile(&with_service(false));
    for (kind, object) in [(Kind::Provider, "a/vllm"), (Kind::Route, "a/chat")] {
        let verdict = verdict(&compiled, kind, object);
        assert!(verdict.programmed && !verdict.is_ready(), "{verdict:?}");
        assert_eq!(verdict.problems().count(), 0);
        assert_eq!(verdict.waiting[0].reason, Reason::NoEndpoints);
    }
    assert_eq!(compiled.snapshot.providers[&name("a/vllm")].backends.as_deref(), Some(&[][..]));
}

#[test]
fn a_service_that_does_not_exist_is_a_reference_that_leads_nowhere() {
    let mut inputs = with_service(true);
    inputs.services.insert(name("a/llm"), None);
    let compiled = compile(&inputs);
    let (reason, message) = only_problem(&verdict(&compiled, Kind::Provider, "a/vllm"));
    assert_eq!(reason, Reason::ServiceNotFound);
    assert!(message.contains("a/llm"), "{message}");
    let (reason, _) = only_problem(&verdict(&compiled, Kind::Route, "a/chat"));
    assert_eq!(reason, Reason::ProviderNotReady);
}
