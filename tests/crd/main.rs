//! The CRDs against a real API server: what it accepts and refuses, and in which words; and that
//! `schema::validate` says the same offline.
//!
//! Each file of `cases/accept` and `cases/refuse` is one manifest. A refused one names what both
//! have to say in leading comments: `# expect: part of the message`.
#![allow(
    clippy::panic,
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "test support outside of test functions"
)]

#[path = "../cluster/harness.rs"]
mod cluster;

mod case;
mod definition;

use std::{
    sync::{
        Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use case::Case;
use cluster::{Cluster, eventually};
use serde_json::Value;
use sluice::{
    api::{AIBudget, AIProvider, AIRoute},
    manifest,
    schema::Schemas,
};

/// The API server with our CRDs, as a user has it.
fn cluster_with_crds() -> Cluster {
    let cluster = Cluster::start_bare();
    let crds = concat!(env!("CARGO_MANIFEST_DIR"), "/crds");
    cluster.kubectl(&["apply", "--server-side", "-f", crds], "").expect_success();
    let wait = ["wait", "--for=condition=Established", "crd", "--all", "--timeout=60s"];
    cluster.kubectl(&wait, "").expect_success();
    cluster
}

#[test]
fn api_server_and_offline_validation_give_the_same_verdict_in_the_same_words() {
    let cluster = cluster_with_crds();
    let schemas = Schemas::new().unwrap();
    let cases = case::all();
    assert!(cases.len() >= 60, "only {} cases", cases.len());
    let (next, failures) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    // kubectl takes most of a case's time, and spends it waiting.
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                while let Some(case) = cases.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let problems = compare(case, &cluster, &schemas);
                    failures.lock().unwrap().extend(problems);
                }
            });
        }
    });
    let failures = failures.into_inner().unwrap();
    assert!(failures.is_empty(), "{} problems:\n{}", failures.len(), failures.join("\n"));
    explain_prints_documentation(&cluster);
}

/// What is wrong with one case, as lines for people.
fn compare(case: &Case, cluster: &Cluster, schemas: &Schemas) -> Vec<String> {
    let documents = match manifest::parse(&case.file, &case.text) {
        Ok(documents) => documents,
        Err(error) => return vec![error.to_string()],
    };
    let [document] = documents.as_slice() else {
        return vec![format!("{}: a case is one document", case.name)];
    };
    let offline: Vec<String> =
        schemas.validate(&document.value).into_iter().map(|found| found.message).collect();
    // `apply` itself drops explicit nulls from what it sends, so it does not show what is stored.
    let verb = if case.accepted { "create" } else { "apply" };
    let args = [verb, "--dry-run=server", "-o", "json", "-f", "-"];
    let server = cluster.kubectl(&args, &case.text);
    let mut problems = Vec::new();
    let mut say = |text: String| problems.push(format!("{}: {text}", case.name));
    if case.accepted {
        if !offline.is_empty() {
            say(format!("refused offline: {offline:?}"));
        }
        match server.success() {
            false => say(format!("refused by the API server: {}", server.stderr)),
            true => same_object(&server.stdout, schemas.normalize(document.value.clone()))
                .unwrap_or_else(&mut say),
        }
        return problems;
    }
    if server.success() || offline.is_empty() {
        let (server, offline) = (!server.success(), !offline.is_empty());
        say(format!("refused by the API server: {server}, refused offline: {offline}"));
    }
    for expected in &case.expected {
        if !server.stderr.contains(expected) {
            say(format!("the API server does not say `{expected}`:\n{}", server.stderr));
        }
        if !offline.iter().any(|message| message.contains(expected)) {
            say(format!("offline does not say `{expected}`: {offline:#?}"));
        }
    }
    for message in &offline {
        if !case.expected.iter().any(|expected| message.contains(expected)) {
            say(format!("offline says more: {message}"));
        }
    }
    problems
}

/// What the API server would store is what is read offline, and our types can read it.
fn same_object(stored: &str, read: Value) -> Result<(), String> {
    let stored: Value = serde_json::from_str(stored).map_err(|error| error.to_string())?;
    if stored["spec"] != read["spec"] {
        return Err(format!("read offline {:#}\nstored {:#}", read["spec"], stored["spec"]));
    }
    let mut object = read;
    object.as_object_mut().map(|members| members.remove("status"));
    match object["kind"].as_str() {
        Some("AIProvider") => serde_json::from_value::<AIProvider>(object).map(drop),
        Some("AIRoute") => serde_json::from_value::<AIRoute>(object).map(drop),
        Some("AIBudget") => serde_json::from_value::<AIBudget>(object).map(drop),
        kind => return Err(format!("unexpected kind {kind:?}")),
    }
    .map_err(|error| format!("accepted but not readable: {error}"))
}

fn explain_prints_documentation(cluster: &Cluster) {
    for (field, text) in [
        ("aiprovider", "price list"),
        ("aip.spec.auth.apiKeys.secretKeyRef", "Name of the Secret"),
        ("airoute.spec.rules.targets", "next priority is used"),
        ("airoute.spec.rules.targets.parameters.set", "Members"),
        ("aibudget.spec.limits.amount", "decimal string"),
        ("aibudget.spec.limits.window.calendar", "from Monday"),
    ] {
        // The API server publishes documentation a while after it serves a kind.
        let output = eventually(Duration::from_secs(60), || {
            let output = cluster.kubectl(&["explain", field], "");
            if output.success() { Ok(output.stdout) } else { Err(output.stderr) }
        });
        // kubectl wraps lines.
        let words = output.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(words.contains(text), "{field}: {words}");
        assert!(!words.contains("<no description>"), "{field}: {words}");
    }
}
