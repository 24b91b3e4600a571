//! What token servers have in common: a form that is posted, and an answer of OAuth 2.0 (RFC 6749).

use bytes::Bytes;
use http::{HeaderValue, Method, Request, Uri, header};
use http_body_util::Full;
use serde::Deserialize;
use zeroize::Zeroizing;

use super::{
    Unavailable,
    http::{Answer, Http},
};

/// A POST of form fields, in a buffer that is wiped.
pub(super) fn post(uri: Uri, fields: &[(&str, &str)]) -> (Request<Full<Bytes>>, Bytes) {
    let mut form = form_urlencoded::Serializer::new(String::new());
    let text = Zeroizing::new(form.extend_pairs(fields).finish().into_bytes());
    let body = Bytes::from_owner(text);
    let mut request = Request::new(Full::new(body.clone()));
    *request.method_mut() = Method::POST;
    *request.uri_mut() = uri;
    let form = HeaderValue::from_static("application/x-www-form-urlencoded");
    request.headers_mut().insert(header::CONTENT_TYPE, form);
    (request, body)
}

/// A successful answer of a token server (RFC 6749, 5.1).
#[derive(Deserialize)]
pub(super) struct Token {
    pub(super) access_token: String,
    /// Seconds. Azure's metadata service writes it as a text.
    #[serde(deserialize_with = "seconds")]
    pub(super) expires_in: u64,
}

fn seconds<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
    let value = serde_json::Value::deserialize(deserializer)?;
    let number = value.as_u64().or_else(|| value.as_str()?.parse().ok());
    number.ok_or_else(|| serde::de::Error::custom("no number of seconds"))
}

/// Asks a token server.
pub(super) async fn token(
    http: &Http,
    server: &'static str,
    request: Request<Full<Bytes>>,
) -> Result<Token, Unavailable> {
    read(server, &http.send(server, request).await?)
}

/// Reads a token server's answer.
pub(super) fn read(server: &'static str, answer: &Answer) -> Result<Token, Unavailable> {
    if answer.status.is_success() {
        return serde_json::from_slice(&answer.body).map_err(|_| Unavailable::Malformed(server));
    }
    Err(refused(server, answer))
}

/// A refusal (RFC 6749, 5.2), also in the form of Google's APIs (`{"error": {"status": ..}}`).
pub(super) fn refused(server: &'static str, answer: &Answer) -> Unavailable {
    let value: serde_json::Value = serde_json::from_slice(&answer.body).unwrap_or_default();
    let error = value.get("error");
    let code = error.and_then(|error| error.as_str().or_else(|| error.get("status")?.as_str()));
    Unavailable::refused(server, answer.status.as_u16(), code)
}
