//! What conditions may ask: names, types, and how a value is given.

use std::borrow::Cow;

use serde_json::Value as Json;

use super::types::Type;

/// Something that is known of a request.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Fact {
    /// The model as the caller named it.
    Model,
    /// The endpoint, by the name that `AIRoute.spec.endpoints` has for it.
    Endpoint,
    /// Headers by their names in lower case; several values are joined by `, `. Never one that carries
    /// a credential.
    Headers,
    /// The estimate of input tokens that budgets reserve by.
    InputTokens,
    /// Whether the answer is to be streamed.
    Stream,
    /// Names of the tools that the model may call.
    Tools,
    /// `metadata` of the body.
    Metadata,
    /// The bound on generated tokens; 0 if the request names none.
    MaxOutputTokens,
    /// The host that was asked for, in lower case and without a port; empty if unknown.
    Hostname,
    /// Name of the API key's Secret; empty without a key, as all that follow.
    ConsumerName,
    /// Its namespace.
    ConsumerNamespace,
    /// Its labels.
    ConsumerLabels,
    /// `sluice.dev/app`.
    App,
    /// `sluice.dev/team`.
    Team,
    /// `sluice.dev/environment`.
    Environment,
    /// The end user that the request names; empty if none.
    User,
    /// Seconds of Unix time.
    Now,
}

/// The objects that facts are members of.
pub(super) const OBJECTS: [&str; 2] = ["request", "consumer"];
/// The time, which is a variable of its own.
pub(super) const NOW: &str = "now";

impl Fact {
    /// Every fact.
    pub const ALL: [Self; 17] = [
        Self::Model,
        Self::Endpoint,
        Self::Headers,
        Self::InputTokens,
        Self::Stream,
        Self::Tools,
        Self::Metadata,
        Self::MaxOutputTokens,
        Self::Hostname,
        Self::ConsumerName,
        Self::ConsumerNamespace,
        Self::ConsumerLabels,
        Self::App,
        Self::Team,
        Self::Environment,
        Self::User,
        Self::Now,
    ];

    /// The name as expressions have it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Model => "request.model",
            Self::Endpoint => "request.endpoint",
            Self::Headers => "request.headers",
            Self::InputTokens => "request.inputTokens",
            Self::Stream => "request.stream",
            Self::Tools => "request.tools",
            Self::Metadata => "request.metadata",
            Self::MaxOutputTokens => "request.maxOutputTokens",
            Self::Hostname => "request.hostname",
            Self::ConsumerName => "consumer.name",
            Self::ConsumerNamespace => "consumer.namespace",
            Self::ConsumerLabels => "consumer.labels",
            Self::App => "consumer.app",
            Self::Team => "consumer.team",
            Self::Environment => "consumer.environment",
            Self::User => "consumer.user",
            Self::Now => NOW,
        }
    }

    pub(super) fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|fact| fact.name() == name)
    }

    pub(super) fn kind(self) -> Type {
        match self {
            Self::Headers | Self::ConsumerLabels => Type::map(Type::Text),
            Self::Metadata => Type::map(Type::Dyn),
            Self::Tools => Type::list(Type::Text),
            Self::InputTokens | Self::MaxOutputTokens => Type::Int,
            Self::Stream => Type::Bool,
            Self::Now => Type::Timestamp,
            _ => Type::Text,
        }
    }

    /// The members of an object, for people.
    pub(super) fn members(object: &str) -> String {
        let of = |fact: Self| fact.name().strip_prefix(object)?.strip_prefix('.');
        Self::ALL.into_iter().filter_map(of).collect::<Vec<_>>().join(", ")
    }
}

/// The value of a fact.
#[derive(Clone, Debug, PartialEq)]
pub enum FactValue<'a> {
    /// A text.
    Text(Cow<'a, str>),
    /// A number, or a time.
    Int(i64),
    /// Yes or no.
    Flag(bool),
    /// Texts in their order.
    Texts(Vec<Cow<'a, str>>),
    /// Texts by name.
    Map(Vec<(Cow<'a, str>, Cow<'a, str>)>),
    /// Members of a JSON object.
    Members(serde_json::Map<String, Json>),
    /// There is one, but it cannot be used; why.
    Unusable(&'static str),
}

impl FactValue<'_> {
    /// The value for people.
    pub fn to_json(&self) -> Json {
        match self {
            Self::Text(text) => Json::from(&**text),
            Self::Int(number) => Json::from(*number),
            Self::Flag(flag) => Json::from(*flag),
            Self::Texts(texts) => texts.iter().map(|text| Json::from(&**text)).collect(),
            Self::Map(entries) => {
                let entries = entries.iter();
                entries.map(|(name, value)| (name.to_string(), Json::from(&**value))).collect()
            }
            Self::Members(members) => Json::Object(members.clone()),
            Self::Unusable(_) => Json::Null,
        }
    }
}

/// Where facts come from.
pub trait Facts: Sync {
    /// A fact. Asked for at most once for each request, and only if a condition names it.
    fn fact(&self, fact: Fact) -> FactValue<'_>;
}
