//! Taking over what former leaders have counted: reads each AIBudget's record once in a leadership,
//! before anything is written over it. Decides nothing about the rest of status.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use futures_util::{StreamExt as _, stream};
use parking_lot::Mutex;
use tracing::warn;

use super::{CONCURRENCY, StatusWriter, patch};
use crate::{
    budget::{Checkpoint, Ledger},
    compile::{Kind, ObjectKey},
    controller::Outcome,
    snapshot::{Budget, ObjectName},
};

/// What is known of the records in the objects' status.
#[derive(Default)]
pub(super) struct Handover {
    /// UIDs of the budgets whose record has been read in this leadership, and whether they could
    /// be compiled then: one that could not has nothing to count it in.
    read: HashSet<(Arc<str>, bool)>,
    /// What this process has written since it read the record.
    records: Mutex<HashMap<Arc<str>, Written>>,
}

/// Checkpoints of one budget.
#[derive(Default)]
struct Written {
    /// The last one that the API server confirmed.
    confirmed: Option<String>,
    /// The last one that was sent: stored or not, where no answer came.
    sent: Option<String>,
}

impl Handover {
    /// A leadership begins or ends: what is stored may be another's by now.
    pub(super) fn begin(&mut self) {
        self.read.clear();
    }

    /// Forgets all budgets but these.
    pub(super) fn retain(&mut self, uids: &HashSet<Arc<str>>) {
        self.read.retain(|(uid, _)| uids.contains(uid));
        self.records.get_mut().retain(|uid, _| uids.contains(uid));
    }

    /// Whether the record has been read, so that writing loses nothing.
    pub(super) fn has_read(&self, uid: &Arc<str>, is_compiled: bool) -> bool {
        self.read.contains(&(uid.clone(), is_compiled))
    }

    /// A checkpoint is about to be sent.
    pub(super) fn writing(&self, uid: &Arc<str>, checkpoint: &str) {
        let mut records = self.records.lock();
        records.entry(uid.clone()).or_default().sent = Some(checkpoint.to_owned());
    }

    /// The checkpoint that was sent is stored.
    pub(super) fn written(&self, uid: &Arc<str>) {
        if let Some(written) = self.records.lock().get_mut(uid) {
            written.confirmed.clone_from(&written.sent);
        }
    }

    /// Reads the records that have not been read, from the API server itself: the watch may be
    /// behind a former leader's last write. False if one could not be read: such budgets are not written
    /// until they are.
    pub(super) async fn take_over(&mut self, writer: &StatusWriter, outcome: &Outcome) -> bool {
        let budgets: HashMap<&ObjectName, &Arc<Budget>> =
            outcome.budgets.iter().map(|budget| (&budget.name, budget)).collect();
        let unread: Vec<(ObjectKey, Option<Arc<Budget>>)> = outcome
            .verdicts
            .keys()
            .filter(|key| key.kind == Kind::Budget)
            .map(|key| (key.clone(), budgets.get(&key.name).map(|budget| Arc::clone(budget))))
            .filter(|(key, budget)| {
                let seen = writer.statuses.get(key);
                seen.is_some_and(|seen| !self.has_read(&seen.uid, budget.is_some()))
            })
            .collect();
        let read = |(key, budget): (ObjectKey, Option<Arc<Budget>>)| {
            let client = writer.client.clone();
            async move {
                let answer = patch::read(&client, &key).await;
                (key, budget, answer)
            }
        };
        let mut answers = stream::iter(unread).map(read).buffer_unordered(CONCURRENCY);
        while let Some((key, budget, answer)) = answers.next().await {
            // One failure is enough to know: with the API server away each would take its time.
            let Ok(seen) = answer else { return false };
            // Gone; the watch will tell.
            let Some(seen) = seen else { continue };
            writer.statuses.written(&key, seen.clone());
            let record = seen.status.get("checkpoint").and_then(|text| text.as_str());
            if let Some(budget) = budget.as_ref().filter(|budget| budget.plan.uid == seen.uid) {
                let written = self.records.get_mut().remove(&seen.uid).unwrap_or_default();
                restore(&writer.ledger, budget, (&written, record));
            }
            self.read.insert((seen.uid, budget.is_some()));
        }
        true
    }
}

