//! Who is calling: from a credential in the headers to a consumer.

use std::{borrow::Cow, sync::Arc};

use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use jiff::Timestamp;

use crate::{
    llm::{ErrorKind, endpoint::decoded},
    snapshot::{Consumer, ConsumerTable},
};

use super::respond::Rejection;

/// Where SDKs put their key, besides `Authorization: Bearer`.
const KEY_HEADERS: [HeaderName; 3] = [
    HeaderName::from_static("x-api-key"),
    HeaderName::from_static("api-key"),
    HeaderName::from_static("x-goog-api-key"),
];
/// Where a caller puts the gateway's key that keeps the others for its own credential of a provider.
const GATEWAY_KEY: HeaderName = HeaderName::from_static("x-sluice-api-key");

/// Where Google's older clients put it in the query. It is never recorded or forwarded.
const QUERY_KEY: &str = "key";

/// The consumer of a request; `None` where it carries no credential. `query`: the URL's, where a key may
/// stand if no header has one.
///
/// # Errors
/// 401 if it carries one that nobody has, or that has expired. The answer is the same for a key that
/// never existed and for one that was deleted.
pub fn identify(
    consumers: &ConsumerTable,
    headers: &HeaderMap,
    query: Option<&str>,
    now: Timestamp,
) -> Result<Option<Arc<Consumer>>, Rejection> {
    let in_query = || in_query(query?).map(|key| Cow::Owned(key.into_owned().into_bytes()));
    let Some(key) = credential(headers).map(Cow::Borrowed).or_else(in_query) else {
        return Ok(None);
    };
    let Some(consumer) = consumers.get(&key) else {
        return Err(unauthorized(
            "the API key is not known to this gateway: check that the client sends a key of a \
             Secret of type sluice.dev/api-key",
        ));
    };
    match consumer.expires {
        Some(expires) if expires <= now => Err(unauthorized(format!(
            "the API key expired at {expires}: ask for a new one, or extend the Secret's annotation \
             sluice.dev/expires"
        ))),
        _ => Ok(Some(Arc::clone(consumer))),
    }
}

/// The answer to a request without a key where nothing is open to everybody.
pub fn key_missing() -> Rejection {
    unauthorized("no API key was sent: send one as \"Authorization: Bearer KEY\", or as x-api-key")
}

/// The caller's own credential for the provider, where it has sent the gateway's key apart from it. The
/// gateway's key in both places is none.
pub fn own_credential(headers: &HeaderMap) -> Option<(HeaderName, HeaderValue)> {
    let gateways = headers.get(GATEWAY_KEY)?.as_bytes().trim_ascii();
    let mut names = std::iter::once(header::AUTHORIZATION).chain(KEY_HEADERS);
    let (name, mut value) =
        names.find_map(|name| headers.get(&name).cloned().map(|value| (name, value)))?;
    value.set_sensitive(true);
    (key_of(&value) != gateways && !is_of_connection(&value)).then_some((name, value))
}

/// Takes keys of this gateway from where the caller's own credential for a provider may stand: a key of
/// another consumer is no less a secret than the one that the caller was identified by.
pub fn withhold_keys(headers: &mut HeaderMap, consumers: &ConsumerTable) {
    if !headers.contains_key(GATEWAY_KEY) {
        return;
    }
    for name in std::iter::once(header::AUTHORIZATION).chain(KEY_HEADERS) {
        let mut values = headers.get_all(&name).iter();
        if values.any(|value| consumers.get(key_of(value)).is_some()) {
            headers.remove(name);
        }
    }
}

/// Whether the scheme authenticates a connection and not a request (RFC 4559, 6): callers share
/// connections.
fn is_of_connection(value: &HeaderValue) -> bool {
    let scheme = value.as_bytes().split(|byte| *byte == b' ').next().unwrap_or_default();
    [&b"negotiate"[..], b"ntlm"].iter().any(|known| scheme.eq_ignore_ascii_case(known))
}

/// The answer to who calls a provider that takes the caller's own credential, without one.
pub fn own_credential_missing() -> Rejection {
    let message = "this model's provider takes the caller's own credential: send the gateway's key as \
                   x-sluice-api-key, and the provider's where the client puts its key";
    let (status, kind) = (StatusCode::UNAUTHORIZED, ErrorKind::Authentication);
    Rejection::refuse(status, kind, "provider_credential_missing", message)
}

fn unauthorized(message: impl Into<String>) -> Rejection {
    Rejection::refuse(
        StatusCode::UNAUTHORIZED,
        ErrorKind::Authentication,
        "invalid_api_key",
        message,
    )
}

/// The credential as it was sent. An `Authorization` of another scheme is a credential too: it is
/// refused, not ignored.
fn credential(headers: &HeaderMap) -> Option<&[u8]> {
    if let Some(value) = headers.get(GATEWAY_KEY) {
        return Some(value.as_bytes().trim_ascii());
    }
    if let Some(value) = headers.get(header::AUTHORIZATION) {
        return Some(key_of(value));
    }
    KEY_HEADERS.iter().find_map(|name| headers.get(name)).map(|value| value.as_bytes())
}

