//! The official SDKs, unmodified, against the built binary with the Mock provider or a strict provider of
//! a dialect behind it.
//!
//! Needs python3 with venv, node with npm, and their package indexes the first time; the environments
//! are kept in `$SLUICE_CACHE` (default `~/.cache`). Without them it says that it skips, or fails when
//! `SLUICE_REQUIRE_SDK` is set.

#![allow(
    clippy::panic,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    reason = "test support outside of test functions"
)]

mod environment;
mod gateway;
mod node;
mod signature;
mod upstream;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use gateway::Gateway;
use upstream::Upstream;

/// The folder of this suite.
const SUITE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/sdk");

/// The interpreter that has the SDKs; `None`, after saying so, where there is none.
fn python(script: &str) -> Option<&'static Path> {
    static PYTHON: OnceLock<Option<PathBuf>> = OnceLock::new();
    let python = PYTHON.get_or_init(environment::python).as_deref();
    if python.is_none() {
        skip(script, "python3 with venv");
    }
    python
}

/// Says that a script is not run for want of something, where that is allowed.
fn skip(script: &str, needed: &str) {
    let is_required = std::env::var_os("SLUICE_REQUIRE_SDK").is_some();
    assert!(!is_required, "the SDKs are required and cannot be installed: see above");
    println!("SKIPPED {script}: {needed} and the SDKs' packages are needed");
}

/// Runs a script of checks with the Mock provider.
fn passes_with_mock(script: &str) {
    if let Some(python) = python(script) {
        passes(script, python, Path::new(SUITE).join("manifests").as_path());
    }
}

/// Runs a script of checks with the provider of a dialect.
fn passes_with(dialect: &str, script: &str) {
    if let Some(python) = python(script) {
        let upstream = Upstream::start(python, dialect);
        passes(script, python, &upstream.manifests);
    }
}

/// Runs a script of checks with one model of the provider of a dialect.
fn passes_with_model(dialect: &str, script: &str, model: &str) {
    let Some(python) = python(script) else { return };
    let upstream = Upstream::start(python, dialect);
    let mut command = Command::new(python);
    command.arg(format!("{SUITE}/{script}")).arg(model);
    succeeds(script, command, &upstream.manifests);
}

fn passes(script: &str, python: &Path, manifests: &Path) {
    let mut command = Command::new(python);
    command.arg(format!("{SUITE}/{script}"));
    succeeds(script, command, manifests);
}

/// Runs a command against a gateway with these manifests.
fn succeeds(script: &str, mut command: Command, manifests: &Path) {
    let gateway = Gateway::start(manifests);
    let output = command
        .env("SLUICE_URL", &gateway.url)
        .env("SLUICE_KEY", "sk-sdk-suite")
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .env_remove("HTTP_PROXY")
        .env_remove("http_proxy")
        .output()
        .unwrap();
    let told = String::from_utf8_lossy(&output.stdout);
    let cause = String::from_utf8_lossy(&output.stderr);
    println!("{told}{cause}");
    assert!(output.status.success(), "{script} failed; the gateway said:\n{}", gateway.log());
}

#[test]
fn the_openai_sdk_is_served() {
    passes_with_mock("openai_checks.py");
}

#[test]
fn the_anthropic_sdk_is_served() {
    passes_with_mock("anthropic_checks.py");
}

#[test]
fn the_anthropic_sdk_is_served_by_a_provider_of_its_own_dialect() {
    passes_with("anthropic", "anthropic_direct_checks.py");
}

#[test]
fn the_openai_sdk_is_served_by_a_provider_of_anthropics_dialect() {
    passes_with("anthropic", "openai_to_anthropic_checks.py");
}

#[test]
fn the_google_genai_sdk_is_served() {
    passes_with_mock("gemini_checks.py");
}

#[test]
fn the_google_genai_sdk_is_served_by_a_provider_of_its_own_dialect() {
    passes_with("gemini", "gemini_direct_checks.py");
}

#[test]
fn the_openai_sdk_is_served_by_a_provider_of_geminis_dialect() {
    passes_with("gemini", "openai_to_gemini_checks.py");
}

#[test]
fn the_anthropic_sdk_is_served_by_a_provider_of_geminis_dialect() {
    passes_with("gemini", "anthropic_to_gemini_checks.py");
}

#[test]
fn the_openai_sdk_stores_files_and_opens_sessions() {
    passes_with("direct", "openai_direct_checks.py");
}

#[test]
fn the_openai_sdks_responses_are_served_by_a_provider_of_anthropics_dialect() {
    passes_with("anthropic", "responses_to_anthropic_checks.py");
}

#[test]
fn the_openai_sdks_responses_are_served_by_a_provider_of_chat_completions() {
    passes_with("openai", "responses_to_openai_checks.py");
}

#[test]
fn the_openai_sdks_responses_are_served_by_a_provider_of_their_own_dialect() {
    passes_with("openai", "responses_direct_checks.py");
}

#[test]
fn other_sdks_are_served_by_a_provider_of_responses() {
    passes_with("openai", "others_to_responses_checks.py");
}

#[test]
fn coding_agents_are_served_by_a_provider_of_chat_completions() {
    passes_with_model("openai", "agents_checks.py", "chat-thinks");
}

#[test]
fn coding_agents_are_served_by_a_provider_of_responses() {
    passes_with_model("openai", "agents_checks.py", "gpt-5-mini");
}

#[test]
fn coding_agents_are_served_by_a_provider_of_anthropics_dialect() {
    passes_with_model("anthropic", "agents_checks.py", "claude-sonnet-4-5");
}

#[test]
fn coding_agents_are_served_by_a_provider_of_geminis_dialect() {
    passes_with_model("gemini", "agents_checks.py", "gemini-3-flash");
}

#[test]
fn the_cohere_sdk_is_served_where_it_reranks() {
    passes_with("cohere", "cohere_checks.py");
}

#[test]
fn forms_of_the_openai_sdk_and_embeddings_of_googles_are_served() {
    passes_with("media", "media_checks.py");
}
