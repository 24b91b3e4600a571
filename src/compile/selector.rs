//! Label selectors: from the API's form to the one that is evaluated.

use crate::{
    api::selector::{LabelSelector, Operator},
    snapshot::{
        Selector,
        selector::{Labels, Requirement},
    },
};

/// Converts a label selector.
pub(super) fn compile(selector: &LabelSelector) -> Selector {
    let expressions = selector.match_expressions.iter().map(|requirement| {
        let (key, values) = (requirement.key.clone(), requirement.values.clone());
        match requirement.operator {
            Operator::In => Requirement::In(key, values),
            Operator::NotIn => Requirement::NotIn(key, values),
            Operator::Exists => Requirement::Exists(key),
            Operator::DoesNotExist => Requirement::DoesNotExist(key),
        }
    });
    let mut compiled = labels(&selector.match_labels);
    compiled.requirements.extend(expressions);
    compiled
}

/// A selector for exactly these labels.
pub(super) fn labels(labels: &Labels) -> Selector {
    let equal =
        |(key, value): (&String, &String)| Requirement::In(key.clone(), vec![value.clone()]);
    Selector { requirements: labels.iter().map(equal).collect() }
}
