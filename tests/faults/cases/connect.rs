//! No connection, or one that comes to nothing before an answer.

use super::{CLOSED, SILENT, UNREACHABLE, after_request};
use crate::{
    answer,
    case::{Expect, Fault, Warm, fault},
    peer::{Peer, Step},
};

const GROUP: &str = "Connections";

/// A connection that has served one request, then this.
fn used(then: Vec<Step>) -> Peer {
    let first = [Step::Request, answer::good("")].into_iter().chain(then).collect();
    Peer::Plain(vec![first, vec![Step::Request, answer::good(""), Step::Again]])
}

pub fn faults() -> Vec<Fault> {
    let fault = |title, peer| fault(GROUP, title, peer);
    vec![
        fault("nobody listens", |_| Peer::Nobody).both(UNREACHABLE),
        fault("the name does not exist", |_| Peer::NoName).both(UNREACHABLE),
        fault("the machine answers no connection", |_| Peer::Mute).both(UNREACHABLE).hasty(),
        fault("reset by the first byte", |_| Peer::Plain(vec![vec![Step::Read(1), Step::Reset]]))
            .both(CLOSED),
        fault("closed as soon as it is accepted", |_| Peer::Plain(vec![vec![Step::Fin]]))
            .both(CLOSED),
        fault("accepted and never read", |_| Peer::Plain(vec![vec![Step::Read(1), Step::Frozen]]))
            .both(SILENT)
            .hasty(),
        fault("read and never answered", |_| Peer::Plain(vec![vec![Step::Stall]]))
            .both(SILENT)
            .hasty(),
        fault("reset within the request's body", |_| {
            Peer::Plain(vec![vec![Step::Head, Step::Read(100_000), Step::Reset]])
        })
        .both(CLOSED)
        .large(),
        fault("closed within the request's body", |_| {
            Peer::Plain(vec![vec![Step::Head, Step::Read(100_000), Step::Fin]])
        })
        .both(CLOSED)
        .large(),
        fault("reset after the request", |_| Peer::Plain(vec![vec![Step::Request, Step::Reset]]))
            .both(CLOSED),
        fault("closed after the request", |_| Peer::Plain(vec![vec![Step::Request, Step::Fin]]))
            .both(CLOSED),
        fault("answered before the request's body was read", |_| {
            let answer = answer::sized("413 Content Too Large", "connection: close\r\n", "");
            Peer::Plain(vec![vec![Step::Head, Step::Send(answer), Step::Linger]])
        })
        .both(Expect::Refused { error: "413 request_too_large", reason: "http_413" })
        .large(),
        fault("a kept connection was closed while it was idle", |_| used(vec![Step::Fin]))
            .both(Expect::Unharmed)
            .warm(Warm::Closed),
        fault("a kept connection was reset while it was idle", |_| used(vec![Step::Reset]))
            .both(Expect::Unharmed)
            .warm(Warm::Closed),
        fault("a kept connection is reset by the next request", |_| {
            used(vec![Step::Head, Step::Reset])
        })
        .both(Expect::Recovered { reason: "closed" })
        .warm(Warm::Open),
        fault("a kept connection has bytes that nobody asked for", |_| {
            used(vec![Step::Send(answer::json("{}")), Step::Request, answer::good(""), Step::Again])
        })
        .both(Expect::Unharmed)
        .warm(Warm::Open),
        fault("closed by an answer that says so", |_| {
            let headers = "connection: close\r\n";
            let whole = answer::sized("200 OK", headers, answer::WHOLE);
            let script = vec![Step::Request, Step::Send(whole), Step::Fin];
            let good = after_request(answer::json(answer::WHOLE), Step::Stall);
            Peer::Plain(vec![script, good])
        })
        .whole(Expect::Unharmed)
        .warm(Warm::Open),
    ]
}
