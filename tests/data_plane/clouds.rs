//! Providers that take access tokens of a cloud, which a scripted server issues: Vertex AI for a
//! service account, Azure for an application of Entra ID.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use http::{Method, StatusCode};
use rcgen::{KeyPair, PKCS_RSA_SHA256};
use serde_json::json;
use sluice::{
    credential::Environment,
    llm::Dialect,
    snapshot::{
        Addressing, AzureIdentity, GcpIdentity, Identity, KeyHeader, Provider, Route, SecretString,
        TargetModel,
    },
};

use crate::{
    direct::publish_grant,
    fixture::{
        ASK, Gateway, STREAM, WHOLE, World, eventually, provider, provider_at, route, targets_of,
    },
    realtime::open,
    realtime_provider::Realtime,
    signed::Moved,
    upstream::{Received, Script, Upstream, json as answering, stream, whole},
};

const GEMINI: &str = r#"{"candidates":[{"content":{"role":"model","parts":[{"text":"Hello"}]},"finishReason":"STOP","index":0}],"usageMetadata":{"promptTokenCount":3,"candidatesTokenCount":4,"totalTokenCount":7},"modelVersion":"gemini"}"#;
const CLAUDE: &str = r#"{"id":"msg_1","type":"message","role":"assistant","model":"claude","content":[{"type":"text","text":"Hello"}],"stop_reason":"end_turn","stop_sequence":null,"usage":{"input_tokens":3,"output_tokens":4}}"#;

/// A token server: tokens are numbered by how many were asked for before.
struct Tokens {
    server: Upstream,
    is_down: Arc<AtomicBool>,
}

impl Tokens {
    async fn start(seconds: u64) -> Self {
        let is_down = Arc::new(AtomicBool::new(false));
        let (down, issued) = (Arc::clone(&is_down), std::sync::atomic::AtomicUsize::new(0));
        let server = Upstream::answering(move |_| {
            if down.load(Ordering::Relaxed) {
                return whole(
                    400,
                    &[],
                    r#"{"error":"invalid_grant","error_description":"secret"}"#,
                );
            }
            let number = issued.fetch_add(1, Ordering::Relaxed);
            let token = format!("token-{number}");
            let body =
                json!({"access_token": token, "expires_in": seconds, "token_type": "Bearer"});
            answering(body.to_string())
        })
        .await;
        Self { server, is_down }
    }

    fn asked(&self) -> usize {
        self.server.received().len()
    }

    /// A service account whose key file names this server.
    fn service_account(&self) -> Identity {
        let file = json!({
            "type": "service_account",
            "private_key_id": "kid-1",
            "private_key": KeyPair::generate_for(&PKCS_RSA_SHA256).unwrap().serialize_pem(),
            "client_email": "sa@p.iam.gserviceaccount.com",
            "token_uri": self.server.url("/token"),
        });
        Identity::Gcp(GcpIdentity::Key(SecretString::new(file.to_string())))
    }

    /// The world of an application of Entra ID.
    fn entra(&self, clock: &Arc<Moved>) -> World {
        let url = self.server.url("");
        let environment =
            Environment::new(move |name| (name == "AZURE_AUTHORITY_HOST").then(|| url.clone()));
        World { environment, clock: clock.clone(), ..World::default() }
    }
}

fn vertex(upstream: &Upstream, identity: Identity) -> Provider {
    Provider {
        addressing: Addressing::Vertex,
        key_header: KeyHeader::XGoogApiKey,
        identity: Some(Arc::new(identity)),
        ..provider_at(upstream.address(), Dialect::Gemini)
    }
}

fn azure(address: std::net::SocketAddr, version: Option<&str>) -> Provider {
    let identity = AzureIdentity::Application {
        tenant: "tenant".into(),
        client: "client".into(),
        secret: Some(SecretString::new("s3cret".into())),
    };
    Provider {
        addressing: Addressing::Azure { version: version.map(Into::into) },
        key_header: KeyHeader::ApiKey,
        identity: Some(Arc::new(Identity::Azure(identity))),
        dialects: &[Dialect::OpenAi, Dialect::Responses],
        ..provider_at(address, Dialect::OpenAi)
    }
}

