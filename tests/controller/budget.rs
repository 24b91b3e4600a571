//! What is used of a budget: in status, in Events, and after a restart.

use std::{sync::Arc, time::Duration};

use sluice::{
    budget::{Amounts, Demand, NanoUsd},
    snapshot::Budget,
};

use crate::{
    cluster::eventually,
    replica::{Namespace, Replica, SOON, condition},
};

const BUDGET: &str = "
apiVersion: sluice.dev/v1alpha1
kind: AIBudget
metadata: {name: year}
spec: {limits: [{name: year, amount: '10', unit: USD, window: {calendar: Year}}]}
";

fn spend(replica: &Replica, budget: &Arc<Budget>, dollars: u64) {
    let amounts = Amounts::one_call(NanoUsd(dollars * 1_000_000_000), 1, 0);
    let demand = Demand { plan: budget.plan.clone(), subject: "".into(), amounts };
    let reservation = replica.ledger.reserve(vec![demand], Duration::from_secs(60)).unwrap();
    reservation.settle_all(amounts);
}

#[test]
fn use_is_shown_survives_a_restart_and_an_exceeded_budget_is_told() {
    let space = Namespace::new("budget");
    let replica = space.replica("first");
    space.apply(BUDGET);
    space.await_condition("aibudget/year", ["Ready", "True", "Ready"]);
    let name = space.object("year");
    spend(&replica, &replica.budget(&name).unwrap(), 4);
    eventually(SOON, || match space.get("aibudget/year")["status"]["limits"][0]["used"].as_str() {
        Some("4") => Ok(()),
        other => Err(format!("{other:?}")),
    });
    // Not yet written when the process ends: the last checkpoint has it.
    spend(&replica, &replica.budget(&name).unwrap(), 3);
    replica.stop();
    let status = space.get("aibudget/year")["status"].clone();
    assert_eq!(status["limits"][0]["used"], "7");
    assert!(status["checkpoint"].is_string());

    let replica = space.replica("second");
    replica.await_snapshot(|snapshot| snapshot.budgets.len() == 1);
    let budget = replica.budget(&name).unwrap();
    assert_eq!(replica.ledger.views(&budget.plan)[0].used, 7_000_000_000);
    spend(&replica, &budget, 3);
    let message =
        space.await_condition("aibudget/year", ["WithinBudget", "False", "BudgetExceeded"]);
    assert!(message.contains("10 of 10 USD used"), "{message}");
    let is_ready = condition(&space.get("aibudget/year"), "Ready").unwrap()["status"].clone();
    assert_eq!(is_ready, "True");
    eventually(SOON, || {
        let events = space.events("year");
        let wanted = ("Warning".to_owned(), "BudgetExceeded".to_owned());
        if events.contains(&wanted) { Ok(()) } else { Err(format!("{events:?}")) }
    });
    let patch = r#"{"spec":{"limits":[{"name":"year","amount":"20","unit":"USD","window":{"calendar":"Year"}}]}}"#;
    space.kubectl(&["patch", "aibudget", "year", "--type=merge", "-p", patch], "");
    // What is observed is shown: never a new generation with an old amount.
    eventually(SOON, || {
        let object = space.get("aibudget/year");
        if object["status"]["observedGeneration"] != object["metadata"]["generation"] {
            return Err("the new generation is not observed yet".to_owned());
        }
        assert_eq!(object["status"]["limits"][0]["max"], "20");
        Ok(())
    });
    space.await_condition("aibudget/year", ["WithinBudget", "True", "WithinBudget"]);
    replica.stop();
}

fn await_used(space: &Namespace, wanted: &str) {
    eventually(SOON, || match space.get("aibudget/year")["status"]["limits"][0]["used"].as_str() {
        Some(used) if used == wanted => Ok(()),
        other => Err(format!("{other:?}")),
    });
}

#[test]
fn what_overlapping_replicas_spend_adds_up_when_one_hands_over() {
    let space = Namespace::new("handover");
    let old = space.replica("old");
    space.apply(BUDGET);
    space.await_condition("aibudget/year", ["Ready", "True", "Ready"]);
    let name = space.object("year");
    spend(&old, &old.budget(&name).unwrap(), 2);
    await_used(&space, "2");
    let new = space.replica("new");
    new.await_snapshot(|snapshot| snapshot.budgets.len() == 1);
    spend(&old, &old.budget(&name).unwrap(), 1);
    spend(&new, &new.budget(&name).unwrap(), 3);
    old.stop();
    await_used(&space, "6");
    let budget = new.budget(&name).unwrap();
    assert_eq!(new.ledger.views(&budget.plan)[0].used, 6_000_000_000);
    new.stop();
    assert_eq!(space.get("aibudget/year")["status"]["limits"][0]["used"], "6");
}

#[test]
fn an_edit_that_breaks_a_budget_forgets_nothing() {
    let space = Namespace::new("edit");
    let replica = space.replica("first");
    space.apply(BUDGET);
    space.await_condition("aibudget/year", ["Ready", "True", "Ready"]);
    let name = space.object("year");
    let budget = replica.budget(&name).unwrap();
    spend(&replica, &budget, 4);
    let patch = r#"{"spec":{"selector":{"allNamespaces":true}}}"#;
    space.kubectl(&["patch", "aibudget", "year", "--type=merge", "-p", patch], "");
    space.await_condition("aibudget/year", ["Ready", "False", "Invalid"]);
    space.apply(BUDGET);
    let patch = r#"{"spec":{"selector":null}}"#;
    space.kubectl(&["patch", "aibudget", "year", "--type=merge", "-p", patch], "");
    space.await_condition("aibudget/year", ["Ready", "True", "Ready"]);
    assert_eq!(replica.ledger.views(&budget.plan)[0].used, 4_000_000_000);
    replica.stop();
}
