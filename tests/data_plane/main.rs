//! The data plane over real sockets: a real server and pipeline, a scripted upstream.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking, in helpers too"
)]

mod budgets;
mod crossing;
mod fallback;
mod fixture;
mod h2;
mod holding;
mod mock;
mod requests;
mod streams;
mod upstream;
mod whole;
