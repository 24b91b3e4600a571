//! Tokens used by one call, in one canonical form, and the estimate for when none are reported.
//! Prices and money belong to `budget`.

use std::{fmt, ops::AddAssign};

use serde::{Deserialize as _, Deserializer};
use serde_json::Value;

/// What is billed. `input` includes what was read from and written to a prompt cache, sound and
/// pictures, `output` includes reasoning, sound and pictures; the others say how much of them was
/// that. Parts do not overlap: sound that was read from a cache counts as cached.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub struct Usage {
    /// Prompt tokens, cached and cache-writing ones included.
    pub input: u64,
    /// Generated tokens, reasoning included.
    pub output: u64,
    /// Part of `input` that was read from a prompt cache.
    pub cached_input: u64,
    /// Part of `input` that was written to a prompt cache.
    pub cache_write: u64,
    /// Part of `cache_write` that is kept for an hour.
    pub cache_write_1h: u64,
    /// Part of `output` that was reasoning.
    pub reasoning: u64,
    /// Part of `input` that was sound.
    pub audio_input: u64,
    /// Part of `output` that was sound.
    pub audio_output: u64,
    /// Part of `input` that was pictures.
    pub image_input: u64,
    /// Part of `output` that was pictures.
    pub image_output: u64,
    /// Pictures made, where they are billed by piece.
    pub images: u64,
    /// Seconds of sound that was listened to, where they are billed and not tokens.
    pub audio_seconds: u64,
    /// Units by which the provider bills requests (a rerank's search units); 0 counts as one.
    pub requests: u64,
    /// How the provider has processed the request.
    pub service_tier: ServiceTier,
}

/// How a provider processes a request, and charges for it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
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
    /// The tier by the word of `service_tier` in OpenAI's and Anthropic's requests and answers. Words
    /// without a price of their own (`auto`, `default`, `scale`) are the usual tier.
    pub fn from_word(word: &str) -> Self {
        match word {
            "batch" => Self::Batch,
            "flex" => Self::Flex,
            "priority" => Self::Priority,
            _ => Self::Standard,
        }
    }
}

impl Usage {
    /// All tokens, input and output.
    pub fn total(&self) -> u64 {
        self.input.saturating_add(self.output)
    }

    /// The same where no part is more than its whole: providers have reported more cached tokens than
    /// there were in the prompt, and more reasoning than output.
    pub(crate) fn bounded(mut self) -> Self {
        let mut left = self.input;
        let parts = [
            &mut self.cached_input,
            &mut self.cache_write,
            &mut self.audio_input,
            &mut self.image_input,
        ];
        for part in parts {
            *part = (*part).min(left);
            left -= *part;
        }
        self.cache_write_1h = self.cache_write_1h.min(self.cache_write);
        self.reasoning = self.reasoning.min(self.output);
        self.audio_output = self.audio_output.min(self.output);
        self.image_output = self.image_output.min(self.output - self.audio_output);
        self
    }
}

/// The five counts that every provider has, and of the others those that are not zero.
impl fmt::Debug for Usage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut out = f.debug_struct("Usage");
        out.field("input", &self.input)
            .field("output", &self.output)
            .field("cached_input", &self.cached_input)
            .field("cache_write", &self.cache_write)
            .field("reasoning", &self.reasoning);
        let others = [
            ("cache_write_1h", self.cache_write_1h),
            ("audio_input", self.audio_input),
            ("audio_output", self.audio_output),
            ("image_input", self.image_input),
            ("image_output", self.image_output),
            ("images", self.images),
            ("audio_seconds", self.audio_seconds),
            ("requests", self.requests),
        ];
        for (name, count) in others.iter().filter(|(_, count)| *count > 0) {
            out.field(name, count);
        }
        if self.service_tier != ServiceTier::Standard {
            out.field("service_tier", &self.service_tier);
        }
        out.finish()
    }
}

impl AddAssign for Usage {
    fn add_assign(&mut self, other: Self) {
        let sums = [
            (&mut self.input, other.input),
            (&mut self.output, other.output),
            (&mut self.cached_input, other.cached_input),
            (&mut self.cache_write, other.cache_write),
            (&mut self.cache_write_1h, other.cache_write_1h),
            (&mut self.reasoning, other.reasoning),
            (&mut self.audio_input, other.audio_input),
            (&mut self.audio_output, other.audio_output),
            (&mut self.image_input, other.image_input),
            (&mut self.image_output, other.image_output),
            (&mut self.images, other.images),
            (&mut self.audio_seconds, other.audio_seconds),
            (&mut self.requests, other.requests),
        ];
        for (sum, part) in sums {
            *sum = sum.saturating_add(part);
        }
        if self.service_tier == ServiceTier::Standard {
            self.service_tier = other.service_tier;
        }
    }
}

