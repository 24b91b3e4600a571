//! AWS. That signatures are right is shown with botocore in the suite `sdk`; here: which keys sign,
//! and what is signed.

use super::*;
use crate::snapshot::{AwsIdentity, AwsKeys, AwsRole, Identity};

fn keys(id: &str) -> AwsKeys {
    AwsKeys {
        access_key_id: secret(id),
        secret_access_key: secret("wJalrXUtnFEMI"),
        session_token: None,
    }
}

fn identity(keys: Option<AwsKeys>, role: Option<&str>) -> Arc<Identity> {
    let role = role.map(|arn| AwsRole { arn: arn.into(), external_id: "team/bedrock".into() });
    Arc::new(Identity::Aws(AwsIdentity { keys, role, region: "eu-central-1".into() }))
}

fn role(name: &str, id: &str) -> Response<Full<Bytes>> {
    text(
        200,
        format!(
            "<{name}Response xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><{name}Result>\
             <AssumedRoleUser><Arn>arn:aws:sts::1:assumed-role/r/s</Arn></AssumedRoleUser>\
             <Credentials><AccessKeyId>{id}</AccessKeyId>\
             <SecretAccessKey>temporary</SecretAccessKey><SessionToken>session/{id}==\
             </SessionToken><Expiration>2026-11-22T13:00:00Z</Expiration></Credentials>\
             </{name}Result></{name}Response>"
        ),
    )
}

/// The key id of a signature.
fn signer(authorization: &str) -> &str {
    let start = "AWS4-HMAC-SHA256 Credential=";
    authorization.strip_prefix(start).unwrap().split('/').next().unwrap()
}

async fn signed_by(credentials: &Credentials, identity: &Arc<Identity>) -> String {
    signer(&carried(credentials, identity, "authorization").await.unwrap()).to_owned()
}

#[tokio::test]
async fn keys_of_a_secret_sign_by_themselves() {
    let (credentials, _) = credentials(&[]);
    let identity = identity(Some(keys("AKIASECRET")), None);
    let carried = carried(&credentials, &identity, "authorization").await.unwrap();
    let scope = "AKIASECRET/20261122/eu-central-1/bedrock/aws4_request";
    assert!(carried.contains(scope), "{carried}");
    assert!(carried.contains("SignedHeaders=host;x-amz-date"), "{carried}");
}

#[tokio::test]
async fn the_session_token_of_temporary_keys_is_sent_and_signed() {
    let (credentials, _) = credentials(&[]);
    let keys = AwsKeys { session_token: Some(secret("session")), ..keys("ASIA1") };
    let identity = identity(Some(keys), None);
    let token = carried(&credentials, &identity, "x-amz-security-token").await.unwrap();
    assert_eq!(token, "session");
    let carried = carried(&credentials, &identity, "authorization").await.unwrap();
    assert!(carried.contains("host;x-amz-date;x-amz-security-token"), "{carried}");
}

#[tokio::test]
async fn a_role_is_assumed_with_a_secrets_keys_and_named_after_the_provider() {
    let server = Server::start(|_, _| role("AssumeRole", "ASIAROLE")).await;
    let (credentials, _) = credentials(&[("AWS_ENDPOINT_URL_STS", &server.url("/"))]);
    let identity = identity(Some(keys("AKIABASE")), Some("arn:aws:iam::1:role/r"));
    assert_eq!(signed_by(&credentials, &identity).await, "ASIAROLE");
    let token = carried(&credentials, &identity, "x-amz-security-token").await.unwrap();
    assert_eq!(token, "session/ASIAROLE==");
    let asked = &server.asked()[0];
    assert_eq!(signer(asked.header("authorization")), "AKIABASE");
    assert!(asked.header("authorization").contains("/eu-central-1/sts/aws4_request"));
    for (name, value) in [
        ("Action", "AssumeRole"),
        ("Version", "2011-06-15"),
        ("RoleArn", "arn:aws:iam::1:role/r"),
        ("RoleSessionName", "sluice@team@bedrock"),
        ("ExternalId", "team/bedrock"),
    ] {
        assert_eq!(asked.field(name).as_deref(), Some(value), "{name}");
    }
    assert_eq!(server.asked().len(), 1);
}

