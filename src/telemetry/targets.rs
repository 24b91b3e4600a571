//! Metrics of targets that are states and not events: read where they are kept, when they are scraped.

use std::{sync::Arc, time::Duration};

use parking_lot::Mutex;
use prometheus::{
    CounterVec, GaugeVec, Opts, Registry,
    core::{Collector, Desc},
    proto::MetricFamily,
};

const LABELS: &[&str] = &["provider", "model"];

/// One configured target that has been asked.
#[derive(Clone, Debug, PartialEq)]
pub struct TargetSample {
    /// `namespace/name` of the AIProvider.
    pub provider: String,
    /// The model that it is asked for.
    pub model: Arc<str>,
    /// Whether it is not left out because it failed.
    pub healthy: bool,
    /// How often it was.
    pub ejections: u64,
    /// Requests under way.
    pub in_flight: u32,
    /// Time to the first content, as far as it is known.
    pub first_token: Option<Duration>,
}

/// One account with limits of its own.
#[derive(Clone, Debug, PartialEq)]
pub struct AccountSample {
    /// `namespace/name` of the AIProvider.
    pub provider: String,
    /// Requests that passed it over because it was at a limit.
    pub passed_over: u64,
}

/// All samples of one moment; each target and each account once.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Samples {
    /// Targets.
    pub targets: Vec<TargetSample>,
    /// Accounts.
    pub accounts: Vec<AccountSample>,
}

/// Where samples come from.
pub type Source = Box<dyn Fn() -> Samples + Send + Sync>;

/// The series of targets.
pub struct TargetGauges {
    source: Source,
    /// Two scrapes at once must not mix.
    series: Mutex<Series>,
    descriptions: Vec<Desc>,
}

struct Series {
    healthy: GaugeVec,
    ejections: CounterVec,
    passed_over: CounterVec,
    in_flight: GaugeVec,
    first_token: GaugeVec,
}

impl TargetGauges {
    /// Registers the series of what `source` yields.
    ///
    /// # Errors
    /// If there are such series already.
    pub fn register(registry: &Registry, source: Source) -> prometheus::Result<()> {
        let gauge = |name, help| GaugeVec::new(Opts::new(name, help), LABELS);
        let ejections = Opts::new(
            "sluice_target_ejections_total",
            "How often a provider's model was left out because it failed",
        );
        let passed_over = Opts::new(
            "sluice_provider_limited_total",
            "Requests that passed over a provider because its account was at a limit of spec.limits",
        );
        let series = Series {
            healthy: gauge(
                "sluice_target_healthy",
                "Whether a provider's model is in use (1), or left out because it failed (0)",
            )?,
            ejections: CounterVec::new(ejections, LABELS)?,
            passed_over: CounterVec::new(passed_over, &["provider"])?,
            in_flight: gauge(
                "sluice_target_inflight_requests",
                "Requests under way at a provider's model",
            )?,
            first_token: gauge(
                "sluice_target_first_token_seconds",
                "Time to the first content of a provider's model, as LeastLatency estimates it",
            )?,
        };
        let descriptions = series.gauges().into_iter().flat_map(Collector::desc);
        let counters = series.counters().into_iter().flat_map(Collector::desc);
        let descriptions = descriptions.chain(counters).cloned().collect();
        registry.register(Box::new(Self { source, series: Mutex::new(series), descriptions }))
    }
}

impl Series {
    fn gauges(&self) -> [&GaugeVec; 3] {
        [&self.healthy, &self.in_flight, &self.first_token]
    }

    fn counters(&self) -> [&CounterVec; 2] {
        [&self.ejections, &self.passed_over]
    }

    fn reset(&self) {
        self.counters().iter().for_each(|counter| counter.reset());
        self.gauges().iter().for_each(|gauge| gauge.reset());
    }

    fn show(&self, sample: &TargetSample) {
        let labels = &[sample.provider.as_str(), &*sample.model];
        self.healthy.with_label_values(labels).set(f64::from(u8::from(sample.healthy)));
        self.ejections.with_label_values(labels).inc_by(sample.ejections as f64);
        self.in_flight.with_label_values(labels).set(f64::from(sample.in_flight));
        if let Some(first_token) = sample.first_token {
            self.first_token.with_label_values(labels).set(first_token.as_secs_f64());
        }
    }
}

impl Collector for TargetGauges {
    fn desc(&self) -> Vec<&Desc> {
        self.descriptions.iter().collect()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        let samples = (self.source)();
        let series = self.series.lock();
        series.reset();
        samples.targets.iter().for_each(|sample| series.show(sample));
        for AccountSample { provider, passed_over } in &samples.accounts {
            series.passed_over.with_label_values(&[provider]).inc_by(*passed_over as f64);
        }
        let counters = series.counters().into_iter().flat_map(Collector::collect);
        counters.chain(series.gauges().into_iter().flat_map(Collector::collect)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn series_are_what_the_source_says_at_each_scrape() {
        let sample = |model: &str, first_token| TargetSample {
            provider: "team/openai".into(),
            model: model.into(),
            healthy: false,
            ejections: 3,
            in_flight: 2,
            first_token,
        };
        let samples = Arc::new(Mutex::new(Samples {
            targets: vec![sample("a", Some(Duration::from_millis(250))), sample("gone", None)],
            accounts: vec![AccountSample { provider: "team/openai".into(), passed_over: 7 }],
        }));
        let registry = Registry::new();
        let source = Arc::clone(&samples);
        TargetGauges::register(&registry, Box::new(move || source.lock().clone())).unwrap();
        let text = || {
            let families = registry.gather();
            prometheus::TextEncoder::new().encode_to_string(&families).unwrap()
        };
        assert!(text().contains(r#"sluice_target_healthy{model="gone",provider="team/openai"} 0"#));
        samples.lock().targets.pop();
        for _ in 0..2 {
            let text = text();
            let labels = r#"{model="a",provider="team/openai"}"#;
            assert!(text.contains(&format!("sluice_target_ejections_total{labels} 3")), "{text}");
            assert!(text.contains(&format!("sluice_target_inflight_requests{labels} 2")));
            assert!(text.contains(&format!("sluice_target_first_token_seconds{labels} 0.25")));
            let limited = r#"sluice_provider_limited_total{provider="team/openai"} 7"#;
            assert!(text.contains(limited), "{text}");
            assert!(text.contains("# TYPE sluice_target_ejections_total counter"), "{text}");
            assert!(!text.contains("gone"), "{text}");
        }
    }
}
