//! Statuses that are no success.

use super::after_request;
use crate::{
    answer::{self, ERROR},
    case::{Expect, Fault, fault},
    peer::{Peer, Step},
};

const GROUP: &str = "Statuses";

fn plain(status: &str, headers: &str, body: &str) -> Peer {
    Peer::Plain(vec![after_request(answer::sized(status, headers, body), Step::Again)])
}

const fn failed(error: &'static str, reason: &'static str, tries: usize) -> Expect {
    Expect::Failed { error, reason, tries }
}

const fn refused(error: &'static str, reason: &'static str) -> Expect {
    Expect::Refused { error, reason }
}

pub fn faults() -> Vec<Fault> {
    let fault = |title, peer| fault(GROUP, title, peer);
    vec![
        fault("408", |_| plain("408 Request Timeout", "", ERROR)).both(failed(
            "408 overloaded",
            "http_408",
            2,
        )),
        fault("409", |_| plain("409 Conflict", "", ERROR)).both(failed(
            "409 overloaded",
            "http_409",
            2,
        )),
        fault("425", |_| plain("425 Too Early", "", ERROR)).both(failed(
            "425 overloaded",
            "http_425",
            2,
        )),
        fault("429", |_| plain("429 Too Many Requests", "", ERROR)).both(failed(
            "429 overloaded",
            "http_429",
            2,
        )),
        fault("429 with `retry-after: 1`", |_| {
            plain("429 Too Many Requests", "retry-after: 1\r\n", ERROR)
        })
        .both(failed("429 overloaded", "http_429", 2)),
        fault("429 with `retry-after: 3600`", |_| {
            plain("429 Too Many Requests", "retry-after: 3600\r\n", ERROR)
        })
        .both(failed("429 overloaded", "http_429", 1)),
        fault("500", |_| plain("500 Internal Server Error", "", ERROR)).both(failed(
            "500 overloaded",
            "http_500",
            2,
        )),
        fault("502 in HTML", |_| {
            plain("502 Bad Gateway", "content-type: text/html\r\n", "<h1>Bad Gateway</h1>")
        })
        .both(failed("502 upstream_error", "http_502", 2)),
        fault("503", |_| plain("503 Service Unavailable", "", ERROR)).both(failed(
            "503 overloaded",
            "http_503",
            2,
        )),
        fault("503 with `retry-after: 3600`", |_| {
            plain("503 Service Unavailable", "retry-after: 3600\r\n", ERROR)
        })
        .both(failed("503 overloaded", "http_503", 1)),
        fault("503 whose body does not come", |_| {
            let head = answer::head("503 Service Unavailable", "content-length: 100\r\n");
            Peer::Plain(vec![after_request(head, Step::Fin)])
        })
        .both(failed("503 overloaded", "http_503", 2)),
        fault("504", |_| plain("504 Gateway Timeout", "", ERROR)).both(failed(
            "504 overloaded",
            "http_504",
            2,
        )),
        fault("529", |_| plain("529 Overloaded", "", ERROR)).both(failed(
            "503 overloaded",
            "http_529",
            2,
        )),
        fault("401", |_| plain("401 Unauthorized", "", ERROR)).both(failed(
            "502 upstream_credential_refused",
            "http_401",
            1,
        )),
        fault("403", |_| plain("403 Forbidden", "", ERROR)).both(failed(
            "502 upstream_credential_refused",
            "http_403",
            1,
        )),
        fault("a redirect", |_| {
            plain("307 Temporary Redirect", "location: http://127.0.0.1:9/\r\n", "")
        })
        .both(failed("502 upstream_redirect", "http_307", 1)),
        fault("not modified", |_| {
            Peer::Plain(vec![after_request(answer::head("304 Not Modified", ""), Step::Again)])
        })
        .both(failed("502 upstream_redirect", "http_304", 1)),
        fault("no content", |_| {
            Peer::Plain(vec![after_request(answer::head("204 No Content", ""), Step::Again)])
        })
        .whole(failed("502 upstream_malformed", "malformed", 2))
        .stream(failed("502 upstream_incomplete", "closed", 2)),
        fault("400", |_| plain("400 Bad Request", "", ERROR))
            .both(refused("400 overloaded", "http_400")),
        fault("404", |_| plain("404 Not Found", "", ERROR))
            .both(refused("404 overloaded", "http_404")),
        fault("422", |_| plain("422 Unprocessable Content", "", ERROR))
            .both(refused("422 overloaded", "http_422")),
        fault("501", |_| plain("501 Not Implemented", "", ERROR))
            .both(refused("501 overloaded", "http_501")),
    ]
}
