//! A service account's key for an access token: a signed assertion is exchanged (RFC 7523, 2.1).

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use rustls::{
    SignatureScheme,
    crypto::aws_lc_rs::sign::any_supported_type,
    pki_types::{PrivateKeyDer, pem::PemObject as _},
};
use serde::Deserialize;
use serde_json::json;
use zeroize::Zeroizing;

use super::{SCOPE, SERVER, TOKEN_URI};
use crate::credential::{Credentials, Unavailable, form, http::uri};

/// How long an assertion is valid, in seconds: Google's longest.
const LIFETIME: i64 = 3600;

/// The key of a service account, as the console writes it.
#[derive(Deserialize)]
pub(super) struct ServiceAccount {
    client_email: String,
    private_key: Zeroizing<String>,
    private_key_id: Option<String>,
    token_uri: Option<String>,
}

impl ServiceAccount {
    /// Where the assertion is exchanged.
    pub(super) fn token_uri(&self) -> &str {
        self.token_uri.as_deref().unwrap_or(TOKEN_URI)
    }
}

/// Exchanges an assertion for an access token.
pub(super) async fn exchange(
    credentials: &Credentials,
    key: &ServiceAccount,
) -> Result<form::Token, Unavailable> {
    let now = credentials.now().as_second();
    let assertion =
        sign(key, now).ok_or(Unavailable::Unusable("a private key that cannot sign"))?;
    let grant = "urn:ietf:params:oauth:grant-type:jwt-bearer";
    let fields = [("grant_type", grant), ("assertion", assertion.as_str())];
    let (request, _) = form::post(uri(key.token_uri())?, &fields);
    form::token(&credentials.0.http, SERVER, request).await
}

/// The assertion: a JWT signed with RS256 (RFC 7518, 3.3).
fn sign(key: &ServiceAccount, now: i64) -> Option<Zeroizing<String>> {
    let header = json!({ "alg": "RS256", "typ": "JWT", "kid": key.private_key_id });
    let claims = json!({
        "iss": key.client_email,
        "scope": SCOPE,
        "aud": key.token_uri(),
        "iat": now,
        "exp": now + LIFETIME,
    });
    let part = |value: serde_json::Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let mut text = Zeroizing::new(format!("{}.{}", part(header), part(claims)));
    let private = PrivateKeyDer::from_pem_slice(key.private_key.as_bytes()).ok()?;
    let signer = any_supported_type(&private).ok()?;
    let signer = signer.choose_scheme(&[SignatureScheme::RSA_PKCS1_SHA256])?;
    let signature = signer.sign(text.as_bytes()).ok()?;
    text.push('.');
    URL_SAFE_NO_PAD.encode_string(signature, &mut text);
    Some(text)
}
