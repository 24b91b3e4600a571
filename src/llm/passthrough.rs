//! Same dialect on both sides: bytes go through as they came while they are metered. The hot path of
//! streams: each frame is scanned once, and parsed only where it carries usage or an error.

use std::borrow::Cow;

use bytes::Bytes;
use http::{HeaderMap, StatusCode};

use super::codec::codec;
use super::error::{ApiError, decode_error};
use super::opaque::OpaqueStream;
use super::quirks::Quirks;
use super::scan::{Scan, scan};
use super::sse::{Frame, FrameScanner};
use super::stream::{ArrayWriter, Progress, StreamFault, StreamForm, StreamTranslator};
use super::translate::{ResponseError, WholeResponse};
use super::{Dialect, anthropic, gemini, openai, responses};

/// Meters a whole answer and gives it back untouched.
pub(crate) fn response(
    dialect: Dialect,
    quirks: Quirks,
    body: &Bytes,
) -> Result<WholeResponse, ResponseError> {
    if !body.trim_ascii_start().starts_with(b"{") {
        return Err(ResponseError::Malformed("it is not a JSON object".to_owned()));
    }
    let found = scan(body);
    if !found.complete {
        return Err(ResponseError::Malformed("it is not one complete JSON object".to_owned()));
    }
    if found.error || found.kind == Some(b"error") {
        return Err(ResponseError::Upstream(in_a_200(dialect, body)));
    }
    let codec = codec(dialect);
    let usage = match dialect {
        _ if !found.has_usage() => None,
        Dialect::OpenAi => openai::wire::usage_in(&found, quirks),
        _ => codec.usage_of(body),
    };
    let mut finish_reason =
        found.finish_reason.or(found.status).map(|word| codec.finish_reason(&lossy(word)));
    let mut stored_as = None;
    if dialect == Dialect::Responses {
        let (id, reason) = responses::ending_of(body);
        stored_as = id;
        finish_reason = reason.or(finish_reason);
    }
    Ok(WholeResponse {
        body: body.clone(),
        usage,
        model: found.model.map(text),
        stored_as,
        finish_reason,
        output_bytes: found.content_bytes,
    })
}

/// The error of an answer that has one in spite of its status.
pub(super) fn in_a_200(dialect: Dialect, data: &[u8]) -> ApiError {
    decode_error(dialect, StatusCode::OK, &HeaderMap::new(), data)
}

/// The fault of a frame that is an error.
pub(super) fn upstream_fault(dialect: Dialect, data: &[u8]) -> StreamFault {
    StreamFault::Upstream(in_a_200(dialect, data))
}

/// An object that is cut would break the client's own reading. Data that is no object at all is left
/// to the client, which may know what it means.
pub(super) fn check_object(found: &Scan<'_>, data: &[u8]) -> Result<(), StreamFault> {
    if found.complete || !data.trim_ascii_start().starts_with(b"{") {
        return Ok(());
    }
    Err(StreamFault::Malformed("an event is not one complete JSON object".into()))
}

/// Text of an answer, as far as it is text.
pub(super) fn lossy(raw: &[u8]) -> Cow<'_, str> {
    String::from_utf8_lossy(raw)
}

pub(super) fn text(raw: &[u8]) -> String {
    lossy(raw).into_owned()
}

/// Whether a frame goes on to the client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Pass {
    Forward,
    Strip,
}

/// What passing through sees in the frames of one dialect. Each dialect's folder has its own.
pub(super) trait Observer: Send {
    /// Looks at a frame that has data, and notes what it says.
    ///
    /// # Errors
    /// [`StreamFault`] if it is an error; it is not forwarded.
    fn observe(&mut self, frame: &Frame<'_>, progress: &mut Progress) -> Result<Pass, StreamFault>;

    /// The upstream ended: whether the stream is complete, for streams without a terminator.
    fn is_complete(&self) -> bool {
        false
    }

    /// An error that ends the stream.
    fn fail(&mut self, error: &ApiError) -> Bytes;
}

/// Begins a stream of a dialect. `strip_usage`: leave out OpenAI's chunk that carries nothing but
/// usage, for which the client did not ask.
pub(super) fn stream(
    dialect: Dialect,
    strip_usage: bool,
    quirks: Quirks,
    form: StreamForm,
) -> Box<dyn StreamTranslator> {
    match dialect {
        // Nothing that callers of the last two dialects may ask for is streamed.
        Dialect::OpenAi | Dialect::Mistral | Dialect::Cohere | Dialect::Ollama => {
            let observer = openai::Observer::new(strip_usage, quirks);
            Box::new(PassthroughStream::new(observer, form))
        }
        Dialect::Anthropic => {
            Box::new(PassthroughStream::new(anthropic::Observer::default(), form))
        }
        Dialect::Gemini => Box::new(PassthroughStream::new(gemini::Observer::default(), form)),
        Dialect::Responses => {
            Box::new(PassthroughStream::new(responses::Observer::default(), form))
        }
        // No caller speaks it.
        Dialect::Bedrock => Box::new(OpaqueStream::new(dialect)),
    }
}

/// Forwards a stream untouched, frame by frame.
struct PassthroughStream<O> {
    observer: O,
    /// The caller wants the data as an array, not as events.
    array: Option<ArrayWriter>,
    frames: FrameScanner,
    ends: Vec<usize>,
    progress: Progress,
}

impl<O: Observer> PassthroughStream<O> {
    fn new(observer: O, form: StreamForm) -> Self {
        Self {
            observer,
            array: (form == StreamForm::JsonArray).then(ArrayWriter::default),
            frames: FrameScanner::default(),
            ends: Vec::new(),
            progress: Progress::default(),
        }
    }

