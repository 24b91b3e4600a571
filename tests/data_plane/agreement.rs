//! What `sluice explain` says is what the gateway does: random configurations and requests, through the
//! real compiler and the real pipeline.

use std::{cell::OnceCell, collections::HashSet, net::SocketAddr, sync::Arc};

use bytes::Bytes;
use http::{HeaderMap, Request};
use http_body_util::{BodyExt as _, Full};
use proptest::{prelude::*, sample::select};
use serde_json::{Value, json};
use sluice::{
    budget::{Clock, Ledger},
    compile::{Inputs, Meta, Object, SecretData, compile},
    credential::Environment,
    llm::{Called, Endpoint, peek},
    proxy::{Deps, Limits, Pipeline, server::DrainSignal},
    route::{self, Asked, explain::Explanation},
    snapshot::{ObjectName, Published, Snapshot},
    telemetry::{AccessLog, Metrics, log::Format},
};

use crate::upstream::{self, Upstream};

/// Noon, for ever.
struct Noon;

impl Clock for Noon {
    fn now(&self) -> jiff::Timestamp {
        "2026-07-06T12:00:00Z".parse().unwrap()
    }
}

/// A route of a configuration.
#[derive(Clone, Debug)]
struct Drawn {
    namespace: &'static str,
    created: i64,
    spec: Value,
}

/// A request.
#[derive(Clone, Debug)]
struct Sent {
    endpoint: Endpoint,
    model: &'static str,
    key: Option<&'static str>,
    headers: Vec<(&'static str, &'static str)>,
    body: Value,
}

fn target() -> impl Strategy<Value = Value> {
    let providers = select(vec!["mock", "mock", "priced", "narrow", "narrow", "gone"]);
    (providers, 0..3_i32, 0..2_i32).prop_map(|(provider, weight, priority)| {
        json!({"providerRef": {"name": provider, "namespace": "a"}, "model": "mock-fast",
            "weight": weight, "priority": priority})
    })
}

fn rule() -> impl Strategy<Value = Value> {
    let conditions = vec![
        "request.stream",
        "request.headers['x-tier'] == 'gold'",
        "request.headers[?'x-tier'].orValue('') == 'gold'",
        "consumer.namespace == 'b' || request.model == 'model'",
        "request.inputTokens > 30 || request.maxOutputTokens > 10",
        "request.endpoint == 'Messages'",
        "request.hostname.endsWith('.example')",
        "now.getHours() == 12 && request.tools.exists(t, t == 'x')",
        "nobody == 1",
    ];
    let when = proptest::option::weighted(0.8, select(conditions));
    let balance = select(vec!["Weighted", "LeastCost"]);
    let targets = proptest::collection::vec(target(), 1..4);
    (when, balance, targets).prop_map(|(when, balance, targets)| match when {
        Some(when) => json!({"when": when, "balance": balance, "targets": targets}),
        None => json!({"balance": balance, "targets": targets}),
    })
}

/// A budget whose limit may be less than one request uses.
fn budget() -> impl Strategy<Value = Value> {
    let amounts = select(vec![("Tokens", "12"), ("Tokens", "60"), ("USD", "0.0001"), ("USD", "9")]);
    let modes = select(vec!["Enforce", "Enforce", "Shadow"]);
    let unpriced = select(vec!["Deny", "Allow"]);
    let counts = select(vec![
        json!({}),
        json!({"models": ["mock-fast"]}),
        json!({"consumers": {"matchLabels": {"team": "x"}}}),
    ]);
    (amounts, modes, unpriced, counts).prop_map(|((unit, amount), mode, unpriced, counts)| {
        let mut spec = json!({"mode": mode, "unpriced": unpriced, "limits": [
            {"name": "day", "amount": amount, "unit": unit, "window": {"calendar": "Day"}}]});
        if counts != json!({}) {
            spec["selector"] = counts;
        }
        spec
    })
}

