//! A release on a real API server. The built binary stands in for the pod: same ServiceAccount,
//! arguments, configuration and environment, only its ports are free ones of this machine.
use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};

use crate::cluster::{Cluster, Sluice, eventually, http};
use crate::source;

const SYSTEM: &str = "sluice-system";
const PATIENCE: Duration = Duration::from_secs(30);
const KINDS: [&str; 3] = ["aiprovider/mock", "airoute/mock", "aibudget/small"];
/// An address for documentation (RFC 5737): its endpoint is never called.
const ENDPOINT: &str = "198.51.100.7";

fn helm(cluster: &Cluster, verb: &str, settings: &[&str]) {
    let chart = source("charts/sluice");
    let mut args = vec![verb, "sluice", &chart, "--namespace", SYSTEM];
    if verb == "install" {
        args.push("--create-namespace");
    }
    for setting in settings {
        args.extend(["--set-json", setting]);
    }
    cluster.helm(&args).expect_success();
}

fn get(cluster: &Cluster, args: &[&str]) -> Value {
    let output = cluster.kubectl(&[&["get", "-o", "json"], args].concat(), "");
    serde_json::from_str(output.expect_success()).unwrap()
}

/// What a namespace needs to serve the Mock provider to one key, within a budget.
fn tenant(namespace: &str) -> String {
    let object = |kind: &str, name: &str, spec: Value| {
        json!({"apiVersion": "sluice.dev/v1alpha1", "kind": kind,
            "metadata": {"name": name, "namespace": namespace}, "spec": spec})
    };
    let rules = json!([{"targets": [{"providerRef": {"name": "mock"}}]}]);
    let limits = json!([{"name": "hour", "amount": "1000", "unit": "Requests",
        "window": {"sliding": "1h"}}]);
    let items = json!([
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}},
        object("AIProvider", "mock", json!({"type": "Mock"})),
        object("AIRoute", "mock", json!({"models": ["mock*"], "rules": rules})),
        object("AIBudget", "small", json!({"limits": limits})),
        object("AIProvider", "vllm", json!({"type": "VLLM", "service": {"name": "vllm", "port": 80}})),
        {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "vllm", "namespace": namespace},
            "spec": {"ports": [{"port": 80, "targetPort": 8000}]}},
        {"apiVersion": "v1", "kind": "Secret", "type": "sluice.dev/api-key",
            "metadata": {"name": "caller", "namespace": namespace},
            "stringData": {"key": key(namespace)}},
    ]);
    json!({"apiVersion": "v1", "kind": "List", "items": items}).to_string()
}

fn key(namespace: &str) -> String {
    format!("sk-{namespace}-0123456789abcdef")
}

/// Runs the binary as the pod of the release's Deployment would run.
fn run_as_the_pod(cluster: &Cluster, scratch: &Path) -> Sluice {
    let deployment = get(cluster, &["deployment", "sluice", "--namespace", SYSTEM]);
    let pod = &deployment["spec"]["template"]["spec"];
    let account = pod["serviceAccountName"].as_str().unwrap();
    let kubeconfig = cluster.service_account_kubeconfig(SYSTEM, account);

    let configmap = get(cluster, &["configmap", "sluice", "--namespace", SYSTEM]);
    let config = configmap["data"]["sluice.yaml"].as_str().unwrap();
    let config =
        config.replace("0.0.0.0:8080", "127.0.0.1:0").replace("0.0.0.0:9090", "127.0.0.1:0");
    let file = scratch.join("sluice.yaml");
    std::fs::write(&file, config).unwrap();

    let container = &pod["containers"][0];
    let mut args: Vec<String> = serde_json::from_value(container["args"].clone()).unwrap();
    for arg in &mut args {
        if arg == "/etc/sluice/sluice.yaml" {
            *arg = file.display().to_string();
        }
    }
    args.extend(["--kubeconfig".to_owned(), kubeconfig.display().to_string()]);
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    Sluice::spawn(&args, &environment(container))
}

