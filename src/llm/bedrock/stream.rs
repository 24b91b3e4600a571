//! Streams of Converse: events to canonical events.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::{HeaderMap, StatusCode};
use serde::Deserialize;
use serde_json::Value;

use super::block::{decode_citation, redacted_text};
use super::error::Errors;
use super::wire::{WireCitation, WireToolUse, WireUsage, finish_reason, stop_sequence};
use crate::llm::chat::{ChatEvent, Signature, Signer};
use crate::llm::codec::EventDecoder;
use crate::llm::error::ErrorCodec as _;
use crate::llm::eventstream::ERROR_EVENT;
use crate::llm::sse::Frame;
use crate::llm::stream::StreamFault;
use crate::llm::structured::{self, ANSWER_TOOL};

/// Reads events. Unknown ones and blocks of Bedrock's own tools are skipped. Usage comes after the end
/// of the message (or, with some models, before it): the stream is complete when both were seen.
#[derive(Default)]
pub struct Decoder {
    started: bool,
    stopped: bool,
    reported: bool,
    ended: bool,
    answered: bool,
    calls: usize,
    open: Vec<(u64, Block)>,
}

enum Block {
    Plain,
    Call {
        index: usize,
        has_arguments: bool,
    },
    /// The call that stands in for a structured answer: its input is text.
    Answer,
    /// Comes in pieces, goes out whole.
    Redacted(Vec<u8>),
    /// Only Bedrock knows it.
    Foreign,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Event {
    content_block_index: u64,
    start: Option<Start>,
    delta: Option<Delta>,
    stop_reason: Option<String>,
    additional_model_response_fields: Option<Value>,
    usage: Option<WireUsage>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Start {
    tool_use: Option<WireToolUse>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Delta {
    text: Option<String>,
    tool_use: Option<Input>,
    reasoning_content: Option<Reasoning>,
    citation: Option<WireCitation>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Input {
    input: Option<String>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Reasoning {
    text: Option<String>,
    signature: Option<String>,
    redacted_content: Option<String>,
}

impl EventDecoder for Decoder {
    fn decode(
        &mut self,
        frame: &Frame<'_>,
        events: &mut Vec<ChatEvent>,
    ) -> Result<(), StreamFault> {
        if frame.event == ERROR_EVENT {
            let error = Errors.decode(StatusCode::OK, &HeaderMap::new(), &frame.data);
            return Err(StreamFault::Upstream(error));
        }
        let event: Event = serde_json::from_slice(&frame.data)
            .map_err(|error| StreamFault::Malformed(format!("an event is not JSON: {error}")))?;
        let at = event.content_block_index;
        match frame.event {
            b"messageStart" => self.start(events),
            b"contentBlockStart" => self.block_start(at, event.start.unwrap_or_default(), events),
            b"contentBlockDelta" => self.block_delta(at, event.delta.unwrap_or_default(), events),
            b"contentBlockStop" => self.block_stop(at, events),
            b"messageStop" => self.message_stop(event, events),
            b"metadata" => {
                self.start(events);
                let usage = event.usage.and_then(|usage| usage.canonical());
                events.extend(usage.map(ChatEvent::Usage));
                self.reported = true;
                self.end_if(self.stopped, events);
            }
            _ => {}
        }
        Ok(())
    }

    fn finish(&mut self, events: &mut Vec<ChatEvent>) -> Result<(), StreamFault> {
        // A stream may lack its report of usage, never the end of its message.
        self.end_if(self.stopped, events);
        Ok(())
    }
}

impl Decoder {
    fn start(&mut self, events: &mut Vec<ChatEvent>) {
        if !std::mem::replace(&mut self.started, true) {
            events.push(ChatEvent::Start { id: None, model: None });
        }
    }

    fn end_if(&mut self, complete: bool, events: &mut Vec<ChatEvent>) {
        if complete && !std::mem::replace(&mut self.ended, true) {
            events.push(ChatEvent::End);
        }
    }

    fn block_start(&mut self, at: u64, start: Start, events: &mut Vec<ChatEvent>) {
        self.start(events);
        self.block_stop(at, events);
        let block = match start.tool_use {
            Some(call) if call.is_foreign() => Block::Foreign,
            Some(call) if call.name == ANSWER_TOOL => {
                self.answered = true;
                Block::Answer
            }
            Some(call) => {
                let index = self.calls;
                self.calls += 1;
                events.push(ChatEvent::ToolCall { index, id: call.tool_use_id, name: call.name });
                Block::Call { index, has_arguments: false }
            }
            // Text and reasoning begin by their first delta; what else begins is Bedrock's own.
            None => Block::Foreign,
        };
        self.open.push((at, block));
    }

    fn block_delta(&mut self, at: u64, delta: Delta, events: &mut Vec<ChatEvent>) {
        self.start(events);
        let given = |text: Option<String>| text.filter(|text| !text.is_empty());
        let input = given(delta.tool_use.and_then(|call| call.input));
        let reasoning = delta.reasoning_content.unwrap_or_default();
        let position = self.open.iter().position(|(index, _)| *index == at).unwrap_or_else(|| {
            self.open.push((at, Block::Plain));
            self.open.len() - 1
        });
        let Some((_, block)) = self.open.get_mut(position) else { return };
        if let Some(base64) = given(reasoning.redacted_content) {
            let bytes = STANDARD.decode(&base64).unwrap_or_else(|_| base64.into_bytes());
            if let Block::Redacted(held) = block {
                held.extend_from_slice(&bytes);
            } else {
                *block = Block::Redacted(bytes);
            }
        }
        match block {
            Block::Call { index, has_arguments } => {
                if let Some(json) = input {
                    *has_arguments = true;
                    events.push(ChatEvent::Arguments { index: *index, json });
                }
            }
            Block::Answer => events.extend(input.map(ChatEvent::Text)),
            Block::Foreign if delta.text.is_none() && reasoning.text.is_none() => return,
            // Some models announce a text: then it is known by its delta after all.
            Block::Foreign => *block = Block::Plain,
            Block::Plain | Block::Redacted(_) => {}
        }
        events.extend(given(delta.text).map(ChatEvent::Text));
        events.extend(given(reasoning.text).map(ChatEvent::Thinking));
        events.extend(
            given(reasoning.signature)
                .map(|text| ChatEvent::Signature(Signature::read(text, Signer::Anthropic))),
        );
        events
            .extend(delta.citation.map(|citation| ChatEvent::Citation(decode_citation(citation))));
    }

    fn block_stop(&mut self, at: u64, events: &mut Vec<ChatEvent>) {
        let Some(position) = self.open.iter().position(|(index, _)| *index == at) else { return };
        match self.open.swap_remove(position).1 {
            Block::Foreign => return,
            Block::Call { index, has_arguments } => {
                if !has_arguments {
                    events.push(ChatEvent::Arguments { index, json: "{}".to_owned() });
                }
                events.push(ChatEvent::CallEnd(index));
                return;
            }
            Block::Redacted(bytes) => {
                events.push(ChatEvent::RedactedThinking(redacted_text(bytes)));
            }
            Block::Plain | Block::Answer => {}
        }
        events.push(ChatEvent::BlockEnd);
    }

    fn message_stop(&mut self, event: Event, events: &mut Vec<ChatEvent>) {
        self.start(events);
        let open: Vec<u64> = self.open.iter().map(|(at, _)| *at).collect();
        for at in open {
            self.block_stop(at, events);
        }
        let reason = finish_reason(event.stop_reason.as_deref().unwrap_or("end_turn"));
        let reason = structured::finish(reason, self.answered, self.calls > 0);
        let stop_sequence = stop_sequence(event.additional_model_response_fields.as_ref());
        events.push(ChatEvent::Finish { reason, stop_sequence });
        self.stopped = true;
        self.end_if(self.reported, events);
    }
}
