//! Streams of Messages: canonical events to events.

use serde::Serialize;
use serde_json::{Value, json};

use crate::llm::Dialect;
use crate::llm::anthropic::beside::{encode_citation, signature_after, signature_before};
use crate::llm::anthropic::response::answer_id;
use crate::llm::anthropic::wire::{WireBlock, WireUsage, finish_word};
use crate::llm::chat::{ChatEvent, Citation, FinishReason, Signature, Signer};
use crate::llm::codec::{EventEncoder, safe_id};
use crate::llm::error::{ApiError, encode_stream_error};
use crate::llm::stream::StreamFault;
use crate::llm::translate::ResponseContext;
use crate::llm::usage::Usage;

/// Writes events. One block is open at a time; usage and the stop reason go out together at the end,
/// because other dialects report usage last.
pub struct Encoder {
    context: ResponseContext,
    started: bool,
    open: Option<Open>,
    blocks: u64,
    called: bool,
    refused: bool,
    /// The text so far, which citations quote.
    said: String,
    /// The choice that events belong to; Messages gives the first alone.
    choice: u32,
    /// The next call's signature has been written before it.
    has_signed: bool,
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
    #[serde(rename = "citations_delta")]
    Citation { citation: Value },
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
            said: String::new(),
            choice: 0,
            has_signed: false,
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

    /// A call cannot be interrupted; what is cited stands before it.
    fn cite(&mut self, citation: &Citation, out: &mut Vec<u8>) -> Result<(), StreamFault> {
        if matches!(self.open, Some(Open::Call(_))) {
            return Ok(());
        }
        self.ensure(Open::Text, out)?;
        self.delta(Piece::Citation { citation: encode_citation(citation, &self.said) }, out)
    }

    /// A block that only carries a signature.
    fn carry(&mut self, carrier: &WireBlock, out: &mut Vec<u8>) -> Result<(), StreamFault> {
        let block = json!({"type": "thinking", "thinking": "", "signature": ""});
        self.open_block(Open::Thinking, &block, out)?;
        let signature = carrier.signature.as_deref().unwrap_or_default();
        self.delta(Piece::Signature { signature }, out)?;
        self.close(out)
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
            ChatEvent::Choice(index) => {
                self.choice = *index;
                return Ok(());
            }
            ChatEvent::End => {}
            _ if self.choice != 0 => return Ok(()),
            ChatEvent::Start { id, model } => {
                return self.start(id.as_deref(), model.as_deref(), out);
            }
            _ => {}
        }
        self.start(None, None, out)?;
        match event {
            ChatEvent::Text(text) | ChatEvent::Refusal(text) => {
                match event {
                    ChatEvent::Text(_) => self.said.push_str(text),
                    _ => self.refused = true,
                }
                self.ensure(Open::Text, out)?;
                self.delta(Piece::Text { text }, out)
            }
            ChatEvent::Thinking(thinking) => {
                self.ensure(Open::Thinking, out)?;
                self.delta(Piece::Thinking { thinking }, out)
            }
            ChatEvent::Signature(signature) => {
                self.ensure(Open::Thinking, out)?;
                let signature = &signature.tagged(Signer::Anthropic);
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
            ChatEvent::CallEnd(index) if self.open != Some(Open::Call(*index)) => Ok(()),
            ChatEvent::BlockEnd | ChatEvent::CallEnd(_) => self.close(out),
            ChatEvent::Finish { reason, stop_sequence } => {
                self.finish = Some((reason.clone(), stop_sequence.clone()));
                Ok(())
            }
            ChatEvent::End => self.end(out),
            ChatEvent::Citation(citation) => self.cite(citation, out),
            ChatEvent::PartSignature(_) if std::mem::take(&mut self.has_signed) => Ok(()),
            ChatEvent::PartSignature(signature) => self.carry(&signature_after(signature), out),
            ChatEvent::Start { .. }
            | ChatEvent::Usage(_)
            | ChatEvent::Choice(_)
            | ChatEvent::Logprobs(_) => Ok(()),
        }
    }

    fn encode_all(&mut self, events: &[ChatEvent], out: &mut Vec<u8>) -> Result<(), StreamFault> {
        for (at, event) in events.iter().enumerate() {
            if matches!(event, ChatEvent::ToolCall { .. })
                && self.choice == 0
                && let Some(signature) = signature_of_call(events.get(at + 1..).unwrap_or_default())
            {
                self.start(None, None, out)?;
                self.carry(&signature_before(signature), out)?;
                self.has_signed = true;
            }
            self.encode(event, out)?;
        }
        Ok(())
    }

    fn fail(&mut self, error: &ApiError, out: &mut Vec<u8>) {
        out.extend_from_slice(&encode_stream_error(Dialect::Anthropic, error));
    }
}

/// The signature of a call that these events follow.
fn signature_of_call(events: &[ChatEvent]) -> Option<&Signature> {
    let mut rest = events.iter().skip_while(|event| matches!(event, ChatEvent::Arguments { .. }));
    match rest.next() {
        Some(ChatEvent::PartSignature(signature)) => Some(signature),
        _ => None,
    }
}
