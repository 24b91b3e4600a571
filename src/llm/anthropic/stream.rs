//! Streams of Messages: events to canonical events and back.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::response::answer_id;
use super::wire::{WireAnswer, WireBlock, WireUsage, finish_reason, finish_word};
use crate::llm::chat::{ChatEvent, FinishReason};
use crate::llm::codec::{EventDecoder, EventEncoder, safe_id};
use crate::llm::error::{ApiError, ErrorKind};
use crate::llm::sse::Frame;
use crate::llm::stream::StreamFault;
use crate::llm::translate::ResponseContext;
use crate::llm::usage::Usage;

/// Reads events. Unknown ones and blocks of Anthropic's own tools are skipped; a second
/// `message_start` changes nothing.
#[derive(Default)]
pub struct Decoder {
    started: bool,
    usage: WireUsage,
    calls: usize,
    open: Vec<(u64, Block)>,
}

#[derive(Clone, Copy, PartialEq)]
enum Block {
    Plain,
    Call {
        index: usize,
        has_arguments: bool,
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
            "tool_use" => {
                let index = self.calls;
                self.calls += 1;
                events.push(ChatEvent::ToolCall {
                    index,
                    id: block.id.unwrap_or_default(),
                    name: block.name.unwrap_or_default(),
                });
                let input = block.input.map(|input| input.text().to_owned());
                let input = input.filter(|text| !matches!(text.as_str(), "{}" | "null" | "\"\""));
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
            Some(Block::Plain) | None => {
                events.extend(given(delta.text).map(ChatEvent::Text));
                events.extend(given(delta.thinking).map(ChatEvent::Thinking));
                events.extend(given(delta.signature).map(ChatEvent::Signature));
            }
        }
    }

    fn block_stop(&mut self, at: u64, events: &mut Vec<ChatEvent>) {
        let Some(position) = self.open.iter().position(|(index, _)| *index == at) else { return };
        match self.open.swap_remove(position).1 {
            Block::Foreign => return,
            Block::Call { index, has_arguments: false } => {
                events.push(ChatEvent::Arguments { index, json: "{}".to_owned() });
            }
            Block::Call { .. } | Block::Plain => {}
        }
        events.push(ChatEvent::BlockEnd);
    }

    fn message_delta(&mut self, event: Event, events: &mut Vec<ChatEvent>) {
        self.report(event.usage.as_ref(), events);
        let Some(delta) = event.delta else { return };
        if let Some(word) = delta.stop_reason {
            let reason = finish_reason(&word);
            events.push(ChatEvent::Finish { reason, stop_sequence: delta.stop_sequence });
        }
    }
}

/// Writes events. One block is open at a time; usage and the stop reason go out together at the end,
/// because other dialects report usage last.
pub struct Encoder {
    context: ResponseContext,
    started: bool,
    open: Option<Open>,
    blocks: u64,
    called: bool,
    refused: bool,
    finish: Option<(FinishReason, Option<String>)>,
    usage: Usage,
}

#[derive(Clone, Copy, PartialEq)]
enum Open {
    Text,
    Thinking,
    Call(usize),
}

#[derive(Serialize)]
struct BlockDelta<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    index: u64,
    delta: Piece<'a>,
}

