//! Same dialect on both sides: bytes go through as they came while they are metered. The hot path of
//! streams: each frame is scanned once, and parsed only where it carries usage or an error.

use bytes::Bytes;
use http::StatusCode;

use super::chat::FinishReason;
use super::error::decode_error;
use super::scan::scan;
use super::sse::{Frame, FrameScanner};
use super::stream::{Progress, StreamFault, StreamTranslator};
use super::translate::{ResponseError, WholeResponse};
use super::{Dialect, anthropic, openai};

/// Meters a whole answer and gives it back untouched.
pub(crate) fn response(dialect: Dialect, body: &Bytes) -> Result<WholeResponse, ResponseError> {
    if !body.trim_ascii_start().starts_with(b"{") {
        return Err(ResponseError::Malformed("it is not a JSON object".to_owned()));
    }
    let found = scan(body);
    if !found.complete {
        return Err(ResponseError::Malformed("it is not one complete JSON object".to_owned()));
    }
    if found.error || found.kind == Some(b"error") {
        return Err(ResponseError::Upstream(decode_error(dialect, StatusCode::OK, body)));
    }
    let usage = match dialect {
        _ if !found.usage => None,
        Dialect::OpenAi => openai::wire::usage_of(body),
        Dialect::Anthropic => anthropic::wire::usage_of(body),
    };
    Ok(WholeResponse {
        body: body.clone(),
        usage,
        model: found.model.map(text),
        finish_reason: found.finish_reason.map(|reason| finish_reason(dialect, reason)),
        output_bytes: found.content_bytes,
    })
}

fn text(raw: &[u8]) -> String {
    String::from_utf8_lossy(raw).into_owned()
}

fn finish_reason(dialect: Dialect, raw: &[u8]) -> FinishReason {
    let reason = String::from_utf8_lossy(raw);
    match dialect {
        Dialect::OpenAi => openai::wire::finish_reason(&reason),
        Dialect::Anthropic => anthropic::wire::finish_reason(&reason),
    }
}

/// Whether a frame goes on to the client.
enum Pass {
    Forward,
    Strip,
}

/// Forwards a stream untouched, except for the usage chunk that the client did not ask for.
pub struct PassthroughStream {
    dialect: Dialect,
    strip_usage: bool,
    frames: FrameScanner,
    ends: Vec<usize>,
    cumulative: anthropic::wire::WireUsage,
    progress: Progress,
}

impl PassthroughStream {
    /// `strip_usage`: leave out OpenAI's chunk that carries nothing but usage.
    pub fn new(dialect: Dialect, strip_usage: bool) -> Self {
        Self {
            dialect,
            strip_usage,
            frames: FrameScanner::default(),
            ends: Vec::new(),
            cumulative: anthropic::wire::WireUsage::default(),
            progress: Progress::default(),
        }
    }

    fn observe(&mut self, raw: &[u8]) -> Result<Pass, StreamFault> {
        self.progress.frames = self.progress.frames.saturating_add(1);
        let frame = Frame::parse(raw);
        if frame.data.is_empty() {
            return Ok(Pass::Forward);
        }
        match self.dialect {
            Dialect::OpenAi => self.observe_openai(&frame.data),
            Dialect::Anthropic => self.observe_anthropic(&frame),
        }
    }

    fn observe_openai(&mut self, data: &[u8]) -> Result<Pass, StreamFault> {
        if data.trim_ascii() == b"[DONE]" {
            self.progress.terminated = true;
            return Ok(Pass::Forward);
        }
        let found = scan(data);
        if found.error {
            return Err(upstream_fault(self.dialect, data));
        }
        self.add_content(found.content_bytes);
        if self.progress.model.is_none() {
            self.progress.model = found.model.filter(|model| !model.is_empty()).map(text);
        }
        if let Some(reason) = found.finish_reason {
            self.progress.finish_reason = Some(finish_reason(self.dialect, reason));
        }
        if found.usage
            && let Some(usage) = openai::wire::usage_of(data)
        {
            self.progress.usage = Some(usage);
        }
        let strip = found.usage && found.no_choices && self.strip_usage;
        Ok(if strip { Pass::Strip } else { Pass::Forward })
    }

    fn observe_anthropic(&mut self, frame: &Frame<'_>) -> Result<Pass, StreamFault> {
        let found = scan(&frame.data);
        let kind = found.kind.unwrap_or(frame.event);
        match kind {
            b"error" => return Err(upstream_fault(self.dialect, &frame.data)),
            b"message_stop" => self.progress.terminated = true,
            b"message_start" | b"message_delta" => {
                let report = anthropic::wire::usage_report(&frame.data);
                if let Some(usage) = report.usage {
                    self.cumulative.merge(&usage);
                    self.progress.usage = self.cumulative.canonical();
                }
                if self.progress.model.is_none() {
                    self.progress.model = report.model;
                }
                if let Some(reason) = found.finish_reason {
                    self.progress.finish_reason = Some(finish_reason(self.dialect, reason));
                }
            }
            b"content_block_start" | b"content_block_delta" => {
                self.add_content(found.content_bytes);
            }
            _ => {}
        }
        Ok(Pass::Forward)
    }

    fn add_content(&mut self, bytes: u64) {
        self.progress.content |= bytes > 0;
        self.progress.output_bytes = self.progress.output_bytes.saturating_add(bytes);
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
            let pass = self.observe(run.get(start..end).unwrap_or_default());
            if !matches!(pass, Ok(Pass::Forward)) {
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

fn upstream_fault(dialect: Dialect, data: &[u8]) -> StreamFault {
    StreamFault::Upstream(decode_error(dialect, StatusCode::OK, data))
}

fn forward_slice(run: &Bytes, range: std::ops::Range<usize>, out: &mut Vec<Bytes>) {
    if !range.is_empty() {
        out.push(run.slice(range));
    }
}

impl StreamTranslator for PassthroughStream {
    fn push(&mut self, chunk: Bytes, out: &mut Vec<Bytes>) -> Result<(), StreamFault> {
        let mut ends = std::mem::take(&mut self.ends);
        let run = self.frames.push(chunk, &mut ends)?;
        let forwarded = self.forward(&run, &ends, out);
        self.ends = ends;
        forwarded
    }

    fn finish(&mut self, out: &mut Vec<Bytes>) -> Result<(), StreamFault> {
        let rest = self.frames.finish();
        let before = self.progress.terminated;
        if !rest.trim_ascii().is_empty() {
            self.observe(&rest)?;
        }
        if !self.progress.terminated {
            return Err(StreamFault::Truncated);
        }
        if !before {
            // The terminator came without its blank line; without one a client would ignore it.
            out.push(Bytes::from([rest.trim_ascii_end(), b"\n\n"].concat()));
        } else if !rest.is_empty() {
            out.push(rest);
        }
        Ok(())
    }

    fn progress(&self) -> &Progress {
        &self.progress
    }
}

#[cfg(test)]
mod tests;
