//! The headers of a request to a provider. The caller's are forwarded by an allow-list: its key, its
//! cookies and whatever a proxy before us added are nobody else's business.

use http::{HeaderMap, HeaderName, HeaderValue, header};

use crate::{
    llm::{Dialect, UpstreamRequest},
    route::translated::ANTHROPIC_BETA,
    snapshot::{Addressing, Credential, KeyHeader, Provider},
};

use super::{
    super::{
        identify::{key_of, own_credential},
        select::Candidate,
    },
    Call,
};

/// Forwarded whatever the dialects are.
const FORWARDED: [HeaderName; 4] = [
    header::ACCEPT,
    header::USER_AGENT,
    HeaderName::from_static("traceparent"),
    HeaderName::from_static("tracestate"),
];
/// Forwarded if both sides speak Anthropic.
const ANTHROPIC: [HeaderName; 2] = [ANTHROPIC_VERSION, ANTHROPIC_BETA];
/// Forwarded if both sides speak OpenAI.
const OPENAI: [HeaderName; 1] = [HeaderName::from_static("openai-beta")];
/// Room for the headers of most requests: a connection keeps the map for as long as it lives.
const USUAL_HEADERS: usize = 6;
/// Forwarded if both sides speak Gemini.
const GEMINI: [HeaderName; 2] =
    [HeaderName::from_static("x-goog-api-client"), HeaderName::from_static("x-server-timeout")];
const ANTHROPIC_VERSION: HeaderName = HeaderName::from_static("anthropic-version");

/// The headers for one try.
pub fn headers(
    call: &Call,
    candidate: &Candidate,
    translated: &UpstreamRequest,
    key: Option<&Credential>,
) -> HeaderMap {
    let upstream = candidate.translator.upstream();
    let mut headers = HeaderMap::with_capacity(USUAL_HEADERS);
    let mut forward = |names: &[HeaderName]| {
        for name in names {
            if let Some(value) = call.headers.get(name) {
                headers.insert(name, value.clone());
            }
        }
    };
    forward(&FORWARDED);
    if candidate.translator.is_passthrough() {
        match upstream {
            Dialect::OpenAi | Dialect::Responses => forward(&OPENAI),
            Dialect::Anthropic => forward(&ANTHROPIC),
            Dialect::Gemini => forward(&GEMINI),
            Dialect::Bedrock | Dialect::Mistral | Dialect::Cohere | Dialect::Ollama => {}
        }
    }
    headers.insert(header::CONTENT_TYPE, content_type(call));
    // Answers are scanned as they pass.
    headers.insert(header::ACCEPT_ENCODING, HeaderValue::from_static("identity"));
    if upstream == Dialect::Anthropic
        && (!headers.contains_key(ANTHROPIC_VERSION) || sets_sampling(candidate))
    {
        headers.insert(ANTHROPIC_VERSION, HeaderValue::from_static("2023-06-01"));
    }
    for (name, value) in translated.headers {
        headers.insert(HeaderName::from_static(name), HeaderValue::from_static(value));
    }
    for (name, value) in &candidate.target.provider.headers {
        headers.insert(name, value.clone());
    }
    let key_header = key_header(&candidate.target.provider, upstream);
    let credential = match candidate.target.provider.is_passthrough() {
        true => own_credential(&call.headers).and_then(|own| {
            // A client of the provider's own dialect knows where it goes.
            let is_at_home = candidate.translator.is_passthrough();
            if is_at_home { Some(own) } else { placed(key_header, &own.1) }
        }),
        false => key.and_then(|key| credential(key_header, key)),
    };
    headers.extend(credential);
    headers
}

/// What the body is: a form keeps its boundary.
fn content_type(call: &Call) -> HeaderValue {
    let form = call.peek.form.as_ref().map(|form| HeaderValue::try_from(form.content_type()));
    let json = HeaderValue::from_static("application/json");
    form.and_then(Result::ok).unwrap_or(json)
}

/// A caller's credential where the provider takes keys.
fn placed(header: KeyHeader, own: &HeaderValue) -> Option<(HeaderName, HeaderValue)> {
    carried(header, std::str::from_utf8(key_of(own)).ok()?)
}

/// Whether the route sets a parameter that later versions of Anthropic's API refuse.
fn sets_sampling(candidate: &Candidate) -> bool {
    candidate.target.parameters.as_ref().is_some_and(|parameters| {
        ["temperature", "top_p", "top_k"].iter().any(|name| {
            parameters.set.contains_key(*name) || parameters.default.contains_key(*name)
        })
    })
}

/// The header of a key. Where Gemini speaks OpenAI's dialect it also takes keys as OpenAI does.
pub fn key_header(provider: &Provider, upstream: Dialect) -> KeyHeader {
    match (&provider.addressing, upstream) {
        (Addressing::Gemini, Dialect::OpenAi) => KeyHeader::Bearer,
        _ => provider.key_header,
    }
}

/// A key as the provider takes it.
pub fn credential(header: KeyHeader, key: &Credential) -> Option<(HeaderName, HeaderValue)> {
    carried(header, key.key.expose())
}

fn carried(header: KeyHeader, key: &str) -> Option<(HeaderName, HeaderValue)> {
    let (name, value) = match header {
        KeyHeader::Bearer => {
            (header::AUTHORIZATION, HeaderValue::try_from(["Bearer ", key].concat()))
        }
        KeyHeader::XApiKey => (HeaderName::from_static("x-api-key"), HeaderValue::from_str(key)),
        KeyHeader::ApiKey => (HeaderName::from_static("api-key"), HeaderValue::from_str(key)),
        KeyHeader::XGoogApiKey => {
            (HeaderName::from_static("x-goog-api-key"), HeaderValue::from_str(key))
        }
    };
    let mut value = value.ok()?;
    value.set_sensitive(true);
    Some((name, value))
}
