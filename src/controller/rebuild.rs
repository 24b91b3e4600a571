//! From changed inputs to the published snapshot: debounce, compile, swap, tell.
//!
//! The only place that publishes. Knows nothing of where the inputs come from.

use std::{
    collections::{BTreeMap, HashSet},
    sync::Arc,
    time::Duration,
};

use tokio::{
    sync::watch,
    time::{Instant, sleep, sleep_until},
};
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

use crate::{
    budget::{Checkpoint, Ledger},
    compile::{Compiled, Inputs, Kind, ObjectKey, PriceNotes, Verdict, Verdicts, compile},
    snapshot::{Budget, ObjectName, Published, Snapshot},
    source::{Current, cluster::Statuses},
    telemetry::control::{self, ControlMetrics},
};

/// A change is compiled when no other has followed for so long.
const QUIET: Duration = Duration::from_millis(50);
/// The longest that a change waits for others.
const LATEST: Duration = Duration::from_millis(500);
/// With more objects than this, compiling goes to a thread where it may block.
const LARGE: usize = 200;

/// What the latest compilation led to.
#[derive(Clone, Debug, Default)]
pub struct Outcome {
    /// Version of the snapshot that is served: 0 before the first, then counted by publications.
    pub version: u64,
    /// What became of every object.
    pub verdicts: Verdicts,
    /// Mistakes in Secrets, which have no status of their own.
    pub notes: BTreeMap<ObjectName, String>,
    /// Mistakes in ConfigMaps with prices, which have none either.
    pub price_notes: PriceNotes,
    /// The budgets of the served snapshot.
    pub budgets: Vec<Arc<Budget>>,
    /// UIDs of all AIBudgets, also of those that can't be compiled: an edit that breaks one must
    /// not forget what was used.
    pub budget_uids: HashSet<Arc<str>>,
}

/// Compiles the inputs on every change and publishes what differs.
pub struct Rebuild {
    /// The inputs.
    pub current: Arc<Current>,
    /// What the proxy serves.
    pub published: Arc<Published>,
    /// Told of every compilation, after its snapshot is served.
    pub outcome: watch::Sender<Arc<Outcome>>,
    /// Gets the checkpoints of budgets before they are first served.
    pub ledger: Arc<Ledger>,
    /// Where checkpoints are read from; none for a folder.
    pub checkpoints: Option<Arc<Statuses>>,
    /// Where compilations are counted.
    pub metrics: Arc<ControlMetrics>,
}

impl Rebuild {
    /// Waits until the source has read everything once, then follows it until `shutdown`.
    pub async fn run(self, shutdown: CancellationToken) {
        let work = async {
            self.current.synced().await;
            let mut restored = HashSet::new();
            loop {
                self.once(&mut restored).await;
                self.current.changed().await;
                self.settle().await;
            }
        };
        // Ends the work at its next wait, never within a publication.
        let _ = shutdown.run_until_cancelled(work).await;
    }

    /// Waits until changes have paused.
    async fn settle(&self) {
        let latest = Instant::now() + LATEST;
        loop {
            tokio::select! {
                () = self.current.changed() => {}
                () = sleep(QUIET) => return,
                () = sleep_until(latest) => return,
            }
        }
    }

    async fn once(&self, restored: &mut HashSet<Arc<str>>) {
        let timer = self.metrics.reconcile_duration.start_timer();
        let inputs = self.current.inputs();
        let budget_uids: HashSet<_> =
            inputs.budgets.values().map(|budget| budget.meta.uid.clone()).collect();
        let Some((compiled, differs)) = self.compile(inputs).await else {
            timer.stop_and_discard();
            return;
        };
        let Compiled { snapshot, verdicts, notes, price_notes } = compiled;
        restored.retain(|uid| budget_uids.contains(uid));
        self.restore(&snapshot.budgets, restored);
        let budgets = snapshot.budgets.clone();
        let previous = self.outcome.borrow().clone();
        let mut version = previous.version;
        // The first one is published even if it is empty: it says that everything has been read.
        if differs || version == 0 {
            self.published.publish(Arc::new(snapshot));
            version += 1;
            self.metrics.last_publish.set(control::now());
            self.metrics.snapshot_version.set(version.cast_signed());
        }
        timer.observe_duration();
        let outcome = Outcome { version, verdicts, notes, price_notes, budgets, budget_uids };
        self.count(&outcome.verdicts);
        let mistakes = outcome.price_notes.values().map(|note| note.mistakes.len()).sum::<usize>();
        self.metrics.price_mistakes.set(i64::try_from(mistakes).unwrap_or(i64::MAX));
        report(&previous, &outcome);
        self.outcome.send_replace(Arc::new(outcome));
    }

