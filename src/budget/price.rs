//! What a call costs. Owns the dimensions of a price, the choice of its tier and the one rounding
//! rule; knows nothing of providers.

use super::money::NanoUsd;
use super::rate::Rate;

/// What one call used, as every dialect reports it after normalisation. Parts of one whole do not
/// overlap: a token is cached or audio, never both.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct TokenCounts {
    /// Prompt tokens, all the parts below included.
    pub input: u64,
    /// Completion tokens, all the parts below included.
    pub output: u64,
    /// Input tokens read from the provider's prompt cache.
    pub cached_input: u64,
    /// Input tokens written to the provider's prompt cache, for whatever time.
    pub cache_write: u64,
    /// Those of `cache_write` that are kept for an hour.
    pub cache_write_1h: u64,
    /// Output tokens spent on hidden reasoning.
    pub reasoning: u64,
    /// Input tokens of sound.
    pub audio_input: u64,
    /// Output tokens of sound.
    pub audio_output: u64,
    /// Input tokens of pictures.
    pub image_input: u64,
    /// Output tokens of pictures.
    pub image_output: u64,
    /// Pictures made, where they are billed by piece.
    pub images: u64,
    /// Seconds of sound that was listened to, where they are billed and not tokens.
    pub audio_seconds: u64,
    /// Units by which the provider bills requests (a rerank's search units); 0 counts as one.
    pub requests: u64,
    /// How the provider has processed the call.
    pub service_tier: ServiceTier,
}

impl TokenCounts {
    /// Input plus output: what a limit in tokens counts.
    pub fn total(&self) -> u64 {
        self.input.saturating_add(self.output)
    }
}

/// How a provider processes a call, and charges for it.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ServiceTier {
    /// As usual.
    #[default]
    Standard,
    /// Later, for less.
    Batch,
    /// When there is room, for less.
    Flex,
    /// Before others, for more.
    Priority,
}

impl ServiceTier {
    /// Every tier, in the order in which they are listed.
    pub const ALL: [Self; 4] = [Self::Standard, Self::Batch, Self::Flex, Self::Priority];

    /// The tier as it is written in price tables and shown to people.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Standard => "standard",
            Self::Batch => "batch",
            Self::Flex => "flex",
            Self::Priority => "priority",
        }
    }
}

/// The prices of one tier: of tokens, except for `image`, `audio_second` and `request`.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Rates {
    /// Input that is none of the parts below.
    pub input: Rate,
    /// Output that is none of the parts below.
    pub output: Rate,
    /// Input read from the provider's cache; absent means the input price.
    pub cached_input: Option<Rate>,
    /// Input written to the provider's cache; absent means the input price.
    pub cache_write: Option<Rate>,
    /// Input written to the provider's cache for an hour; absent means as `cache_write`.
    pub cache_write_1h: Option<Rate>,
    /// Reasoning output; absent means the output price.
    pub reasoning: Option<Rate>,
    /// Sound in; absent means the input price.
    pub audio_input: Option<Rate>,
    /// Sound out; absent means the output price.
    pub audio_output: Option<Rate>,
    /// Pictures in, by token; absent means the input price.
    pub image_input: Option<Rate>,
    /// Pictures out, by token; absent means the output price.
    pub image_output: Option<Rate>,
    /// One picture made; absent means none.
    pub image: Option<Rate>,
    /// One second of sound that is listened to; absent means none.
    pub audio_second: Option<Rate>,
    /// One request; absent means none.
    pub request: Option<Rate>,
}

impl Rates {
    /// Takes over from `base` what a tier seldom changes and therefore seldom names: the prices of
    /// sound, pictures and requests. A cache or reasoning price that a tier leaves out is its own
    /// input or output price, which never charges too little.
    pub fn over(self, base: &Self) -> Self {
        Self {
            audio_input: self.audio_input.or(base.audio_input),
            audio_output: self.audio_output.or(base.audio_output),
            image_input: self.image_input.or(base.image_input),
            image_output: self.image_output.or(base.image_output),
            image: self.image.or(base.image),
            audio_second: self.audio_second.or(base.audio_second),
            request: self.request.or(base.request),
            ..self
        }
    }

