//! What is derived from the chart, and the Dockerfile: they fit to it and to each other.
use std::process::Command;

use crate::cluster::{Cluster, Offline, run};
use crate::source;

#[test]
fn generated_files_are_up_to_date() {
    let offline = Offline::new();
    let mut check = Command::new(source("charts/generate.sh"));
    let output = run(check.arg("--check").env("PATH", offline.search_path()), "");
    output.expect_success();
}

#[test]
fn kustomize_renders_the_base_and_the_example() {
    let offline = Offline::new();
    for (folder, image) in [
        ("config/base", "ghcr.io/sluice-dev/sluice:"),
        ("config/overlays/example", "registry.example.com/platform/sluice:"),
    ] {
        let output = offline.kubectl(&["kustomize", &source(folder)]);
        let text = output.expect_success();
        assert!(text.contains(image), "{folder}: {image} is not in {text}");
        assert!(!text.contains("helm"), "{folder} still speaks of Helm");
    }
}

#[test]
fn a_real_api_server_accepts_the_base() {
    let cluster = Cluster::start_bare();
    let args = ["apply", "--server-side", "-k", &source("config/base")];
    let output = cluster.kubectl(&args, "");
    output.expect_success();
    assert!(!output.stderr.contains("Warning"), "{}", output.stderr);
}

#[test]
fn dockerfile_builds_locked_and_runs_as_the_charts_user() {
    let dockerfile = std::fs::read_to_string(source("Dockerfile")).unwrap();
    let stages: Vec<&str> = dockerfile.lines().filter(|line| line.starts_with("FROM ")).collect();
    assert_eq!(stages.len(), 2, "a build stage and the image: {stages:?}");
    assert!(!stages.iter().any(|stage| stage.contains(":latest")), "{stages:?}");
    assert!(stages[1].contains("distroless") && stages[1].ends_with(":nonroot"), "{stages:?}");
    assert!(dockerfile.contains("cargo build --release --locked"));
    assert!(dockerfile.contains("\nUSER 65532:65532\n"));
    assert!(dockerfile.contains("\nENTRYPOINT [\"/usr/bin/sluice\"]\n"));
    let toolchain = format!("FROM rust:{}-", env!("CARGO_PKG_RUST_VERSION"));
    assert!(stages[0].starts_with(&toolchain), "{} builds with {}", toolchain, stages[0]);
}

#[test]
fn chart_and_binary_carry_one_version() {
    let chart = std::fs::read_to_string(source("charts/sluice/Chart.yaml")).unwrap();
    let version = env!("CARGO_PKG_VERSION");
    for key in ["version", "appVersion"] {
        let line = format!("\n{key}: {version}\n");
        assert!(chart.contains(&line), "Chart.yaml has another {key} than {version}");
    }
}
