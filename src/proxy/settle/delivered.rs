//! What of an answer has come, and what is charged for it.

use crate::{
    budget::TokenCounts,
    llm::{Endpoint, InputEstimate, Usage, Work, estimate_tokens},
    route::demand,
};

/// The part of an answer that has come so far.
#[derive(Default)]
pub struct Delivered {
    /// What the provider has reported.
    pub usage: Option<Usage>,
    /// Bytes of the answer's text.
    pub output_bytes: u64,
    /// The provider said that it was done, so that `usage` is its last word.
    pub is_final: bool,
}

impl Delivered {
    /// What to charge, and whether it is an estimate.
    pub fn tokens(&self, input: InputEstimate, endpoint: Endpoint) -> (Usage, bool) {
        if endpoint.work() == Work::Count {
            return (Usage::default(), false);
        }
        let work = endpoint.work();
        let generates = work.generates_text() || work == Work::Transcript;
        let bytes = usize::try_from(self.output_bytes).unwrap_or(usize::MAX);
        let output = if generates { estimate_tokens(bytes) } else { 0 };
        match self.usage {
            Some(usage) => {
                let mut charged = usage;
                // No content is made of no tokens: the count is missing, or was none. Transcripts may
                // be billed by their length instead.
                if usage.output == 0 && usage.audio_seconds == 0 {
                    charged.output = output;
                }
                if usage.input == 0 && work.generates_text() {
                    charged.input = input.tokens;
                }
                // A report that came early says little about the output.
                if !self.is_final {
                    charged.output = usage.output.max(output);
                }
                (charged, !self.is_final || charged != usage)
            }
            None => {
                let InputEstimate { tokens: input, audio_seconds } = input;
                (Usage { input, output, audio_seconds, ..Usage::default() }, true)
            }
        }
    }
}

/// The counts of a record.
pub fn counts(usage: &Usage) -> TokenCounts {
    // Named one by one: a count that is added must not be forgotten here.
    let Usage {
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
        images,
        audio_seconds,
        requests,
        service_tier,
    } = *usage;
    TokenCounts {
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
        images,
        audio_seconds,
        requests,
        service_tier: demand::service_tier(service_tier),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unfinished_report_counts_at_least_what_was_delivered() {
        let early = Usage { input: 10, output: 1, ..Usage::default() };
        let mut delivered = Delivered { usage: Some(early), output_bytes: 300, is_final: false };
        let (usage, estimated) =
            delivered.tokens(InputEstimate { tokens: 7, audio_seconds: 0 }, Endpoint::Messages);
        assert_eq!((usage.input, usage.output, estimated), (10, 100, true));
        delivered.is_final = true;
        assert_eq!(
            delivered.tokens(InputEstimate { tokens: 7, audio_seconds: 0 }, Endpoint::Messages),
            (early, false)
        );
    }

    #[test]
    fn half_a_report_is_completed_by_an_estimate() {
        let input = InputEstimate { tokens: 7, audio_seconds: 0 };
        let tokens = |usage, output_bytes, endpoint| {
            let delivered = Delivered { usage: Some(usage), output_bytes, is_final: true };
            let (usage, estimated) = delivered.tokens(input, endpoint);
            (usage.input, usage.output, estimated)
        };
        let (read, written) =
            (Usage { input: 10, ..Usage::default() }, Usage { output: 5, ..Usage::default() });
        let chat = Endpoint::ChatCompletions;
        assert_eq!(tokens(read, 300, chat), (10, 100, true));
        assert_eq!(tokens(written, 300, chat), (7, 5, true));
        // Nothing was said, and nothing else is made than vectors.
        assert_eq!(tokens(read, 0, chat), (10, 0, false));
        assert_eq!(tokens(read, 300, Endpoint::Embeddings), (10, 0, false));
        let heard = Usage { audio_seconds: 3, ..Usage::default() };
        assert_eq!(tokens(heard, 300, Endpoint::Transcriptions), (0, 0, false));
    }

    #[test]
    fn without_a_report_bytes_are_counted() {
        let delivered = Delivered { usage: None, output_bytes: 31, is_final: true };
        let (usage, estimated) = delivered
            .tokens(InputEstimate { tokens: 7, audio_seconds: 0 }, Endpoint::ChatCompletions);
        assert_eq!((usage.input, usage.output, estimated), (7, 11, true));
        assert_eq!(
            delivered
                .tokens(InputEstimate { tokens: 7, audio_seconds: 0 }, Endpoint::Embeddings)
                .0
                .output,
            0
        );
    }
}
