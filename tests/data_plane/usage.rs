//! What is used is added up: whatever requests come, and however they end, the roll-up is the sum of
//! their access records, to the token and the nano-dollar.

use std::{
    collections::BTreeMap,
    sync::{Arc, atomic::AtomicBool},
};

use futures_util::{SinkExt as _, StreamExt as _};
use http::{Method, Request, StatusCode};
use http_body_util::BodyExt as _;
use serde_json::Value;
use sluice::{
    admin::Admin,
    budget::NanoUsd,
    compile::Inputs,
    llm::Dialect,
    snapshot::{
        Consumer, ConsumerTable, KeyDigest, ObjectName, Pattern, Provider, Snapshot, TargetModel,
    },
    source::Current,
    usage::Sums,
};
use tokio_tungstenite::tungstenite::Message;

use crate::{
    direct::grant,
    fixture::{
        Gateway, Reply, STOP, USAGE, WHOLE, chunk, credential, provider, provider_at, route,
        snapshot, targets_of,
    },
    realtime::open,
    realtime_provider::{self, Realtime},
    upstream::{Received, Script, Step, Upstream, event, json, stream, stream_head, whole},
};

/// Two teams, and a key without one.
fn consumers() -> ConsumerTable {
    let mut table = ConsumerTable::default();
    for (key, team, app) in [
        ("sk-search", Some("search"), Some("web")),
        ("sk-ads", Some("ads"), None),
        ("sk-none", None, None),
    ] {
        let consumer = Consumer {
            name: ObjectName::new("team", key),
            labels: Default::default(),
            app: app.map(Into::into),
            team: team.map(Into::into),
            environment: Some("prod".into()),
            expires: None,
        };
        table.insert(KeyDigest::of(key.as_bytes()), consumer).unwrap();
    }
    table
}

