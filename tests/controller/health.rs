//! The health of targets in status.

use std::time::{Duration, Instant};

use serde_json::Value;
use sluice::snapshot::Ejection;

use crate::{
    cluster::eventually,
    replica::{Namespace, Replica, SOON},
};

const OBJECTS: &str = "
apiVersion: sluice.dev/v1alpha1
kind: AIProvider
metadata: {name: one}
spec: {type: Mock}
---
apiVersion: sluice.dev/v1alpha1
kind: AIProvider
metadata: {name: two}
spec: {type: Mock}
---
apiVersion: sluice.dev/v1alpha1
kind: AIRoute
metadata: {name: chat}
spec:
  models: [chat]
  rules:
  - targets:
    - {providerRef: {name: one}, model: m}
    - {providerRef: {name: two}, model: m, priority: 1}
";

/// Has the first provider's model left out, or back.
fn judge(replica: &Replica, space: &Namespace, is_well: bool) {
    let provider = replica.published.load().providers[&space.object("one")].clone();
    let (now, once) = (Instant::now(), Ejection { consecutive_failures: 1, ..Ejection::default() });
    let target = replica.targets.target(&provider.uid, &"m".into(), now);
    if !is_well {
        target.checked(false, &once, now);
        return;
    }
    let mut flight = sluice::route::Flight::begin(target, once, None, now);
    flight.first_content(now);
    flight.end(sluice::route::End::Answered, now);
}

fn await_status(space: &Namespace, object: &str, wanted: impl Fn(&Value) -> bool) {
    eventually(SOON, || match &space.get(object)["status"] {
        status if wanted(status) => Ok(()),
        status => Err(status.to_string()),
    });
}

#[test]
fn a_target_that_is_left_out_shows_in_status_and_so_does_its_return() {
    let space = Namespace::new("health");
    let replica = space.replica("a");
    space.apply(OBJECTS);
    space.await_condition("airoute/chat", ["Ready", "True", "Ready"]);
    await_status(&space, "airoute/chat", |status| status["healthyTargets"] == "2/2");
    await_status(&space, "aiprovider/one", |status| status["healthy"] == true);
    judge(&replica, &space, false);
    await_status(&space, "airoute/chat", |status| {
        status["healthyTargets"] == "1/2"
            && status["targets"][0]["healthy"] == false
            && status["targets"][1]["healthy"] == true
    });
    await_status(&space, "aiprovider/one", |status| status["healthy"] == false);
    let columns = space.kubectl(&["get", "aiprovider,airoute"], "");
    assert!(columns.contains("HEALTHY") && columns.contains("1/2"), "{columns}");
    space.await_condition("airoute/chat", ["Ready", "True", "Ready"]);
    judge(&replica, &space, true);
    await_status(&space, "airoute/chat", |status| status["healthyTargets"] == "2/2");
    replica.stop();
}

#[test]
fn health_that_changes_often_is_written_seldom() {
    let space = Namespace::new("flapping");
    let replica = space.replica("a");
    space.apply(OBJECTS);
    space.await_condition("airoute/chat", ["Ready", "True", "Ready"]);
    await_status(&space, "aiprovider/one", |status| status["healthy"] == true);
    let written = || replica.metrics.status_writes.with_label_values(&["written"]).get();
    let (before, start) = (written(), Instant::now());
    let mut is_well = true;
    while start.elapsed() < Duration::from_secs(22) {
        is_well = !is_well;
        judge(&replica, &space, is_well);
        // Also what compiles anew does not make health be written more often.
        let label = format!("flap={is_well}");
        space.kubectl(&["label", "--overwrite", "aiprovider", "one", &label], "");
        std::thread::sleep(Duration::from_millis(200));
    }
    // Two objects show it, each at most once in ten seconds.
    let writes = written() - before;
    assert!(writes <= 6, "{writes} writes in {:?}", start.elapsed());
    replica.stop();
}
