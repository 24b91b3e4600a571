//! `sluice explain` as a command: what it reads of its arguments, what it says and how it ends.

use std::process::Command;

use serde_json::Value;

use crate::cluster::{Output, TempDir, run};

const OBJECTS: &str = r#"
apiVersion: sluice.dev/v1alpha1
kind: AIProvider
metadata: {name: cheap}
spec: {type: Mock, models: [{name: m, pricing: {input: "1", output: "1"}}]}
---
apiVersion: sluice.dev/v1alpha1
kind: AIProvider
metadata: {name: dear}
spec: {type: Mock, models: [{name: m, pricing: {input: "9", output: "9"}}]}
---
apiVersion: sluice.dev/v1alpha1
kind: AIProvider
metadata: {name: free}
spec: {type: Mock}
---
apiVersion: sluice.dev/v1alpha1
kind: AIProvider
metadata: {name: narrow}
spec: {type: Anthropic, endpoint: "http://127.0.0.1:9/v1"}
---
apiVersion: sluice.dev/v1alpha1
kind: AIRoute
metadata: {name: by-cost}
spec:
  models: [by-cost]
  access: {anonymous: true}
  rules:
  - balance: LeastCost
    targets:
    - {name: unpriced, model: x, providerRef: {name: free}}
    - {name: dear, model: m, weight: 5, providerRef: {name: dear}}
    - {name: cheap, model: m, weight: 3, providerRef: {name: cheap}}
    - {name: same, model: m, weight: 1, providerRef: {name: cheap}}
---
apiVersion: sluice.dev/v1alpha1
kind: AIRoute
metadata: {name: here}
spec:
  models: [here]
  hostnames: [api.example.com]
  access: {anonymous: true}
  rules: [{targets: [{name: only, model: m, providerRef: {name: cheap}}]}]
---
apiVersion: sluice.dev/v1alpha1
kind: AIRoute
metadata: {name: mistaken}
spec:
  models: [mistaken]
  access: {anonymous: true}
  rules:
  - {name: wrong, when: request.inputTokns > 5, targets: [{name: a, model: m, providerRef: {name: cheap}}]}
  - {name: rest, targets: [{name: b, model: m, providerRef: {name: cheap}}]}
---
apiVersion: sluice.dev/v1alpha1
kind: AIRoute
metadata: {name: narrow}
spec:
  models: [narrow]
  access: {anonymous: true}
  rules: [{targets: [{name: slim, model: m, providerRef: {name: narrow}}]}]
---
apiVersion: sluice.dev/v1alpha1
kind: AIRoute
metadata: {name: both}
spec:
  models: [both]
  access: {anonymous: true}
  rules: [{targets: [{name: slim, model: m, providerRef: {name: narrow}}, {name: wide, model: m, providerRef: {name: cheap}}]}]
---
apiVersion: sluice.dev/v1alpha1
kind: AIRoute
metadata: {name: strict}
spec:
  models: [strict]
  fidelity: Strict
  access: {anonymous: true}
  rules: [{targets: [{name: slim, model: m, providerRef: {name: narrow}}]}]
---
apiVersion: sluice.dev/v1alpha1
kind: AIRoute
metadata: {name: counted, labels: {counted: "yes"}}
spec:
  models: [counted]
  access: {anonymous: true}
  rules: [{targets: [{name: only, model: m, providerRef: {name: cheap}}]}]
---
apiVersion: sluice.dev/v1alpha1
kind: AIBudget
metadata: {name: small}
spec:
  selector: {routes: {matchLabels: {counted: "yes"}}}
  limits: [{name: day, amount: "100", unit: Tokens, window: {calendar: Day}}]
---
apiVersion: sluice.dev/v1alpha1
kind: AIBudget
metadata: {name: shadow}
spec:
  mode: Shadow
  selector: {routes: {matchLabels: {counted: "yes"}}}
  limits: [{name: day, amount: "1", unit: Tokens, window: {calendar: Day}}]
"#;

/// A folder with manifests in it.
struct Folder(TempDir);

impl Folder {
    fn new(manifests: &str) -> Self {
        let root = TempDir::new("explain");
        std::fs::write(root.path().join("objects.yaml"), manifests).unwrap();
        Self(root)
    }

    fn explain(&self, args: &[&str], stdin: &str) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_sluice"));
        command.arg("explain").args(args).arg(self.0.path());
        run(&mut command, stdin)
    }

    /// The explanation as data, and whether the request would be answered.
    fn data(&self, args: &[&str], body: &str) -> (Value, bool) {
        let output = self.explain(&[args, &["--body", "-", "--output", "json"]].concat(), body);
        let data = serde_json::from_str(&output.stdout);
        (data.unwrap_or_else(|error| panic!("{error}: {}", output.stderr)), output.success())
    }
}

