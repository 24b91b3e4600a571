//! What requests have used, added up by hour and by who asked whom: the numbers behind `/api/usage`
//! and `sluice usage`. Pure: time is a parameter, files are the business of `state`.
//!
//! Bounded: an hour and a day keep [`MAX_COMBINATIONS`] combinations of names each, and what comes
//! beyond is added to one that is called `other`, so that totals are exact whatever happens. Hours are
//! kept for today and the two days before (UTC), days for [`DAYS`] days.

mod combination;
mod history;
pub mod journal;
mod query;
mod report;
mod rollup;
mod sums;

pub use combination::{Combination, Dimension, Names, UnknownDimension};
pub use history::{DAYS, Kept, MAX_COMBINATIONS, Period, Saved};
pub use query::{Query, QueryError, Step};
pub use report::{Report, Row, Unanswerable};
pub use rollup::{Changes, Rollup};
pub use sums::Sums;

#[cfg(test)]
mod tests;
