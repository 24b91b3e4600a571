//! What the process tells about itself: logs, metrics and one record for each request. Never content.

mod access_log;
pub mod control;
pub mod log;
pub mod metrics;
pub mod record;
mod spend;
pub mod targets;
mod usage;

pub use access_log::{AccessLog, Writer};
pub use metrics::Metrics;
pub use record::{AttemptRecord, Outcome, Record, brief};
pub use spend::Spend;
pub use targets::{AccountSample, Samples, TargetGauges, TargetSample};
