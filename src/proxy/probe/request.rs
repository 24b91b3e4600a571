//! The request of a check: one that costs nothing, the list of models where a provider has one. Where
//! it has none, that it says so is an answer as well.

use bytes::Bytes;
use http::{HeaderName, HeaderValue, Request, header};
use http_body_util::Full;

use super::super::attempt::{credential, key_header};
use crate::{
    llm::Dialect,
    snapshot::{Addressing, Credential, Endpoint, Provider},
};

/// The request; `None` where there is nowhere to send it.
pub fn of(provider: &Provider, key: Option<&Credential>) -> Option<Request<Full<Bytes>>> {
    let Endpoint::Http { scheme, authority, base_path } = &provider.endpoint else { return None };
    let uri = http::Uri::builder()
        .scheme(scheme.clone())
        .authority(authority.clone())
        .path_and_query(path(&provider.addressing, base_path))
        .build()
        .ok()?;
    let mut request = Request::new(Full::default());
    *request.uri_mut() = uri;
    let headers = request.headers_mut();
    headers.insert(header::ACCEPT, HeaderValue::from_static("application/json"));
    headers.insert(header::USER_AGENT, HeaderValue::from_static("sluice-probe"));
    let dialect = provider.main_dialect();
    if dialect == Dialect::Anthropic {
        let version = HeaderName::from_static("anthropic-version");
        headers.insert(version, HeaderValue::from_static("2023-06-01"));
    }
    for (name, value) in &provider.headers {
        headers.insert(name, value.clone());
    }
    headers.extend(key.and_then(|key| credential(key_header(provider, dialect), key)));
    Some(request)
}

/// Where the list of models is.
fn path(addressing: &Addressing, base: &str) -> String {
    match (addressing, addressing.dated_version()) {
        (_, Some(date)) => format!("{base}/openai/models?api-version={date}"),
        (Addressing::Azure { version: Some(name) }, None) => {
            format!("{base}/openai/v1/models?api-version={name}")
        }
        (Addressing::Azure { version: None }, None) => format!("{base}/openai/v1/models"),
        (Addressing::Cohere, None) => format!("{base}/v1/models"),
        (Addressing::Ollama, None) => format!("{base}/api/tags"),
        (
            Addressing::Plain | Addressing::Gemini | Addressing::Vertex | Addressing::Bedrock,
            None,
        ) => {
            format!("{base}/models")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_of_models_is_where_each_provider_has_it() {
        let azure = |version: Option<&str>| Addressing::Azure { version: version.map(Into::into) };
        assert_eq!(path(&Addressing::Plain, "/v1"), "/v1/models");
        assert_eq!(path(&Addressing::Gemini, "/v1beta"), "/v1beta/models");
        assert_eq!(path(&azure(None), ""), "/openai/v1/models");
        assert_eq!(path(&azure(Some("preview")), ""), "/openai/v1/models?api-version=preview");
        assert_eq!(path(&azure(Some("2024-10-21")), ""), "/openai/models?api-version=2024-10-21");
        assert_eq!(path(&Addressing::Cohere, ""), "/v1/models");
        assert_eq!(path(&Addressing::Ollama, ""), "/api/tags");
    }
}
