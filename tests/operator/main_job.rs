//! From `kubectl apply` to a streamed, counted answer, and how long a change takes to be live.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::{
    PATIENCE, chat,
    cluster::{Cluster, Sluice, eventually, http},
    completions, get, key, operator, operator_with, ready, secret, tenant, used, wait_ready,
};

#[test]
fn applied_objects_serve_a_stream_that_the_budget_counts() {
    let cluster = Cluster::start_bare();
    let mut sluice = operator(&cluster);
    cluster.apply(&tenant("team"));
    wait_ready(&cluster, "team", &["aiprovider/mock", "airoute/chat", "aibudget/daily"]);

    let mut stream =
        http::open_post(&completions(&sluice), &key("team"), &chat("mock", true)).unwrap();
    assert_eq!(stream.status, 200);
    let (mut last, mut usage) = (String::new(), Value::Null);
    while let Some(data) = stream.next_data().unwrap() {
        if let Ok(chunk) = serde_json::from_str::<Value>(&data)
            && chunk["usage"].is_object()
        {
            usage = chunk["usage"].clone();
        }
        last = data;
    }
    assert_eq!(last, "[DONE]");

    // 1 USD per million input tokens, 2 USD per million output tokens.
    let tokens = |member: &str| usage[member].as_f64().unwrap();
    let cost = (tokens("prompt_tokens") + 2.0 * tokens("completion_tokens")) / 1e6;
    eventually(PATIENCE, || {
        let used = used(&cluster, "team", "day")?;
        ((used - cost).abs() < 1e-9).then_some(()).ok_or(format!("used {used}, cost {cost}"))
    });
    let table = cluster.kubectl(&["get", "aip,air,aib", "--namespace", "team"], "");
    let table = table.expect_success();
    println!("{table}");
    for expected in ["TYPE", "TARGETS", "1/1", "USED", "USD", "True"] {
        assert!(table.contains(expected), "{expected} is not in\n{table}");
    }
    assert!(sluice.terminate().success());
}

#[test]
fn a_provider_on_this_machine_needs_the_flag() {
    let cluster = Cluster::start_bare();
    let quickstart = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/quickstart");
    let upstream = Sluice::spawn(&["run", "--manifests", quickstart], &[]);
    let mut sluice = operator(&cluster);
    cluster.apply(&tenant("team"));
    let endpoint = format!("{}/v1", upstream.data_url);
    let local = json!({"apiVersion": "v1", "kind": "List", "items": [
        {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "up", "namespace": "team"},
            "stringData": {"key": "sk-quickstart"}},
        {"apiVersion": "sluice.dev/v1alpha1", "kind": "AIProvider",
            "metadata": {"name": "local", "namespace": "team"},
            "spec": {"type": "OpenAICompatible", "endpoint": endpoint,
                "auth": {"apiKeys": [{"secretKeyRef": {"name": "up", "key": "key"}}]}}},
        {"apiVersion": "sluice.dev/v1alpha1", "kind": "AIRoute",
            "metadata": {"name": "local", "namespace": "team"},
            "spec": {"models": ["local"], "rules": [
                {"targets": [{"providerRef": {"name": "local"}, "model": "mock-fast"}]}]}},
    ]});
    cluster.apply(&local.to_string());
    eventually(PATIENCE, || match ready(&cluster, "team", "aiprovider/local")? {
        condition if condition["reason"] == "Invalid" => Ok(()),
        condition => Err(condition.to_string()),
    });
    assert!(sluice.terminate().success());

    let sluice = operator_with(&cluster, &["--allow-loopback-upstreams"]);
    wait_ready(&cluster, "team", &["aiprovider/local", "airoute/local"]);
    let answer = http::post(&completions(&sluice), &key("team"), &chat("local", false)).unwrap();
    assert_eq!(answer.status, 200, "{}", answer.text());
}