fn drawn() -> impl Strategy<Value = Drawn> {
    let patterns = select(vec!["m", "model", "mo*", "*l", "*", "model*", "*odel"]);
    let access = select(vec![
        Value::Null,
        json!({"anonymous": true}),
        json!({"allow": [{"apiKeys": {"namespaces": {}}}]}),
        json!({"allow": [{"apiKeys": {"namespaces": {}, "matchLabels": {"team": "x"}}}]}),
    ]);
    let endpoints =
        select(vec![json!([]), json!([]), json!(["ChatCompletions"]), json!(["Messages"])]);
    let hosts = select(vec![json!([]), json!([]), json!(["x.example"]), json!(["*.example"])]);
    let parts = (
        (select(vec!["a", "b"]), 1..4_i64, proptest::collection::vec(patterns, 1..3)),
        (access, endpoints, hosts, select(vec!["Lenient", "Strict"])),
        proptest::collection::vec(rule(), 1..4),
    );
    parts.prop_map(|((namespace, created, models), (access, endpoints, hosts, fidelity), rules)| {
        let mut spec = json!({"models": models, "endpoints": endpoints, "hostnames": hosts,
            "fidelity": fidelity, "rules": rules});
        if !access.is_null() {
            spec["access"] = access;
        }
        Drawn { namespace, created, spec }
    })
}

fn sent() -> impl Strategy<Value = Sent> {
    let models = select(vec!["m", "model", "mol", "models", "other"]);
    let keys = select(vec![None, Some("sk-a"), Some("sk-b")]);
    let tier = select(vec![None, Some(("x-tier", "gold")), Some(("x-tier", "tin"))]);
    let host = select(vec!["x.example", "Y.example:80", "x.example.", "elsewhere"]);
    let more = select(vec![
        json!({}),
        json!({"max_tokens": 20}),
        json!({"logit_bias": {"1": 1}, "top_k": 5}),
        json!({"tools": [{"name": "x", "input_schema": {"type": "object"}}]}),
        json!({"tools": [{"type": "function", "function": {"name": "x"}}]}),
        json!({"messages": [{"role": "user", "content": [{"type": "input_audio",
            "input_audio": {"data": "AAAA", "format": "wav"}}]}]}),
        json!({"previous_response_id": "resp_1"}),
    ]);
    let endpoint = select(vec![Endpoint::ChatCompletions, Endpoint::Messages, Endpoint::Responses]);
    (endpoint, models, keys, (tier, host), any::<bool>(), more).prop_map(
        |(endpoint, model, key, (tier, host), stream, more)| {
            let mut body = json!({"model": model, "stream": stream, "max_tokens": 5,
                "messages": [{"role": "user", "content": "Hello"}]});
            body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            if endpoint == Endpoint::Responses {
                body["input"] = "Hello".into();
            }
            let headers = [Some(("host", host)), tier].into_iter().flatten().collect();
            Sent { endpoint, model, key, headers, body }
        },
    )
}

fn object<S: serde::de::DeserializeOwned>(
    name: &ObjectName,
    created: i64,
    spec: Value,
) -> Object<S> {
    let meta = Meta {
        name: name.clone(),
        uid: name.to_string().into(),
        generation: 1,
        created: Some(jiff::Timestamp::from_second(created).unwrap()),
        labels: Default::default(),
    };
    let spec = serde_json::from_value(spec).map(Arc::new).map_err(|error| error.to_string());
    Object { meta, spec }
}

