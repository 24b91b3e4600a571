//! The route table: from a model name and a caller to the route that answers.

use std::{cmp::Reverse, collections::HashMap, sync::Arc};

use jiff::Timestamp;

use crate::llm::Endpoint;

use super::{Consumer, KeyNamespaces, ObjectName, Pattern, Route, hostname::Breadth};

/// Routes, indexed so that a look-up costs the same with ten routes and with ten thousand, also
/// where every namespace has one of the same name.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RouteTable {
    routes: Vec<Arc<Route>>,
    exact: Slots,
    prefixes: Slots,
    suffixes: Slots,
    /// Lengths of the fixed parts that occur, longest first.
    lengths: Vec<usize>,
    /// Whether a route takes callers without a key.
    anonymous: bool,
}

/// By the fixed part of a pattern. Its keys are configuration, so that nobody can make them collide.
type Slots = HashMap<String, Slot, foldhash::fast::RandomState>;

/// The routes of one pattern, as indexes in order of precedence, by the callers who may come to
/// them: who calls then looks at few.
#[derive(Clone, Debug, Default, PartialEq)]
struct Slot {
    /// By the route's own namespace.
    own: HashMap<Arc<str>, Vec<usize>>,
    /// By a namespace whose API keys the route names.
    named: HashMap<Arc<str>, Vec<usize>>,
    /// Those that take API keys of any namespace.
    any_key: Vec<usize>,
    /// Those that take everybody, to the first that does so on every endpoint and host: none after it
    /// can be another's.
    everybody: Vec<usize>,
    /// `everybody` has its last.
    is_closed: bool,
}

impl Slot {
    /// Takes in a route; to be called in order of precedence.
    fn push(&mut self, index: usize, route: &Route) {
        self.own.entry(route.name.namespace.clone()).or_default().push(index);
        if route.access.anonymous {
            if !self.is_closed {
                self.everybody.push(index);
                self.is_closed = route.endpoints.is_empty() && route.hostnames.is_empty();
            }
            return;
        }
        let add = |list: &mut Vec<usize>| {
            if list.last() != Some(&index) {
                list.push(index);
            }
        };
        for allow in &route.access.allow {
            match &allow.namespaces {
                KeyNamespaces::All => add(&mut self.any_key),
                KeyNamespaces::Of(names) => {
                    for name in names {
                        add(self.named.entry(name.clone()).or_default());
                    }
                }
            }
        }
    }

    /// The route that answers a caller with a key of `namespace`, or one without a key.
    /// `admits` says whether a route admits this caller on this endpoint.
    fn choose(
        &self,
        namespace: Option<&str>,
        mut admits: impl FnMut(usize) -> bool,
    ) -> Option<usize> {
        let mut first = |list: Option<&Vec<usize>>| {
            list.into_iter().flatten().copied().find(|&index| admits(index))
        };
        let everybody = Some(&self.everybody);
        let Some(namespace) = namespace else { return first(everybody) };
        first(self.own.get(namespace)).or_else(|| {
            let named = self.named.get(namespace);
            let others = [first(named), first(Some(&self.any_key)), first(everybody)];
            others.into_iter().flatten().min()
        })
    }
}

/// What decides between routes.
#[derive(Clone, Copy, Debug)]
pub struct Sought<'m> {
    /// The model.
    pub model: &'m str,
    /// Who calls.
    pub consumer: Option<&'m Consumer>,
    /// The endpoint that the route must serve; `None`: any.
    pub endpoint: Option<Endpoint>,
    /// The host that was asked for, in lower case and without a port; empty if unknown.
    pub hostname: &'m str,
}

/// A route that answers, and what the pattern's star matched.
#[derive(Clone, Copy, Debug)]
pub struct RouteMatch<'a, 'm> {
    /// The route.
    pub route: &'a Arc<Route>,
    /// What `*` stands for; the whole name for an exact pattern.
    pub star: &'m str,
}

impl RouteTable {
    /// Indexes routes. Within one pattern they are tried in order of [`Route::precedence`].
    pub fn new(mut routes: Vec<Arc<Route>>) -> Self {
        routes.sort_by(|a, b| a.precedence().cmp(&b.precedence()));
        let anonymous = routes.iter().any(|route| route.access.anonymous);
        let mut table = Self { routes, anonymous, ..Self::default() };
        for (index, route) in table.routes.iter().enumerate() {
            for pattern in &route.models {
                let slot = match pattern {
                    Pattern::Exact(name) => table.exact.entry(name.clone()).or_default(),
                    Pattern::Prefix(fixed) => table.prefixes.entry(fixed.clone()).or_default(),
                    Pattern::Suffix(fixed) => table.suffixes.entry(fixed.clone()).or_default(),
                };
                slot.push(index, route);
            }
        }
        let fixed = table.prefixes.keys().chain(table.suffixes.keys());
        table.lengths = fixed.map(String::len).collect();
        table.lengths.sort_unstable_by(|a, b| b.cmp(a));
        table.lengths.dedup();
        table
    }

