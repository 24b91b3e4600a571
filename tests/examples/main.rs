//! Suite `examples`: every example compiles without a warning and answers as its header says.
#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a failed step ends the test, with its reason"
)]

#[path = "../cluster/harness.rs"]
mod cluster;

mod check;
mod explain;
mod prices;
mod upstream;
mod usage;

use std::{path::PathBuf, process::Command};

use cluster::{Sluice, TempDir, http, run};
use serde_json::{Value, json};

fn folder(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("examples").join(name)
}

fn serve(folder: &std::path::Path, env: &[(&str, &str)]) -> Sluice {
    Sluice::spawn(&["run", "--manifests", &folder.display().to_string()], env)
}

fn chat(sluice: &Sluice, key: &str, model: &str) -> http::Response {
    let body = json!({"model": model, "messages": [{"role": "user", "content": "Hello"}]});
    let url = format!("{}/v1/chat/completions", sluice.data_url);
    http::post(&url, key, &body.to_string()).unwrap()
}

fn text(answer: &http::Response) -> String {
    assert_eq!(answer.status, 200, "{}", answer.text());
    answer.json()["choices"][0]["message"]["content"].as_str().unwrap().to_owned()
}

#[test]
fn every_example_is_checked_without_a_warning() {
    let mut command = Command::new(env!("CARGO_BIN_EXE_sluice"));
    command.args(["check", "--strict"]).arg(folder(""));
    let output = run(&mut command, "");
    assert!(output.expect_success().contains("0 errors, 0 warnings"), "{}", output.stdout);
}

#[test]
fn every_example_has_a_test_here_and_a_line_in_the_readme() {
    let readme = std::fs::read_to_string(folder("README.md")).unwrap();
    let tests = include_str!("main.rs");
    for entry in std::fs::read_dir(folder("")).unwrap() {
        let entry = entry.unwrap();
        let name = entry.file_name().into_string().unwrap();
        if entry.path().is_dir() {
            assert!(tests.contains(&format!("folder(\"{name}\")")), "{name} has no test");
            assert!(readme.contains(&format!("`{name}`")), "{name} is not in the README");
        }
    }
}

#[test]
fn quickstart_answers_both_sdks_dialects() {
    let sluice = serve(&folder("quickstart"), &[]);
    assert!(!text(&chat(&sluice, "sk-quickstart", "mock")).is_empty());
    let body = json!({"model": "mock", "max_tokens": 8,
        "messages": [{"role": "user", "content": "Hello"}]});
    let url = format!("{}/v1/messages", sluice.data_url);
    let answer = http::post(&url, "sk-quickstart", &body.to_string()).unwrap();
    assert_eq!(answer.json()["type"], "message", "{}", answer.text());
    assert_eq!(chat(&sluice, "sk-unknown", "mock").status, 401);
    assert_eq!(chat(&sluice, "sk-quickstart", "mock-error-500").status, 500);
}

#[test]
fn several_accounts_are_used_up_to_their_limits() {
    let sluice = serve(&folder("several-accounts"), &[]);
    let targets = (0..4).map(|_| {
        let answer = chat(&sluice, "sk-several-accounts", "chat");
        assert!(!text(&answer).is_empty());
        answer.header("x-sluice-target").unwrap().to_owned()
    });
    let mut targets: Vec<String> = targets.collect();
    targets.sort();
    assert_eq!(targets, ["first", "first", "second", "second"]);
    let answer = chat(&sluice, "sk-several-accounts", "chat");
    assert_eq!(answer.status, 429);
    assert_eq!(answer.json()["error"]["code"], "provider_limit");
}

#[test]
fn failover_goes_to_the_standby_inside_the_request() {
    let sluice = serve(&folder("failover"), &[]);
    let answer = chat(&sluice, "sk-failover", "chat");
    assert!(!text(&answer).is_empty());
    assert_eq!(answer.header("x-sluice-target"), Some("standby"));
    let hedged = chat(&sluice, "sk-failover", "careful");
    assert_eq!(hedged.header("x-sluice-target"), Some("standby"));
    assert_eq!(hedged.header("x-sluice-attempts"), Some("2"));
}

