//! The SDKs for JavaScript: every one of them with a model of each dialect.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use super::upstream::Upstream;
use super::{SUITE, environment, python, skip, succeeds};

/// What the providers think where they tell it.
const THOUGHTS: &str = "Let me see.";

/// A copy of the scripts beside the packages: modules are looked for where a script lies.
struct Scripts(PathBuf);

impl Drop for Scripts {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

impl Scripts {
    fn beside(packages: &Path, upstream: &Upstream) -> Self {
        let folder = upstream.manifests.with_extension("scripts");
        fs::create_dir_all(&folder).unwrap();
        let scripts = Self(folder);
        std::os::unix::fs::symlink(packages, scripts.0.join("node_modules")).unwrap();
        for entry in fs::read_dir(SUITE).unwrap() {
            let path = entry.unwrap().path();
            if path.extension().is_some_and(|extension| extension == "mjs") {
                fs::copy(&path, scripts.0.join(path.file_name().unwrap())).unwrap();
            }
        }
        scripts
    }
}

/// Runs every client with a model of the provider of this dialect.
fn passes(dialect: &str, model: &str, thoughts: &str) {
    static PACKAGES: OnceLock<Option<PathBuf>> = OnceLock::new();
    let script = "node_checks.mjs";
    let Some(packages) = PACKAGES.get_or_init(environment::node_modules) else {
        return skip(script, "node with npm");
    };
    let Some(python) = python(script) else { return };
    let upstream = Upstream::start(python, dialect);
    let scripts = Scripts::beside(packages, &upstream);
    let mut command = Command::new("node");
    command.arg(scripts.0.join(script)).args([model, thoughts]);
    succeeds(script, command, &upstream.manifests);
}

#[test]
fn clients_for_javascript_are_served_by_a_provider_of_chat_completions() {
    passes("openai", "chat-thinks", THOUGHTS);
}

#[test]
fn clients_for_javascript_are_served_by_a_provider_of_responses() {
    // Which keeps its thoughts to itself where it speaks Chat Completions.
    passes("openai", "gpt-5-mini", "");
}

#[test]
fn clients_for_javascript_are_served_by_a_provider_of_anthropics_dialect() {
    passes("anthropic", "claude-sonnet-4-5", THOUGHTS);
}

#[test]
fn clients_for_javascript_are_served_by_a_provider_of_geminis_dialect() {
    // It tells thoughts only to who asks for them, for which Chat Completions has no word.
    passes("gemini", "gemini-3-flash", "");
}
