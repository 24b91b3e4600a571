//! The compatibility matrix: every feature of a chat, from every dialect that callers speak to every
//! dialect that providers speak. What becomes of it is not declared but found, in the bytes that the
//! other side gets, and written into docs/compatibility.md, from which it may not differ.
//!
//! Data files beside this one: `features.json` names the rows; `requests/` asks for each in a caller's
//! own dialect and `upstreams/` says what a provider's native request must then contain; `answers/`
//! answers in a provider's own dialect and `clients/` says what the caller's native answer must then
//! contain. In place of any of them a text says why a dialect has no such thing.
//!
//! `UPDATE_COMPATIBILITY=1` writes the document again.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a test fails by panicking, in helpers too"
)]

mod accepted;
mod answered;
mod asked;
mod collected;
#[path = "../data_plane/complaints.rs"]
mod complaints;
mod data;
mod document;
#[path = "../data_plane/fixture.rs"]
#[allow(dead_code, reason = "shared with the data plane's suite, which uses all of it")]
mod fixture;
mod matching;
mod strictly;
#[path = "../data_plane/upstream.rs"]
mod upstream;

#[test]
fn nothing_asked_is_lost_silently() {
    let (cells, faults) = asked::all();
    assert!(faults.is_empty(), "{} faults:\n{}", faults.len(), faults.join("\n"));
    assert!(!cells.is_empty());
}

#[test]
fn other_models_lose_nothing_silently_either() {
    let (cells, faults) = asked::variants();
    assert!(faults.is_empty(), "{} faults:\n{}", faults.len(), faults.join("\n"));
    let faults = accepted::faults(&cells);
    assert!(faults.is_empty(), "{} faults:\n{}", faults.len(), faults.join("\n"));
}

#[test]
fn nothing_answered_is_lost_silently() {
    let (cells, faults) = answered::all();
    assert!(faults.is_empty(), "{} faults:\n{}", faults.len(), faults.join("\n"));
    assert!(!cells.is_empty());
}

#[test]
fn streams_say_what_whole_answers_say_wherever_they_are_cut() {
    let faults = answered::streams();
    assert!(faults.is_empty(), "{} faults:\n{}", faults.len(), faults.join("\n"));
}

#[test]
fn what_is_sent_is_accepted_by_strict_providers() {
    let (cells, _) = asked::all();
    let faults = accepted::faults(&cells);
    assert!(faults.is_empty(), "{} faults:\n{}", faults.len(), faults.join("\n"));
}

#[tokio::test]
async fn a_strict_route_refuses_every_loss_by_name() {
    let (cells, _) = asked::all();
    let faults = strictly::faults(&cells).await;
    assert!(faults.is_empty(), "{} faults:\n{}", faults.len(), faults.join("\n"));
}

#[test]
fn the_document_says_what_was_found() {
    let (asked, _) = asked::all();
    let (answered, _) = answered::all();
    let (variants, _) = asked::variants();
    document::check(&document::write(&asked, &answered, &variants));
}
