//! Prometheus metrics of the data plane. Names follow the OpenTelemetry GenAI semantic conventions in
//! Prometheus form. Labels hold configured names only: what a caller writes never becomes a label.

mod known;

use std::{collections::HashMap, hash::BuildHasher as _, sync::Arc};

use foldhash::fast::RandomState;
use parking_lot::RwLock;
use prometheus::{
    CounterVec, Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge, Opts,
    Registry, core::Collector,
};

use crate::snapshot::Snapshot;

use known::{Known, remove};

/// Resolved handles are forgotten together beyond this many (a process that has seen very many
/// reloads); they are looked up anew then.
const MAX_HANDLES: usize = 20_000;

/// Bounds of the conventions for `gen_ai.client.token.usage`.
const TOKENS: &[f64] = &[
    1.0,
    4.0,
    16.0,
    64.0,
    256.0,
    1024.0,
    4096.0,
    16384.0,
    65536.0,
    262_144.0,
    1_048_576.0,
    4_194_304.0,
];
/// Bounds of the conventions for `gen_ai.server.request.duration`, in seconds.
const DURATION: &[f64] = &[
    0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92, 163.84,
];
/// Bounds of the conventions for `gen_ai.server.time_to_first_token`, in seconds.
const FIRST_TOKEN: &[f64] = &[
    0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0,
    30.0, 60.0,
];

/// All metrics of the data plane.
pub struct Metrics {
    /// Where they are registered; the control plane adds its own here.
    pub registry: Registry,
    /// Requests under way.
    pub inflight: IntGauge,
    tokens: HistogramVec,
    duration: HistogramVec,
    first_token: HistogramVec,
    cost: CounterVec,
    requests: IntCounterVec,
    attempts: IntCounterVec,
    refusals: IntCounterVec,
    unretried: IntCounterVec,
    hedges: IntCounterVec,
    hasher: RandomState,
    targets: RwLock<HashMap<u64, Arc<TargetMetrics>, RandomState>>,
}

/// Names that the series of one target are labelled with. All of them are configured names.
#[derive(Clone, Copy, Debug, Hash)]
pub struct TargetLabels<'a> {
    /// `namespace/name` of the route, in its parts.
    pub route: (&'a str, &'a str),
    /// Name of the target.
    pub target: &'a str,
    /// `gen_ai.operation.name`.
    pub operation: &'static str,
    /// `gen_ai.provider.name`.
    pub provider: &'static str,
    /// The model, or `other` where it is no configured name.
    pub model: &'a str,
}

/// Series of one target, looked up once.
pub struct TargetMetrics {
    /// Input tokens of a request.
    pub input: Histogram,
    /// Output tokens of a request.
    pub output: Histogram,
    /// Seconds from arrival to end of requests that went well.
    pub duration: Histogram,
    /// Seconds from arrival to first content of streams.
    pub first_token: Histogram,
    /// Dollars.
    pub cost: prometheus::Counter,
    /// Requests answered completely.
    pub complete: IntCounter,
    /// Tries that gave an answer, of the whole provider type.
    pub ok: IntCounter,
}

