//! Providers that take the caller's own credential, beside the gateway's key in a header of its own.

use std::sync::Arc;

use http::StatusCode;
use sluice::{
    llm::Dialect,
    snapshot::{Consumer, Identity, KeyDigest, KeyHeader, ObjectName, Provider},
};

use crate::{
    direct::{grant, publish_grant},
    fixture::{ASK, Gateway, Reply, WHOLE, credential, provider, provider_at, route, snapshot},
    realtime::open,
    realtime_provider::Realtime,
    upstream::{Upstream, json, whole},
};

const OURS: (&str, &str) = ("x-sluice-api-key", "sk-test");
const CHAT: &str = "/v1/chat/completions";
const MESSAGE: &str = r#"{"id":"msg_1","type":"message","role":"assistant","model":"m","content":[{"type":"text","text":"Hello"}],"stop_reason":"end_turn","stop_sequence":null,"usage":{"input_tokens":3,"output_tokens":4}}"#;

fn passing(provider: Provider) -> Provider {
    Provider { identity: Some(Arc::new(Identity::Caller)), ..provider }
}

async fn ask(gateway: &Gateway, path: &str, headers: &[(&str, &str)]) -> Reply {
    let body = match path {
        CHAT => ASK.to_owned(),
        _ => ASK.replacen('{', "{\"max_tokens\":9,", 1),
    };
    Reply::read(gateway.send_with(path, headers, body).await).await
}

#[tokio::test]
async fn a_callers_own_credential_goes_where_the_provider_takes_it() {
    for (dialect, answer, path, sent, arrives) in [
        (
            Dialect::OpenAi,
            WHOLE,
            CHAT,
            ("authorization", "Bearer own"),
            ("authorization", "Bearer own"),
        ),
        (
            Dialect::OpenAi,
            WHOLE,
            "/v1/messages",
            ("x-api-key", "own"),
            ("authorization", "Bearer own"),
        ),
        (Dialect::Anthropic, MESSAGE, CHAT, ("authorization", "Bearer own"), ("x-api-key", "own")),
        (Dialect::Anthropic, MESSAGE, "/v1/messages", ("x-api-key", "own"), ("x-api-key", "own")),
        // A subscription's token is no key: Anthropic takes it as it is.
        (
            Dialect::Anthropic,
            MESSAGE,
            "/v1/messages",
            ("authorization", "Bearer own"),
            ("authorization", "Bearer own"),
        ),
    ] {
        let upstream = Upstream::always(json(answer)).await;
        let target = passing(provider_at(upstream.address(), dialect));
        let gateway = Gateway::start([route([target])]).await;
        let reply = ask(&gateway, path, &[OURS, sent]).await;
        assert_eq!(reply.status, StatusCode::OK, "{dialect:?} {path}: {}", reply.text());
        let received = &upstream.received()[0];
        let names = ["authorization", "x-api-key", "api-key", "x-goog-api-key", OURS.0];
        let carried: Vec<_> =
            names.iter().filter_map(|name| Some((*name, received.header(name)?))).collect();
        assert_eq!(carried, [arrives], "{dialect:?} {path} {sent:?}");
    }
}

#[tokio::test]
async fn without_a_credential_of_its_own_a_caller_is_told_so_and_nothing_is_sent() {
    let (upstream, other) =
        (Upstream::always(json(WHOLE)).await, Upstream::always(json(WHOLE)).await);
    let gateway = Gateway::start([route([passing(provider(&upstream))])]).await;
    // The gateway's key is nobody else's business, wherever it stands.
    let bearer = ("authorization", "Bearer sk-test");
    for headers in [&[OURS][..], &[bearer], &[OURS, bearer], &[OURS, ("x-api-key", "sk-test")]] {
        let reply = ask(&gateway, CHAT, headers).await;
        assert_eq!(reply.status, StatusCode::UNAUTHORIZED, "{headers:?}");
        assert_eq!(reply.code(), "provider_credential_missing");
    }
    assert_eq!(gateway.ended("refused"), 4);
    let targets = [passing(provider(&upstream)), provider(&other)];
    let reply = ask(&Gateway::start([route(targets)]).await, CHAT, &[bearer]).await;
    assert_eq!(reply.text(), WHOLE);
    assert!(upstream.received().is_empty());
}

