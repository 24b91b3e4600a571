//! Keeping: early renewal, one fetch at a time, failures.

use super::*;
use crate::snapshot::{AzureIdentity, Identity};
use std::time::Duration;

fn identity(tenant: &str) -> Arc<Identity> {
    Arc::new(Identity::Azure(AzureIdentity::Application {
        tenant: tenant.into(),
        client: "client".into(),
        secret: Some(secret("s3cret")),
    }))
}

async fn bearer_of(credentials: &Credentials, identity: &Arc<Identity>) -> String {
    carried(credentials, identity, "authorization").await.unwrap()
}

#[tokio::test]
async fn a_token_is_kept_and_renewed_minutes_early_without_a_wait() {
    let server = Server::start(|_, before| token(before, 3600)).await;
    let (credentials, clock) = credentials(&[("AZURE_AUTHORITY_HOST", &server.url("/"))]);
    let identity = identity("t");
    for _ in 0..3 {
        assert_eq!(bearer_of(&credentials, &identity).await, "Bearer token-0");
    }
    clock.advance(Duration::from_secs(3600 - 301));
    assert_eq!(bearer_of(&credentials, &identity).await, "Bearer token-0");
    assert_eq!(server.asked().len(), 1);
    clock.advance(Duration::from_secs(2));
    // The request that finds it due is served with the old one.
    assert_eq!(bearer_of(&credentials, &identity).await, "Bearer token-0");
    while bearer_of(&credentials, &identity).await != "Bearer token-1" {
        tokio::task::yield_now().await;
    }
    assert_eq!(server.asked().len(), 2);
}

#[tokio::test]
async fn requests_that_come_at_once_cause_one_fetch() {
    let server = Server::start(|_, before| token(before, 3600)).await;
    let (credentials, _) = credentials(&[("AZURE_AUTHORITY_HOST", &server.url("/"))]);
    let (one, other) = (identity("one"), identity("other"));
    let all = (0..20).map(|_| bearer_of(&credentials, &one));
    let all = futures_util::future::join_all(all).await;
    assert!(all.iter().all(|token| token == "Bearer token-0"), "{all:?}");
    assert_eq!(bearer_of(&credentials, &other).await, "Bearer token-1");
    assert_eq!(server.asked().len(), 2);
}

#[tokio::test]
async fn after_a_failure_nobody_asks_for_a_moment_and_what_is_valid_serves_on() {
    let server = Server::start(|_, before| match before {
        1 | 2 => text(400, r#"{"error":"invalid_client","error_description":"s3cret is wrong"}"#),
        _ => token(before, 3600),
    })
    .await;
    let (credentials, clock) = credentials(&[("AZURE_AUTHORITY_HOST", &server.url("/"))]);
    let identity = identity("t");
    assert_eq!(bearer_of(&credentials, &identity).await, "Bearer token-0");
    clock.advance(Duration::from_secs(3400));
    assert_eq!(bearer_of(&credentials, &identity).await, "Bearer token-0");
    while server.asked().len() < 2 {
        tokio::task::yield_now().await;
    }
    credentials.slot(&identity).idle().await;
    assert_eq!(bearer_of(&credentials, &identity).await, "Bearer token-0");
    clock.advance(Duration::from_secs(195));
    let failures = (0..5).map(|_| carried(&credentials, &identity, "authorization"));
    for failure in futures_util::future::join_all(failures).await {
        let said = failure.unwrap_err().to_string();
        assert_eq!(said, "Microsoft Entra ID answered HTTP 400 (invalid_client)");
    }
    assert_eq!(server.asked().len(), 3);
    clock.advance(Duration::from_secs(3));
    assert_eq!(bearer_of(&credentials, &identity).await, "Bearer token-3");
}

#[tokio::test]
async fn a_refused_token_is_given_up_unless_it_is_brand_new() {
    let server = Server::start(|_, before| token(before, 3600)).await;
    let (credentials, clock) = credentials(&[("AZURE_AUTHORITY_HOST", &server.url("/"))]);
    let identity = identity("t");
    assert_eq!(bearer_of(&credentials, &identity).await, "Bearer token-0");
    credentials.refused(&identity);
    assert_eq!(bearer_of(&credentials, &identity).await, "Bearer token-0");
    clock.advance(Duration::from_secs(61));
    credentials.refused(&identity);
    assert_eq!(bearer_of(&credentials, &identity).await, "Bearer token-1");
}

#[tokio::test]
async fn a_secret_that_is_replaced_is_another_identity() {
    let server = Server::start(|_, before| token(before, 3600)).await;
    let (credentials, _) = credentials(&[("AZURE_AUTHORITY_HOST", &server.url("/"))]);
    assert_eq!(bearer_of(&credentials, &identity("t")).await, "Bearer token-0");
    assert_eq!(bearer_of(&credentials, &identity("t")).await, "Bearer token-0");
    let rotated = Arc::new(Identity::Azure(AzureIdentity::Application {
        tenant: "t".into(),
        client: "client".into(),
        secret: Some(secret("n3w")),
    }));
    assert_eq!(bearer_of(&credentials, &rotated).await, "Bearer token-1");
    assert_eq!(server.asked()[1].field("client_secret").as_deref(), Some("n3w"));
}

#[tokio::test]
async fn a_server_that_says_nonsense_or_is_not_there_is_named_and_not_quoted() {
    let server = Server::start(|_, before| match before {
        0 => text(200, "<html>s3cret</html>"),
        1 => text(500, "<html>s3cret</html>"),
        _ => text(302, "s3cret"),
    })
    .await;
    let (credentials, clock) = credentials(&[("AZURE_AUTHORITY_HOST", &server.url("/"))]);
    for said in [
        "Microsoft Entra ID gave an answer that cannot be read",
        "Microsoft Entra ID answered HTTP 500 (no reason given)",
        "Microsoft Entra ID answered HTTP 302 (no reason given)",
    ] {
        let failure = carried(&credentials, &identity("t"), "authorization").await.unwrap_err();
        assert_eq!(failure.to_string(), said);
        clock.advance(Duration::from_secs(3));
    }
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let url = format!("http://{closed}");
    let (credentials, _) = super::credentials(&[("AZURE_AUTHORITY_HOST", &url)]);
    let failure = carried(&credentials, &identity("t"), "authorization").await.unwrap_err();
    assert!(matches!(failure, Unavailable::Unreachable { .. }), "{failure:?}");
}
