//! Routes: which models, who may use them, and the targets that answer.

use std::{sync::Arc, time::Duration};

use jiff::Timestamp;

use crate::llm::{Endpoint, Parameters};

use super::{
    Access, Balance, Budget, Condition, Fallback, Hedge, Hostname, ObjectName, Pattern, Provider,
    Retry, SessionKey, hostname::Breadth, selector::Labels,
};

/// One AIRoute.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Route {
    /// The AIRoute.
    pub name: ObjectName,
    /// The AIRoute's UID.
    pub uid: Arc<str>,
    /// When it was created: the older of two equal claims wins.
    pub created: Option<Timestamp>,
    /// Its labels, which budgets select by.
    pub labels: Labels,
    /// Models that it answers for.
    pub models: Vec<Pattern>,
    /// Hosts that it answers on; empty: all.
    pub hostnames: Vec<Hostname>,
    /// Endpoints that it answers on; empty: all.
    pub endpoints: Vec<Endpoint>,
    /// What becomes of parameters that a target cannot take.
    pub fidelity: Fidelity,
    /// Who may use it.
    pub access: Access,
    /// Where requests go: the first rule that holds is used.
    pub rules: Vec<Arc<Rule>>,
    /// Why no rule can answer; requests get a 5xx with this text.
    pub fault: Option<Arc<str>>,
    /// Time limits.
    pub timeouts: Timeouts,
    /// What keeps requests together at one target: the first that a request has.
    pub session: Vec<SessionKey>,
    /// Further tries of a target that failed.
    pub retry: Retry,
    /// Going to another target.
    pub fallback: Fallback,
    /// A second try beside one that is slow.
    pub hedge: Option<Hedge>,
    /// Budgets that count this route's requests; which of them bind also depends on the caller and
    /// the target.
    pub budgets: Vec<Arc<Budget>>,
}

impl Route {
    /// Whether it answers on an endpoint.
    pub fn serves(&self, endpoint: Endpoint) -> bool {
        self.endpoints.is_empty() || self.endpoints.contains(&endpoint)
    }

    /// Whether it answers on a host, which is in lower case and without a port.
    pub fn is_at(&self, hostname: &str) -> bool {
        self.hostnames.is_empty() || self.hostnames.iter().any(|own| own.covers(hostname))
    }

    /// How many hosts it answers on, as far as its widest name says.
    pub fn breadth(&self) -> Breadth {
        self.hostnames.iter().map(Hostname::breadth).max().unwrap_or(Breadth::Every)
    }

    /// Its place among routes of one model that admit the same caller: the narrower in hosts comes
    /// first, then the older, then by namespace and name.
    pub fn precedence(&self) -> impl Ord + '_ {
        (self.breadth(), self.created.is_none(), self.created, &self.name)
    }

    /// The targets of all rules, rule by rule.
    pub fn targets(&self) -> impl Iterator<Item = &Arc<Target>> {
        self.rules.iter().flat_map(|rule| &rule.targets)
    }
}

/// Targets, and which requests come to them.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Rule {
    /// For records: its own name, or its place from 0.
    pub name: Arc<str>,
    /// Which requests; `None`: every request.
    pub when: Option<Condition>,
    /// The text of a condition that has a mistake: `fault` says so, and `when` is `None`.
    pub mistaken: Option<Arc<str>>,
    /// What decides among its targets of one priority.
    pub balance: Balance,
    /// Targets by ascending priority, in the order of the manifest within one.
    pub targets: Vec<Arc<Target>>,
    /// Why no target can answer; requests that come to this rule get a 5xx with this text.
    pub fault: Option<Arc<str>>,
}

/// What becomes of parameters that a target cannot take.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Fidelity {
    /// They are left out and named.
    #[default]
    Lenient,
    /// The target is not asked.
    Strict,
}

/// Time limits of a request.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Timeouts {
    /// From the start of an attempt to its first content, for streams.
    pub first_token: Duration,
    /// From the start of an attempt to the end of a whole (not streamed) answer's headers, where
    /// the route sets `firstToken` itself.
    pub first_byte: Option<Duration>,
    /// Longest silence inside a stream.
    pub idle: Duration,
    /// The whole request with all its attempts.
    pub total: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            first_token: Duration::from_secs(30),
            first_byte: None,
            idle: Duration::from_secs(60),
            total: Duration::from_secs(15 * 60),
        }
    }
}

/// One choice of provider and model.
#[derive(Clone, Debug, PartialEq)]
pub struct Target {
    /// Unique in the rule.
    pub name: Arc<str>,
    /// The provider.
    pub provider: Arc<Provider>,
    /// The provider's name of the model.
    pub model: TargetModel,
    /// Share among the targets of the same priority; 0 drains.
    pub weight: u32,
    /// Lower is used first.
    pub priority: u32,
    /// Changes to the request.
    pub parameters: Option<Parameters>,
}

/// How a target names its model.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum TargetModel {
    /// As the caller asked.
    AsAsked,
    /// Always this.
    Fixed(Arc<str>),
    /// What the pattern's star matched, between these.
    Star {
        /// Before it.
        before: Arc<str>,
        /// After it.
        after: Arc<str>,
    },
}

impl TargetModel {
    /// The model to ask the provider for, given what the caller asked and what the pattern's star
    /// matched in it.
    pub fn resolve<'a>(&'a self, asked: &'a str, star: &str) -> std::borrow::Cow<'a, str> {
        match self {
            Self::AsAsked => asked.into(),
            Self::Fixed(name) => (**name).into(),
            Self::Star { before, after } => format!("{before}{star}{after}").into(),
        }
    }
}