/// Answers by what the messages say.
fn answer(received: &Received) -> Script {
    let body = String::from_utf8_lossy(&received.body);
    let has = |word: &str| body.contains(word);
    if has("\"fail\"") {
        whole(500, &[("content-type", "application/json")], "{}")
    } else if has("\"leave\"") {
        vec![stream_head(), event(chunk("Hello, who is there?")), Step::Stall]
    } else if has("\"break\"") {
        vec![stream_head(), event(chunk("Hello")), Step::Close]
    } else if has("\"cached\"") {
        let details = r#""prompt_tokens_details":{"cached_tokens":4},"completion_tokens":20"#;
        json(WHOLE.replace(r#""completion_tokens":20"#, details))
    } else if has("\"stream\":true") {
        stream([&*chunk("Hello"), STOP, USAGE, "[DONE]"])
    } else {
        json(WHOLE)
    }
}

/// A gateway with a route to the models `m` and, without a price, any other; direct calls; and a
/// provider of sessions as the route `live`.
async fn gateway(upstream: &Upstream, realtime: &Realtime) -> Gateway {
    let mut chat = route([provider(upstream)]);
    chat.models = vec![Pattern::Exact("chat".into())];
    let mut free = route([provider(upstream)]);
    (free.name, free.uid) = (ObjectName::new("lab", "free"), "free".into());
    free.models = vec![Pattern::Exact("free".into())];
    let mut target = (*targets_of(&mut free)[0]).clone();
    target.model = TargetModel::Fixed("unpriced".into());
    *targets_of(&mut free) = vec![Arc::new(target)];
    let sessions = provider_at(realtime.address, Dialect::OpenAi);
    let mut live = route([Provider { credentials: vec![credential("sk-upstream")], ..sessions }]);
    (live.name, live.uid) = (ObjectName::new("team", "live"), "live".into());
    live.models = vec![Pattern::Exact("live".into())];
    let direct = grant(provider(upstream));
    let direct = [(direct.provider.name.clone(), Arc::new(direct))].into();
    let gateway = Gateway::start([]).await;
    let consumers = consumers();
    let snapshot = Snapshot { direct, consumers, ..snapshot([chat, free, live]) };
    gateway.published.publish(Arc::new(snapshot));
    gateway
}

async fn send(gateway: &Gateway, key: &str, model: &str, (word, stream): (&str, bool)) -> Reply {
    let (headers, body) = ask(key, model, (word, stream));
    let headers: Vec<_> = headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let response = gateway.send_with("/v1/chat/completions", &headers, body).await;
    let (head, body) = response.into_parts();
    // A stream that breaks has no end.
    let body = body.collect().await.map(|body| body.to_bytes()).unwrap_or_default();
    Reply { status: head.status, headers: head.headers, body }
}

type Asked = (Vec<(&'static str, String)>, String);

fn ask(key: &str, model: &str, (word, stream): (&str, bool)) -> Asked {
    let messages = format!(r#"[{{"role":"user","content":"{word}"}}]"#);
    let body = format!(r#"{{"model":"{model}","messages":{messages},"stream":{stream}}}"#);
    (vec![("authorization", format!("Bearer {key}"))], body)
}

/// What `/api/usage` says.
async fn asked(gateway: &Gateway, query: &str) -> Value {
    let admin = Admin {
        published: gateway.published.clone(),
        current: Current::new(Inputs::default()),
        live: Arc::new(AtomicBool::new(true)),
        drain: gateway.drain.clone(),
        registry: gateway.metrics.registry.clone(),
        pipeline: None,
        usage: gateway.usage.clone(),
        replica: "one".into(),
        token: None,
    };
    let request = Request::get(format!("/api/usage?{query}")).body(()).unwrap();
    let response = admin.respond(&request, "127.0.0.1:1".parse().unwrap());
    assert_eq!(response.status(), StatusCode::OK);
    serde_json::from_slice(&response.into_body().collect().await.unwrap().to_bytes()).unwrap()
}

/// Requests of all sorts: whole, streamed, cached, left, broken, failed, refused, direct, a session.
async fn requests_of_all_sorts(gateway: &Gateway, upstream: &mut Upstream) {
    for (key, model, words) in [
        ("sk-search", "chat", ("hello", false)),
        ("sk-search", "chat", ("hello", true)),
        ("sk-search", "chat", ("cached", false)),
        ("sk-ads", "chat", ("hello", true)),
        ("sk-ads", "chat", ("break", true)),
        ("sk-ads", "chat", ("fail", false)),
        ("sk-ads", "absent", ("hello", false)),
        ("sk-wrong", "chat", ("hello", false)),
        ("sk-none", "free", ("hello", false)),
        ("sk-search", "free", ("hello", true)),
    ] {
        send(gateway, key, model, words).await;
    }
    let (headers, body) = ask("sk-search", "chat", ("leave", true));
    let headers: Vec<_> = headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let mut left = gateway.send_with("/v1/chat/completions", &headers, body).await.into_body();
    assert!(left.frame().await.unwrap().is_ok());
    drop(left);
    upstream.abandoned().await;
    let key = [("authorization", "Bearer sk-ads")];
    let path = "/providers/team/openai/threads/t/runs";
    assert_eq!(gateway.send_with(path, &key, "{}").await.status(), StatusCode::OK);
    assert_eq!(gateway.get("/providers/team/openai/files", &key).await.status, StatusCode::OK);
    assert_eq!(gateway.call(Method::GET, "/providers/team/none/files").await.status, 401);
    let mut session =
        open(gateway, "?model=live", &[("authorization", "Bearer sk-search")]).await.unwrap();
    session.send(Message::text(realtime_provider::event("respond"))).await.unwrap();
    while let Some(Ok(message)) = session.next().await {
        if message.to_text().unwrap_or_default().contains("response.done") {
            break;
        }
    }
    session.close(None).await.unwrap();
    while session.next().await.is_some_and(|message| message.is_ok()) {}
}

/// What a record says was used.
fn sums(record: &Value) -> Sums {
    let number = |name: &str| record[name].as_u64().unwrap();
    let money = |name: &str| record[name].as_str().map(|text| NanoUsd::from_decimal(text).unwrap());
    let outcome = record["outcome"].as_str().unwrap();
    let (cost, estimated) = (money("cost_usd"), record["estimated"].as_bool().unwrap());
    let tokens = number("input_tokens") + number("output_tokens");
    Sums {
        requests: 1,
        failed: ["failed", "incomplete"].contains(&outcome).into(),
        refused: (outcome == "refused").into(),
        input_tokens: number("input_tokens"),
        output_tokens: number("output_tokens"),
        cached_input_tokens: number("cached_input_tokens"),
        cache_write_tokens: number("cache_write_tokens"),
        reasoning_tokens: number("reasoning_tokens"),
        cost: cost.unwrap_or_default(),
        hedge_cost: money("hedge_cost_usd").unwrap_or_default(),
        estimated_cost: cost.filter(|_| estimated).unwrap_or_default(),
        estimated_requests: estimated.into(),
        unpriced_requests: (cost.is_none() && tokens > 0).into(),
    }
}

#[tokio::test]
async fn usage_is_the_sum_of_the_access_records_by_every_dimension() {
    let mut upstream = Upstream::answering(answer).await;
    let realtime = Realtime::start().await;
    let gateway = gateway(&upstream, &realtime).await;
    requests_of_all_sorts(&gateway, &mut upstream).await;
    let records = gateway.records().await;
    assert_eq!(records.len(), 15, "{records:#?}");
    for (dimension, field) in [
        ("consumer", "consumer"),
        ("app", "app"),
        ("team", "team"),
        ("environment", "environment"),
        ("route", "route"),
        ("provider", "provider"),
        ("model", "model_served"),
        ("endpoint", "endpoint"),
    ] {
        let mut expected = BTreeMap::<String, Sums>::new();
        let mut total = Sums::default();
        for record in &records {
            let name = record[field].as_str().unwrap_or_default();
            *expected.entry(name.to_owned()).or_default() += sums(record);
            total += sums(record);
        }
        let report = asked(&gateway, &format!("by={dimension}&since=1h")).await;
        let rows = report["rows"].as_array().unwrap().iter().map(|row| {
            let name = row["of"][dimension].as_str().unwrap().to_owned();
            (name, serde_json::from_value::<Sums>(row.clone()).unwrap())
        });
        assert_eq!(rows.collect::<BTreeMap<_, _>>(), expected, "{dimension}");
        assert_eq!(serde_json::from_value::<Sums>(report["totals"].clone()).unwrap(), total);
    }
    // The requests were what they were meant to be.
    let totals = &asked(&gateway, "").await["totals"];
    let count = |name: &str| totals[name].as_u64().unwrap();
    assert_eq!((count("failed"), count("refused"), count("unpricedRequests")), (2, 3, 2));
    assert!(count("estimatedRequests") >= 2 && count("cachedInputTokens") == 8, "{totals}");
    let teams = asked(&gateway, "by=team,namespace").await;
    let rows = teams["rows"].as_array().unwrap().iter();
    let of: Vec<_> = rows
        .map(|row| (row["of"]["team"].as_str().unwrap(), row["of"]["namespace"].as_str().unwrap()))
        .collect();
    for row in [("search", "team"), ("search", "lab"), ("ads", "team"), ("", "lab")] {
        assert!(of.contains(&row), "{row:?}: {of:?}");
    }
}
