//! Streams of `streamGenerateContent` as canonical events. Each frame is an answer of its own, whose
//! parts continue those before.

use super::arguments::Partial;
use super::grounding::{self, Offsets};
use super::part::{Ids, decode_part};
use super::picture;
use super::response::{decode_logprobs, failure};
use super::wire::{WireAnswer, WireCall, WireCandidate, WirePart, finish_reason, is_failure};
use crate::llm::chat::{ChatEvent, Citation, Content, FinishReason, Part, Source};
use crate::llm::codec::{EventDecoder, fnv1a};
use crate::llm::error::{ApiError, ErrorKind};
use crate::llm::scan::scan;
use crate::llm::sse::Frame;
use crate::llm::stream::StreamFault;

/// Reads frames. There is no terminator: the stream is complete when it ends after every candidate
/// has said why it stopped, or the prompt was refused.
#[derive(Default)]
pub struct Decoder {
    started: bool,
    prefix: String,
    blocked: bool,
    current: u32,
    candidates: Vec<Candidate>,
}

/// What is known of one candidate.
struct Candidate {
    index: u32,
    ids: Ids,
    offsets: Offsets,
    calls: usize,
    partial: Option<Partial>,
    cited: Vec<Citation>,
    finish: Option<String>,
}

impl EventDecoder for Decoder {
    fn decode(
        &mut self,
        frame: &Frame<'_>,
        events: &mut Vec<ChatEvent>,
    ) -> Result<(), StreamFault> {
        let data = frame.data.trim_ascii();
        if scan(data).error || data.starts_with(b"[") {
            return Err(error_frame());
        }
        let answer: WireAnswer = serde_json::from_slice(data)
            .map_err(|error| StreamFault::Malformed(format!("a frame is not JSON: {error}")))?;
        self.blocked |= answer.prompt_feedback.is_some_and(|it| it.block_reason.is_some());
        if !std::mem::replace(&mut self.started, true) {
            self.prefix =
                answer.response_id.clone().unwrap_or_else(|| format!("{:016x}", fnv1a(data)));
            events.push(ChatEvent::Start { id: answer.response_id, model: answer.model_version });
        }
        let mut candidates = answer.candidates.unwrap_or_default().into_iter();
        let said = candidates.try_for_each(|candidate| self.candidate(candidate, events));
        // What a failure costs is told beside it.
        let usage = answer.usage_metadata.and_then(|usage| usage.canonical());
        events.extend(usage.map(ChatEvent::Usage));
        said
    }

    fn finish(&mut self, events: &mut Vec<ChatEvent>) -> Result<(), StreamFault> {
        let complete = self.candidates.iter().all(|candidate| candidate.finish.is_some());
        if !complete || (self.candidates.is_empty() && !self.blocked) {
            return Ok(());
        }
        if self.candidates.is_empty() {
            let reason = FinishReason::ContentFilter;
            events.push(ChatEvent::Finish { reason, stop_sequence: None });
        }
        for candidate in &mut self.candidates {
            if std::mem::replace(&mut self.current, candidate.index) != candidate.index {
                events.push(ChatEvent::Choice(candidate.index));
            }
            let word = candidate.finish.take().unwrap_or_default();
            let reason = finish_reason(&word, candidate.calls > 0);
            events.push(ChatEvent::Finish { reason, stop_sequence: None });
        }
        events.push(ChatEvent::End);
        Ok(())
    }
}

/// The crossing reads the error itself from the frame.
fn error_frame() -> StreamFault {
    StreamFault::Upstream(ApiError::new(
        http::StatusCode::BAD_GATEWAY,
        ErrorKind::Upstream,
        ErrorKind::Upstream.default_code(),
        "the provider reported an error in its stream",
    ))
}

impl Decoder {
    fn candidate(
        &mut self,
        mut wire: WireCandidate,
        events: &mut Vec<ChatEvent>,
    ) -> Result<(), StreamFault> {
        let index = wire.index.unwrap_or(0);
        if std::mem::replace(&mut self.current, index) != index {
            events.push(ChatEvent::Choice(index));
        }
        let position = self.candidates.iter().position(|candidate| candidate.index == index);
        let position = position.unwrap_or_else(|| {
            self.candidates.push(Candidate::new(index, &self.prefix));
            self.candidates.len() - 1
        });
        let Some(candidate) = self.candidates.get_mut(position) else { return Ok(()) };
        for part in wire.content.take().and_then(|content| content.parts).unwrap_or_default() {
            candidate.part(part, events)?;
        }
        if let Some(logprobs) = wire.logprobs_result.take() {
            events.push(ChatEvent::Logprobs(decode_logprobs(logprobs)));
        }
        for citation in grounding::decode(&wire, &candidate.offsets) {
            // Later frames repeat what earlier ones found.
            if !candidate.cited.contains(&citation) {
                candidate.cited.push(citation.clone());
                events.push(ChatEvent::Citation(citation));
            }
        }
        candidate.stop(wire, events)
    }
}

