//! Writes what became of the objects into their status: the leader alone, and only what differs.
//!
//! Says what is published, never what is hoped. Reads verdicts and the ledger, decides nothing.

mod condition;
mod desired;
mod handover;
mod health;
mod patch;
mod prices;
mod usage;

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
    time::Duration,
};

use futures_util::{StreamExt as _, stream};
use parking_lot::Mutex;
use tokio::{
    sync::watch,
    time::{Instant, MissedTickBehavior, interval, sleep_until, timeout},
};
use tokio_util::sync::CancellationToken;
use tracing::{debug, warn};

use super::{Outcome, event::Events};
use crate::{
    budget::Ledger,
    compile::{Kind, ObjectKey, Verdict},
    route::Targets,
    snapshot::{Budget, ObjectName, Published},
    source::cluster::{Seen, Statuses},
    telemetry::control::ControlMetrics,
};

use desired::Desired;
use handover::Handover;
use health::Health;
use patch::Failure;
use usage::Usage;

/// How often the use of budgets and the health of targets is written, and everything compared anew.
const TICK: Duration = Duration::from_secs(10);
/// Patches under way at once.
const CONCURRENCY: usize = 8;
/// Pause before failed patches are tried again; doubles up to [`TICK`].
const FIRST_RETRY: Duration = Duration::from_millis(500);
/// The longest that the last write may take.
const LAST_WRITE: Duration = Duration::from_secs(3);

/// Keeps the objects' status true.
pub struct StatusWriter {
    /// Client without the default retry.
    pub client: kube::Client,
    /// What was last seen.
    pub statuses: Arc<Statuses>,
    /// The budgets' counters.
    pub ledger: Arc<Ledger>,
    /// How targets do.
    pub targets: Arc<Targets>,
    /// What they are targets of.
    pub published: Arc<Published>,
    /// What is published.
    pub outcomes: watch::Receiver<Arc<Outcome>>,
    /// Whether this replica writes.
    pub leader: watch::Receiver<bool>,
    /// Takes Events.
    pub recorder: Events,
    /// Where writes are counted.
    pub metrics: Arc<ControlMetrics>,
}

/// Which budgets' use is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Scope {
    /// Objects whose verdict differs from their status.
    Verdicts,
    /// These, the use of every budget, and the health of every target.
    Everything,
}

/// One patch to be sent.
struct Write {
    key: ObjectKey,
    seen: Seen,
    desired: Desired,
}

impl StatusWriter {
    /// Follows the outcomes until `shutdown`; then writes the use of budgets once more.
    pub async fn run(self, shutdown: CancellationToken) {
        let mut task = Task::new(self);
        let _ = shutdown.run_until_cancelled(task.follow()).await;
        // Too late is no loss beyond the documented bound: the last checkpoint is a tick old.
        let _ = timeout(LAST_WRITE, task.reconcile(Scope::Everything)).await;
    }
}

struct Task {
    writer: StatusWriter,
    usage: Usage,
    handover: Handover,
    prices: prices::Told,
    /// What people have been told.
    warned: Mutex<HashSet<(Kind, Failure)>>,
    failures: u32,
    retry_at: Option<Instant>,
}

impl Task {
    fn new(writer: StatusWriter) -> Self {
        let usage = Usage::new(writer.ledger.clone());
        Self {
            writer,
            usage,
            handover: Handover::default(),
            prices: prices::Told::default(),
            warned: Mutex::default(),
            failures: 0,
            retry_at: None,
        }
    }

