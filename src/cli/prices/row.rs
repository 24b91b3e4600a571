//! One model's price as it is printed. Prices read as in a manifest, so that they can be copied there.

use serde::Serialize;

use crate::{
    api::pricing::{PricedServiceTier, Pricing, PricingTier},
    budget::{Price, Rate, ServiceTier, Tier},
    price::{PriceSource, builtin},
    snapshot::Model,
};

/// One model of one type or AIProvider.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Row {
    provider: String,
    model: String,
    /// `provider`, `overlay`, `builtin`.
    #[serde(skip_serializing_if = "str::is_empty")]
    source: &'static str,
    origin: String,
    /// When the built-in table was made.
    #[serde(skip_serializing_if = "Option::is_none")]
    date: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    context_window: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_output_tokens: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pricing: Option<Pricing>,
}

impl Row {
    /// A model as it is known, who prices it, and its context window.
    pub(super) fn new(
        provider: &str,
        model: &str,
        known: &Model,
        (origin, context_window): (String, Option<u64>),
    ) -> Self {
        let source = known.price_source;
        Self {
            provider: provider.to_owned(),
            model: model.to_owned(),
            source: source.as_str(),
            origin,
            date: (source == PriceSource::Builtin).then(|| builtin().date.as_str()),
            context_window,
            max_output_tokens: known.output_cap(),
            pricing: known.price.as_deref().map(pricing),
        }
    }

    /// Whether anybody says what it costs.
    pub(super) fn is_priced(&self) -> bool {
        self.pricing.is_some()
    }

    fn cells(&self) -> [String; 9] {
        let price = |pick: fn(&Pricing) -> Option<&String>| {
            self.pricing.as_ref().and_then(pick).map_or_else(|| "-".to_owned(), Clone::clone)
        };
        let count = |count: Option<u64>| count.map_or_else(|| "-".to_owned(), |n| n.to_string());
        let date = self.date.map(|date| format!(" {date}")).unwrap_or_default();
        let source = match self.source {
            "" => "unpriced".to_owned(),
            source => format!("{source}{date} ({})", self.origin),
        };
        [
            self.provider.clone(),
            self.model.clone(),
            price(|pricing| Some(&pricing.input)),
            price(|pricing| pricing.cached_input.as_ref()),
            price(|pricing| pricing.cache_write.as_ref()),
            price(|pricing| Some(&pricing.output)),
            count(self.max_output_tokens),
            self.pricing.as_ref().map_or(0, |pricing| pricing.tiers.len()).to_string(),
            source,
        ]
    }
}

/// Lines for people. Prices in USD for a million tokens; the other dimensions and the tiers are in
/// the other outputs.
pub(super) fn table(rows: &[Row]) -> String {
    let head = [
        "PROVIDER",
        "MODEL",
        "INPUT",
        "CACHED",
        "WRITE",
        "OUTPUT",
        "MAX OUTPUT",
        "TIERS",
        "SOURCE",
    ];
    let mut cells = vec![head.map(str::to_owned)];
    cells.extend(rows.iter().map(Row::cells));
    let width = |column: usize| {
        cells.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max()
    };
    let widths: Vec<_> = (0..head.len()).map(|column| width(column).unwrap_or(0)).collect();
    let line = |row: &[String; 9]| {
        let padded = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}"));
        padded.collect::<Vec<_>>().join("  ").trim_end().to_owned() + "\n"
    };
    cells.iter().map(line).collect()
}

/// A price in the words of a manifest.
fn pricing(price: &Price) -> Pricing {
    let optional = |rate: Option<Rate>| rate.map(|rate| rate.to_string());
    let each = |rate: Option<Rate>| rate.map(|rate| rate.usd().to_string());
    let rates = &price.rates;
    Pricing {
        input: rates.input.to_string(),
        output: rates.output.to_string(),
        cached_input: optional(rates.cached_input),
        cache_write: optional(rates.cache_write),
        cache_write_1h: optional(rates.cache_write_1h),
        reasoning: optional(rates.reasoning),
        audio_input: optional(rates.audio_input),
        audio_output: optional(rates.audio_output),
        image_input: optional(rates.image_input),
        image_output: optional(rates.image_output),
        image: each(rates.image),
        audio_second: each(rates.audio_second),
        request: each(rates.request),
        tiers: price.tiers.iter().map(tier).collect(),
    }
}

fn tier(tier: &Tier) -> PricingTier {
    let optional = |rate: Option<Rate>| rate.map(|rate| rate.to_string());
    let rates = &tier.rates;
    PricingTier {
        above_input_tokens: i64::try_from(tier.above).ok().filter(|above| *above > 0),
        service_tier: match tier.service {
            ServiceTier::Standard => None,
            ServiceTier::Batch => Some(PricedServiceTier::Batch),
            ServiceTier::Flex => Some(PricedServiceTier::Flex),
            ServiceTier::Priority => Some(PricedServiceTier::Priority),
        },
        input: rates.input.to_string(),
        output: rates.output.to_string(),
        cached_input: optional(rates.cached_input),
        cache_write: optional(rates.cache_write),
        cache_write_1h: optional(rates.cache_write_1h),
        reasoning: optional(rates.reasoning),
        audio_input: optional(rates.audio_input),
        audio_output: optional(rates.audio_output),
    }
}
