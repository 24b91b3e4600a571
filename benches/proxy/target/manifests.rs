//! The objects that Sluice serves in the benchmark: everything that a paying user would have on -
//! a consumer's key, routes with a rewritten model, prices, a budget with two limits.

use std::fs;
use std::net::SocketAddr;
use std::path::Path;

use anyhow::{Context as _, Result};

use crate::client::CONSUMER_KEY;

/// Model name of the route to a provider of the same dialect.
pub const SAME_DIALECT_MODEL: &str = "chat";
/// Model name of the route to a provider of the other dialect.
pub const OTHER_DIALECT_MODEL: &str = "chat-translated";

/// Writes the manifests into `folder`, with the mock as both providers.
///
/// # Errors
/// The folder cannot be written.
pub fn write(folder: &Path, mock: SocketAddr) -> Result<()> {
    fs::create_dir_all(folder).context("cannot make the manifests' folder")?;
    let providers = provider("openai", "OpenAICompatible", &format!("http://{mock}/v1"))
        + &provider("anthropic", "Anthropic", &format!("http://{mock}"));
    let routes = route(SAME_DIALECT_MODEL, "openai", UPSTREAM_MODEL)
        + &route(OTHER_DIALECT_MODEL, "anthropic", UPSTREAM_MODEL);
    let files = [
        ("secrets.yaml", secrets()),
        ("providers.yaml", providers),
        ("routes.yaml", routes),
        ("budget.yaml", BUDGET.to_owned()),
    ];
    for (name, text) in files {
        fs::write(folder.join(name), text).context("cannot write a manifest")?;
    }
    Ok(())
}

/// The model that the targets ask their provider for.
const UPSTREAM_MODEL: &str = "bench-model";

fn secrets() -> String {
    format!(
        "apiVersion: v1
kind: Secret
metadata: {{name: consumer, namespace: bench, labels: {{sluice.dev/team: bench}}}}
type: sluice.dev/api-key
stringData: {{key: {CONSUMER_KEY}}}
---
apiVersion: v1
kind: Secret
metadata: {{name: upstream, namespace: bench}}
type: Opaque
stringData: {{api-key: sk-upstream}}
"
    )
}

fn provider(name: &str, kind: &str, endpoint: &str) -> String {
    format!(
        "---
apiVersion: sluice.dev/v1alpha1
kind: AIProvider
metadata: {{name: {name}, namespace: bench}}
spec:
  type: {kind}
  endpoint: {endpoint}
  auth:
    apiKeys:
    - secretKeyRef: {{name: upstream, key: api-key}}
  models:
  - name: {UPSTREAM_MODEL}
    pricing: {{input: \"0.25\", output: \"2.00\"}}
"
    )
}

fn route(model: &str, provider: &str, upstream_model: &str) -> String {
    format!(
        "---
apiVersion: sluice.dev/v1alpha1
kind: AIRoute
metadata: {{name: {model}, namespace: bench}}
spec:
  models: [\"{model}\"]
  rules:
  - targets:
    - providerRef: {{name: {provider}}}
      model: {upstream_model}
"
    )
}

/// Amounts that no run reaches: the windows are counted, nothing is refused.
const BUDGET: &str = "apiVersion: sluice.dev/v1alpha1
kind: AIBudget
metadata: {name: everything, namespace: bench}
spec:
  limits:
  - {name: month, amount: \"1000000\", unit: USD, window: {calendar: Month}}
  - {name: burst, amount: \"100000000000\", unit: Tokens, window: {sliding: 1m}}
";
