//! Workload identity federation: a token of another issuer, out of a file, for an access token (RFC
//! 8693), and if so configured for the token of a service account.

use bytes::Bytes;
use http::{HeaderValue, Method, Request, header};
use http_body_util::Full;
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::json;
use zeroize::Zeroizing;

use super::{SCOPE, SERVER};
use crate::{
    credential::{Credentials, Grant, Issued, Unavailable, bearer, form, http::uri},
    snapshot::SecretString,
};

const IAM: &str = "Google's IAM credentials API";

/// A file of type `external_account`, as `gcloud iam workload-identity-pools create-cred-config`
/// writes it.
#[derive(Deserialize)]
pub(super) struct ExternalAccount {
    audience: String,
    subject_token_type: String,
    token_url: String,
    credential_source: Source,
    service_account_impersonation_url: Option<String>,
}

impl ExternalAccount {
    /// Where the token is exchanged.
    pub(super) fn token_url(&self) -> &str {
        &self.token_url
    }
}

#[derive(Deserialize)]
struct Source {
    file: Option<String>,
    format: Option<Format>,
}

#[derive(Deserialize)]
struct Format {
    #[serde(rename = "type")]
    kind: String,
    subject_token_field_name: Option<String>,
}

/// Exchanges the file's token.
pub(super) async fn exchange(
    credentials: &Credentials,
    account: &ExternalAccount,
) -> Result<Issued, Unavailable> {
    let subject = subject(credentials, &account.credential_source).await?;
    let fields = [
        ("grant_type", "urn:ietf:params:oauth:grant-type:token-exchange"),
        ("requested_token_type", "urn:ietf:params:oauth:token-type:access_token"),
        ("audience", account.audience.as_str()),
        ("scope", SCOPE),
        ("subject_token_type", &account.subject_token_type),
        ("subject_token", &subject),
    ];
    let (request, _) = form::post(uri(&account.token_url)?, &fields);
    let token = form::token(&credentials.0.http, SERVER, request).await?;
    match &account.service_account_impersonation_url {
        None => Ok(credentials.token(token.access_token, token.expires_in)),
        Some(address) => {
            impersonate(credentials, address, SecretString::new(token.access_token)).await
        }
    }
}

async fn subject(
    credentials: &Credentials,
    source: &Source,
) -> Result<Zeroizing<String>, Unavailable> {
    let unusable = Unavailable::Unusable("a credential source that is no file with a token");
    let Some(path) = &source.file else { return Err(unusable) };
    let text = credentials.0.environment.file(path).await?;
    let Some(Format { kind, subject_token_field_name }) = &source.format else { return Ok(text) };
    match (kind.as_str(), subject_token_field_name) {
        ("json", Some(field)) => {
            let value: serde_json::Value =
                serde_json::from_str(&text).map_err(|_| unusable.clone())?;
            let token = value.get(field).and_then(serde_json::Value::as_str);
            token.map(|token| Zeroizing::new(token.to_owned())).ok_or(unusable)
        }
        ("json", None) => Err(unusable),
        _ => Ok(text),
    }
}

async fn impersonate(
    credentials: &Credentials,
    address: &str,
    token: SecretString,
) -> Result<Issued, Unavailable> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Generated {
        access_token: String,
        expire_time: Timestamp,
    }
    let body = Bytes::from(json!({ "scope": [SCOPE] }).to_string());
    let mut request = Request::new(Full::new(body));
    *request.method_mut() = Method::POST;
    *request.uri_mut() = uri(address)?;
    let json = HeaderValue::from_static("application/json");
    request.headers_mut().insert(header::CONTENT_TYPE, json);
    bearer(&mut request, &token)?;
    let answer = credentials.0.http.send(IAM, request).await?;
    if !answer.status.is_success() {
        return Err(form::refused(IAM, &answer));
    }
    let Generated { access_token, expire_time } =
        serde_json::from_slice(&answer.body).map_err(|_| Unavailable::Malformed(IAM))?;
    let grant = Grant::Bearer(SecretString::new(access_token));
    Ok(Issued { grant, fetched: credentials.now(), expires: Some(expire_time) })
}
