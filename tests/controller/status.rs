//! From applied objects to what is served and said.

use std::time::{Duration, Instant};

use crate::{
    cluster::eventually,
    replica::{Namespace, SOON, condition},
};

const PROVIDER: &str = "
apiVersion: sluice.dev/v1alpha1
kind: AIProvider
metadata: {name: mock}
spec: {type: Mock, models: [{name: small, pricing: {input: '1', output: '2'}}]}
";

const WITH_SECRET: &str = "
apiVersion: sluice.dev/v1alpha1
kind: AIProvider
metadata: {name: vendor}
spec: {type: OpenAI, auth: {apiKeys: [{secretKeyRef: {name: vendor, key: api-key}}]}}
";

fn route(name: &str, model: &str, provider: &str) -> String {
    format!(
        "
apiVersion: sluice.dev/v1alpha1
kind: AIRoute
metadata: {{name: {name}}}
spec: {{models: [{model}], rules: [{{targets: [{{providerRef: {provider}, model: small}}]}}]}}
"
    )
}

fn secret(key: &str) -> String {
    format!(
        "
apiVersion: v1
kind: Secret
metadata: {{name: vendor}}
stringData: {{api-key: {key}}}
"
    )
}

const BUDGET: &str = "
apiVersion: sluice.dev/v1alpha1
kind: AIBudget
metadata: {name: day}
spec: {limits: [{name: day, amount: '5', unit: USD, window: {calendar: Day}}]}
";

const CONSUMER: &str = "
apiVersion: v1
kind: Secret
type: sluice.dev/api-key
metadata: {name: app, labels: {sluice.dev/team: search}}
stringData: {key: sk-a-key-of-a-test-0123456789}
";

#[test]
fn applied_objects_are_served_and_ready_and_deleted_ones_are_gone() {
    let space = Namespace::new("apply");
    let replica = space.replica("a");
    let all = [PROVIDER, &route("chat", "chat", "{name: mock}"), BUDGET, CONSUMER].join("---");
    space.apply(&all);
    for object in ["aiprovider/mock", "airoute/chat", "aibudget/day"] {
        space.await_condition(object, ["Ready", "True", "Ready"]);
        let object = space.get(object);
        assert_eq!(object["status"]["observedGeneration"], object["metadata"]["generation"]);
        for type_ in ["Accepted", "ResolvedRefs", "Programmed", "Ready"] {
            let condition = condition(&object, type_).unwrap();
            assert_eq!(condition["status"], "True");
            assert_eq!(condition["observedGeneration"], object["metadata"]["generation"]);
        }
        assert!(condition(&object, "Stalled").is_none());
    }
    assert_eq!(space.get("aiprovider/mock")["status"]["models"], 1);
    assert_eq!(space.get("airoute/chat")["status"]["resolvedTargets"], "1/1");
    let budget = space.get("aibudget/day");
    assert_eq!(budget["status"]["limits"][0]["max"], "5");
    assert_eq!(budget["status"]["limits"][0]["used"], "0");
    assert_eq!(condition(&budget, "WithinBudget").unwrap()["status"], "True");
    replica.await_snapshot(|snapshot| snapshot.consumers.len() == 1);
    eventually(SOON, || match space.events("chat").as_slice() {
        [(kind, reason)] if kind == "Normal" && reason == "Ready" => Ok(()),
        other => Err(format!("{other:?}")),
    });
    space.kubectl(&["delete", "airoute", "chat", "--wait=false"], "");
    replica.await_snapshot(|snapshot| snapshot.routes.iter().next().is_none());
    replica.stop();
}

#[test]
fn the_way_from_apply_to_published_is_short() {
    let space = Namespace::new("latency");
    let replica = space.replica("a");
    space.apply(PROVIDER);
    space.await_condition("aiprovider/mock", ["Ready", "True", "Ready"]);
    let mut times: Vec<Duration> = Vec::new();
    for number in 0..10 {
        let manifest = route(&format!("r{number}"), &format!("m{number}"), "{name: mock}");
        space.apply(&manifest);
        // kubectl returns after the write; the rest is the watch, the debounce and the compile.
        let wanted = |s: &sluice::snapshot::Snapshot| s.routes.iter().count() == number + 1;
        times.push(replica.await_snapshot(wanted));
    }
    times.sort();
    println!("apply -> published: median {:?}, longest {:?}", times[5], times[9]);
    replica.stop();
}

#[test]
fn a_missing_secret_is_named_and_its_creation_and_rotation_take_effect() {
    let space = Namespace::new("secret");
    let replica = space.replica("a");
    space.apply(WITH_SECRET);
    let message = space.await_condition("aiprovider/vendor", ["Ready", "False", "SecretNotFound"]);
    assert!(message.contains("vendor"), "{message}");
    space.await_condition("aiprovider/vendor", ["Stalled", "True", "SecretNotFound"]);
    let created = Instant::now();
    space.apply(&secret("first"));
    let name = space.object("vendor");
    let key = |wanted: &'static str| {
        let name = name.clone();
        move |snapshot: &sluice::snapshot::Snapshot| {
            let provider = snapshot.providers.get(&name);
            provider.is_some_and(|p| p.credentials.iter().any(|c| c.key.expose() == wanted))
        }
    };
    replica.await_snapshot(key("first"));
    println!("missing Secret created -> served: {:?}", created.elapsed());
    space.await_condition("aiprovider/vendor", ["Ready", "True", "Ready"]);
    assert!(condition(&space.get("aiprovider/vendor"), "Stalled").is_none());
    space.apply(&secret("second"));
    replica.await_snapshot(key("second"));
    space.kubectl(&["delete", "secret", "vendor"], "");
    space.await_condition("aiprovider/vendor", ["Ready", "False", "SecretNotFound"]);
    replica.stop();
}

