//! Realtime sessions through a real WebSocket client and server: the handshake, the bytes, and what
//! ends a session.

use std::{sync::Arc, time::Duration};

use futures_util::{SinkExt as _, StreamExt as _};
use http::{Request, StatusCode};
use sluice::{
    budget::{Unit, Window},
    llm::Dialect,
    proxy::Limits,
    snapshot::{Provider, Route},
};
use tokio::net::TcpStream;
use tokio_tungstenite::{
    WebSocketStream, client_async,
    tungstenite::{
        Error, Message,
        handshake::client::generate_key,
        protocol::{CloseFrame, frame::coding::CloseCode},
    },
};

use crate::{
    fixture::{Gateway, KEY, budget, credential, eventually, provider_at, route},
    realtime_provider::{Realtime, event},
    upstream::{Upstream, whole},
};

type Socket = WebSocketStream<TcpStream>;

/// A route to a provider of sessions that needs a key.
fn served(realtime: &Realtime) -> Route {
    let provider = provider_at(realtime.address, Dialect::OpenAi);
    route([Provider { credentials: vec![credential("sk-upstream")], ..provider }])
}

/// Opens a session with these headers, or an HTTP error.
pub async fn open(gateway: &Gateway, query: &str, headers: &[(&str, &str)]) -> Result<Socket, u16> {
    let mut request = Request::get(format!("ws://{}/v1/realtime{query}", gateway.address))
        .header("host", gateway.address.to_string())
        .header("connection", "Upgrade")
        .header("upgrade", "websocket")
        .header("sec-websocket-version", "13")
        .header("sec-websocket-key", generate_key());
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let stream = TcpStream::connect(gateway.address).await.unwrap();
    match client_async(request.body(()).unwrap(), stream).await {
        Ok((socket, _)) => Ok(socket),
        Err(Error::Http(response)) => Err(response.status().as_u16()),
        Err(error) => panic!("{error}"),
    }
}

/// Opens a session with the key.
async fn session(gateway: &Gateway) -> Socket {
    open(gateway, "?model=chat", &[("authorization", "Bearer sk-test")]).await.unwrap()
}

/// The text of the next message.
async fn text(socket: &mut Socket) -> String {
    loop {
        match socket.next().await.unwrap().unwrap() {
            Message::Text(text) => return text.to_string(),
            Message::Close(close) => panic!("closed: {close:?}"),
            _ => {}
        }
    }
}

/// What the session was closed with, and the texts before.
async fn closed(socket: &mut Socket) -> (Vec<String>, Option<CloseFrame>) {
    let mut texts = Vec::new();
    while let Some(message) = socket.next().await {
        match message {
            Ok(Message::Text(text)) => texts.push(text.to_string()),
            Ok(Message::Close(close)) => return (texts, close),
            Ok(_) => {}
            Err(_) => break,
        }
    }
    (texts, None)
}

async fn says(socket: &mut Socket, text: &str) {
    socket.send(Message::text(text)).await.unwrap();
}

#[tokio::test]
async fn a_session_reaches_the_provider_with_its_model_and_key() {
    let realtime = Realtime::start().await;
    let gateway = Gateway::start([served(&realtime)]).await;
    let headers = [
        ("sec-websocket-protocol", "realtime, openai-insecure-api-key.sk-test"),
        ("sec-websocket-extensions", "permessage-deflate"),
        ("cookie", "session=1"),
        ("openai-beta", "realtime=v1"),
    ];
    let query = "?model=chat&model=other&call_id=c-1&key=sk-test";
    let mut socket = open(&gateway, query, &headers).await.unwrap();
    says(&mut socket, &event("hello")).await;
    assert_eq!(text(&mut socket).await, event("hello"));
    socket.close(None).await.unwrap();
    gateway.until_ended("complete").await;
    let handshake = realtime.handshake();
    assert_eq!(handshake.uri, "/v1/realtime?model=m");
    assert_eq!(handshake.headers["authorization"], "Bearer sk-upstream");
    assert_eq!(handshake.headers["sec-websocket-protocol"], "realtime");
    assert_eq!(handshake.headers["openai-beta"], "realtime=v1");
    for gone in ["sec-websocket-extensions", "cookie"] {
        assert!(!handshake.headers.contains_key(gone), "{gone}");
    }
    assert!(handshake.headers.values().all(|value| !value.to_str().unwrap().contains(KEY)));
}

