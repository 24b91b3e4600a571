//! Rules through a real gateway: which condition a request meets decides which target answers it.

use std::sync::Arc;

use http::StatusCode;
use sluice::{
    budget::Clock,
    llm::Dialect,
    snapshot::{Condition, Endpoint, Hostname, Provider, Route, Rule, Target, TargetModel},
};

use crate::{
    fixture::{ASK, Gateway, KEY, Reply, STREAM, World, provider_at, route},
    upstream::closed_address,
};

/// A clock that stands still.
struct At(jiff::Timestamp);

impl Clock for At {
    fn now(&self) -> jiff::Timestamp {
        self.0
    }
}

/// A rule of this name whose only target, of the same name, is a mock.
async fn rule(name: &str, when: Option<&str>) -> Arc<Rule> {
    let provider = Provider {
        kind: "Mock",
        endpoint: Endpoint::Mock,
        ..provider_at(closed_address(), Dialect::OpenAi)
    };
    let target = Target {
        name: format!("{name}-target").into(),
        provider: Arc::new(provider),
        model: TargetModel::Fixed("mock-fast".into()),
        weight: 1,
        priority: 0,
        parameters: None,
    };
    Arc::new(Rule {
        name: name.into(),
        when: when.map(|text| Condition::compile(text).unwrap()),
        targets: vec![Arc::new(target)],
        ..Rule::default()
    })
}

/// A route with these rules, in order.
async fn ruled(rules: &[(&str, Option<&str>)]) -> Route {
    let mut compiled = Vec::new();
    for (name, when) in rules {
        compiled.push(rule(name, *when).await);
    }
    Route { rules: compiled, ..route([]) }
}

async fn chat(gateway: &Gateway, headers: &[(&str, &str)], body: &str) -> Reply {
    let key = format!("Bearer {KEY}");
    let headers: Vec<_> = [("authorization", &*key)].iter().chain(headers).copied().collect();
    Reply::read(gateway.send_with("/v1/chat/completions", &headers, body.to_owned()).await).await
}

