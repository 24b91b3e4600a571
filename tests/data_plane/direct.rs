//! Direct calls: what passes and what does not, who may, and where.

use std::{sync::Arc, time::Duration};

use http::{Method, StatusCode};
use http_body_util::BodyExt as _;
use sluice::{
    llm::Dialect,
    proxy::Limits,
    snapshot::{Access, Allow, Direct, KeyNamespaces, ObjectName, Provider, Selector, Snapshot},
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
};

use crate::{
    fixture::{Gateway, KEY, Reply, credential, provider, provider_at, snapshot},
    upstream::{self, Gate, Step, Upstream, json, whole},
};

/// What the gateway shows to the provider.
const UPSTREAM_KEY: &str = "sk-upstream-1";

/// A grant of files, batches, threads and everything below `/v1x` to every key.
pub fn grant(provider: Provider) -> Direct {
    let allow = Allow { namespaces: KeyNamespaces::All, labels: Selector::default() };
    let provider = Provider {
        name: ObjectName::new("team", "openai"),
        credentials: vec![credential(UPSTREAM_KEY)],
        ..provider
    };
    Direct {
        provider: Arc::new(provider),
        access: Access { anonymous: false, allow: vec![allow] },
        paths: ["/files", "/batches", "/threads", "/v1x"].map(str::to_owned).into(),
        budgets: Vec::new(),
    }
}

/// A gateway with this grant and no route.
pub async fn gateway(direct: Direct) -> Gateway {
    gateway_with(direct, Limits::default()).await
}

async fn gateway_with(direct: Direct, limits: Limits) -> Gateway {
    let gateway = Gateway::start_with([], limits).await;
    let direct = [(direct.provider.name.clone(), Arc::new(direct))].into();
    gateway.published.publish(Arc::new(Snapshot { direct, ..snapshot([]) }));
    gateway
}

/// Grants the same of a provider that is called as an identity, which has no keys.
pub fn publish_grant(gateway: &Gateway, provider: Provider) {
    let mut direct = grant(provider);
    direct.provider = Arc::new(Provider { credentials: Vec::new(), ..(*direct.provider).clone() });
    let direct = [(direct.provider.name.clone(), Arc::new(direct))].into();
    gateway.published.publish(Arc::new(Snapshot { direct, ..snapshot([]) }));
}

async fn raw(gateway: &Gateway, request: &str) -> String {
    let mut stream = TcpStream::connect(gateway.address).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    answer
}

