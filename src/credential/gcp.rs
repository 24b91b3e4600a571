//! Google Cloud: access tokens, from a file of credentials or from the metadata server.

mod assertion;
mod federation;

use ::http::{HeaderName, HeaderValue, Request};
use bytes::Bytes;
use http_body_util::Full;
use serde::Deserialize;
use zeroize::Zeroizing;

use super::{Credentials, Issued, Unavailable, form, http::uri};
use crate::snapshot::{GcpIdentity, address};

const SERVER: &str = "Google's token server";
const METADATA: &str = "Google Cloud's metadata server";
/// Where tokens are exchanged, unless a file says otherwise.
const TOKEN_URI: &str = "https://oauth2.googleapis.com/token";
/// What the token is for.
const SCOPE: &str = "https://www.googleapis.com/auth/cloud-platform";

/// A file of credentials, as `gcloud` and the console write them.
#[derive(Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum File {
    ServiceAccount(assertion::ServiceAccount),
    AuthorizedUser(AuthorizedUser),
    ExternalAccount(federation::ExternalAccount),
}

/// What `gcloud auth application-default login` writes.
#[derive(Deserialize)]
struct AuthorizedUser {
    client_id: String,
    client_secret: Zeroizing<String>,
    refresh_token: Zeroizing<String>,
    token_uri: Option<String>,
}

impl File {
    /// Where the file is exchanged for a token.
    fn token_uri(&self) -> &str {
        match self {
            Self::ServiceAccount(key) => key.token_uri(),
            Self::AuthorizedUser(user) => user.token_uri.as_deref().unwrap_or(TOKEN_URI),
            Self::ExternalAccount(account) => account.token_url(),
        }
    }
}

/// An access token.
pub(super) async fn fetch(
    credentials: &Credentials,
    identity: &GcpIdentity,
) -> Result<Issued, Unavailable> {
    match identity {
        GcpIdentity::Key(key) => {
            let file = parse(key.expose())?;
            // Whoever writes a Secret must not choose where the gateway sends what: neither tokens of
            // its machine to an address, nor requests into its network.
            if matches!(file, File::ExternalAccount(_)) {
                let what = "a key file that refers to the gateway's machine";
                return Err(Unavailable::Unusable(what));
            }
            if !is_googles(file.token_uri(), credentials.0.allow_loopback) {
                return Err(Unavailable::Unusable("a key file whose token_uri is not Google's"));
            }
            exchange(credentials, &file).await
        }
        GcpIdentity::Own => {
            let environment = &credentials.0.environment;
            match environment.get("GOOGLE_APPLICATION_CREDENTIALS") {
                Some(path) => {
                    let text = environment.file(&path).await?;
                    exchange(credentials, &parse(&text)?).await
                }
                None => metadata(credentials).await,
            }
        }
    }
}

/// Whether an address is Google's; in tests also the machine itself.
fn is_googles(address: &str, allow_loopback: bool) -> bool {
    let Ok(uri) = uri(address) else { return false };
    let host = uri.host().unwrap_or_default().to_ascii_lowercase();
    let is_google = host.ends_with(".googleapis.com") || host == "accounts.google.com";
    let is_here = address::check_host(&host, false) == Err(address::Refused::Loopback);
    (is_google && uri.scheme_str() == Some("https")) || (allow_loopback && is_here)
}

fn parse(text: &str) -> Result<File, Unavailable> {
    serde_json::from_str(text).map_err(|_| Unavailable::Unusable("a key file that cannot be read"))
}

async fn exchange(credentials: &Credentials, file: &File) -> Result<Issued, Unavailable> {
    let token = match file {
        File::ServiceAccount(key) => assertion::exchange(credentials, key).await?,
        File::AuthorizedUser(user) => refresh(credentials, user).await?,
        File::ExternalAccount(account) => {
            return federation::exchange(credentials, account).await;
        }
    };
    Ok(credentials.token(token.access_token, token.expires_in))
}

/// A user's refresh token for an access token (RFC 6749, 6).
async fn refresh(
    credentials: &Credentials,
    user: &AuthorizedUser,
) -> Result<form::Token, Unavailable> {
    let address = user.token_uri.as_deref().unwrap_or(TOKEN_URI);
    let fields = [
        ("grant_type", "refresh_token"),
        ("client_id", user.client_id.as_str()),
        ("client_secret", &user.client_secret),
        ("refresh_token", &user.refresh_token),
    ];
    let (request, _) = form::post(uri(address)?, &fields);
    form::token(&credentials.0.http, SERVER, request).await
}

/// The metadata server of Compute Engine and of GKE's Workload Identity. That the answer has its own
/// mark shows that nobody else answers in its place.
async fn metadata(credentials: &Credentials) -> Result<Issued, Unavailable> {
    let host = credentials.0.environment.get("GCE_METADATA_HOST");
    let host = host.as_deref().unwrap_or("metadata.google.internal");
    let path = "/computeMetadata/v1/instance/service-accounts/default/token";
    let mut request: Request<Full<Bytes>> = Request::new(Full::default());
    *request.uri_mut() = uri(&format!("http://{host}{path}"))?;
    let (flavor, google) =
        (HeaderName::from_static("metadata-flavor"), HeaderValue::from_static("Google"));
    request.headers_mut().insert(flavor.clone(), google.clone());
    let answer = credentials.0.http.send(METADATA, request).await?;
    if answer.headers.get(&flavor) != Some(&google) {
        return Err(Unavailable::Malformed(METADATA));
    }
    let token = form::read(METADATA, &answer)?;
    Ok(credentials.token(token.access_token, token.expires_in))
}
