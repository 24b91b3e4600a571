//! The data files, read once.

use std::fs;
use std::path::Path;
use std::sync::LazyLock;

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};
use sluice::llm::{Dialect, Endpoint};

/// A row.
#[derive(Debug, Deserialize)]
pub struct Feature {
    pub id: String,
    pub title: String,
    /// What it may be called where it is named as dropped.
    #[serde(default)]
    pub named: Vec<String>,
    /// The native answer that shows it.
    #[serde(default)]
    pub answer: String,
}

/// The rows.
#[derive(Debug, Deserialize)]
pub struct Features {
    pub asked: Vec<Feature>,
    pub answered: Vec<Feature>,
}

/// How callers of a dialect ask for each feature.
#[derive(Debug, Deserialize)]
pub struct Requests {
    pub title: String,
    /// With `{model}` where the path names it.
    pub path: String,
    base: Value,
    cases: Map<String, Value>,
}

impl Requests {
    /// The request for a feature, or why the dialect cannot say it.
    pub fn of(&self, feature: &str) -> Result<Value, &str> {
        match self.cases.get(feature) {
            Some(Value::String(reason)) => Err(reason),
            Some(Value::Object(members)) => {
                let mut request = match members.get("$with") {
                    Some(other) => self.of(other.as_str().unwrap())?,
                    None => self.base.clone(),
                };
                for (name, value) in members.iter().filter(|(name, _)| *name != "$with") {
                    merge(&mut request[name], value);
                }
                Ok(request)
            }
            other => panic!("{}: no case {feature}: {other:?}", self.title),
        }
    }
}

/// Objects member by member, everything else as a whole.
fn merge(target: &mut Value, source: &Value) {
    match (target, source) {
        (Value::Object(target), Value::Object(source)) => {
            for (name, value) in source {
                merge(target.entry(name.clone()).or_insert(Value::Null), value);
            }
        }
        (target, source) => *target = source.clone(),
    }
}

/// What a provider's native request must contain; a text: why it has no such thing.
#[derive(Debug, Deserialize)]
pub struct Probes {
    pub title: String,
    pub model: String,
    /// What a request that gives an answer back must contain.
    pub returned: Value,
    pub probes: Map<String, Value>,
}

/// A provider's native answers.
#[derive(Debug, Deserialize)]
pub struct Answers {
    pub cases: Map<String, Value>,
    /// The features that the dialect's answers do not have, each with the reason.
    #[serde(default)]
    pub lacks: Map<String, Value>,
    pub error: NativeError,
}

/// A provider's native error: an answer, and a stream in which one is reported.
#[derive(Debug, Deserialize)]
pub struct NativeError {
    pub status: u16,
    pub body: Value,
    #[serde(default)]
    pub headers: Map<String, Value>,
    pub stream: Vec<Value>,
}

/// What a caller's native answer must contain; a text: why it has no such thing.
#[derive(Debug, Deserialize)]
pub struct Clients {
    pub probes: Map<String, Value>,
    pub error: Value,
    pub error_event: String,
}

/// A dialect that callers speak.
pub struct Ingress {
    pub endpoint: Endpoint,
    pub requests: Requests,
    pub clients: Clients,
}

/// A dialect that providers speak.
pub struct Upstream {
    pub dialect: Dialect,
    pub name: &'static str,
    pub probes: Probes,
    pub answers: Answers,
}

fn read<T: DeserializeOwned>(path: &str) -> T {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/compatibility").join(path);
    let text =
        fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The rows.
pub static FEATURES: LazyLock<Features> = LazyLock::new(|| read("features.json"));

/// Every dialect that callers chat in.
pub static INGRESSES: LazyLock<Vec<Ingress>> = LazyLock::new(|| {
    let of = |(endpoint, name): (Endpoint, &str)| Ingress {
        endpoint,
        requests: read(&format!("requests/{name}.json")),
        clients: read(&format!("clients/{name}.json")),
    };
    let known = [
        (Endpoint::ChatCompletions, "openai"),
        (Endpoint::Responses, "responses"),
        (Endpoint::Messages, "anthropic"),
        (Endpoint::GenerateContent, "gemini"),
    ];
    known.into_iter().map(of).collect()
});

/// Every dialect that providers chat in.
pub static UPSTREAMS: LazyLock<Vec<Upstream>> = LazyLock::new(|| {
    let of = |dialect: &Dialect| {
        let name = name_of(*dialect);
        Upstream {
            dialect: *dialect,
            name,
            probes: read(&format!("upstreams/{name}.json")),
            answers: read(&format!("answers/{name}.json")),
        }
    };
    Dialect::ALL.iter().map(of).collect()
});

/// Models that take something else than the one that stands for their dialect.
pub static VARIANTS: LazyLock<Vec<Upstream>> = LazyLock::new(|| {
    #[derive(Deserialize)]
    struct Variant {
        like: String,
        model: String,
        probes: Map<String, Value>,
    }
    let of = |Variant { like, model, probes: changed }: Variant| {
        let name = Dialect::ALL.iter().map(|dialect| (*dialect, name_of(*dialect)));
        let (dialect, name) = name.into_iter().find(|(_, name)| *name == like).unwrap();
        let mut probes: Probes = read(&format!("upstreams/{name}.json"));
        assert!(changed.keys().all(|feature| probes.probes.contains_key(feature)), "{model}");
        probes.probes.extend(changed);
        if let Some(named) = probes.probes["text"].get_mut("model") {
            *named = model.as_str().into();
        }
        let answers = read(&format!("answers/{name}.json"));
        Upstream { dialect, name, probes: Probes { model, ..probes }, answers }
    };
    read::<Vec<Variant>>("variants.json").into_iter().map(of).collect()
});

fn name_of(dialect: Dialect) -> &'static str {
    match dialect {
        Dialect::OpenAi => "openai",
        Dialect::Anthropic => "anthropic",
        Dialect::Gemini => "gemini",
        Dialect::Responses => "responses",
        Dialect::Bedrock => "bedrock",
        Dialect::Mistral => "mistral",
        Dialect::Cohere => "cohere",
        Dialect::Ollama => "ollama",
    }
}