#[test]
fn rules_send_requests_to_their_targets_and_explain_says_the_same() {
    let sluice = serve(&folder("rules"), &[]);
    let url = format!("{}/v1/chat/completions", sluice.data_url);
    let said = json!([{"role": "user", "content": "Hello"}]);
    let long = json!([{"role": "user", "content": "word ".repeat(8000)}]);
    let tools = json!([{"type": "function", "function": {"name": "db_read"}}]);
    let folder = folder("rules").display().to_string();
    for (body, rule, target) in [
        (json!({"model": "chat", "messages": long}), "long", "long-context"),
        (json!({"model": "chat", "messages": said, "tools": tools}), "tools", "careful"),
    ] {
        let answer = http::post(&url, "sk-rules", &body.to_string()).unwrap();
        assert_eq!(answer.header("x-sluice-target"), Some(target), "{}", answer.text());
        let args = ["explain", "--model", "chat", "--consumer", "rules/my-app", "--body", "-"];
        let mut command = Command::new(env!("CARGO_BIN_EXE_sluice"));
        command.args(args).args(["--output", "json", &folder]);
        let explained: Value =
            serde_json::from_str(run(&mut command, &body.to_string()).expect_success()).unwrap();
        assert_eq!((&explained["route"], &explained["rule"]), (&"rules/chat".into(), &rule.into()));
        assert_eq!(explained["targets"][0]["name"], target);
        assert_eq!(explained["targets"][0]["share"], "100%");
    }
}

#[test]
fn explain_tells_people_why_and_fails_for_what_is_refused() {
    let folder = folder("rules").display().to_string();
    let explain = |args: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_sluice"));
        command.args(["explain", "--model", "chat"]).args(args).arg(&folder);
        run(&mut command, "")
    };
    let gold = explain(&["--consumer", "rules/my-app", "--header", "x-tier=gold"]);
    let text = gold.expect_success();
    for part in [
        "200: a target of route rules/chat is asked",
        "gold: holds",
        "request.headers = {\"x-tier\":\"gold\"}",
        "long: not reached",
        "best: 100% of priority 0",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
    let rest = explain(&["--consumer", "rules/my-app", "--endpoint", "messages"]);
    assert!(rest.expect_success().contains("cheaper: 10% of priority 0"), "{}", rest.stdout);
    let nobody = explain(&[]);
    assert!(
        !nobody.success() && nobody.stdout.contains("401 invalid_api_key"),
        "{}",
        nobody.stdout
    );
    assert!(nobody.stdout.contains("its access does not admit the caller"), "{}", nobody.stdout);
    let unknown = explain(&["--consumer", "rules/nobody"]);
    assert!(unknown.stderr.contains("there are: rules/my-app"), "{}", unknown.stderr);
}

#[test]
fn canary_gets_a_tenth() {
    let sluice = serve(&folder("canary-by-weight"), &[]);
    let url = format!("{}/v1/chat/completions", sluice.data_url);
    let body = json!({"model": "chat", "max_tokens": 1,
        "messages": [{"role": "user", "content": "Hello"}]});
    let mut canary = 0;
    for _ in 0..20 {
        let answer = http::post(&url, "sk-canary", &body.to_string()).unwrap();
        assert_eq!(answer.status, 200, "{}", answer.text());
        canary += usize::from(answer.header("x-sluice-target") == Some("canary"));
    }
    assert!((1..=3).contains(&canary), "{canary} of 20 requests");
}

#[test]
fn budget_refuses_what_does_not_fit_and_names_the_budget() {
    let sluice = serve(&folder("budget"), &[]);
    assert!(!text(&chat(&sluice, "sk-budget", "mock")).is_empty());
    // 20000 tokens a minute for a key: a request of more than 60000 bytes never fits.
    let body = json!({"model": "mock", "max_tokens": 10,
        "messages": [{"role": "user", "content": "word ".repeat(15_000)}]});
    let url = format!("{}/v1/chat/completions", sluice.data_url);
    let answer = http::post(&url, "sk-budget", &body.to_string()).unwrap();
    assert_eq!(answer.status, 429, "{}", answer.text());
    assert_eq!(answer.json()["error"]["code"], "budget_exceeded");
    assert!(answer.text().contains("budget-example/per-key"), "{}", answer.text());
    assert!(answer.header("retry-after").is_some());
}

#[test]
fn prices_of_a_config_map_are_charged() {
    let gateway = serve(&folder("prices"), &[]);
    let answer = chat(&gateway, "sk-prices", "mock");
    let usage = answer.json()["usage"].clone();
    let count = |name: &str| usage[name].as_u64().unwrap();
    // 3 and 2 dollars for a million tokens, in nano-dollars.
    let nano = count("prompt_tokens") * 3000 + count("completion_tokens") * 2000;
    let cost = sluice::budget::NanoUsd(nano).to_string();
    assert_eq!(answer.header("x-sluice-cost-usd"), Some(cost.as_str()));
}

#[test]
fn teams_share_the_platforms_provider_and_nothing_else() {
    let sluice = serve(&folder("multi-team"), &[]);
    for (key, route) in [("sk-search", "team-search/chat"), ("sk-support", "team-support/chat")] {
        let answer = chat(&sluice, key, "chat");
        assert!(!text(&answer).is_empty());
        assert_eq!(answer.header("x-sluice-route"), Some(route));
    }
}

