//! Crossing dialects: decode with one codec, encode with the other, and keep count. Knows no wire
//! format.

use bytes::Bytes;
use http::{HeaderMap, StatusCode};

use super::Dialect;
use super::chat::{ChatEvent, ChatResponse, Content, Part};
use super::codec::{Dropped, EventDecoder, EventEncoder, codec};
use super::error::{ApiError, RequestError, decode_error};
use super::framing::FrameCutter;
use super::rewrite::Rewrite;
use super::scan::scan;
use super::sse::Frame;
use super::stream::{Progress, StreamFault, StreamTranslator};
use super::translate::{ResponseContext, ResponseError, UpstreamRequest, WholeResponse};

/// The bound on generated tokens where a dialect requires one and nobody names one.
const DEFAULT_MAX_TOKENS: u64 = 4096;

/// What the body of a request alone does not say.
pub(crate) struct Wanted<'a> {
    /// Whether the answer is streamed: in some dialects the path says so.
    pub stream: bool,
    /// What the target changes.
    pub rewrite: Rewrite<'a>,
}

/// Puts a request of one dialect into another.
pub(crate) fn request(
    downstream: Dialect,
    upstream: Dialect,
    body: &[u8],
    Wanted { stream, rewrite }: &Wanted<'_>,
) -> Result<UpstreamRequest, RequestError> {
    let mut dropped = Dropped::default();
    let mut request = codec(downstream).decode_request(body, &mut dropped)?;
    rewrite.model.clone_into(&mut request.model);
    request.stream = *stream;
    let codec = codec(upstream);
    if codec.requires_max_tokens() {
        let default = rewrite.default_max_tokens.unwrap_or(DEFAULT_MAX_TOKENS);
        request.max_tokens.get_or_insert(default);
    }
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
        return Err(ResponseError::Upstream(in_a_200(upstream, body)));
    }
    let response = codec(upstream).decode_response(body).map_err(ResponseError::Malformed)?;
    let encoded = codec(downstream).encode_response(&response, context);
    let output_bytes = content_bytes(&response);
    let finish_reason = response.first().and_then(|choice| choice.finish_reason.clone());
    Ok(WholeResponse {
        body: Bytes::from(encoded),
        usage: response.usage,
        model: response.model,
        stored_as: None,
        finish_reason,
        output_bytes,
    })
}

fn in_a_200(upstream: Dialect, body: &[u8]) -> ApiError {
    decode_error(upstream, StatusCode::OK, &HeaderMap::new(), body)
}

fn content_bytes(response: &ChatResponse) -> u64 {
    let bytes = |part: &Part| match &part.content {
        Content::Text(text) | Content::Refusal(text) | Content::Thinking { text, .. } => text.len(),
        Content::ToolCall { name, arguments, .. } => name.len() + arguments.len(),
        _ => 0,
    };
    let parts = response.choices.iter().flat_map(|choice| &choice.parts);
    parts.map(|part| bytes(part) as u64).sum()
}

/// Translates one stream between two dialects.
pub struct CrossingStream {
    upstream: Dialect,
    frames: FrameCutter,
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
            frames: FrameCutter::new(codec(upstream).framing()),
            ends: Vec::new(),
            decoder: codec(upstream).decoder(),
            encoder: codec(downstream).encoder(context, include_usage),
            events: Vec::new(),
            progress: Progress::default(),
        }
    }

    fn frame(&mut self, raw: &[u8], encoded: &mut Vec<u8>) -> Result<(), StreamFault> {
        let frame = self.frames.parse(raw)?;
        // A broken one is none, wherever the cut before it was.
        self.progress.frames = self.progress.frames.saturating_add(1);
        if frame.data.is_empty() || self.progress.terminated {
            return Ok(());
        }
        let mut events = std::mem::take(&mut self.events);
        events.clear();
        let decoded = self.decoder.decode(&frame, &mut events);
        let encoded = self.encode(&events, encoded);
        self.events = events;
        decoded.and(encoded).map_err(|fault| self.explain(fault, &frame))
    }

    /// Events before a fault are good.
    fn encode(&mut self, events: &[ChatEvent], encoded: &mut Vec<u8>) -> Result<(), StreamFault> {
        for event in events {
            note(&mut self.progress, event);
        }
        self.encoder.encode_all(events, encoded)
    }

    /// The upstream's bytes have ended: what its last frame, which lacks its end, and the decoder
    /// still say.
    fn last(&mut self, rest: &[u8], encoded: &mut Vec<u8>) -> Result<(), StreamFault> {
        if !rest.trim_ascii().is_empty() {
            self.frame(rest, encoded)?;
        }
        if self.progress.terminated {
            return Ok(());
        }
        let mut events = Vec::new();
        let finished = self.decoder.finish(&mut events);
        self.encode(&events, encoded)?;
        finished
    }

    /// Decoders only say that a frame is an error; its reading is the same for all.
    fn explain(&self, fault: StreamFault, frame: &Frame<'_>) -> StreamFault {
        match fault {
            StreamFault::Upstream(_) => StreamFault::Upstream(in_a_200(self.upstream, &frame.data)),
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
        ChatEvent::Choice(_)
        | ChatEvent::Citation(_)
        | ChatEvent::Logprobs(_)
        | ChatEvent::Signature(_)
        | ChatEvent::PartSignature(_)
        | ChatEvent::BlockEnd
        | ChatEvent::CallEnd(_) => 0,
    };
    progress.add_content(bytes as u64);
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
        let last = self.last(&rest, &mut encoded);
        if !encoded.is_empty() {
            out.push(Bytes::from(encoded));
        }
        match last {
            Err(StreamFault::Upstream(error)) => Err(StreamFault::Upstream(error)),
            Ok(()) if self.progress.terminated => Ok(()),
            Ok(()) | Err(_) => Err(StreamFault::Truncated),
        }
    }

    fn fail(&mut self, error: &ApiError, out: &mut Vec<Bytes>) {
        let mut encoded = Vec::new();
        self.encoder.fail(error, &mut encoded);
        out.push(Bytes::from(encoded));
    }

    fn progress(&self) -> &Progress {
        &self.progress
    }
}
