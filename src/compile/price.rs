//! Prices as written to prices as charged, and the catalogue of an AIProvider.

use std::{collections::HashMap, sync::Arc};

use crate::{
    api::{
        AIProviderSpec,
        condition::Reason,
        pricing::{PricedServiceTier, Pricing, PricingTier},
    },
    budget::{DecimalError, Price, Rate, Rates, ServiceTier, Tier},
    price::{PriceList, PriceSource},
    snapshot,
};

use super::Problem;

/// An AIProvider's catalogue, completed from the price lists.
///
/// # Errors
/// A price that is none.
pub fn catalogue(
    spec: &AIProviderSpec,
    lists: &[Arc<PriceList>],
) -> Result<HashMap<String, snapshot::Model>, Problem> {
    spec.models
        .iter()
        .map(|entry| {
            let price = entry.pricing.as_ref().map(self::price).transpose().map_err(|problem| {
                let message = format!("price of model {}: {}", entry.name, problem);
                Problem::new(Reason::Invalid, message)
            })?;
            let mut model = snapshot::Model {
                price_source: price.as_ref().map_or(PriceSource::None, |_| PriceSource::Provider),
                price: price.map(Arc::new),
                max_output_tokens: entry.max_output_tokens.and_then(|max| max.try_into().ok()),
                context_window: entry.context_window.and_then(|window| window.try_into().ok()),
                ..snapshot::Model::default()
            };
            model.complete(&entry.name, lists);
            Ok((entry.name.clone(), model))
        })
        .collect()
}

/// Prices as charged.
///
/// # Errors
/// A sentence that names the price that is none.
pub(super) fn price(pricing: &Pricing) -> Result<Price, String> {
    let Pricing {
        input,
        output,
        cached_input,
        cache_write,
        cache_write_1h,
        reasoning,
        audio_input,
        audio_output,
        image_input,
        image_output,
        image,
        audio_second,
        request,
        tiers,
    } = pricing;
    let rates = Rates {
        input: rate("input", input)?,
        output: rate("output", output)?,
        cached_input: optional("cachedInput", cached_input)?,
        cache_write: optional("cacheWrite", cache_write)?,
        cache_write_1h: optional("cacheWrite1h", cache_write_1h)?,
        reasoning: optional("reasoning", reasoning)?,
        audio_input: optional("audioInput", audio_input)?,
        audio_output: optional("audioOutput", audio_output)?,
        image_input: optional("imageInput", image_input)?,
        image_output: optional("imageOutput", image_output)?,
        image: each("image", image)?,
        audio_second: each("audioSecond", audio_second)?,
        request: each("request", request)?,
    };
    let tier = |(at, tier): (usize, &PricingTier)| {
        self::tier(tier, &rates).map_err(|error| format!("tiers[{at}]: {error}"))
    };
    let tiers: Vec<Tier> = tiers.iter().enumerate().map(tier).collect::<Result<_, _>>()?;
    for (at, tier) in tiers.iter().enumerate() {
        let same = |other: &Tier| (other.service, other.above) == (tier.service, tier.above);
        if let Some(first) = tiers.iter().take(at).position(same) {
            return Err(format!(
                "tiers[{at}] is for the same requests as tiers[{first}]: leave one"
            ));
        }
    }
    Ok(Price { rates, tiers })
}

fn tier(tier: &PricingTier, base: &Rates) -> Result<Tier, String> {
    let PricingTier {
        above_input_tokens,
        service_tier,
        input,
        output,
        cached_input,
        cache_write,
        cache_write_1h,
        reasoning,
        audio_input,
        audio_output,
    } = tier;
    if above_input_tokens.is_none() && service_tier.is_none() {
        return Err("set aboveInputTokens or serviceTier".to_owned());
    }
    let rates = Rates {
        input: rate("input", input)?,
        output: rate("output", output)?,
        cached_input: optional("cachedInput", cached_input)?,
        cache_write: optional("cacheWrite", cache_write)?,
        cache_write_1h: optional("cacheWrite1h", cache_write_1h)?,
        reasoning: optional("reasoning", reasoning)?,
        audio_input: optional("audioInput", audio_input)?,
        audio_output: optional("audioOutput", audio_output)?,
        ..Rates::default()
    };
    let above = u64::try_from(above_input_tokens.unwrap_or_default());
    Ok(Tier {
        service: service_tier.map_or(ServiceTier::Standard, self::service_tier),
        above: above.map_err(|_| "aboveInputTokens is negative".to_owned())?,
        rates: rates.over(base),
    })
}

fn service_tier(tier: PricedServiceTier) -> ServiceTier {
    match tier {
        PricedServiceTier::Batch => ServiceTier::Batch,
        PricedServiceTier::Flex => ServiceTier::Flex,
        PricedServiceTier::Priority => ServiceTier::Priority,
    }
}

fn rate(name: &str, text: &str) -> Result<Rate, String> {
    named(name, Rate::from_usd_per_million(text))
}

fn optional(name: &str, text: &Option<String>) -> Result<Option<Rate>, String> {
    text.as_deref().map(|text| rate(name, text)).transpose()
}

fn each(name: &str, text: &Option<String>) -> Result<Option<Rate>, String> {
    text.as_deref().map(|text| named(name, Rate::from_usd(text))).transpose()
}

fn named(name: &str, rate: Result<Rate, DecimalError>) -> Result<Rate, String> {
    rate.map_err(|error| format!("{name}: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_tiers_for_the_same_requests_are_a_mistake() {
        let tier = |above: u64, output: &str| serde_json::json!({"aboveInputTokens": above, "input": "1", "output": output});
        let read = |tiers: &[serde_json::Value]| {
            let pricing = serde_json::json!({"input": "1", "output": "2", "tiers": tiers});
            price(&serde_json::from_value(pricing).unwrap())
        };
        assert_eq!(read(&[tier(1000, "3"), tier(2000, "4")]).unwrap().tiers.len(), 2);
        let error = read(&[tier(1000, "3"), tier(2000, "4"), tier(1000, "1")]).unwrap_err();
        assert_eq!(error, "tiers[2] is for the same requests as tiers[0]: leave one");
    }
}