    async fn follow(&mut self) {
        let mut tick = interval(TICK);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let retry_at = self.retry_at;
            let retry = async {
                match retry_at {
                    Some(at) => sleep_until(at).await,
                    None => std::future::pending().await,
                }
            };
            let scope = tokio::select! {
                changed = self.writer.outcomes.changed() => {
                    if changed.is_err() {
                        return;
                    }
                    Scope::Verdicts
                }
                changed = self.writer.leader.changed() => {
                    if changed.is_err() {
                        return;
                    }
                    self.handover.begin();
                    Scope::Everything
                }
                () = retry => Scope::Verdicts,
                _ = tick.tick() => Scope::Everything,
            };
            self.reconcile(scope).await;
        }
    }

    async fn reconcile(&mut self, scope: Scope) {
        let outcome = self.writer.outcomes.borrow_and_update().clone();
        if outcome.version == 0 {
            return;
        }
        let scope = match self.writer.leader.has_changed() {
            // Also if it was lost and won again: somebody else may have led meanwhile.
            Ok(true) => {
                self.handover.begin();
                Scope::Everything
            }
            _ => scope,
        };
        if scope == Scope::Everything {
            self.usage.retain(&outcome.budget_uids);
            self.handover.retain(&outcome.budget_uids);
        }
        self.retry_at = None;
        if !*self.writer.leader.borrow_and_update() {
            return;
        }
        self.prices.tell(&outcome.price_notes, &self.writer.recorder);
        let is_taken_over = self.handover.take_over(&self.writer, &outcome).await;
        let writes = self.writes(&outcome, scope);
        let this = &*self;
        // What is newer goes first: a long pass ends early, and the next one leaves out what this
        // one has written.
        let is_current = |_: &Write| {
            let outdated = this.writer.outcomes.has_changed().unwrap_or(false);
            std::future::ready(!outdated)
        };
        let failed = stream::iter(writes)
            .take_while(is_current)
            .map(|write| this.write(write))
            .buffer_unordered(CONCURRENCY)
            .filter(|is_written| std::future::ready(!is_written))
            .count()
            .await
            .saturating_add(usize::from(!is_taken_over));
        if failed == 0 {
            self.failures = 0;
            return;
        }
        debug!(failed, "status not written; trying again");
        let pause = FIRST_RETRY.saturating_mul(1 << self.failures.min(8)).min(TICK);
        self.failures = self.failures.saturating_add(1);
        self.retry_at = Some(Instant::now() + pause.mul_f64(0.5 + fastrand::f64() / 2.0));
    }

    /// The patches that are needed, the most urgent first.
    fn writes(&mut self, outcome: &Outcome, scope: Scope) -> Vec<Write> {
        let budgets: HashMap<&ObjectName, &Arc<Budget>> =
            outcome.budgets.iter().map(|budget| (&budget.name, budget)).collect();
        let health = Health::new(&self.writer.targets, self.writer.published.load_full());
        let mut writes = Vec::new();
        for (key, verdict) in &outcome.verdicts {
            let budget = match key.kind {
                Kind::Budget => budgets.get(&key.name).copied(),
                Kind::Provider | Kind::Route => None,
            };
            writes.extend(self.write_of((key, verdict), budget, (scope, &health)));
        }
        // What was used must not be lost; then who has just changed something waits for an answer.
        writes.sort_by_key(|write| {
            (write.key.kind != Kind::Budget, std::cmp::Reverse(write.seen.version()))
        });
        writes
    }

    fn write_of(
        &mut self,
        (key, verdict): (&ObjectKey, &Verdict),
        budget: Option<&Arc<Budget>>,
        (scope, health): (Scope, &Health),
    ) -> Option<Write> {
        let seen = self.writer.statuses.get(key)?;
        if key.kind == Kind::Budget && !self.handover.has_read(&seen.uid, budget.is_some()) {
            return None;
        }
        let usage = &mut self.usage;
        let desired = match key.kind {
            Kind::Provider => desired::provider(verdict, &seen.status, |last| match scope {
                Scope::Verdicts if last.is_some() => last,
                _ => health.provider(&key.name),
            }),
            Kind::Route => desired::route(verdict, &seen.status, |target, last| match scope {
                Scope::Verdicts if last.is_some() => last,
                _ => health.target(&key.name, target),
            }),
            Kind::Budget => desired::budget(verdict, &seen.status, |last| match budget {
                // A changed budget is shown with its new amounts at once.
                Some(budget)
                    if scope == Scope::Everything
                        || last.limits.is_empty()
                        || last.observed_generation != Some(verdict.generation) =>
                {
                    Some(usage.of(budget))
                }
                _ => None,
            }),
        }?;
        Some(Write { key: key.clone(), seen, desired })
    }

    /// Says once for each kind what a person has to do.
    fn warn(&self, key: &ObjectKey, failure: Failure) {
        let Some(remedy) = failure.remedy(key.kind) else { return };
        if self.warned.lock().insert((key.kind, failure)) {
            warn!(object = %key, "status can't be written: {remedy}");
        }
    }

    /// Sends one patch. Whether nothing is left to do about it.
    async fn write(&self, write: Write) -> bool {
        if !*self.writer.leader.borrow() {
            return true;
        }
        let Write { key, seen, desired } = write;
        if let Some(checkpoint) = &desired.checkpoint {
            self.handover.writing(&seen.uid, checkpoint);
        }
        let outcome = patch::send(&self.writer.client, &key, &seen, &desired.status).await;
        self.writer.metrics.status_writes.with_label_values(&[outcome.as_str()]).inc();
        match outcome {
            patch::Outcome::Written(answer) => {
                if desired.checkpoint.is_some() {
                    self.handover.written(&seen.uid);
                }
                self.writer.statuses.written(&key, answer);
                for notice in desired.notices {
                    self.writer.recorder.send(notice.about(&key, &seen.uid));
                }
                true
            }
            patch::Outcome::Gone => true,
            patch::Outcome::Failed(failure) => {
                self.warn(&key, failure);
                false
            }
        }
    }
}
