//! Google Cloud.

use super::*;
use crate::snapshot::{GcpIdentity, Identity};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use rcgen::{KeyPair, PKCS_RSA_SHA256, PublicKeyData as _};
use serde_json::{Value, json};

fn key(file: &Value) -> Arc<Identity> {
    Arc::new(Identity::Gcp(GcpIdentity::Key(secret(&file.to_string()))))
}

fn own() -> Arc<Identity> {
    Arc::new(Identity::Gcp(GcpIdentity::Own))
}

fn decoded(part: &str) -> Value {
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap()
}

#[tokio::test]
async fn a_service_account_signs_an_assertion_that_is_exchanged() {
    let server = Server::start(|_, _| token(7, 3599)).await;
    let pair = KeyPair::generate_for(&PKCS_RSA_SHA256).unwrap();
    let uri = server.url("/token");
    let file = json!({
        "type": "service_account",
        "project_id": "p",
        "private_key_id": "kid-1",
        "private_key": pair.serialize_pem(),
        "client_email": "sa@p.iam.gserviceaccount.com",
        "token_uri": uri,
    });
    let (credentials, _) = credentials(&[]);
    let carried = carried(&credentials, &key(&file), "authorization").await.unwrap();
    assert_eq!(carried, "Bearer token-7");
    let asked = &server.asked()[0];
    let grant = "urn:ietf:params:oauth:grant-type:jwt-bearer";
    assert_eq!(asked.field("grant_type").as_deref(), Some(grant));
    let assertion = asked.field("assertion").unwrap();
    let parts: Vec<&str> = assertion.split('.').collect();
    assert_eq!(decoded(parts[0]), json!({"alg": "RS256", "typ": "JWT", "kid": "kid-1"}));
    let now = START.parse::<Timestamp>().unwrap().as_second();
    assert_eq!(
        decoded(parts[1]),
        json!({
            "iss": "sa@p.iam.gserviceaccount.com",
            "scope": "https://www.googleapis.com/auth/cloud-platform",
            "aud": uri,
            "iat": now,
            "exp": now + 3600,
        })
    );
    let signature = URL_SAFE_NO_PAD.decode(parts[2]).unwrap();
    let verifier = rustls::crypto::aws_lc_rs::default_provider().signature_verification_algorithms;
    let algorithm = verifier
        .mapping
        .iter()
        .find(|(scheme, _)| *scheme == rustls::SignatureScheme::RSA_PKCS1_SHA256)
        .map(|(_, algorithms)| algorithms[0])
        .unwrap();
    let signed = format!("{}.{}", parts[0], parts[1]);
    algorithm.verify_signature(pair.der_bytes(), signed.as_bytes(), &signature).unwrap();
}

#[tokio::test]
async fn a_users_refresh_token_is_exchanged() {
    let server = Server::start(|_, _| token(1, 3599)).await;
    let file = json!({
        "type": "authorized_user",
        "client_id": "c",
        "client_secret": "s",
        "refresh_token": "r",
        "token_uri": server.url("/token"),
    });
    let (credentials, _) = credentials(&[]);
    carried(&credentials, &key(&file), "authorization").await.unwrap();
    let asked = &server.asked()[0];
    assert_eq!(asked.field("grant_type").as_deref(), Some("refresh_token"));
    assert_eq!(asked.field("refresh_token").as_deref(), Some("r"));
}

#[tokio::test]
async fn a_key_from_a_secret_can_not_choose_addresses_or_files() {
    let file = File::new("subject", "subject");
    let server = Server::start(|_, _| token(1, 3599)).await;
    let (credentials, _) = credentials(&[]);
    for (file, said) in [
        (
            json!({
                "type": "external_account",
                "audience": "a",
                "subject_token_type": "t",
                "token_url": server.url("/"),
                "credential_source": {"file": file.path()},
            }),
            "it has a key file that refers to the gateway's machine",
        ),
        (
            json!({
                "type": "service_account",
                "client_email": "e",
                "private_key": "k",
                "token_uri": "http://169.254.169.254/computeMetadata/v1/",
            }),
            "it has a key file whose token_uri is not Google's",
        ),
        (
            json!({
                "type": "authorized_user",
                "client_id": "c",
                "client_secret": "s",
                "refresh_token": "r",
                "token_uri": "https://oauth2.googleapis.com.evil.example/token",
            }),
            "it has a key file whose token_uri is not Google's",
        ),
        (json!({"type": "impersonated_service_account"}), "it has a key file that cannot be read"),
    ] {
        let failure = carried(&credentials, &key(&file), "authorization").await.unwrap_err();
        assert_eq!(failure.to_string(), said);
    }
    assert_eq!(server.asked().len(), 0);
}

#[tokio::test]
async fn the_metadata_server_must_show_its_mark() {
    let server = Server::start(|asked, before| {
        let mut answer = token(before, 3599);
        if before > 0 && asked.header("metadata-flavor") == "Google" {
            answer.headers_mut().insert("metadata-flavor", HeaderValue::from_static("Google"));
        }
        answer
    })
    .await;
    let (credentials, clock) = credentials(&[("GCE_METADATA_HOST", &server.host)]);
    let failure = carried(&credentials, &own(), "authorization").await.unwrap_err();
    let said = "Google Cloud's metadata server gave an answer that cannot be read";
    assert_eq!(failure.to_string(), said);
    clock.advance(std::time::Duration::from_secs(3));
    let carried = carried(&credentials, &own(), "authorization").await.unwrap();
    assert_eq!(carried, "Bearer token-1");
    let path = "/computeMetadata/v1/instance/service-accounts/default/token";
    assert_eq!(server.asked()[1].line, format!("GET {path}"));
}

#[tokio::test]
async fn a_federated_token_is_exchanged_and_impersonates_a_service_account() {
    let server = Server::start(|asked, _| match asked.line.as_str() {
        "POST /sts" => token(1, 3599),
        _ => text(200, r#"{"accessToken":"sa-token","expireTime":"2026-11-22T13:00:00Z"}"#),
    })
    .await;
    let subject = File::new("federated", r#"{"id_token":"subject-1"}"#);
    let config = File::new(
        "external",
        &json!({
            "type": "external_account",
            "audience": "//iam.googleapis.com/pools/p",
            "subject_token_type": "urn:ietf:params:oauth:token-type:jwt",
            "token_url": server.url("/sts"),
            "service_account_impersonation_url": server.url("/impersonate"),
            "credential_source": {
                "file": subject.path(),
                "format": {"type": "json", "subject_token_field_name": "id_token"},
            },
        })
        .to_string(),
    );
    let (credentials, _) = credentials(&[("GOOGLE_APPLICATION_CREDENTIALS", config.path())]);
    let carried = carried(&credentials, &own(), "authorization").await.unwrap();
    assert_eq!(carried, "Bearer sa-token");
    let asked = server.asked();
    assert_eq!(asked[0].field("subject_token").as_deref(), Some("subject-1"));
    assert_eq!(asked[0].field("audience").as_deref(), Some("//iam.googleapis.com/pools/p"));
    let grant = "urn:ietf:params:oauth:grant-type:token-exchange";
    assert_eq!(asked[0].field("grant_type").as_deref(), Some(grant));
    assert_eq!(asked[1].header("authorization"), "Bearer token-1");
}