/// The container's variables, with the downward API played by hand.
fn environment(container: &Value) -> Vec<(&str, &str)> {
    let variables = container["env"].as_array().unwrap();
    variables
        .iter()
        .map(|variable| {
            let name = variable["name"].as_str().unwrap();
            let value = match variable["valueFrom"]["fieldRef"]["fieldPath"].as_str() {
                Some("metadata.name") => "sluice-0",
                Some("metadata.namespace") => SYSTEM,
                // A node without a zone.
                Some("metadata.labels['topology.kubernetes.io/zone']") => "",
                _ => variable["value"].as_str().unwrap(),
            };
            (name, value)
        })
        .collect()
}

fn expect_ready(cluster: &Cluster, namespace: &str) {
    for object in KINDS {
        let args = ["wait", "--for=condition=Ready", object, "--timeout=30s", "-n", namespace];
        let waited = cluster.kubectl(&args, "");
        let now = cluster.kubectl(&["get", object, "-n", namespace, "-o", "yaml"], "").stdout;
        assert!(waited.success(), "{}\n{now}", waited.stderr);
    }
}

/// A Service without an endpoint is seen to have none, and then to have one.
fn expect_endpoints_to_be_followed(cluster: &Cluster, namespace: &str) {
    let ready = |status: &str, reason: &str| {
        eventually(PATIENCE, || {
            let provider = get(cluster, &["aiprovider", "vllm", "--namespace", namespace]);
            let conditions = provider["status"]["conditions"].as_array().cloned();
            let is_it = |condition: &Value| {
                condition["type"] == "Ready"
                    && condition["status"] == status
                    && condition["reason"] == reason
            };
            let found = conditions.unwrap_or_default().iter().any(is_it);
            found.then_some(()).ok_or_else(|| provider["status"].to_string())
        });
    };
    ready("False", "NoEndpoints");
    cluster.apply(
        &json!({
            "apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "addressType": "IPv4",
            "metadata": {"name": "vllm-1", "namespace": namespace,
                "labels": {"kubernetes.io/service-name": "vllm"}},
            "ports": [{"name": "", "port": 8000, "protocol": "TCP"}],
            "endpoints": [{"addresses": [ENDPOINT], "conditions": {"ready": true}}],
        })
        .to_string(),
    );
    ready("True", "Ready");
}

fn expect_an_answer(sluice: &Sluice, namespace: &str) {
    let url = format!("{}/v1/chat/completions", sluice.data_url);
    let body = json!({"model": "mock", "messages": [{"role": "user", "content": "hello"}]});
    // the key's Secret is watched apart from the kinds: Ready may come first
    let answer =
        eventually(PATIENCE, || match http::post(&url, &key(namespace), &body.to_string()) {
            Ok(answer) if answer.status == 200 => Ok(answer),
            Ok(answer) => Err(format!("{} {}", answer.status, answer.text())),
            Err(error) => Err(error.to_string()),
        });
    let answer = answer.json();
    assert!(answer["choices"][0]["message"]["content"].is_string(), "{answer}");
}

fn expect_an_event(cluster: &Cluster, namespace: &str) {
    eventually(PATIENCE, || {
        let events = get(cluster, &["events.events.k8s.io", "--namespace", namespace]);
        let of_ours = |event: &&Value| {
            event["regarding"]["apiVersion"] == "sluice.dev/v1alpha1"
                && event["reportingController"].as_str().is_some_and(|name| name.contains("sluice"))
        };
        let found = events["items"].as_array().unwrap().iter().find(of_ours);
        found.map(|_| ()).ok_or_else(|| format!("no Event of the gateway in {events}"))
    });
}

fn expect_nothing_forbidden(sluice: &Sluice) {
    let log = sluice.log();
    let refused: Vec<&str> =
        log.lines().filter(|line| line.to_lowercase().contains("forbidden")).collect();
    assert!(refused.is_empty(), "{}", refused.join("\n"));
}