#[tokio::test]
async fn a_web_identity_gets_its_role_and_another_role_with_that() {
    let server = Server::start(|asked, _| {
        if asked.field("Action").as_deref() == Some("AssumeRole") {
            role("AssumeRole", "ASIAOTHER")
        } else {
            role("AssumeRoleWithWebIdentity", "ASIAOWN")
        }
    })
    .await;
    let file = File::new("irsa", "web-token\n");
    let (credentials, _) = credentials(&[
        ("AWS_ENDPOINT_URL_STS", &server.url("/")),
        ("AWS_WEB_IDENTITY_TOKEN_FILE", file.path()),
        ("AWS_ROLE_ARN", "arn:aws:iam::1:role/own"),
    ]);
    assert_eq!(signed_by(&credentials, &identity(None, None)).await, "ASIAOWN");
    let other = identity(None, Some("arn:aws:iam::1:role/other"));
    assert_eq!(signed_by(&credentials, &other).await, "ASIAOTHER");
    let asked = server.asked();
    assert_eq!(asked.len(), 2);
    assert_eq!(asked[0].field("WebIdentityToken").as_deref(), Some("web-token"));
    assert_eq!(asked[0].header("authorization"), "");
    assert_eq!(signer(asked[1].header("authorization")), "ASIAOWN");
    assert_eq!(asked[1].header("x-amz-security-token"), "session/ASIAOWN==");
}

#[tokio::test]
async fn a_refusal_of_sts_is_a_word() {
    let server = Server::start(|_, _| {
        text(
            403,
            "<ErrorResponse><Error><Type>Sender</Type><Code>AccessDenied</Code><Message>User \
             AKIABASE is not authorized</Message></Error></ErrorResponse>",
        )
    })
    .await;
    let (credentials, _) = credentials(&[("AWS_ENDPOINT_URL_STS", &server.url("/"))]);
    let identity = identity(Some(keys("AKIABASE")), Some("arn:aws:iam::1:role/r"));
    let failure = carried(&credentials, &identity, "authorization").await.unwrap_err();
    assert_eq!(failure.to_string(), "AWS STS answered HTTP 403 (AccessDenied)");
}

const TEMPORARY: &str = r#"{"Code":"Success","Type":"AWS-HMAC","AccessKeyId":"ASIAMACHINE",
    "SecretAccessKey":"s","Token":"session","Expiration":"2026-11-22T18:00:00Z"}"#;

#[tokio::test]
async fn the_environment_comes_first() {
    let (credentials, _) = credentials(&[
        ("AWS_ACCESS_KEY_ID", "AKIAENV"),
        ("AWS_SECRET_ACCESS_KEY", "s"),
        ("AWS_WEB_IDENTITY_TOKEN_FILE", "/nowhere"),
        ("AWS_ROLE_ARN", "arn:aws:iam::1:role/own"),
    ]);
    assert_eq!(signed_by(&credentials, &identity(None, None)).await, "AKIAENV");
}

#[tokio::test]
async fn a_containers_service_is_asked_with_its_token() {
    let server = Server::start(|_, _| text(200, TEMPORARY)).await;
    let file = File::new("pod", "pod-token");
    let address = server.url("/v1/credentials");
    let (credentials, _) = credentials(&[
        ("AWS_CONTAINER_CREDENTIALS_FULL_URI", &address),
        ("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", file.path()),
    ]);
    assert_eq!(signed_by(&credentials, &identity(None, None)).await, "ASIAMACHINE");
    assert_eq!(server.asked()[0].line, "GET /v1/credentials");
    assert_eq!(server.asked()[0].header("authorization"), "pod-token");
    let remote = [("AWS_CONTAINER_CREDENTIALS_FULL_URI", "http://evil.example/")];
    let (credentials, _) = super::credentials(&remote);
    let failure = carried(&credentials, &identity(None, None), "authorization").await;
    assert!(matches!(failure, Err(Unavailable::Unusable(_))), "{failure:?}");
}

#[tokio::test]
async fn an_instance_is_asked_with_a_session() {
    let server = Server::start(|asked, _| {
        let has_session = asked.header("x-aws-ec2-metadata-token") == "imds-session";
        match asked.line.as_str() {
            "PUT /latest/api/token" => text(200, "imds-session"),
            "GET /latest/meta-data/iam/security-credentials/" if has_session => text(200, "node\n"),
            "GET /latest/meta-data/iam/security-credentials/node" if has_session => {
                text(200, TEMPORARY)
            }
            _ => text(401, ""),
        }
    })
    .await;
    let base = server.url("/");
    let (credentials, _) = credentials(&[("AWS_EC2_METADATA_SERVICE_ENDPOINT", &base)]);
    assert_eq!(signed_by(&credentials, &identity(None, None)).await, "ASIAMACHINE");
    assert_eq!(server.asked()[0].header("x-aws-ec2-metadata-token-ttl-seconds"), "300");
}

#[tokio::test]
async fn a_gateway_without_an_identity_says_so() {
    let (credentials, _) = credentials(&[("AWS_EC2_METADATA_DISABLED", "true")]);
    let failure = carried(&credentials, &identity(None, None), "authorization").await;
    assert_eq!(failure, Err(Unavailable::NoIdentity("AWS")));
}

#[test]
fn what_is_secret_is_not_printed() {
    let identity = identity(Some(keys("AKIASECRET")), None);
    let printed = format!("{identity:?}");
    assert!(!printed.contains("wJalr") && !printed.contains("AKIASECRET"), "{printed}");
}
