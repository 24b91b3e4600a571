//! Counters of what is used by labels that the configuration chooses: at most so many series, what
//! comes beyond is counted under `other`.

use std::{
    collections::HashMap,
    hash::{BuildHasher as _, Hash as _, Hasher as _},
    sync::Arc,
};

use foldhash::fast::RandomState;
use parking_lot::RwLock;
use prometheus::{Counter, CounterVec, IntCounter, IntCounterVec, Opts, Registry};

use crate::{
    budget::NanoUsd,
    usage::{Dimension, Names, Sums},
};

/// The label value of what exceeds the bound.
const OTHER: &str = "other";

/// Counters by chosen labels.
#[derive(Debug)]
pub struct Spend {
    by: Vec<Dimension>,
    max_series: usize,
    requests: IntCounterVec,
    tokens: IntCounterVec,
    cost: CounterVec,
    hasher: RandomState,
    series: RwLock<HashMap<u64, Arc<Series>>>,
    other: Arc<Series>,
}

/// The counters of one combination of values.
#[derive(Debug)]
struct Series {
    requests: IntCounter,
    input: IntCounter,
    output: IntCounter,
    cost: Counter,
}

impl Spend {
    /// Counters by these labels, for at most `max_series` combinations of values.
    ///
    /// # Errors
    /// If they are registered already, or a label is named twice.
    pub fn register(
        by: &[Dimension],
        max_series: usize,
        registry: &Registry,
    ) -> prometheus::Result<Self> {
        let names: Vec<_> = by.iter().map(|dimension| dimension.as_str()).collect();
        let with_type: Vec<_> = names.iter().copied().chain(["type"]).collect();
        let opts = |name: &str, help: &str| Opts::new(name, help);
        let requests = opts("sluice_usage_requests_total", "Requests by the configured labels");
        let requests = IntCounterVec::new(requests, &names)?;
        let tokens = opts("sluice_usage_tokens_total", "Tokens by the configured labels");
        let tokens = IntCounterVec::new(tokens, &with_type)?;
        let cost = opts("sluice_usage_cost_usd_total", "Dollars by the configured labels");
        let cost = CounterVec::new(cost, &names)?;
        registry.register(Box::new(requests.clone()))?;
        registry.register(Box::new(tokens.clone()))?;
        registry.register(Box::new(cost.clone()))?;
        let others = vec![OTHER; by.len()];
        let other = Arc::new(Series::resolve((&requests, &tokens, &cost), &others));
        Ok(Self {
            by: by.to_vec(),
            max_series,
            requests,
            tokens,
            cost,
            hasher: RandomState::default(),
            series: RwLock::default(),
            other,
        })
    }

    /// Counts a request.
    pub(super) fn count(&self, names: &Names<'_>, used: &Sums) {
        let series = self.series(names);
        series.requests.inc_by(used.requests);
        series.input.inc_by(used.input_tokens);
        series.output.inc_by(used.output_tokens);
        let NanoUsd(nano) = used.cost;
        series.cost.inc_by(nano as f64 / 1e9);
    }

    fn series(&self, names: &Names<'_>) -> Arc<Series> {
        let mut hasher = self.hasher.build_hasher();
        for dimension in &self.by {
            names.get(*dimension).hash(&mut hasher);
        }
        let key = hasher.finish();
        if let Some(found) = self.series.read().get(&key) {
            return Arc::clone(found);
        }
        let mut series = self.series.write();
        if series.len() >= self.max_series && !series.contains_key(&key) {
            return Arc::clone(&self.other);
        }
        let resolve = || {
            let values: Vec<_> = self.by.iter().map(|dimension| names.get(*dimension)).collect();
            Arc::new(Series::resolve((&self.requests, &self.tokens, &self.cost), &values))
        };
        Arc::clone(series.entry(key).or_insert_with(resolve))
    }
}

impl Series {
    fn resolve(
        (requests, tokens, cost): (&IntCounterVec, &IntCounterVec, &CounterVec),
        values: &[&str],
    ) -> Self {
        let of = |kind| {
            let values: Vec<_> = values.iter().copied().chain([kind]).collect();
            tokens.with_label_values(&values)
        };
        Self {
            requests: requests.with_label_values(values),
            input: of("input"),
            output: of("output"),
            cost: cost.with_label_values(values),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn series_are_as_many_as_configured_and_nothing_is_lost() {
        let registry = Registry::new();
        let spend =
            Spend::register(&[Dimension::Team, Dimension::Namespace], 3, &registry).unwrap();
        for n in 0..10 {
            let team = format!("team-{}", n % 5);
            let names = Names { team: &team, route: "space/chat", ..Names::default() };
            let used = Sums {
                requests: 1,
                input_tokens: 7,
                output_tokens: 5,
                cost: NanoUsd(500_000_000),
                ..Sums::default()
            };
            spend.count(&names, &used);
        }
        let text = prometheus::TextEncoder::new().encode_to_string(&registry.gather()).unwrap();
        for line in [
            r#"sluice_usage_requests_total{namespace="space",team="team-0"} 2"#,
            r#"sluice_usage_requests_total{namespace="other",team="other"} 4"#,
            r#"sluice_usage_tokens_total{namespace="other",team="other",type="input"} 28"#,
            r#"sluice_usage_tokens_total{namespace="space",team="team-2",type="output"} 10"#,
            r#"sluice_usage_cost_usd_total{namespace="space",team="team-1"} 1"#,
        ] {
            assert!(text.lines().any(|found| found == line), "{line}: {text}");
        }
        let series = text.lines().filter(|line| line.starts_with("sluice_usage_requests_total"));
        assert_eq!(series.count(), 4);
    }

    #[test]
    fn a_label_cannot_be_there_twice() {
        let twice = [Dimension::Team, Dimension::Team];
        assert!(Spend::register(&twice, 3, &Registry::new()).is_err());
    }
}