fn snapshot(routes: &[Drawn], budget: Option<&Value>, narrow_at: SocketAddr) -> Snapshot {
    let mut inputs = Inputs::default();
    inputs.settings.allow_loopback = true;
    let name = |name: &str| ObjectName::new("a", name);
    let (mock, priced) = (name("mock"), name("priced"));
    let spec = json!({"type": "Mock", "allowedNamespaces": {"from": "All"}});
    inputs.providers.insert(mock.clone(), object(&mock, 0, spec));
    let spec = json!({"type": "Mock", "allowedNamespaces": {"from": "All"},
        "models": [{"name": "mock-fast", "pricing": {"input": "1", "output": "2"}}]});
    inputs.providers.insert(priced.clone(), object(&priced, 0, spec));
    let narrow = name("narrow");
    let spec = json!({"type": "Anthropic", "allowedNamespaces": {"from": "All"},
        "endpoint": format!("http://{narrow_at}/v1"),
        "models": [{"name": "mock-fast", "pricing": {"input": "2", "output": "4"}}]});
    inputs.providers.insert(narrow.clone(), object(&narrow, 0, spec));
    for (index, Drawn { namespace, created, spec }) in routes.iter().enumerate() {
        let mut spec = spec.clone();
        for (at, rule) in spec["rules"].as_array_mut().unwrap().iter_mut().enumerate() {
            for (n, target) in rule["targets"].as_array_mut().unwrap().iter_mut().enumerate() {
                target["name"] = format!("rule-{at}-target-{n}").into();
            }
        }
        let name = ObjectName::new(*namespace, format!("route-{index}"));
        inputs.routes.insert(name.clone(), object(&name, *created, spec));
    }
    if let Some(spec) = budget {
        let name = name("some");
        inputs.budgets.insert(name.clone(), object(&name, 0, spec.clone()));
    }
    for namespace in ["a", "b"] {
        let mut secret = SecretData::default();
        let key = format!("sk-{namespace}").into_bytes();
        secret.data.insert("key".to_owned(), zeroize::Zeroizing::new(key));
        if namespace == "b" {
            secret.labels.insert("team".to_owned(), "x".to_owned());
        }
        inputs.consumers.insert(ObjectName::new(namespace, "key"), secret);
    }
    compile(&inputs).snapshot
}

fn explained(snapshot: &Snapshot, sent: &Sent) -> Explanation {
    let body = Bytes::from(sent.body.to_string());
    let peek = peek(&Called::from(sent.endpoint), &body).unwrap();
    let headers: HeaderMap =
        sent.headers.iter().map(|(n, v)| (n.parse().unwrap(), v.parse().unwrap())).collect();
    let consumer = sent.key.and_then(|key| snapshot.consumers.get(key.as_bytes()));
    let input = peek.input(sent.endpoint, &body);
    let asked = Asked {
        model: sent.model,
        consumer: consumer.map(|consumer| &**consumer),
        endpoint: sent.endpoint,
        hostname: &route::hostname(None, &headers),
        headers: &headers,
        body: &body,
        stream: peek.stream,
        input_tokens: input.tokens,
        max_output_tokens: peek.max_output_tokens,
        user: peek.user.as_deref(),
        now: Noon.now(),
    };
    let request = route::explain::Request { asked, peek: &peek, input, body: &body };
    route::explain(snapshot, &request)
}

/// Where the configuration of a pipeline is put, what it calls, and what it counts by.
struct Gateway {
    published: Arc<Published>,
    pipeline: Arc<Pipeline>,
    ledger: Arc<Ledger>,
    narrow: Upstream,
}

/// A provider that speaks nothing but Messages.
async fn narrow() -> Upstream {
    let whole = json!({"id": "msg_1", "type": "message", "role": "assistant", "model": "m",
        "content": [{"type": "text", "text": "Hello"}], "stop_reason": "end_turn",
        "stop_sequence": null, "usage": {"input_tokens": 1, "output_tokens": 1}});
    let mut start = whole.clone();
    (start["content"], start["stop_reason"]) = (json!([]), Value::Null);
    let events = [
        json!({"type": "message_start", "message": start}),
        json!({"type": "content_block_start", "index": 0,
            "content_block": {"type": "text", "text": ""}}),
        json!({"type": "content_block_delta", "index": 0,
            "delta": {"type": "text_delta", "text": "Hello"}}),
        json!({"type": "content_block_stop", "index": 0}),
        json!({"type": "message_delta", "delta": {"stop_reason": "end_turn"},
            "usage": {"output_tokens": 1}}),
        json!({"type": "message_stop"}),
    ];
    Upstream::answering(move |request| match request.json()["stream"] == true {
        true => upstream::stream(events.iter().map(Value::to_string)),
        false => upstream::json(whole.to_string()),
    })
    .await
}

async fn gateway() -> Gateway {
    let published = Arc::new(Published::default());
    let ledger = Arc::new(Ledger::new(Arc::new(Noon)));
    let metrics = Arc::new(Metrics::new().unwrap());
    let pipeline = Pipeline::new(Deps {
        published: published.clone(),
        ledger: ledger.clone(),
        log: AccessLog::new(Format::Json, &metrics.registry).unwrap(),
        metrics,
        limits: Limits::default(),
        allow_loopback: true,
        environment: Environment::new(|_| None),
        clock: Arc::new(Noon),
        drain: DrainSignal::new(),
    });
    Gateway { published, pipeline: pipeline.unwrap(), ledger, narrow: narrow().await }
}

