//! Whole answers: bytes pass, headers are stripped, errors are translated.

use http::StatusCode;
use sluice::llm::Dialect;

use crate::{
    fixture::{ASK, Gateway, WHOLE, credential, provider, provider_at, route},
    upstream::{Step, Upstream, json, whole},
};

#[tokio::test]
async fn same_dialect_bytes_pass_untouched_but_for_the_model() {
    let upstream = Upstream::always(json(WHOLE)).await;
    let gateway = Gateway::start([route([provider(&upstream)])]).await;
    let body = r#"{ "model" : "chat", "tools":[{"type":"function","function":{"name":"f","x":1.50}}],
        "vendor_field": {"b":2,"a":[1, 2]}, "messages":[] }"#;
    let reply = gateway.chat(body).await;
    assert_eq!(reply.text(), WHOLE);
    assert_eq!(reply.header("x-sluice-cost-usd"), "0.00003");
    assert_eq!(reply.header("x-sluice-route"), "team/chat");
    assert_eq!(reply.header("x-sluice-target"), "target-0");
    assert_eq!(reply.header("x-sluice-attempts"), "1");
    let sent = &upstream.received()[0];
    assert_eq!(sent.path, "/v1/chat/completions");
    assert_eq!(String::from_utf8_lossy(&sent.body), body.replace("\"chat\"", "\"m\""));
}

#[tokio::test]
async fn headers_are_stripped_both_ways() {
    let headers = [
        ("content-type", "application/json"),
        ("set-cookie", "a=b"),
        ("x-request-id", "up-1"),
        ("openai-organization", "the-gateways"),
        ("keep-alive", "timeout=5"),
    ];
    let upstream = Upstream::always(whole(200, &headers, WHOLE)).await;
    let mut provider = provider(&upstream);
    provider.credentials = vec![credential("sk-upstream")];
    provider.headers = vec![("x-extra".parse().unwrap(), "1".parse().unwrap())];
    let gateway = Gateway::start([route([provider])]).await;
    let sent = [
        ("authorization", "Bearer sk-test"),
        ("x-api-key", "sk-other"),
        ("cookie", "c=d"),
        ("accept-encoding", "gzip"),
        ("x-forwarded-for", "1.2.3.4"),
        ("te", "trailers"),
        ("user-agent", "sdk/1"),
        ("openai-beta", "assistants=v2"),
        ("traceparent", "00-1-2-01"),
        ("x-request-id", "mine"),
    ];
    let response = gateway.send_with("/v1/chat/completions", &sent, ASK).await;
    let got = response.headers();
    assert_eq!(got["x-request-id"], "mine");
    assert_eq!(got["x-upstream-request-id"], "up-1");
    for name in ["set-cookie", "openai-organization", "keep-alive"] {
        assert!(!got.contains_key(name), "{name}");
    }
    let received = &upstream.received()[0];
    assert_eq!(received.header("authorization"), Some("Bearer sk-upstream"));
    assert_eq!(received.header("accept-encoding"), Some("identity"));
    assert_eq!(received.header("user-agent"), Some("sdk/1"));
    assert_eq!(received.header("openai-beta"), Some("assistants=v2"));
    assert_eq!(received.header("traceparent"), Some("00-1-2-01"));
    assert_eq!(received.header("x-extra"), Some("1"));
    for name in ["x-api-key", "cookie", "x-forwarded-for", "te", "x-request-id"] {
        assert_eq!(received.header(name), None, "{name}");
    }
}

#[tokio::test]
async fn a_providers_error_keeps_its_meaning() {
    let error = r#"{"error":{"message":"bad temperature","type":"invalid_request_error","param":"temperature","code":"invalid_value"}}"#;
    let upstream = Upstream::always(whole(400, &[], error)).await;
    let gateway = Gateway::start([route([provider(&upstream)])]).await;
    let reply = gateway.chat(ASK).await;
    assert_eq!((reply.status, &*reply.code()), (StatusCode::BAD_REQUEST, "invalid_value"));
    assert_eq!(reply.json()["error"]["param"], "temperature");
    assert_eq!(upstream.received().len(), 1);
    assert_eq!(gateway.ended("failed"), 1);
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let other = Upstream::always(json(WHOLE)).await;
    let location = other.url("/v1/chat/completions");
    let upstream = Upstream::always(whole(307, &[("location", &location)], "")).await;
    let gateway = Gateway::start([route([provider(&upstream)])]).await;
    let reply = gateway.chat(ASK).await;
    assert_eq!(reply.status, StatusCode::BAD_GATEWAY);
    assert!(reply.text().contains("redirect"), "{}", reply.text());
    assert!(other.received().is_empty());
}

#[tokio::test]
async fn an_answer_cut_in_the_middle_is_tried_elsewhere() {
    let cut = vec![
        Step::Raw(b"HTTP/1.1 200 OK\r\ncontent-length: 500\r\n\r\n{\"id\":".to_vec()),
        Step::Reset,
    ];
    let (broken, good) = (Upstream::always(cut).await, Upstream::always(json(WHOLE)).await);
    let gateway = Gateway::start([route([provider(&broken), provider(&good)])]).await;
    let reply = gateway.chat(ASK).await;
    assert_eq!((reply.text(), reply.header("x-sluice-attempts")), (WHOLE, "2"));
}

#[tokio::test]
async fn embeddings_are_metered() {
    let answer = r#"{"object":"list","data":[{"object":"embedding","index":0,"embedding":"AAAA"}],"model":"m","usage":{"prompt_tokens":1000,"total_tokens":1000}}"#;
    let upstream = Upstream::always(json(answer)).await;
    let gateway = Gateway::start([route([provider(&upstream)])]).await;
    let reply = gateway.ask("/v1/embeddings", r#"{"model":"chat","input":"x"}"#).await;
    assert_eq!((reply.text(), reply.header("x-sluice-cost-usd")), (answer, "0.001"));
    assert_eq!(upstream.received()[0].path, "/v1/embeddings");
}

#[tokio::test]
async fn embeddings_of_a_provider_without_them_are_refused() {
    let upstream = Upstream::scripted([]).await;
    let anthropic = provider_at(upstream.address(), Dialect::Anthropic);
    let gateway = Gateway::start([route([anthropic])]).await;
    let reply = gateway.ask("/v1/embeddings", r#"{"model":"chat","input":"x"}"#).await;
    assert_eq!((reply.status, &*reply.code()), (StatusCode::BAD_REQUEST, "unsupported_endpoint"));
}