#[test]
fn a_rotated_key_is_in_force_while_streams_of_the_old_one_run_on() {
    let cluster = Cluster::start_bare();
    let sluice = operator(&cluster);
    cluster.apply(&tenant("team"));
    wait_ready(&cluster, "team", &["airoute/chat"]);

    let url = completions(&sluice);
    let mut stream = http::open_post(&url, &key("team"), &chat("mock-slow", true)).unwrap();
    stream.next_data().unwrap().expect("a first chunk");
    cluster.apply(&secret("team", "caller", "sk-rotated").to_string());
    eventually(PATIENCE, || {
        let new = http::post(&url, "sk-rotated", &chat("mock-fast", false)).unwrap().status;
        let old = http::post(&url, &key("team"), &chat("mock-fast", false)).unwrap().status;
        ((new, old) == (200, 401)).then_some(()).ok_or(format!("new {new}, old {old}"))
    });
    let mut last = String::new();
    while let Some(data) = stream.next_data().unwrap() {
        last = data;
    }
    assert_eq!(last, "[DONE]", "the stream of the old key ends as it should");
}

#[test]
fn mistakes_are_named_in_status_before_traffic_meets_them() {
    let cluster = Cluster::start_bare();
    let sluice = operator(&cluster);
    cluster.apply(&tenant("team"));
    wait_ready(&cluster, "team", &["airoute/chat"]);
    let provider = json!({"apiVersion": "sluice.dev/v1alpha1", "kind": "AIProvider",
        "metadata": {"name": "openai", "namespace": "team"},
        "spec": {"type": "OpenAI", "auth": {"apiKeys": [{"secretKeyRef": {"name": "openai", "key": "api-key"}}]}}});
    let route = json!({"apiVersion": "sluice.dev/v1alpha1", "kind": "AIRoute",
        "metadata": {"name": "gpt", "namespace": "team"},
        "spec": {"models": ["gpt-5"], "rules": [{"targets": [{"providerRef": {"name": "openai"}}]}]}});
    cluster.apply(&provider.to_string());
    cluster.apply(&route.to_string());
    for (object, reason) in
        [("aiprovider/openai", "SecretNotFound"), ("airoute/gpt", "ProviderNotReady")]
    {
        eventually(PATIENCE, || match ready(&cluster, "team", object)? {
            condition if condition["reason"] == reason => Ok(()),
            condition => Err(format!("{object}: {condition}")),
        });
    }
    // Its models answer with the reason rather than as if they did not exist.
    let answer = http::post(&completions(&sluice), &key("team"), &chat("gpt-5", false)).unwrap();
    assert!(answer.status >= 500, "{}", answer.text());
    assert!(answer.text().contains("ProviderNotReady"), "{}", answer.text());
    // The mistake of one leaves the other alone.
    let answer =
        http::post(&completions(&sluice), &key("team"), &chat("mock-fast", false)).unwrap();
    assert_eq!(answer.status, 200, "{}", answer.text());
    let status = get(&cluster, "team", "aiprovider/openai").unwrap()["status"].to_string();
    assert!(status.contains("kubectl create secret"), "{status}");
}

/// Prints how long a change takes from `kubectl patch` to being served. Nothing is asserted of the
/// time.
#[test]
fn a_change_is_live_soon_after_it_was_applied() {
    let cluster = Cluster::start_bare();
    let sluice = operator(&cluster);
    cluster.apply(&tenant("team"));
    wait_ready(&cluster, "team", &["airoute/chat"]);
    let url = completions(&sluice);
    let targets = json!([{"targets": [{"providerRef": {"name": "mock"}, "model": "mock-fast"}]}]);
    let mut times = Vec::new();
    for round in 0..21 {
        let model = format!("model-{round}");
        let spec = json!({"models": [model], "rules": targets});
        let route = json!({"apiVersion": "sluice.dev/v1alpha1", "kind": "AIRoute",
            "metadata": {"name": "fast", "namespace": "team"}, "spec": spec});
        cluster.apply(&route.to_string());
        let applied = Instant::now();
        let deadline = applied + PATIENCE;
        while http::post(&url, &key("team"), &chat(&model, false)).unwrap().status == 404 {
            assert!(Instant::now() < deadline, "{model} is not served");
            std::thread::sleep(Duration::from_millis(2));
        }
        times.push(applied.elapsed());
    }
    times.sort();
    println!(
        "live after kubectl apply returned: median {:?}, worst {:?}",
        times[times.len() / 2],
        times[times.len() - 1]
    );
}
