//! The table in the binary: `builtin.txt`, made by `prices/refresh.py`, read once when first needed.
//!
//! A line is a provider type, a model and members `name=value`, separated by spaces. Members of a
//! tier start with it: `priority.input`, `>200000.input`, `priority>200000.input`.

use std::{
    collections::BTreeMap,
    sync::{Arc, LazyLock},
};

use crate::budget::{DecimalError, Price, Rate, Rates, ServiceTier, Tier};

use super::{Entry, PriceList, PriceSource};

/// A price table by provider type.
#[derive(Debug, Default)]
pub struct BuiltinTable {
    /// The day on which it was made, `2026-11-22`.
    pub date: String,
    lists: BTreeMap<String, Arc<PriceList>>,
}

impl BuiltinTable {
    /// The models of a provider type, as it is written in manifests.
    pub fn list(&self, provider_type: &str) -> Option<&Arc<PriceList>> {
        self.lists.get(provider_type)
    }

    /// Every provider type with its models.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Arc<PriceList>)> {
        self.lists.iter().map(|(name, list)| (name.as_str(), list))
    }
}

/// The table of this build.
pub fn builtin() -> &'static BuiltinTable {
    // A test reads every line of it; one that could not be read would be left out.
    static TABLE: LazyLock<BuiltinTable> =
        LazyLock::new(|| parse(include_str!("builtin.txt"), &mut |_| {}));
    &TABLE
}

/// Why a line of the table can't be read.
#[derive(Debug, thiserror::Error)]
enum LineError {
    /// It has no provider and model, or a member without `=`.
    #[error("is not of the form: provider model name=value ...")]
    Form,
    /// A member that does not exist.
    #[error("{0} is no member")]
    Member(String),
    /// A number that can't be.
    #[error("{0} is no number")]
    Number(String),
    /// A price that can't be.
    #[error("a price is wrong")]
    Price(#[from] DecimalError),
}

fn parse(text: &str, refuse: &mut dyn FnMut((&str, LineError))) -> BuiltinTable {
    let mut date = String::new();
    let mut origins: BTreeMap<&str, Arc<str>> = BTreeMap::new();
    let mut lists: BTreeMap<String, PriceList> = BTreeMap::new();
    for line in text.lines() {
        if let Some(comment) = line.strip_prefix("# ") {
            match comment.split(' ').collect::<Vec<_>>().as_slice() {
                ["date", day] => (*day).clone_into(&mut date),
                ["source", name, version, ..] => {
                    origins.insert(name, format!("{name} {version}").into());
                }
                _ => {}
            }
            continue;
        }
        match self::line(line) {
            Ok(Line { provider, model, source, entry }) => {
                let origin = origins.get(source).cloned().unwrap_or_default();
                let list = lists
                    .entry(provider.to_owned())
                    .or_insert_with(|| PriceList::new(PriceSource::Builtin));
                // The table is sorted and names each model once.
                let _ = list.insert(model.to_owned(), Entry { origin, ..entry });
            }
            Err(error) => refuse((line, error)),
        }
    }
    let lists = lists.into_iter().map(|(name, list)| (name, Arc::new(list))).collect();
    BuiltinTable { date, lists }
}

struct Line<'a> {
    provider: &'a str,
    model: &'a str,
    source: &'a str,
    entry: Entry,
}

fn line(line: &str) -> Result<Line<'_>, LineError> {
    let mut parts = line.split(' ');
    let (Some(provider), Some(model)) = (parts.next(), parts.next()) else {
        return Err(LineError::Form);
    };
    let mut source = "litellm";
    let mut entry = Entry::default();
    let mut price = Price::default();
    for part in parts {
        let (name, value) = part.split_once('=').ok_or(LineError::Form)?;
        let count = || value.parse().map_err(|_| LineError::Number(part.to_owned()));
        match name {
            "source" => source = value,
            "contextWindow" => entry.context_window = Some(count()?),
            "maxOutputTokens" => entry.max_output_tokens = Some(count()?),
            _ => member(&mut price, name, value)?,
        }
    }
    let base = price.rates;
    for tier in &mut price.tiers {
        tier.rates = tier.rates.over(&base);
    }
    entry.price = Some(Arc::new(price));
    Ok(Line { provider, model, source, entry })
}