#[tokio::test]
async fn another_consumers_key_is_nobodys_own_credential() {
    let upstream = Upstream::always(json(WHOLE)).await;
    let realtime = Realtime::start().await;
    let gateway = Gateway::start([]).await;
    let publish = |target: Provider| {
        let target = passing(target);
        let mut snapshot = snapshot([route([target.clone()])]);
        let other = Consumer {
            name: ObjectName::new("team", "other"),
            ..(**snapshot.consumers.iter().next().unwrap()).clone()
        };
        snapshot.consumers.insert(KeyDigest::of(b"sk-other"), other).unwrap();
        let mut direct = grant(target);
        let target = Provider { credentials: Vec::new(), ..(*direct.provider).clone() };
        direct.provider = Arc::new(target);
        snapshot.direct = [(direct.provider.name.clone(), Arc::new(direct))].into();
        gateway.published.publish(Arc::new(snapshot));
    };
    publish(provider(&upstream));
    let others = [("authorization", "Bearer sk-other"), ("x-api-key", "sk-other")];
    for other in others {
        for path in [CHAT, "/v1/messages", "/providers/team/openai/files"] {
            let reply = ask(&gateway, path, &[OURS, other]).await;
            assert_eq!(reply.status, StatusCode::UNAUTHORIZED, "{path} {other:?}");
        }
    }
    assert!(upstream.received().is_empty());
    publish(provider_at(realtime.address, Dialect::OpenAi));
    for other in others {
        assert_eq!(open(&gateway, "?model=chat", &[OURS, other]).await.unwrap_err(), 401);
    }
    assert!(realtime.seen.lock().is_empty());
}

#[tokio::test]
async fn a_callers_own_credential_falls_back_to_the_same_service_only() {
    let busy = Upstream::always(whole(503, &[], "busy")).await;
    let (other, same) = (Upstream::always(json(WHOLE)).await, Upstream::always(json(WHOLE)).await);
    let of = |upstream: &Upstream, kind| passing(Provider { kind, ..provider(upstream) });
    let theirs = ("authorization", "Bearer own");
    let targets = [of(&busy, "OpenAI"), of(&other, "Anthropic"), of(&same, "OpenAI")];
    let reply = ask(&Gateway::start([route(targets)]).await, CHAT, &[OURS, theirs]).await;
    assert_eq!((reply.status, same.received().len()), (StatusCode::OK, 1));
    let compatible = "OpenAICompatible";
    let targets = [of(&busy, compatible), of(&other, compatible), provider(&same)];
    let reply = ask(&Gateway::start([route(targets)]).await, CHAT, &[OURS, theirs]).await;
    assert_eq!((reply.status, same.received().len()), (StatusCode::OK, 2));
    assert!(other.received().is_empty());
}

#[tokio::test]
async fn other_providers_never_see_a_callers_own_credential() {
    let upstream = Upstream::always(json(WHOLE)).await;
    let keyed = Provider { credentials: vec![credential("sk-upstream")], ..provider(&upstream) };
    let gateway = Gateway::start([route([keyed])]).await;
    let theirs = ("authorization", "Bearer own");
    assert_eq!(ask(&gateway, CHAT, &[OURS, theirs]).await.status, StatusCode::OK);
    let received = &upstream.received()[0];
    assert_eq!(received.header("authorization"), Some("Bearer sk-upstream"));
    assert!(received.headers.iter().all(|(_, value)| !value.contains("own")));
    // The gateway's key decides who calls, whatever else is there.
    let wrong = ("x-sluice-api-key", "sk-wrong");
    let reply = ask(&gateway, CHAT, &[wrong, ("authorization", "Bearer sk-test")]).await;
    assert_eq!((reply.status, &*reply.code()), (StatusCode::UNAUTHORIZED, "invalid_api_key"));
}

#[tokio::test]
async fn that_the_provider_refuses_the_callers_credential_is_the_callers_business() {
    let refusal = r#"{"error":{"message":"Incorrect API key provided","type":"invalid_request_error","param":null,"code":"invalid_api_key"}}"#;
    let upstream = Upstream::always(whole(401, &[], refusal)).await;
    let gateway = Gateway::start([route([passing(provider(&upstream))])]).await;
    let reply = ask(&gateway, CHAT, &[OURS, ("authorization", "Bearer own")]).await;
    assert_eq!(reply.status, StatusCode::UNAUTHORIZED, "{}", reply.text());
    assert!(reply.text().contains("Incorrect API key provided"), "{}", reply.text());
}

#[tokio::test]
async fn direct_calls_and_sessions_carry_it_too() {
    let upstream = Upstream::always(json("{}")).await;
    let gateway = Gateway::start([]).await;
    let azure = Provider { key_header: KeyHeader::ApiKey, ..provider(&upstream) };
    publish_grant(&gateway, passing(azure));
    let path = "/providers/team/openai/files";
    let reply = ask(&gateway, path, &[OURS, ("api-key", "own")]).await;
    assert_eq!(reply.status, StatusCode::OK, "{}", reply.text());
    let received = &upstream.received()[0];
    assert_eq!((received.header("api-key"), received.header(OURS.0)), (Some("own"), None));
    let reply = ask(&gateway, path, &[OURS]).await;
    assert_eq!(reply.code(), "provider_credential_missing");

    let realtime = Realtime::start().await;
    let target = passing(provider_at(realtime.address, Dialect::OpenAi));
    let gateway = Gateway::start([route([target])]).await;
    assert_eq!(open(&gateway, "?model=chat", &[OURS]).await.unwrap_err(), 401);
    let theirs = ("authorization", "Bearer own");
    drop(open(&gateway, "?model=chat", &[OURS, theirs]).await.unwrap());
    let handshake = realtime.handshake();
    assert_eq!(handshake.headers["authorization"], "Bearer own");
    assert!(!handshake.headers.contains_key(OURS.0));
}
