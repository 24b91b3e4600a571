//! What became of every object: problems and warnings, as data.

use std::{collections::BTreeMap, fmt};

use crate::{
    api::condition::{Reason, TargetStatus},
    snapshot::ObjectName,
};

/// Verdicts by object.
pub type Verdicts = BTreeMap<ObjectKey, Verdict>;

/// The kinds that get a verdict.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Kind {
    /// AIProvider.
    Provider,
    /// AIRoute.
    Route,
    /// AIBudget.
    Budget,
}

impl Kind {
    /// The kind as it stands in manifests.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Provider => "AIProvider",
            Self::Route => "AIRoute",
            Self::Budget => "AIBudget",
        }
    }
}

/// Kind, namespace and name.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct ObjectKey {
    /// Kind.
    pub kind: Kind,
    /// Namespace and name.
    pub name: ObjectName,
}

impl fmt::Display for ObjectKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.kind.as_str(), self.name)
    }
}

/// The outcome of compiling one object.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Verdict {
    /// The generation that was compiled.
    pub generation: i64,
    /// What is wrong with the object itself; none: Accepted.
    pub errors: Vec<Problem>,
    /// References that lead nowhere; none: ResolvedRefs.
    pub unresolved: Vec<Problem>,
    /// What keeps it from working for now and is nobody's mistake in the object; none: Ready.
    pub waiting: Vec<Problem>,
    /// What works but is likely not meant.
    pub warnings: Vec<String>,
    /// Whether the snapshot contains the object, be it in part.
    pub programmed: bool,
    /// AIProvider: how many models the catalogue lists.
    pub models: Option<usize>,
    /// AIRoute: its targets.
    pub targets: Vec<TargetStatus>,
}

/// A reason and what to do about it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Problem {
    /// The reason that the condition carries.
    pub reason: Reason,
    /// A sentence for people: what is wrong and what to do.
    pub message: String,
    /// What it is about, drawn over two lines, where the message names a place in a text.
    pub excerpt: Option<String>,
}

impl Problem {
    /// A problem.
    pub fn new(reason: Reason, message: impl Into<String>) -> Self {
        Self { reason, message: message.into(), excerpt: None }
    }
}

impl Verdict {
    /// A verdict on an object that is so far without problems but not yet in the snapshot.
    pub fn new(generation: i64) -> Self {
        Self { generation, ..Self::default() }
    }

    /// Whether nothing is wrong and the object is served.
    pub fn is_ready(&self) -> bool {
        self.problems().next().is_none() && self.waiting.is_empty() && self.programmed
    }

    /// Every problem, errors first; not what is waited for.
    pub fn problems(&self) -> impl Iterator<Item = &Problem> {
        self.errors.iter().chain(&self.unresolved)
    }
}