#[derive(Serialize)]
#[serde(tag = "type")]
enum Piece<'a> {
    #[serde(rename = "text_delta")]
    Text { text: &'a str },
    #[serde(rename = "thinking_delta")]
    Thinking { thinking: &'a str },
    #[serde(rename = "signature_delta")]
    Signature { signature: &'a str },
    #[serde(rename = "input_json_delta")]
    InputJson { partial_json: &'a str },
}

impl Encoder {
    /// A new stream.
    pub fn new(context: &ResponseContext) -> Self {
        Self {
            context: context.clone(),
            started: false,
            open: None,
            blocks: 0,
            called: false,
            refused: false,
            finish: None,
            usage: Usage::default(),
        }
    }

    fn start(
        &mut self,
        id: Option<&str>,
        model: Option<&str>,
        out: &mut Vec<u8>,
    ) -> Result<(), StreamFault> {
        if std::mem::replace(&mut self.started, true) {
            return Ok(());
        }
        let message = json!({
            "id": answer_id(id, &self.context),
            "type": "message",
            "role": "assistant",
            "model": model.unwrap_or(&self.context.model),
            "content": [],
            "stop_reason": null,
            "stop_sequence": null,
            "usage": WireUsage::from(self.usage),
        });
        write("message_start", &json!({"type": "message_start", "message": message}), out)
    }

    /// Opens a block of a kind unless it is open already.
    fn ensure(&mut self, kind: Open, out: &mut Vec<u8>) -> Result<(), StreamFault> {
        if self.open == Some(kind) {
            return Ok(());
        }
        let block = match kind {
            Open::Text => json!({"type": "text", "text": ""}),
            _ => json!({"type": "thinking", "thinking": "", "signature": ""}),
        };
        self.open_block(kind, &block, out)
    }

    fn open_block(
        &mut self,
        kind: Open,
        block: &Value,
        out: &mut Vec<u8>,
    ) -> Result<(), StreamFault> {
        self.close(out)?;
        self.open = Some(kind);
        let event =
            json!({"type": "content_block_start", "index": self.blocks, "content_block": block});
        write("content_block_start", &event, out)
    }

    fn close(&mut self, out: &mut Vec<u8>) -> Result<(), StreamFault> {
        if self.open.take().is_none() {
            return Ok(());
        }
        let event = json!({"type": "content_block_stop", "index": self.blocks});
        self.blocks += 1;
        write("content_block_stop", &event, out)
    }

    fn delta(&self, delta: Piece<'_>, out: &mut Vec<u8>) -> Result<(), StreamFault> {
        let kind = "content_block_delta";
        write(kind, &BlockDelta { kind, index: self.blocks, delta }, out)
    }

    fn arguments(
        &mut self,
        index: usize,
        json: &str,
        out: &mut Vec<u8>,
    ) -> Result<(), StreamFault> {
        if self.open == Some(Open::Call(index)) {
            return self.delta(Piece::InputJson { partial_json: json }, out);
        }
        if json.trim().is_empty() {
            return Ok(());
        }
        let text = "arguments of two tool calls are interleaved, which Messages cannot express";
        Err(StreamFault::Malformed(text.to_owned()))
    }

    fn end(&mut self, out: &mut Vec<u8>) -> Result<(), StreamFault> {
        self.close(out)?;
        let unnamed = if self.called { FinishReason::ToolCalls } else { FinishReason::Stop };
        let (reason, stop_sequence) = self.finish.take().unwrap_or((unnamed, None));
        let reason = if self.refused { FinishReason::ContentFilter } else { reason };
        let event = json!({
            "type": "message_delta",
            "delta": {
                "stop_reason": finish_word(&reason, stop_sequence.as_deref()),
                "stop_sequence": stop_sequence,
            },
            "usage": WireUsage::from(self.usage),
        });
        write("message_delta", &event, out)?;
        write("message_stop", &json!({"type": "message_stop"}), out)
    }
}

fn write<T: Serialize>(name: &str, event: &T, out: &mut Vec<u8>) -> Result<(), StreamFault> {
    out.extend_from_slice(b"event: ");
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b"\ndata: ");
    serde_json::to_writer(&mut *out, event)
        .map_err(|error| StreamFault::Malformed(error.to_string()))?;
    out.extend_from_slice(b"\n\n");
    Ok(())
}

impl EventEncoder for Encoder {
    fn encode(&mut self, event: &ChatEvent, out: &mut Vec<u8>) -> Result<(), StreamFault> {
        match event {
            ChatEvent::Usage(usage) => {
                self.usage = *usage;
                return Ok(());
            }
            ChatEvent::Start { id, model } => {
                return self.start(id.as_deref(), model.as_deref(), out);
            }
            _ => self.start(None, None, out)?,
        }
        match event {
            ChatEvent::Text(text) | ChatEvent::Refusal(text) => {
                self.refused |= matches!(event, ChatEvent::Refusal(_));
                self.ensure(Open::Text, out)?;
                self.delta(Piece::Text { text }, out)
            }
            ChatEvent::Thinking(thinking) => {
                self.ensure(Open::Thinking, out)?;
                self.delta(Piece::Thinking { thinking }, out)
            }
            ChatEvent::Signature(signature) => {
                self.ensure(Open::Thinking, out)?;
                self.delta(Piece::Signature { signature }, out)?;
                self.close(out)
            }
            ChatEvent::RedactedThinking(data) => {
                let block = json!({"type": "redacted_thinking", "data": data});
                self.open_block(Open::Thinking, &block, out)?;
                self.close(out)
            }
            ChatEvent::ToolCall { index, id, name } => {
                self.called = true;
                let id = safe_id(id, usize::MAX);
                let block = json!({"type": "tool_use", "id": id, "name": name, "input": {}});
                self.open_block(Open::Call(*index), &block, out)
            }
            ChatEvent::Arguments { index, json } => self.arguments(*index, json, out),
            ChatEvent::BlockEnd => self.close(out),
            ChatEvent::Finish { reason, stop_sequence } => {
                self.finish = Some((reason.clone(), stop_sequence.clone()));
                Ok(())
            }
            ChatEvent::End => self.end(out),
            ChatEvent::Start { .. } | ChatEvent::Usage(_) => Ok(()),
        }
    }
}