fn outcome(data: &Value) -> (u64, &str) {
    let outcome = &data["outcome"];
    (outcome["status"].as_u64().unwrap(), outcome["code"].as_str().unwrap_or_default())
}

#[test]
fn a_body_is_judged_by_its_very_bytes() {
    let folder = Folder::new(OBJECTS);
    let (twice, answered) =
        folder.data(&[], r#"{"model": "by-cost", "messages": [], "messages": []}"#);
    assert_eq!((outcome(&twice), answered), ((400, "invalid_request"), false));
    let message = twice["outcome"]["message"].as_str().unwrap();
    assert!(message.contains("is given more than once"), "{message}");
    let (broken, _) = folder.data(&["--model", "by-cost"], "{");
    assert_eq!(outcome(&broken), (400, "invalid_json"));
    let (wrong, _) = folder.data(&["--model", "by-cost"], r#"{"model": 5, "messages": []}"#);
    assert_eq!(outcome(&wrong), (400, "invalid_request"));
    // 300 bytes are 100 tokens at most, spaces included.
    let body = r#"{"model": "counted", "max_tokens": 1, "top_p": 1e400, "messages": []}"#;
    let padded = format!("{body}{}", " ".repeat(297 - body.len()));
    let (fits, answered) = folder.data(&[], &padded);
    assert_eq!((outcome(&fits), answered), ((200, ""), true));
    assert_eq!(fits["targets"][0]["worstCaseTokens"], 100);
    let (too_long, answered) = folder.data(&[], &format!("{padded} "));
    assert_eq!((outcome(&too_long), answered), ((429, "budget_exceeded"), false));
    let message = too_long["outcome"]["message"].as_str().unwrap();
    assert!(message.contains("can never fit limit day of 100 tokens"), "{message}");
}

#[test]
fn arguments_go_into_a_body_that_lacks_them() {
    let folder = Folder::new(OBJECTS);
    let named = folder.data(&["--model", "by-cost"], r#"{"messages": []}"#);
    assert_eq!((outcome(&named.0), named.1), ((200, ""), true));
    let other = folder.data(&["--model", "by-cost"], r#"{"model": "narrow", "messages": []}"#);
    assert_eq!(other.0["route"], "default/by-cost");
    let (nameless, _) = folder.data(&[], r#"{"messages": []}"#);
    assert_eq!(outcome(&nameless), (400, "invalid_request"));
    let args = ["--model", "by-cost", "--stream", "--body", "-"];
    let output = folder.explain(&args, r#"{"stream": false, "messages": []}"#);
    assert_eq!((output.status, output.stderr.contains("--stream")), (2, true));
}

#[test]
fn a_budget_without_room_for_the_request_is_the_answer_and_a_shadow_is_not() {
    let folder = Folder::new(OBJECTS);
    let refused = folder.explain(&["--model", "counted"], "");
    assert_eq!(refused.status, 1);
    for part in ["429 budget_exceeded: ", "can never fit limit day", "which never fits"] {
        assert!(refused.stdout.contains(part), "{part}: {}", refused.stdout);
    }
    assert!(!refused.stdout.contains("100%"), "{}", refused.stdout);
    let body = r#"{"model": "counted", "max_tokens": 1, "messages": []}"#;
    let (fits, _) = folder.data(&[], body);
    assert_eq!(outcome(&fits), (200, ""));
    let shadow = fits["budgets"].as_array().unwrap().iter();
    let shadow = shadow.clone().find(|budget| budget["mode"] == "Shadow").unwrap();
    assert_eq!(shadow["limits"][0]["isTooSmall"], true);
}

#[test]
fn a_target_that_cannot_take_the_request_is_passed_over() {
    let folder = Folder::new(OBJECTS);
    let sound = r#"{"messages": [{"role": "user", "content": [{"type": "input_audio",
        "input_audio": {"data": "AAAA", "format": "wav"}}]}]}"#;
    let (refused, answered) = folder.data(&["--model", "narrow"], sound);
    assert!(!answered && outcome(&refused).0 == 400, "{refused}");
    assert_eq!(refused["targets"][0]["refusal"], refused["outcome"]["code"]);
    let (both, answered) = folder.data(&["--model", "both"], sound);
    assert!(answered, "{both}");
    let why = both["targets"][0]["passedOver"].as_str().unwrap();
    assert!(why.contains("it cannot take the request"), "{why}");
    assert_eq!(
        (&both["targets"][0]["share"], &both["targets"][1]["share"]),
        (&Value::Null, &"100%".into())
    );
}

#[test]
fn refusals_have_the_code_that_the_gateway_gives_them() {
    let folder = Folder::new(OBJECTS);
    let biased = r#"{"messages": [{"role": "user", "content": "x"}], "logit_bias": {"1": 1}}"#;
    let (strict, _) = folder.data(&["--model", "strict"], biased);
    assert_eq!(outcome(&strict), (400, "unsupported_parameters"));
    let further = r#"{"input": "x", "previous_response_id": "resp_1"}"#;
    let (lost, _) = folder.data(&["--model", "narrow", "--endpoint", "responses"], further);
    assert_eq!(outcome(&lost), (400, "unsupported_parameter"));
}

#[test]
fn a_host_is_read_as_the_gateway_reads_it() {
    let folder = Folder::new(OBJECTS);
    for host in ["api.example.com", "API.Example.com:443"] {
        folder.explain(&["--model", "here", "--hostname", host], "").expect_success();
    }
    assert_eq!(folder.explain(&["--model", "here", "--hostname", "example.com"], "").status, 1);
}

#[test]
fn a_condition_with_a_mistake_is_shown() {
    let output = Folder::new(OBJECTS).explain(&["--model", "mistaken"], "");
    assert_eq!(output.status, 1);
    for part in [
        "503 route_unavailable: ",
        "wrong: not evaluated, for its condition has a mistake: the request ends here (InvalidCondition)",
        "when request.inputTokns > 5",
        "rest: not reached",
    ] {
        assert!(output.stdout.contains(part), "{part}: {}", output.stdout);
    }
}

#[test]
fn the_cheapest_target_is_asked_first() {
    let output = Folder::new(OBJECTS).explain(&["--model", "by-cost"], "");
    let text = output.expect_success();
    for part in [
        "unpriced: asked as number 3 (",
        "dear: asked as number 2 (",
        "cheap: asked as number 1, 75% of its equals",
        "same: asked as number 1, 25% of its equals",
        " USD expected, at worst ",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
}

#[test]
fn the_gateways_configuration_counts() {
    let manifests = "
apiVersion: sluice.dev/v1alpha1
kind: AIProvider
metadata: {name: openai}
spec: {type: OpenAI, endpoint: 'http://127.0.0.1:9/v1'}
---
apiVersion: sluice.dev/v1alpha1
kind: AIRoute
metadata: {name: r}
spec:
  models: [gpt-4o]
  access: {anonymous: true}
  rules: [{targets: [{providerRef: {name: openai}}]}]
---
apiVersion: sluice.dev/v1alpha1
kind: AIBudget
metadata: {name: money}
spec: {limits: [{name: day, amount: '9', unit: USD, window: {calendar: Day}}]}
";
    let folder = Folder::new(manifests);
    folder.explain(&["--model", "gpt-4o"], "").expect_success();
    let bare = folder.explain(&["--model", "gpt-4o", "--set", "prices.builtin=false"], "");
    assert!(bare.stdout.starts_with("403 model_unpriced"), "{}{}", bare.stdout, bare.stderr);
    let unknown = folder.explain(&["--model", "gpt-4o", "--set", "prices.builtn=false"], "");
    assert_eq!(unknown.status, 2);
}

#[test]
fn what_cannot_be_judged_is_said_and_is_no_refusal() {
    let folder = Folder::new(OBJECTS);
    for endpoint in ["realtime", "/v1/realtime", "/providers/default/cheap/x"] {
        let output = folder.explain(&["--model", "by-cost", "--endpoint", endpoint], "");
        assert_eq!(output.status, 2);
        assert!(output.stderr.contains("cannot be explained"), "{}", output.stderr);
    }
    let gemini = ["--model", "by-cost", "--endpoint", "/v1beta/models/{model}:generateContent"];
    folder.explain(&gemini, "").expect_success();
    let broken = Folder::new("apiVersion: sluice.dev/v1alpha1\nkind: [");
    let output = broken.explain(&["--model", "by-cost"], "");
    assert_eq!((output.status, &*output.stdout), (2, ""));
    assert!(output.stderr.contains("objects.yaml"), "{}", output.stderr);
}

#[test]
fn a_callers_key_is_no_caller() {
    let folder = Folder::new(OBJECTS);
    let output = folder.explain(&["--model", "by-cost", "--header", "Authorization=Bearer x"], "");
    output.expect_success();
    assert!(output.stderr.contains("--consumer"), "{}", output.stderr);
    assert!(!output.stderr.contains("Bearer"), "{}", output.stderr);
}