#[tokio::test]
async fn an_upload_passes_as_it_is_with_the_providers_key() {
    let answer = whole(
        201,
        &[
            ("content-type", "application/json"),
            ("x-request-id", "req-upstream"),
            ("set-cookie", "a=b"),
            ("openai-organization", "org-secret"),
            ("x-kept", "yes"),
        ],
        r#"{"id":"file-1"}"#,
    );
    let upstream = Upstream::always(answer).await;
    let gateway = gateway(grant(provider(&upstream))).await;
    let body = "--b\r\ncontent-disposition: form-data; name=\"file\"\r\n\r\n\u{0}data\r\n--b--";
    let headers = [
        ("authorization", "Bearer sk-test"),
        ("content-type", "multipart/form-data; boundary=b"),
        ("cookie", "session=1"),
        ("x-api-key", "sk-test"),
        ("openai-organization", "org-other"),
        ("x-http-method-override", "DELETE"),
        ("x-forwarded-for", "10.0.0.1"),
        ("openai-beta", "assistants=v2"),
        ("idempotency-key", "i-1"),
    ];
    let path = "/providers/team/openai/files?purpose=batch&key=sk-test&after=a%26b";
    let reply = Reply::read(gateway.send_with(path, &headers, body).await).await;
    assert_eq!((reply.status, reply.text()), (StatusCode::CREATED, r#"{"id":"file-1"}"#));
    assert_eq!(reply.header("x-kept"), "yes");
    assert_eq!(reply.header("x-upstream-request-id"), "req-upstream");
    for gone in ["set-cookie", "openai-organization"] {
        assert!(!reply.headers.contains_key(gone), "{gone}");
    }
    let received = &upstream.received()[0];
    assert_eq!(received.path, "/v1/files?purpose=batch&after=a%26b");
    assert_eq!(received.body, body.as_bytes());
    assert_eq!(received.header("authorization"), Some("Bearer sk-upstream-1"));
    assert_eq!(received.header("content-type"), Some("multipart/form-data; boundary=b"));
    assert_eq!(received.header("openai-beta"), Some("assistants=v2"));
    assert_eq!(received.header("idempotency-key"), Some("i-1"));
    for gone in ["cookie", "x-api-key", "openai-organization", "x-forwarded-for", "connection"] {
        assert_eq!(received.header(gone), None, "{gone}");
    }
    assert_eq!(received.header("x-http-method-override"), None);
    assert!(received.headers.iter().all(|(_, value)| !value.contains(KEY)));
    assert_eq!(gateway.ended("complete"), 1);
}

#[tokio::test]
async fn a_key_in_the_query_is_enough_and_goes_no_further() {
    let upstream = Upstream::always(json("{}")).await;
    let gateway = gateway(grant(provider(&upstream))).await;
    let reply = gateway.get("/providers/team/openai/files?key=sk-test&limit=2", &[]).await;
    assert_eq!(reply.status, StatusCode::OK);
    assert_eq!(upstream.received()[0].path, "/v1/files?limit=2");
}

#[tokio::test]
async fn every_method_passes_but_those_that_repeat_or_tunnel() {
    let upstream = Upstream::always(json("{}")).await;
    let gateway = gateway(grant(provider(&upstream))).await;
    for method in ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"] {
        let method: Method = method.parse().unwrap();
        let reply = gateway.call(method.clone(), "/providers/team/openai/files/f").await;
        assert_eq!(reply.status, StatusCode::OK, "{method}");
    }
    let refused = gateway.call(Method::TRACE, "/providers/team/openai/files/f").await;
    assert_eq!(refused.status, StatusCode::METHOD_NOT_ALLOWED);
    let methods: Vec<_> = upstream.received().into_iter().map(|received| received.method).collect();
    assert_eq!(methods, ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]);
    assert_eq!((gateway.ended("complete"), gateway.ended("refused")), (7, 1));
}

#[tokio::test]
async fn an_upload_is_sent_on_before_it_is_whole_and_may_be_of_any_size() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let provider = provider_at(listener.local_addr().unwrap(), Dialect::OpenAi);
    let limits = Limits { max_body: 10, ..Limits::default() };
    let gateway = gateway_with(grant(provider), limits).await;
    let mut client = TcpStream::connect(gateway.address).await.unwrap();
    let head = format!(
        "POST /providers/team/openai/files HTTP/1.1\r\nhost: a\r\nauthorization: Bearer {KEY}\r\n\
         content-length: 4000006\r\n\r\nbegin!"
    );
    client.write_all(head.as_bytes()).await.unwrap();
    let (mut upstream, _) = listener.accept().await.unwrap();
    let mut seen = Vec::new();
    while !seen.ends_with(b"begin!") {
        assert_ne!(upstream.read_buf(&mut seen).await.unwrap(), 0);
    }
    assert!(String::from_utf8_lossy(&seen).contains("content-length: 4000006"));
    client.write_all(&vec![b'x'; 4_000_000]).await.unwrap();
    let mut rest = vec![0; 4_000_000];
    upstream.read_exact(&mut rest).await.unwrap();
    upstream.write_all(b"HTTP/1.1 204 No Content\r\n\r\n").await.unwrap();
    let mut answer = [0; 12];
    client.read_exact(&mut answer).await.unwrap();
    assert_eq!(&answer, b"HTTP/1.1 204");
    gateway.until_ended("complete").await;
}

#[tokio::test]
async fn a_caller_that_falls_silent_is_told_so() {
    let upstream = Upstream::always(json("{}")).await;
    let limits = Limits { body_idle: Duration::from_millis(30), ..Limits::default() };
    let gateway = gateway_with(grant(provider(&upstream)), limits).await;
    let head = format!(
        "POST /providers/team/openai/files HTTP/1.1\r\nhost: a\r\nauthorization: Bearer {KEY}\r\n\
         content-length: 100\r\n\r\nbegin!"
    );
    assert!(raw(&gateway, &head).await.starts_with("HTTP/1.1 408"));
    assert!(upstream.received().is_empty());
}