    /// Notes what a frame says.
    fn observe(&mut self, frame: &Frame<'_>) -> Result<Pass, StreamFault> {
        self.progress.frames = self.progress.frames.saturating_add(1);
        if frame.data.is_empty() {
            return Ok(Pass::Forward);
        }
        self.observer.observe(frame, &mut self.progress)
    }

    /// Observes the frames of a run and forwards them in as few pieces as possible.
    fn forward(
        &mut self,
        run: &Bytes,
        ends: &[usize],
        out: &mut Vec<Bytes>,
    ) -> Result<(), StreamFault> {
        let (mut kept_from, mut start) = (0, 0);
        for &end in ends {
            // What follows the end is not for the caller.
            if self.progress.terminated {
                break;
            }
            let frame = Frame::parse(run.get(start..end).unwrap_or_default());
            let pass = self.observe(&frame);
            if let (Some(array), Ok(Pass::Forward)) = (&mut self.array, &pass) {
                element(array, &frame, out);
                kept_from = end;
            } else if !matches!(pass, Ok(Pass::Forward)) {
                forward_slice(run, kept_from..start, out);
                kept_from = end;
            }
            pass?;
            start = end;
        }
        forward_slice(run, kept_from..start, out);
        Ok(())
    }
}

/// The data of a frame as an element of an array; a comment is none.
fn element(array: &mut ArrayWriter, frame: &Frame<'_>, out: &mut Vec<Bytes>) {
    if !frame.data.is_empty() {
        out.push(Bytes::from_static(array.separator()));
        out.push(Bytes::copy_from_slice(&frame.data));
    }
}

fn forward_slice(run: &Bytes, range: std::ops::Range<usize>, out: &mut Vec<Bytes>) {
    if !range.is_empty() {
        out.push(run.slice(range));
    }
}

impl<O: Observer> StreamTranslator for PassthroughStream<O> {
    fn push(&mut self, chunk: Bytes, out: &mut Vec<Bytes>) -> Result<(), StreamFault> {
        let mut ends = std::mem::take(&mut self.ends);
        let run = self.frames.push(chunk, &mut ends)?;
        let forwarded = self.forward(&run, &ends, out);
        self.ends = ends;
        forwarded
    }

    fn finish(&mut self, out: &mut Vec<Bytes>) -> Result<(), StreamFault> {
        let rest = self.frames.finish();
        if self.progress.terminated && self.array.is_none() {
            return Ok(());
        }
        let last = Frame::parse(&rest);
        let blank = rest.trim_ascii().is_empty();
        let pass = match blank {
            true => Pass::Strip,
            // What is cut here lacks its end as the stream does.
            false => self.observe(&last).map_err(StreamFault::at_the_end)?,
        };
        self.progress.terminated |= self.observer.is_complete();
        if !self.progress.terminated {
            return Err(StreamFault::Truncated);
        }
        if let Some(array) = &mut self.array {
            if pass == Pass::Forward {
                element(array, &last, out);
            }
            out.push(Bytes::from_static(array.end()));
        } else if !blank {
            // The terminator came without its blank line; without one a client would ignore it.
            out.push(Bytes::from([rest.trim_ascii_end(), b"\n\n"].concat()));
        } else if !rest.is_empty() {
            out.push(rest);
        }
        Ok(())
    }

    fn fail(&mut self, error: &ApiError, out: &mut Vec<Bytes>) {
        let event = self.observer.fail(error);
        match &mut self.array {
            None => out.push(event),
            Some(array) => {
                element(array, &Frame::parse(&event), out);
                out.push(Bytes::from_static(array.end()));
            }
        }
    }

    fn progress(&self) -> &Progress {
        &self.progress
    }
}

#[cfg(test)]
mod tests;
