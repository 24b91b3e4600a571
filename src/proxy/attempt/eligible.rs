//! Which candidates may serve a request, after what others have said of it. Their order is decided
//! elsewhere.

use std::sync::Arc;

use crate::route::translated::{goes_on, stores};

use super::{super::select::Candidate, Call};

/// The bounds that failures have set.
pub struct Eligible<'a> {
    candidates: &'a [Candidate],
    /// Only who stores conversations can go on from one.
    goes_on: bool,
    /// The context window must be larger than this.
    window: Option<u64>,
    /// Providers, by UID, whose filter has blocked it.
    blocked: Vec<Arc<str>>,
}

impl<'a> Eligible<'a> {
    /// Nothing has failed yet.
    pub fn new(call: &'a Call) -> Self {
        let candidates = &*call.candidates;
        let goes_on = goes_on(&call.peek, candidates.iter());
        Self { candidates, goes_on, window: None, blocked: Vec::new() }
    }

    /// Whether a candidate may be tried.
    pub fn allows(&self, index: usize) -> bool {
        let Some(candidate) = self.candidates.get(index) else { return false };
        let window = candidate.terms.context_window;
        (!self.goes_on || stores(candidate))
            && self.window.is_none_or(|least| window.is_some_and(|window| window > least))
            && !self.blocked.contains(&candidate.target.provider.uid)
    }

    /// The request is too long for a candidate. `input` is an estimate of its tokens, by which to go
    /// where the candidate's window is not known.
    pub fn too_long_for(&mut self, index: usize, input: u64) {
        let known = self.candidates.get(index).and_then(|it| it.terms.context_window);
        self.window = self.window.max(known.or(Some(input)));
    }

    /// The filter of a candidate's provider has blocked the request.
    pub fn blocked_by(&mut self, index: usize) {
        let provider = self.candidates.get(index).map(|it| &it.target.provider.uid);
        self.blocked.extend(provider.cloned());
    }
}
