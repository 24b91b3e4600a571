//! Whose counter a call is counted on: the values of a budget's dimensions.

use std::{borrow::Cow, sync::Arc};

use http::HeaderMap;

use crate::snapshot::{Budget, Consumer, Dimension, ObjectName};

/// What subjects are made of.
#[derive(Clone, Copy)]
pub struct Traits<'a> {
    /// Who calls.
    pub consumer: Option<&'a Consumer>,
    /// The request's headers.
    pub headers: &'a HeaderMap,
    /// The end user; empty if none is named.
    pub user: &'a str,
    /// The route; none for direct calls.
    pub route: Option<&'a ObjectName>,
    /// The namespace of the route, or of the provider that is called directly.
    pub namespace: &'a str,
    /// The provider.
    pub provider: &'a ObjectName,
    /// The model; empty if it is not known.
    pub model: &'a str,
}

impl<'a> Traits<'a> {
    /// Whose counter: the values of the budget's dimensions, joined by `/`; `-` for a value that the
    /// request lacks. Slashes inside one of several values are escaped, so that nobody can take
    /// another's name.
    pub fn subject(&self, budget: &Budget) -> String {
        let mut subject = String::new();
        for (index, dimension) in budget.per.iter().enumerate() {
            if index > 0 {
                subject.push('/');
            }
            let start = subject.len();
            let text = self.value(dimension);
            match budget.per.len() > 1 && is_free(dimension) && text.contains(['/', '%']) {
                true => subject.push_str(&text.replace('%', "%25").replace('/', "%2F")),
                false => subject.push_str(&text),
            }
            if subject.len() == start {
                subject.push('-');
            }
        }
        // People read subjects in status, on terminals; and each would take six bytes there.
        match subject.contains(char::is_control) {
            true => subject.replace(char::is_control, "\u{FFFD}"),
            false => subject,
        }
    }

    /// The value of a dimension; empty where the request has none.
    fn value(&self, dimension: &Dimension) -> Cow<'a, str> {
        let consumer = self.consumer;
        let label = |value: Option<&'a Arc<str>>| value.map(|value| &**value).unwrap_or_default();
        let name = |name: Option<&ObjectName>| name.map(ToString::to_string).unwrap_or_default();
        Cow::Borrowed(match dimension {
            Dimension::Consumer => return name(consumer.map(|consumer| &consumer.name)).into(),
            Dimension::Route => return name(self.route).into(),
            Dimension::Provider => return self.provider.to_string().into(),
            Dimension::App => label(consumer.and_then(|consumer| consumer.app.as_ref())),
            Dimension::Team => label(consumer.and_then(|consumer| consumer.team.as_ref())),
            Dimension::Environment => {
                label(consumer.and_then(|consumer| consumer.environment.as_ref()))
            }
            Dimension::User => self.user,
            Dimension::Model => self.model,
            Dimension::Namespace => self.namespace,
            Dimension::Header(name) => {
                self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
            }
        })
    }
}

/// Whether callers choose the value themselves.
fn is_free(dimension: &Dimension) -> bool {
    matches!(dimension, Dimension::User | Dimension::Model | Dimension::Header(_))
}
