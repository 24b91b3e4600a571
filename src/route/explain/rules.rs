//! What became of each rule, and what its condition was told.

use std::sync::Arc;

use serde_json::{Map, Value};

use crate::snapshot::{
    Condition, Route, Rule,
    condition::{Fact, FactValue, Facts as _, Known},
};

use super::{
    super::{Asked, choose::holds},
    RuleFate,
};

/// The rules of a route in their order, of which one was chosen, or none.
pub(super) fn rules(route: &Route, chosen: Option<&Arc<Rule>>, asked: &Asked<'_>) -> Vec<RuleFate> {
    let known = Known::new(asked);
    let mut reached = route.fault.is_none();
    let each = route.rules.iter().map(|rule| {
        let held = reached.then(|| holds(rule, &known));
        if chosen.is_some_and(|chosen| Arc::ptr_eq(chosen, rule)) {
            reached = false;
        }
        let verdict = match held {
            None => "not reached".to_owned(),
            Some(_) if rule.mistaken.is_some() => {
                "not evaluated, for its condition has a mistake: the request ends here".to_owned()
            }
            Some(Ok(true)) if rule.when.is_none() && rule.fault.is_none() => {
                "takes every request".to_owned()
            }
            Some(Ok(true)) => "holds".to_owned(),
            Some(Ok(false)) => "does not hold".to_owned(),
            Some(Err(error)) => format!("cannot be evaluated: {error}"),
        };
        let when = rule.when.as_ref().map(Condition::text).or(rule.mistaken.as_deref());
        RuleFate {
            name: rule.name.to_string(),
            when: when.map(str::to_owned),
            verdict,
            fault: rule.fault.as_deref().map(str::to_owned),
            facts: rule.when.as_ref().map(|when| facts(when, asked)).unwrap_or_default(),
        }
    });
    each.collect()
}

/// What a condition was told.
fn facts(condition: &Condition, asked: &Asked<'_>) -> Map<String, Value> {
    let told = condition.facts().iter().map(|&fact| {
        let value = match (fact, asked.fact(fact)) {
            (Fact::Now, FactValue::Int(_)) => asked.now.to_string().into(),
            (_, FactValue::Unusable(why)) => why.into(),
            (_, value) => value.to_json(),
        };
        (fact.name().to_owned(), value)
    });
    told.collect()
}