impl Candidate {
    fn new(index: u32, prefix: &str) -> Self {
        let prefix = if index == 0 { prefix.to_owned() } else { format!("{prefix}_{index}") };
        Self {
            index,
            ids: Ids::new(prefix),
            offsets: Offsets::default(),
            calls: 0,
            partial: None,
            cited: Vec::new(),
            finish: None,
        }
    }

    fn part(&mut self, mut wire: WirePart, events: &mut Vec<ChatEvent>) -> Result<(), StreamFault> {
        if let Some(call) = wire.function_call.take_if(|call| self.in_pieces(call)) {
            let proof = wire.thought_signature.take();
            return self.piece(call, proof, events);
        }
        let part = decode_part(wire, &mut self.ids)
            .map_err(|error| StreamFault::Malformed(error.to_string()))?;
        let Some(Part { content, signature, .. }) = part else { return Ok(()) };
        match content {
            Content::Text(text) => {
                self.offsets.push(0, &text);
                events.extend((!text.is_empty()).then_some(ChatEvent::Text(text)));
            }
            Content::Thinking { text, signature } => {
                events.extend((!text.is_empty()).then_some(ChatEvent::Thinking(text)));
                events.extend(signature.map(ChatEvent::Signature));
            }
            Content::RedactedThinking(data) => events.push(ChatEvent::RedactedThinking(data)),
            Content::ToolCall { id, name, arguments } => {
                let index = self.calls;
                self.calls += 1;
                events.push(ChatEvent::ToolCall { index, id, name });
                events.push(ChatEvent::Arguments { index, json: arguments });
            }
            // No dialect that is crossed to has images in its answers.
            Content::Image { source: Source::Base64 { media_type, data }, .. } => {
                events.push(ChatEvent::Text(picture::to_text(&media_type, &data)));
            }
            _ => {}
        }
        events.extend(signature.map(ChatEvent::PartSignature));
        Ok(())
    }

    fn in_pieces(&self, call: &WireCall) -> bool {
        let named = call.name.as_ref().is_some_and(|name| !name.is_empty());
        let continues = call.will_continue == Some(true) || call.partial_args.is_some();
        continues || !named
    }

    /// A piece of a call. A new name begins one; a piece that does not continue ends it.
    fn piece(
        &mut self,
        call: WireCall,
        proof: Option<String>,
        events: &mut Vec<ChatEvent>,
    ) -> Result<(), StreamFault> {
        if call.name.as_ref().is_some_and(|name| !name.is_empty()) {
            self.close(events);
            let begin =
                WireCall { id: call.id.clone(), name: call.name.clone(), ..WireCall::default() };
            let (function_call, thought_signature) = (Some(begin), proof);
            let before = events.len();
            self.part(
                WirePart { function_call, thought_signature, ..WirePart::default() },
                events,
            )?;
            // The arguments are not known yet.
            let arguments = |event: &ChatEvent| matches!(event, ChatEvent::Arguments { .. });
            if let Some(at) = events.iter().skip(before).position(arguments) {
                events.remove(before + at);
            }
            self.partial = Some(Partial::new(self.calls.saturating_sub(1)));
        }
        if let Some(partial) = &mut self.partial {
            partial.take(&call);
            if call.will_continue != Some(true) {
                self.close(events);
            }
        }
        Ok(())
    }

    fn close(&mut self, events: &mut Vec<ChatEvent>) {
        if let Some(partial) = self.partial.take() {
            events.push(ChatEvent::Arguments { index: partial.index, json: partial.json() });
        }
    }

    /// Some versions say STOP in every frame, so the end is told when the stream has ended.
    fn stop(
        &mut self,
        wire: WireCandidate,
        events: &mut Vec<ChatEvent>,
    ) -> Result<(), StreamFault> {
        let Some(word) = wire.finish_reason.filter(|word| !word.is_empty()) else { return Ok(()) };
        if is_failure(&word) {
            return Err(StreamFault::Malformed(failure(&word, wire.finish_message.as_deref())));
        }
        self.close(events);
        self.finish = Some(word);
        Ok(())
    }
}
