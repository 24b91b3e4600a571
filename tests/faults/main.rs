//! Faults of providers: each is played at a real gateway's sockets, alone and with a second target
//! beside it, and what the caller gets, what is tried, what is charged and what the record says is
//! compared with the row that is expected. `docs/faults.md` is made of the same rows.
//!
//! `UPDATE_FAULTS=1` writes the document again; `FAULT=words` plays those with these words in their
//! title. Clocks are real, for sockets are: the faults of silence run under time limits of less than a
//! second, and nothing here asserts how long something took.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a test fails by panicking, in helpers too"
)]

mod answer;
mod caller;
mod case;
mod cases;
mod certificate;
mod document;
#[path = "../data_plane/fixture.rs"]
#[allow(dead_code, reason = "shared with the data plane's suite, which uses all of it")]
mod fixture;
mod frame;
mod memory;
mod peer;
mod reload;
mod run;
mod soak;
mod storms;
#[path = "../data_plane/upstream.rs"]
mod upstream;
mod world;

use run::FOUND;

#[test]
fn every_fault_is_as_its_row_says() {
    let complaints: Vec<_> = FOUND.iter().flat_map(|found| &found.complaints).collect();
    let text = complaints.iter().map(|text| text.as_str()).collect::<Vec<_>>().join("\n");
    assert!(complaints.is_empty(), "{} complaints:\n{text}", complaints.len());
    assert!(!FOUND.is_empty());
}

#[test]
fn the_document_says_what_was_found() {
    if std::env::var_os("FAULT").is_none() {
        document::check(&document::write(&FOUND));
    }
}
