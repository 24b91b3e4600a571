//! Budgets: how much may be used, by whom, over which window, counted exactly.
//!
//! This module owns money, prices, windows and the ledger that reserves and settles. It is pure:
//! time is injected by [`Clock`], nothing here waits, does IO or knows HTTP and Kubernetes.
//!
//! The life of one call: [`Ledger::reserve`] takes the worst case in every matching window or in
//! none; [`Reservation::settle_with`] replaces it, exactly once, by what was used.

mod account;
mod book;
mod checkpoint;
mod clock;
mod counter;
mod ledger;
mod money;
mod plan;
mod price;
mod rate;
mod refusal;
mod reservation;
mod sliding;
mod view;
mod window;

#[cfg(test)]
mod tests;

pub use checkpoint::{Checkpoint, MAX_CHECKPOINT_BYTES, MAX_CHECKPOINT_COUNTERS, Mark};
#[cfg(test)]
pub(crate) use clock::ManualClock;
pub use clock::{Clock, SystemClock};
pub use ledger::Ledger;
pub use money::{DecimalError, NanoUsd};
pub use plan::{Amounts, BudgetPlan, Demand, Limit, MAX_SUBJECT_BYTES, MAX_SUBJECTS, Mode, Unit};
pub use price::{Bound, Price, Rates, ServiceTier, Tier, TokenCounts};
pub use rate::Rate;
pub use refusal::Refusal;
pub use reservation::Reservation;
pub use view::{LimitView, MAX_TOP_SUBJECTS, OVERFLOW_SUBJECT, SubjectView};
pub use window::{Period, UnknownTimeZone, Window};
