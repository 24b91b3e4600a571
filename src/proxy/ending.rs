//! The end of what is no request to a model with one answer: direct calls and realtime sessions. Their
//! record is written and counted when the [`Ending`] is dropped; who owns it settles its budgets
//! before.

use std::sync::Arc;

use tokio::time::Instant;

use crate::{
    budget::NanoUsd,
    llm::Usage,
    snapshot::{Provider, Route},
    telemetry::{AccessLog, AttemptRecord, Metrics, Outcome, Record, metrics::TargetLabels},
};

use super::settle::{CLIENT_GONE, counts, provider_name};

/// Owns the record.
pub struct Ending {
    /// What will be recorded.
    pub record: Record,
    /// Who serves it.
    pub provider: Option<Arc<Provider>>,
    /// The route that it came by; none for direct calls.
    pub route: Option<Arc<Route>>,
    operation: &'static str,
    metrics: Arc<Metrics>,
    log: Arc<AccessLog>,
    started: Instant,
}

impl Ending {
    /// Opens a record. `operation` is its `gen_ai.operation.name`.
    pub fn open(
        (metrics, log): (&Arc<Metrics>, &Arc<AccessLog>),
        operation: &'static str,
        record: Record,
    ) -> Self {
        metrics.inflight.inc();
        Self {
            record,
            provider: None,
            route: None,
            operation,
            metrics: Arc::clone(metrics),
            log: Arc::clone(log),
            started: Instant::now(),
        }
    }

    /// When it began.
    pub fn started(&self) -> Instant {
        self.started
    }

    /// What tokens of a model of the provider cost; `None` without a price.
    pub fn cost(&self, model: &str, usage: &Usage) -> Option<NanoUsd> {
        let price = self.provider.as_ref()?.model(model).price?;
        Some(price.cost(&counts(usage)))
    }

    /// A try upstream has ended.
    pub fn attempted(&mut self, attempt: AttemptRecord) {
        if let Some(provider) = &self.provider {
            let reason = attempt.reason.split(' ').next().unwrap_or_default();
            self.metrics.count_attempt(provider_name(provider), reason);
        }
        self.record.attempts.push(attempt);
    }

    fn count(&self) {
        let Record { route, target, status, outcome, usage, .. } = &self.record;
        self.metrics.count_failure(route, target, *status, outcome.as_str());
        let Some(provider) = self.provider.as_ref().filter(|_| usage.total() > 0) else { return };
        let model = &self.record.model_served;
        let (namespace, name) = match &self.route {
            Some(route) => (&*route.name.namespace, &*route.name.name),
            None => ("", ""),
        };
        let series = self.metrics.target(&TargetLabels {
            route: (namespace, name),
            target,
            operation: self.operation,
            provider: provider_name(provider),
            // What others wrote becomes a label only where it is somebody's configuration.
            model: if provider.models.contains_key(model) { model } else { "other" },
        });
        series.input.observe(usage.input as f64);
        series.output.observe(usage.output as f64);
        if let Some(NanoUsd(nano)) = self.record.cost {
            series.cost.inc_by(nano as f64 / 1e9);
        }
    }
}

impl Drop for Ending {
    fn drop(&mut self) {
        if self.record.outcome == Outcome::ClientGone {
            self.record.status = CLIENT_GONE;
        }
        if let Some(provider) = &self.provider {
            self.record.provider = Arc::clone(provider.name.path());
        }
        self.record.duration = self.started.elapsed();
        self.count();
        self.log.write(&self.record);
        self.metrics.inflight.dec();
    }
}
