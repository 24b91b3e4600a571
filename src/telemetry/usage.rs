//! What of a record is added up: under which names, and how much.

use crate::{
    budget::NanoUsd,
    usage::{Names, Sums},
};

use super::{Outcome, Record};

/// Bytes of a name that are kept: models are named by others, in any length.
const MAX_NAME: usize = 256;

impl Record {
    /// The names that the request is counted under.
    pub(super) fn names(&self) -> Names<'_> {
        Names {
            consumer: cut(&self.consumer),
            app: cut(&self.app),
            team: cut(&self.team),
            environment: cut(&self.environment),
            route: cut(&self.route),
            provider: cut(&self.provider),
            model: cut(&self.model_served),
            endpoint: cut(&self.endpoint),
        }
    }

    /// What it used.
    pub(super) fn sums(&self) -> Sums {
        let cost = self.cost.unwrap_or_default();
        let is_unpriced = self.cost.is_none() && self.usage.total() > 0;
        Sums {
            requests: 1,
            failed: matches!(self.outcome, Outcome::Failed | Outcome::Incomplete).into(),
            refused: (self.outcome == Outcome::Refused).into(),
            input_tokens: self.usage.input,
            output_tokens: self.usage.output,
            cached_input_tokens: self.usage.cached_input,
            cache_write_tokens: self.usage.cache_write,
            reasoning_tokens: self.usage.reasoning,
            cost,
            hedge_cost: self.hedge_cost.unwrap_or_default(),
            estimated_cost: if self.estimated { cost } else { NanoUsd(0) },
            estimated_requests: self.estimated.into(),
            unpriced_requests: is_unpriced.into(),
        }
    }
}

fn cut(name: &str) -> &str {
    name.get(..name.floor_char_boundary(MAX_NAME)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::llm::Usage;

    #[test]
    fn a_record_is_counted_by_how_it_ended_and_what_it_used() {
        let usage = Usage { input: 7, output: 5, reasoning: 2, ..Usage::default() };
        let record = Record {
            usage,
            outcome: Outcome::Incomplete,
            estimated: true,
            cost: Some(NanoUsd(9)),
            model_served: "é".repeat(1000),
            ..Record::default()
        };
        let sums = record.sums();
        assert_eq!((sums.requests, sums.failed, sums.refused), (1, 1, 0));
        assert_eq!((sums.input_tokens, sums.output_tokens, sums.reasoning_tokens), (7, 5, 2));
        assert_eq!((sums.cost, sums.estimated_cost), (NanoUsd(9), NanoUsd(9)));
        assert_eq!(record.names().model.len(), MAX_NAME);
        let refused = Record { outcome: Outcome::Refused, cost: None, ..record };
        let sums = refused.sums();
        assert_eq!((sums.refused, sums.failed, sums.unpriced_requests), (1, 0, 1));
    }
}
