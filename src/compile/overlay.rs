//! ConfigMaps with prices to a price book, and what is wrong with them.

use std::{collections::BTreeMap, sync::Arc};

use serde::Deserialize;
use serde_json::Value;

use crate::{
    api::{
        pricing::PRICES_KEY,
        provider::{Model, ProviderType},
    },
    price::{Entry, PriceBook, Scope},
    snapshot::ObjectName,
};

use super::{Inputs, inputs::PriceData, price};

/// What is wrong with a ConfigMap with prices. It has no status: this goes to the log, to an Event
/// and to a metric.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct PriceNote {
    /// `metadata.uid`.
    pub uid: Arc<str>,
    /// What is not used, each naming its place and what to write.
    pub mistakes: Vec<String>,
    /// What has no effect yet.
    pub warnings: Vec<String>,
}

impl PriceNote {
    /// Everything, mistakes first.
    pub fn messages(&self) -> impl Iterator<Item = &String> {
        self.mistakes.iter().chain(&self.warnings)
    }
}

/// Notes by ConfigMap; only of those with mistakes.
pub type PriceNotes = BTreeMap<ObjectName, PriceNote>;

/// Compiles every ConfigMap with prices. What is right in one is used whatever else is wrong.
pub fn book(inputs: &Inputs) -> (PriceBook, PriceNotes) {
    let mut book = PriceBook::new(inputs.settings.builtin_prices);
    let mut notes = PriceNotes::new();
    for (name, data) in &inputs.price_lists {
        let mut note = PriceNote { uid: data.uid.clone(), ..PriceNote::default() };
        let own = &inputs.settings.gateway_namespace;
        if name.namespace == *own {
            let origin = format!("ConfigMap {name}").into();
            Reading { book: &mut book, inputs, origin, note: &mut note }.read(data);
        } else {
            note.mistakes.push(format!(
                "not used: prices are read in the gateway's own namespace, {own}, alone; \
                 move it there, or write the prices into spec.models of the AIProvider"
            ));
        }
        if note.messages().next().is_some() {
            notes.insert(name.clone(), note);
        }
    }
    (book, notes)
}

/// `prices.yaml`. What is inside is read one by one, so that a mistake costs only itself.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    prices: Vec<Value>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Group {
    provider: String,
    models: Vec<Value>,
}

struct Reading<'a> {
    book: &'a mut PriceBook,
    inputs: &'a Inputs,
    origin: Arc<str>,
    note: &'a mut PriceNote,
}

impl Reading<'_> {
    fn read(&mut self, data: &PriceData) {
        let Some(text) = data.data.get(PRICES_KEY) else {
            let keys: Vec<_> = data.data.keys().map(String::as_str).collect();
            let keys = if keys.is_empty() { "nothing".to_owned() } else { keys.join(", ") };
            self.note
                .mistakes
                .push(format!("has no data.\"{PRICES_KEY}\" (it has: {keys}): add it"));
            return;
        };
        let document = serde_saphyr::from_str::<Value>(text)
            .map_err(|error| error.without_snippet().to_string())
            .and_then(|value| Document::deserialize(value).map_err(|error| error.to_string()));
        match document {
            Ok(Document { prices }) => {
                for (at, value) in prices.into_iter().enumerate() {
                    self.group(&format!("prices[{at}]"), value);
                }
            }
            Err(error) => self.note.mistakes.push(format!(
                "{PRICES_KEY} can't be read: {error}; write for example \
                 prices: [{{provider: OpenAI, models: [{{name: gpt-5, pricing: {{input: \"1.25\", \
                 output: \"10\"}}}}]}}]"
            )),
        }
    }

    fn group(&mut self, place: &str, value: Value) {
        let group = match Group::deserialize(value) {
            Ok(group) => group,
            Err(error) => {
                self.note.mistakes.push(format!("{place} can't be read: {error}"));
                return;
            }
        };
        let Some(scope) = self.scope(place, &group.provider) else { return };
        for (at, value) in group.models.into_iter().enumerate() {
            let place = format!("{place}.models[{at}]");
            let added = self.model(value).and_then(|(name, entry)| {
                self.book.insert(scope.clone(), name.clone(), entry).map_err(|other| {
                    let provider = &group.provider;
                    format!(
                        "{name} of {provider} already stands in {other}, which is used: remove one"
                    )
                })
            });
            if let Err(error) = added {
                self.note.mistakes.push(format!("{place}: {error}"));
            }
        }
    }

    /// Whom the prices are for; `None` where that is no type and no name.
    fn scope(&mut self, place: &str, provider: &str) -> Option<Scope> {
        if let Some((namespace, name)) = provider.split_once('/') {
            if !self.inputs.providers.contains_key(&ObjectName::new(namespace, name)) {
                self.note.warnings.push(format!(
                    "{place}: AIProvider {provider} does not exist: create it, or correct provider"
                ));
            }
            return Some(Scope::Provider(provider.to_owned()));
        }
        match ProviderType::deserialize(Value::from(provider)) {
            Ok(kind) => Some(Scope::Type(kind.as_str().to_owned())),
            Err(error) => {
                self.note.mistakes.push(format!(
                    "{place}: provider {provider:?} is neither a type nor namespace/name of an \
                     AIProvider: {error}"
                ));
                None
            }
        }
    }

    fn model(&self, value: Value) -> Result<(String, Entry), String> {
        let model = Model::deserialize(value).map_err(|error| error.to_string())?;
        let Model { name, pricing, max_output_tokens, context_window } = model;
        if name.is_empty() || name.len() > 256 {
            return Err("name has 1 to 256 characters".to_owned());
        }
        if pricing.is_none() && max_output_tokens.is_none() && context_window.is_none() {
            return Err(format!(
                "{name} has neither pricing nor maxOutputTokens nor contextWindow: add one"
            ));
        }
        let bounded = |field: &str, given: Option<i64>, most: u64| {
            let within = |given: i64| u64::try_from(given).ok().filter(|n| (1..=most).contains(n));
            let wrong = |given| format!("{field} of {name} is {given}: it is from 1 to {most}");
            given.map(|given| within(given).ok_or_else(|| wrong(given))).transpose()
        };
        let max_output_tokens = bounded("maxOutputTokens", max_output_tokens, 100_000_000)?;
        let context_window = bounded("contextWindow", context_window, 1_000_000_000)?;
        let priced = pricing.as_ref().map(price::price).transpose();
        let price = priced.map_err(|error| format!("price of {name}: {error}"))?.map(Arc::new);
        let origin = self.origin.clone();
        Ok((name, Entry { origin, price, context_window, max_output_tokens }))
    }
}

#[cfg(test)]
mod tests;
