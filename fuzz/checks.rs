//! What must hold for any bytes that a provider or a caller may send: nothing panics, how the bytes are
//! cut changes nothing, a stream ends only if the provider ended it, and what comes out is well-formed.
//!
//! The first bytes of an input choose what is tried; a fuzzer finds them as it finds the rest.

#![allow(
    dead_code,
    clippy::unwrap_used,
    reason = "each target uses one of the checks, which fail by panicking"
)]

use bytes::Bytes;
use serde_json::Value;
use sluice::llm::eventstream::{self, MessageScanner};
use sluice::llm::sse::{Frame, FrameScanner};
use sluice::llm::{
    Boundary, Called, Dialect, Endpoint, Progress, ResponseContext, Rewrite, StreamFault,
    StreamForm, Translator, Work, peek, peek_form,
};

/// The decoder of server-sent events: `<size of pieces> <bytes>`.
pub fn sse(data: &[u8]) {
    let Some((&size, bytes)) = data.split_first() else { return };
    assert_eq!(events(&[bytes]), events(&pieces(bytes, size)), "cuts change the events");
}

/// Name and data.
type Event = (Vec<u8>, Vec<u8>);

fn pieces(bytes: &[u8], size: u8) -> Vec<&[u8]> {
    bytes.chunks(usize::from(size % 32) + 1).collect()
}

fn events(pieces: &[&[u8]]) -> Vec<Event> {
    let (mut scanner, mut ends, mut events) = (FrameScanner::default(), Vec::new(), Vec::new());
    let mut keep = |raw: &[u8]| {
        let frame = Frame::parse(raw);
        if !(frame.event.is_empty() && frame.data.is_empty()) {
            events.push((frame.event.to_vec(), frame.data.to_vec()));
        }
    };
    for piece in pieces {
        let run = scanner.push(Bytes::copy_from_slice(piece), &mut ends).unwrap();
        let mut start = 0;
        for &end in &ends {
            keep(&run[start..end]);
            start = end;
        }
        assert_eq!(start, run.len(), "a run is whole frames");
    }
    keep(&scanner.finish());
    events
}

/// The reader of callers' forms: `<bytes>`, whose boundary is `B`. What is taken can be sent on, and names
/// the provider's model to every reader as strict as this one.
pub fn form(body: &[u8]) {
    let boundary = || Boundary::read(b"multipart/form-data; boundary=B").unwrap();
    for endpoint in [Endpoint::Transcriptions, Endpoint::ImageVariations] {
        let Ok(peeked) = peek_form(&endpoint.into(), boundary(), body) else { continue };
        let translator = Translator::new(endpoint, Dialect::OpenAi.alone()).unwrap();
        let rewrite = Rewrite { model: "served", parameters: None, default_max_tokens: None };
        let sent = translator.request(&Bytes::copy_from_slice(body), &peeked, &rewrite).unwrap();
        let again = peek_form(&endpoint.into(), boundary(), &sent.body).unwrap();
        assert_eq!((again.model.as_str(), again.stream), ("served", peeked.stream));
    }
}

/// The decoder of event streams: `<size of pieces> <bytes>`.
pub fn eventstream(data: &[u8]) {
    let Some((&size, bytes)) = data.split_first() else { return };
    let (whole, cut) = (messages(&[bytes]), messages(&pieces(bytes, size)));
    assert_eq!(whole, cut, "cuts change the messages");
    // With checksums that are right, the fuzzer gets to what is behind them.
    let mut made = Vec::new();
    let _ = eventstream::write_event("e", Bytes::copy_from_slice(bytes), &mut made);
    let (read, ok) = messages(&pieces(&made, size));
    assert_eq!((read, ok), (vec![(b"e".to_vec(), bytes.to_vec())], true));
}

/// The messages, and whether that was all.
fn messages(pieces: &[&[u8]]) -> (Vec<Event>, bool) {
    let (mut scanner, mut ends, mut messages) = (MessageScanner::default(), Vec::new(), Vec::new());
    for piece in pieces {
        let Ok(run) = scanner.push(Bytes::copy_from_slice(piece), &mut ends) else {
            return (messages, false);
        };
        let mut start = 0;
        for &end in &ends {
            let Ok(frame) = eventstream::parse(&run[start..end]) else { return (messages, false) };
            messages.push((frame.event.to_vec(), frame.data.to_vec()));
            start = end;
        }
        assert_eq!(start, run.len(), "a run is whole messages");
    }
    let complete = scanner.finish().is_empty();
    (messages, complete)
}

/// A pair of dialects that chat can cross, by number.
fn translator(number: u8) -> Translator {
    let chats: Vec<Endpoint> =
        Endpoint::ALL.into_iter().filter(|endpoint| endpoint.work() == Work::Chat).collect();
    let (number, ways) = (usize::from(number), Dialect::ALL.len());
    let endpoint = chats[number / ways % chats.len()];
    Translator::new(endpoint, Dialect::ALL[number % ways].alone()).unwrap()
}

/// How an endpoint is called: where it has the model in the path, the path says all.
fn called(endpoint: Endpoint) -> Called<'static> {
    let in_path = endpoint.path().contains("{model}");
    Called {
        model: in_path.then(|| "m".into()),
        stream: in_path.then_some(true),
        ..Called::from(endpoint)
    }
}

