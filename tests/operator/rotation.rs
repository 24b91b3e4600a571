//! The key of a provider changes while its streams run.

use serde_json::json;

use crate::{
    PATIENCE, chat,
    cluster::{Cluster, eventually, http},
    completions, key, operator_with, tenant,
    upstream::Upstream,
    wait_ready,
};

fn provider_key(value: &str) -> String {
    json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "up", "namespace": "team"},
        "stringData": {"key": value}})
    .to_string()
}

#[test]
fn a_rotated_provider_key_is_sent_from_then_on_while_a_stream_of_the_old_one_runs_on() {
    let cluster = Cluster::start_bare();
    let upstream = Upstream::start();
    let sluice = operator_with(&cluster, &["--allow-loopback-upstreams"]);
    cluster.apply(&tenant("team"));
    cluster.apply(&provider_key("sk-old"));
    let objects = json!({"apiVersion": "v1", "kind": "List", "items": [
        {"apiVersion": "sluice.dev/v1alpha1", "kind": "AIProvider",
            "metadata": {"name": "local", "namespace": "team"},
            "spec": {"type": "OpenAICompatible", "endpoint": upstream.endpoint(),
                "auth": {"apiKeys": [{"secretKeyRef": {"name": "up", "key": "key"}}]}}},
        {"apiVersion": "sluice.dev/v1alpha1", "kind": "AIRoute",
            "metadata": {"name": "local", "namespace": "team"},
            "spec": {"models": ["local"], "rules": [
                {"targets": [{"providerRef": {"name": "local"}, "model": "m"}]}]}},
    ]});
    cluster.apply(&objects.to_string());
    wait_ready(&cluster, "team", &["aiprovider/local", "airoute/local"]);

    let url = completions(&sluice);
    let mut stream = http::open_post(&url, &key("team"), &chat("local", true)).unwrap();
    let first = stream.next_data().unwrap().expect("a first chunk");
    assert!(first.contains("before"), "{first}");
    assert_eq!(upstream.last_key().as_deref(), Some("sk-old"));

    cluster.apply(&provider_key("sk-new"));
    eventually(PATIENCE, || {
        let answer = http::post(&url, &key("team"), &chat("local", false)).unwrap();
        assert_eq!(answer.status, 200, "no request fails meanwhile: {}", answer.text());
        match upstream.last_key() {
            Some(key) if key == "sk-new" => Ok(()),
            other => Err(format!("the provider still gets {other:?}")),
        }
    });
    upstream.open();
    let (mut last, mut text) = (String::new(), String::new());
    while let Some(data) = stream.next_data().unwrap() {
        text.push_str(&data);
        last = data;
    }
    assert!(text.contains("after") && last == "[DONE]", "the stream of the old key ends whole");
}
