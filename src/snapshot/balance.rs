//! How a route chooses among the targets of one priority.

use std::sync::Arc;

use http::HeaderName;

/// What decides among the targets of one priority.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub enum Balance {
    /// Shares by weight.
    #[default]
    Weighted,
    /// The sooner of two that are drawn by weight.
    LeastLatency,
    /// The lowest price for this request.
    LeastCost,
    /// The most room.
    LeastBusy,
}

/// What keeps requests together at one target.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum SessionKey {
    /// The value of a header.
    Header(HeaderName),
    /// A text, number or boolean in the body, by the names on the way to it.
    Body(Arc<[String]>),
    /// The API key's Secret.
    Consumer,
    /// The end user.
    User,
    /// Both.
    ConsumerAndUser,
}
