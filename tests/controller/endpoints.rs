//! Services and their EndpointSlices, from the API server to the snapshot. The addresses are of
//! documentation (RFC 5737, RFC 3849): nothing here is called.

use std::{sync::Arc, time::Duration};

use serde_json::{Value, json};
use sluice::{compile::Settings, snapshot::Snapshot};

use crate::replica::{Namespace, Replica};

const OBJECTS: &str = "
apiVersion: v1
kind: Service
metadata: {name: llm}
spec: {ports: [{name: http, port: 80, targetPort: web}]}
---
apiVersion: sluice.dev/v1alpha1
kind: AIProvider
metadata: {name: llm}
spec: {type: VLLM, service: {name: llm, port: 80}}
";

const ROUTE: &str = "
apiVersion: sluice.dev/v1alpha1
kind: AIRoute
metadata: {name: chat}
spec: {models: [chat], rules: [{targets: [{providerRef: {name: llm}}]}]}
";

fn slice(name: &str, family: &str, endpoints: Value) -> String {
    json!({
        "apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "addressType": family,
        "metadata": {"name": name, "labels": {"kubernetes.io/service-name": "llm"}},
        "ports": [{"name": "http", "port": 8000, "protocol": "TCP"}],
        "endpoints": endpoints,
    })
    .to_string()
}

fn endpoint(last: u8, [ready, serving, terminating]: [bool; 3]) -> Value {
    json!({"addresses": [format!("198.51.100.{last}")], "zone": format!("zone-{}", last % 2),
        "conditions": {"ready": ready, "serving": serving, "terminating": terminating}})
}

const READY: [bool; 3] = [true, true, false];
const ENDS: [bool; 3] = [false, true, true];

/// The addresses of the provider: the last part of each, and whether it is near.
fn backends(snapshot: &Snapshot, space: &Namespace) -> Option<Vec<(String, bool)>> {
    let backends = snapshot.providers.get(&space.object("llm"))?.backends.clone()?;
    let shown = backends.iter().map(|b| (b.address.to_string(), b.is_near));
    Some(shown.collect())
}

fn await_backends(replica: &Replica, space: &Namespace, wanted: &[&str]) -> Duration {
    replica.await_snapshot(|snapshot| {
        backends(snapshot, space).is_some_and(|all| all.iter().map(|(a, _)| a).eq(wanted))
    })
}

#[test]
fn the_endpoints_of_a_service_are_followed() {
    let space = Namespace::new("endpoints");
    let settings = Settings { zone: Some(Arc::from("zone-1")), ..Settings::default() };
    let replica = Replica::start_as(space.cluster.kubeconfig(), &[&space.name], "a", settings);
    space.apply(&[OBJECTS, ROUTE].join("---"));
    space.await_condition("aiprovider/llm", ["Ready", "False", "NoEndpoints"]);
    space.await_condition("airoute/chat", ["Ready", "False", "NoEndpoints"]);
    let provider = space.get("aiprovider/llm");
    assert!(crate::replica::condition(&provider, "Stalled").is_none(), "it is nobody's mistake");

    space.apply(&slice("llm-a", "IPv4", json!([endpoint(1, READY), endpoint(2, READY)])));
    space.apply(&slice("llm-b", "IPv4", json!([endpoint(3, READY), endpoint(4, ENDS)])));
    space.apply(&slice("llm-c", "IPv6", json!([{"addresses": ["2001:db8::1"]}])));
    let all = ["198.51.100.1:8000", "198.51.100.2:8000", "198.51.100.3:8000"];
    let took = await_backends(&replica, &space, &all);
    println!("applied EndpointSlices -> published: {took:?}");
    let near: Vec<_> = backends(&replica.published.load(), &space).unwrap();
    assert_eq!(near.iter().map(|(_, near)| *near).collect::<Vec<_>>(), [true, false, true]);
    space.await_condition("airoute/chat", ["Ready", "True", "Ready"]);

    space.apply(&slice("llm-a", "IPv4", json!([])));
    await_backends(&replica, &space, &all[2..]);
    // What ends is used when nothing else is ready, of either family.
    space.apply(&slice("llm-b", "IPv4", json!([endpoint(4, ENDS)])));
    await_backends(&replica, &space, &["[2001:db8::1]:8000"]);
    space.kubectl(&["delete", "endpointslice", "llm-c"], "");
    await_backends(&replica, &space, &["198.51.100.4:8000"]);
    replica.stop();
}

#[test]
fn a_service_that_is_missing_or_lacks_the_port_is_named() {
    let space = Namespace::new("service");
    let replica = space.replica("a");
    let provider = OBJECTS.split_once("---").unwrap().1;
    space.apply(provider);
    let message = space.await_condition("aiprovider/llm", ["Ready", "False", "ServiceNotFound"]);
    assert!(message.contains("llm"), "{message}");
    space.apply(OBJECTS);
    space.await_condition("aiprovider/llm", ["Ready", "False", "NoEndpoints"]);
    let patch = r#"{"spec":{"service":{"port":8000}}}"#;
    space.kubectl(&["patch", "aiprovider", "llm", "--type=merge", "-p", patch], "");
    let message =
        space.await_condition("aiprovider/llm", ["Ready", "False", "ServicePortNotFound"]);
    assert!(message.contains("80"), "{message}");
    replica.stop();
}

#[test]
fn what_nothing_names_any_more_is_forgotten() {
    let space = Namespace::new("forgotten");
    let replica = space.replica("a");
    space.apply(OBJECTS);
    space.apply(&slice("llm-a", "IPv4", json!([endpoint(1, READY)])));
    await_backends(&replica, &space, &["198.51.100.1:8000"]);
    space.kubectl(&["delete", "aiprovider", "llm"], "");
    replica.await_snapshot(|snapshot| snapshot.providers.is_empty());
    let inputs = replica.current.inputs();
    assert!(inputs.services.is_empty() && inputs.slices.is_empty());
    replica.stop();
}