    fn cost(&self, tokens: &TokenCounts) -> NanoUsd {
        let write_1h = tokens.cache_write_1h.min(tokens.cache_write);
        let write = tokens.cache_write - write_1h;
        let rest = |whole: u64, parts: &[u64]| {
            whole.saturating_sub(parts.iter().fold(0_u64, |sum, part| sum.saturating_add(*part)))
        };
        let input_parts =
            [tokens.cached_input, tokens.cache_write, tokens.audio_input, tokens.image_input];
        let output_parts = [tokens.reasoning, tokens.audio_output, tokens.image_output];
        let write_rate = self.cache_write.unwrap_or(self.input);
        round_up(&[
            (rest(tokens.input, &input_parts), self.input),
            (tokens.cached_input, self.cached_input.unwrap_or(self.input)),
            (write, write_rate),
            (write_1h, self.cache_write_1h.unwrap_or(write_rate)),
            (tokens.audio_input, self.audio_input.unwrap_or(self.input)),
            (tokens.image_input, self.image_input.unwrap_or(self.input)),
            (rest(tokens.output, &output_parts), self.output),
            (tokens.reasoning, self.reasoning.unwrap_or(self.output)),
            (tokens.audio_output, self.audio_output.unwrap_or(self.output)),
            (tokens.image_output, self.image_output.unwrap_or(self.output)),
            (tokens.images, self.image.unwrap_or_default()),
            (tokens.audio_seconds, self.audio_second.unwrap_or_default()),
            (tokens.requests.max(1), self.request.unwrap_or_default()),
        ])
    }

    fn worst_case(&self, bound: &Bound) -> NanoUsd {
        let dearest = |base: Rate, others: &[Option<Rate>]| {
            others.iter().flatten().copied().fold(base, Rate::max)
        };
        let inputs = [
            self.cached_input,
            self.cache_write,
            self.cache_write_1h,
            self.audio_input,
            self.image_input,
        ];
        let outputs = [self.reasoning, self.audio_output, self.image_output];
        round_up(&[
            (bound.input, dearest(self.input, &inputs)),
            (bound.output, dearest(self.output, &outputs)),
            (bound.images, self.image.unwrap_or_default()),
            (bound.audio_seconds, self.audio_second.unwrap_or_default()),
            (bound.requests.max(1), self.request.unwrap_or_default()),
        ])
    }
}

/// Prices that replace the usual ones for certain calls.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Tier {
    /// Calls that were processed so.
    pub service: ServiceTier,
    /// Calls with more input tokens than this. The whole call is then charged by this tier, which is
    /// how providers charge.
    pub above: u64,
    /// What they cost.
    pub rates: Rates,
}

/// The price list of one model.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Price {
    /// What calls cost that no tier covers.
    pub rates: Rates,
    /// The others.
    pub tiers: Vec<Tier>,
}

/// The most that a call can use.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Bound {
    /// Input tokens, of whatever sort.
    pub input: u64,
    /// Output tokens, of whatever sort.
    pub output: u64,
    /// Pictures made.
    pub images: u64,
    /// Seconds of sound that is listened to.
    pub audio_seconds: u64,
    /// Units by which requests are billed; 0 counts as one.
    pub requests: u64,
    /// The tier that was asked for. The provider may answer by the usual one instead.
    pub service_tier: ServiceTier,
}

impl Price {
    /// The price of a model that charges these rates whatever the call.
    pub fn flat(rates: Rates) -> Self {
        Self { rates, tiers: Vec::new() }
    }

    /// What a call costs, rounded up once to a whole nano-dollar, at most the largest amount.
    ///
    /// Parts that exceed their whole (more cached input than input) are charged as reported, the
    /// rest then counts as none.
    pub fn cost(&self, tokens: &TokenCounts) -> NanoUsd {
        self.rates(tokens.service_tier, tokens.input).cost(tokens)
    }

    /// The most that a call within `bound` can cost, whatever part of it turns out to be cached,
    /// sound or reasoning and whichever step of size it ends on: what a reservation takes, so that a
    /// settlement never exceeds it.
    pub fn worst_case(&self, bound: &Bound) -> NanoUsd {
        let reachable = self.reached(bound.service_tier, bound.input);
        let tiers = reachable.map(|tier| tier.rates.worst_case(bound)).max();
        self.rates.worst_case(bound).max(tiers.unwrap_or_default())
    }

    /// The prices of a call: those of the highest step of size that it reaches, there its own
    /// service tier's if it has one of its own, else the usual ones.
    fn rates(&self, service: ServiceTier, input: u64) -> &Rates {
        self.reached(service, input)
            .max_by_key(|tier| (tier.above, tier.service == service))
            .map_or(&self.rates, |tier| &tier.rates)
    }

    fn reached(&self, service: ServiceTier, input: u64) -> impl Iterator<Item = &Tier> {
        self.tiers.iter().filter(move |tier| {
            (tier.service == service || tier.service == ServiceTier::Standard)
                && (tier.above == 0 || tier.above < input)
        })
    }
}

fn round_up(parts: &[(u64, Rate)]) -> NanoUsd {
    // The product of two 64-bit numbers fits in 128 bits, the sum of several may not.
    let pico = parts.iter().fold(0_u128, |sum, (count, rate)| {
        sum.saturating_add(u128::from(*count) * u128::from(rate.0))
    });
    NanoUsd(u64::try_from(pico.div_ceil(1000)).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests;
