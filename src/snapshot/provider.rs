//! Providers: where requests are sent, with what credentials, at what price.

use std::{collections::HashMap, fmt, sync::Arc, time::Duration};

use http::{HeaderName, HeaderValue, uri::Authority, uri::Scheme};

use crate::{budget::Price, llm::Dialect};

use super::{ObjectName, SecretString};

/// A provider that requests can be sent to.
#[derive(Clone, Debug, PartialEq)]
pub struct Provider {
    /// The AIProvider.
    pub name: ObjectName,
    /// The AIProvider's UID: health and counters are keyed by it.
    pub uid: Arc<str>,
    /// The type as users write it, for metrics and records (`gen_ai.provider.name` follows it).
    pub kind: &'static str,
    /// The wire format it speaks.
    pub dialect: Dialect,
    /// Where it is.
    pub endpoint: Endpoint,
    /// Keys to choose from by weight; empty where the provider needs none.
    pub credentials: Vec<Credential>,
    /// Headers added to every request.
    pub headers: Vec<(HeaderName, HeaderValue)>,
    /// The catalogue.
    pub models: HashMap<String, Model>,
    /// Bound of establishing a connection, TLS included.
    pub connect_timeout: Duration,
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

/// A model of the catalogue.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Model {
    /// What its tokens cost; `None` where it has no price.
    pub price: Option<Price>,
    /// The most tokens that one answer can have.
    pub max_output_tokens: Option<u64>,
}
