//! Streams of Messages: events to canonical events; back: `encoder`.

mod encoder;

use serde::Deserialize;
use serde_json::Value;

use super::beside::{decode_citation, decode_citations};
use super::wire::{WireAnswer, WireBlock, WireUsage, finish_reason};
use crate::llm::chat::{ChatEvent, Json, Signature, Signer};
use crate::llm::codec::EventDecoder;
use crate::llm::error::{ApiError, ErrorKind};
use crate::llm::sse::Frame;
use crate::llm::stream::StreamFault;
use crate::llm::structured::{self, ANSWER_TOOL};

pub use encoder::Encoder;

/// Reads events. Unknown ones and blocks of Anthropic's own tools are skipped; a second
/// `message_start` changes nothing.
#[derive(Default)]
pub struct Decoder {
    started: bool,
    usage: WireUsage,
    calls: usize,
    /// The tool that stands in for a structured answer was called.
    answered: bool,
    open: Vec<(u64, Block)>,
}

#[derive(Clone, Copy, PartialEq)]
enum Block {
    Plain,
    Call {
        index: usize,
        has_arguments: bool,
    },
    /// The call that stands in for a structured answer: its input is text.
    Answer {
        has_text: bool,
    },
    /// Only Anthropic knows it.
    Foreign,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Event {
    #[serde(rename = "type")]
    kind: String,
    index: u64,
    message: Option<WireAnswer>,
    content_block: Option<WireBlock>,
    delta: Option<Delta>,
    usage: Option<WireUsage>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Delta {
    text: Option<String>,
    thinking: Option<String>,
    signature: Option<String>,
    partial_json: Option<String>,
    citation: Option<Value>,
    stop_reason: Option<String>,
    stop_sequence: Option<String>,
}

impl EventDecoder for Decoder {
    fn decode(
        &mut self,
        frame: &Frame<'_>,
        events: &mut Vec<ChatEvent>,
    ) -> Result<(), StreamFault> {
        let event: Event = serde_json::from_slice(&frame.data)
            .map_err(|error| StreamFault::Malformed(format!("an event is not JSON: {error}")))?;
        match event.kind.as_str() {
            "error" => return Err(error_frame()),
            "message_start" => self.message_start(event.message.unwrap_or_default(), events),
            "content_block_start" => {
                self.block_start(event.index, event.content_block.unwrap_or_default(), events);
            }
            "content_block_delta" => {
                self.block_delta(event.index, event.delta.unwrap_or_default(), events);
            }
            "content_block_stop" => self.block_stop(event.index, events),
            "message_delta" => self.message_delta(event, events),
            "message_stop" => events.push(ChatEvent::End),
            _ => {}
        }
        Ok(())
    }
}

/// The input of a call where it comes at once; it mostly comes in pieces.
fn given_input(input: &Json) -> Option<String> {
    let text = input.text();
    (!matches!(text, "{}" | "null" | "\"\"")).then(|| text.to_owned())
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
    fn message_start(&mut self, message: WireAnswer, events: &mut Vec<ChatEvent>) {
        if !std::mem::replace(&mut self.started, true) {
            events.push(ChatEvent::Start { id: message.id, model: message.model });
        }
        self.report(message.usage.as_ref(), events);
    }

    fn report(&mut self, usage: Option<&WireUsage>, events: &mut Vec<ChatEvent>) {
        if let Some(usage) = usage {
            self.usage.merge(usage);
            events.extend(self.usage.canonical().map(ChatEvent::Usage));
        }
    }

    fn block_start(&mut self, at: u64, block: WireBlock, events: &mut Vec<ChatEvent>) {
        let given = |text: Option<String>| text.filter(|text| !text.is_empty());
        let opened = match block.kind.as_str() {
            "text" => {
                events.extend(given(block.text).map(ChatEvent::Text));
                let citations = decode_citations(block.citations.as_ref());
                events.extend(citations.into_iter().map(ChatEvent::Citation));
                Block::Plain
            }
            "thinking" => {
                events.extend(given(block.thinking).map(ChatEvent::Thinking));
                Block::Plain
            }
            "redacted_thinking" => {
                events.extend(given(block.data).map(ChatEvent::RedactedThinking));
                Block::Plain
            }
            "tool_use" if block.name.as_deref() == Some(ANSWER_TOOL) => {
                self.answered = true;
                let input = block.input.as_ref().and_then(given_input);
                let has_text = input.is_some();
                events.extend(input.map(ChatEvent::Text));
                Block::Answer { has_text }
            }
            "tool_use" => {
                let index = self.calls;
                self.calls += 1;
                events.push(ChatEvent::ToolCall {
                    index,
                    id: block.id.unwrap_or_default(),
                    name: block.name.unwrap_or_default(),
                });
                let input = block.input.as_ref().and_then(given_input);
                let has_arguments = input.is_some();
                events.extend(input.map(|json| ChatEvent::Arguments { index, json }));
                Block::Call { index, has_arguments }
            }
            _ => Block::Foreign,
        };
        self.open.retain(|(index, _)| *index != at);
        self.open.push((at, opened));
    }

    fn block_delta(&mut self, at: u64, delta: Delta, events: &mut Vec<ChatEvent>) {
        let open = self.open.iter_mut().find(|(index, _)| *index == at).map(|(_, block)| block);
        let given = |text: Option<String>| text.filter(|text| !text.is_empty());
        match open {
            Some(Block::Foreign) => {}
            Some(Block::Call { index, has_arguments }) => {
                if let Some(json) = given(delta.partial_json) {
                    *has_arguments = true;
                    events.push(ChatEvent::Arguments { index: *index, json });
                }
            }
            Some(Block::Answer { has_text }) => {
                if let Some(json) = given(delta.partial_json) {
                    *has_text = true;
                    events.push(ChatEvent::Text(json));
                }
            }
            Some(Block::Plain) | None => {
                events.extend(given(delta.text).map(ChatEvent::Text));
                events.extend(given(delta.thinking).map(ChatEvent::Thinking));
                let citation = delta.citation.as_ref().and_then(decode_citation);
                events.extend(citation.map(ChatEvent::Citation));
                events
                    .extend(given(delta.signature).map(|text| {
                        ChatEvent::Signature(Signature::read(text, Signer::Anthropic))
                    }));
            }
        }
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
            Block::Answer { has_text: false } => events.push(ChatEvent::Text("{}".to_owned())),
            Block::Answer { .. } | Block::Plain => {}
        }
        events.push(ChatEvent::BlockEnd);
    }

    fn message_delta(&mut self, event: Event, events: &mut Vec<ChatEvent>) {
        self.report(event.usage.as_ref(), events);
        let Some(delta) = event.delta else { return };
        if let Some(word) = delta.stop_reason {
            let reason = structured::finish(finish_reason(&word), self.answered, self.calls > 0);
            events.push(ChatEvent::Finish { reason, stop_sequence: delta.stop_sequence });
        }
    }
}
