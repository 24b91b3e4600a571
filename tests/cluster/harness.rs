//! The test bed as Rust, shared by the suites that need a real cluster or the real binary.
//!
//! A suite takes it in with `#[path = "../cluster/harness.rs"] mod cluster;`. It starts what the
//! scripts beside this file start, runs the built binary and asks it over HTTP; it knows nothing
//! of what a suite checks. Whatever it starts ends with the test, also when the test is killed.
#![allow(dead_code, unused_imports, reason = "every suite uses its own part of the harness")]
#![allow(
    clippy::panic,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stderr,
    reason = "test support: a failed set-up step ends the test, with its reason"
)]

#[path = "harness/command.rs"]
mod command;
#[path = "harness/control_plane.rs"]
mod control_plane;
#[path = "harness/gateway.rs"]
mod gateway;
#[path = "harness/http.rs"]
pub mod http;
#[path = "harness/node.rs"]
mod node;

use std::time::{Duration, Instant};

pub use command::{Output, TempDir, run};
pub use control_plane::{Cluster, Offline, Options};
pub use gateway::Sluice;
pub use node::{Image, Node};

/// Calls `check` every 50 ms until it gives `Ok`, and returns that value.
///
/// # Panics
/// With the last error when `timeout` has passed.
pub fn eventually<T>(timeout: Duration, mut check: impl FnMut() -> Result<T, String>) -> T {
    let deadline = Instant::now() + timeout;
    loop {
        match check() {
            Ok(value) => return value,
            Err(error) if Instant::now() >= deadline => panic!("not within {timeout:?}: {error}"),
            Err(_) => std::thread::sleep(Duration::from_millis(50)),
        }
    }
}
