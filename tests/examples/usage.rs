//! `sluice usage`: what a gateway has counted, asked of its admin port and read from its state folder,
//! also after the gateway was killed.

use std::{process::Command, time::Duration};

use serde_json::{Value, json};

use crate::{
    chat,
    cluster::{Output, Sluice, TempDir, eventually, http, run},
    folder,
};

const KEY: &str = "sk-quickstart";

fn usage(args: &[&str]) -> Output {
    run(Command::new(env!("CARGO_BIN_EXE_sluice")).arg("usage").args(args), "")
}

fn asked(args: &[&str]) -> Value {
    let args = [&["--by", "team,model", "--output", "json"], args].concat();
    serde_json::from_str(usage(&args).expect_success()).unwrap()
}

fn start(state: &str) -> Sluice {
    let manifests = folder("quickstart").display().to_string();
    Sluice::spawn(&["run", "--manifests", &manifests, "--state-dir", state], &[])
}

/// Waits until the state folder has as many requests, and gives what it holds.
fn written(state: &str, requests: u64) -> Value {
    eventually(Duration::from_secs(30), || {
        let output = usage(&["--by", "team,model", "--output", "json", "--state-dir", state]);
        let report: Value = serde_json::from_str(&output.stdout).map_err(|_| output.stderr)?;
        let is_there = report["totals"]["requests"] == requests;
        is_there.then_some(report.clone()).ok_or_else(|| report.to_string())
    })
}

#[test]
fn usage_is_there_after_a_kill_and_goes_on() {
    let dir = TempDir::new("state");
    let state = dir.path().join("usage").display().to_string();
    let mut sluice = start(&state);
    for _ in 0..3 {
        assert_eq!(chat(&sluice, KEY, "mock").status, 200);
    }
    assert_eq!(chat(&sluice, "sk-unknown", "mock").status, 401);
    let before = asked(&["--url", &sluice.admin_url]);
    assert_eq!(before["totals"]["requests"], 4, "{before}");
    assert_eq!(written(&state, 4)["rows"], before["rows"]);
    // A folder is one gateway's.
    let manifests = folder("quickstart").display().to_string();
    let args = ["run", "--manifests", &manifests, "--state-dir", &state];
    let ports = ["--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0"];
    let second = run(Command::new(env!("CARGO_BIN_EXE_sluice")).args(args).args(ports), "");
    assert!(second.stderr.contains("in use by another gateway"), "{}", second.stderr);

    sluice.kill();
    let mut sluice = start(&state);
    let after = asked(&["--url", &sluice.admin_url]);
    for same in ["rows", "totals", "since"] {
        assert_eq!(after[same], before[same], "{same}");
    }
    assert_eq!(chat(&sluice, KEY, "mock").status, 200);
    // An orderly end writes what is not written yet.
    assert!(sluice.terminate().success());
    let last = asked(&["--state-dir", &state]);
    assert_eq!(last["totals"]["requests"], 5);
    let row = last["rows"].as_array().unwrap().iter().find(|row| row["of"]["team"] == "demo");
    assert_eq!(
        (&row.unwrap()["requests"], &row.unwrap()["of"]["model"]),
        (&json!(4), &json!("mock"))
    );

    let journal = std::path::Path::new(&state).join("usage.journal");
    std::fs::write(&journal, "{\"file\":\"sluice usage\",\"version\":99}\n").unwrap();
    let newer = run(Command::new(env!("CARGO_BIN_EXE_sluice")).args(args).args(ports), "");
    assert!(!newer.success());
    for words in ["usage.journal", "newer version of sluice (form 99"] {
        assert!(newer.stderr.contains(words), "{}", newer.stderr);
    }
}

#[test]
fn usage_is_printed_for_people_and_programs() {
    let manifests = folder("quickstart").display().to_string();
    let sluice = Sluice::spawn(&["run", "--manifests", &manifests], &[]);
    assert_eq!(chat(&sluice, KEY, "mock").status, 200);
    let url = ["--url", &*sluice.admin_url];
    let ask = |args: &[&str]| usage(&[&url, args].concat());
    let table = ask(&["--by", "team,model"]);
    let lines: Vec<_> = table.expect_success().lines().collect();
    assert!(lines[0].starts_with("TEAM") && lines[0].ends_with("COST USD"), "{}", table.stdout);
    assert!(lines[1].starts_with("demo") && lines[2].starts_with("TOTAL"), "{}", table.stdout);
    assert!(table.stdout.contains("this replica alone"), "{}", table.stdout);
    let csv = ask(&["--by", "team", "--output", "csv", "--step", "day"]);
    assert!(csv.expect_success().starts_with("day,team,requests,"), "{}", csv.stdout);
    assert_eq!(csv.stdout.lines().count(), 2);
    assert!(ask(&["--output", "yaml"]).expect_success().contains("totals:"));
    let said = http::get(&format!("{}/api/usage?by=user", sluice.admin_url)).unwrap();
    assert_eq!(said.status, 400);
    assert!(said.text().contains("there are consumer, app, team"), "{}", said.text());
}

#[test]
fn what_cannot_be_asked_says_what_to_do() {
    let refused = |args: &[&str], words: &str| {
        let output = usage(args);
        assert!(!output.success() && output.stderr.contains(words), "{}", output.stderr);
    };
    // Nothing listens on the port of discard.
    refused(&["--url", "http://127.0.0.1:9"], "kubectl -n sluice-system port-forward");
    refused(&["--url", "https://127.0.0.1:9"], "write the address of an admin port");
    refused(&["--by", "user"], "there are consumer, app, team");
    refused(&["--since", "yesterday"], "how long ago");
    let empty = TempDir::new("empty");
    refused(&["--state-dir", &empty.path().display().to_string()], "holds no usage");
    let manifests = folder("quickstart").display().to_string();
    let token = empty.path().join("token");
    std::fs::write(&token, "t0ken\n").unwrap();
    let token = token.display().to_string();
    let set = format!("admin.tokenFile={token}");
    let sluice = Sluice::spawn(&["run", "--manifests", &manifests, "--set", &set], &[]);
    refused(&["--url", &sluice.admin_url], "give it by --token-file");
    usage(&["--url", &sluice.admin_url, "--token-file", &token]).expect_success();
    refused(&["--url", &sluice.data_url], "--url names the admin port");
}
