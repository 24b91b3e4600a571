//! A route's parameters in the words of the endpoint that was called: an operator writes `max_tokens`
//! once, whether callers speak a dialect that calls it so, otherwise, or keeps it inside an object.

use std::borrow::Cow;

use serde_json::{Map, Value};

use super::Parameters;
use crate::llm::Dialect;
use crate::llm::endpoint::Endpoint;
use crate::llm::names::Names;

/// The names of one parameter: the usual one first, that of camel case last.
type Meaning = &'static [&'static str];

const MAX_TOKENS: Meaning =
    &["max_tokens", "max_completion_tokens", "max_output_tokens", "maxOutputTokens"];
const CHOICES: Meaning = &["n", "candidateCount"];
const STOP: Meaning = &["stop", "stop_sequences", "stopSequences"];
const MEANINGS: [Meaning; 9] = [
    MAX_TOKENS,
    CHOICES,
    STOP,
    &["temperature"],
    &["top_p", "topP"],
    &["top_k", "topK"],
    &["seed"],
    &["frequency_penalty", "frequencyPenalty"],
    &["presence_penalty", "presencePenalty"],
];

fn meaning(name: &str) -> Option<Meaning> {
    MEANINGS.into_iter().find(|names| names.contains(&name))
}

/// Whether two members of a request are one parameter, of which it may carry only one.
pub(super) fn is_same(names: &Names, a: &str, b: &str) -> bool {
    a == b || (names.max_tokens.contains(&a) && names.max_tokens.contains(&b))
}

/// The same inside the object, whose members may be written in camel case and in snake case.
fn is_same_inside(a: &str, b: &str) -> bool {
    let plain = |name: &str| name.replace('_', "").to_ascii_lowercase();
    a == b || plain(a) == plain(b)
}

/// Parameters as an endpoint takes them.
pub(super) struct Fitted<'a> {
    /// Members of the request.
    pub top: Cow<'a, Parameters>,
    /// Members of the object that holds what bounds and samples the answer, where there is one.
    pub inside: Parameters,
}

impl<'a> Fitted<'a> {
    /// Renames parameters for an endpoint.
    pub fn new(parameters: &'a Parameters, endpoint: Endpoint) -> Self {
        let names = endpoint.facts().names;
        let mut given = parameters.set.keys().chain(parameters.default.keys());
        let mut given = given.by_ref().chain(&parameters.remove);
        if given.all(|name| place(name, names, endpoint) == Place::Top(name)) {
            return Self { top: Cow::Borrowed(parameters), inside: Parameters::default() };
        }
        let (mut top, mut inside) = (Parameters::default(), Parameters::default());
        for (from, of) in [(&parameters.set, 0), (&parameters.default, 1)] {
            for (name, value) in from {
                let (target, name) = match place(name, names, endpoint) {
                    Place::Top(name) => (&mut top, name),
                    Place::Inside(name) => (&mut inside, name),
                };
                let members: &mut Map<String, Value> =
                    if of == 0 { &mut target.set } else { &mut target.default };
                members.insert(name.to_owned(), listed(name, value));
            }
        }
        for name in &parameters.remove {
            match place(name, names, endpoint) {
                Place::Top(name) => top.remove.push(name.to_owned()),
                Place::Inside(name) => inside.remove.push(name.to_owned()),
            }
        }
        Self { top: Cow::Owned(top), inside }
    }
}

/// Where a parameter stands.
#[derive(Debug, PartialEq, Eq)]
enum Place<'a> {
    Top(&'a str),
    Inside(&'a str),
}

fn place<'a>(name: &'a str, names: &Names, endpoint: Endpoint) -> Place<'a> {
    let Some(known) = meaning(name) else { return Place::Top(name) };
    if !names.inside.is_empty() {
        return Place::Inside(known.last().copied().unwrap_or(name));
    }
    let own = match known {
        MAX_TOKENS if !names.max_tokens.is_empty() => names.max_tokens,
        CHOICES if !names.choices.is_empty() => names.choices,
        STOP if endpoint.dialect() == Dialect::Anthropic => &["stop_sequences"],
        _ => known.get(..1).unwrap_or_default(),
    };
    let is_own = own.contains(&name);
    Place::Top(if is_own { name } else { own.last().copied().unwrap_or(name) })
}

/// A value that must be a list under this name.
fn listed(name: &str, value: &Value) -> Value {
    match value {
        Value::String(_) if matches!(name, "stop_sequences" | "stopSequences") => {
            Value::Array(vec![value.clone()])
        }
        other => other.clone(),
    }
}

