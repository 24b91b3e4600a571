//! The types of providers, as they stand in manifests. The OpenAI-compatible ones come from the table
//! in `crate::providers`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::providers::openai_compatible;

macro_rules! provider_type {
    ($($name:ident, $doc:literal, $endpoint:literal, [$($quirk:ident),*];)*) => {
        /// Vendor or protocol of a provider.
        #[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, JsonSchema, PartialEq, Serialize)]
        pub enum ProviderType {
            /// OpenAI's API.
            OpenAI,
            /// Anthropic's API.
            Anthropic,
            /// OpenAI's models on Azure (also Azure AI Foundry). Needs `endpoint`.
            AzureOpenAI,
            /// Models on Amazon Bedrock. Needs `bedrock.region`.
            Bedrock,
            /// Google's Gemini API.
            Gemini,
            /// Models on Google Cloud's Vertex AI. Needs `vertexAI`.
            VertexAI,
            /// Cohere's API.
            Cohere,
            /// Ollama, through its OpenAI-compatible API.
            Ollama,
            /// Built in: deterministic answers without any network, for trying out and for tests.
            Mock,
            $(#[doc = $doc] $name,)*
        }

        impl ProviderType {
            /// Every type, in the order of the schema.
            pub const ALL: &[Self] = &[
                Self::OpenAI,
                Self::Anthropic,
                Self::AzureOpenAI,
                Self::Bedrock,
                Self::Gemini,
                Self::VertexAI,
                Self::Cohere,
                Self::Ollama,
                Self::Mock,
                $(Self::$name,)*
            ];

            /// The type as it stands in a manifest.
            pub fn as_str(self) -> &'static str {
                match self {
                    Self::OpenAI => "OpenAI",
                    Self::Anthropic => "Anthropic",
                    Self::AzureOpenAI => "AzureOpenAI",
                    Self::Bedrock => "Bedrock",
                    Self::Gemini => "Gemini",
                    Self::VertexAI => "VertexAI",
                    Self::Cohere => "Cohere",
                    Self::Ollama => "Ollama",
                    Self::Mock => "Mock",
                    $(Self::$name => stringify!($name),)*
                }
            }

            /// The base URL of a type that is one address for everybody.
            pub fn default_endpoint(self) -> Option<&'static str> {
                let endpoint = match self {
                    Self::OpenAI => "https://api.openai.com/v1",
                    Self::Anthropic => "https://api.anthropic.com/v1",
                    Self::Gemini => "https://generativelanguage.googleapis.com/v1beta",
                    Self::Cohere => "https://api.cohere.com/v2",
                    Self::Ollama => "http://localhost:11434/v1",
                    Self::AzureOpenAI | Self::Bedrock | Self::VertexAI | Self::Mock => "",
                    $(Self::$name => $endpoint,)*
                };
                (!endpoint.is_empty()).then_some(endpoint)
            }
        }
    };
}
openai_compatible!(provider_type);
