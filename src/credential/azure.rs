//! Microsoft Entra ID: access tokens for Azure's models, for an application with a secret, by workload
//! identity, or for the machine's managed identity.

use ::http::{HeaderName, HeaderValue, Request};
use bytes::Bytes;
use http_body_util::Full;
use zeroize::Zeroizing;

use super::{Credentials, Environment, Issued, Unavailable, form, http::uri};
use crate::snapshot::AzureIdentity;

const SERVER: &str = "Microsoft Entra ID";
const MACHINE: &str = "the machine's identity service";
/// What the token is for.
const RESOURCE: &str = "https://cognitiveservices.azure.com";

/// An access token.
pub(super) async fn fetch(
    credentials: &Credentials,
    identity: &AzureIdentity,
) -> Result<Issued, Unavailable> {
    let environment = &credentials.0.environment;
    let token = match identity {
        AzureIdentity::Application { tenant, client, secret: Some(secret) } => {
            application(credentials, tenant, client, ("client_secret", secret.expose())).await?
        }
        AzureIdentity::Application { tenant, client, secret: None } => {
            federated(credentials, tenant, client).await?
        }
        AzureIdentity::Own => {
            let client = environment.get("AZURE_CLIENT_ID");
            match (environment.get("AZURE_TENANT_ID"), client) {
                (Some(tenant), Some(client)) => match environment.get("AZURE_CLIENT_SECRET") {
                    Some(secret) => {
                        let secret = Zeroizing::new(secret);
                        let proof = ("client_secret", secret.as_str());
                        application(credentials, &tenant, &client, proof).await?
                    }
                    None => federated(credentials, &tenant, &client).await?,
                },
                (_, client) => managed(credentials, client.as_deref()).await?,
            }
        }
    };
    Ok(credentials.token(token.access_token, token.expires_in))
}

/// The token file that AKS mounts and renews stands for the secret (RFC 7523, 2.2).
async fn federated(
    credentials: &Credentials,
    tenant: &str,
    client: &str,
) -> Result<form::Token, Unavailable> {
    let environment = &credentials.0.environment;
    let file = environment.get("AZURE_FEDERATED_TOKEN_FILE");
    let file = file.ok_or(Unavailable::NoIdentity("Azure"))?;
    let assertion = environment.file(&file).await?;
    application(credentials, tenant, client, ("client_assertion", assertion.as_str())).await
}

/// The client credentials grant; `proof` is a field and its value.
async fn application(
    credentials: &Credentials,
    tenant: &str,
    client: &str,
    proof: (&str, &str),
) -> Result<form::Token, Unavailable> {
    let authority = credentials.0.environment.get("AZURE_AUTHORITY_HOST");
    let authority = authority.as_deref().unwrap_or("https://login.microsoftonline.com");
    let address = format!("{}/{tenant}/oauth2/v2.0/token", authority.trim_end_matches('/'));
    let scope = format!("{RESOURCE}/.default");
    let mut fields =
        vec![("grant_type", "client_credentials"), ("client_id", client), ("scope", &scope), proof];
    if proof.0 == "client_assertion" {
        let kind = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
        fields.push(("client_assertion_type", kind));
    }
    let (request, _) = form::post(uri(&address)?, &fields);
    form::token(&credentials.0.http, SERVER, request).await
}

/// The identity of the machine: of App Service and Container Apps by what they put into the
/// environment, else of a virtual machine by its metadata service.
async fn managed(
    credentials: &Credentials,
    client: Option<&str>,
) -> Result<form::Token, Unavailable> {
    let request = managed_request(&credentials.0.environment, client)?;
    form::token(&credentials.0.http, MACHINE, request).await
}

fn managed_request(
    environment: &Environment,
    client: Option<&str>,
) -> Result<Request<Full<Bytes>>, Unavailable> {
    let mut query = form_urlencoded::Serializer::new(String::new());
    query.append_pair("resource", RESOURCE);
    if let Some(client) = client {
        query.append_pair("client_id", client);
    }
    let service = environment.get("IDENTITY_ENDPOINT").zip(environment.get("IDENTITY_HEADER"));
    let (address, header) = match service {
        Some((endpoint, secret)) => {
            query.append_pair("api-version", "2019-08-01");
            (endpoint, (HeaderName::from_static("x-identity-header"), secret))
        }
        None => {
            query.append_pair("api-version", "2018-02-01");
            let base = environment.get("AZURE_POD_IDENTITY_AUTHORITY_HOST");
            let base = base.as_deref().unwrap_or("http://169.254.169.254").trim_end_matches('/');
            let address = format!("{base}/metadata/identity/oauth2/token");
            (address, (HeaderName::from_static("metadata"), "true".to_owned()))
        }
    };
    let mut request: Request<Full<Bytes>> = Request::new(Full::default());
    *request.uri_mut() = uri(&format!("{address}?{}", query.finish()))?;
    let (name, value) = header;
    let mut value = HeaderValue::from_str(&value)
        .map_err(|_| Unavailable::Unusable("a header of the identity service that is none"))?;
    value.set_sensitive(true);
    request.headers_mut().insert(name, value);
    Ok(request)
}
