//! Exact costs of worked examples, and the bound that reservations rely on.

use super::*;

fn rate(text: &str) -> Rate {
    Rate::from_usd_per_million(text).unwrap()
}

fn gpt() -> Rates {
    let cached_input = Some(rate("0.025"));
    Rates { input: rate("0.25"), output: rate("2.00"), cached_input, ..Rates::default() }
}

fn cost(rates: Rates, tokens: TokenCounts) -> String {
    Price::flat(rates).cost(&tokens).to_string()
}

const M: u64 = 1_000_000;

#[test]
fn cached_input_is_not_charged_twice() {
    let tokens = TokenCounts { input: M, cached_input: 400_000, ..TokenCounts::default() };
    assert_eq!(cost(gpt(), tokens), "0.16");
}

#[test]
fn missing_prices_fall_back_to_input_and_output() {
    let tokens = TokenCounts {
        input: 3 * M,
        cache_write: M,
        output: M,
        reasoning: 600_000,
        ..TokenCounts::default()
    };
    assert_eq!(cost(gpt(), tokens), "2.75");
    let dear = Rates { reasoning: Some(rate("10")), cache_write: Some(rate("1.25")), ..gpt() };
    assert_eq!(cost(dear, tokens), "8.55");
}

#[test]
fn a_cache_entry_for_an_hour_has_its_own_price() {
    let claude = Rates {
        input: rate("3"),
        output: rate("15"),
        cached_input: Some(rate("0.3")),
        cache_write: Some(rate("3.75")),
        cache_write_1h: Some(rate("6")),
        ..Rates::default()
    };
    let tokens = TokenCounts {
        input: 1000 + 2000 + 4000 + 100,
        cached_input: 1000,
        cache_write: 2000 + 4000,
        cache_write_1h: 4000,
        output: 10,
        ..TokenCounts::default()
    };
    // 1000 x 0.3 + 2000 x 3.75 + 4000 x 6 + 100 x 3 + 10 x 15 millionths
    assert_eq!(cost(claude, tokens), "0.03225");
    let without = Rates { cache_write_1h: None, ..claude };
    assert_eq!(cost(without, tokens), "0.02325");
}

#[test]
fn sound_and_pictures_have_prices_of_their_own() {
    let rates = Rates {
        audio_input: Some(rate("1")),
        audio_output: Some(rate("12")),
        image_input: Some(rate("0.5")),
        image_output: Some(rate("30")),
        ..gpt()
    };
    let tokens = TokenCounts {
        input: 1000,
        audio_input: 600,
        image_input: 300,
        output: 100,
        audio_output: 50,
        image_output: 30,
        ..TokenCounts::default()
    };
    // 100 x 0.25 + 600 x 1 + 300 x 0.5 + 20 x 2 + 50 x 12 + 30 x 30 millionths
    assert_eq!(cost(rates, tokens), "0.002315");
    // 1000 x 0.25 + 100 x 2
    assert_eq!(cost(gpt(), tokens), "0.00045");
}

#[test]
fn pictures_by_piece_and_requests_are_charged_each() {
    let fee = |text| Some(Rate::from_usd(text).unwrap());
    let rates = Rates { image: fee("0.04"), request: fee("0.005"), ..Rates::default() };
    let tokens = TokenCounts { images: 3, ..TokenCounts::default() };
    assert_eq!(cost(rates, tokens), "0.125");
    let searches = TokenCounts { requests: 4, ..TokenCounts::default() };
    assert_eq!(cost(rates, searches), "0.02");
}

fn tiered() -> Price {
    let flat =
        |input, output| Rates { input: rate(input), output: rate(output), ..Rates::default() };
    let tier = |service, above, rates| Tier { service, above, rates };
    Price {
        rates: flat("1.25", "10"),
        tiers: vec![
            tier(ServiceTier::Standard, 200_000, flat("2.5", "15")),
            tier(ServiceTier::Flex, 0, flat("0.625", "5")),
            tier(ServiceTier::Priority, 0, flat("2.25", "18")),
            tier(ServiceTier::Priority, 200_000, flat("4.5", "27")),
        ],
    }
}

#[test]
fn the_step_of_size_is_chosen_by_this_requests_input_and_charges_all_of_it() {
    let at = |input, service_tier| {
        let tokens = TokenCounts { input, output: 1000, service_tier, ..TokenCounts::default() };
        tiered().cost(&tokens).to_string()
    };
    assert_eq!(at(200_000, ServiceTier::Standard), "0.26");
    assert_eq!(at(200_001, ServiceTier::Standard), "0.5150025");
    assert_eq!(at(100_000, ServiceTier::Priority), "0.243");
    assert_eq!(at(200_001, ServiceTier::Priority), "0.9270045");
    assert_eq!(at(100_000, ServiceTier::Flex), "0.0675");
    // Without a price of its own for long calls, a tier has the usual one.
    assert_eq!(at(200_001, ServiceTier::Flex), "0.5150025");
    assert_eq!(at(100_000, ServiceTier::Batch), "0.135");
}

