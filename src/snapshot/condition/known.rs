//! The facts of one request, each computed when a condition first asks for it.

use std::{collections::HashMap, sync::OnceLock};

use cel::{
    Value,
    common::{
        types::{CelBool, CelInt, CelString},
        value::{CowVal, Val},
    },
    context::VariableResolver,
};
use serde_json::Value as Json;

use super::{
    MAX_BYTES, MAX_ENTRIES, MAX_TEXT,
    fact::{Fact, FactValue, Facts},
    pattern::{self, Pattern},
};

/// The variable that holds the time in seconds.
pub(super) const SECONDS: &str = "@now";

/// The facts of one request.
pub struct Known<'a> {
    facts: &'a dyn Facts,
    values: [OnceLock<Kept<'a>>; Fact::ALL.len()],
}

enum Kept<'a> {
    Value(Box<dyn Val + 'a>),
    Unusable(&'static str),
}

impl<'a> Known<'a> {
    /// Nothing is computed yet.
    pub fn new(facts: &'a dyn Facts) -> Self {
        Self { facts, values: std::array::from_fn(|_| OnceLock::new()) }
    }

    fn value(&self, fact: Fact) -> Option<&(dyn Val + 'a)> {
        let kept = self.values.get(fact as usize)?;
        match kept.get_or_init(|| keep(fact, self.facts.fact(fact))) {
            Kept::Value(value) => Some(&**value),
            Kept::Unusable(_) => None,
        }
    }

    /// Why a fact that was asked for cannot be used, if there is one.
    pub(super) fn refusal(&self) -> Option<String> {
        Fact::ALL.iter().zip(&self.values).find_map(|(fact, kept)| match kept.get()? {
            Kept::Unusable(why) => Some(format!("{} {why}", fact.name())),
            Kept::Value(_) => None,
        })
    }
}

/// The variables of one evaluation.
pub(super) struct Scope<'s, 'a> {
    pub(super) known: &'s Known<'a>,
    pub(super) patterns: &'s [Pattern],
}

impl VariableResolver for Scope<'_, '_> {
    fn resolve<'b>(&'b self, variable: &str) -> Option<CowVal<'b, 'b>> {
        let fact = match variable {
            SECONDS => Fact::Now,
            _ => match Fact::named(variable) {
                Some(fact) => fact,
                None => {
                    let pattern = self.patterns.get(pattern::index(variable)?)?;
                    return Some(CowVal::Borrowed(pattern));
                }
            },
        };
        Some(CowVal::Borrowed(self.known.value(fact)?))
    }
}

fn keep(fact: Fact, value: FactValue<'_>) -> Kept<'_> {
    if let Some(why) = excess(fact, &value) {
        return Kept::Unusable(why);
    }
    let converted: Value = match value {
        FactValue::Text(text) => return Kept::Value(Box::new(CelString::from(text))),
        FactValue::Int(number) => return Kept::Value(Box::new(CelInt::from(number))),
        FactValue::Flag(flag) => return Kept::Value(Box::new(CelBool::from(flag))),
        FactValue::Unusable(why) => return Kept::Unusable(why),
        FactValue::Texts(texts) => {
            Value::from(texts.iter().map(|text| Value::from(&**text)).collect::<Vec<_>>())
        }
        FactValue::Map(entries) => {
            let entries = entries.into_iter();
            let map: HashMap<String, Value> =
                entries.map(|(name, value)| (name.into_owned(), Value::from(&*value))).collect();
            Value::from(map)
        }
        FactValue::Members(members) => json(&Json::Object(members)),
    };
    match Box::<dyn Val>::try_from(converted) {
        Ok(value) => Kept::Value(value),
        Err(_) => Kept::Unusable("has a value that conditions cannot use"),
    }
}

/// What bounds the cost of an evaluation by what callers send.
fn excess(fact: Fact, value: &FactValue<'_>) -> Option<&'static str> {
    let (entries, bytes) = match value {
        FactValue::Text(text) if text.len() > MAX_TEXT => return Some("is longer than 4096 bytes"),
        FactValue::Texts(texts) => (texts.len(), texts.iter().map(|text| text.len()).sum()),
        FactValue::Map(map) => {
            (map.len(), map.iter().map(|(name, value)| name.len() + value.len()).sum())
        }
        // Read within the same bounds.
        _ => (0, 0_usize),
    };
    debug_assert!(fact != Fact::Now || matches!(value, FactValue::Int(_)));
    match () {
        () if entries > MAX_ENTRIES => Some("has more than 256 entries"),
        () if bytes > MAX_BYTES => Some("is larger than 64 KiB"),
        () => None,
    }
}

/// JSON as CEL sees it: whole numbers are `int`.
fn json(value: &Json) -> Value {
    match value {
        Json::Null => Value::Null,
        Json::Bool(value) => Value::Bool(*value),
        Json::Number(number) => match (number.as_i64(), number.as_f64()) {
            (Some(value), _) => Value::Int(value),
            (None, Some(value)) => Value::Float(value),
            (None, None) => Value::Null,
        },
        Json::String(text) => Value::from(text.as_str()),
        Json::Array(items) => Value::from(items.iter().map(json).collect::<Vec<_>>()),
        Json::Object(members) => {
            let members: HashMap<String, Value> =
                members.iter().map(|(name, value)| (name.clone(), json(value))).collect();
            Value::from(members)
        }
    }
}
