//! The data plane: what happens to a request between the caller and a provider.
//!
//! Reading order: [`pipeline`] (the order of the phases), `identify`, `parse`, `routing`, `select`, `admit`,
//! `attempt` (one try, fallback), `respond`, `body` (the streamed answer), `settle` (the end of every
//! request). Knows the snapshot and the ledger; knows nothing of Kubernetes or of how objects are
//! compiled.

mod admit;
mod attempt;
mod body;
mod catalogue;
mod direct;
mod downgrade;
mod ending;
mod gauges;
mod identify;
mod internal;
mod keys;
mod limits;
pub mod mock;
mod parse;
pub mod pipeline;
mod probe;
mod quotable;
mod realtime;
mod respond;
mod routing;
mod select;
pub mod server;
mod session;
mod settle;
mod upstream;

pub use body::{Body, BodyError};
pub use gauges::models;
pub use limits::Limits;
pub use pipeline::{Deps, Pipeline};
pub use probe::keep as keep_probing;
pub use upstream::BackendState;