#[tokio::test]
async fn a_download_passes_piece_by_piece_and_breaks_where_the_provider_does() {
    let gate = Gate::new();
    let head =
        "HTTP/1.1 200 OK\r\ncontent-type: application/octet-stream\r\ncontent-length: 9\r\n\r\n";
    let script = vec![
        Step::Raw(head.as_bytes().to_vec()),
        Step::Raw(b"one".to_vec()),
        Step::Wait(gate.clone()),
        Step::Raw(b"two".to_vec()),
        Step::Close,
    ];
    let upstream = Upstream::always(script).await;
    let gateway = gateway(grant(provider(&upstream))).await;
    let response = gateway.send("/providers/team/openai/files/f/content", "").await;
    assert_eq!(response.headers()["content-length"], "9");
    let mut body = response.into_body();
    assert_eq!(body.frame().await.unwrap().unwrap().into_data().unwrap(), "one");
    gate.open();
    assert_eq!(body.frame().await.unwrap().unwrap().into_data().unwrap(), "two");
    assert!(body.frame().await.unwrap().is_err());
    gateway.until_ended("incomplete").await;
}

#[tokio::test]
async fn who_has_no_grant_learns_nothing_of_the_provider() {
    let upstream = Upstream::scripted([]).await;
    let mut other = grant(provider(&upstream));
    other.access.allow = vec![Allow {
        namespaces: KeyNamespaces::Of([Arc::from("other")].into()),
        labels: Selector::default(),
    }];
    let gateway = gateway(other).await;
    let call = async |path: &str| gateway.call(Method::GET, path).await;
    let forbidden = call("/providers/team/openai/files").await;
    assert_eq!((forbidden.status.as_u16(), &*forbidden.code()), (404, "provider_not_found"));
    for path in ["/providers/team/absent/files", "/providers/team/openai/nothing", "/providers/"] {
        let absent = call(path).await;
        assert_eq!((absent.status, absent.text()), (forbidden.status, forbidden.text()), "{path}");
    }
    for headers in [&[][..], &[("authorization", "Bearer nope")]] {
        let reply = gateway.get("/providers/team/openai/files", headers).await;
        assert_eq!((reply.status.as_u16(), &*reply.code()), (401, "invalid_api_key"));
    }
    assert!(upstream.received().is_empty());
}

#[tokio::test]
async fn a_provider_without_a_grant_is_not_there() {
    let gateway = Gateway::start([]).await;
    assert_eq!(gateway.call(Method::GET, "/providers/team/openai/files").await.status, 404);
}

#[tokio::test]
async fn paths_outside_of_the_grant_are_refused() {
    let upstream = Upstream::scripted([]).await;
    let gateway = gateway(grant(provider(&upstream))).await;
    for rest in [
        "",
        "/",
        "/filesystem",
        "/models",
        "/Files",
        // Calls of models have a route, whatever is granted.
        "/v1x/chat/completions",
        "/v1x/chat/%63ompletions",
        "/v1x/realtime/client_secrets",
    ] {
        let reply = gateway.call(Method::POST, &format!("/providers/team/openai{rest}")).await;
        assert_eq!((reply.status.as_u16(), &*reply.code()), (403, "path_not_granted"), "{rest}");
    }
    for rest in
        ["/files/../models", "/files/%2e%2e/models", "//files", "/files%2Fx", "/files/..%2f"]
    {
        let head = format!(
            "GET /providers/team/openai{rest} HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\
             authorization: Bearer {KEY}\r\n\r\n"
        );
        let reply = raw(&gateway, &head).await;
        assert!(reply.starts_with("HTTP/1.1 400") && reply.contains("invalid_path"), "{rest}");
    }
    assert!(upstream.received().is_empty());
}

