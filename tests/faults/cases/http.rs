//! HTTP/1.1 that is wrong, slow or too much before the body of an answer.

use super::{CLOSED, SILENT, after_request};
use crate::{
    answer,
    case::{Expect, Fault, fault},
    peer::{Peer, Step},
};

const GROUP: &str = "Heads";

fn plain(bytes: Vec<u8>, end: Step) -> Peer {
    Peer::Plain(vec![after_request(bytes, end)])
}

/// Some interim answers, then a good one.
fn interim(status: &str, times: usize) -> Peer {
    let flood = answer::head(status, "").repeat(times);
    Peer::Plain(vec![vec![Step::Request, Step::Send(flood), answer::good(""), Step::Stall]])
}

fn with_headers(count: usize, length: usize) -> Vec<u8> {
    let line = |number: usize| format!("x-header-{number}: {}\r\n", "x".repeat(length));
    let lines: String = (0..count).map(line).collect();
    answer::sized("200 OK", &lines, answer::WHOLE)
}

pub fn faults() -> Vec<Fault> {
    let fault = |title, peer| fault(GROUP, title, peer);
    vec![
        fault("reset after the status line", |_| plain(b"HTTP/1.1 200 OK\r\n".into(), Step::Reset))
            .both(CLOSED),
        fault("closed after the status line", |_| plain(b"HTTP/1.1 200 OK\r\n".into(), Step::Fin))
            .both(CLOSED),
        fault("reset within the headers", |_| {
            plain(b"HTTP/1.1 200 OK\r\ncontent-ty".into(), Step::Reset)
        })
        .both(CLOSED),
        fault("not HTTP", |_| plain(b"SSH-2.0-OpenSSH_9.9\r\n".into(), Step::Stall)).both(CLOSED),
        fault("a byte at a time, not in time", |_| {
            Peer::Plain(vec![vec![Step::Request, Step::Drip(vec![b'x'; 10_000])]])
        })
        .both(CLOSED),
        fault("a header line a byte at a time, not in time", |_| {
            let head = [b"HTTP/1.1 200 OK\r\nx: ".to_vec(), vec![b'x'; 10_000]].concat();
            Peer::Plain(vec![vec![Step::Request, Step::Drip(head)]])
        })
        .both(SILENT)
        .hasty(),
        fault("a byte at a time, in time", |_| {
            let whole = answer::json(answer::WHOLE);
            let (head, rest) = whole.split_at(60);
            let steps = [Step::Request, Step::Drip(head.to_vec()), Step::Send(rest.to_vec())];
            Peer::Plain(vec![[&steps[..], &[Step::Stall]].concat()])
        })
        .whole(Expect::Unharmed),
        fault("a header of 1 MiB", |_| plain(with_headers(1, 1 << 20), Step::Stall)).both(CLOSED),
        fault("headers without end", |_| {
            let line = [b"x-h: ".to_vec(), vec![b'x'; 1000], b"\r\n".to_vec()].concat();
            let start = Step::Send(b"HTTP/1.1 200 OK\r\n".to_vec());
            Peer::Plain(vec![vec![Step::Request, start, Step::Endless(line)]])
        })
        .both(CLOSED),
        fault("500 headers", |_| plain(with_headers(500, 8), Step::Stall)).both(CLOSED),
        fault("90 headers", |_| plain(with_headers(90, 8), Step::Stall)).whole(Expect::Unharmed),
        fault("100 interim answers", |_| interim("103 Early Hints", 100)).both(Expect::Unharmed),
        fault("5,000 interim answers", |_| interim("103 Early Hints", 5_000))
            .both(Expect::Unharmed),
        fault("interim answers without end", |_| {
            let flood = answer::head("100 Continue", "").repeat(10);
            Peer::Plain(vec![vec![Step::Request, Step::Endless(flood)]])
        })
        .both(SILENT)
        .hasty(),
        fault("another protocol that nobody asked for", |_| {
            let headers = "connection: upgrade\r\nupgrade: websocket\r\n";
            plain(answer::head("101 Switching Protocols", headers), Step::Stall)
        })
        .both(Expect::Failed {
            error: "502 upstream_malformed",
            reason: "malformed",
            tries: 2,
        }),
        fault("two lengths", |_| {
            let headers = "content-length: 10\r\ncontent-length: 20\r\n";
            plain(answer::head("200 OK", headers), Step::Stall)
        })
        .both(CLOSED),
        fault("a length that is no number", |_| {
            plain(answer::head("200 OK", "content-length: ten\r\n"), Step::Stall)
        })
        .both(CLOSED),
    ]
}
