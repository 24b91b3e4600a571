//! Requests that do not fit a budget and are served by another model of the same route.

use std::sync::Arc;

use serde_json::Value;
use sluice::{
    budget::Unit,
    snapshot::{Budget, ObjectName, Pattern, Route, Rule, Target, TargetModel},
};

use crate::{
    fixture::{ASK, Gateway, Reply, WHOLE, budget, provider, route, targets_of},
    upstream::{Upstream, json},
};

/// A budget of so many requests to this model, and who takes over.
fn of_model(model: &str, amount: u64, instead: Option<&str>) -> Arc<Budget> {
    let mut budget = (*budget(Unit::Requests, amount)).clone();
    let mut plan = (*budget.plan).clone();
    (plan.uid, plan.name) = (model.into(), model.into());
    budget.name = ObjectName::new("team", model);
    budget.plan = Arc::new(plan);
    budget.models = vec![Pattern::Exact(model.into())];
    budget.downgrade = instead.map(Into::into);
    Arc::new(budget)
}

/// A route to `m`, then `mid`, then `small`.
fn falling(upstream: &Upstream, budgets: Vec<Arc<Budget>>) -> Route {
    let mut route = route([provider(upstream), provider(upstream), provider(upstream)]);
    for (target, model) in targets_of(&mut route).iter_mut().zip(["m", "mid", "small"]) {
        Arc::make_mut(target).model = TargetModel::Fixed(model.into());
    }
    Route { budgets, ..route }
}

/// The same, each model in a rule of its own: only the first one is a request's own business.
fn apart(upstream: &Upstream, budgets: Vec<Arc<Budget>>) -> Route {
    let mut route = falling(upstream, budgets);
    let targets = std::mem::take(targets_of(&mut route));
    let rule = |target: Arc<Target>| Rule {
        name: Arc::clone(&target.name),
        targets: vec![target],
        ..Rule::default()
    };
    route.rules = targets.into_iter().map(rule).map(Arc::new).collect();
    route
}

fn asked_for(upstream: &Upstream) -> Vec<String> {
    let model = |body: &[u8]| -> String {
        let body: Value = serde_json::from_slice(body).unwrap();
        body["model"].as_str().unwrap().to_owned()
    };
    upstream.received().iter().map(|received| model(&received.body)).collect()
}

fn refused(reply: &Reply) {
    assert_eq!((reply.status.as_u16(), &*reply.code()), (429, "budget_exceeded"));
    assert_eq!(reply.header("x-sluice-downgraded"), "");
}

#[tokio::test]
async fn a_full_budget_hands_over_to_the_model_that_it_names_and_says_so() {
    let upstream = Upstream::always(json(WHOLE)).await;
    let budget = of_model("m", 1, Some("small"));
    let gateway = Gateway::start([falling(&upstream, vec![budget.clone()])]).await;
    for (target, downgraded) in [("target-0", ""), ("target-2", "team/m")] {
        let reply = gateway.chat(ASK).await;
        assert_eq!(reply.header("x-sluice-target"), target, "{}", reply.text());
        assert_eq!(reply.header("x-sluice-downgraded"), downgraded);
    }
    assert_eq!(asked_for(&upstream), ["m", "small"]);
    assert_eq!(gateway.used(&budget), (1, 0), "the other model is not its business");
    let records = gateway.records().await;
    assert_eq!(records[0]["downgraded"], Value::Null);
    assert_eq!(records[1]["downgraded"], "team/m");
    assert_eq!(gateway.counted("sluice_budget_refusals_total", ("", "")), 0);
}

#[tokio::test]
async fn where_the_other_model_does_not_fit_either_the_request_is_refused() {
    let upstream = Upstream::always(json(WHOLE)).await;
    let mut counts_both = (*of_model("m", 1, Some("small"))).clone();
    counts_both.models = Vec::new();
    let counts_both = Arc::new(counts_both);
    let unknown = of_model("m", 1, Some("unknown"));
    let none = of_model("small", 0, None);
    for budgets in [
        vec![counts_both],
        vec![unknown],
        vec![of_model("m", 1, Some("small")), none],
        vec![of_model("m", 1, Some("small")), of_model("small", 0, Some("m"))],
    ] {
        let gateway = Gateway::start([apart(&upstream, budgets.clone())]).await;
        assert_eq!(gateway.chat(ASK).await.header("x-sluice-target"), "target-0");
        refused(&gateway.chat(ASK).await);
        let reserved: u64 = budgets.iter().map(|budget| gateway.used(budget).1).sum();
        assert_eq!(reserved, 0);
    }
    assert!(asked_for(&upstream).iter().all(|model| model == "m"));
}

#[tokio::test]
async fn each_budget_on_the_way_down_may_name_the_next_model() {
    let upstream = Upstream::always(json(WHOLE)).await;
    let budgets = vec![of_model("m", 1, Some("mid")), of_model("mid", 1, Some("small"))];
    for route in [falling(&upstream, budgets.clone()), apart(&upstream, budgets)] {
        let gateway = Gateway::start([route]).await;
        for target in ["target-0", "target-1", "target-2"] {
            assert_eq!(gateway.chat(ASK).await.header("x-sluice-target"), target);
        }
    }
}

#[tokio::test]
async fn the_other_model_may_be_a_target_of_another_rule() {
    let upstream = Upstream::always(json(WHOLE)).await;
    let route = apart(&upstream, vec![of_model("m", 0, Some("small"))]);
    let gateway = Gateway::start([route]).await;
    let reply = gateway.chat(ASK).await;
    assert_eq!((reply.status.as_u16(), reply.header("x-sluice-target")), (200, "target-2"));
    assert_eq!(gateway.record().await["rule"], "target-2");
}
