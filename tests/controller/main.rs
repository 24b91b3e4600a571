//! The control plane against a real API server: what is applied is served and said in status, also
//! after mistakes, rotations, hand-overs and outages.
//!
//! Replicas run inside the test process ([`replica`]), each with a Lease and namespaces of its own.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    reason = "test support: a failed step ends the test; latencies are printed, not asserted"
)]

#[path = "../cluster/harness.rs"]
mod cluster;

mod budget;
mod endpoints;
mod explain;
mod health;
mod leadership;
mod outage;
mod permission;
mod prices;
mod replica;
mod status;
