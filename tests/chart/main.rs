//! The chart: what it renders and refuses, and that a release on a real API server gives the
//! gateway exactly the rights that its work needs. Pods do not run here; see the `e2e` suite.
#![allow(
    clippy::panic,
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "test support outside of test functions"
)]

#[path = "../cluster/harness.rs"]
mod cluster;

mod install;
mod packaging;
mod render;

use std::path::PathBuf;

/// A path of the source tree.
fn source(path: &str) -> String {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(path).display().to_string()
}
