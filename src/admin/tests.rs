//! What the admin port says, and to whom.

use std::{
    net::SocketAddr,
    sync::{Arc, atomic::AtomicBool},
};

use http::{Method, Request, StatusCode};
use http_body_util::BodyExt as _;

use super::Admin;
use crate::{
    compile::Inputs,
    llm::Dialect,
    proxy::server::DrainSignal,
    snapshot::{
        Consumer, Credential, Endpoint, KeyDigest, ObjectName, Provider, Published, SecretString,
        Snapshot,
    },
    source::Current,
};

fn admin(token: Option<&str>) -> Admin {
    Admin {
        published: Arc::new(Published::default()),
        current: Current::new(Inputs::default()),
        live: Arc::new(AtomicBool::new(false)),
        drain: DrainSignal::new(),
        registry: prometheus::Registry::new(),
        pipeline: None,
        usage: Arc::new(crate::usage::Rollup::new(jiff::Timestamp::now())),
        replica: "sluice-0".into(),
        token: token.map(|token| SecretString::new(token.to_owned())),
    }
}

fn get(admin: &Admin, path: &str, peer: &str, token: Option<&str>) -> StatusCode {
    let mut request = Request::get(path);
    if let Some(token) = token {
        request = request.header("authorization", format!("Bearer {token}"));
    }
    let peer: SocketAddr = peer.parse().unwrap();
    admin.respond(&request.body(()).unwrap(), peer).status()
}

const LOCAL: &str = "127.0.0.1:1";
const REMOTE: &str = "10.0.0.9:1";

#[test]
fn ready_only_between_the_first_snapshot_and_the_shutdown() {
    let admin = admin(None);
    assert_eq!(get(&admin, "/readyz", LOCAL, None), StatusCode::SERVICE_UNAVAILABLE);
    admin.current.mark_synced();
    assert_eq!(get(&admin, "/readyz", LOCAL, None), StatusCode::SERVICE_UNAVAILABLE);
    admin.live.store(true, std::sync::atomic::Ordering::Relaxed);
    assert_eq!(get(&admin, "/readyz", LOCAL, None), StatusCode::OK);
    admin.drain.begin();
    assert_eq!(get(&admin, "/readyz", LOCAL, None), StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(get(&admin, "/healthz", LOCAL, None), StatusCode::OK);
}

#[test]
fn configuration_is_shown_on_loopback_or_to_the_token() {
    let open = admin(None);
    assert_eq!(get(&open, "/debug/config", LOCAL, None), StatusCode::OK);
    assert_eq!(get(&open, "/debug/config", REMOTE, None), StatusCode::FORBIDDEN);
    assert_eq!(get(&open, "/api/targets", REMOTE, None), StatusCode::FORBIDDEN);
    assert_eq!(get(&open, "/api/usage?by=team", LOCAL, None), StatusCode::OK);
    assert_eq!(get(&open, "/api/usage", REMOTE, None), StatusCode::FORBIDDEN);
    let guarded = admin(Some("t0ken"));
    assert_eq!(get(&guarded, "/debug/config", REMOTE, Some("t0ken")), StatusCode::OK);
    assert_eq!(get(&guarded, "/debug/config", REMOTE, Some("t0ke")), StatusCode::FORBIDDEN);
    assert_eq!(get(&guarded, "/api/usage", REMOTE, Some("t0ken")), StatusCode::OK);
    assert_eq!(get(&guarded, "/api/usage", LOCAL, None), StatusCode::FORBIDDEN);
    assert_eq!(get(&guarded, "/debug/config", LOCAL, None), StatusCode::FORBIDDEN);
}

/// A provider with a key and a header, and a consumer.
pub fn snapshot() -> Snapshot {
    let provider = Provider {
        name: ObjectName::new("team", "openai"),
        uid: "uid".into(),
        kind: "OpenAI",
        dialects: &[Dialect::OpenAi],
        quirks: crate::llm::Quirks::NONE,
        addressing: Default::default(),
        key_header: Default::default(),
        identity: None,
        probe: None,
        backends: None,
        endpoint: Endpoint::Mock,
        credentials: vec![Credential {
            source: "openai/api-key".into(),
            key: SecretString::new("sk-upstream".into()),
            weight: 1,
        }],
        headers: vec![("x-org".parse().unwrap(), "hidden-value".parse().unwrap())],
        models: Default::default(),
        prices: Vec::new(),
        connect_timeout: std::time::Duration::from_secs(5),
        limits: Default::default(),
        ejection: Default::default(),
    };
    let consumer = Consumer {
        name: ObjectName::new("team", "caller"),
        labels: Default::default(),
        app: None,
        team: None,
        environment: None,
        expires: None,
    };
    let mut snapshot = Snapshot::default();
    snapshot.consumers.insert(KeyDigest::of(b"sk-caller"), consumer).unwrap();
    snapshot.providers.insert(provider.name.clone(), Arc::new(provider));
    snapshot
}

#[tokio::test]
async fn the_configuration_shows_no_key_no_header_value_and_no_digest() {
    let admin = admin(None);
    admin.published.publish(Arc::new(snapshot()));
    let request = Request::get("/debug/config").body(()).unwrap();
    let response = admin.respond(&request, LOCAL.parse().unwrap());
    let body = response.into_body().collect().await.unwrap().to_bytes();
    let text = String::from_utf8_lossy(&body);
    for shown in ["team/openai", "openai/api-key", "x-org", "team/caller"] {
        assert!(text.contains(shown), "{shown}: {text}");
    }
    let digest = KeyDigest::of(b"sk-caller").to_hex();
    for hidden in ["sk-upstream", "sk-caller", "hidden-value", digest.as_str()] {
        assert!(!text.contains(hidden), "{hidden}: {text}");
    }
}

#[test]
fn nothing_can_be_changed() {
    let request = Request::builder().method(Method::POST).uri("/healthz").body(()).unwrap();
    let status = admin(None).respond(&request, LOCAL.parse().unwrap()).status();
    assert_eq!(status, StatusCode::METHOD_NOT_ALLOWED);
}

#[tokio::test]
async fn unknown_paths_name_the_known_ones() {
    let request = Request::get("/health").body(()).unwrap();
    let response = admin(None).respond(&request, LOCAL.parse().unwrap());
    assert_eq!(response.status(), StatusCode::NOT_FOUND);
    let body = response.into_body().collect().await.unwrap().to_bytes();
    assert!(String::from_utf8_lossy(&body).contains("/healthz"));
}
