//! Worst cases, subjects and refusals.

use std::collections::HashMap;

use bytes::Bytes;
use serde_json::json;

use super::*;
use crate::budget::{Mode, NanoUsd, Unit};
use crate::route::demand::{DEFAULT_OUTPUT, output_bound};
use crate::snapshot::Unpriced;
use crate::{
    budget::{BudgetPlan, Limit, ManualClock, Price, Rate, Rates, ServiceTier, Tier, Window},
    llm::{Dialect, Parameters, Rewrite, Translator, peek},
    snapshot::{self, Dimension, Model, ObjectName, Provider, Target, TargetModel},
};

fn candidate(provider: &str, model: &str, entry: Option<Model>) -> Candidate {
    let models: HashMap<_, _> = entry.map(|entry| (model.to_owned(), entry)).into_iter().collect();
    let provider = Provider {
        name: ObjectName::new("team", provider),
        uid: provider.into(),
        kind: "Mock",
        dialects: &[Dialect::OpenAi],
        quirks: crate::llm::Quirks::NONE,
        addressing: Default::default(),
        key_header: Default::default(),
        identity: None,
        probe: None,
        backends: None,
        endpoint: snapshot::Endpoint::Mock,
        credentials: Vec::new(),
        headers: Vec::new(),
        models,
        prices: Vec::new(),
        connect_timeout: Duration::from_secs(5),
        limits: Default::default(),
        ejection: Default::default(),
    };
    let target = Target {
        name: provider.uid.clone(),
        provider: Arc::new(provider),
        model: TargetModel::Fixed(model.into()),
        weight: 1,
        priority: 0,
        parameters: None,
    };
    let translator = Translator::new(Endpoint::ChatCompletions, &[Dialect::OpenAi]).unwrap();
    let terms = target.provider.model(model);
    Candidate { target: Arc::new(target), model: model.into(), terms, translator }
}

fn priced(output: u64) -> Option<Model> {
    let rates = Rates { input: Rate(0), output: Rate(output), ..Rates::default() };
    let price = Some(Price::flat(rates).into());
    Some(Model { price, max_output_tokens: Some(1000), ..Model::default() })
}

fn budget(unit: Unit, amount: u64, per: Vec<Dimension>) -> Budget {
    let window = Window::Sliding { length: Duration::from_secs(60) };
    let plan = BudgetPlan {
        uid: "budget".into(),
        namespace: "team".into(),
        name: "budget".into(),
        limits: vec![Limit { name: "limit".into(), unit, amount, window }],
        mode: Mode::Enforce,
    };
    Budget {
        name: ObjectName::new("team", "budget"),
        plan: Arc::new(plan),
        consumers: None,
        models: Vec::new(),
        providers: Vec::new(),
        per,
        downgrade: None,
        unpriced: Unpriced::Deny,
    }
}

fn route(budget: Budget) -> Route {
    Route {
        name: ObjectName::new("team", "chat"),
        uid: "route".into(),
        budgets: vec![Arc::new(budget)],
        ..Route::default()
    }
}

struct Case {
    ledger: Arc<Ledger>,
    route: Route,
    candidates: Vec<Candidate>,
    body: &'static str,
}