/// Adds what others have put into the record since this process knew it.
fn restore(ledger: &Ledger, budget: &Budget, (written, record): (&Written, Option<&str>)) {
    let parse = |text: &str| match serde_json::from_str::<Checkpoint>(text) {
        Ok(checkpoint) => Some(checkpoint),
        Err(error) => {
            warn!(budget = %budget.name, %error, "the checkpoint in status can't be read; nothing is taken over from it");
            None
        }
    };
    let is_ours = record.is_some() && record == written.sent.as_deref();
    let known = if is_ours { &written.sent } else { &written.confirmed };
    if let Some(known) = known.as_deref().and_then(parse) {
        ledger.recorded(&budget.plan, known);
    }
    if let Some(record) = record.filter(|_| !is_ours).and_then(parse) {
        ledger.restore(&budget.plan, &record);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use jiff::Timestamp;

    use super::*;
    use crate::{
        budget::{Amounts, BudgetPlan, Demand, Limit, ManualClock, Mode, Period, Unit, Window},
        snapshot::Unpriced,
    };

    fn budget() -> Budget {
        let plan = BudgetPlan {
            uid: "uid".into(),
            namespace: "team".into(),
            name: "year".into(),
            limits: vec![Limit {
                name: "year".into(),
                unit: Unit::Tokens,
                amount: 1000,
                window: Window::calendar(Period::Year, "UTC").unwrap(),
            }],
            mode: Mode::Enforce,
        };
        Budget {
            name: ObjectName::new("team", "year"),
            plan: Arc::new(plan),
            consumers: None,
            models: Vec::new(),
            providers: Vec::new(),
            per: Vec::new(),
            downgrade: None,
            unpriced: Unpriced::Deny,
        }
    }

    fn ledger() -> Arc<Ledger> {
        Arc::new(Ledger::new(Arc::new(ManualClock::new(Timestamp::UNIX_EPOCH))))
    }

    fn spend(ledger: &Arc<Ledger>, budget: &Budget, tokens: u64) {
        let amounts = Amounts { tokens, ..Amounts::default() };
        let demand = Demand { plan: budget.plan.clone(), subject: "".into(), amounts };
        ledger.reserve(vec![demand], Duration::from_secs(60)).unwrap().settle_all(amounts);
    }

    fn text(ledger: &Ledger, budget: &Budget) -> String {
        serde_json::to_string(&ledger.checkpoint(&budget.plan)).unwrap()
    }

    fn used(ledger: &Ledger, budget: &Budget) -> u64 {
        ledger.views(&budget.plan)[0].used
    }

    #[test]
    fn a_record_that_was_stored_without_an_answer_is_known_for_ones_own() {
        let (ledger, budget) = (ledger(), budget());
        spend(&ledger, &budget, 5);
        let first = text(&ledger, &budget);
        spend(&ledger, &budget, 5);
        let second = text(&ledger, &budget);
        let written = Written { confirmed: Some(first), sent: Some(second.clone()) };
        restore(&ledger, &budget, (&written, Some(&second)));
        restore(&ledger, &budget, (&Written::default(), Some(&second)));
        assert_eq!(used(&ledger, &budget), 10);
    }

    #[test]
    fn anothers_record_adds_what_it_counts_beyond_ones_own() {
        let (first, second, budget) = (ledger(), ledger(), budget());
        spend(&first, &budget, 5);
        let record = text(&first, &budget);
        restore(&second, &budget, (&Written::default(), Some(&record)));
        spend(&second, &budget, 7);
        spend(&first, &budget, 1);
        let written = Written { confirmed: Some(record.clone()), sent: Some(record) };
        restore(&first, &budget, (&written, Some(&text(&second, &budget))));
        assert_eq!(used(&first, &budget), 13);
    }

    #[test]
    fn a_record_that_cannot_be_read_changes_nothing() {
        let (ledger, budget) = (ledger(), budget());
        spend(&ledger, &budget, 5);
        restore(&ledger, &budget, (&Written::default(), Some("nonsense")));
        assert_eq!(used(&ledger, &budget), 5);
    }
}
