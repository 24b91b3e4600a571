//! The data plane over real sockets: a real server and pipeline, a scripted upstream.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking, in helpers too"
)]

mod account;
mod agreement;
mod backends;
mod balance;
mod bedrock;
mod budgets;
mod clouds;
mod complaints;
mod conversations;
mod crossing;
mod direct;
mod direct_budgets;
mod downgrade;
mod endings;
mod failures;
mod fallback;
mod fidelity;
mod fixture;
mod forms;
mod gemini;
mod h2;
mod health;
mod hedging;
mod holding;
mod identity;
mod keys;
mod media;
mod mock;
mod passthrough;
mod prices;
mod probes;
mod quoted;
mod realtime;
mod realtime_provider;
mod requests;
mod responses;
mod retries;
mod rules;
mod selectors;
mod signature;
mod signed;
mod streams;
mod strict;
mod units;
mod upstream;
mod usage;
mod whole;
