//! The server over real sockets, with a toy handler: protocols, TLS, bounds, refused framing, drain.

#![allow(
    clippy::panic,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    reason = "test support outside of test functions"
)]

mod bounds;
mod drain;
mod fixture;
mod framing;
mod protocol;
mod tls;