#[tokio::test]
async fn messages_of_any_size_pass_both_ways() {
    let realtime = Realtime::start().await;
    let gateway = Gateway::start([served(&realtime)]).await;
    let mut socket = session(&gateway).await;
    for size in [2, 3, 125, 126, 65_535, 65_536, 3_000_000] {
        let sent = Message::text("{}".to_owned() + &" ".repeat(size - 2));
        socket.send(sent.clone()).await.unwrap();
        assert!(socket.next().await.unwrap().unwrap() == sent, "{size} bytes");
    }
}

#[tokio::test]
async fn responses_are_counted_as_they_end() {
    let realtime = Realtime::start().await;
    let budget = budget(Unit::Usd, 20_000_000);
    let mut route = served(&realtime);
    route.budgets = vec![budget.clone()];
    let gateway = Gateway::start([route]).await;
    let mut socket = session(&gateway).await;
    for count in 1..=3 {
        says(&mut socket, &event("respond")).await;
        while !text(&mut socket).await.contains("response.done") {}
        // 30 tokens at one dollar a million.
        eventually(|| gateway.used(&budget).0 == count * 30_000).await;
    }
    assert_eq!(gateway.permits.used(), 1);
    socket.close(None).await.unwrap();
    gateway.until_ended("complete").await;
    assert_eq!(gateway.used(&budget), (90_000, 0));
    eventually(|| gateway.permits.used() == 0).await;
}

#[tokio::test]
async fn a_budget_that_is_used_up_ends_the_session_and_says_why() {
    let realtime = Realtime::start().await;
    let budget = budget(Unit::Requests, 2);
    let mut route = served(&realtime);
    route.budgets = vec![budget.clone()];
    let gateway = Gateway::start([route]).await;
    let mut socket = session(&gateway).await;
    says(&mut socket, &event("respond")).await;
    while !text(&mut socket).await.contains("response.done") {}
    says(&mut socket, &event("respond")).await;
    let (texts, close) = closed(&mut socket).await;
    assert!(texts.iter().any(|text| text.contains("response.done")), "{texts:?}");
    let error: serde_json::Value = serde_json::from_str(texts.last().unwrap()).unwrap();
    assert_eq!(
        (&error["type"], &error["error"]["code"]),
        (&"error".into(), &"budget_exceeded".into())
    );
    let close = close.unwrap();
    assert_eq!(close.code, CloseCode::Policy);
    assert!(close.reason.contains("team/small"), "{}", close.reason);
    gateway.until_ended("incomplete").await;
    assert_eq!(gateway.used(&budget), (2, 0));
    let refused = open(&gateway, "?model=chat", &[("authorization", "Bearer sk-test")]).await;
    assert_eq!(refused.unwrap_err(), 429);
    assert_eq!(realtime.seen.lock().len(), 1);
}