/// The number of pairs; every number below it is another one.
pub fn pairs() -> u8 {
    let chats = Endpoint::ALL.into_iter().filter(|endpoint| endpoint.work() == Work::Chat).count();
    u8::try_from(chats * Dialect::ALL.len()).unwrap()
}

/// The upstream's dialect of a pair.
pub fn upstream(pair: u8) -> Dialect {
    translator(pair).upstream()
}

/// The translators of streams: `<pair> <size of pieces> <form> <bytes>`. In place of an event stream's
/// bytes stand lines `name json`; a line that begins with `!` is an exception, with `#` raw.
pub fn stream(data: &[u8]) {
    let [pair, size, form, bytes @ ..] = data else { return };
    let translator = translator(*pair);
    let stream = match translator.upstream() {
        Dialect::Bedrock => framed(bytes),
        _ => bytes.to_vec(),
    };
    let form = if form & 1 == 0 { StreamForm::Sse } else { StreamForm::JsonArray };
    let whole = feed(translator, form, &[&stream]);
    let cut = feed(translator, form, &pieces(&stream, *size));
    // The line end of a stream that breaks off may or may not have been sent on.
    let text = |out: &Fed| String::from_utf8_lossy(out.bytes.trim_ascii_end()).into_owned();
    assert_eq!(text(&whole), text(&cut), "cuts change what comes out");
    assert_eq!(whole.fault.is_none(), cut.fault.is_none(), "cuts change the fault");
    assert_eq!(whole.progress, cut.progress, "cuts change what was seen");
    if translator.is_passthrough() {
        return;
    }
    assert_eq!(whole.fault.is_none(), whole.progress.terminated, "complete is what was ended");
    if form == StreamForm::Sse {
        well_formed(&whole);
    }
}

fn framed(lines: &[u8]) -> Vec<u8> {
    let mut stream = Vec::new();
    for line in lines.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
        let at = line.iter().position(|byte| *byte == b' ').unwrap_or(line.len());
        let (name, json) = line.split_at(at);
        let json = Bytes::copy_from_slice(json.trim_ascii_start());
        let name = String::from_utf8_lossy(name);
        let written = match name.strip_prefix('!') {
            _ if name.starts_with('#') => {
                stream.extend_from_slice(line);
                Ok(())
            }
            Some(name) => eventstream::write_exception(name, json, &mut stream),
            None => eventstream::write_event(&name, json, &mut stream),
        };
        // A name may be too long for the format.
        let _ = written;
    }
    stream
}

struct Fed {
    bytes: Vec<u8>,
    fault: Option<StreamFault>,
    progress: Progress,
}

fn feed(translator: Translator, form: StreamForm, pieces: &[&[u8]]) -> Fed {
    let body = br#"{"model":"m","stream":true,"stream_options":{"include_usage":true}}"#;
    let peeked = peek(&called(translator.endpoint()), body).unwrap();
    let context = ResponseContext { form, ..ResponseContext::default() };
    let mut stream = translator.stream(&peeked, &context);
    let (mut out, mut fault) = (Vec::new(), None);
    for piece in pieces {
        fault = stream.push(Bytes::copy_from_slice(piece), &mut out).err();
        if fault.is_some() {
            break;
        }
    }
    if fault.is_none() {
        fault = stream.finish(&mut out).err();
    }
    Fed { bytes: out.concat(), fault, progress: stream.progress().clone() }
}

/// Whole events of JSON, and no terminator that the provider did not send.
fn well_formed(fed: &Fed) {
    let text = std::str::from_utf8(&fed.bytes).unwrap().replace("\r\n", "\n");
    assert!(text.is_empty() || text.ends_with("\n\n"), "an event is cut off");
    let mut done = false;
    for line in text.split("\n").filter(|line| !line.is_empty()) {
        assert!(!done, "something follows the terminator");
        match line.strip_prefix("data: ") {
            Some("[DONE]") => done = true,
            Some(json) => {
                let value: Value = serde_json::from_str(json).unwrap();
                done = value["type"] == "message_stop" || value["type"] == "response.completed";
            }
            None => assert!(line.starts_with("event: ") || line.starts_with(':'), "{line:?}"),
        }
    }
    assert!(fed.progress.terminated || !done, "a terminator was made up");
}

/// The translators of requests and whole answers: `<pair> <what> <bytes>`.
pub fn whole(data: &[u8]) {
    let [pair, what, bytes @ ..] = data else { return };
    let (translator, body) = (translator(*pair), Bytes::copy_from_slice(bytes));
    if what & 1 == 0 {
        let answer = translator.response(&body, &ResponseContext::default());
        if let Ok(answer) = answer
            && !translator.is_passthrough()
        {
            serde_json::from_slice::<Value>(&answer.body).unwrap();
        }
        return;
    }
    let Ok(peeked) = peek(&called(translator.endpoint()), &body) else { return };
    let rewrite = Rewrite {
        model: "anthropic.claude-sonnet-4-20250514-v1:0",
        parameters: None,
        default_max_tokens: None,
    };
    if let Ok(request) = translator.request(&body, &peeked, &rewrite) {
        assert!(!request.body.is_empty());
        if !translator.is_passthrough() {
            serde_json::from_slice::<Value>(&request.body).unwrap();
        }
    }
}
