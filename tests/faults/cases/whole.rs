//! Whole answers that are cut, wrong or empty.

use super::{CUT, EMPTY, MALFORMED, SILENT, after_request};
use crate::{
    answer::{self, ERROR, STREAM, WHOLE},
    case::{Expect, Fault, fault},
    peer::{Peer, Step},
};

const GROUP: &str = "Whole answers";

fn plain(bytes: Vec<u8>, end: Step) -> Peer {
    Peer::Plain(vec![after_request(bytes, end)])
}

fn half() -> Vec<u8> {
    [answer::json_head(WHOLE.len()), WHOLE.as_bytes()[..WHOLE.len() / 2].to_vec()].concat()
}

fn chunked() -> Vec<u8> {
    answer::head("200 OK", "content-type: application/json\r\ntransfer-encoding: chunked\r\n")
}

pub fn faults() -> Vec<Fault> {
    let fault = |title, peer| fault(GROUP, title, peer);
    let failed = |error, reason, tries| Expect::Failed { error, reason, tries };
    vec![
        fault("reset before the body", |_| plain(answer::json_head(WHOLE.len()), Step::Reset))
            .whole(CUT),
        fault("reset within the body", |_| plain(half(), Step::Reset)).whole(CUT),
        fault("shorter than its length says", |_| plain(half(), Step::Fin)).whole(CUT),
        fault("longer than its length says", |_| {
            plain([answer::json_head(40), WHOLE.as_bytes().to_vec()].concat(), Step::Again)
        })
        .whole(MALFORMED),
        fault("chunks that end too early", |_| {
            plain([chunked(), answer::chunk(&WHOLE.as_bytes()[..50])].concat(), Step::Fin)
        })
        .whole(CUT),
        fault("a chunk without a size", |_| {
            plain([chunked(), b"zz\r\n{}\r\n".to_vec()].concat(), Step::Again)
        })
        .whole(CUT),
        fault("silent after the head", |_| plain(answer::json_head(WHOLE.len()), Step::Stall))
            .whole(SILENT)
            .hasty(),
        fault("silent within the body", |_| plain(half(), Step::Stall))
            .whole(CUT)
            .hasty(),
        fault("without a length, to the end of the connection", |_| {
            let head = answer::head("200 OK", "content-type: application/json\r\n");
            plain([head, WHOLE.as_bytes().to_vec()].concat(), Step::Fin)
        })
        .whole(Expect::Unharmed),
        fault("half of its JSON", |_| plain(answer::json(&WHOLE[..100]), Step::Again))
            .whole(MALFORMED),
        fault("HTML", |_| plain(answer::json("<html>Maintenance</html>"), Step::Again))
            .whole(MALFORMED),
        fault("compressed, which nobody asked for", |_| {
            let headers = "content-type: application/json\r\ncontent-encoding: gzip\r\n";
            plain(answer::sized("200 OK", headers, "\u{1f}garbage"), Step::Again)
        })
        .both(MALFORMED),
        fault("nothing at all", |_| plain(answer::json(""), Step::Again)).whole(MALFORMED),
        fault("an empty object", |_| plain(answer::json("{}"), Step::Again)).whole(EMPTY),
        fault("no choice", |_| {
            plain(answer::json(&WHOLE.replace(r#""index":0,"#, "").replace(
                r#"[{"message":{"role":"assistant","content":"0123456789"},"finish_reason":"stop"}]"#,
                "[]",
            )), Step::Again)
        })
        .whole(EMPTY),
        fault("no content and a blank reason", |_| {
            let blank = WHOLE.replace("0123456789", "").replace(r#""stop""#, r#""""#);
            plain(answer::json(&blank), Step::Again)
        })
        .whole(EMPTY),
        fault("an error inside a 200", |_| plain(answer::json(ERROR), Step::Again))
            .both(failed("503 overloaded", "error_event_529", 2)),
        fault("a stream instead", |_| plain(answer::streamed(&STREAM), Step::Again))
            .whole(MALFORMED),
    ]
}
