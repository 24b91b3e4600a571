//! The whole product on a real node: an image of the built binary, the chart installed by Helm, a
//! pod of the cluster that streams a completion through the Service. Root and Linux; a machine
//! that cannot says `SKIPPED e2e: reason`, or fails when `SLUICE_REQUIRE_E2E` is set.
#![allow(
    clippy::panic,
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "test support outside of test functions"
)]

#[path = "../cluster/harness.rs"]
mod cluster;

use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Duration;

use cluster::{Image, Node, eventually};

const NAMESPACE: &str = "sluice-system";
const KEY: &str = "sk-e2e-0123456789abcdef";

/// The namespace refuses pods that do more than the level "restricted" allows.
const RESTRICTED: &str = r#"
apiVersion: v1
kind: Namespace
metadata: {name: sluice-system, labels: {pod-security.kubernetes.io/enforce: restricted}}
"#;

const OBJECTS: &str = r#"
apiVersion: sluice.dev/v1alpha1
kind: AIProvider
metadata: {name: mock, namespace: default}
spec: {type: Mock}
---
apiVersion: sluice.dev/v1alpha1
kind: AIRoute
metadata: {name: mock, namespace: default}
spec: {models: ["mock*"], rules: [{targets: [{providerRef: {name: mock}}]}]}
---
apiVersion: v1
kind: Secret
metadata: {name: caller, namespace: default}
type: sluice.dev/api-key
stringData: {key: sk-e2e-0123456789abcdef}
---
apiVersion: v1
kind: Pod
metadata: {name: caller, namespace: default}
spec:
  automountServiceAccountToken: false
  terminationGracePeriodSeconds: 1
  containers:
  - {name: shell, image: "e2e.local/busybox:1", imagePullPolicy: Never, command: [/bin/sleep, "3600"]}
"#;

/// Whether to go on; says so on the real stderr, which the test runner does not capture.
fn can_run() -> bool {
    let Some(reason) = Node::obstacle() else { return true };
    assert!(std::env::var_os("SLUICE_REQUIRE_E2E").is_none(), "e2e is required: {reason}");
    std::io::stderr().write_all(format!("SKIPPED e2e: {reason}\n").as_bytes()).unwrap();
    false
}

fn install(node: &Node) {
    node.kubectl(&["apply", "-f", "-"], RESTRICTED).expect_success();
    let chart = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("charts/sluice");
    let args = ["install", "sluice", chart.to_str().unwrap(), "--namespace", NAMESPACE];
    let image =
        "image={\"repository\":\"e2e.local/sluice\",\"tag\":\"1\",\"pullPolicy\":\"Never\"}";
    let more = ["--set-json", image, "--wait", "--timeout=120s"];
    let installed = node.helm(&[&args[..], &more[..]].concat());
    if !installed.success() {
        let pods = node.kubectl(&["describe", "pods", "-n", NAMESPACE], "").stdout;
        let logs = node.kubectl(&["logs", "-n", NAMESPACE, "deployment/sluice"], "").stdout;
        panic!("{}\n{pods}\n{logs}", installed.stderr);
    }
}

/// Streams a completion from inside the cluster; the events as they came.
fn stream(node: &Node, address: &str) -> Result<String, String> {
    let body = r#"{"model":"mock","stream":true,"messages":[{"role":"user","content":"hello"}]}"#;
    let url = format!("http://{address}:8080/v1/chat/completions");
    let key = format!("authorization: Bearer {KEY}");
    let wget = ["exec", "caller", "--", "/bin/wget", "-q", "-O", "-", "--header", &key];
    let rest = ["--header", "content-type: application/json", "--post-data", body, &url];
    let output = node.kubectl(&[&wget[..], &rest[..]].concat(), "");
    if output.success() { Ok(output.stdout) } else { Err(output.stderr) }
}

fn access_record(node: &Node) -> Result<serde_json::Value, String> {
    let log = node.kubectl(&["logs", "-n", NAMESPACE, "deployment/sluice"], "");
    let mut records = log.stdout.lines().filter_map(|line| serde_json::from_str(line).ok());
    records
        .find(|record: &serde_json::Value| {
            record["status"] == 200 && record.to_string().contains("default/mock")
        })
        .ok_or_else(|| format!("no access record in {}{}", log.stdout, log.stderr))
}

#[test]
fn a_pod_streams_a_completion_through_the_service_of_the_chart() {
    if !can_run() {
        return;
    }
    let binary = Path::new(env!("CARGO_BIN_EXE_sluice"));
    let images = [
        Image::of_binary("e2e.local/sluice:1", binary, "/usr/bin/sluice"),
        Image::busybox("e2e.local/busybox:1"),
    ];
    let node = Node::up(&images);
    install(&node);
    node.kubectl(&["apply", "-f", "-"], OBJECTS).expect_success();
    for object in ["aiprovider/mock", "airoute/mock", "pod/caller"] {
        node.kubectl(&["wait", "--for=condition=Ready", object, "--timeout=60s"], "")
            .expect_success();
    }
    let service = ["get", "service", "sluice", "-n", NAMESPACE, "-o", "jsonpath={.spec.clusterIP}"];
    let address = node.kubectl(&service, "").expect_success().to_owned();

    let events = eventually(Duration::from_secs(30), || stream(&node, &address));
    let data: Vec<&str> = events.lines().filter_map(|line| line.strip_prefix("data: ")).collect();
    assert!(data.len() > 2, "more than one piece: {events}");
    assert_eq!(data.last(), Some(&"[DONE]"), "{events}");
    for piece in &data[..data.len() - 1] {
        let piece: serde_json::Value = serde_json::from_str(piece).unwrap();
        assert_eq!(piece["object"], "chat.completion.chunk", "{piece}");
    }

    eventually(Duration::from_secs(15), || access_record(&node));
    let gone = node.helm(&["uninstall", "sluice", "-n", NAMESPACE, "--wait", "--timeout=90s"]);
    gone.expect_success();
}
