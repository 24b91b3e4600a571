//! The handshake of a session: what is taken of the caller's, and what goes to the provider
//! (RFC 6455, 4). The caller's key and the provider's answer to it pass through, so that the caller
//! itself checks that a WebSocket server has answered.

use http::{
    HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Version, header, request::Parts,
};

use crate::{
    llm::{Dialect, ErrorKind, endpoint::decoded},
    snapshot::{Addressing, Credential, Provider},
};

use super::super::{
    attempt::{credential, key_header},
    identify::own_credential,
    respond::Rejection,
};

/// How browsers, which cannot set headers, send their key: as a subprotocol.
const KEY_PROTOCOL: &str = "openai-insecure-api-key.";
/// The subprotocol of sessions.
const REALTIME: &str = "realtime";
/// What is forwarded of the caller's headers.
const FORWARDED: [HeaderName; 7] = [
    header::USER_AGENT,
    header::SEC_WEBSOCKET_KEY,
    header::SEC_WEBSOCKET_VERSION,
    HeaderName::from_static("openai-beta"),
    HeaderName::from_static("openai-safety-identifier"),
    HeaderName::from_static("traceparent"),
    HeaderName::from_static("tracestate"),
];

/// What the caller asks for.
#[derive(Debug)]
pub struct Asked {
    /// The model.
    pub model: String,
    /// The query's other part that is forwarded: `&intent=...`, or nothing.
    intent: String,
    /// Subprotocols that are forwarded.
    protocols: Vec<String>,
}

/// Reads the caller's handshake.
///
/// # Errors
/// 400 without a model, 426 for what is no handshake.
pub fn read(head: &Parts) -> Result<Asked, Rejection> {
    let has = |name, token: &str| {
        tokens(&head.headers, name).any(|found| found.eq_ignore_ascii_case(token))
    };
    let is_handshake = head.method == Method::GET
        && head.version == Version::HTTP_11
        && has(header::CONNECTION, "upgrade")
        && has(header::UPGRADE, "websocket")
        && has(header::SEC_WEBSOCKET_VERSION, "13")
        && head.headers.contains_key(header::SEC_WEBSOCKET_KEY);
    if !is_handshake {
        let message = "this path takes WebSockets only: connect with a WebSocket client, version 13 \
                       over HTTP/1.1";
        let status = StatusCode::UPGRADE_REQUIRED;
        let kind = ErrorKind::InvalidRequest;
        return Err(Rejection::refuse(status, kind, "upgrade_required", message));
    }
    let query = head.uri.query().unwrap_or_default();
    let value = |wanted: &str| {
        let mut pairs = query.split('&').filter_map(|pair| pair.split_once('='));
        pairs.find(|(name, _)| *name == wanted).map(|(_, value)| value)
    };
    let model = value("model").map(|model| decoded(model).into_owned());
    let Some(model) = model.filter(|model| !model.is_empty()) else {
        let message = "the model is missing: connect to /v1/realtime?model=MODEL";
        let kind = ErrorKind::InvalidRequest;
        return Err(Rejection::refuse(StatusCode::BAD_REQUEST, kind, "invalid_request", message));
    };
    // Nothing else is: another parameter could join a call of somebody else, or name another model.
    let intent = value("intent").filter(|text| text.bytes().all(|b| b.is_ascii_alphanumeric()));
    Ok(Asked {
        model,
        intent: intent.map(|intent| format!("&intent={intent}")).unwrap_or_default(),
        protocols: tokens(&head.headers, header::SEC_WEBSOCKET_PROTOCOL)
            .filter(|protocol| *protocol == REALTIME || protocol.starts_with("openai-beta."))
            .map(str::to_owned)
            .collect(),
    })
}

/// The headers by which the caller is known: with the key among the subprotocols as if it had been
/// sent in a header, unless there is one.
pub fn credentials(headers: &HeaderMap) -> HeaderMap {
    let mut headers = headers.clone();
    let names = ["x-sluice-api-key", "authorization", "x-api-key", "api-key", "x-goog-api-key"];
    if names.iter().any(|name| headers.contains_key(*name)) {
        return headers;
    }
    let key = tokens(&headers, header::SEC_WEBSOCKET_PROTOCOL)
        .find_map(|protocol| protocol.strip_prefix(KEY_PROTOCOL))
        .and_then(|key| HeaderValue::from_str(&format!("Bearer {key}")).ok());
    if let Some(key) = key {
        headers.insert(header::AUTHORIZATION, key);
    }
    headers
}

/// Path and query at the provider, whose base path is `base`. Azure has another place for it, and with
/// a dated version the deployment beside it (`_configure_realtime` of OpenAI's SDK for Azure).
pub fn path(addressing: &Addressing, base: &str, (asked, model): (&Asked, &str)) -> String {
    let (model, intent) = (encoded(model), &asked.intent);
    match (addressing, addressing.dated_version()) {
        (_, Some(date)) => {
            format!("{base}/openai/realtime?api-version={date}&deployment={model}{intent}")
        }
        (Addressing::Azure { version }, None) => {
            let version = version.iter().map(|name| format!("&api-version={name}"));
            let version = version.collect::<String>();
            format!("{base}/openai/v1/realtime?model={model}{intent}{version}")
        }
        _ => format!("{base}/realtime?model={model}{intent}"),
    }
}