/// Sets `input`, `priority.input`, `>200000.input` or `priority>200000.input`.
fn member(price: &mut Price, name: &str, value: &str) -> Result<(), LineError> {
    let Some((step, dimension)) = name.split_once('.') else {
        return set(&mut price.rates, name, value);
    };
    let (word, above) = step.split_once('>').unwrap_or((step, "0"));
    let wrong = || LineError::Member(name.to_owned());
    let word = if word.is_empty() { ServiceTier::Standard.as_str() } else { word };
    let service =
        ServiceTier::ALL.into_iter().find(|tier| tier.as_str() == word).ok_or_else(wrong)?;
    let above: u64 = above.parse().map_err(|_| wrong())?;
    let known = price.tiers.iter().position(|tier| (tier.service, tier.above) == (service, above));
    let at = known.unwrap_or_else(|| {
        price.tiers.push(Tier { service, above, ..Tier::default() });
        price.tiers.len() - 1
    });
    let tier = price.tiers.get_mut(at).ok_or_else(wrong)?;
    set(&mut tier.rates, dimension, value)
}

fn set(rates: &mut Rates, dimension: &str, value: &str) -> Result<(), LineError> {
    let token = || Rate::from_usd_per_million(value);
    let each = || Rate::from_usd(value);
    match dimension {
        "input" => rates.input = token()?,
        "output" => rates.output = token()?,
        "cachedInput" => rates.cached_input = Some(token()?),
        "cacheWrite" => rates.cache_write = Some(token()?),
        "cacheWrite1h" => rates.cache_write_1h = Some(token()?),
        "reasoning" => rates.reasoning = Some(token()?),
        "audioInput" => rates.audio_input = Some(token()?),
        "audioOutput" => rates.audio_output = Some(token()?),
        "imageInput" => rates.image_input = Some(token()?),
        "imageOutput" => rates.image_output = Some(token()?),
        "image" => rates.image = Some(each()?),
        "audioSecond" => rates.audio_second = Some(each()?),
        "request" => rates.request = Some(each()?),
        other => return Err(LineError::Member(other.to_owned())),
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::budget::TokenCounts;

    #[test]
    fn every_line_of_the_table_is_read() {
        let mut refused = Vec::new();
        let text = include_str!("builtin.txt");
        let table = parse(text, &mut |(line, error)| refused.push(format!("{line}: {error:?}")));
        assert!(refused.is_empty(), "{refused:#?}");
        let lines = text.lines().filter(|line| !line.starts_with('#')).count();
        assert_eq!(table.lists.values().map(|list| list.len()).sum::<usize>(), lines);
        assert!(lines > 1500, "{lines}");
        assert_eq!(table.date.len(), "2026-11-22".len());
        let origin =
            |provider, model| table.list(provider).unwrap().find(model).unwrap().origin.clone();
        assert!(origin("OpenAI", "gpt-5-mini").starts_with("litellm 1."));
        assert!(origin("OpenRouter", "openai/gpt-5-mini").starts_with("genai-prices 0."));
    }

    #[test]
    fn what_the_members_say_is_what_is_charged() {
        let text = "# date 2026-01-02\n# source litellm 9.9 (MIT)\n\
                    Gemini pro contextWindow=1000 maxOutputTokens=500 input=1.25 cachedInput=0.125 \
                    output=10 audioInput=3 request=0.5 >200000.input=2.5 >200000.output=15 \
                    priority>200000.input=4.5 priority>200000.output=27\n";
        let table = parse(text, &mut |(line, error)| panic!("{line}: {error}"));
        let list = table.list("Gemini").unwrap();
        let entry = list.find("pro").unwrap();
        assert_eq!((&*table.date, &*entry.origin), ("2026-01-02", "litellm 9.9"));
        assert_eq!((entry.context_window, entry.max_output_tokens), (Some(1000), Some(500)));
        let price = entry.price.as_ref().unwrap();
        let cost = |tokens: TokenCounts| price.cost(&tokens).to_string();
        let small = TokenCounts { input: 1000, cached_input: 400, ..TokenCounts::default() };
        assert_eq!(cost(small), "0.5008");
        // A step has the sound and the fee of the base.
        let long = TokenCounts { input: 300_000, audio_input: 300_000, ..TokenCounts::default() };
        assert_eq!(cost(long), "1.4");
        let service_tier = ServiceTier::Priority;
        let first = TokenCounts { input: 300_000, service_tier, ..TokenCounts::default() };
        assert_eq!(cost(first), "1.85");
    }

    #[test]
    fn a_line_that_cannot_be_read_is_left_out_and_told() {
        let text = "OpenAI a input=1 output=x\nOpenAI b colour=1\nOpenAI\nOpenAI c slow.input=1\n\
                    OpenAI d contextWindow=many\nOpenAI e input\nOpenAI f input=1 output=1\n";
        let mut refused = Vec::new();
        let table = parse(text, &mut |(_, error)| refused.push(error.to_string()));
        assert_eq!(refused.len(), 6, "{refused:?}");
        assert_eq!(table.list("OpenAI").unwrap().len(), 1);
    }
}