#[tokio::test]
async fn the_first_rule_that_holds_answers() {
    let gateway = Gateway::start([ruled(&[
        ("gold", Some("request.headers[?'x-tier'].orValue('') == 'gold'")),
        ("long", Some("request.inputTokens > 1000 || request.maxOutputTokens > 5000")),
        ("stream", Some("request.stream && consumer.team == 'search'")),
        ("tools", Some("request.tools.exists(tool, tool.startsWith('db_'))")),
        ("case", Some("request.metadata[?'case'].orValue('') == 'A-1'")),
        ("user", Some("consumer.user == 'ada'")),
        ("rest", None),
    ])
    .await])
    .await;
    let long = format!(
        r#"{{"model":"chat","messages":[{{"role":"user","content":"{}"}}]}}"#,
        "x".repeat(9000)
    );
    let with = |more: &str| ASK.replacen('{', &format!("{{{more},"), 1);
    let tools = r#""tools":[{"type":"function","function":{"name":"db_query"}}]"#;
    for (headers, body, expected) in [
        (&[("x-tier", "gold")][..], STREAM.to_owned(), "gold"),
        (&[("x-tier", "silver")], long, "long"),
        (&[], with(r#""max_tokens":5001"#), "long"),
        (&[], STREAM.to_owned(), "stream"),
        (&[], with(tools), "tools"),
        (&[], with(r#""metadata":{"case":"A-1"}"#), "case"),
        (&[], with(r#""user":"ada""#), "user"),
        (&[("x-sluice-user", "ada")], ASK.to_owned(), "user"),
        (&[("X-Tier", "bronze")], ASK.to_owned(), "rest"),
    ] {
        let reply = chat(&gateway, headers, &body).await;
        assert_eq!(reply.status, StatusCode::OK, "{}", reply.text());
        assert_eq!(reply.header("x-sluice-route"), "team/chat");
        assert_eq!(reply.header("x-sluice-target"), format!("{expected}-target"), "{body}");
    }
}

#[tokio::test]
async fn a_request_that_no_rule_takes_is_told_so() {
    let rules = [
        ("gold", Some("request.headers['x-tier'] == 'gold'")),
        ("streams", Some("request.stream")),
    ];
    let gateway = Gateway::start([ruled(&rules).await]).await;
    let reply = chat(&gateway, &[("x-tier", "silver")], ASK).await;
    assert_eq!((reply.status.as_u16(), &*reply.code()), (404, "no_rule_matches"));
    let message = reply.json()["error"]["message"].as_str().unwrap().to_owned();
    assert_eq!(message, "no rule of route team/chat takes this request, of: gold, streams");
    assert_eq!(reply.header("x-sluice-route"), "team/chat");
    let reply = chat(&gateway, &[], ASK).await;
    assert!(reply.text().contains("(not evaluated: gold: a key is not there)"), "{}", reply.text());
    assert_eq!(gateway.ended("refused"), 2);
}

#[tokio::test]
async fn a_condition_that_cannot_be_evaluated_does_not_hold() {
    let rules = [("gold", Some("request.headers['x-tier'] == 'gold'")), ("rest", None)];
    let gateway = Gateway::start([ruled(&rules).await]).await;
    let reply = chat(&gateway, &[], ASK).await;
    assert_eq!(reply.header("x-sluice-target"), "rest-target");
}

#[tokio::test]
async fn a_rule_with_a_fault_answers_with_it_and_never_another_rule_in_its_place() {
    let mut route = ruled(&[("streams", Some("request.stream")), ("broken", None)]).await;
    let broken = Arc::make_mut(&mut route.rules[1]);
    broken.fault = Some("InvalidCondition".into());
    route.rules.push(rule("rest", None).await);
    let gateway = Gateway::start([route]).await;
    assert_eq!(chat(&gateway, &[], STREAM).await.header("x-sluice-target"), "streams-target");
    let reply = chat(&gateway, &[], ASK).await;
    assert_eq!((reply.status.as_u16(), &*reply.code()), (503, "route_unavailable"));
    assert!(reply.text().contains("InvalidCondition"), "{}", reply.text());
}

#[tokio::test]
async fn time_decides_by_the_gateways_clock() {
    let night = "now.getHours('Europe/Berlin') >= 22 || now.getHours('Europe/Berlin') < 6";
    for (time, expected) in [
        ("2026-07-06T20:30:00Z", "night-target"),
        ("2026-07-06T10:00:00Z", "day-target"),
        ("2026-01-06T20:30:00Z", "day-target"),
    ] {
        let clock = Arc::new(At(time.parse().unwrap()));
        let world = World { clock, ..World::default() };
        let route = ruled(&[("night", Some(night)), ("day", None)]).await;
        let reply = chat(&Gateway::start_in(world, [route]).await, &[], ASK).await;
        assert_eq!(reply.header("x-sluice-target"), expected, "{time}");
    }
}

#[tokio::test]
async fn a_host_decides_between_routes_and_what_is_listed() {
    let at = async |host: &str, name: &str| Route {
        hostnames: vec![Hostname::parse(host).unwrap()],
        name: sluice::snapshot::ObjectName::new("team", name),
        ..ruled(&[(name, None)]).await
    };
    let gateway =
        Gateway::start([at("*.eu.example", "eu").await, at("us.example", "us").await]).await;
    for (host, expected) in [("a.eu.example:8080", "team/eu"), ("US.example", "team/us")] {
        let reply = chat(&gateway, &[("host", host)], ASK).await;
        assert_eq!(reply.header("x-sluice-route"), expected);
    }
    let elsewhere = chat(&gateway, &[("host", "eu.example")], ASK).await;
    assert_eq!((elsewhere.status.as_u16(), &*elsewhere.code()), (404, "model_not_found"));
    let key = format!("Bearer {KEY}");
    let listed = async |host: &str| {
        let headers = [("authorization", &*key), ("host", host)];
        gateway.get("/v1/models", &headers).await.json()["data"].as_array().unwrap().len()
    };
    assert_eq!((listed("us.example").await, listed("eu.example").await), (1, 0));
}
