//! Providers: where requests are sent, with what credentials, at what price.

use std::{collections::HashMap, fmt, net::SocketAddr, sync::Arc, time::Duration};

use http::{HeaderName, HeaderValue, uri::Authority, uri::Scheme};

use crate::{
    budget::Price,
    llm::{Dialect, Quirks, is_reasoning_model},
    price::{self, PriceList, PriceSource},
};

use super::{AccountLimits, Ejection, Identity, ObjectName, Probe, SecretString};

/// A provider that requests can be sent to.
#[derive(Clone, Debug, PartialEq)]
pub struct Provider {
    /// The AIProvider.
    pub name: ObjectName,
    /// The AIProvider's UID: health and counters are keyed by it.
    pub uid: Arc<str>,
    /// The type as users write it, for metrics and records (`gen_ai.provider.name` follows it).
    pub kind: &'static str,
    /// The wire formats it speaks, the main one first; see [`Provider::dialects`].
    pub dialects: &'static [Dialect],
    /// In what it differs from them.
    pub quirks: Quirks,
    /// Where it is.
    pub endpoint: Endpoint,
    /// The addresses behind the endpoint's name, where a cluster tells them: one of them is called,
    /// and nothing if there is none. `None`: the name is looked up.
    pub backends: Option<Arc<[Backend]>>,
    /// How paths are made of its base URL.
    pub addressing: Addressing,
    /// How a key is presented.
    pub key_header: KeyHeader,
    /// Who requests are sent as, where it is no key; excludes `credentials`.
    pub identity: Option<Arc<Identity>>,
    /// Keys to choose from by weight; empty where the provider needs none.
    pub credentials: Vec<Credential>,
    /// Headers added to every request.
    pub headers: Vec<(HeaderName, HeaderValue)>,
    /// The catalogue.
    pub models: HashMap<String, Model>,
    /// Where the price of what the catalogue does not list stands; the first that names it decides.
    pub prices: Vec<Arc<PriceList>>,
    /// Bound of establishing a connection, TLS included.
    pub connect_timeout: Duration,
    /// The account's limits.
    pub limits: AccountLimits,
    /// When its models are left out.
    pub ejection: Ejection,
    /// How it is checked; `None`: it is not.
    pub probe: Option<Probe>,
}

impl Provider {
    /// The wire formats it speaks for one of its models, the main one first.
    pub fn dialects(&self, model: &str) -> &'static [Dialect] {
        match self.addressing {
            Addressing::Vertex => on_vertex(model),
            _ => preferred(self.dialects, model),
        }
    }

    /// Whether it is called with the caller's own credential.
    pub fn is_passthrough(&self) -> bool {
        self.identity.as_deref() == Some(&Identity::Caller)
    }

    /// Whether a credential for one of them is meant for the other: both are the same service.
    pub fn is_same_service(&self, other: &Self) -> bool {
        // These say how a server speaks, not whose it is.
        let is_anybodys = matches!(self.kind, "OpenAICompatible" | "VLLM" | "Ollama");
        self.kind == other.kind && (!is_anybodys || self.endpoint == other.endpoint)
    }

    /// Whether there is a server to send to: a Service can be without at times.
    pub fn has_server(&self) -> bool {
        self.backends.as_ref().is_none_or(|backends| !backends.is_empty())
    }

    /// The main one of the wire formats that it speaks.
    pub fn main_dialect(&self) -> Dialect {
        self.dialects.first().copied().unwrap_or(Dialect::OpenAi)
    }
}

/// OpenAI's models give their reasoning back to other dialects in Responses only.
fn preferred(spoken: &'static [Dialect], model: &str) -> &'static [Dialect] {
    match spoken {
        [Dialect::OpenAi, Dialect::Responses] if is_reasoning_model(model) => {
            &[Dialect::Responses, Dialect::OpenAi]
        }
        spoken => spoken,
    }
}

/// What a model on Vertex AI speaks: Google's and Anthropic's speak their own dialect, those that are
/// named with their publisher (`meta/llama-...`) OpenAI's.
fn on_vertex(model: &str) -> &'static [Dialect] {
    match model {
        model if model.starts_with("claude") => &[Dialect::Anthropic],
        model if model.contains('/') => &[Dialect::OpenAi],
        _ => &[Dialect::Gemini],
    }
}

/// The address of a provider.
#[derive(Clone, Debug, PartialEq)]
pub enum Endpoint {
    /// A server.
    Http {
        /// http or https.
        scheme: Scheme,
        /// Host and port.
        authority: Authority,
        /// Path that the dialect's own paths are appended to, without a trailing slash.
        base_path: String,
    },
    /// The built-in mock.
    Mock,
}

/// One of the servers behind a Service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Backend {
    /// Where it listens.
    pub address: SocketAddr,
    /// The zone that it is in, if the cluster says so.
    pub zone: Option<Arc<str>>,
    /// Whether the gateway should prefer it for its place.
    pub is_near: bool,
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Http { scheme, authority, base_path } => {
                write!(f, "{scheme}://{authority}{base_path}")
            }
            Self::Mock => f.write_str("mock:"),
        }
    }
}