#[tokio::test]
async fn redirects_are_not_followed_and_lead_back_here() {
    let upstream = Upstream::answering(|received| {
        let to = received.header("x-to").unwrap_or_default().to_owned();
        whole(302, &[("location", &to)], "")
    })
    .await;
    let gateway = gateway(grant(provider(&upstream))).await;
    let own = upstream.url("/v1/files/f?x=1");
    for (to, expected) in [
        (&*own, "/providers/team/openai/files/f?x=1"),
        ("/v1/files/f", "/providers/team/openai/files/f"),
        ("https://storage.example.com/f?sig=1", "https://storage.example.com/f?sig=1"),
    ] {
        let key = ("authorization", "Bearer sk-test");
        let reply = gateway.get("/providers/team/openai/files/f", &[key, ("x-to", to)]).await;
        assert_eq!((reply.status.as_u16(), reply.header("location")), (302, expected));
    }
    assert_eq!(upstream.received().len(), 3);
}

#[tokio::test]
async fn errors_pass_without_the_providers_key_and_internal_addresses() {
    let quoted = format!(
        r#"{{"error":{{"message":"no access with {UPSTREAM_KEY} to http://10.0.0.8:9000/x"}}}}"#
    );
    let upstream = Upstream::scripted([
        whole(403, &[("content-type", "application/json")], &quoted),
        whole(401, &[], &quoted),
        vec![Step::Close],
    ])
    .await;
    let gateway = gateway(grant(provider(&upstream))).await;
    let forbidden = gateway.call(Method::GET, "/providers/team/openai/files").await;
    assert_eq!(forbidden.status, StatusCode::FORBIDDEN);
    assert_eq!(forbidden.json()["error"]["message"], "no access with [key] to [address]");
    let refused = gateway.call(Method::GET, "/providers/team/openai/files").await;
    assert_eq!((refused.status.as_u16(), &*refused.code()), (502, "upstream_credential_refused"));
    let closed = gateway.call(Method::GET, "/providers/team/openai/files").await;
    assert_eq!((closed.status.as_u16(), &*closed.code()), (502, "upstream_closed"));
    assert_eq!((gateway.ended("complete"), gateway.ended("failed")), (1, 2));
}

#[tokio::test]
async fn an_encoded_error_does_not_pass() {
    let encoded = [("content-encoding", "gzip")];
    let upstream = Upstream::always(whole(403, &encoded, UPSTREAM_KEY)).await;
    let gateway = gateway(grant(provider(&upstream))).await;
    let reply = gateway.call(Method::GET, "/providers/team/openai/files").await;
    assert_eq!((reply.status.as_u16(), &*reply.code()), (502, "upstream_encoded"));
    assert!(!reply.text().contains(UPSTREAM_KEY), "{}", reply.text());
}

#[tokio::test]
async fn a_length_beside_chunks_does_not_cut_the_answer() {
    let both = [("content-length", "5"), ("transfer-encoding", "chunked")];
    let head = Step::Raw(upstream::head(200, &both));
    let script = vec![head, Step::Chunk(b"all of the answer".to_vec()), Step::End];
    let upstream = Upstream::always(script).await;
    let gateway = gateway(grant(provider(&upstream))).await;
    let request = format!(
        "GET /providers/team/openai/files HTTP/1.1\r\nhost: a\r\nauthorization: Bearer {KEY}\r\n\
         connection: close\r\n\r\n"
    );
    let answer = raw(&gateway, &request).await;
    assert!(!answer.contains("content-length"), "{answer}");
    assert!(answer.contains("all of the answer"), "{answer}");
}

#[tokio::test]
async fn errors_speak_the_providers_dialect() {
    let upstream = Upstream::scripted([]).await;
    let provider = provider_at(upstream.address(), Dialect::Anthropic);
    let gateway = gateway(grant(provider)).await;
    let refused = gateway.call(Method::GET, "/providers/team/openai/models").await;
    assert_eq!(refused.json()["error"]["type"], "permission_error");
    assert_eq!(refused.json()["type"], "error");
}

#[tokio::test]
async fn anthropics_key_and_version_are_sent_as_it_wants_them() {
    let upstream = Upstream::always(json("{}")).await;
    let gateway = gateway(grant(provider_at(upstream.address(), Dialect::Anthropic))).await;
    gateway.call(Method::GET, "/providers/team/openai/files").await;
    let received = &upstream.received()[0];
    assert_eq!(received.header("x-api-key"), Some(UPSTREAM_KEY));
    assert_eq!(received.header("anthropic-version"), Some("2023-06-01"));
    assert_eq!(received.header("authorization"), None);
}