/// Status, code of the error, route and target of an answer.
async fn answered(pipeline: &Arc<Pipeline>, sent: &Sent) -> (u16, String, String, String) {
    let mut request =
        Request::post(sent.endpoint.path()).header("content-type", "application/json");
    for (name, value) in &sent.headers {
        request = request.header(*name, *value);
    }
    if let Some(key) = sent.key {
        request = request.header("x-sluice-api-key", key);
    }
    let body = Full::new(Bytes::from(sent.body.to_string()));
    let response = pipeline.handle(request.body(body).unwrap()).await;
    let (head, body) = response.into_parts();
    let header =
        |name: &str| head.headers.get(name).map_or("", |value| value.to_str().unwrap()).to_owned();
    let bytes = body.collect().await.unwrap().to_bytes();
    let error: Value = serde_json::from_slice(&bytes).unwrap_or_default();
    let code = error["error"]["code"].as_str().unwrap_or_default().to_owned();
    (head.status.as_u16(), code, header("x-sluice-route"), header("x-sluice-target"))
}

fn agree(
    explained: &Explanation,
    (status, code, route, target): &(u16, String, String, String),
) -> Result<(), TestCaseError> {
    prop_assert_eq!(explained.route.as_deref().unwrap_or_default(), route.as_str());
    prop_assert_eq!(explained.outcome.status, *status);
    let refusals: Vec<_> =
        explained.targets.iter().filter_map(|target| target.refusal.as_deref()).collect();
    if *status == 400 && !refusals.is_empty() {
        // Whose turn it is decides which one is asked first.
        prop_assert!(refusals.contains(&code.as_str()), "{} is none of {:?}", code, refusals);
        prop_assert!(refusals.contains(&&*explained.outcome.code));
        return Ok(());
    }
    if *status != 200 {
        prop_assert_eq!(&*explained.outcome.code, code.as_str());
        return Ok(());
    }
    let usable = || explained.targets.iter().filter(|target| target.passed_over.is_none());
    let first = usable().map(|target| target.priority).min();
    let first: Vec<&str> = usable()
        .filter(|target| Some(target.priority) == first)
        .map(|target| target.name.as_str())
        .collect();
    prop_assert!(first.contains(&target.as_str()), "{} is none of {:?}", target, first);
    let asked = explained.targets.iter().find(|one| one.name == *target).unwrap();
    prop_assert!(asked.share.is_some(), "{} has no share", target);
    prop_assert!(asked.turn.is_none_or(|turn| turn == 1), "{} is not asked first", target);
    let rule = explained.rules.iter().position(|rule| Some(&rule.name) == explained.rule.as_ref());
    let expected = format!("rule-{}-", rule.unwrap());
    prop_assert!(target.starts_with(&expected), "{} is not of {}", target, expected);
    Ok(())
}

thread_local! {
    static GATEWAY: OnceCell<(tokio::runtime::Runtime, Gateway)> = const { OnceCell::new() };
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(192))]

    #[test]
    fn explain_says_what_the_gateway_does(
        routes in proptest::collection::vec(drawn(), 1..6),
        budget in proptest::option::of(budget()),
        requests in proptest::collection::vec(sent(), 1..6),
    ) {
        GATEWAY.with(|gateway_cell| {
            let (runtime, gateway) = gateway_cell.get_or_init(|| {
                let runtime =
                    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
                let gateway = runtime.block_on(gateway());
                (runtime, gateway)
            });
            let snapshot = snapshot(&routes, budget.as_ref(), gateway.narrow.address());
            let snapshot = Arc::new(snapshot);
            gateway.published.publish(snapshot.clone());
            for sent in &requests {
                let explained = explained(&snapshot, sent);
                let answer = runtime.block_on(answered(&gateway.pipeline, sent));
                // What was used is not known to whoever explains.
                gateway.ledger.retain(&HashSet::new());
                agree(&explained, &answer).map_err(|error| {
                    TestCaseError::fail(format!("{error}\n{sent:?}\n{explained:#?}"))
                })?;
            }
            Ok::<(), TestCaseError>(())
        })?;
    }
}