impl Metrics {
    /// Metrics in a registry of their own.
    ///
    /// # Errors
    /// None as long as the names in this file are valid and unique, which a test makes sure of.
    pub fn new() -> prometheus::Result<Self> {
        let registry = Registry::new();
        let [operation, provider, model] =
            ["gen_ai_operation_name", "gen_ai_provider_name", "gen_ai_request_model"];
        let histogram = |name, help, labels: &[&str], buckets: &[f64]| {
            let opts = HistogramOpts::new(name, help).buckets(buckets.to_vec());
            register(&registry, HistogramVec::new(opts, labels)?)
        };
        let counter = |name: &str, help: &str, labels: &[&str]| {
            register(&registry, IntCounterVec::new(Opts::new(name, help), labels)?)
        };
        let inflight = IntGauge::new("sluice_inflight_requests", "Requests under way")?;
        let cost = Opts::new("sluice_cost_usd_total", "Dollars charged");
        Ok(Self {
            inflight: register(&registry, inflight)?,
            tokens: histogram(
                "gen_ai_client_token_usage",
                "Tokens of a request by type",
                &[operation, provider, model, "gen_ai_token_type"],
                TOKENS,
            )?,
            duration: histogram(
                "gen_ai_server_request_duration_seconds",
                "Seconds from a request's arrival to its end",
                &[operation, provider, model, "error_type"],
                DURATION,
            )?,
            first_token: histogram(
                "gen_ai_server_time_to_first_token_seconds",
                "Seconds from a request's arrival to the first content of its stream",
                &[operation, provider, model],
                FIRST_TOKEN,
            )?,
            cost: register(&registry, CounterVec::new(cost, &["route", "target", model])?)?,
            requests: counter(
                "sluice_requests_total",
                "Requests by how they ended",
                &["route", "target", "status", "outcome"],
            )?,
            attempts: counter(
                "sluice_attempts_total",
                "Tries upstream by how they went",
                &["provider", "reason"],
            )?,
            refusals: counter(
                "sluice_budget_refusals_total",
                "Requests refused by a budget's limit",
                &["budget", "limit"],
            )?,
            unretried: counter(
                "sluice_retry_budget_exhausted_total",
                "Failures that were final because the target's retry budget was spent",
                &["route", "target"],
            )?,
            hedges: counter(
                "sluice_hedges_total",
                "Second tries beside a slow one, by what became of them",
                &["route", "target", "outcome"],
            )?,
            hasher: RandomState::default(),
            targets: RwLock::default(),
            registry,
        })
    }

    /// The series of a target, resolved once and kept.
    pub fn target(&self, labels: &TargetLabels<'_>) -> Arc<TargetMetrics> {
        let key = self.hasher.hash_one(labels);
        if let Some(found) = self.targets.read().get(&key) {
            return Arc::clone(found);
        }
        let resolved = Arc::new(self.resolve(labels));
        let mut targets = self.targets.write();
        if targets.len() >= MAX_HANDLES {
            targets.clear();
        }
        Arc::clone(targets.entry(key).or_insert(resolved))
    }

    fn resolve(&self, labels: &TargetLabels<'_>) -> TargetMetrics {
        let TargetLabels { route: (namespace, name), target, operation, provider, model } = *labels;
        // Direct calls come by no route.
        let route = if name.is_empty() { String::new() } else { format!("{namespace}/{name}") };
        let tokens = |kind| self.tokens.with_label_values(&[operation, provider, model, kind]);
        TargetMetrics {
            input: tokens("input"),
            output: tokens("output"),
            duration: self.duration.with_label_values(&[operation, provider, model, ""]),
            first_token: self.first_token.with_label_values(&[operation, provider, model]),
            cost: self.cost.with_label_values(&[&*route, target, model]),
            complete: self.requests.with_label_values(&[&*route, target, "200", "complete"]),
            ok: self.attempts.with_label_values(&[provider, "ok"]),
        }
    }

    /// Counts a request that did not end well. `target` is empty where none answered.
    pub fn count_failure(&self, route: &str, target: &str, status: u16, outcome: &str) {
        let status = status.to_string();
        self.requests.with_label_values(&[route, target, &status, outcome]).inc();
    }

    /// Notes how long a request took that did not end well. `error` is a code of this program.
    pub fn observe_failure(&self, labels: &TargetLabels<'_>, error: &str, seconds: f64) {
        let TargetLabels { operation, provider, model, .. } = *labels;
        self.duration.with_label_values(&[operation, provider, model, error]).observe(seconds);
    }

    /// Removes the series of routes, targets, models and budgets that the snapshot does not have:
    /// without it they would be kept and scraped for as long as the process lives. A request that
    /// began before the change brings its series back at its end; the next call removes it.
    pub fn retain(&self, snapshot: &Snapshot) {
        let known = Known::of(snapshot);
        remove(&self.requests, |labels| !known.has_target(labels));
        remove(&self.unretried, |labels| !known.has_target(labels));
        remove(&self.hedges, |labels| !known.has_target(labels));
        remove(&self.cost, |labels| !known.has_target(labels) || !known.has_model(labels));
        remove(&self.refusals, |labels| !known.has_limit(labels));
        remove(&self.tokens, |labels| !known.has_model(labels));
        remove(&self.duration, |labels| !known.has_model(labels));
        remove(&self.first_token, |labels| !known.has_model(labels));
        // Handles of removed series would count into nothing once their names are back.
        self.targets.write().clear();
    }

    /// Counts a try that gave no answer.
    pub fn count_attempt(&self, provider: &str, reason: &str) {
        self.attempts.with_label_values(&[provider, reason]).inc();
    }

