//! The headers of direct calls, both ways. Endpoints have headers of their own, so everything is kept
//! but what belongs to one hop, to somebody's identity, or would make the call another one.

use http::{HeaderMap, HeaderName, HeaderValue, Uri, header};

use crate::{
    llm::Dialect,
    snapshot::{Credential, Endpoint, Provider},
};

use super::super::{
    attempt::{credential, key_header},
    identify::own_credential,
};

/// Belong to one hop (RFC 9110, 7.6.1), both ways.
const HOP_BY_HOP: [&str; 7] =
    ["connection", "keep-alive", "te", "trailer", "transfer-encoding", "upgrade", "expect"];
/// Of the caller's headers: its credentials and cookies, the choice of an account behind the
/// provider's key, what proxies before us say of it, what hyper writes itself, and what would change
/// the method.
const CALLERS_OWN: [&str; 31] = [
    "authorization",
    "x-api-key",
    "api-key",
    "x-goog-api-key",
    "authentication",
    "x-auth-token",
    "x-access-token",
    "ocp-apim-subscription-key",
    "cookie",
    "openai-organization",
    "openai-project",
    "x-goog-user-project",
    "x-goog-iam-authorization-token",
    "x-goog-iam-authority-selector",
    "host",
    "content-length",
    "accept-encoding",
    "forwarded",
    "via",
    "x-real-ip",
    "x-client-ip",
    "true-client-ip",
    "x-request-id",
    "origin",
    "referer",
    "x-http-method",
    "x-http-method-override",
    "x-method-override",
    "x-rewrite-url",
    "x-original-url",
    "x-original-uri",
];
/// The same by how they begin.
const CALLERS_OWN_PREFIXES: [&str; 6] =
    ["proxy-", "x-forwarded-", "x-sluice-", "x-amz-", "x-envoy-", "cf-"];
/// Of the provider's headers: what is about its account, its connection or its site.
const PROVIDERS_OWN: [&str; 9] = [
    "set-cookie",
    "alt-svc",
    "strict-transport-security",
    "www-authenticate",
    "openai-organization",
    "openai-project",
    "server",
    "via",
    "x-request-id",
];
/// The same by how they begin.
const PROVIDERS_OWN_PREFIXES: [&str; 2] = ["proxy-", "x-sluice-"];
/// Headers of answers that hold an address.
const ADDRESSES: [HeaderName; 3] =
    [header::LOCATION, header::CONTENT_LOCATION, HeaderName::from_static("operation-location")];
const ANTHROPIC_VERSION: HeaderName = HeaderName::from_static("anthropic-version");

/// The headers that go to the provider.
pub fn request(caller: &HeaderMap, provider: &Provider, key: Option<&Credential>) -> HeaderMap {
    let mut headers = kept(caller, &CALLERS_OWN, &CALLERS_OWN_PREFIXES);
    // Answers are looked at as they pass.
    headers.insert(header::ACCEPT_ENCODING, HeaderValue::from_static("identity"));
    let dialect = provider.main_dialect();
    if dialect == Dialect::Anthropic && !headers.contains_key(ANTHROPIC_VERSION) {
        headers.insert(ANTHROPIC_VERSION, HeaderValue::from_static("2023-06-01"));
    }
    for (name, value) in &provider.headers {
        headers.insert(name, value.clone());
    }
    headers.extend(match provider.is_passthrough() {
        true => own_credential(caller),
        false => key.and_then(|key| credential(key_header(provider, dialect), key)),
    });
    headers
}

/// The headers that go to the caller. Addresses below the provider's base URL become addresses below
/// `prefix`; others are left as they are.
pub fn response(upstream: &HeaderMap, provider: &Provider, prefix: &str) -> HeaderMap {
    let mut headers = kept(upstream, &PROVIDERS_OWN, &PROVIDERS_OWN_PREFIXES);
    if upstream.contains_key(header::TRANSFER_ENCODING) {
        // It was overridden (RFC 9112, 6.3), and would cut the body.
        headers.remove(header::CONTENT_LENGTH);
    }
    for name in ADDRESSES {
        let moved = headers.get(&name).and_then(|value| moved(value, &provider.endpoint, prefix));
        if let Some(moved) = moved {
            headers.insert(name, moved);
        }
    }
    headers
}

fn kept(headers: &HeaderMap, own: &[&str], prefixes: &[&str]) -> HeaderMap {
    let named: Vec<String> = headers
        .get_all(header::CONNECTION)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .map(|name| name.trim().to_ascii_lowercase())
        .collect();
    let mut kept = HeaderMap::with_capacity(headers.len());
    for (name, value) in headers {
        let text = name.as_str();
        let dropped = HOP_BY_HOP.contains(&text)
            || own.contains(&text)
            || prefixes.iter().any(|prefix| text.starts_with(prefix))
            || named.iter().any(|named| named == text);
        if !dropped {
            kept.append(name, value.clone());
        }
    }
    kept
}

/// An address of the provider as the gateway's own; `None` for all others.
fn moved(value: &HeaderValue, endpoint: &Endpoint, prefix: &str) -> Option<HeaderValue> {
    let Endpoint::Http { scheme, authority, base_path } = endpoint else { return None };
    let text = value.to_str().ok()?;
    let path = if text.starts_with('/') && !text.starts_with("//") {
        text.to_owned()
    } else {
        let uri: Uri = text.parse().ok()?;
        let is_same = uri.scheme() == Some(scheme) && uri.authority() == Some(authority);
        is_same.then(|| uri.path_and_query().map(ToString::to_string))??
    };
    let rest = path.strip_prefix(base_path.as_str())?;
    let is_below = rest.is_empty() || rest.starts_with(['/', '?', '#']);
    is_below.then(|| HeaderValue::from_str(&format!("{prefix}{rest}")).ok())?
}

#[cfg(test)]
mod tests {
    use http::uri::Scheme;

    use super::*;

    #[test]
    fn addresses_of_the_provider_lead_back_through_the_gateway() {
        let endpoint = Endpoint::Http {
            scheme: Scheme::HTTPS,
            authority: "api.example.com".parse().unwrap(),
            base_path: "/v1".into(),
        };
        let moved = |text: &str| {
            let value = HeaderValue::from_str(text).unwrap();
            moved(&value, &endpoint, "/providers/a/b")
                .map(|value| value.to_str().unwrap().to_owned())
        };
        let ours = Some("/providers/a/b/files/f?x=1".to_owned());
        assert_eq!(moved("https://api.example.com/v1/files/f?x=1"), ours);
        assert_eq!(moved("/v1/files/f?x=1"), ours);
        for other in [
            "http://api.example.com/v1/files",
            "https://cdn.example.com/v1/files",
            "https://api.example.com/v10/files",
            "//api.example.com/v1/files",
            "/v2/files",
            "files/f",
        ] {
            assert_eq!(moved(other), None, "{other}");
        }
    }

    #[test]
    fn what_the_connection_header_names_stays_on_its_hop() {
        let mut headers = HeaderMap::new();
        for (name, value) in
            [("connection", "close, X-Once"), ("x-once", "1"), ("x-kept", "1"), ("cookie", "c")]
        {
            headers.append(HeaderName::from_static(name), HeaderValue::from_static(value));
        }
        let kept = kept(&headers, &CALLERS_OWN, &CALLERS_OWN_PREFIXES);
        assert_eq!(kept.keys().map(HeaderName::as_str).collect::<Vec<_>>(), ["x-kept"]);
    }
}