/// The largest count of tokens that is believed; no model takes or gives as many in one call.
const MAX_COUNT: f64 = 1e9;

/// Reads a count as providers write it: `10`, `10.0`, `"10"` or null. What is no count (negative,
/// absurdly large) is read as absent, for an answer must not fail by how it was counted.
pub(crate) fn count<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<u64>, D::Error> {
    let number = match Value::deserialize(deserializer)? {
        Value::Number(number) => number.as_f64(),
        Value::String(text) => text.parse().ok(),
        _ => None,
    };
    let believed = number.filter(|number| (0.0..=MAX_COUNT).contains(number));
    Ok(believed.map(|number| number.ceil() as u64))
}

/// Tokens that a text of so many bytes may have: bytes / 3, rounded up. It errs on the high side for
/// English (about 4 bytes a token) because a budget reserves by it.
pub fn estimate_tokens(bytes: usize) -> u64 {
    u64::try_from(bytes.div_ceil(3)).unwrap_or(u64::MAX)
}

/// What a request may count as input, before the provider has said it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct InputEstimate {
    /// Tokens.
    pub tokens: u64,
    /// Seconds of sound.
    pub audio_seconds: u64,
}

impl InputEstimate {
    /// The estimate for a text.
    pub fn of_text(bytes: usize) -> Self {
        Self { tokens: estimate_tokens(bytes), audio_seconds: 0 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::llm::Quirks;

    #[test]
    fn a_count_is_read_however_it_is_written_and_nonsense_is_none() {
        let read = |json: &str| count(&mut serde_json::Deserializer::from_str(json)).unwrap();
        for ten in ["10", "10.0", "\"10\"", "9.5"] {
            assert_eq!(read(ten), Some(10), "{ten}");
        }
        assert_eq!(read("0"), Some(0));
        for none in ["null", "-1", "1e30", "1000000000000", "\"many\"", "{}", "true"] {
            assert_eq!(read(none), None, "{none}");
        }
    }

    #[test]
    fn estimate_rounds_up() {
        assert_eq!([0, 1, 3, 4].map(estimate_tokens), [0, 1, 1, 2]);
    }

    #[test]
    fn total_counts_cached_and_reasoning_once() {
        let usage = Usage {
            input: 10,
            output: 5,
            cached_input: 8,
            cache_write: 1,
            reasoning: 4,
            ..Usage::default()
        };
        assert_eq!(usage.total(), 15);
    }

    #[test]
    fn no_part_is_more_than_its_whole() {
        use crate::llm::{Dialect, codec::codec, report};
        let read = |dialect: Option<Dialect>, json: &str| {
            let body = json.as_bytes();
            let usage = match dialect {
                Some(dialect) => codec(dialect).usage_of(body),
                None => report(body).usage,
            };
            let Usage { input, cached_input, output, reasoning, .. } = usage.unwrap();
            [input, cached_input, output, reasoning]
        };
        for (dialect, json) in [
            (
                Some(Dialect::OpenAi),
                r#"{"usage":{"prompt_tokens":10,"completion_tokens":5,"total_tokens":15,
                "prompt_tokens_details":{"cached_tokens":50},
                "completion_tokens_details":{"reasoning_tokens":50}}}"#,
            ),
            (
                Some(Dialect::Gemini),
                r#"{"usageMetadata":{"promptTokenCount":10,"cachedContentTokenCount":50,
                "candidatesTokenCount":0,"thoughtsTokenCount":5}}"#,
            ),
            (
                Some(Dialect::Responses),
                r#"{"usage":{"input_tokens":10,"output_tokens":5,"total_tokens":15,
                "input_tokens_details":{"cached_tokens":50},
                "output_tokens_details":{"reasoning_tokens":50}}}"#,
            ),
            (
                None,
                r#"{"usage":{"input_tokens":10,"output_tokens":5,"total_tokens":15,
                "input_token_details":{"cached_tokens":50},
                "output_token_details":{"reasoning_tokens":50}}}"#,
            ),
        ] {
            assert_eq!(read(dialect, json), [10, 10, 5, 5], "{dialect:?}");
        }
        // What was not counted has no parts.
        let anthropic = r#"{"usage":{"cache_read_input_tokens":50,"output_tokens":5}}"#;
        assert_eq!(read(Some(Dialect::Anthropic), anthropic), [0, 0, 5, 0]);
        let bedrock = r#"{"usage":{"cacheReadInputTokens":50,"outputTokens":5}}"#;
        assert_eq!(read(Some(Dialect::Bedrock), bedrock), [0, 0, 5, 0]);
    }

    #[test]
    fn what_gemini_leaves_out_is_told_by_its_total() {
        let output = |usage: &str| {
            let body = format!(r#"{{"usageMetadata":{usage}}}"#);
            crate::llm::gemini::wire::usage_of(body.as_bytes()).unwrap().output
        };
        let total = r#"{"promptTokenCount":10,"toolUsePromptTokenCount":1,"thoughtsTokenCount":7,"totalTokenCount":23}"#;
        assert_eq!(output(total), 12);
        // Thinking has used all that there was.
        let thoughts = r#"{"promptTokenCount":10,"thoughtsTokenCount":7,"totalTokenCount":17}"#;
        assert_eq!(output(thoughts), 7);
    }

    #[test]
    fn what_providers_bill_is_read_from_their_reports() {
        let body =
            br#"{"service_tier":"priority","usage":{"prompt_tokens":100,"completion_tokens":50,
            "prompt_tokens_details":{"cached_tokens":60,"audio_tokens":70},
            "completion_tokens_details":{"reasoning_tokens":5,"audio_tokens":30}}}"#;
        let expected = Usage {
            input: 100,
            output: 50,
            cached_input: 60,
            // 30 of the 70 were read from the cache as well.
            audio_input: 40,
            audio_output: 30,
            reasoning: 5,
            service_tier: ServiceTier::Priority,
            ..Usage::default()
        };
        assert_eq!(crate::llm::openai::wire::usage_of(body, Quirks::default()), Some(expected));
        let body = br#"{"usage":{"input_tokens":10,"cache_creation_input_tokens":30,
            "cache_read_input_tokens":5,"output_tokens":2,"service_tier":"batch",
            "cache_creation":{"ephemeral_5m_input_tokens":10,"ephemeral_1h_input_tokens":20}}}"#;
        let expected = Usage {
            input: 45,
            output: 2,
            cached_input: 5,
            cache_write: 30,
            cache_write_1h: 20,
            service_tier: ServiceTier::Batch,
            ..Usage::default()
        };
        assert_eq!(crate::llm::anthropic::wire::usage_of(body), Some(expected));
    }

    #[test]
    fn a_tier_of_another_type_or_name_loses_no_count() {
        for tier in ["null", "7", "\"auto\"", "\"default\"", "{}"] {
            let openai = format!(
                r#"{{"service_tier":{tier},"usage":{{"prompt_tokens":1,"completion_tokens":2}}}}"#
            );
            let anthropic = format!(
                r#"{{"usage":{{"input_tokens":1,"output_tokens":2,"service_tier":{tier}}}}}"#
            );
            let expected = Some(Usage { input: 1, output: 2, ..Usage::default() });
            assert_eq!(
                crate::llm::openai::wire::usage_of(openai.as_bytes(), Quirks::default()),
                expected,
                "{tier}"
            );
            let usage = crate::llm::anthropic::wire::usage_of(anthropic.as_bytes());
            assert_eq!(usage, expected, "{tier}");
        }
    }

    #[test]
    fn what_is_written_to_a_caller_is_what_was_read() {
        let usage = Usage {
            input: 100,
            output: 50,
            cached_input: 20,
            cache_write: 30,
            reasoning: 5,
            ..Usage::default()
        };
        let sound = Usage { audio_input: 40, audio_output: 8, ..usage };
        let openai = serde_json::json!({"usage": crate::llm::openai::wire::WireUsage::from(sound)});
        let read =
            crate::llm::openai::wire::usage_of(openai.to_string().as_bytes(), Quirks::default());
        assert_eq!(read, Some(sound));
        let kept = Usage { cache_write_1h: 10, ..usage };
        let wire = crate::llm::anthropic::wire::WireUsage::from(kept);
        let anthropic = serde_json::json!({"usage": wire}).to_string();
        assert_eq!(crate::llm::anthropic::wire::usage_of(anthropic.as_bytes()), Some(kept));
    }
}
