//! What the members are called that bound what a request generates. Each dialect's folder owns a
//! table; reading by it is `peek`'s, and what a route's parameters make of it is `rewrite`'s.

/// The most names that one parameter has.
pub(crate) const ALIASES: usize = 2;

/// The names of a dialect, or of one of its endpoints.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Names {
    /// The bound on generated tokens: at most [`ALIASES`] names of one parameter.
    pub max_tokens: &'static [&'static str],
    /// The number of answers: at most [`ALIASES`] names, of which the largest value counts.
    pub choices: &'static [&'static str],
    /// The object that holds both, by its names; empty: they are members of the request itself.
    pub inside: &'static [&'static str],
    /// A list each of whose elements is answered by itself.
    pub batch: Option<&'static str>,
}
