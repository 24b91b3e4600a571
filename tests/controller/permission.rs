//! Less permission than usual.

use crate::{
    cluster::eventually,
    replica::{Namespace, Replica, SOON},
};

const RULES: &str = "
apiVersion: v1
kind: ServiceAccount
metadata: {name: gateway}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata: {name: gateway}
rules:
- {apiGroups: [sluice.dev], resources: [aiproviders, airoutes, aibudgets], verbs: [get, list, watch]}
- {apiGroups: [sluice.dev], resources: [aiproviders/status, airoutes/status, aibudgets/status], verbs: [patch]}
- {apiGroups: [''], resources: [secrets], verbs: [get, list, watch]}
- {apiGroups: [coordination.k8s.io], resources: [leases], verbs: [get, create, update]}
- {apiGroups: [events.k8s.io], resources: [events], verbs: [create, patch]}
";

const OBJECTS: &str = "
apiVersion: sluice.dev/v1alpha1
kind: AIProvider
metadata: {name: mock}
spec: {type: Mock}
---
apiVersion: sluice.dev/v1alpha1
kind: AIRoute
metadata: {name: chat}
spec: {models: [chat], rules: [{targets: [{providerRef: {name: mock}}]}]}
";

const SERVICE: &str = "
apiVersion: v1
kind: Service
metadata: {name: llm}
spec: {ports: [{port: 80}]}
---
apiVersion: sluice.dev/v1alpha1
kind: AIProvider
metadata: {name: llm}
spec: {type: VLLM, service: {name: llm, port: 80}}
";

/// A replica that may do what `RULES` say and nothing else.
fn limited(space: &Namespace) -> Replica {
    space.apply(RULES);
    let binding = ["create", "rolebinding", "gateway", "--role=gateway"];
    let account = format!("--serviceaccount={}:gateway", space.name);
    space.kubectl(&[&binding[..], &[&account]].concat(), "");
    let kubeconfig = space.cluster.service_account_kubeconfig(&space.name, "gateway");
    Replica::start(&kubeconfig, &[&space.name], "limited")
}

#[test]
fn without_permission_to_read_services_they_are_reached_by_their_names() {
    let space = Namespace::new("rbac");
    let replica = limited(&space);
    space.apply(SERVICE);
    space.await_condition("aiprovider/llm", ["Ready", "True", "Ready"]);
    let provider = replica.published.load().providers[&space.object("llm")].clone();
    assert_eq!(provider.backends, None);
    assert!(replica.metrics.watch_errors.with_label_values(&["Service"]).get() > 0);
    assert_eq!(replica.metrics.source_connected.get(), 1);
    replica.stop();
}

#[test]
fn without_permission_to_read_namespaces_everything_but_their_labels_works() {
    let space = Namespace::new("rbac");
    let replica = limited(&space);
    space.apply(OBJECTS);
    space.await_condition("airoute/chat", ["Ready", "True", "Ready"]);
    assert!(replica.metrics.watch_errors.with_label_values(&["Namespace"]).get() > 0);
    assert_eq!(replica.metrics.source_connected.get(), 1);
    eventually(SOON, || match space.events("chat").len() {
        1 => Ok(()),
        other => Err(format!("{other} Events")),
    });
    replica.stop();
}
