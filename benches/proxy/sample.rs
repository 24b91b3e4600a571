//! Figures of the run: one sample for each target, scenario and round; medians over rounds.
//! Plain arithmetic; it must not format and must not measure.

use std::collections::BTreeMap;

use crate::load::Outcome;
use crate::scenario::Scenario;
use crate::target::Name;

/// One scenario on one target in one round.
#[derive(Debug, Clone)]
pub struct Sample {
    /// CPU time of the target per unit (request or chunk), in microseconds.
    pub cpu_us: f64,
    /// Units a second.
    pub per_second: f64,
    /// Median latency of a whole answer, in microseconds.
    pub p50_us: f64,
    /// 99th percentile of the latency of a whole answer, in microseconds.
    pub p99_us: f64,
}

impl Sample {
    /// The figures of an outcome in which every answer had `units` units; `None` when nothing
    /// was answered.
    pub fn new(mut outcome: Outcome, units: u32) -> Option<Self> {
        let count = outcome.completed as f64 * f64::from(units);
        if count == 0.0 {
            return None;
        }
        outcome.latencies.sort_by(f64::total_cmp);
        Some(Self {
            cpu_us: outcome.cpu.as_secs_f64() * 1e6 / count,
            per_second: count / outcome.elapsed.as_secs_f64(),
            p50_us: quantile(&outcome.latencies, 0.5),
            p99_us: quantile(&outcome.latencies, 0.99),
        })
    }
}

/// Resident memory of one target.
#[derive(Debug, Clone, Copy)]
pub struct Memory {
    /// After some requests, with nothing in flight, in kB.
    pub idle_kb: u64,
    /// With the slow streams open, in kB.
    pub streams_kb: u64,
    /// How many were open.
    pub streams: u32,
}

impl Memory {
    /// What one stream adds, in kB.
    pub fn per_stream_kb(self) -> f64 {
        let added = self.streams_kb.saturating_sub(self.idle_kb) as f64;
        added / f64::from(self.streams.max(1))
    }
}

/// Median of the rounds, with the lowest and the highest.
#[derive(Debug, Clone, Copy)]
pub struct Summary {
    /// Median.
    pub median: f64,
    /// Lowest round.
    pub low: f64,
    /// Highest round.
    pub high: f64,
}

/// Everything that a run found.
#[derive(Debug, Default)]
pub struct Findings {
    /// Columns, in order.
    pub names: Vec<Name>,
    /// One entry a round.
    pub samples: BTreeMap<(Scenario, Name), Vec<Sample>>,
    /// One measurement a target.
    pub memory: BTreeMap<Name, Memory>,
    /// Completed rounds.
    pub rounds: u16,
    /// A smoke run.
    pub quick: bool,
    /// What a reader must know: targets that are missing, requests that failed.
    pub notes: Vec<String>,
}

impl Findings {
    /// One figure of one target, over the rounds.
    pub fn summary(
        &self,
        scenario: Scenario,
        name: Name,
        figure: fn(&Sample) -> f64,
    ) -> Option<Summary> {
        let samples = self.samples.get(&(scenario, name))?;
        let mut values: Vec<f64> = samples.iter().map(figure).collect();
        values.sort_by(f64::total_cmp);
        let (low, high) = (*values.first()?, *values.last()?);
        Some(Summary { median: median(&values), low, high })
    }
}

impl Findings {
    /// How many times the figure of `reference` that of `name` is: the median over the rounds of
    /// what they were in the same round, for a busy moment of the machine strikes both.
    pub fn ratio(
        &self,
        scenario: Scenario,
        (name, reference): (Name, Name),
        figure: fn(&Sample) -> f64,
    ) -> Option<f64> {
        let samples = self.samples.get(&(scenario, name))?.iter().map(figure);
        let references = self.samples.get(&(scenario, reference))?.iter().map(figure);
        let pairs = samples.zip(references).filter(|(_, reference)| *reference > 0.0);
        let mut ratios: Vec<f64> = pairs.map(|(value, reference)| value / reference).collect();
        ratios.sort_by(f64::total_cmp);
        (!ratios.is_empty()).then(|| median(&ratios))
    }
}

/// Median of sorted values; of an even number, the mean of the middle two.
fn median(sorted: &[f64]) -> f64 {
    let middle = sorted.len() / 2;
    match sorted.get(middle) {
        Some(upper) if sorted.len().is_multiple_of(2) => (sorted[middle - 1] + upper) / 2.0,
        Some(middle) => *middle,
        None => 0.0,
    }
}

/// Nearest-rank quantile of sorted values.
fn quantile(sorted: &[f64], share: f64) -> f64 {
    let rank = (sorted.len() as f64 * share).ceil() as usize;
    sorted.get(rank.saturating_sub(1)).copied().unwrap_or(0.0)
}