/// A route whose first target serves this model.
fn serving(providers: impl IntoIterator<Item = Provider>, model: &str) -> Route {
    let mut route = route(providers);
    let mut first = (*route.rules[0].targets[0]).clone();
    first.model = TargetModel::Fixed(model.into());
    targets_of(&mut route)[0] = first.into();
    route
}

/// What Vertex AI answers, which has each publisher in its place; only this token is good.
fn on_vertex(received: &Received, token: &str) -> Script {
    if received.header("authorization") != Some(&format!("Bearer {token}")) {
        return whole(401, &[], r#"{"error":{"code":401,"status":"UNAUTHENTICATED"}}"#);
    }
    match received.path.strip_prefix("/v1/publishers/") {
        Some("google/models/gemini-x:generateContent") => answering(GEMINI),
        Some("google/models/gemini-x:streamGenerateContent?alt=sse") => stream([GEMINI]),
        Some("anthropic/models/claude-x:rawPredict")
            if received.json()["anthropic_version"] == "vertex-2023-10-16" =>
        {
            answering(CLAUDE)
        }
        _ => whole(404, &[], &received.path),
    }
}

#[tokio::test]
async fn a_service_accounts_token_serves_gemini_and_claude_and_is_asked_for_once() {
    let tokens = Tokens::start(3599).await;
    let upstream = Upstream::answering(|received| on_vertex(received, "token-0")).await;
    let identity = tokens.service_account();
    let mut claude = serving([vertex(&upstream, identity.clone())], "claude-x");
    claude.models = vec![sluice::snapshot::Pattern::Exact("claude".into())];
    claude.uid = "claude".into();
    let gateway =
        Gateway::start([serving([vertex(&upstream, identity)], "gemini-x"), claude]).await;
    for ask in [ASK.to_owned(), ASK.replace("chat", "claude"), ASK.to_owned()] {
        let reply = gateway.chat(ask).await;
        assert_eq!(reply.status, StatusCode::OK, "{}", reply.text());
        assert_eq!(reply.json()["choices"][0]["message"]["content"], "Hello");
    }
    let reply = gateway.chat(STREAM).await;
    assert!(reply.text().ends_with("data: [DONE]\n\n"), "{}", reply.text());
    assert_eq!(tokens.asked(), 1);
    assert!(upstream.received().iter().all(|sent| sent.header("x-goog-api-key").is_none()));
}

#[tokio::test]
async fn a_token_is_renewed_before_it_ends_and_while_it_still_serves() {
    let tokens = Tokens::start(3600).await;
    let upstream = Upstream::always(answering(GEMINI)).await;
    let clock = Moved::new();
    let world = World { clock: clock.clone(), ..World::default() };
    let route = serving([vertex(&upstream, tokens.service_account())], "gemini-x");
    let gateway = Gateway::start_in(world, [route]).await;
    gateway.chat(ASK).await;
    clock.by(3600 - 120);
    gateway.chat(ASK).await;
    eventually(|| tokens.asked() == 2).await;
    clock.by(600);
    for _ in 0..200 {
        gateway.chat(ASK).await;
        if upstream.received().last().unwrap().header("authorization") == Some("Bearer token-1") {
            break;
        }
    }
    let carried: Vec<_> = upstream
        .received()
        .iter()
        .map(|sent| sent.header("authorization").unwrap().to_owned())
        .collect();
    assert_eq!(carried[..2], ["Bearer token-0", "Bearer token-0"]);
    assert_eq!(carried.last().unwrap(), "Bearer token-1");
    assert_eq!(tokens.asked(), 2);
}

#[tokio::test]
async fn a_token_server_that_refuses_is_a_named_error_and_the_next_target_answers() {
    let tokens = Tokens::start(3600).await;
    tokens.is_down.store(true, Ordering::Relaxed);
    let upstream = Upstream::always(answering(GEMINI)).await;
    let other = Upstream::always(answering(WHOLE)).await;
    let clock = Moved::new();
    let world = || World { clock: clock.clone(), ..World::default() };
    let identity = tokens.service_account();
    let alone = [serving([vertex(&upstream, identity.clone())], "gemini-x")];
    let alone = Gateway::start_in(world(), alone).await;
    let reply = alone.chat(ASK).await;
    assert_eq!(reply.status, StatusCode::BAD_GATEWAY);
    assert_eq!(reply.code(), "upstream_credentials_unavailable");
    assert!(!reply.text().contains("secret"), "{}", reply.text());
    let targets = [vertex(&upstream, identity), provider(&other)];
    let both = Gateway::start_in(world(), [serving(targets, "gemini-x")]).await;
    let reply = both.chat(ASK).await;
    assert_eq!((reply.text(), reply.header("x-sluice-attempts")), (WHOLE, "2"));
    assert!(upstream.received().is_empty());
    tokens.is_down.store(false, Ordering::Relaxed);
    clock.by(10);
    assert_eq!(alone.chat(ASK).await.status, StatusCode::OK);
}

#[tokio::test]
async fn a_token_that_was_withdrawn_is_asked_for_again() {
    let tokens = Tokens::start(3600).await;
    let upstream = Upstream::answering(|received| on_vertex(received, "token-1")).await;
    let clock = Moved::new();
    let world = World { clock: clock.clone(), ..World::default() };
    let route = serving([vertex(&upstream, tokens.service_account())], "gemini-x");
    let gateway = Gateway::start_in(world, [route]).await;
    // A brand-new one is not doubted, or else a wrong role would ask the token server all the time.
    assert_eq!(gateway.chat(ASK).await.status, StatusCode::BAD_GATEWAY);
    assert_eq!(gateway.chat(ASK).await.status, StatusCode::BAD_GATEWAY);
    assert_eq!(tokens.asked(), 1);
    clock.by(120);
    assert_eq!(gateway.chat(ASK).await.status, StatusCode::BAD_GATEWAY);
    assert_eq!(gateway.chat(ASK).await.status, StatusCode::OK);
    assert_eq!(tokens.asked(), 2);
}

#[tokio::test]
async fn azure_takes_a_token_of_entra_id_for_both_of_its_dialects() {
    let tokens = Tokens::start(3600).await;
    let clock = Moved::new();
    for (version, chat, responses) in [
        (None, "/v1/openai/v1/chat/completions", "/v1/openai/v1/responses"),
        (
            Some("2025-04-01-preview"),
            "/v1/openai/deployments/m/chat/completions?api-version=2025-04-01-preview",
            "/v1/openai/responses?api-version=2025-04-01-preview",
        ),
    ] {
        let upstream = Upstream::always(answering(WHOLE)).await;
        let route = route([azure(upstream.address(), version)]);
        let gateway = Gateway::start_in(tokens.entra(&clock), [route]).await;
        assert_eq!(gateway.chat(ASK).await.status, StatusCode::OK);
        let ask = r#"{"model":"chat","input":"Hi","previous_response_id":"resp_1"}"#;
        assert_eq!(gateway.ask("/v1/responses", ask).await.status, StatusCode::OK);
        let received = upstream.received();
        assert_eq!([&*received[0].path, &received[1].path], [chat, responses]);
        assert_eq!(received[1].json()["model"], "m");
        for sent in received {
            assert!(sent.header("authorization").unwrap().starts_with("Bearer token-"));
            assert_eq!(sent.header("api-key"), None);
        }
    }
    let asked = &tokens.server.received()[0];
    assert_eq!(asked.path, "/tenant/oauth2/v2.0/token");
    let form = String::from_utf8_lossy(&asked.body).into_owned();
    assert!(form.contains("client_secret=s3cret"), "{form}");
}

#[tokio::test]
async fn direct_calls_carry_a_token_and_stream_their_body() {
    let tokens = Tokens::start(3600).await;
    let upstream = Upstream::always(answering(r#"{"id":"file-1"}"#)).await;
    let gateway = Gateway::start_in(tokens.entra(&Moved::new()), []).await;
    publish_grant(&gateway, azure(upstream.address(), None));
    let path = "/providers/team/openai/files";
    for _ in 0..2 {
        assert_eq!(gateway.ask(path, "data").await.status, StatusCode::OK);
    }
    assert_eq!(gateway.call(Method::GET, path).await.status, StatusCode::OK);
    for sent in upstream.received() {
        assert_eq!(sent.header("authorization"), Some("Bearer token-0"));
        assert_eq!(sent.header("api-key"), None);
    }
    assert_eq!(tokens.asked(), 1);
}

#[tokio::test]
async fn a_direct_call_without_a_token_is_a_named_error() {
    let tokens = Tokens::start(3600).await;
    tokens.is_down.store(true, Ordering::Relaxed);
    let upstream = Upstream::always(answering("{}")).await;
    let gateway = Gateway::start_in(tokens.entra(&Moved::new()), []).await;
    publish_grant(&gateway, azure(upstream.address(), None));
    let reply = gateway.ask("/providers/team/openai/files", "data").await;
    assert_eq!(reply.status, StatusCode::BAD_GATEWAY);
    assert_eq!(reply.code(), "upstream_credentials_unavailable");
    assert!(upstream.received().is_empty());
}

#[tokio::test]
async fn a_realtime_session_of_azure_carries_a_token_and_is_where_azure_has_it() {
    let tokens = Tokens::start(3600).await;
    for (version, uri) in [
        (None, "/v1/openai/v1/realtime?model=m"),
        (
            Some("2025-04-01-preview"),
            "/v1/openai/realtime?api-version=2025-04-01-preview&deployment=m",
        ),
    ] {
        let realtime = Realtime::start().await;
        let route = route([azure(realtime.address, version)]);
        let gateway = Gateway::start_in(tokens.entra(&Moved::new()), [route]).await;
        let key = ("authorization", "Bearer sk-test");
        drop(open(&gateway, "?model=chat", &[key]).await.unwrap());
        let handshake = realtime.handshake();
        assert_eq!(handshake.uri, uri);
        let carried = handshake.headers["authorization"].to_str().unwrap();
        assert!(carried.starts_with("Bearer token-"), "{carried}");
        assert!(!handshake.headers.contains_key("api-key"));
    }
}

#[tokio::test]
async fn a_session_without_a_token_goes_to_the_next_target() {
    let tokens = Tokens::start(3600).await;
    tokens.is_down.store(true, Ordering::Relaxed);
    let (silent, realtime) = (Realtime::start().await, Realtime::start().await);
    let targets = [azure(silent.address, None), provider_at(realtime.address, Dialect::OpenAi)];
    let gateway = Gateway::start_in(tokens.entra(&Moved::new()), [route(targets)]).await;
    let key = ("authorization", "Bearer sk-test");
    drop(open(&gateway, "?model=chat", &[key]).await.unwrap());
    assert_eq!((silent.seen.lock().len(), realtime.seen.lock().len()), (0, 1));
}

#[tokio::test]
async fn a_token_that_the_provider_quotes_is_told_to_nobody() {
    let tokens = Tokens::start(3600).await;
    let quoting = r#"{"error":{"code":400,"message":"bad token-0","status":"INVALID_ARGUMENT"}}"#;
    let upstream = Upstream::always(whole(400, &[], quoting)).await;
    let route = serving([vertex(&upstream, tokens.service_account())], "gemini-x");
    let gateway = Gateway::start([route]).await;
    for ask in [ASK, STREAM] {
        let reply = gateway.chat(ask).await;
        assert_eq!(reply.status, StatusCode::BAD_REQUEST);
        assert!(reply.text().contains("bad [key]"), "{}", reply.text());
    }
}
