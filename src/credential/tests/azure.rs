//! Microsoft Entra ID.

use super::*;
use crate::snapshot::{AzureIdentity, Identity};

const SCOPE: &str = "https://cognitiveservices.azure.com/.default";

fn application(secret: Option<SecretString>) -> Arc<Identity> {
    let (tenant, client) = ("contoso".into(), "app".into());
    Arc::new(Identity::Azure(AzureIdentity::Application { tenant, client, secret }))
}

fn own() -> Arc<Identity> {
    Arc::new(Identity::Azure(AzureIdentity::Own))
}

#[tokio::test]
async fn a_client_secret_is_exchanged() {
    let server = Server::start(|_, _| token(0, 3599)).await;
    let (credentials, _) = credentials(&[("AZURE_AUTHORITY_HOST", &server.url("/"))]);
    let identity = application(Some(secret("a&b=c")));
    let carried = carried(&credentials, &identity, "authorization").await.unwrap();
    assert_eq!(carried, "Bearer token-0");
    let asked = &server.asked()[0];
    assert_eq!(asked.line, "POST /contoso/oauth2/v2.0/token");
    assert_eq!(asked.header("content-type"), "application/x-www-form-urlencoded");
    for (name, value) in [
        ("grant_type", "client_credentials"),
        ("client_id", "app"),
        ("client_secret", "a&b=c"),
        ("scope", SCOPE),
    ] {
        assert_eq!(asked.field(name).as_deref(), Some(value), "{name}");
    }
}

#[tokio::test]
async fn workload_identity_sends_the_file_that_is_there_at_the_time() {
    let server = Server::start(|_, before| token(before, 3599)).await;
    let file = File::new("azure", "federated-1\n");
    let authority = server.url("/");
    let variables = [
        ("AZURE_AUTHORITY_HOST", authority.as_str()),
        ("AZURE_FEDERATED_TOKEN_FILE", file.path()),
        ("AZURE_TENANT_ID", "own-tenant"),
        ("AZURE_CLIENT_ID", "own-app"),
    ];
    let (credentials, _) = credentials(&variables);
    carried(&credentials, &application(None), "authorization").await.unwrap();
    std::fs::write(file.path(), "federated-2").unwrap();
    carried(&credentials, &own(), "authorization").await.unwrap();
    let asked = server.asked();
    let assertion = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
    for (asked, tenant, client, token) in [
        (&asked[0], "contoso", "app", "federated-1"),
        (&asked[1], "own-tenant", "own-app", "federated-2"),
    ] {
        assert_eq!(asked.line, format!("POST /{tenant}/oauth2/v2.0/token"));
        assert_eq!(asked.field("client_id").as_deref(), Some(client));
        assert_eq!(asked.field("client_assertion").as_deref(), Some(token));
        assert_eq!(asked.field("client_assertion_type").as_deref(), Some(assertion));
        assert_eq!(asked.field("client_secret"), None);
    }
}

#[tokio::test]
async fn without_anything_else_the_machine_is_asked() {
    let server = Server::start(|asked, _| match asked.header("metadata") {
        "true" => text(200, r#"{"access_token":"vm","expires_in":"86399"}"#),
        _ => text(400, "{}"),
    })
    .await;
    let base = server.url("");
    let (credentials, _) = credentials(&[("AZURE_POD_IDENTITY_AUTHORITY_HOST", &base)]);
    assert_eq!(carried(&credentials, &own(), "authorization").await.unwrap(), "Bearer vm");
    assert_eq!(
        server.asked()[0].line,
        "GET /metadata/identity/oauth2/token?resource=https%3A%2F%2Fcognitiveservices.azure.com\
         &api-version=2018-02-01"
    );
}

#[tokio::test]
async fn app_service_has_a_service_of_its_own() {
    let server = Server::start(|_, _| token(0, 3599)).await;
    let endpoint = server.url("/msi/token");
    let (credentials, _) =
        credentials(&[("IDENTITY_ENDPOINT", &endpoint), ("IDENTITY_HEADER", "proof")]);
    carried(&credentials, &own(), "authorization").await.unwrap();
    let asked = &server.asked()[0];
    assert!(asked.line.starts_with("GET /msi/token?resource="), "{}", asked.line);
    assert_eq!(asked.header("x-identity-header"), "proof");
}

#[tokio::test]
async fn a_missing_token_file_is_named() {
    let (credentials, _) = credentials(&[("AZURE_FEDERATED_TOKEN_FILE", "/nowhere/token")]);
    let failure = carried(&credentials, &application(None), "authorization").await.unwrap_err();
    assert!(failure.to_string().starts_with("file /nowhere/token cannot be used"), "{failure}");
}