impl Case {
    fn new(budget: Budget, candidates: Vec<Candidate>) -> Self {
        let clock = ManualClock::new("2026-01-01T00:00:00Z".parse().unwrap());
        let ledger = Arc::new(Ledger::new(Arc::new(clock)));
        Self { ledger, route: route(budget), candidates, body: r#"{"model":"m","user":"a/b"}"# }
    }

    fn admit(&self) -> Result<Option<Admission>, Box<Refusal>> {
        let peek = peek(&Endpoint::ChatCompletions.into(), self.body.as_bytes()).unwrap();
        admit(
            &self.ledger,
            &Admitted {
                route: &self.route,
                consumer: None,
                headers: &HeaderMap::new(),
                endpoint: Endpoint::ChatCompletions,
                peek: &peek,
                input: InputEstimate::of_text(self.body.len()),
                candidates: &self.candidates,
                may_take: Duration::ZERO,
            },
        )
    }

    fn demands(&self) -> Vec<(String, Amounts)> {
        let Ok(Some(admission)) = self.admit() else { panic!("not admitted") };
        let demands = admission.reservation.demands();
        let demands = demands.map(|demand| (demand.subject.to_string(), demand.amounts)).collect();
        admission.release();
        demands
    }
}

#[test]
fn the_dearest_candidate_is_reserved_for_once() {
    let candidates =
        vec![candidate("a", "cheap", priced(1_000_000)), candidate("b", "dear", priced(9_000_000))];
    let demands = Case::new(budget(Unit::Usd, u64::MAX, Vec::new()), candidates).demands();
    assert_eq!(demands.len(), 1);
    assert_eq!(demands[0].1.cost, NanoUsd(9_000_000));
    assert_eq!(demands[0].0, "");
}

#[test]
fn every_subject_that_could_be_charged_is_reserved_for() {
    let candidates = vec![candidate("a", "x/1", priced(1)), candidate("b", "y", priced(1))];
    let per = vec![Dimension::Model, Dimension::User, Dimension::Team];
    let demands = Case::new(budget(Unit::Usd, u64::MAX, per), candidates).demands();
    let subjects: Vec<&str> = demands.iter().map(|(subject, _)| &**subject).collect();
    assert_eq!(subjects, ["x%2F1/a%2Fb/-", "y/a%2Fb/-"]);
}

#[test]
fn control_characters_do_not_get_into_subjects() {
    let per = vec![Dimension::User];
    let mut case =
        Case::new(budget(Unit::Tokens, u64::MAX, per), vec![candidate("a", "x", priced(1))]);
    case.body = r#"{"model":"m","user":"a\u0001b"}"#;
    assert_eq!(case.demands()[0].0, "a\u{FFFD}b");
}

#[test]
fn only_the_subject_of_the_candidate_that_served_is_charged() {
    let candidates = vec![candidate("a", "x", priced(1)), candidate("b", "y", priced(1))];
    let mut case = Case::new(budget(Unit::Requests, 1, vec![Dimension::Model]), candidates);
    let used = Amounts { requests: 1, ..Amounts::default() };
    let Ok(Some(admission)) = case.admit() else { panic!("not admitted") };
    admission.settle(1, used);
    assert!(case.admit().is_err());
    case.candidates.pop();
    assert!(matches!(case.admit(), Ok(Some(_))));
}

#[test]
fn a_limit_in_money_refuses_models_without_a_price_and_says_what_to_do() {
    let route = route(budget(Unit::Usd, u64::MAX, Vec::new()));
    let mut candidates = vec![candidate("a", "x", None)];
    let error = leave_out_unpriced(&mut candidates, &route, None).unwrap_err().error;
    assert_eq!((error.status.as_u16(), &*error.code), (403, "model_unpriced"));
    assert!(error.message.contains("unpriced: Allow"), "{}", error.message);
}

#[test]
fn a_target_without_a_price_is_left_out_where_another_has_one() {
    let targets = || vec![candidate("a", "x", None), candidate("b", "y", priced(1))];
    let mut left = targets();
    let money = route(budget(Unit::Usd, u64::MAX, Vec::new()));
    leave_out_unpriced(&mut left, &money, None).unwrap();
    assert_eq!(left.iter().map(|left| &*left.model).collect::<Vec<_>>(), ["y"]);
    let tokens = budget(Unit::Tokens, 1 << 40, Vec::new());
    let allowed = Budget { unpriced: Unpriced::Allow, ..budget(Unit::Usd, 1, Vec::new()) };
    let of_b = Budget {
        providers: vec![ObjectName::new("team", "b")],
        ..budget(Unit::Usd, 1, Vec::new())
    };
    for budget in [tokens, allowed, of_b] {
        let mut left = targets();
        leave_out_unpriced(&mut left, &route(budget), None).unwrap();
        assert_eq!(left.len(), 2);
    }
}

#[test]
fn the_output_bound_is_the_least_of_what_is_asked_and_what_is_possible() {
    let peek = |body: &str| peek(&Endpoint::ChatCompletions.into(), body.as_bytes()).unwrap();
    let bounded = candidate("a", "x", priced(1));
    let unbounded = candidate("a", "x", None);
    let none = peek(r#"{"model":"x"}"#);
    assert_eq!(output_bound(Endpoint::ChatCompletions, &none, &bounded), 1000);
    assert_eq!(output_bound(Endpoint::ChatCompletions, &none, &unbounded), DEFAULT_OUTPUT);
    let asked = peek(r#"{"model":"x","max_tokens":5000,"n":2}"#);
    assert_eq!(output_bound(Endpoint::ChatCompletions, &asked, &bounded), 2000);
    assert_eq!(output_bound(Endpoint::ChatCompletions, &asked, &unbounded), 10_000);
}

#[test]
fn parameters_of_the_target_change_the_output_bound() {
    let object = |value: serde_json::Value| value.as_object().cloned().unwrap_or_default();
    let bound = |body: &str, set, default, remove: &[&str]| {
        let mut candidate = candidate("a", "x", None);
        let target = Arc::get_mut(&mut candidate.target).unwrap();
        let remove = remove.iter().map(|name| (*name).to_owned()).collect();
        let parameters = Parameters { set: object(set), default: object(default), remove };
        target.parameters = Some(parameters);
        output_bound(
            Endpoint::ChatCompletions,
            &peek(&Endpoint::ChatCompletions.into(), body.as_bytes()).unwrap(),
            &candidate,
        )
    };
    let none = || json!({});
    let both = r#"{"model":"x","max_tokens":100,"max_completion_tokens":40,"n":3}"#;
    let plain = r#"{"model":"x","max_tokens":null,"n":null}"#;
    assert_eq!(bound(both, none(), none(), &[]), 300);
    assert_eq!(bound(both, json!({"max_tokens": 7}), none(), &[]), 21);
    assert_eq!(bound(both, json!({"max_completion_tokens": 9, "n": 2}), none(), &[]), 18);
    assert_eq!(bound(both, json!({"max_tokens": null}), none(), &["n"]), DEFAULT_OUTPUT);
    assert_eq!(bound(both, none(), json!({"max_tokens": 9, "n": 9}), &[]), 300);
    assert_eq!(bound(plain, none(), json!({"max_completion_tokens": 9, "n": 5}), &[]), 45);
    assert_eq!(bound(both, none(), none(), &["max_tokens"]), 120);
    assert_eq!(bound(both, none(), none(), &["max_tokens", "max_completion_tokens", "n"]), 4096);
    assert_eq!(bound(both, none(), json!({"n": 8}), &["n", "max_completion_tokens"]), 800);
}

#[test]
fn the_output_bound_is_that_of_the_body_which_is_sent() {
    let values = ["null", "5", "9"];
    let mut objects = vec![json!({})];
    for one in values.map(|value| value.parse::<serde_json::Value>().unwrap()) {
        objects.push(json!({"max_tokens": one}));
        objects.push(json!({"max_completion_tokens": one, "n": 2}));
        objects.push(json!({"max_tokens": one, "max_completion_tokens": 7}));
    }
    let removes = [vec![], vec!["max_tokens".to_owned()], vec!["n".to_owned()]];
    let map = |value: &serde_json::Value| value.as_object().unwrap().clone();
    let translator = Translator::new(Endpoint::ChatCompletions, &[Dialect::OpenAi]).unwrap();
    for (client, set) in objects.iter().flat_map(|a| objects.iter().map(move |b| (a, b))) {
        for (default, remove) in objects.iter().flat_map(|a| removes.iter().map(move |b| (a, b))) {
            let (set, default, remove) = (map(set), map(default), remove.clone());
            let parameters = Parameters { set, default, remove };
            let mut body = client.clone();
            body["model"] = json!("x");
            let body = Bytes::from(body.to_string());
            let asked = peek(&Endpoint::ChatCompletions.into(), &body).unwrap();
            let mut candidate = candidate("a", "x", None);
            let rewrite =
                Rewrite { model: "x", parameters: Some(&parameters), default_max_tokens: None };
            let sent = translator.request(&body, &asked, &rewrite).unwrap().body;
            let sent = output_bound(
                Endpoint::ChatCompletions,
                &peek(&Endpoint::ChatCompletions.into(), &sent).unwrap(),
                &candidate,
            );
            Arc::get_mut(&mut candidate.target).unwrap().parameters = Some(parameters.clone());
            assert_eq!(
                output_bound(Endpoint::ChatCompletions, &asked, &candidate),
                sent,
                "{client} {parameters:?}"
            );
        }
    }
}

#[test]
fn a_dearer_tier_is_reserved_for_only_where_it_is_asked_for() {
    let rates = |output| Rates { output: Rate(output), ..Rates::default() };
    let tier = Tier { service: ServiceTier::Priority, above: 0, rates: rates(2_000_000) };
    let price = Price { rates: rates(1_000_000), tiers: vec![tier] };
    let model =
        Model { price: Some(price.into()), max_output_tokens: Some(1000), ..Model::default() };
    let reserved = |body| {
        let candidates = vec![candidate("a", "m", Some(model.clone()))];
        let mut case = Case::new(budget(Unit::Usd, u64::MAX, Vec::new()), candidates);
        case.body = body;
        case.demands()[0].1.cost
    };
    assert_eq!(reserved(r#"{"model":"m"}"#), NanoUsd(1_000_000));
    assert_eq!(reserved(r#"{"model":"m","service_tier":"auto"}"#), NanoUsd(1_000_000));
    assert_eq!(reserved(r#"{"model":"m","service_tier":"priority"}"#), NanoUsd(2_000_000));
}

#[test]
fn a_bound_of_the_builtin_table_caps_and_is_assumed_in_part() {
    let reserved = |table, body| {
        let model = Model { table_max_output_tokens: table, ..Model::default() };
        let candidates = vec![candidate("a", "m", Some(model))];
        let mut case = Case::new(budget(Unit::Tokens, u64::MAX, Vec::new()), candidates);
        case.body = body;
        case.demands()[0].1.tokens - InputEstimate::of_text(body.len()).tokens
    };
    let (open, asking) = (r#"{"model":"m"}"#, r#"{"model":"m","max_tokens":500000}"#);
    assert_eq!(reserved(None, open), DEFAULT_OUTPUT);
    assert_eq!(reserved(Some(128_000), open), 16_384);
    assert_eq!(reserved(Some(2_000), open), 2_000);
    assert_eq!(reserved(Some(128_000), asking), 128_000);
    assert_eq!(reserved(None, asking), 500_000);
}
