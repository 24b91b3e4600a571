//! The path of a request to a provider: its base path, what its type puts between, and the dialect's
//! own path.

use std::borrow::Cow;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use crate::{
    llm::{Dialect, claude_on_vertex},
    snapshot::Addressing,
};

/// All but what RFC 3986 (2.3) calls unreserved: a model must stay one segment, and AWS signs paths
/// in this form.
const SEGMENT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// What a path is made for.
#[derive(Clone, Copy, Debug)]
pub struct Call<'a> {
    /// The dialect that is spoken.
    pub dialect: Dialect,
    /// The dialect's own path, for a base URL that ends in the version.
    pub path: &'a str,
    /// The model's name at the provider.
    pub model: &'a str,
    /// Whether the answer is streamed.
    pub stream: bool,
}

/// Path and query of a request. Providers with a dialect of their own have OpenAI's in another place.
pub fn path_and_query(addressing: &Addressing, base: &str, call: Call<'_>) -> String {
    let path = call.path;
    match (addressing, call.dialect) {
        (Addressing::Plain, _) => [base, path].concat(),
        (Addressing::Azure { version }, _) => match (addressing.dated_version(), version) {
            (Some(date), _) => deployment(base, date, call),
            // The v1 API knows versions by name only.
            (None, Some(name)) => format!("{base}/openai/v1{path}?api-version={name}"),
            (None, None) => format!("{base}/openai/v1{path}"),
        },
        (Addressing::Gemini, Dialect::OpenAi) => format!("{base}/openai{path}"),
        (Addressing::Vertex, Dialect::OpenAi) => format!("{base}/endpoints/openapi{path}"),
        (Addressing::Bedrock, Dialect::OpenAi) => format!("{base}/openai/v1{path}"),
        (Addressing::Cohere, Dialect::OpenAi) => format!("{base}/compatibility/v1{path}"),
        (Addressing::Vertex, Dialect::Anthropic) => {
            format!("{base}{}", claude_on_vertex::path(&segment(call.model), call.stream))
        }
        (Addressing::Vertex, _) => format!("{base}/publishers/google{path}"),
        (Addressing::Cohere, _) => format!("{base}/v2{path}"),
        (Addressing::Ollama, Dialect::OpenAi) => format!("{base}/v1{path}"),
        (Addressing::Gemini | Addressing::Bedrock | Addressing::Ollama, _) => {
            format!("{base}{path}")
        }
    }
}

/// A date means the API with deployments in its paths, but for Responses, which has the model in the
/// body (`_deployments_endpoints` of OpenAI's SDK for Azure).
fn deployment(base: &str, date: &str, Call { dialect, path, model, .. }: Call<'_>) -> String {
    match dialect {
        Dialect::Responses => format!("{base}/openai{path}?api-version={date}"),
        _ => format!("{base}/openai/deployments/{}{path}?api-version={date}", segment(model)),
    }
}

/// A text as one segment of a path.
fn segment(text: &str) -> Cow<'_, str> {
    match text {
        // These two would be steps and not names.
        "." => "%2E".into(),
        ".." => "%2E%2E".into(),
        text => utf8_percent_encode(text, SEGMENT).into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call(dialect: Dialect, model: &str) -> Call<'_> {
        Call { dialect, path: "/chat/completions", model, stream: false }
    }

    #[test]
    fn azure_has_deployments_for_dates_and_v1_for_the_rest() {
        let azure = |version: Option<&str>, model| {
            let addressing = Addressing::Azure { version: version.map(Into::into) };
            path_and_query(&addressing, "", call(Dialect::OpenAi, model))
        };
        assert_eq!(azure(None, "gpt"), "/openai/v1/chat/completions");
        assert_eq!(
            azure(Some("preview"), "gpt"),
            "/openai/v1/chat/completions?api-version=preview"
        );
        assert_eq!(
            azure(Some("2024-10-21"), "my gpt/..?#"),
            "/openai/deployments/my%20gpt%2F..%3F%23/chat/completions?api-version=2024-10-21"
        );
        assert_eq!(
            azure(Some("2024-10-21"), ".."),
            "/openai/deployments/%2E%2E/chat/completions?api-version=2024-10-21"
        );
    }

    #[test]
    fn azure_has_responses_beside_its_deployments() {
        let call = || Call {
            dialect: Dialect::Responses,
            path: "/responses",
            model: "gpt",
            stream: false,
        };
        let azure = |version: Option<&str>| {
            let addressing = Addressing::Azure { version: version.map(Into::into) };
            path_and_query(&addressing, "", call())
        };
        assert_eq!(azure(None), "/openai/v1/responses");
        assert_eq!(azure(Some("preview")), "/openai/v1/responses?api-version=preview");
        assert_eq!(
            azure(Some("2025-04-01-preview")),
            "/openai/responses?api-version=2025-04-01-preview"
        );
    }

    #[test]
    fn openais_dialect_is_where_each_provider_has_it() {
        let path = |addressing: Addressing, base| {
            path_and_query(&addressing, base, call(Dialect::OpenAi, "m"))
        };
        assert_eq!(path(Addressing::Plain, "/v1"), "/v1/chat/completions");
        assert_eq!(path(Addressing::Gemini, "/v1beta"), "/v1beta/openai/chat/completions");
        assert_eq!(path(Addressing::Vertex, "/v1/p"), "/v1/p/endpoints/openapi/chat/completions");
        assert_eq!(path(Addressing::Bedrock, ""), "/openai/v1/chat/completions");
        assert_eq!(path(Addressing::Cohere, ""), "/compatibility/v1/chat/completions");
        assert_eq!(path(Addressing::Ollama, ""), "/v1/chat/completions");
    }

    #[test]
    fn a_dialect_of_its_own_is_where_each_provider_has_it() {
        let path = |addressing: Addressing, dialect, path| {
            path_and_query(&addressing, "", Call { dialect, path, model: "m", stream: false })
        };
        assert_eq!(path(Addressing::Cohere, Dialect::Cohere, "/rerank"), "/v2/rerank");
        assert_eq!(path(Addressing::Ollama, Dialect::Ollama, "/api/chat"), "/api/chat");
    }

    #[test]
    fn vertex_has_each_publisher_in_its_place() {
        let base = "/v1/projects/p/locations/l";
        let path = |dialect, path, model, stream| {
            path_and_query(&Addressing::Vertex, base, Call { dialect, path, model, stream })
        };
        assert_eq!(
            path(Dialect::Gemini, "/models/m:generateContent", "m", false),
            format!("{base}/publishers/google/models/m:generateContent")
        );
        assert_eq!(
            path(Dialect::Anthropic, "/messages", "claude-x@1", true),
            format!("{base}/publishers/anthropic/models/claude-x%401:streamRawPredict")
        );
    }
}