    /// Every route, in order of [`Route::precedence`].
    pub fn iter(&self) -> impl Iterator<Item = &Arc<Route>> {
        self.routes.iter()
    }

    /// Whether any route takes callers without a key; if not, there is nothing here for them.
    pub fn admits_anonymous(&self) -> bool {
        self.anonymous
    }

    /// The route that answers `model` for this caller: exact names before patterns, the longer
    /// pattern first, then the caller's own namespace, then the order of [`Route::precedence`].
    pub fn find<'a, 'm>(&'a self, sought: &Sought<'m>) -> Option<RouteMatch<'a, 'm>> {
        let namespace = sought.consumer.map(|consumer| &*consumer.name.namespace);
        self.search(sought.model, namespace, |route| {
            sought.endpoint.is_none_or(|endpoint| route.serves(endpoint))
                && route.is_at(sought.hostname)
                && route.access.admits(sought.consumer)
        })
    }

    /// The first route in order of precedence that `admits` the caller with a key of `namespace`.
    fn search<'a, 'm>(
        &'a self,
        model: &'m str,
        namespace: Option<&str>,
        mut admits: impl FnMut(&Route) -> bool,
    ) -> Option<RouteMatch<'a, 'm>> {
        let mut admits = |index: usize| admits(&self.routes[index]);
        self.slots(model)
            .find_map(|(slot, star)| Some((slot.choose(namespace, &mut admits)?, star)))
            .map(|(index, star)| RouteMatch { route: &self.routes[index], star })
    }

    /// Candidates by pattern: the name itself, then the longest fixed part first; a prefix before a
    /// suffix of the same length.
    fn slots<'a, 'm>(&'a self, model: &'m str) -> impl Iterator<Item = (&'a Slot, &'m str)> {
        let exact = self.exact.get(model).map(|slot| (slot, model));
        exact.into_iter().chain(self.affixed(model))
    }

    fn affixed<'a, 'm>(&'a self, model: &'m str) -> impl Iterator<Item = (&'a Slot, &'m str)> {
        self.lengths.iter().flat_map(move |&length| {
            let prefix = model
                .split_at_checked(length)
                .and_then(|(fixed, star)| Some((self.prefixes.get(fixed)?, star)));
            let suffix = model
                .len()
                .checked_sub(length)
                .and_then(|at| model.split_at_checked(at))
                .and_then(|(star, fixed)| Some((self.suffixes.get(fixed)?, star)));
            prefix.into_iter().chain(suffix)
        })
    }
}

/// Where a route stands, by one of its patterns, among those that take a request: the least answers.
/// The table answers the same without comparing all of them; this says why.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct Rank<'a> {
    is_pattern: bool,
    fixed: Reverse<usize>,
    is_suffix: bool,
    is_foreign: bool,
    hosts: Breadth,
    age: (bool, Option<Timestamp>),
    name: &'a ObjectName,
}

impl<'a> Rank<'a> {
    /// The rank of a route by a pattern that fits.
    pub fn of(route: &'a Route, pattern: &Pattern, consumer: Option<&Consumer>) -> Self {
        let (is_pattern, fixed, is_suffix) = match pattern {
            Pattern::Exact(_) => (false, 0, false),
            Pattern::Prefix(fixed) => (true, fixed.len(), false),
            Pattern::Suffix(fixed) => (true, fixed.len(), true),
        };
        let is_foreign =
            consumer.is_some_and(|consumer| consumer.name.namespace != route.name.namespace);
        Self {
            is_pattern,
            fixed: Reverse(fixed),
            is_suffix,
            is_foreign,
            hosts: route.breadth(),
            age: (route.created.is_none(), route.created),
            name: &route.name,
        }
    }

    /// By what it stands behind another one, if it does.
    pub fn lost_to(&self, other: &Self) -> Option<&'static str> {
        let criteria = [
            (self.is_pattern.cmp(&other.is_pattern), "it names the model itself"),
            (self.fixed.cmp(&other.fixed), "its pattern is longer"),
            (self.is_suffix.cmp(&other.is_suffix), "its * stands at the end"),
            (self.is_foreign.cmp(&other.is_foreign), "it is of the caller's namespace"),
            (self.hosts.cmp(&other.hosts), "its hostnames are narrower"),
            (self.age.cmp(&other.age), "it is older"),
            (self.name.cmp(other.name), "its namespace and name come first in the alphabet"),
        ];
        let (order, by) = criteria.into_iter().find(|(order, _)| order.is_ne())?;
        order.is_gt().then_some(by)
    }
}

#[cfg(test)]
mod tests;