    /// The compiled inputs, and whether they differ from what is served.
    async fn compile(&self, inputs: Inputs) -> Option<(Compiled, bool)> {
        let served = self.published.load_full();
        let size = inputs.providers.len() + inputs.routes.len() + inputs.budgets.len();
        let work = move || compare(&inputs, &served);
        if size <= LARGE {
            return Some(work());
        }
        match tokio::task::spawn_blocking(work).await {
            Ok(compiled) => Some(compiled),
            Err(error) => {
                error!(%error, "compiling failed; the last configuration stays in use");
                None
            }
        }
    }

    /// Gives budgets that are served for the first time what their status says was used.
    fn restore(&self, budgets: &[Arc<Budget>], restored: &mut HashSet<Arc<str>>) {
        let Some(statuses) = &self.checkpoints else { return };
        for budget in budgets {
            if !restored.insert(budget.plan.uid.clone()) {
                continue;
            }
            let key = ObjectKey { kind: Kind::Budget, name: budget.name.clone() };
            if let Some(text) = statuses.checkpoint(&key) {
                restore(&self.ledger, budget, &text);
            }
        }
    }

    fn count(&self, verdicts: &Verdicts) {
        for kind in [Kind::Provider, Kind::Route, Kind::Budget] {
            for ready in [true, false] {
                let fits = |(key, verdict): &(&ObjectKey, &Verdict)| {
                    key.kind == kind && verdict.is_ready() == ready
                };
                let count = verdicts.iter().filter(fits).count();
                let labels = [kind.as_str(), if ready { "true" } else { "false" }];
                let count = i64::try_from(count).unwrap_or(i64::MAX);
                self.metrics.objects.with_label_values(&labels).set(count);
            }
        }
    }
}

fn compare(inputs: &Inputs, served: &Snapshot) -> (Compiled, bool) {
    let compiled = compile(inputs);
    let differs = compiled.snapshot != *served;
    (compiled, differs)
}

/// Adds a checkpoint's text to the budget's counters.
fn restore(ledger: &Ledger, budget: &Budget, text: &str) {
    match serde_json::from_str::<Checkpoint>(text) {
        Ok(checkpoint) => ledger.restore(&budget.plan, &checkpoint),
        Err(error) => {
            warn!(budget = %budget.name, %error, "the checkpoint in status can't be read; counting starts anew");
        }
    }
}

/// Logs every object whose problems have changed, and every mistake in a Secret. Of a large number
/// of objects at the start only those with problems.
fn report(previous: &Outcome, outcome: &Outcome) {
    if previous.version != outcome.version {
        let ready = outcome.verdicts.values().filter(|verdict| verdict.is_ready()).count();
        let objects = outcome.verdicts.len();
        info!(version = outcome.version, objects, ready, "configuration published");
    }
    let is_brief = previous.version == 0 && outcome.verdicts.len() > LARGE;
    for (key, verdict) in &outcome.verdicts {
        let before = previous.verdicts.get(key);
        if before.is_some_and(|before| says_the_same(before, verdict)) {
            continue;
        }
        match verdict.problems().next() {
            Some(problem) => {
                warn!(object = %key, reason = problem.reason.as_str(), "{}", problem.message);
            }
            None if verdict.programmed && is_brief => {}
            None if verdict.programmed => info!(object = %key, "ready"),
            None => warn!(object = %key, reason = "NotProgrammed", "not part of what is served"),
        }
        for warning in &verdict.warnings {
            warn!(object = %key, "{warning}");
        }
    }
    for key in previous.verdicts.keys().filter(|key| !outcome.verdicts.contains_key(key)) {
        info!(object = %key, "removed");
    }
    for (secret, note) in &outcome.notes {
        if previous.notes.get(secret) != Some(note) {
            warn!(secret = %secret, "{note}");
        }
    }
    report_prices(&previous.price_notes, &outcome.price_notes);
}

/// Logs every mistake in a ConfigMap with prices that was not there before.
fn report_prices(previous: &PriceNotes, notes: &PriceNotes) {
    for (name, note) in notes {
        let is_said = |message: &&String| {
            previous.get(name).is_some_and(|before| before.messages().any(|said| said == *message))
        };
        for message in note.messages().filter(|message| !is_said(message)) {
            warn!(config_map = %name, "{message}");
        }
    }
    for name in previous.keys().filter(|name| !notes.contains_key(*name)) {
        info!(config_map = %name, "no mistake in its prices any more");
    }
}

fn says_the_same(before: &Verdict, after: &Verdict) -> bool {
    before.programmed == after.programmed
        && before.warnings == after.warnings
        && before.problems().eq(after.problems())
}

#[cfg(test)]
mod tests;
