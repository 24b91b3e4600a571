//! A cluster that is not ready, goes away and comes back; objects that can't be read. Each test
//! has a cluster of its own.

use std::{
    fs,
    time::{Duration, Instant},
};

use sluice::snapshot::Snapshot;

use crate::{
    cluster::{Cluster, eventually},
    replica::{Replica, SOON, install_definitions},
};

fn owned() -> Option<Cluster> {
    if std::env::var("USE_EXISTING_CLUSTER").is_ok_and(|value| value == "true") {
        println!("skipped: the components of an existing cluster are not killed");
        return None;
    }
    Some(Cluster::start_bare())
}

fn provider(name: &str) -> String {
    format!(
        "
apiVersion: sluice.dev/v1alpha1
kind: AIProvider
metadata: {{name: {name}, namespace: default}}
spec: {{type: Mock}}
"
    )
}

fn has(count: usize) -> impl Fn(&Snapshot) -> bool {
    move |snapshot| snapshot.providers.len() == count
}

fn await_connected(replica: &Replica, connected: i64) {
    eventually(SOON, || match replica.metrics.source_connected.get() == connected {
        true => Ok(()),
        false => Err(format!("connected is not {connected}")),
    });
}

#[test]
fn definitions_may_come_late_and_the_api_server_and_etcd_may_go_and_come_back() {
    let Some(cluster) = owned() else { return };
    let replica = Replica::start(cluster.kubeconfig(), &["default"], "a");
    await_connected(&replica, 0);
    assert!(!replica.current.is_synced());
    install_definitions(&cluster);
    replica.await_snapshot(|_| replica.outcomes.borrow().version > 0);
    cluster.apply(&provider("one"));
    replica.await_snapshot(has(1));
    await_connected(&replica, 1);

    cluster.kill_api_server();
    await_connected(&replica, 0);
    assert!(has(1)(&replica.published.load()), "an outage must not remove anything");
    let back = Instant::now();
    cluster.restart_api_server();
    println!("API server back after {:?}", back.elapsed());
    cluster.apply(&provider("two"));
    println!("change after the API server's return seen in {:?}", replica.await_snapshot(has(2)));
    await_connected(&replica, 1);

    cluster.kill_etcd();
    std::thread::sleep(Duration::from_secs(3));
    assert!(has(2)(&replica.published.load()), "an outage must not remove anything");
    cluster.restart_etcd();
    eventually(SOON, || {
        let output = cluster.kubectl(&["apply", "-f", "-"], &provider("three"));
        if output.success() { Ok(()) } else { Err(output.stderr) }
    });
    println!("change after etcd's return seen in {:?}", replica.await_snapshot(has(3)));
    replica.stop();
}

#[test]
fn an_object_that_cannot_be_read_degrades_only_itself() {
    let Some(cluster) = owned() else { return };
    for kind in ["aiproviders", "airoutes", "aibudgets"] {
        let text = fs::read_to_string(format!("crds/{kind}.yaml")).unwrap();
        let mut crd: serde_json::Value = serde_yaml::from_str(&text).unwrap();
        crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"] =
            serde_json::json!({"type": "object", "x-kubernetes-preserve-unknown-fields": true});
        cluster.apply(&crd.to_string());
    }
    let wait = ["wait", "--for=condition=Established", "--timeout=30s", "crd", "--all"];
    cluster.kubectl(&wait, "").expect_success();
    let replica = Replica::start(cluster.kubeconfig(), &["default"], "a");
    cluster.apply(&provider("good"));
    let bad = provider("bad").replace("type: Mock", "type: Mock, models: [{name: 7}]");
    cluster.apply(&bad);
    replica.await_snapshot(has(1));
    let message = eventually(SOON, || {
        let args = ["get", "aiprovider", "bad", "-o", "json"];
        let object: serde_json::Value =
            serde_json::from_str(cluster.kubectl(&args, "").expect_success()).unwrap();
        let accepted = crate::replica::condition(&object, "Accepted");
        let accepted = accepted.filter(|accepted| accepted["reason"] == "Invalid");
        let message = accepted.and_then(|accepted| accepted["message"].as_str());
        message.map(str::to_owned).ok_or_else(|| object["status"].to_string())
    });
    assert!(message.contains("spec.models[0].name"), "{message}");
    cluster.apply(&provider("bad"));
    replica.await_snapshot(has(2));
    replica.stop();
}
