//! Requests that never reach a provider, and the list of models.

use std::time::Duration;

use http::StatusCode;
use sluice::{
    proxy::Limits,
    snapshot::{Pattern, TargetModel},
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

use crate::{
    fixture::{ASK, Gateway, KEY, Reply, WHOLE, provider, route, targets_of},
    upstream::{Upstream, json},
};

const CHAT: &str = "/v1/chat/completions";

async fn gateway() -> (Gateway, Upstream) {
    let upstream = Upstream::always(json(WHOLE)).await;
    let limits =
        Limits { max_body: 1000, body_idle: Duration::from_millis(50), ..Limits::default() };
    (Gateway::start_with([route([provider(&upstream)])], limits).await, upstream)
}

#[tokio::test]
async fn unknown_keys_and_missing_keys_are_told_what_to_do() {
    let (gateway, upstream) = gateway().await;
    for headers in [&[][..], &[("authorization", "Bearer nope")], &[("x-api-key", "nope")]] {
        let reply = Reply::read(gateway.send_with(CHAT, headers, ASK).await).await;
        assert_eq!((reply.status, &*reply.code()), (StatusCode::UNAUTHORIZED, "invalid_api_key"));
    }
    let reply = Reply::read(gateway.send_with(CHAT, &[("api-key", KEY)], ASK).await).await;
    assert_eq!(reply.status, StatusCode::OK);
    assert_eq!(upstream.received().len(), 1);
}

#[tokio::test]
async fn who_has_no_key_is_refused_before_the_body_comes() {
    let upstream = Upstream::scripted([]).await;
    let gateway = Gateway::start([route([provider(&upstream)])]).await;
    let head = format!("POST {CHAT} HTTP/1.1\r\nhost: a\r\ncontent-length: 33000000\r\n\r\n{{");
    // The bound on the body's silence is 30 s and would be answered with 408.
    assert!(raw(&gateway, &head).await.starts_with("HTTP/1.1 401"));
}

#[tokio::test]
async fn routes_for_everybody_need_no_key() {
    let upstream = Upstream::always(json(WHOLE)).await;
    let mut open = route([provider(&upstream)]);
    open.access.anonymous = true;
    let gateway = Gateway::start([open]).await;
    assert_eq!(gateway.send_with(CHAT, &[], ASK).await.status(), StatusCode::OK);
    assert_eq!(gateway.get("/v1/models", &[]).await.status, StatusCode::OK);
}

#[tokio::test]
async fn a_forbidden_model_reads_like_one_that_does_not_exist() {
    let upstream = Upstream::scripted([]).await;
    let mut forbidden = route([provider(&upstream)]);
    forbidden.models = vec![Pattern::Exact("secret".into())];
    forbidden.access.allow.clear();
    let gateway = Gateway::start([forbidden]).await;
    let secret = gateway.chat(r#"{"model":"secret"}"#).await;
    let absent = gateway.chat(r#"{"model":"absent"}"#).await;
    assert_eq!((secret.status, &*secret.code()), (StatusCode::NOT_FOUND, "model_not_found"));
    assert_eq!(secret.text().replace("secret", "absent"), absent.text());
}

#[tokio::test]
async fn wrong_paths_methods_and_bodies_are_refused_in_the_paths_dialect() {
    let (gateway, upstream) = gateway().await;
    let key = ("authorization", "Bearer sk-test");
    assert_eq!(gateway.ask("/v1/nothing", ASK).await.status, StatusCode::NOT_FOUND);
    let wrong = gateway.get(CHAT, &[key]).await;
    assert_eq!((wrong.status.as_u16(), wrong.header("allow")), (405, "POST"));
    let form = [key, ("content-type", "application/x-www-form-urlencoded")];
    for headers in [form, [key, ("content-encoding", "gzip")]] {
        let status = gateway.send_with(CHAT, &headers, ASK).await.status();
        assert_eq!(status, StatusCode::UNSUPPORTED_MEDIA_TYPE);
    }
    let reply = gateway.chat("{\"model\":").await;
    assert_eq!((reply.status, &*reply.code()), (StatusCode::BAD_REQUEST, "invalid_json"));
    let anthropic = gateway.ask("/v1/messages", "nonsense").await;
    assert_eq!(anthropic.json()["type"], "error");
    assert_eq!(anthropic.json()["error"]["type"], "invalid_request_error");
    assert!(upstream.received().is_empty());
    assert_eq!(gateway.ended("refused"), 6);
}

#[tokio::test]
async fn large_bodies_are_refused_announced_or_not() {
    let (gateway, upstream) = gateway().await;
    let reply = gateway.chat(format!(r#"{{"model":"{}"}}"#, "x".repeat(1000))).await;
    assert_eq!((reply.status.as_u16(), &*reply.code()), (413, "request_too_large"));
    let chunk = "x".repeat(600);
    let chunked = format!(
        "POST {CHAT} HTTP/1.1\r\nhost: a\r\nauthorization: Bearer {KEY}\r\n\
         transfer-encoding: chunked\r\n\r\n258\r\n{chunk}\r\n258\r\n{chunk}\r\n0\r\n\r\n"
    );
    assert!(raw(&gateway, &chunked).await.starts_with("HTTP/1.1 413"));
    assert!(upstream.received().is_empty());
}

#[tokio::test]
async fn a_caller_that_falls_silent_is_told_so() {
    let (gateway, _upstream) = gateway().await;
    let request = format!(
        "POST {CHAT} HTTP/1.1\r\nhost: a\r\nauthorization: Bearer {KEY}\r\n\
         content-length: 100\r\n\r\n{{"
    );
    assert!(raw(&gateway, &request).await.starts_with("HTTP/1.1 408"));
}

#[tokio::test]
async fn who_sends_everything_before_reading_still_learns_why_it_was_refused() {
    let upstream = Upstream::always(json(WHOLE)).await;
    let gateway = Gateway::start([route([provider(&upstream)])]).await;
    let body = vec![b' '; 8 << 20];
    for (path, key, status) in [(CHAT, "sk-wrong", 401), ("/v1/nowhere", KEY, 404)] {
        let mut stream = TcpStream::connect(gateway.address).await.unwrap();
        let head = format!(
            "POST {path} HTTP/1.1\r\nhost: a\r\nauthorization: Bearer {key}\r\n\
             content-length: {}\r\n\r\n",
            body.len()
        );
        stream.write_all(head.as_bytes()).await.unwrap();
        stream.write_all(&body).await.unwrap();
        let mut start = [0; 12];
        stream.read_exact(&mut start).await.unwrap();
        assert_eq!(start, format!("HTTP/1.1 {status}").as_bytes());
    }
}

async fn raw(gateway: &Gateway, request: &str) -> String {
    let mut stream = TcpStream::connect(gateway.address).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = vec![0; 4096];
    let length = stream.read(&mut answer).await.unwrap();
    String::from_utf8_lossy(&answer[..length]).into_owned()
}

#[tokio::test]
async fn a_route_that_cannot_serve_says_why() {
    let upstream = Upstream::scripted([]).await;
    let mut broken = route([provider(&upstream)]);
    broken.fault = Some("SecretNotFound".into());
    let gateway = Gateway::start([broken]).await;
    let reply = gateway.chat(ASK).await;
    assert_eq!(reply.status, StatusCode::SERVICE_UNAVAILABLE);
    assert!(reply.text().contains("SecretNotFound"), "{}", reply.text());
    assert_ne!(reply.header("retry-after"), "");
}

#[tokio::test]
async fn models_lists_what_the_caller_may_use_in_either_dialect() {
    let upstream = Upstream::scripted([]).await;
    let mut route = route([provider(&upstream)]);
    route.models.push(Pattern::Prefix("team/".into()));
    let mut target = (*route.rules[0].targets[0]).clone();
    target.model = TargetModel::Star { before: "".into(), after: "".into() };
    *targets_of(&mut route) = vec![target.into()];
    let gateway = Gateway::start([route]).await;
    let key = ("authorization", "Bearer sk-test");
    let list = gateway.get("/v1/models", &[key]).await.json();
    let ids: Vec<&str> = list["data"]
        .as_array()
        .unwrap()
        .iter()
        .map(|model| model["id"].as_str().unwrap())
        .collect();
    assert_eq!(ids, ["chat", "team/m"]);
    let version = ("anthropic-version", "2023-06-01");
    let anthropic = gateway.get("/v1/models", &[key, version]).await.json();
    assert_eq!(anthropic["data"][0]["type"], "model");
    let one = gateway.get("/v1/models/team/other", &[key]).await.json();
    assert_eq!((&one["id"], &one["object"]), (&"team/other".into(), &"model".into()));
    let encoded = gateway.get("/v1/models/team%2Fother", &[key]).await.json();
    assert_eq!(encoded["id"], "team/other");
    assert_eq!(gateway.get("/v1/models/nothing", &[key]).await.status, StatusCode::NOT_FOUND);
    assert_eq!(gateway.get("/v1/models", &[]).await.status, StatusCode::UNAUTHORIZED);
}
