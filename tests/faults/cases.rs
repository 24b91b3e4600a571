//! All faults, each with the row that is expected of it.

mod connect;
mod dialect;
mod http;
mod http2;
mod status;
mod stream;
mod tls;
mod whole;

use crate::{
    case::{Expect, Fault},
    peer::Step,
};

/// In the order of the document.
pub fn all() -> Vec<Fault> {
    let groups = [
        connect::faults(),
        tls::faults(),
        http::faults(),
        status::faults(),
        whole::faults(),
        stream::faults(),
        http2::faults(),
        dialect::faults(),
    ];
    groups.into_iter().flatten().collect()
}

/// The connection could not be made.
const UNREACHABLE: Expect =
    Expect::Failed { error: "502 upstream_unreachable", reason: "connect", tries: 2 };
/// It ended before the head of an answer.
const CLOSED: Expect = Expect::Failed { error: "502 upstream_closed", reason: "closed", tries: 2 };
/// It ended within an answer of which nothing had been passed on.
const CUT: Expect = Expect::Failed { error: "502 upstream_incomplete", reason: "closed", tries: 2 };
/// The answer makes no sense.
const MALFORMED: Expect =
    Expect::Failed { error: "502 upstream_malformed", reason: "malformed", tries: 2 };
/// There is nothing in it.
const EMPTY: Expect = Expect::Failed { error: "502 upstream_empty", reason: "empty", tries: 2 };
/// Nothing came within `firstToken`.
const SILENT: Expect =
    Expect::Failed { error: "504 upstream_timeout", reason: "first_token_timeout", tries: 2 };
/// Tokens that ten letters of content are taken for.
const TEN_LETTERS: u64 = 4;
/// It ended within a stream, after content.
const BROKEN: Expect = Expect::Broken { error: "upstream_incomplete", output: TEN_LETTERS };

/// A request, then these bytes, then the end as the last step says.
fn after_request(bytes: Vec<u8>, end: Step) -> Vec<Step> {
    vec![Step::Request, Step::Send(bytes), end]
}