#[tokio::test]
async fn a_session_cannot_change_its_model() {
    let realtime = Realtime::start().await;
    let gateway = Gateway::start([served(&realtime)]).await;
    for (message, code) in [
        (r#"{"type":"session.update","session":{"model":"dear"}}"#, CloseCode::Policy),
        ("{not json", CloseCode::Invalid),
    ] {
        let mut socket = session(&gateway).await;
        says(&mut socket, r#"{"type":"session.update","session":{"model":"m"}}"#).await;
        assert!(text(&mut socket).await.contains("session.update"));
        says(&mut socket, message).await;
        // The provider would have sent it back.
        let (texts, close) = closed(&mut socket).await;
        assert_eq!((texts.len(), close.unwrap().code), (0, code));
    }
}

#[tokio::test]
async fn nothing_of_a_refused_message_reaches_the_provider() {
    let realtime = Realtime::start().await;
    let gateway = Gateway::start([served(&realtime)]).await;
    let other = r#"{"type":"response.create","response":{"model":"dear"}}"#;
    let long = format!(r#"{{"a":"{}","model":"dear"}}"#, "x".repeat(1 << 20));
    let twice = r#"{"response":{"model":"m","model":"dear"}}"#;
    for message in [other, &long, twice, "{not json"].map(Message::text) {
        let mut socket = session(&gateway).await;
        socket.send(message).await.unwrap();
        assert!(closed(&mut socket).await.1.is_some());
        let received = || std::mem::take(&mut *realtime.received.lock());
        eventually(|| realtime.received.lock().last().is_some_and(Message::is_close)).await;
        assert_eq!(received().len(), 1, "the close frame alone");
    }
}

#[tokio::test]
async fn a_caller_that_vanishes_within_a_response_is_charged_what_was_delivered() {
    let realtime = Realtime::start().await;
    let budget = budget(Unit::Tokens, 20_000);
    let mut route = served(&realtime);
    route.budgets = vec![budget.clone()];
    let gateway = Gateway::start([route]).await;
    let mut socket = session(&gateway).await;
    says(&mut socket, &event("begin")).await;
    while !text(&mut socket).await.contains("delta") {}
    drop(socket);
    gateway.until_ended("client_gone").await;
    assert_eq!(gateway.used(&budget), (10, 0));
    eventually(|| gateway.permits.used() == 0).await;
}

#[tokio::test]
async fn a_session_holds_one_place_from_its_begin_to_its_end() {
    let realtime = Realtime::start().await;
    let mut places = (*budget(Unit::Requests, 1)).clone();
    let mut plan = (*places.plan).clone();
    plan.limits[0].unit = Unit::Concurrent;
    plan.limits[0].window = Window::Present;
    places.plan = Arc::new(plan);
    let mut route = served(&realtime);
    route.budgets = vec![Arc::new(places.clone())];
    let gateway = Gateway::start([route]).await;
    let mut socket = session(&gateway).await;
    for _ in 0..2 {
        says(&mut socket, &event("respond")).await;
        while !text(&mut socket).await.contains("response.done") {}
        // Between two responses it is the session's still.
        assert_eq!(gateway.used(&places), (1, 0));
        let refused = open(&gateway, "?model=chat", &[("authorization", "Bearer sk-test")]).await;
        assert_eq!(refused.unwrap_err(), 429);
    }
    socket.close(None).await.unwrap();
    eventually(|| gateway.used(&places) == (0, 0)).await;
    session(&gateway).await;
}

#[tokio::test]
async fn who_may_not_ask_for_the_model_gets_no_session() {
    let realtime = Realtime::start().await;
    let gateway = Gateway::start([served(&realtime)]).await;
    let key = ("authorization", "Bearer sk-test");
    for (query, headers, status) in [
        ("?model=chat", &[][..], 401),
        ("?model=chat", &[("sec-websocket-protocol", "openai-insecure-api-key.nope")], 401),
        ("?model=chat", &[("x-api-key", "nope")], 401),
        ("?model=other", &[key], 404),
        ("", &[key], 400),
    ] {
        assert_eq!(
            open(&gateway, query, headers).await.unwrap_err(),
            status,
            "{query} {headers:?}"
        );
    }
    let plain = gateway.get("/v1/realtime?model=chat", &[key]).await;
    assert_eq!((plain.status, &*plain.code()), (StatusCode::UPGRADE_REQUIRED, "upgrade_required"));
    assert!(realtime.seen.lock().is_empty());
    assert_eq!(gateway.ended("refused"), 6);
}

#[tokio::test]
async fn a_target_that_opens_no_session_gives_way_to_the_next() {
    let busy = Upstream::always(whole(503, &[], "busy")).await;
    let realtime = Realtime::start().await;
    let providers = [busy.address(), realtime.address].map(|at| provider_at(at, Dialect::OpenAi));
    let gateway = Gateway::start([route(providers)]).await;
    let mut socket = session(&gateway).await;
    says(&mut socket, &event("hello")).await;
    assert_eq!(text(&mut socket).await, event("hello"));
    assert_eq!(busy.received().len(), 1);
}

#[tokio::test]
async fn a_refusal_of_the_provider_is_told_without_its_key() {
    let upstream = Upstream::always(whole(401, &[], "bad key sk-upstream")).await;
    let provider = provider_at(upstream.address(), Dialect::OpenAi);
    let route = route([Provider { credentials: vec![credential("sk-upstream")], ..provider }]);
    let gateway = Gateway::start([route]).await;
    let refused = open(&gateway, "?model=chat", &[("authorization", "Bearer sk-test")]).await;
    assert_eq!(refused.unwrap_err(), 502);
    assert_eq!(gateway.ended("failed"), 1);
}

#[tokio::test]
async fn other_dialects_have_no_sessions() {
    let upstream = Upstream::scripted([]).await;
    let gateway =
        Gateway::start([route([provider_at(upstream.address(), Dialect::Anthropic)])]).await;
    let refused = open(&gateway, "?model=chat", &[("authorization", "Bearer sk-test")]).await;
    assert_eq!(refused.unwrap_err(), 400);
}

#[tokio::test]
async fn a_provider_that_vanishes_is_told_in_the_close_frame() {
    let realtime = Realtime::start().await;
    let gateway = Gateway::start([served(&realtime)]).await;
    let mut socket = session(&gateway).await;
    says(&mut socket, &event("vanish")).await;
    assert_eq!(closed(&mut socket).await.1.unwrap().code, CloseCode::Error);
    gateway.until_ended("incomplete").await;
}

#[tokio::test]
async fn an_idle_session_is_closed() {
    let realtime = Realtime::start().await;
    let limits = Limits { realtime_idle: Duration::from_millis(30), ..Limits::default() };
    let gateway = Gateway::start_with([served(&realtime)], limits).await;
    let mut socket = session(&gateway).await;
    let close = closed(&mut socket).await.1.unwrap();
    assert_eq!(
        (close.code, &*close.reason),
        (CloseCode::Away, "the session was idle for too long")
    );
}

#[tokio::test]
async fn a_shutdown_closes_idle_sessions_and_lets_a_response_end() {
    let realtime = Realtime::start().await;
    let gateway = Arc::new(Gateway::start([served(&realtime)]).await);
    let (mut idle, mut busy) = (session(&gateway).await, session(&gateway).await);
    says(&mut idle, &event("hello")).await;
    assert_eq!(text(&mut idle).await, event("hello"));
    says(&mut busy, &event("begin")).await;
    while !text(&mut busy).await.contains("delta") {}
    gateway.shut_down();
    let close = closed(&mut idle).await.1.unwrap();
    assert_eq!(close.code, CloseCode::Away);
    says(&mut busy, &event("finish")).await;
    let (texts, close) = closed(&mut busy).await;
    assert!(texts.last().unwrap().contains("response.done"));
    assert_eq!(close.unwrap().code, CloseCode::Away);
    eventually(|| gateway.permits.used() == 0).await;
}

#[tokio::test]
async fn an_expired_drain_ends_a_response_too() {
    let realtime = Realtime::start().await;
    let gateway = Gateway::start([served(&realtime)]).await;
    let mut socket = session(&gateway).await;
    says(&mut socket, &event("begin")).await;
    while !text(&mut socket).await.contains("delta") {}
    gateway.drain.expire();
    assert_eq!(closed(&mut socket).await.1.unwrap().code, CloseCode::Away);
}
