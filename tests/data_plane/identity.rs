//! Providers that are called as an identity of a cloud, and the places of keys and deployments.

use std::sync::Arc;

use http::StatusCode;
use sluice::{
    llm::Quirks,
    snapshot::{Addressing, AwsIdentity, AwsKeys, Identity, KeyHeader, Provider, SecretString},
};

use crate::{
    fixture::{ASK, Gateway, STREAM, WHOLE, credential, provider, route},
    upstream::{Upstream, json, stream, whole},
};

fn bedrock(upstream: &Upstream) -> Provider {
    let secret = |text: &str| SecretString::new(text.to_owned());
    let keys = AwsKeys {
        access_key_id: secret("AKIDEXAMPLE"),
        secret_access_key: secret("wJalrXUtnFEMI"),
        session_token: Some(secret("session")),
    };
    let identity = AwsIdentity { keys: Some(keys), role: None, region: "eu-central-1".into() };
    Provider {
        addressing: Addressing::Bedrock,
        identity: Some(Arc::new(Identity::Aws(identity))),
        ..provider(upstream)
    }
}

fn as_the_gateway(upstream: &Upstream) -> Provider {
    let own = AwsIdentity { keys: None, role: None, region: "eu-central-1".into() };
    Provider { identity: Some(Arc::new(Identity::Aws(own))), ..provider(upstream) }
}

#[tokio::test]
async fn a_request_to_aws_is_signed_and_carries_no_key() {
    let upstream = Upstream::always(json(WHOLE)).await;
    let gateway = Gateway::start([route([bedrock(&upstream)])]).await;
    assert_eq!(gateway.chat(ASK).await.status, StatusCode::OK);
    let sent = &upstream.received()[0];
    assert_eq!(sent.path, "/v1/openai/v1/chat/completions");
    let signature = sent.header("authorization").unwrap();
    let start = "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/";
    assert!(signature.starts_with(start), "{signature}");
    let signed = "SignedHeaders=content-type;host;x-amz-date;x-amz-security-token";
    assert!(signature.contains(signed), "{signature}");
    assert_eq!(sent.header("x-amz-security-token"), Some("session"));
    assert_eq!(sent.header("x-api-key"), None);
}

#[tokio::test]
async fn without_credentials_nothing_is_sent_and_the_next_target_answers() {
    let (silent, good) = (Upstream::always(json(WHOLE)).await, Upstream::always(json(WHOLE)).await);
    let gateway = Gateway::start([route([as_the_gateway(&silent)])]).await;
    let reply = gateway.chat(ASK).await;
    assert_eq!(reply.status, StatusCode::BAD_GATEWAY);
    assert_eq!(reply.code(), "upstream_credentials_unavailable");
    assert!(!reply.text().contains("AWS"), "{}", reply.text());
    let targets = [as_the_gateway(&silent), provider(&good)];
    let reply = Gateway::start([route(targets)]).await.chat(ASK).await;
    assert_eq!((reply.text(), reply.header("x-sluice-attempts")), (WHOLE, "2"));
    assert_eq!(silent.received().len(), 0);
}

#[tokio::test]
async fn azure_has_the_deployment_in_its_path_and_the_key_in_a_header_of_its_own() {
    let upstream = Upstream::always(stream([&*crate::fixture::chunk("Hi"), "[DONE]"])).await;
    let azure = Provider {
        addressing: Addressing::Azure { version: Some("2024-10-21".into()) },
        key_header: KeyHeader::ApiKey,
        credentials: vec![credential("azure-key")],
        ..provider(&upstream)
    };
    let gateway = Gateway::start([route([azure])]).await;
    assert_eq!(gateway.chat(STREAM).await.status, StatusCode::OK);
    let sent = &upstream.received()[0];
    let path = "/v1/openai/deployments/m/chat/completions?api-version=2024-10-21";
    assert_eq!(sent.path, path);
    assert_eq!(sent.header("api-key"), Some("azure-key"));
    assert_eq!(sent.header("authorization"), None);
}

#[tokio::test]
async fn gemini_takes_a_key_as_the_dialect_does() {
    let upstream = Upstream::always(json(WHOLE)).await;
    let gemini = Provider {
        addressing: Addressing::Gemini,
        key_header: KeyHeader::XGoogApiKey,
        credentials: vec![credential("google-key")],
        ..provider(&upstream)
    };
    let gateway = Gateway::start([route([gemini])]).await;
    assert_eq!(gateway.chat(ASK).await.status, StatusCode::OK);
    let sent = &upstream.received()[0];
    assert_eq!(sent.path, "/v1/openai/chat/completions");
    assert_eq!(sent.header("authorization"), Some("Bearer google-key"));
}

#[tokio::test]
async fn a_providers_quirks_reach_its_requests() {
    let upstream = Upstream::always(json(WHOLE)).await;
    let strict = Provider {
        quirks: Quirks::NONE.max_tokens().system_only().mistral_members(),
        ..provider(&upstream)
    };
    let gateway = Gateway::start([route([strict])]).await;
    let body = r#"{"model":"chat","max_completion_tokens":5,"user":"u","messages":[{"role":"developer","content":"x"}]}"#;
    let reply = gateway.chat(body).await;
    assert_eq!(reply.header("x-sluice-dropped"), "user");
    let sent = upstream.received()[0].json();
    assert_eq!(
        sent,
        serde_json::json!({
            "model": "m",
            "max_tokens": 5,
            "messages": [{"role": "system", "content": "x"}],
        })
    );
}

#[tokio::test]
async fn a_refused_identity_is_no_401_of_the_callers() {
    let refusal = r#"{"message":"The security token included in the request is invalid."}"#;
    let upstream = Upstream::always(whole(403, &[], refusal)).await;
    let gateway = Gateway::start([route([bedrock(&upstream)])]).await;
    let reply = gateway.chat(ASK).await;
    assert_eq!(reply.status, StatusCode::BAD_GATEWAY);
}
