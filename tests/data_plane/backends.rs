//! A provider that is a Service with several endpoints.

use std::sync::Arc;

use sluice::snapshot::{Backend, Endpoint, Provider};

use crate::{
    fixture::{ASK, Gateway, STOP, STREAM, WHOLE, chunk, provider, route, snapshot},
    upstream::{Gate, Received, Step, Upstream, closed_address, event, json, stream_head},
};

/// A Service with these addresses behind it.
fn service(addresses: &[std::net::SocketAddr]) -> Provider {
    let backend =
        |address: &std::net::SocketAddr| Backend { address: *address, zone: None, is_near: false };
    let mut provider =
        crate::fixture::provider_at("127.0.0.1:9".parse().unwrap(), sluice::llm::Dialect::OpenAi);
    provider.backends = Some(addresses.iter().map(backend).collect());
    if let Endpoint::Http { authority, .. } = &mut provider.endpoint {
        *authority = "llm.team.svc:80".parse().unwrap();
    }
    provider
}

#[tokio::test]
async fn without_an_endpoint_the_next_target_answers_or_the_caller_learns_it() {
    let other = Upstream::always(json(WHOLE)).await;
    let gateway = Gateway::start([route([service(&[]), provider(&other)])]).await;
    let reply = gateway.chat(ASK).await;
    assert_eq!((reply.status.as_u16(), reply.header("x-sluice-target")), (200, "target-1"));
    assert_eq!(reply.header("x-sluice-attempts"), "1");
    let gateway = Gateway::start([route([service(&[])])]).await;
    let reply = gateway.chat(ASK).await;
    assert_eq!(reply.status, 503);
    assert!(reply.text().contains("upstream_no_endpoints"), "{}", reply.text());
}

#[tokio::test]
async fn an_endpoint_that_refuses_connections_costs_no_attempt() {
    let upstream = Upstream::always(json(WHOLE)).await;
    let gateway = Gateway::start([route([service(&[closed_address(), upstream.address()])])]).await;
    for _ in 0..20 {
        let reply = gateway.chat(ASK).await;
        assert_eq!((reply.status.as_u16(), reply.header("x-sluice-attempts")), (200, "1"));
    }
    assert_eq!(upstream.received()[0].header("host"), Some("llm.team.svc"));
}

#[tokio::test]
async fn a_stream_at_an_endpoint_that_is_removed_goes_on_to_its_end() {
    let gate = Gate::new();
    let held = gate.clone();
    let old =
        Upstream::answering(move |request: &Received| match request.json()["stream"].as_bool() {
            Some(true) => vec![
                stream_head(),
                event(chunk("before")),
                Step::Wait(held.clone()),
                event(chunk("after")),
                event(STOP),
                event("[DONE]"),
                Step::End,
            ],
            _ => json(WHOLE),
        })
        .await;
    let new = Upstream::always(json(WHOLE)).await;
    let gateway = Gateway::start([route([service(&[old.address()])])]).await;
    let mut stream = gateway.send("/v1/chat/completions", STREAM).await;
    let first = http_body_util::BodyExt::frame(stream.body_mut()).await.unwrap().unwrap();
    assert!(String::from_utf8_lossy(first.data_ref().unwrap()).contains("before"));
    gateway.published.publish(Arc::new(snapshot([route([service(&[new.address()])])])));
    for _ in 0..5 {
        assert_eq!(gateway.chat(ASK).await.status, 200);
    }
    assert_eq!((old.received().len(), new.received().len()), (1, 5));
    gate.open();
    let rest = http_body_util::BodyExt::collect(stream.into_body()).await.unwrap().to_bytes();
    let rest = String::from_utf8_lossy(&rest);
    assert!(rest.contains("after") && rest.contains("[DONE]"), "{rest}");
}
