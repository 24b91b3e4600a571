//! The names that use is counted under, and which of them can be asked for.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

/// How many names are kept of a request.
pub(super) const NAMES: usize = 8;

/// What stands in every place for what exceeds the bound.
const OTHER: &str = "other";

/// What use can be asked for by. The user that a caller names is none: there may be millions.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Dimension {
    /// `namespace/name` of the API key's Secret.
    Consumer,
    /// Its label `sluice.dev/app`.
    App,
    /// Its label `sluice.dev/team`.
    Team,
    /// Its label `sluice.dev/environment`.
    Environment,
    /// `namespace/name` of the AIRoute.
    Route,
    /// `namespace/name` of the AIProvider that answered.
    Provider,
    /// The model that served.
    Model,
    /// Namespace of the route; of direct calls that of the provider.
    Namespace,
    /// Path of the endpoint.
    Endpoint,
}

/// No [`Dimension`] has this name.
#[derive(Debug, thiserror::Error)]
#[error("there is no dimension {:?}: there are {}", .0, Dimension::all())]
pub struct UnknownDimension(String);

impl Dimension {
    /// Every dimension.
    pub const ALL: [Self; 9] = [
        Self::Consumer,
        Self::App,
        Self::Team,
        Self::Environment,
        Self::Route,
        Self::Provider,
        Self::Model,
        Self::Namespace,
        Self::Endpoint,
    ];

    /// The word that stands for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Consumer => "consumer",
            Self::App => "app",
            Self::Team => "team",
            Self::Environment => "environment",
            Self::Route => "route",
            Self::Provider => "provider",
            Self::Model => "model",
            Self::Namespace => "namespace",
            Self::Endpoint => "endpoint",
        }
    }

    /// All words, for people.
    pub fn all() -> String {
        Self::ALL.map(Self::as_str).join(", ")
    }
}

impl fmt::Display for Dimension {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Dimension {
    type Err = UnknownDimension;

    fn from_str(word: &str) -> Result<Self, Self::Err> {
        let found = Self::ALL.into_iter().find(|dimension| dimension.as_str() == word);
        found.ok_or_else(|| UnknownDimension(word.chars().take(64).collect()))
    }
}

/// The names that one request is counted under. Empty: not known, or there is none.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub struct Names<'a> {
    /// `namespace/name` of the API key's Secret.
    pub consumer: &'a str,
    /// Its label `sluice.dev/app`.
    pub app: &'a str,
    /// Its label `sluice.dev/team`.
    pub team: &'a str,
    /// Its label `sluice.dev/environment`.
    pub environment: &'a str,
    /// `namespace/name` of the AIRoute.
    pub route: &'a str,
    /// `namespace/name` of the AIProvider.
    pub provider: &'a str,
    /// The model that served.
    pub model: &'a str,
    /// Path of the endpoint.
    pub endpoint: &'a str,
}

impl<'a> Names<'a> {
    /// What exceeds the bound.
    pub(super) const OTHER: Names<'static> = Names::from_array([OTHER; NAMES]);

    /// The name in one dimension.
    pub fn get(&self, dimension: Dimension) -> &'a str {
        match dimension {
            Dimension::Consumer => self.consumer,
            Dimension::App => self.app,
            Dimension::Team => self.team,
            Dimension::Environment => self.environment,
            Dimension::Route => self.route,
            Dimension::Provider => self.provider,
            Dimension::Model => self.model,
            Dimension::Namespace => self.namespace(),
            Dimension::Endpoint => self.endpoint,
        }
    }

    fn namespace(&self) -> &'a str {
        let object = if self.route.is_empty() { self.provider } else { self.route };
        object.split_once('/').map_or(object, |(namespace, _)| namespace)
    }

    pub(super) const fn to_array(self) -> [&'a str; NAMES] {
        let Self { consumer, app, team, environment, route, provider, model, endpoint } = self;
        [consumer, app, team, environment, route, provider, model, endpoint]
    }

    pub(super) const fn from_array(names: [&'a str; NAMES]) -> Self {
        let [consumer, app, team, environment, route, provider, model, endpoint] = names;
        Self { consumer, app, team, environment, route, provider, model, endpoint }
    }
}

/// [`Names`] that are kept: one text, and where each name ends in it.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct Combination {
    text: Box<str>,
    ends: [u32; NAMES],
}

impl From<&Names<'_>> for Combination {
    fn from(names: &Names<'_>) -> Self {
        let (names, mut end) = (names.to_array(), 0);
        let ends = names.map(|name| {
            end += name.len();
            // Names are a few hundred bytes: what is longer is cut before it comes here.
            u32::try_from(end).unwrap_or(u32::MAX)
        });
        Self { text: names.concat().into(), ends }
    }
}

impl Combination {
    /// The names.
    pub fn names(&self) -> Names<'_> {
        let mut start = 0;
        Names::from_array(self.ends.map(|end| {
            let name = self.text.get(start..end as usize).unwrap_or_default();
            start = end as usize;
            name
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_kept_as_they_are() {
        let names = Names::from_array(["a/b", "", "é", "prod", "t/r", "", "m", "/v1"]);
        let combination = Combination::from(&names);
        assert_eq!(combination.names(), names);
        assert_ne!(combination, Combination::from(&Names { app: "a/b", consumer: "", ..names }));
    }

    #[test]
    fn the_namespace_is_the_routes_else_the_providers() {
        let names = Names { route: "team/chat", provider: "platform/p", ..Names::default() };
        assert_eq!(names.get(Dimension::Namespace), "team");
        assert_eq!(Names { route: "", ..names }.get(Dimension::Namespace), "platform");
        assert_eq!(Names::default().get(Dimension::Namespace), "");
        assert_eq!(Names::OTHER.get(Dimension::Namespace), "other");
    }

    #[test]
    fn an_unknown_dimension_is_told_what_there_is() {
        for dimension in Dimension::ALL {
            assert_eq!(dimension.as_str().parse::<Dimension>().unwrap(), dimension);
        }
        let error = "user".parse::<Dimension>().unwrap_err().to_string();
        assert_eq!(
            error,
            "there is no dimension \"user\": there are consumer, app, team, environment, route, \
             provider, model, namespace, endpoint"
        );
    }
}
