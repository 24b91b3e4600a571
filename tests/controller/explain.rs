//! `sluice explain` on the objects of a cluster.

use std::process::Command;

use crate::{cluster::run, replica::Namespace};

const OBJECTS: &str = "
apiVersion: sluice.dev/v1alpha1
kind: AIProvider
metadata: {name: mock}
spec: {type: Mock}
---
apiVersion: sluice.dev/v1alpha1
kind: AIRoute
metadata: {name: chat}
spec:
  models: [explained]
  rules:
  - {name: gold, when: 'request.headers[\"x-tier\"] == \"gold\"', targets: [{name: best, providerRef: {name: mock}}]}
  - {name: rest, targets: [{name: cheap, providerRef: {name: mock}}]}
---
apiVersion: v1
kind: Secret
metadata: {name: app}
type: sluice.dev/api-key
stringData: {key: sk-explained}
";

#[test]
fn explain_reads_the_objects_of_a_cluster() {
    let space = Namespace::new("explain");
    space.apply(OBJECTS);
    let explain = |header: &str| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_sluice"));
        command.args(["explain", "--model", "explained", "--header", header, "--kubeconfig"]);
        command.arg(space.cluster.kubeconfig());
        command.args(["--consumer", &format!("{}/app", space.name)]);
        run(&mut command, "")
    };
    let gold = explain("x-tier=gold");
    assert!(gold.expect_success().contains("best: 100% of priority 0"), "{}", gold.stdout);
    let rest = explain("x-tier=tin");
    assert!(rest.expect_success().contains("cheap: 100% of priority 0"), "{}", rest.stdout);
    assert!(rest.stdout.contains("gold: does not hold"), "{}", rest.stdout);
}
