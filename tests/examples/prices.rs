//! `sluice prices`: the effective table, for people and for programs.

use std::process::Command;

use serde_json::Value;

use crate::cluster::{Output, run};

const MANIFESTS: &str = r#"
apiVersion: v1
kind: ConfigMap
metadata: {name: prices, namespace: sluice-system, labels: {sluice.dev/prices: ""}}
data:
  prices.yaml: |
    prices:
    - provider: OpenAI
      models: [{name: gpt-5-mini, pricing: {input: "0.20", output: "1.60"}}]
    - provider: a/openai
      models: [{name: tuned, pricing: {input: "9", output: "9"}}]
---
apiVersion: sluice.dev/v1alpha1
kind: AIProvider
metadata: {name: openai, namespace: a}
spec:
  type: OpenAI
  models: [{name: own, pricing: {input: "7", output: "8"}}, {name: gpt-5-nano}]
"#;

fn prices(args: &[&str], stdin: &str) -> Output {
    run(Command::new(env!("CARGO_BIN_EXE_sluice")).arg("prices").args(args), stdin)
}

fn rows(args: &[&str], stdin: &str) -> Vec<Value> {
    let output = prices(&[args, &["--output", "json"]].concat(), stdin);
    serde_json::from_str(output.expect_success()).unwrap()
}

fn of<'a>(rows: &'a [Value], provider: &str, model: &str) -> &'a Value {
    let fits = |row: &&Value| row["provider"] == provider && row["model"] == model;
    rows.iter().find(fits).unwrap_or_else(|| panic!("no {provider} {model}"))
}

#[test]
fn the_builtin_table_is_printed_with_its_date_and_source() {
    let rows = rows(&["--provider", "OpenAI"], "");
    let row = of(&rows, "OpenAI", "gpt-5-mini");
    assert_eq!(row["source"], "builtin");
    assert!(row["origin"].as_str().unwrap().starts_with("litellm "), "{row}");
    assert_eq!(row["date"].as_str().unwrap().len(), "2026-11-22".len());
    assert!(row["pricing"]["cachedInput"].is_string(), "{row}");
    assert!(rows.iter().all(|row| row["provider"] == "OpenAI"));
}

#[test]
fn overlays_and_providers_stand_before_the_builtin_table() {
    let rows = rows(&["-"], MANIFESTS);
    let row = of(&rows, "OpenAI", "gpt-5-mini");
    assert_eq!((&row["source"], &row["pricing"]["input"]), (&"overlay".into(), &"0.2".into()));
    assert_eq!(row["origin"], "ConfigMap sluice-system/prices");
    // What only the table knows stays.
    assert!(row["maxOutputTokens"].is_u64(), "{row}");
    assert_eq!(of(&rows, "a/openai", "own")["origin"], "AIProvider a/openai");
    assert_eq!(of(&rows, "a/openai", "tuned")["source"], "overlay");
    assert_eq!(of(&rows, "a/openai", "gpt-5-nano")["source"], "builtin");
    let of_provider = self::rows(&["-", "--provider", "a/openai"], MANIFESTS);
    assert_eq!(of(&of_provider, "a/openai", "gpt-5-mini")["source"], "overlay");
    assert_eq!(of(&of_provider, "a/openai", "gpt-4.1")["source"], "builtin");
}

#[test]
fn a_model_is_found_as_for_a_request() {
    let args = ["-", "--provider", "a/openai", "--model", "gpt-5-mini-2025-08-07"];
    let rows = rows(&args, MANIFESTS);
    assert_eq!(rows.len(), 1, "{rows:?}");
    assert_eq!(
        (&rows[0]["source"], &rows[0]["pricing"]["input"]),
        (&"overlay".into(), &"0.2".into())
    );
    let table = prices(&["--model", "gpt-5-mini", "--provider", "OpenAI"], "");
    let lines: Vec<_> = table.expect_success().lines().collect();
    assert!(lines[0].starts_with("PROVIDER  MODEL"), "{lines:?}");
    assert!(lines.len() == 2 && lines[1].contains("builtin 20"), "{lines:?}");
}

#[test]
fn mistakes_and_empty_answers_end_with_an_error() {
    let output = prices(&["-", "--model", "own"], &MANIFESTS.replace("\"0.20\"", "0.20"));
    output.expect_failure();
    assert!(output.stdout.contains("own"), "{}", output.stdout);
    assert!(output.stderr.contains("prices[0].models[0]"), "{}", output.stderr);
    prices(&["--model", "nobody-knows-it"], "").expect_failure();
    let output = prices(&["--provider", "Nobody"], "");
    output.expect_failure();
    assert!(output.stderr.contains("neither a type with prices"), "{}", output.stderr);
}