    /// Counts a failure that was final because the target's retry budget was spent.
    pub fn count_unretried(&self, route: &str, target: &str) {
        self.unretried.with_label_values(&[route, target]).inc();
    }

    /// Counts a second try beside a slow one, or one that was not begun: `won`, `lost`, `failed`,
    /// `budget`, `retry_budget` or `unrepeatable`.
    pub fn count_hedge(&self, route: &str, target: &str, outcome: &str) {
        self.hedges.with_label_values(&[route, target, outcome]).inc();
    }

    /// Counts a refusal by a budget.
    pub fn count_refusal(&self, budget: &str, limit: &str) {
        self.refusals.with_label_values(&[budget, limit]).inc();
    }
}

fn register<C: Collector + Clone + 'static>(
    registry: &Registry,
    metric: C,
) -> prometheus::Result<C> {
    registry.register(Box::new(metric.clone()))?;
    Ok(metric)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::snapshot::{ObjectName, Route, RouteTable, Rule, Target, TargetModel};

    fn labels() -> TargetLabels<'static> {
        TargetLabels {
            route: ("team", "chat"),
            target: "primary",
            operation: "chat",
            provider: "openai",
            model: "m",
        }
    }

    #[test]
    fn names_are_valid_and_unique() {
        assert!(Metrics::new().is_ok());
    }

    #[test]
    fn series_of_what_is_gone_are_removed_and_the_others_count_on() {
        let metrics = Metrics::new().unwrap();
        let kept = TargetLabels { model: "other", ..labels() };
        let gone = TargetLabels { route: ("team", "gone"), target: "old", ..kept };
        for labels in [kept, gone] {
            metrics.target(&labels).complete.inc();
            metrics.observe_failure(&labels, "failed", 1.0);
        }
        metrics.target(&labels()).input.observe(1.0);
        metrics.count_failure("", "", 404, "refused");
        metrics.count_refusal("team/gone", "day");
        metrics.retain(&snapshot());
        metrics.target(&kept).complete.inc();
        let text = prometheus::TextEncoder::new().encode_to_string(&metrics.registry.gather());
        let text = text.unwrap();
        assert!(!text.contains("gone") && !text.contains("old"), "{text}");
        assert!(!text.contains(r#"gen_ai_request_model="m""#), "{text}");
        assert!(text.contains(r#"status="404""#), "{text}");
        let counted = r#"{outcome="complete",route="team/chat",status="200",target="primary"} 2"#;
        assert!(text.contains(counted), "{text}");
    }

    /// A route `team/chat` with the target `primary`.
    fn snapshot() -> Snapshot {
        let provider = crate::snapshot::Provider {
            name: ObjectName::new("team", "mock"),
            uid: "mock".into(),
            kind: "Mock",
            dialects: &[crate::llm::Dialect::OpenAi],
            quirks: crate::llm::Quirks::NONE,
            addressing: Default::default(),
            key_header: Default::default(),
            identity: None,
            probe: None,
            backends: None,
            endpoint: crate::snapshot::Endpoint::Mock,
            credentials: Vec::new(),
            headers: Vec::new(),
            models: HashMap::new(),
            prices: Vec::new(),
            connect_timeout: std::time::Duration::ZERO,
            limits: Default::default(),
            ejection: Default::default(),
        };
        let target = Target {
            name: "primary".into(),
            provider: Arc::new(provider),
            model: TargetModel::AsAsked,
            weight: 1,
            priority: 0,
            parameters: None,
        };
        let route = Route {
            name: ObjectName::new("team", "chat"),
            rules: vec![Arc::new(Rule { targets: vec![Arc::new(target)], ..Rule::default() })],
            ..Route::default()
        };
        Snapshot { routes: RouteTable::new(vec![Arc::new(route)]), ..Snapshot::default() }
    }

    #[test]
    fn series_are_resolved_once() {
        let metrics = Metrics::new().unwrap();
        let first = metrics.target(&labels());
        assert!(Arc::ptr_eq(&first, &metrics.target(&labels())));
        first.complete.inc();
        let families = metrics.registry.gather();
        let requests = families.iter().find(|family| family.name() == "sluice_requests_total");
        assert_eq!(requests.unwrap().get_metric()[0].get_counter().get_value(), 1.0);
    }
}