/// Names of everything that is left of the release, but events and leases.
fn leftovers(cluster: &Cluster) -> Vec<String> {
    let list = |args: &[&str]| {
        let output = cluster.kubectl(args, "");
        output.expect_success().lines().map(str::to_owned).collect::<Vec<_>>()
    };
    let mut found = Vec::new();
    for (flag, scope) in [("--namespaced=true", vec!["-n", SYSTEM]), ("--namespaced=false", vec![])]
    {
        let kinds = list(&["api-resources", "--verbs=list", flag, "-o", "name"]);
        let transient = |kind: &str| kind.starts_with("events") || kind.starts_with("leases.");
        let kinds: Vec<_> = kinds.into_iter().filter(|kind| !transient(kind)).collect();
        let names = list(&[&["get", &kinds.join(","), "-o", "name"], &scope[..]].concat());
        found.extend(names.into_iter().filter(|name| name.contains("sluice")));
    }
    found.retain(|name| name != &format!("namespace/{SYSTEM}"));
    found
}

#[test]
fn a_release_serves_with_just_its_own_rights_and_leaves_nothing_behind() {
    let cluster = Cluster::start();
    helm(&cluster, "install", &[]);
    let scratch = crate::cluster::TempDir::new("chart");
    let mut sluice = run_as_the_pod(&cluster, scratch.path());
    cluster.apply(&tenant("team-a"));
    expect_ready(&cluster, "team-a");
    expect_an_answer(&sluice, "team-a");
    expect_an_event(&cluster, "team-a");
    expect_endpoints_to_be_followed(&cluster, "team-a");
    expect_nothing_forbidden(&sluice);
    assert!(sluice.terminate().success(), "{}", sluice.log());

    helm(&cluster, "upgrade", &["replicaCount=2", "config.limits.drain=\"20s\""]);
    let mut upgraded = run_as_the_pod(&cluster, scratch.path());
    expect_an_answer(&upgraded, "team-a");
    expect_nothing_forbidden(&upgraded);
    assert!(upgraded.terminate().success(), "{}", upgraded.log());
    expect_ready(&cluster, "team-a");

    cluster.helm(&["uninstall", "sluice", "-n", SYSTEM, "--wait"]).expect_success();
    eventually(PATIENCE, || {
        let left = leftovers(&cluster);
        let crd = |name: &String| name.starts_with("customresourcedefinition.");
        let (kept, other): (Vec<_>, Vec<_>) = left.into_iter().partition(crd);
        // the API server keeps an APIService for every group that has a CRD
        let other: Vec<_> =
            other.into_iter().filter(|name| !name.starts_with("apiservice.")).collect();
        (other.is_empty() && kept.len() == crds())
            .then_some(())
            .ok_or(format!("{other:?}, kept {kept:?}"))
    });
    // what users made is still there: the kept CRDs hold it
    get(&cluster, &["airoute", "mock", "-n", "team-a"]);
}

#[test]
fn a_release_for_listed_namespaces_serves_with_roles_alone() {
    let cluster = Cluster::start();
    cluster.apply(
        &json!({"apiVersion": "v1", "kind": "Namespace",
        "metadata": {"name": "team-b"}})
        .to_string(),
    );
    helm(&cluster, "install", &["config.watch.namespaces=[\"team-b\"]", "crds.keep=false"]);
    let scratch = crate::cluster::TempDir::new("chart");
    let mut sluice = run_as_the_pod(&cluster, scratch.path());
    cluster.apply(&tenant("team-b"));
    expect_ready(&cluster, "team-b");
    expect_an_answer(&sluice, "team-b");
    expect_an_event(&cluster, "team-b");
    expect_endpoints_to_be_followed(&cluster, "team-b");
    expect_nothing_forbidden(&sluice);

    let account = cluster.service_account_kubeconfig(SYSTEM, "sluice");
    let ask = ["auth", "can-i", "list", "secrets", "--namespace", "default"];
    assert_eq!(cluster.kubectl_as(&account, &ask, "").stdout.trim(), "no");
    assert!(sluice.terminate().success(), "{}", sluice.log());

    cluster.helm(&["uninstall", "sluice", "-n", SYSTEM, "--wait"]).expect_success();
    eventually(PATIENCE, || {
        let left = leftovers(&cluster);
        left.is_empty().then_some(()).ok_or_else(|| format!("{left:?}"))
    });
}

fn crds() -> usize {
    std::fs::read_dir(source("crds")).unwrap().count()
}
