//! Suite `operator`: the built binary as an operator of a real API server, from `kubectl apply` to a
//! streamed answer, and through the deaths of everything around it.
#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a failed step ends the test, with its reason"
)]

#[path = "../cluster/harness.rs"]
mod cluster;

mod endpoints;
mod failures;
mod main_job;
mod rotation;
mod upstream;

use std::time::Duration;

use cluster::{Cluster, Sluice, eventually};
use serde_json::{Value, json};

/// Longer than anything here should take on a busy machine.
const PATIENCE: Duration = Duration::from_secs(40);

/// The binary as an operator of `cluster`, ready.
fn operator(cluster: &Cluster) -> Sluice {
    operator_with(cluster, &[])
}

/// The same, with further flags.
fn operator_with(cluster: &Cluster, flags: &[&str]) -> Sluice {
    let crds = concat!(env!("CARGO_MANIFEST_DIR"), "/crds");
    cluster.kubectl(&["apply", "--server-side", "-f", crds], "").expect_success();
    cluster.apply(
        &json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "sluice-system"}})
            .to_string(),
    );
    let kubeconfig = cluster.kubeconfig().display().to_string();
    Sluice::spawn(&[&["run", "--kubeconfig", &kubeconfig], flags].concat(), &[])
}

/// What namespace `name` needs to serve the Mock provider: 1 USD per million input tokens, 2 USD per
/// million output tokens, and a budget of one dollar a day.
fn tenant(name: &str) -> String {
    let object = |kind: &str, object: &str, spec: Value| {
        json!({"apiVersion": "sluice.dev/v1alpha1", "kind": kind,
            "metadata": {"name": object, "namespace": name}, "spec": spec})
    };
    let items = json!([
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}},
        object("AIProvider", "mock", json!({"type": "Mock", "models": [
            {"name": "mock", "pricing": {"input": "1", "output": "2"}, "maxOutputTokens": 1000},
            {"name": "mock-slow", "pricing": {"input": "1", "output": "2"}, "maxOutputTokens": 1000},
        ]})),
        object("AIRoute", "chat", json!({"models": ["mock*"], "rules": [
            {"targets": [{"providerRef": {"name": "mock"}}]}]})),
        object("AIBudget", "daily", json!({"unpriced": "Allow", "limits": [
            {"name": "day", "amount": "1", "unit": "USD", "window": {"calendar": "Day"}},
            {"name": "requests", "amount": "100000", "unit": "Requests", "window": {"calendar": "Day"}}]})),
        secret(name, "caller", &key(name)),
    ]);
    json!({"apiVersion": "v1", "kind": "List", "items": items}).to_string()
}

fn secret(namespace: &str, name: &str, key: &str) -> Value {
    json!({"apiVersion": "v1", "kind": "Secret", "type": "sluice.dev/api-key",
        "metadata": {"name": name, "namespace": namespace}, "stringData": {"key": key}})
}

fn key(namespace: &str) -> String {
    format!("sk-{namespace}")
}

/// A chat request's body.
fn chat(model: &str, stream: bool) -> String {
    json!({"model": model, "stream": stream, "stream_options": stream.then(|| json!({"include_usage": true})),
        "messages": [{"role": "user", "content": "Tell me of the sea."}], "max_tokens": 40})
    .to_string()
}

fn completions(sluice: &Sluice) -> String {
    format!("{}/v1/chat/completions", sluice.data_url)
}

/// An object as the API server has it.
fn get(cluster: &Cluster, namespace: &str, object: &str) -> Result<Value, String> {
    let output = cluster.kubectl(&["get", "-o", "json", "--namespace", namespace, object], "");
    serde_json::from_str(&output.stdout).map_err(|_| output.stderr)
}

/// The condition `Ready` of an object.
fn ready(cluster: &Cluster, namespace: &str, object: &str) -> Result<Value, String> {
    let object = get(cluster, namespace, object)?;
    let conditions = object["status"]["conditions"].as_array().ok_or("no conditions yet")?;
    let found = conditions.iter().find(|condition| condition["type"] == "Ready");
    found.cloned().ok_or_else(|| format!("no Ready among {conditions:?}"))
}

/// Waits until objects are Ready.
fn wait_ready(cluster: &Cluster, namespace: &str, objects: &[&str]) {
    for object in objects {
        eventually(PATIENCE, || match ready(cluster, namespace, object)? {
            condition if condition["status"] == "True" => Ok(()),
            condition => Err(format!("{object}: {condition}")),
        });
    }
}

/// What the budget's status says of a limit.
fn used(cluster: &Cluster, namespace: &str, limit: &str) -> Result<f64, String> {
    let budget = get(cluster, namespace, "aibudget/daily")?;
    let limits = budget["status"]["limits"].as_array().ok_or("no limits in status yet")?;
    let limit = limits.iter().find(|entry| entry["name"] == limit).ok_or("no such limit")?;
    limit["used"].as_str().and_then(|text| text.parse().ok()).ok_or_else(|| limit.to_string())
}
