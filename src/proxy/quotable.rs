//! The credentials that went out with a try, so that a provider that quotes one in its answer does not
//! hand it to the caller or to the log. Addresses of the owner's network go with them.

use bytes::Bytes;
use http::{HeaderMap, HeaderValue};

use crate::llm::ApiError;

use super::internal::without_addresses;

/// What a credential is replaced by.
const MASK: &str = "[key]";

/// The values of the headers that were marked as sensitive.
#[derive(Clone, Debug, Default)]
pub struct Quotable(Vec<HeaderValue>);

impl Quotable {
    /// The credentials among the headers of a request to a provider.
    pub fn of(headers: &HeaderMap) -> Self {
        Self(headers.values().filter(|value| value.is_sensitive()).cloned().collect())
    }

    /// Without the scheme: `Bearer` is no secret.
    fn secrets(&self) -> impl Iterator<Item = &str> {
        let texts = self.0.iter().filter_map(|value| value.to_str().ok());
        let secrets = texts.map(|text| text.rsplit(' ').next().unwrap_or_default());
        secrets.filter(|secret| !secret.is_empty())
    }

    /// Takes the credentials and internal addresses out of a text.
    pub fn mask(&self, text: &mut String) {
        if let Some(masked) = without_addresses(text) {
            *text = masked;
        }
        for secret in self.secrets() {
            if text.contains(secret) {
                *text = text.replace(secret, MASK);
            }
        }
    }

    /// Takes them out of all that an error says.
    pub fn mask_error(&self, error: &mut ApiError) {
        self.mask(&mut error.message);
        if let Some(param) = &mut error.param {
            self.mask(param);
        }
        if self.secrets().any(|secret| error.code.contains(secret)) {
            self.mask(error.code.to_mut());
        }
    }

    /// Takes them out of bytes that need not be text.
    pub fn mask_bytes(&self, mut bytes: Bytes) -> Bytes {
        for secret in self.secrets() {
            while let Some(at) = memchr::memmem::find(&bytes, secret.as_bytes()) {
                bytes =
                    [&bytes[..at], MASK.as_bytes(), &bytes[at + secret.len()..]].concat().into();
            }
        }
        match str::from_utf8(&bytes).ok().and_then(without_addresses) {
            Some(masked) => masked.into(),
            None => bytes,
        }
    }
}

#[cfg(test)]
mod tests {
    use http::{StatusCode, header};

    use super::*;
    use crate::llm::ErrorKind;

    fn quotable() -> Quotable {
        let mut headers = HeaderMap::new();
        let mut value = HeaderValue::from_static("Bearer sk-1");
        value.set_sensitive(true);
        headers.insert(header::AUTHORIZATION, value);
        headers.insert(header::ACCEPT, HeaderValue::from_static("text/plain"));
        Quotable::of(&headers)
    }

    #[test]
    fn a_quoted_credential_is_taken_out_of_every_part_of_an_error() {
        let (status, kind) = (StatusCode::BAD_REQUEST, ErrorKind::InvalidRequest);
        let mut error = ApiError::new(status, kind, "c-sk-1", "Bearer sk-1, sk-1 for text/plain");
        error.param = Some("p.sk-1".to_owned());
        quotable().mask_error(&mut error);
        assert_eq!(error.message, "Bearer [key], [key] for text/plain");
        assert_eq!((&*error.code, error.param.as_deref()), ("c-[key]", Some("p.[key]")));
    }

    #[test]
    fn bytes_are_masked_whatever_else_they_hold() {
        let masked = quotable().mask_bytes(Bytes::from_static(b"\xffsk-1sk-1\xfe"));
        assert_eq!(masked, &b"\xff[key][key]\xfe"[..]);
        assert_eq!(Quotable::default().mask_bytes(Bytes::from_static(b"sk-1")), "sk-1");
    }
}