#[test]
fn a_provider_with_its_secret_is_never_called_broken() {
    let space = Namespace::new("order");
    let replica = space.replica("a");
    space.apply(&[&secret("first"), WITH_SECRET].join("---"));
    space.await_condition("aiprovider/vendor", ["Ready", "True", "Ready"]);
    eventually(SOON, || match space.events("vendor").as_slice() {
        [(kind, _)] if kind == "Normal" => Ok(()),
        other => Err(format!("{other:?}")),
    });
    replica.stop();
}

#[test]
fn unknown_and_forbidden_providers_are_told_apart_and_a_fix_is_a_transition() {
    let (space, foreign) = (Namespace::new("refs"), Namespace::new("foreign"));
    let names = [space.name.as_str(), foreign.name.as_str()];
    let replica = crate::replica::Replica::start(space.cluster.kubeconfig(), &names, "a");
    foreign.apply(PROVIDER);
    space.apply(&route("unknown", "one", "{name: nobody}"));
    let reference = format!("{{name: mock, namespace: {}}}", foreign.name);
    space.apply(&route("forbidden", "two", &reference));
    let message =
        space.await_condition("airoute/unknown", ["ResolvedRefs", "False", "ProviderNotFound"]);
    assert!(message.contains("nobody") && message.contains("create it"), "{message}");
    let message =
        space.await_condition("airoute/forbidden", ["ResolvedRefs", "False", "ProviderNotAllowed"]);
    assert!(message.contains("allowedNamespaces"), "{message}");
    assert_eq!(space.get("airoute/forbidden")["status"]["resolvedTargets"], "0/1");
    let patch = r#"{"spec":{"allowedNamespaces":{"from":"All"}}}"#;
    foreign.kubectl(&["patch", "aiprovider", "mock", "--type=merge", "-p", patch], "");
    space.await_condition("airoute/forbidden", ["Ready", "True", "Ready"]);
    eventually(SOON, || {
        let mut events = space.events("forbidden");
        events.sort();
        let wanted = [("Normal", "Ready"), ("Warning", "ProviderNotAllowed")];
        match events.iter().map(|(a, b)| (a.as_str(), b.as_str())).eq(wanted) {
            true => Ok(()),
            false => Err(format!("{events:?}")),
        }
    });
    replica.stop();
}

#[test]
fn of_two_routes_for_a_model_the_younger_is_told_of_the_older() {
    let space = Namespace::new("conflict");
    let replica = space.replica("a");
    space.apply(&[PROVIDER, &route("older", "chat", "{name: mock}")].join("---"));
    space.await_condition("airoute/older", ["Ready", "True", "Ready"]);
    std::thread::sleep(Duration::from_millis(1100)); // creation times have whole seconds
    space.apply(&route("newer", "chat", "{name: mock}"));
    let message = space.await_condition("airoute/newer", ["Accepted", "False", "ModelConflict"]);
    assert!(message.contains("older"), "{message}");
    space.await_condition("airoute/older", ["Ready", "True", "Ready"]);
    replica.stop();
}

#[test]
fn status_is_not_written_again_while_nothing_changes() {
    let space = Namespace::new("stable");
    let replica = space.replica("a");
    let broken = route("broken", "other", "{name: nobody}");
    space.apply(&[PROVIDER, &route("chat", "chat", "{name: mock}"), BUDGET].join("---"));
    space.apply(&broken);
    space.await_condition("airoute/broken", ["Ready", "False", "ProviderNotFound"]);
    for object in ["aiprovider/mock", "airoute/chat", "aibudget/day"] {
        space.await_condition(object, ["Ready", "True", "Ready"]);
    }
    let versions = || {
        ["aiprovider/mock", "airoute/chat", "airoute/broken", "aibudget/day"]
            .map(|object| space.get(object)["metadata"]["resourceVersion"].clone())
    };
    let before = versions();
    let writes = replica.metrics.status_writes.with_label_values(&["written"]).get();
    // Longer than the interval at which everything is compared anew.
    std::thread::sleep(Duration::from_secs(11));
    assert_eq!(replica.metrics.status_writes.with_label_values(&["written"]).get(), writes);
    replica.stop();
    let replica = space.replica("b");
    replica.await_leadership(SOON);
    std::thread::sleep(Duration::from_secs(2));
    assert_eq!(versions(), before);
    assert_eq!(replica.metrics.status_writes.with_label_values(&["written"]).get(), 0);
    replica.stop();
}
