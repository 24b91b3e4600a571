//! HTTP/2 that refuses, resets or says goodbye.

use super::{BROKEN, CLOSED, CUT, SILENT};
use crate::{
    answer::{self, ROLE, STREAM, TOKEN, WHOLE},
    case::{Expect, Fault, Form, Warm, fault},
    frame::{CANCEL, ENHANCE_YOUR_CALM, Frame, INTERNAL_ERROR, NO_ERROR, REFUSED_STREAM},
    peer::{Peer, Step},
};

const GROUP: &str = "HTTP/2";

/// A request, then these frames, on every connection.
fn always(frames: Vec<Frame>, end: Step) -> Peer {
    Peer::Http2(vec![script(frames, end)])
}

/// The same on the first connection; the others are good.
fn at_first(form: Form, frames: Vec<Frame>, end: Step) -> Peer {
    Peer::Http2(vec![
        script(frames, end),
        vec![Step::Preface, Step::Http2Request, Step::Frames(good(form)), Step::Stall],
    ])
}

/// [`Step::Again`] plays the same for further requests on the connection.
fn script(frames: Vec<Frame>, end: Step) -> Vec<Step> {
    let again = if matches!(end, Step::Again) { 8 } else { 1 };
    let request = [Step::Http2Request, Step::Frames(frames)];
    let requests = std::iter::repeat_n(request, again).flatten();
    let end = if matches!(end, Step::Again) { Step::Stall } else { end };
    std::iter::once(Step::Preface).chain(requests).chain([end]).collect()
}

fn data(text: &str) -> Frame {
    Frame::Data(text.as_bytes().to_vec())
}

fn begun(events: &[&str]) -> Vec<Frame> {
    vec![Frame::Head("text/event-stream"), data(&answer::events(events))]
}

fn good(form: Form) -> Vec<Frame> {
    match form {
        Form::Whole => vec![Frame::Head("application/json"), data(WHOLE), Frame::End],
        Form::Stream => [begun(&STREAM), vec![Frame::End]].concat(),
    }
}

/// After the head and a half of the answer.
fn within(form: Form, then: Frame) -> Vec<Frame> {
    let begun = match form {
        Form::Whole => vec![Frame::Head("application/json"), data(&WHOLE[..50])],
        Form::Stream => begun(&[ROLE, TOKEN]),
    };
    [begun, vec![then]].concat()
}

pub fn faults() -> Vec<Fault> {
    let fault = |title, peer| fault(GROUP, title, peer);
    vec![
        fault("nothing is wrong", |form| always(good(form), Step::Stall)).both(Expect::Unharmed),
        fault("frames of no known kind", |form| {
            always([vec![Frame::Unknown], good(form)].concat(), Step::Stall)
        })
        .both(Expect::Unharmed),
        fault("GOAWAY, the request not seen, once", |form| {
            at_first(form, vec![Frame::GoAway { seen: false, code: NO_ERROR }], Step::Fin)
        })
        .both(Expect::Unharmed),
        fault("GOAWAY, the request not seen, always", |_| {
            always(vec![Frame::GoAway { seen: false, code: NO_ERROR }], Step::Fin)
        })
        .both(CLOSED),
        fault("GOAWAY, the request seen, and its answer", |form| {
            let goodbye = Frame::GoAway { seen: true, code: NO_ERROR };
            always([vec![goodbye], good(form)].concat(), Step::Fin)
        })
        .both(Expect::Unharmed),
        fault("GOAWAY within the answer, which goes on", |form| {
            let mut frames = good(form);
            frames.insert(1, Frame::GoAway { seen: true, code: NO_ERROR });
            always(frames, Step::Fin)
        })
        .both(Expect::Unharmed),
        fault("GOAWAY within the answer, then closed", |form| {
            let goodbye = Frame::GoAway { seen: true, code: INTERNAL_ERROR };
            always(within(form, goodbye), Step::Fin)
        })
        .whole(CUT)
        .stream(BROKEN),
        fault("GOAWAY for too many pings, the request not seen, once", |form| {
            at_first(form, vec![Frame::GoAway { seen: false, code: ENHANCE_YOUR_CALM }], Step::Fin)
        })
        .both(Expect::Unharmed),
        fault("REFUSED_STREAM, once", |form| {
            let good = [Step::Http2Request, Step::Frames(good(form)), Step::Stall];
            let refused = script(vec![Frame::Reset(REFUSED_STREAM)], Step::Http2Request);
            Peer::Http2(vec![[&refused[..3], &good[..]].concat()])
        })
        .both(Expect::Unharmed),
        fault("REFUSED_STREAM, always", |_| {
            always(vec![Frame::Reset(REFUSED_STREAM)], Step::Again)
        })
        .both(CLOSED),
        fault("CANCEL before the head", |_| always(vec![Frame::Reset(CANCEL)], Step::Again))
            .both(CLOSED),
        fault("INTERNAL_ERROR before the head", |_| {
            always(vec![Frame::Reset(INTERNAL_ERROR)], Step::Again)
        })
        .both(CLOSED),
        fault("CANCEL within the answer", |form| {
            always(within(form, Frame::Reset(CANCEL)), Step::Again)
        })
        .whole(CUT)
        .stream(BROKEN),
        fault("INTERNAL_ERROR within the answer", |form| {
            always(within(form, Frame::Reset(INTERNAL_ERROR)), Step::Again)
        })
        .whole(CUT)
        .stream(BROKEN),
        fault("a frame larger than allowed", |form| {
            always(within(form, Frame::Oversized), Step::Stall)
        })
        .whole(CUT)
        .stream(BROKEN),
        fault("closed after the request", |_| always(Vec::new(), Step::Fin)).both(CLOSED),
        fault("reset after the request", |_| always(Vec::new(), Step::Reset)).both(CLOSED),
        fault("closed within the answer", |form| always(within(form, Frame::Unknown), Step::Fin))
            .whole(CUT)
            .stream(BROKEN),
        fault("read and never answered", |_| always(Vec::new(), Step::Stall)).both(SILENT).hasty(),
        fault("HTTP/1.1 where HTTP/2 was agreed on", |_| {
            Peer::Http2(vec![vec![Step::Read(1), Step::Send(answer::json(WHOLE))]])
        })
        .both(CLOSED),
        fault("a kept connection was closed while it was idle", |form| {
            let first =
                vec![Step::Preface, Step::Http2Request, Step::Frames(good(Form::Whole)), Step::Fin];
            let next =
                vec![Step::Preface, Step::Http2Request, Step::Frames(good(form)), Step::Stall];
            Peer::Http2(vec![first, next])
        })
        .both(Expect::Unharmed)
        .warm(Warm::Closed),
    ]
}