/// Copies an example with its provider pointed at a server of this machine.
fn redirected(folder: PathBuf, provider_type: &str, endpoint: &str) -> TempDir {
    let copy = TempDir::new("example");
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let manifest = std::fs::read_to_string(&path).unwrap();
        let line = format!("  type: {provider_type}\n");
        let manifest = manifest.replace("  endpoint: https://my-resource.openai.azure.com\n", "");
        let manifest = manifest.replace(&line, &format!("{line}  endpoint: {endpoint}\n"));
        std::fs::write(copy.path().join(path.file_name().unwrap()), manifest).unwrap();
    }
    copy
}

/// An answer of OpenAI's dialect.
fn completion() -> Value {
    json!({"id": "c", "object": "chat.completion", "created": 1, "model": "gpt-5-mini",
        "choices": [{"index": 0, "message": {"role": "assistant", "content": "Hi"}, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2}})
}

#[test]
fn azure_openai_is_asked_for_the_deployment() {
    let upstream = upstream::Upstream::start(&completion());
    let copy = redirected(folder("azure-openai"), "AzureOpenAI", &upstream.endpoint());
    let sluice = serve(copy.path(), &[("AZURE_OPENAI_API_KEY", "azure-key")]);
    assert_eq!(text(&chat(&sluice, "sk-azure-openai-example", "gpt-5-mini")), "Hi");
    let request = upstream.request();
    assert!(request.contains("api-key: azure-key"), "{request}");
    assert!(request.starts_with("POST /openai/v1/chat/completions "), "{request}");
    assert!(request.contains(r#""model":"my-deployment""#), "{request}");
}

#[test]
fn bedrock_gets_a_signed_request() {
    let answer = json!({"output": {"message": {"role": "assistant", "content": [{"text": "Hi"}]}},
        "stopReason": "end_turn", "usage": {"inputTokens": 3, "outputTokens": 1, "totalTokens": 4}});
    let upstream = upstream::Upstream::start(&answer);
    let copy = redirected(folder("bedrock"), "Bedrock", &upstream.endpoint());
    let keys = [("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE"), ("AWS_SECRET_ACCESS_KEY", "secret")];
    let sluice = serve(copy.path(), &keys);
    let model = "us.anthropic.claude-sonnet-4-5-20250929-v1:0";
    assert_eq!(text(&chat(&sluice, "sk-bedrock-example", model)), "Hi");
    let request = upstream.request();
    let path = "/v1/model/us.anthropic.claude-sonnet-4-5-20250929-v1%3A0/converse";
    assert!(request.starts_with(&format!("POST {path} ")), "{request}");
    let signed = "authorization: AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/";
    assert!(request.contains(signed), "{request}");
    assert!(request.contains("/us-west-2/bedrock/aws4_request"), "{request}");
    assert!(!request.contains("sk-bedrock-example"), "{request}");
}

#[test]
fn openai_gets_the_accounts_key_and_not_the_callers() {
    let upstream = upstream::Upstream::start(&completion());
    let copy = redirected(folder("openai"), "OpenAI", &upstream.endpoint());
    let sluice = serve(copy.path(), &[("OPENAI_API_KEY", "sk-account")]);
    assert_eq!(text(&chat(&sluice, "sk-openai-example", "gpt-5-mini")), "Hi");
    let request = upstream.request();
    assert!(request.contains("authorization: Bearer sk-account"), "{request}");
    assert!(!request.contains("sk-openai-example"), "{request}");
    assert!(request.starts_with("POST /v1/chat/completions "), "{request}");
}

#[test]
fn anthropic_answers_an_openai_caller() {
    let answer = json!({"id": "msg_1", "type": "message", "role": "assistant", "model": "claude-haiku-4-5",
        "content": [{"type": "text", "text": "Hi"}], "stop_reason": "end_turn", "stop_sequence": null,
        "usage": {"input_tokens": 3, "output_tokens": 1}});
    let upstream = upstream::Upstream::start(&answer);
    let copy = redirected(folder("anthropic"), "Anthropic", &upstream.endpoint());
    let sluice = serve(copy.path(), &[("ANTHROPIC_API_KEY", "sk-ant-account")]);
    let answer = chat(&sluice, "sk-anthropic-example", "claude-haiku-4-5");
    assert_eq!(text(&answer), "Hi");
    assert_eq!(answer.json()["usage"]["prompt_tokens"], Value::from(3));
    let request = upstream.request();
    assert!(request.contains("x-api-key: sk-ant-account"), "{request}");
    assert!(request.starts_with("POST /v1/messages "), "{request}");
}