#[test]
fn a_tier_keeps_the_prices_that_it_does_not_name_only_for_sound_pictures_and_requests() {
    let fee = Some(Rate(7));
    let base = Rates { audio_input: fee, request: fee, cached_input: fee, ..gpt() };
    let tier = Rates { input: rate("0.5"), output: rate("3"), ..Rates::default() }.over(&base);
    assert_eq!((tier.audio_input, tier.request, tier.cached_input), (fee, fee, None));
    assert_eq!(tier.input, rate("0.5"));
}

#[test]
fn a_reservation_takes_the_dearest_tier_that_the_request_can_reach() {
    let worst = |input, service_tier| {
        let bound = Bound { input, output: 1000, service_tier, ..Bound::default() };
        tiered().worst_case(&bound).to_string()
    };
    assert_eq!(worst(100_000, ServiceTier::Standard), "0.135");
    assert_eq!(worst(300_000, ServiceTier::Standard), "0.765");
    assert_eq!(worst(100_000, ServiceTier::Priority), "0.243");
    // The provider may process a flex request as usual.
    assert_eq!(worst(100_000, ServiceTier::Flex), "0.135");
}

#[test]
fn cost_is_rounded_up_once_and_not_per_part() {
    let price = Rates { input: Rate(1), output: Rate(1), ..Rates::default() };
    let nano = |input, output| {
        Price::flat(price).cost(&TokenCounts { input, output, ..TokenCounts::default() })
    };
    assert_eq!(nano(0, 0), NanoUsd(0));
    assert_eq!(nano(1, 1), NanoUsd(1));
    assert_eq!(nano(500, 500), NanoUsd(1));
    assert_eq!(nano(500, 501), NanoUsd(2));
}

#[test]
fn absurd_counts_saturate_instead_of_wrapping() {
    let most = TokenCounts {
        input: u64::MAX,
        output: u64::MAX,
        cached_input: u64::MAX,
        cache_write: u64::MAX,
        reasoning: u64::MAX,
        images: u64::MAX,
        ..TokenCounts::default()
    };
    let huge = Rates { input: Rate(u64::MAX), output: Rate(u64::MAX), ..Rates::default() };
    assert_eq!(Price::flat(huge).cost(&most), NanoUsd(u64::MAX));
    assert_eq!(most.total(), u64::MAX);
}

fn rates() -> impl proptest::strategy::Strategy<Value = Rates> {
    use proptest::{array::uniform13, bool::ANY, strategy::Strategy as _};
    (uniform13(0_u64..1_000_000_000), uniform13(ANY)).prop_map(|(rates, named)| {
        let optional = |at: usize| named[at].then_some(Rate(rates[at]));
        Rates {
            input: Rate(rates[0]),
            output: Rate(rates[1]),
            cached_input: optional(2),
            cache_write: optional(3),
            cache_write_1h: optional(4),
            reasoning: optional(5),
            audio_input: optional(6),
            audio_output: optional(7),
            image_input: optional(8),
            image_output: optional(9),
            image: optional(10),
            request: optional(11),
            audio_second: optional(12),
        }
    })
}

proptest::proptest! {
    #[test]
    fn worst_case_bounds_every_split_size_and_tier(
        base in rates(),
        tiers in proptest::collection::vec((0_usize..4, 0_u64..1_000_000, rates()), 0..4),
        (input, output, images, audio_seconds)
            in (0_u64..1_000_000, 0_u64..1_000_000, 0_u64..4, 0_u64..9_000),
        parts in proptest::array::uniform10(0_u64..1_000_000),
        (asked, as_asked) in (0_usize..4, proptest::bool::ANY),
    ) {
        let tier = |(service, above, rates): (usize, u64, Rates)| {
            Tier { service: ServiceTier::ALL[service], above, rates }
        };
        let price = Price { rates: base, tiers: tiers.into_iter().map(tier).collect() };
        let asked = ServiceTier::ALL[asked];
        let bound =
            Bound { input, output, images, audio_seconds, requests: 1, service_tier: asked };
        let mut input_left = parts[0].min(input);
        let mut output_left = parts[1].min(output);
        let mut tokens = TokenCounts {
            input: input_left,
            output: output_left,
            images: parts[2].min(images),
            audio_seconds: parts[9].min(audio_seconds),
            service_tier: if as_asked { asked } else { ServiceTier::Standard },
            ..TokenCounts::default()
        };
        let take = |left: &mut u64, part: u64| { let part = part.min(*left); *left -= part; part };
        tokens.cached_input = take(&mut input_left, parts[3]);
        tokens.cache_write = take(&mut input_left, parts[4]);
        tokens.cache_write_1h = tokens.cache_write.min(parts[8]);
        tokens.audio_input = take(&mut input_left, parts[5]);
        tokens.reasoning = take(&mut output_left, parts[6]);
        tokens.image_output = take(&mut output_left, parts[7]);
        proptest::prop_assert!(price.cost(&tokens) <= price.worst_case(&bound));
    }
}
