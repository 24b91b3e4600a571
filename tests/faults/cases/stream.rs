//! Streams that are cut, wrong, empty or silent, before and after their first content.

use super::{BROKEN, CUT, EMPTY, MALFORMED, SILENT, TEN_LETTERS, after_request};
use crate::{
    answer::{self, BLANK, DONE, ERROR, ROLE, STOP, STREAM, TOKEN, USAGE, WHOLE},
    case::{Expect, Fault, fault},
    peer::{Peer, Step},
};

const BEFORE: &str = "Streams, before the first content";
const AFTER: &str = "Streams, after the first content";

fn plain(bytes: Vec<u8>, end: Step) -> Peer {
    Peer::Plain(vec![after_request(bytes, end)])
}

/// Events of a body without chunks.
fn closing(headers: &str, data: &[&str], end: Step) -> Peer {
    let head = answer::head("200 OK", &format!("content-type: text/event-stream\r\n{headers}"));
    plain([head, answer::events(data).into_bytes()].concat(), end)
}

pub fn faults() -> Vec<Fault> {
    before().into_iter().chain(after()).collect()
}

fn before() -> Vec<Fault> {
    let fault = |title, peer| fault(BEFORE, title, peer);
    vec![
        fault("reset after the head", |_| plain(answer::stream_head(), Step::Reset)).stream(CUT),
        fault("reset after the role", |_| plain(answer::begun(&[ROLE]), Step::Reset)).stream(CUT),
        fault("closed after the role", |_| plain(answer::begun(&[ROLE]), Step::Fin)).stream(CUT),
        fault("ended after the role", |_| plain(answer::streamed(&[ROLE]), Step::Again))
            .stream(CUT),
        fault("silent after the head", |_| plain(answer::stream_head(), Step::Stall))
            .stream(SILENT)
            .hasty(),
        fault("silent after the role", |_| plain(answer::begun(&[ROLE]), Step::Stall))
            .stream(SILENT)
            .hasty(),
        fault("comments without end", |_| {
            let script = [Step::Request, Step::Send(answer::begun(&[ROLE]))];
            let comment = Step::Endless(answer::chunk(b": ping\n\n"));
            Peer::Plain(vec![[&script[..], &[comment]].concat()])
        })
        .stream(SILENT)
        .hasty(),
        fault("JSON that is broken", |_| plain(answer::begun(&[&ROLE[..40]]), Step::Again))
            .stream(MALFORMED),
        fault("HTML in its event", |_| {
            plain(answer::streamed(&["<html>Maintenance</html>"]), Step::Again)
        })
        .stream(CUT),
        fault("a chunk without a size", |_| {
            plain([answer::stream_head(), b"zz\r\n".to_vec()].concat(), Step::Again)
        })
        .stream(CUT),
        fault("an error event", |_| plain(answer::streamed(&[ERROR]), Step::Again)).stream(
            Expect::Failed { error: "503 overloaded", reason: "error_event_529", tries: 2 },
        ),
        fault("an error event after the role", |_| {
            plain(answer::begun(&[ROLE, ERROR]), Step::Again)
        })
        .stream(Expect::Failed {
            error: "503 overloaded",
            reason: "error_event_529",
            tries: 2,
        }),
        fault("nothing at all", |_| closing("content-length: 0\r\n", &[], Step::Again)).stream(CUT),
        fault("its end and nothing else", |_| plain(answer::streamed(&[DONE]), Step::Again))
            .stream(EMPTY),
        fault("the role and its end", |_| plain(answer::streamed(&[ROLE, DONE]), Step::Again))
            .stream(EMPTY),
        fault("the role, a blank reason and its end", |_| {
            plain(answer::streamed(&[ROLE, BLANK, DONE]), Step::Again)
        })
        .stream(EMPTY),
        fault("usage and its end", |_| plain(answer::streamed(&[USAGE, DONE]), Step::Again))
            .stream(EMPTY),
        fault("a whole answer instead", |_| plain(answer::json(WHOLE), Step::Again))
            .stream(MALFORMED),
        fault("100 roles, then reset", |_| plain(answer::begun(&[ROLE; 100]), Step::Reset))
            .stream(Expect::Broken { error: "upstream_incomplete", output: 0 }),
    ]
}

fn after() -> Vec<Fault> {
    let fault = |title, peer| fault(AFTER, title, peer);
    let broken = |error| Expect::Broken { error, output: TEN_LETTERS };
    vec![
        fault("reset after 1 token", |_| plain(answer::begun(&[TOKEN]), Step::Reset))
            .stream(BROKEN),
        fault("reset after 30 tokens", |_| plain(answer::begun(&[TOKEN; 30]), Step::Reset))
            .stream(Expect::Broken { error: "upstream_incomplete", output: 100 }),
        fault("closed after 1 token", |_| plain(answer::begun(&[TOKEN]), Step::Fin)).stream(BROKEN),
        fault("ended after 1 token", |_| plain(answer::streamed(&[TOKEN]), Step::Again))
            .stream(BROKEN),
        fault("shorter than its length says", |_| {
            closing("content-length: 1000\r\n", &[TOKEN], Step::Fin)
        })
        .stream(BROKEN),
        fault("no length, closed after 1 token", |_| closing("", &[TOKEN], Step::Fin))
            .stream(BROKEN),
        fault("no length, closed after its end", |_| closing("", &STREAM, Step::Fin))
            .stream(Expect::Unharmed),
        fault("its end, then a reset", |_| plain(answer::begun(&STREAM), Step::Reset))
            .stream(Expect::Unharmed),
        fault("its end, then nothing", |_| plain(answer::begun(&STREAM), Step::Stall))
            .stream(Expect::Unharmed),
        fault("its end, then content and an error", |_| {
            plain(answer::streamed(&[&STREAM[..], &[TOKEN, ERROR]].concat()), Step::Again)
        })
        .stream(Expect::Unharmed),
        fault("a reason to stop, but no end", |_| {
            plain(answer::streamed(&[TOKEN, STOP]), Step::Again)
        })
        .stream(BROKEN),
        fault("silent after 1 token", |_| plain(answer::begun(&[TOKEN]), Step::Stall))
            .stream(broken("upstream_timeout"))
            .hasty(),
        fault("JSON that is broken", |_| plain(answer::begun(&[TOKEN, "{\"id\":"]), Step::Again))
            .stream(broken("upstream_malformed")),
        fault("a chunk without a size", |_| {
            plain([answer::begun(&[TOKEN]), b"zz\r\n".to_vec()].concat(), Step::Again)
        })
        .stream(BROKEN),
        fault("an error event", |_| plain(answer::begun(&[TOKEN, ERROR]), Step::Again))
            .stream(broken("overloaded")),
    ]
}
