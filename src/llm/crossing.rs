//! Crossing dialects: decode with one codec, encode with the other, and keep count. Knows no wire
//! format.

use bytes::Bytes;
use http::StatusCode;

use super::Dialect;
use super::chat::{ChatEvent, ChatResponse, Content, Part};
use super::codec::{Dropped, EventDecoder, EventEncoder, codec};
use super::error::{RequestError, decode_error};
use super::rewrite::Rewrite;
use super::scan::scan;
use super::sse::{Frame, FrameScanner};
use super::stream::{Progress, StreamFault, StreamTranslator};
use super::translate::{ResponseContext, ResponseError, UpstreamRequest, WholeResponse};

/// The bound on generated tokens where a dialect requires one and nobody names one.
const DEFAULT_MAX_TOKENS: u64 = 4096;

/// Puts a request of one dialect into another.
pub(crate) fn request(
    downstream: Dialect,
    upstream: Dialect,
    body: &[u8],
    rewrite: &Rewrite<'_>,
) -> Result<UpstreamRequest, RequestError> {
    let mut dropped = Dropped::default();
    let mut request = codec(downstream).decode_request(body, &mut dropped)?;
    rewrite.model.clone_into(&mut request.model);
    if upstream == Dialect::Anthropic {
        let default = rewrite.default_max_tokens.unwrap_or(DEFAULT_MAX_TOKENS);
        request.max_tokens.get_or_insert(default);
    }
    let codec = codec(upstream);
    let body = codec.encode_request(&request, &mut dropped)?;
    Ok(UpstreamRequest {
        body: Bytes::from(body),
        dropped: dropped.into_names(),
        headers: codec.request_headers(),
    })
}

/// Puts a whole answer of one dialect into another.
pub(crate) fn response(
    downstream: Dialect,
    upstream: Dialect,
    body: &Bytes,
    context: &ResponseContext,
) -> Result<WholeResponse, ResponseError> {
    let found = scan(body);
    if found.error || found.kind == Some(b"error") {
        return Err(ResponseError::Upstream(decode_error(upstream, StatusCode::OK, body)));
    }
    let response = codec(upstream).decode_response(body).map_err(ResponseError::Malformed)?;
    let encoded = codec(downstream).encode_response(&response, context);
    let output_bytes = content_bytes(&response);
    Ok(WholeResponse {
        body: Bytes::from(encoded),
        usage: response.usage,
        model: response.model,
        finish_reason: response.finish_reason,
        output_bytes,
    })
}

fn content_bytes(response: &ChatResponse) -> u64 {
    let bytes = |part: &Part| match &part.content {
        Content::Text(text) | Content::Refusal(text) | Content::Thinking { text, .. } => text.len(),
        Content::ToolCall { name, arguments, .. } => name.len() + arguments.len(),
        _ => 0,
    };
    response.parts.iter().map(|part| bytes(part) as u64).sum()
}

/// Translates one stream between two dialects.
pub struct CrossingStream {
    upstream: Dialect,
    frames: FrameScanner,
    ends: Vec<usize>,
    decoder: Box<dyn EventDecoder>,
    encoder: Box<dyn EventEncoder>,
    events: Vec<ChatEvent>,
    progress: Progress,
}

impl CrossingStream {
    /// `include_usage`: the client asked for usage in the stream, where its dialect has the choice.
    pub fn new(
        downstream: Dialect,
        upstream: Dialect,
        context: &ResponseContext,
        include_usage: bool,
    ) -> Self {
        Self {
            upstream,
            frames: FrameScanner::default(),
            ends: Vec::new(),
            decoder: codec(upstream).decoder(),
            encoder: codec(downstream).encoder(context, include_usage),
            events: Vec::new(),
            progress: Progress::default(),
        }
    }

    fn frame(&mut self, raw: &[u8], encoded: &mut Vec<u8>) -> Result<(), StreamFault> {
        self.progress.frames = self.progress.frames.saturating_add(1);
        let frame = Frame::parse(raw);
        if frame.data.is_empty() || self.progress.terminated {
            return Ok(());
        }
        let mut events = std::mem::take(&mut self.events);
        events.clear();
        let mut result = self.decoder.decode(&frame, &mut events);
        for event in &events {
            note(&mut self.progress, event);
            result = result.and(self.encoder.encode(event, encoded));
        }
        self.events = events;
        result.map_err(|fault| self.explain(fault, &frame))
    }

    /// Decoders only say that a frame is an error; its reading is the same for all.
    fn explain(&self, fault: StreamFault, frame: &Frame<'_>) -> StreamFault {
        match fault {
            StreamFault::Upstream(_) => {
                StreamFault::Upstream(decode_error(self.upstream, StatusCode::OK, &frame.data))
            }
            other => other,
        }
    }

    fn run(
        &mut self,
        run: &[u8],
        ends: &[usize],
        encoded: &mut Vec<u8>,
    ) -> Result<(), StreamFault> {
        let mut start = 0;
        for &end in ends {
            self.frame(run.get(start..end).unwrap_or_default(), encoded)?;
            start = end;
        }
        Ok(())
    }
}

fn note(progress: &mut Progress, event: &ChatEvent) {
    let bytes = match event {
        ChatEvent::Text(text) | ChatEvent::Refusal(text) | ChatEvent::Thinking(text) => text.len(),
        ChatEvent::ToolCall { name, .. } => name.len(),
        ChatEvent::Arguments { json, .. } => json.len(),
        ChatEvent::RedactedThinking(data) => data.len(),
        ChatEvent::Start { model, .. } => {
            progress.model.clone_from(model);
            0
        }
        ChatEvent::Finish { reason, .. } => {
            progress.finish_reason = Some(reason.clone());
            0
        }
        ChatEvent::Usage(usage) => {
            progress.usage = Some(*usage);
            0
        }
        ChatEvent::End => {
            progress.terminated = true;
            0
        }
        ChatEvent::Signature(_) | ChatEvent::BlockEnd => 0,
    };
    progress.content |= bytes > 0;
    progress.output_bytes = progress.output_bytes.saturating_add(bytes as u64);
}

impl StreamTranslator for CrossingStream {
    fn push(&mut self, chunk: Bytes, out: &mut Vec<Bytes>) -> Result<(), StreamFault> {
        let mut ends = std::mem::take(&mut self.ends);
        let run = self.frames.push(chunk, &mut ends)?;
        let mut encoded = Vec::new();
        let result = self.run(&run, &ends, &mut encoded);
        self.ends = ends;
        if !encoded.is_empty() {
            out.push(Bytes::from(encoded));
        }
        result
    }

    fn finish(&mut self, out: &mut Vec<Bytes>) -> Result<(), StreamFault> {
        let rest = self.frames.finish();
        let mut encoded = Vec::new();
        let blank = rest.trim_ascii().is_empty();
        let last = if blank { Ok(()) } else { self.frame(&rest, &mut encoded) };
        if !encoded.is_empty() {
            out.push(Bytes::from(encoded));
        }
        match last {
            Err(StreamFault::Upstream(error)) => Err(StreamFault::Upstream(error)),
            Ok(()) if self.progress.terminated => Ok(()),
            Ok(()) | Err(_) => Err(StreamFault::Truncated),
        }
    }

    fn progress(&self) -> &Progress {
        &self.progress
    }
}