/// How the path of a request is made of a provider's base URL.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Addressing {
    /// The dialect's own path is appended.
    #[default]
    Plain,
    /// Azure OpenAI: the base URL is the resource. With a dated version the model is a deployment in
    /// the path; without one, or with a name for the newest, it is the v1 API.
    Azure {
        /// `api-version`.
        version: Option<Arc<str>>,
    },
    /// The Gemini API, which has OpenAI's dialect under a path of its own.
    Gemini,
    /// Vertex AI, where the base URL ends with the location.
    Vertex,
    /// Amazon Bedrock, where the base URL is the host.
    Bedrock,
    /// Cohere, which has OpenAI's dialect under a path of its own.
    Cohere,
    /// Ollama, where the base URL is the host and OpenAI's dialect has a path of its own.
    Ollama,
}

/// The first version of Azure's API by date that has Responses ("Azure OpenAI Responses API").
const AZURE_RESPONSES: &str = "2025-03-01";

impl Addressing {
    /// The version of Azure's API if it is a date: then its models are deployments in the path.
    pub fn dated_version(&self) -> Option<&str> {
        let Self::Azure { version: Some(version) } = self else { return None };
        version.starts_with(|first: char| first.is_ascii_digit()).then_some(&**version)
    }

    /// Whether what it addresses has Responses, as far as the version of an API decides it.
    pub fn has_responses(&self) -> bool {
        self.dated_version().is_none_or(|version| version >= AZURE_RESPONSES)
    }
}

/// The header in which a provider takes an API key.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum KeyHeader {
    /// `Authorization: Bearer KEY`.
    #[default]
    Bearer,
    /// `x-api-key`: Anthropic.
    XApiKey,
    /// `api-key`: Azure.
    ApiKey,
    /// `x-goog-api-key`: Google.
    XGoogApiKey,
}

/// One API key of a provider.
#[derive(Clone, Debug, PartialEq)]
pub struct Credential {
    /// Which Secret and key it came from, for records: `name/key`. Never the value.
    pub source: Arc<str>,
    /// The key.
    pub key: SecretString,
    /// Share of requests; 0 is used by none.
    pub weight: u32,
}

/// What is known of a model.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Model {
    /// What its calls cost; `None` where it has no price.
    pub price: Option<Arc<Price>>,
    /// Who names the price.
    pub price_source: PriceSource,
    /// The most tokens that one answer can have, as somebody has configured it.
    pub max_output_tokens: Option<u64>,
    /// The same as the built-in table has it, where nobody has.
    pub table_max_output_tokens: Option<u64>,
    /// The most tokens that a request may have, as far as anybody says it.
    pub context_window: Option<u64>,
}

/// The most output tokens that are assumed of a request that names no bound, where only the built-in
/// table knows the model's own: what a model can give at most is many times what it gives.
const MAX_ASSUMED_OUTPUT: u64 = 16_384;

impl Model {
    /// The most tokens that one answer can have.
    pub fn output_cap(&self) -> Option<u64> {
        self.max_output_tokens.or(self.table_max_output_tokens)
    }

    /// The output tokens to assume, and where the dialect needs a bound to ask for, of a request that
    /// names none.
    pub fn assumed_output(&self) -> Option<u64> {
        let table = self.table_max_output_tokens.map(|max| max.min(MAX_ASSUMED_OUTPUT));
        self.max_output_tokens.or(table)
    }

    /// Fills what is still unknown of `model` from these lists.
    pub fn complete(&mut self, model: &str, lists: &[Arc<PriceList>]) {
        for list in lists {
            let is_capped = self.output_cap().is_some();
            if self.price.is_some() && is_capped && self.context_window.is_some() {
                return;
            }
            let Some(entry) = list.find(model) else { continue };
            self.context_window = self.context_window.or(entry.context_window);
            if self.price.is_none() && entry.price.is_some() {
                self.price.clone_from(&entry.price);
                self.price_source = list.source;
            }
            if self.output_cap().is_none() {
                match list.source {
                    PriceSource::Builtin => self.table_max_output_tokens = entry.max_output_tokens,
                    _ => self.max_output_tokens = entry.max_output_tokens,
                }
            }
        }
    }
}

impl Provider {
    /// What is known of a model: by the catalogue, which is complete, else by the price lists.
    pub fn model(&self, name: &str) -> Model {
        if let Some(model) = price::find(&self.models, name) {
            return model.clone();
        }
        let mut model = Model::default();
        model.complete(name, &self.prices);
        model
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn models_that_reason_are_reached_by_responses_first() {
        const BOTH: &[Dialect] = &[Dialect::OpenAi, Dialect::Responses];
        assert_eq!(preferred(BOTH, "gpt-4o")[0], Dialect::OpenAi);
        assert_eq!(preferred(BOTH, "gpt-5-mini")[0], Dialect::Responses);
        assert_eq!(preferred(&BOTH[..1], "gpt-5"), [Dialect::OpenAi]);
    }
}
