//! Label selectors in the form in which they are evaluated.

use std::collections::BTreeMap;

/// Labels of an object.
pub type Labels = BTreeMap<String, String>;

/// Selects by labels; all requirements are ANDed, none selects everything.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Selector {
    /// What the labels must satisfy.
    pub requirements: Vec<Requirement>,
}

/// One requirement on a label, with the meaning of the Kubernetes API's `LabelSelector`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Requirement {
    /// The label is present and its value is one of these.
    In(String, Vec<String>),
    /// The label is absent or its value is none of these.
    NotIn(String, Vec<String>),
    /// The label is present.
    Exists(String),
    /// The label is absent.
    DoesNotExist(String),
}

impl Selector {
    /// Whether `labels` satisfy every requirement.
    pub fn matches(&self, labels: &Labels) -> bool {
        self.requirements.iter().all(|requirement| requirement.matches(labels))
    }
}

impl Requirement {
    fn matches(&self, labels: &Labels) -> bool {
        match self {
            Self::In(key, values) => labels.get(key).is_some_and(|value| values.contains(value)),
            Self::NotIn(key, values) => labels.get(key).is_none_or(|value| !values.contains(value)),
            Self::Exists(key) => labels.contains_key(key),
            Self::DoesNotExist(key) => !labels.contains_key(key),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(pairs: &[(&str, &str)]) -> Labels {
        pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect()
    }

    fn selects(requirement: Requirement, labels: &Labels) -> bool {
        Selector { requirements: vec![requirement] }.matches(labels)
    }

    #[test]
    fn empty_selector_selects_everything() {
        assert!(Selector::default().matches(&labels(&[])));
    }

    #[test]
    fn every_operator_has_the_meaning_of_the_core_api() {
        let (gold, none) = (labels(&[("tier", "gold")]), labels(&[]));
        let (key, values) = ("tier".to_owned(), vec!["gold".to_owned()]);
        assert!(selects(Requirement::In(key.clone(), values.clone()), &gold));
        assert!(!selects(Requirement::In(key.clone(), values.clone()), &none));
        assert!(!selects(Requirement::NotIn(key.clone(), values.clone()), &gold));
        assert!(selects(Requirement::NotIn(key.clone(), values), &none));
        assert!(selects(Requirement::Exists(key.clone()), &gold));
        assert!(selects(Requirement::DoesNotExist(key), &none));
    }
}
