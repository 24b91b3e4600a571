//! TLS that is wrong or breaks.

use super::{BROKEN, CLOSED, CUT, UNREACHABLE, after_request};
use crate::{
    answer::{self, ROLE, TOKEN},
    case::{Expect, Fault, Form, fault},
    certificate::Certificate,
    peer::{Peer, Step},
};

const GROUP: &str = "TLS";

fn good(certificate: Certificate) -> Peer {
    Peer::Tls(certificate, vec![vec![Step::Request, answer::good(""), Step::Again]])
}

pub fn faults() -> Vec<Fault> {
    let fault = |title, peer| fault(GROUP, title, peer);
    vec![
        fault("nothing is wrong", |_| good(Certificate::Good)).both(Expect::Unharmed),
        fault("the certificate is for another name", |_| good(Certificate::WrongName))
            .both(UNREACHABLE),
        fault("the certificate has expired", |_| good(Certificate::Expired)).both(UNREACHABLE),
        fault("nobody vouches for the certificate", |_| good(Certificate::SelfSigned))
            .both(UNREACHABLE),
        fault("plain HTTP on the port of TLS", |_| {
            Peer::PlainForTls(vec![vec![Step::Read(1), Step::Send(answer::json(answer::WHOLE))]])
        })
        .both(UNREACHABLE),
        fault("closed within the handshake", |_| {
            Peer::PlainForTls(vec![vec![Step::Read(100), Step::Fin]])
        })
        .both(UNREACHABLE),
        fault("reset within the handshake", |_| {
            Peer::PlainForTls(vec![vec![Step::Read(100), Step::Reset]])
        })
        .both(UNREACHABLE),
        fault("silent within the handshake", |_| Peer::PlainForTls(vec![vec![Step::Stall]]))
            .both(UNREACHABLE)
            .hasty(),
        fault("reset after the request", |_| {
            Peer::Tls(Certificate::Good, vec![vec![Step::Request, Step::Reset]])
        })
        .both(CLOSED),
        fault("a body without a length, cut without a farewell", |form| {
            let body = match form {
                Form::Whole => answer::WHOLE.to_owned(),
                Form::Stream => answer::events(&[ROLE, TOKEN]),
            };
            let media = if form == Form::Whole { "application/json" } else { "text/event-stream" };
            let head = answer::head("200 OK", &format!("content-type: {media}\r\n"));
            let script = after_request([head, body.into_bytes()].concat(), Step::Cut);
            Peer::Tls(Certificate::Good, vec![script])
        })
        .whole(CUT)
        .stream(BROKEN),
    ]
}
