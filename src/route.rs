//! Choosing a target, as far as it is pure: who may answer a request, and why others may not.
//!
//! The proxy calls it for every request and `sluice explain` for one that nobody has sent. Time and
//! randomness are parameters; nothing here reads a clock, and nothing knows HTTP or Kubernetes.

pub mod choose;
pub mod conversations;
pub mod retry_budget;
pub mod tries;

pub use choose::{Asked, Candidate, Choice, Refused, choose};
pub use conversations::Conversations;
pub use retry_budget::RetryBudgets;