/// The key in a query.
fn in_query(query: &str) -> Option<Cow<'_, str>> {
    let mut pairs = query.split('&').filter_map(|pair| pair.split_once('='));
    pairs.find(|(name, _)| *name == QUERY_KEY).map(|(_, value)| decoded(value))
}

/// The key in a header, with or without the scheme.
pub fn key_of(value: &HeaderValue) -> &[u8] {
    let value = value.as_bytes().trim_ascii();
    match value.split_at_checked(7) {
        Some((scheme, key)) if scheme.eq_ignore_ascii_case(b"bearer ") => key.trim_ascii(),
        _ => value,
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::snapshot::{KeyDigest, ObjectName};

    fn consumers(expires: Option<Timestamp>) -> ConsumerTable {
        let consumer = Consumer {
            name: ObjectName::new("team", "key"),
            labels: Default::default(),
            app: None,
            team: None,
            environment: None,
            expires,
        };
        let mut table = ConsumerTable::default();
        table.insert(KeyDigest::of(b"sk-1"), consumer).unwrap();
        table
    }

    fn by(name: &'static str, value: &str) -> Result<Option<Arc<Consumer>>, Rejection> {
        let mut headers = HeaderMap::new();
        headers.insert(name, value.parse().unwrap());
        identify(&consumers(None), &headers, None, Timestamp::UNIX_EPOCH)
    }

    #[test]
    fn the_gateways_key_apart_leaves_the_others_to_the_provider() {
        let mut headers = HeaderMap::new();
        headers.insert("authorization", "Bearer theirs".parse().unwrap());
        assert_eq!(own_credential(&headers), None);
        headers.insert("x-sluice-api-key", "sk-1".parse().unwrap());
        assert!(
            identify(&consumers(None), &headers, None, Timestamp::UNIX_EPOCH).unwrap().is_some()
        );
        let (name, value) = own_credential(&headers).unwrap();
        assert_eq!((name.as_str(), value.to_str().unwrap()), ("authorization", "Bearer theirs"));
        assert!(value.is_sensitive());
        for scheme in ["Negotiate YII=", "ntlm TlRM"] {
            headers.insert("authorization", scheme.parse().unwrap());
            assert_eq!(own_credential(&headers), None, "{scheme} is of a connection");
        }
        headers.insert("x-sluice-api-key", "wrong".parse().unwrap());
        assert!(identify(&consumers(None), &headers, None, Timestamp::UNIX_EPOCH).is_err());
        for (name, value) in [("authorization", "bearer  sk-1"), ("x-api-key", "sk-1")] {
            let mut both = HeaderMap::new();
            both.insert("x-sluice-api-key", "sk-1".parse().unwrap());
            both.insert(name, value.parse().unwrap());
            assert_eq!(own_credential(&both), None, "{name}");
        }
    }

    #[test]
    fn every_sdk_finds_its_header() {
        for (name, value) in [
            ("authorization", "Bearer sk-1"),
            ("authorization", "bearer  sk-1 "),
            ("x-api-key", "sk-1"),
            ("api-key", "sk-1"),
            ("x-goog-api-key", "sk-1"),
        ] {
            assert!(by(name, value).unwrap().is_some(), "{name}: {value}");
        }
    }

    #[test]
    fn unknown_keys_and_schemes_are_refused() {
        for (name, value) in
            [("authorization", "Bearer nope"), ("authorization", "Basic c2s="), ("x-api-key", "")]
        {
            assert_eq!(by(name, value).unwrap_err().error.status, 401);
        }
    }

    #[test]
    fn a_key_in_the_query_counts_where_no_header_has_one() {
        let by = |headers: &HeaderMap, query| {
            identify(&consumers(None), headers, Some(query), Timestamp::UNIX_EPOCH)
        };
        let mut headers = HeaderMap::new();
        for query in ["key=sk-1", "alt=sse&key=sk%2d1", "key=sk-1&key=other"] {
            assert!(by(&headers, query).unwrap().is_some(), "{query}");
        }
        assert!(by(&headers, "alt=sse&api_key=sk-1").unwrap().is_none());
        assert_eq!(by(&headers, "key=other").unwrap_err().error.status, 401);
        headers.insert("x-api-key", "nope".parse().unwrap());
        assert_eq!(by(&headers, "key=sk-1").unwrap_err().error.status, 401);
    }

    #[test]
    fn no_credential_is_nobody() {
        let nobody = identify(&consumers(None), &HeaderMap::new(), None, Timestamp::UNIX_EPOCH);
        assert!(nobody.unwrap().is_none());
    }

    #[test]
    fn expired_keys_are_refused_from_the_very_instant() {
        let expires = Timestamp::UNIX_EPOCH + Duration::from_secs(10);
        let mut headers = HeaderMap::new();
        headers.insert("x-api-key", "sk-1".parse().unwrap());
        let at = |seconds| {
            let now = Timestamp::UNIX_EPOCH + Duration::from_secs(seconds);
            identify(&consumers(Some(expires)), &headers, None, now)
        };
        assert!(at(9).is_ok());
        let refused = at(10).unwrap_err().error;
        assert!(refused.message.contains("expired at 1970-01-01T00:00:10Z"), "{}", refused.message);
    }
}