fn encoded(model: &str) -> String {
    let mut encoded = String::with_capacity(model.len());
    for byte in model.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                encoded.push(char::from(byte));
            }
            other => encoded.push_str(&format!("%{other:02X}")),
        }
    }
    encoded
}

/// The headers that go to the provider. No extension is asked for: frames must be readable.
pub fn request(
    caller: &HeaderMap,
    asked: &Asked,
    (provider, key): (&Provider, Option<&Credential>),
) -> HeaderMap {
    let mut headers = HeaderMap::with_capacity(16);
    for name in FORWARDED {
        if let Some(value) = caller.get(&name) {
            headers.insert(name, value.clone());
        }
    }
    if let Ok(protocols) = HeaderValue::from_str(&asked.protocols.join(", "))
        && !protocols.is_empty()
    {
        headers.insert(header::SEC_WEBSOCKET_PROTOCOL, protocols);
    }
    for (name, value) in &provider.headers {
        headers.insert(name, value.clone());
    }
    headers.insert(header::CONNECTION, HeaderValue::from_static("Upgrade"));
    headers.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
    headers.extend(match provider.is_passthrough() {
        true => own_credential(caller),
        false => key.and_then(|key| credential(key_header(provider, Dialect::OpenAi), key)),
    });
    headers
}

/// The headers of the answer to the caller, given the provider's.
pub fn response(upstream: &HeaderMap, asked: &Asked) -> HeaderMap {
    let mut headers = HeaderMap::with_capacity(8);
    headers.insert(header::CONNECTION, HeaderValue::from_static("Upgrade"));
    headers.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
    if let Some(accept) = upstream.get(header::SEC_WEBSOCKET_ACCEPT) {
        headers.insert(header::SEC_WEBSOCKET_ACCEPT, accept.clone());
    }
    let chosen = upstream.get(header::SEC_WEBSOCKET_PROTOCOL).cloned();
    // Browsers give up a connection on which none of what they offered was chosen.
    let first = || HeaderValue::from_str(asked.protocols.first()?).ok();
    if let Some(protocol) = chosen.or_else(first) {
        headers.insert(header::SEC_WEBSOCKET_PROTOCOL, protocol);
    }
    headers
}

/// The elements of a header that is a list.
fn tokens(headers: &HeaderMap, name: HeaderName) -> impl Iterator<Item = &str> {
    let values = headers.get_all(name).into_iter().filter_map(|value| value.to_str().ok());
    values.flat_map(|value| value.split(',')).map(str::trim).filter(|token| !token.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn head(uri: &str, protocols: &'static str) -> Parts {
        let request = http::Request::builder()
            .uri(uri)
            .header("connection", "keep-alive, Upgrade")
            .header("upgrade", "WebSocket")
            .header("sec-websocket-version", "13")
            .header("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ==")
            .header("sec-websocket-protocol", protocols);
        request.body(()).unwrap().into_parts().0
    }

    #[test]
    fn only_the_model_and_the_intent_of_a_query_count() {
        let uri = "/v1/realtime?model=a%2Fb&intent=transcription&call_id=c&model=other&key=sk";
        let asked = read(&head(uri, "realtime")).unwrap();
        assert_eq!(asked.model, "a/b");
        assert_eq!(
            path(&Addressing::Plain, "/v1", (&asked, "gpt x&model=y")),
            "/v1/realtime?model=gpt%20x%26model%3Dy&intent=transcription"
        );
        for (version, there) in [
            (None, "/openai/v1/realtime?model=d&intent=transcription"),
            (
                Some("preview"),
                "/openai/v1/realtime?model=d&intent=transcription&api-version=preview",
            ),
            (
                Some("2025-04-01-preview"),
                "/openai/realtime?api-version=2025-04-01-preview&deployment=d&intent=transcription",
            ),
        ] {
            let azure = Addressing::Azure { version: version.map(Into::into) };
            assert_eq!(path(&azure, "", (&asked, "d")), there);
        }
        assert_eq!(read(&head("/v1/realtime?model=", "")).unwrap_err().error.status, 400);
    }

    #[test]
    fn what_is_no_handshake_is_told_so() {
        for name in ["connection", "upgrade", "sec-websocket-version", "sec-websocket-key"] {
            let mut head = head("/v1/realtime?model=m", "");
            head.headers.remove(name);
            assert_eq!(read(&head).unwrap_err().error.status, 426, "{name}");
        }
        let mut h2 = head("/v1/realtime?model=m", "");
        h2.version = Version::HTTP_2;
        assert_eq!(read(&h2).unwrap_err().error.status, 426);
    }

    #[test]
    fn the_key_among_the_subprotocols_is_a_credential_and_goes_no_further() {
        let protocols = "realtime, openai-insecure-api-key.sk-1, openai-beta.realtime-v1, other";
        let head = head("/v1/realtime?model=m", protocols);
        assert_eq!(credentials(&head.headers)["authorization"], "Bearer sk-1");
        let asked = read(&head).unwrap();
        assert_eq!(asked.protocols, ["realtime", "openai-beta.realtime-v1"]);
        assert_eq!(response(&HeaderMap::new(), &asked)["sec-websocket-protocol"], "realtime");
        let mut both = head.headers.clone();
        both.insert("x-api-key", HeaderValue::from_static("sk-2"));
        assert!(!credentials(&both).contains_key("authorization"));
    }
}
