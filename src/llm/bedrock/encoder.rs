//! Streams of Converse: canonical events to messages of an event stream.

use bytes::Bytes;
use serde_json::{Value, json};

use super::block::{encode_id, encode_redacted};
use super::error::Errors;
use super::response::encode_citation;
use super::wire::{WireUsage, finish_word};
use crate::llm::chat::{ChatEvent, FinishReason, Signer};
use crate::llm::codec::EventEncoder;
use crate::llm::error::{ApiError, ErrorCodec as _};
use crate::llm::eventstream::write_event;
use crate::llm::stream::StreamFault;
use crate::llm::usage::Usage;

/// Writes events. One block is open at a time; the stop reason and usage go out together at the end.
#[derive(Default)]
pub struct Encoder {
    started: bool,
    open: Option<Open>,
    blocks: u64,
    called: bool,
    finish: Option<(FinishReason, Option<String>)>,
    usage: Usage,
}

#[derive(Clone, Copy, PartialEq)]
enum Open {
    Text,
    Thinking,
    Call(usize),
}

impl Encoder {
    fn start(&mut self, out: &mut Vec<u8>) -> Result<(), StreamFault> {
        if std::mem::replace(&mut self.started, true) {
            return Ok(());
        }
        write("messageStart", &json!({"role": "assistant"}), out)
    }

    /// Opens a block of a kind unless it is open already. Only tool calls are announced.
    fn ensure(&mut self, kind: Open, out: &mut Vec<u8>) -> Result<(), StreamFault> {
        if self.open != Some(kind) {
            self.close(out)?;
            self.open = Some(kind);
        }
        Ok(())
    }

    fn close(&mut self, out: &mut Vec<u8>) -> Result<(), StreamFault> {
        if self.open.take().is_none() {
            return Ok(());
        }
        let event = json!({"contentBlockIndex": self.blocks});
        self.blocks += 1;
        write("contentBlockStop", &event, out)
    }

    fn delta(&mut self, kind: Open, delta: &Value, out: &mut Vec<u8>) -> Result<(), StreamFault> {
        self.ensure(kind, out)?;
        let event = json!({"contentBlockIndex": self.blocks, "delta": delta});
        write("contentBlockDelta", &event, out)
    }

    fn call(
        &mut self,
        index: usize,
        id: &str,
        name: &str,
        out: &mut Vec<u8>,
    ) -> Result<(), StreamFault> {
        self.called = true;
        self.ensure(Open::Call(index), out)?;
        let call = json!({"toolUse": {"toolUseId": encode_id(id), "name": name}});
        let event = json!({"contentBlockIndex": self.blocks, "start": call});
        write("contentBlockStart", &event, out)
    }

    fn arguments(
        &mut self,
        index: usize,
        json: &str,
        out: &mut Vec<u8>,
    ) -> Result<(), StreamFault> {
        if self.open == Some(Open::Call(index)) {
            return self.delta(Open::Call(index), &json!({"toolUse": {"input": json}}), out);
        }
        if json.trim().is_empty() {
            return Ok(());
        }
        let text = "arguments of two tool calls are interleaved, which Converse cannot express";
        Err(StreamFault::Malformed(text.to_owned()))
    }

    fn end(&mut self, out: &mut Vec<u8>) -> Result<(), StreamFault> {
        self.close(out)?;
        let unnamed = if self.called { FinishReason::ToolCalls } else { FinishReason::Stop };
        let (reason, matched) = self.finish.take().unwrap_or((unnamed, None));
        let mut stop = json!({"stopReason": finish_word(&reason, matched.as_deref())});
        if let Some(matched) = matched {
            stop["additionalModelResponseFields"] = json!({"delta": {"stop_sequence": matched}});
        }
        write("messageStop", &stop, out)?;
        let usage = WireUsage::from(self.usage);
        write("metadata", &json!({"usage": usage, "metrics": {"latencyMs": 0}}), out)
    }
}

fn write(name: &str, event: &Value, out: &mut Vec<u8>) -> Result<(), StreamFault> {
    write_event(name, Bytes::from(event.to_string()), out)
        .map_err(|error| StreamFault::Malformed(error.to_string()))
}

impl EventEncoder for Encoder {
    fn encode(&mut self, event: &ChatEvent, out: &mut Vec<u8>) -> Result<(), StreamFault> {
        if let ChatEvent::Usage(usage) = event {
            self.usage = *usage;
            return Ok(());
        }
        self.start(out)?;
        match event {
            ChatEvent::Text(text) | ChatEvent::Refusal(text) => {
                self.delta(Open::Text, &json!({"text": text}), out)
            }
            ChatEvent::Citation(citation) => {
                self.delta(Open::Text, &json!({"citation": encode_citation(citation)}), out)
            }
            ChatEvent::Thinking(text) => {
                self.delta(Open::Thinking, &json!({"reasoningContent": {"text": text}}), out)
            }
            ChatEvent::Signature(signature) => {
                let signature = signature.tagged(Signer::Anthropic);
                let delta = json!({"reasoningContent": {"signature": signature}});
                self.delta(Open::Thinking, &delta, out)?;
                self.close(out)
            }
            ChatEvent::RedactedThinking(data) => {
                self.close(out)?;
                let delta = json!({"reasoningContent": {"redactedContent": encode_redacted(data)}});
                self.delta(Open::Thinking, &delta, out)?;
                self.close(out)
            }
            ChatEvent::ToolCall { index, id, name } => self.call(*index, id, name, out),
            ChatEvent::Arguments { index, json } => self.arguments(*index, json, out),
            ChatEvent::CallEnd(index) if self.open != Some(Open::Call(*index)) => Ok(()),
            ChatEvent::BlockEnd | ChatEvent::CallEnd(_) => self.close(out),
            ChatEvent::Finish { reason, stop_sequence } => {
                self.finish = Some((reason.clone(), stop_sequence.clone()));
                Ok(())
            }
            ChatEvent::End => self.end(out),
            ChatEvent::Choice(1..) => {
                let text = "several answers in one stream, which Converse cannot express";
                Err(StreamFault::Malformed(text.to_owned()))
            }
            ChatEvent::Start { .. }
            | ChatEvent::Usage(_)
            | ChatEvent::Choice(0)
            | ChatEvent::Logprobs(_)
            | ChatEvent::PartSignature(_) => Ok(()),
        }
    }

    fn fail(&mut self, error: &ApiError, out: &mut Vec<u8>) {
        out.extend_from_slice(&Errors.encode_event(error));
    }
}
