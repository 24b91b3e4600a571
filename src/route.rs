//! Choosing a target, as far as it is pure: who may answer a request, in which order they are asked,
//! and why others may not.
//!
//! The proxy calls it for every request and `sluice explain` for one that nobody has sent. Time and
//! randomness are parameters; nothing here reads a clock, and nothing knows HTTP or Kubernetes. What is
//! learned of targets lives in [`Targets`], outside the snapshot; [`Order`] hands out the targets of a
//! request one by one, each as a [`Flight`] that tells how it went.

pub mod choose;
pub mod conversations;
pub mod demand;
pub mod explain;
pub mod facts;
pub mod flight;
pub mod health;
pub mod latency;
pub mod limits;
pub mod order;
mod outcomes;
mod retry_budget;
pub mod session;
pub mod target;
pub mod targets;
pub mod translated;
pub mod tries;
pub mod turns;

pub use choose::{Candidate, Choice, Refused, Unevaluated, Why, choose, serving};
pub use conversations::Conversations;
pub use explain::{explain, unreadable};
pub use facts::{Asked, hostname, named_user};
pub use flight::Flight;
pub use health::{FULL, REST, SLOW_START, Standing};
pub use limits::{Account, Full, Hold};
pub use order::{Criteria, Order, Seat, Seats, Turn};
pub use session::Session;
pub use target::{End, TargetState, View};
pub use targets::Targets;
pub use turns::{Draws, Turns, pick};

#[cfg(test)]
mod tests;
