//! A Service whose EndpointSlices come and go: who gets requests, and who no longer does.

use serde_json::{Value, json};

use crate::{
    PATIENCE, chat,
    cluster::{Cluster, Sluice, eventually, http},
    completions, key, operator, ready, tenant,
    upstream::{Upstream, own_address},
};

/// A Service `llm`, an AIProvider that is it, and a route that leads there.
fn objects() -> String {
    let object = |kind: &str, name: &str, spec: Value| {
        json!({"apiVersion": "sluice.dev/v1alpha1", "kind": kind,
            "metadata": {"name": name, "namespace": "team"}, "spec": spec})
    };
    let items = json!([
        {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "llm", "namespace": "team"},
            "spec": {"ports": [{"name": "http", "port": 80}]}},
        object("AIProvider", "llm", json!({"type": "VLLM", "service": {"name": "llm", "port": 80}})),
        object("AIRoute", "llm", json!({"models": ["llm"],
            "rules": [{"targets": [{"providerRef": {"name": "llm"}}]}]})),
    ]);
    json!({"apiVersion": "v1", "kind": "List", "items": items}).to_string()
}

const READY: (bool, bool, bool) = (true, true, false);
const NOT_READY: (bool, bool, bool) = (false, false, false);
const ENDS: (bool, bool, bool) = (false, true, true);

/// The slice of one upstream in a state: ready, serving, terminating.
fn slice(upstream: &Upstream, (ready, serving, terminating): (bool, bool, bool)) -> String {
    let address = upstream.address();
    let conditions = json!({"ready": ready, "serving": serving, "terminating": terminating});
    json!({
        "apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "addressType": "IPv4",
        "metadata": {"name": format!("llm-{}", address.port()), "namespace": "team",
            "labels": {"kubernetes.io/service-name": "llm"}},
        "ports": [{"name": "http", "port": address.port(), "protocol": "TCP"}],
        "endpoints": [{"addresses": [address.ip().to_string()], "conditions": conditions}],
    })
    .to_string()
}

fn expect_ready(cluster: &Cluster, object: &str, status: &str, reason: &str) {
    eventually(PATIENCE, || match ready(cluster, "team", object)? {
        found if found["status"] == status && found["reason"] == reason => Ok(()),
        found => Err(format!("{object}: {found}")),
    });
}

fn ask(sluice: &Sluice) -> http::Response {
    http::post(&completions(sluice), &key("team"), &chat("llm", false)).unwrap()
}

/// Asks until only this upstream answers, and then makes sure of it.
fn expect_all_at(sluice: &Sluice, wanted: &Upstream, others: &[&Upstream]) {
    let counts = || others.iter().map(|other| other.requests()).sum::<usize>();
    let is_alone = || {
        let (before, own) = (counts(), wanted.requests());
        (0..8).for_each(|_| assert_eq!(ask(sluice).status, 200));
        counts() == before && wanted.requests() == own + 8
    };
    eventually(PATIENCE, || is_alone().then_some(()).ok_or("others get requests".to_owned()));
    assert!(is_alone(), "others get requests again");
}

fn expect_no_endpoint(sluice: &Sluice) {
    eventually(PATIENCE, || {
        let answer = ask(sluice);
        let code = answer.json()["error"]["code"].clone();
        let is_it = answer.status == 503 && code == "upstream_no_endpoints";
        is_it.then_some(()).ok_or_else(|| answer.text())
    });
}

#[test]
fn requests_follow_the_endpoints_of_a_service() {
    let Some(own) = own_address() else {
        println!("skipped: this machine has no address beside the loopback");
        return;
    };
    let (cluster, upstreams) = (Cluster::start_bare(), [(); 3].map(|()| Upstream::start_at(own)));
    let [one, two, three] = &upstreams;
    let sluice = operator(&cluster);
    cluster.apply(&tenant("team"));
    cluster.apply(&objects());
    // Without an endpoint nothing is sent, and status says so.
    expect_ready(&cluster, "aiprovider/llm", "False", "NoEndpoints");
    expect_ready(&cluster, "airoute/llm", "False", "NoEndpoints");
    expect_no_endpoint(&sluice);

    // Several slices, one endpoint each: all get requests.
    upstreams.iter().for_each(|upstream| cluster.apply(&slice(upstream, READY)));
    expect_ready(&cluster, "airoute/llm", "True", "Ready");
    eventually(PATIENCE, || {
        assert_eq!(ask(&sluice).status, 200);
        let counts = upstreams.each_ref().map(Upstream::requests);
        counts.iter().all(|count| *count > 0).then_some(()).ok_or(format!("{counts:?}"))
    });

    // Readiness drains, and so does the end of a pod: the stream there goes on.
    cluster.apply(&slice(two, NOT_READY));
    cluster.apply(&slice(three, NOT_READY));
    expect_all_at(&sluice, one, &[two, three]);
    let mut stream =
        http::open_post(&completions(&sluice), &key("team"), &chat("llm", true)).unwrap();
    assert!(stream.next_data().unwrap().unwrap().contains("before"));
    cluster.apply(&slice(two, READY));
    cluster.apply(&slice(one, ENDS));
    expect_all_at(&sluice, two, &[one, three]);
    one.open();
    assert!(stream.next_data().unwrap().unwrap().contains("after"));

    // What ends but serves is used when nothing else is ready.
    cluster.apply(&slice(two, NOT_READY));
    expect_all_at(&sluice, one, &[two, three]);
    let all = ["delete", "endpointslices", "--all", "--namespace", "team"];
    cluster.kubectl(&all, "").expect_success();
    expect_no_endpoint(&sluice);
    expect_ready(&cluster, "aiprovider/llm", "False", "NoEndpoints");
}