/// Applies parameters to the object that they stand in; `None` if there is nothing to apply or it is
/// no object, which is left to the provider to refuse.
pub(super) fn apply_inside(object: Option<&str>, parameters: &Parameters) -> Option<String> {
    if parameters.is_empty() {
        return None;
    }
    let object = object.filter(|text| *text != "null").unwrap_or("{}");
    let mut members: Map<String, Value> = serde_json::from_str(object).ok()?;
    members
        .retain(|name, _| !parameters.remove.iter().any(|removed| is_same_inside(removed, name)));
    for (name, value) in &parameters.default {
        if !members.iter().any(|(given, value)| is_same_inside(given, name) && !value.is_null()) {
            members.retain(|given, _| !is_same_inside(given, name));
            members.insert(name.clone(), value.clone());
        }
    }
    for (name, value) in &parameters.set {
        members.retain(|given, _| !is_same_inside(given, name));
        members.insert(name.clone(), value.clone());
    }
    Some(Value::Object(members).to_string())
}

/// What becomes of a number that stands inside the object. Must mirror [`apply_inside`].
pub(super) fn sent_inside(
    parameters: &Parameters,
    names: &[&str],
    given: Option<u64>,
) -> Option<u64> {
    let means = |name: &String| names.iter().any(|known| is_same_inside(known, name));
    if let Some((_, value)) = parameters.set.iter().find(|(name, _)| means(name)) {
        return value.as_u64();
    }
    let default = || parameters.default.iter().find(|(name, _)| means(name))?.1.as_u64();
    given.filter(|_| !parameters.remove.iter().any(means)).or_else(default)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const GENERATION: Names = Names {
        max_tokens: &["maxOutputTokens", "max_output_tokens"],
        choices: &["candidateCount"],
        inside: &["generationConfig"],
        batch: None,
    };

    #[test]
    fn a_parameter_is_called_as_the_endpoint_calls_it() {
        for (endpoint, name, called) in [
            (Endpoint::ChatCompletions, "max_tokens", "max_tokens"),
            (Endpoint::ChatCompletions, "max_completion_tokens", "max_completion_tokens"),
            (Endpoint::ChatCompletions, "stopSequences", "stop"),
            (Endpoint::Messages, "max_completion_tokens", "max_tokens"),
            (Endpoint::Messages, "stop", "stop_sequences"),
            (Endpoint::Messages, "thinking", "thinking"),
        ] {
            let names = endpoint.facts().names;
            assert_eq!(place(name, names, endpoint), Place::Top(called), "{endpoint:?} {name}");
        }
        let inside = |name| place(name, &GENERATION, Endpoint::Messages);
        assert_eq!(inside("max_tokens"), Place::Inside("maxOutputTokens"));
        assert_eq!(inside("temperature"), Place::Inside("temperature"));
        assert_eq!(inside("safetySettings"), Place::Top("safetySettings"));
    }

    #[test]
    fn renaming_keeps_what_is_set_by_default_and_taken_out_apart() {
        let object = |value: Value| value.as_object().cloned().unwrap();
        let parameters = Parameters {
            set: object(json!({"stop": "x", "top_k": 3})),
            default: object(json!({"max_completion_tokens": 5})),
            remove: vec!["n".to_owned()],
        };
        let fitted = Fitted::new(&parameters, Endpoint::Messages);
        assert_eq!(
            Value::from(fitted.top.set.clone()),
            json!({"stop_sequences": ["x"], "top_k": 3})
        );
        assert_eq!(Value::from(fitted.top.default.clone()), json!({"max_tokens": 5}));
        assert_eq!((fitted.top.remove.join(","), fitted.inside.is_empty()), ("n".to_owned(), true));
        let same = Parameters { set: object(json!({"max_tokens": 1})), ..Parameters::default() };
        let fitted = Fitted::new(&same, Endpoint::ChatCompletions);
        assert!(matches!(fitted.top, Cow::Borrowed(_)));
    }

    /// Whatever is written into the object, a budget reserves for no less.
    #[test]
    fn what_is_sent_inside_is_what_is_reserved_for() {
        let one = |name: &str, value: Value| Map::from_iter([(name.to_owned(), value)]);
        let objects = [
            None,
            Some(r#"{"maxOutputTokens":7}"#),
            Some(r#"{"max_output_tokens":8}"#),
            Some("null"),
        ];
        let (set, default) = (one("maxOutputTokens", json!(3)), one("maxOutputTokens", json!(4)));
        let none = Parameters::default;
        for parameters in [
            none(),
            Parameters { set, ..none() },
            Parameters { default: default.clone(), ..none() },
            Parameters { remove: vec!["maxOutputTokens".to_owned()], ..none() },
            Parameters { default, remove: vec!["max_output_tokens".to_owned()], ..none() },
        ] {
            for object in objects {
                let number = |text: Option<&str>| {
                    let value: Value = serde_json::from_str(text?).unwrap();
                    GENERATION.max_tokens.iter().find_map(|name| value.get(name)?.as_u64())
                };
                let applied = apply_inside(object, &parameters);
                let sent = number(applied.as_deref().or(object));
                let reserved = sent_inside(&parameters, GENERATION.max_tokens, number(object));
                assert_eq!(reserved, sent, "{parameters:?} {object:?}");
            }
        }
    }
}
