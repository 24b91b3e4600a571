//! Metrics of the control plane: sources, compilation, publishing, status, leadership, budgets.
//!
//! Owns their names and labels. Reads nothing by itself: who does the work sets them.

use std::{
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use prometheus::{
    Gauge, GaugeVec, Histogram, HistogramOpts, IntCounterVec, IntGauge, IntGaugeVec, Opts,
    Registry, core::Collector,
};

/// Buckets of the reconcile duration, in seconds.
const BUCKETS: [f64; 12] =
    [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5];

/// Metrics of the control plane. Share it by `Arc`.
#[derive(Clone, Debug)]
pub struct ControlMetrics {
    /// `sluice_snapshot_version`: 0 until the first one is published.
    pub snapshot_version: IntGauge,
    /// `sluice_snapshot_last_publish_timestamp_seconds`.
    pub last_publish: Gauge,
    /// `sluice_reconcile_duration_seconds`: one compilation, from reading the inputs to the swap.
    pub reconcile_duration: Histogram,
    /// `sluice_objects{kind,ready}`.
    pub objects: IntGaugeVec,
    /// `sluice_status_writes_total{outcome}`: `written`, `gone`, `conflict`, `forbidden`, `error`.
    pub status_writes: IntCounterVec,
    /// `sluice_leader`: 1 on the replica that writes status.
    pub leader: IntGauge,
    /// `sluice_events_total{outcome}`: `sent`, `dropped`, `error`.
    pub events: IntCounterVec,
    /// `sluice_budget_used{namespace,budget,limit}` in the limit's unit, of all subjects together.
    pub budget_used: GaugeVec,
    /// `sluice_budget_reserved{namespace,budget,limit}`: held by requests under way.
    pub budget_reserved: GaugeVec,
    /// `sluice_budget_limit{namespace,budget,limit}` in the limit's unit, for one subject.
    pub budget_limit: GaugeVec,
    /// `sluice_price_mistakes`: mistakes in ConfigMaps with prices.
    pub price_mistakes: IntGauge,
    /// `sluice_source_watch_errors_total{kind}`.
    pub watch_errors: IntCounterVec,
    /// `sluice_source_connected`: 1 while every watch works.
    pub source_connected: IntGauge,
    /// `sluice_source_last_contact_timestamp_seconds`: the last time a watch heard of something.
    pub last_contact: Gauge,
}

impl ControlMetrics {
    /// Creates the metrics and registers them.
    ///
    /// # Errors
    /// If one of the names is registered already.
    pub fn new(registry: &Registry) -> prometheus::Result<Arc<Self>> {
        let metrics = Self {
            snapshot_version: add(
                registry,
                IntGauge::new(
                    "sluice_snapshot_version",
                    "Version of the published configuration; 0 until the first one.",
                )?,
            )?,
            last_publish: add(
                registry,
                Gauge::new(
                    "sluice_snapshot_last_publish_timestamp_seconds",
                    "When the configuration was last replaced.",
                )?,
            )?,
            reconcile_duration: add(
                registry,
                Histogram::with_opts(
                    HistogramOpts::new(
                        "sluice_reconcile_duration_seconds",
                        "Time to compile all objects and publish the result.",
                    )
                    .buckets(BUCKETS.to_vec()),
                )?,
            )?,
            objects: gauges(registry, "sluice_objects", "Objects by kind.", &["kind", "ready"])?,
            status_writes: counters(
                registry,
                "sluice_status_writes_total",
                "Status patches by outcome.",
                &["outcome"],
            )?,
            leader: add(
                registry,
                IntGauge::new("sluice_leader", "1 on the replica that writes status and Events.")?,
            )?,
            events: counters(registry, "sluice_events_total", "Events by outcome.", &["outcome"])?,
            budget_used: budget(registry, "sluice_budget_used", "Used of a budget's limit.")?,
            budget_reserved: budget(
                registry,
                "sluice_budget_reserved",
                "Held of a budget's limit by requests under way.",
            )?,
            budget_limit: budget(registry, "sluice_budget_limit", "Amount of a budget's limit.")?,
            price_mistakes: add(
                registry,
                IntGauge::new(
                    "sluice_price_mistakes",
                    "Mistakes in ConfigMaps with prices; what is right in them is used.",
                )?,
            )?,
            watch_errors: counters(
                registry,
                "sluice_source_watch_errors_total",
                "Errors of watches on the API server.",
                &["kind"],
            )?,
            source_connected: add(
                registry,
                IntGauge::new(
                    "sluice_source_connected",
                    "1 while everything that configures this replica can be read.",
                )?,
            )?,
            last_contact: add(
                registry,
                Gauge::new(
                    "sluice_source_last_contact_timestamp_seconds",
                    "When a watch last heard of an object.",
                )?,
            )?,
        };
        Ok(Arc::new(metrics))
    }
}

fn add<C: Collector + Clone + 'static>(registry: &Registry, metric: C) -> prometheus::Result<C> {
    registry.register(Box::new(metric.clone()))?;
    Ok(metric)
}

fn gauges(
    registry: &Registry,
    name: &str,
    help: &str,
    labels: &[&str],
) -> prometheus::Result<IntGaugeVec> {
    add(registry, IntGaugeVec::new(Opts::new(name, help), labels)?)
}

fn counters(
    registry: &Registry,
    name: &str,
    help: &str,
    labels: &[&str],
) -> prometheus::Result<IntCounterVec> {
    add(registry, IntCounterVec::new(Opts::new(name, help), labels)?)
}

fn budget(registry: &Registry, name: &str, help: &str) -> prometheus::Result<GaugeVec> {
    add(registry, GaugeVec::new(Opts::new(name, help), &["namespace", "budget", "limit"])?)
}

/// The present in seconds since 1970, as Prometheus wants timestamps.
pub(crate) fn now() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO).as_secs_f64()
}
