//! Every translated request before a strict provider of its dialect: those of the data plane's suite
//! and, where Python is there, those of the SDKs' suite.

use std::io::Write as _;
use std::process::{Command, Stdio};

use serde_json::{Value, json};
use sluice::llm::Dialect;

use crate::asked::{Cell, Outcome};
use crate::complaints::{wrong_for_bedrock, wrong_for_cohere, wrong_for_mistral};

/// What strict providers find wrong.
pub fn faults(cells: &[Cell]) -> Vec<String> {
    let mut faults = Vec::new();
    let mut others = Vec::new();
    for cell in cells.iter().filter(|cell| cell.outcome != Outcome::Same) {
        let Some(sent) = &cell.sent else { continue };
        let wrong = match cell.upstream.dialect {
            Dialect::Mistral => wrong_for_mistral(sent),
            Dialect::Cohere => wrong_for_cohere(sent),
            Dialect::Bedrock => wrong_for_bedrock(sent),
            Dialect::Ollama => None,
            Dialect::OpenAi | Dialect::Responses | Dialect::Anthropic | Dialect::Gemini => {
                others.push(json!({
                    "name": cell.name(),
                    "dialect": cell.upstream.name,
                    "model": cell.upstream.probes.model,
                    "body": sent,
                }));
                None
            }
        };
        faults.extend(wrong.map(|wrong| format!("{}: {wrong}: {sent}", cell.name())));
    }
    assert!(!others.is_empty());
    faults.extend(in_python(&others));
    faults
}

fn in_python(requests: &[Value]) -> Vec<String> {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/compatibility/accepted.py");
    let child = Command::new("python3")
        .arg(script)
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn();
    let Ok(mut child) = child else {
        let is_required = std::env::var_os("SLUICE_REQUIRE_SDK").is_some();
        assert!(!is_required, "python3 is required and cannot be run");
        println!("SKIPPED the strict providers of the SDKs' suite: python3 is needed");
        return Vec::new();
    };
    let input = Value::from(requests.to_vec()).to_string();
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{script} failed");
    let told = String::from_utf8(output.stdout).unwrap();
    let (faults, checked) = told.trim_end().rsplit_once('\n').unwrap_or(("", told.trim_end()));
    assert_eq!(checked, format!("{} checked", requests.len()));
    faults.lines().map(str::to_owned).collect()
}
