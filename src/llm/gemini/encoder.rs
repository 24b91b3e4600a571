//! Canonical events as a stream of `streamGenerateContent`: server-sent events, or one JSON array.
//!
//! A call is written when its arguments are whole, for Gemini's clients know no pieces of them; all
//! else goes out at once. The last frame says why each candidate stopped, and the usage.

use super::error::Errors;
use super::grounding::{self, Offsets};
use super::picture;
use super::response::{call, encode_logprobs, redacted};
use super::signature;
use super::wire::{WireAnswer, WireCandidate, WireContent, WirePart, WireUsage, finish_word};
use crate::llm::chat::{ChatEvent, Citation, FinishReason};
use crate::llm::codec::EventEncoder;
use crate::llm::error::{ApiError, ErrorCodec as _};
use crate::llm::stream::{ArrayWriter, StreamFault, StreamForm};
use crate::llm::translate::ResponseContext;
use crate::llm::usage::Usage;

/// Writes frames.
pub struct Encoder {
    /// The frames are elements of one array.
    array: Option<ArrayWriter>,
    id: String,
    model: String,
    current: u32,
    choices: Vec<Choice>,
    usage: Option<Usage>,
}

/// What is known of one choice.
#[derive(Default)]
struct Choice {
    index: u32,
    calls: Vec<Call>,
    offsets: Offsets,
    citations: Vec<Citation>,
    refused: bool,
    finish: Option<FinishReason>,
}

/// A call whose arguments are still coming.
struct Call {
    index: usize,
    id: String,
    name: String,
    arguments: String,
    signature: Option<String>,
}

impl Encoder {
    /// A new stream, in the form that the caller asked for.
    pub fn new(context: &ResponseContext) -> Self {
        Self {
            array: (context.form == StreamForm::JsonArray).then(ArrayWriter::default),
            id: context.request_id.clone(),
            model: context.model.clone(),
            current: 0,
            choices: Vec::new(),
            usage: None,
        }
    }

    fn choice(&mut self) -> &mut Choice {
        let index = self.current;
        let found = self.choices.iter().position(|choice| choice.index == index);
        let at = found.unwrap_or_else(|| {
            self.choices.push(Choice { index, ..Choice::default() });
            self.choices.len() - 1
        });
        // Just found or just pushed.
        &mut self.choices[at]
    }

    fn part(&mut self, part: WirePart, out: &mut Vec<u8>) -> Result<(), StreamFault> {
        let index = Some(self.current);
        let candidate =
            WireCandidate { content: content(vec![part]), index, ..WireCandidate::default() };
        self.frame(vec![candidate], None, out)
    }

    fn frame(
        &mut self,
        candidates: Vec<WireCandidate>,
        usage_metadata: Option<WireUsage>,
        out: &mut Vec<u8>,
    ) -> Result<(), StreamFault> {
        let answer = WireAnswer {
            candidates: Some(candidates),
            prompt_feedback: None,
            usage_metadata,
            model_version: Some(self.model.clone()),
            response_id: Some(self.id.clone()),
        };
        match &mut self.array {
            None => out.extend_from_slice(b"data: "),
            Some(array) => out.extend_from_slice(array.separator()),
        }
        serde_json::to_writer(&mut *out, &answer)
            .map_err(|error| StreamFault::Malformed(error.to_string()))?;
        if self.array.is_none() {
            out.extend_from_slice(b"\r\n\r\n");
        }
        Ok(())
    }

    fn arguments(&mut self, index: usize, json: &str) -> Result<(), StreamFault> {
        let open = self.choice().calls.iter_mut().find(|call| call.index == index);
        match open {
            Some(call) => call.arguments.push_str(json),
            None if json.trim().is_empty() => {}
            None => {
                let text = "arguments come for a tool call that is not open";
                return Err(StreamFault::Malformed(text.to_owned()));
            }
        }
        Ok(())
    }

    /// Writes the calls of the current choice: no more arguments will come.
    fn calls(&mut self, out: &mut Vec<u8>) -> Result<(), StreamFault> {
        let open = std::mem::take(&mut self.choice().calls);
        open.into_iter().try_for_each(|open| self.call(open, out))
    }

    /// Writes one of them.
    fn call_end(&mut self, index: usize, out: &mut Vec<u8>) -> Result<(), StreamFault> {
        let calls = &mut self.choice().calls;
        let Some(at) = calls.iter().position(|call| call.index == index) else { return Ok(()) };
        let open = calls.remove(at);
        self.call(open, out)
    }

    fn call(&mut self, open: Call, out: &mut Vec<u8>) -> Result<(), StreamFault> {
        let part = call(&open.id, &open.name, &open.arguments);
        self.part(WirePart { thought_signature: open.signature, ..part }, out)
    }

    /// A signature that lies beside the last call if one is open, else beside a text.
    fn part_signature(&mut self, proof: String, out: &mut Vec<u8>) -> Result<(), StreamFault> {
        match self.choice().calls.last_mut() {
            Some(call) => {
                call.signature = Some(proof);
                Ok(())
            }
            None => {
                let thought_signature = Some(proof);
                self.part(WirePart { thought_signature, ..WirePart::text("") }, out)
            }
        }
    }

    fn end(&mut self, out: &mut Vec<u8>) -> Result<(), StreamFault> {
        self.choice();
        for index in self.choices.iter().map(|choice| choice.index).collect::<Vec<_>>() {
            self.current = index;
            self.calls(out)?;
        }
        let candidates = self.choices.iter_mut().map(last_of).collect();
        self.frame(candidates, self.usage.map(WireUsage::from), out)?;
        if let Some(array) = &self.array {
            out.extend_from_slice(array.end());
        }
        Ok(())
    }
}

/// The last frame's part of a choice.
fn last_of(choice: &mut Choice) -> WireCandidate {
    let reason = choice.finish.take().unwrap_or(FinishReason::Stop);
    let reason = if choice.refused { FinishReason::ContentFilter } else { reason };
    WireCandidate {
        content: content(vec![WirePart::text("")]),
        finish_reason: Some(finish_word(&reason).to_owned()),
        index: Some(choice.index),
        grounding_metadata: grounding::encode(&choice.citations, &choice.offsets),
        ..WireCandidate::default()
    }
}

fn content(parts: Vec<WirePart>) -> Option<WireContent> {
    Some(WireContent { role: Some("model".to_owned()), parts: Some(parts) })
}

impl EventEncoder for Encoder {
    fn encode(&mut self, event: &ChatEvent, out: &mut Vec<u8>) -> Result<(), StreamFault> {
        match event {
            ChatEvent::Start { id, model } => {
                if let Some(id) = id {
                    self.id.clone_from(id);
                }
                if let Some(model) = model {
                    self.model.clone_from(model);
                }
            }
            ChatEvent::Choice(index) => self.current = *index,
            ChatEvent::Text(text) | ChatEvent::Refusal(text) => {
                let refused = matches!(event, ChatEvent::Refusal(_));
                let choice = self.choice();
                choice.refused |= refused;
                choice.offsets.push(0, text);
                return picture::parts(text).into_iter().try_for_each(|part| self.part(part, out));
            }
            ChatEvent::Thinking(text) => {
                let part = WirePart { thought: Some(true), ..WirePart::text(text) };
                return self.part(part, out);
            }
            ChatEvent::Signature(proof) => {
                let thought_signature = Some(signature::write(proof));
                let thought = Some(true);
                return self
                    .part(WirePart { thought, thought_signature, ..WirePart::text("") }, out);
            }
            ChatEvent::PartSignature(proof) => {
                return self.part_signature(signature::write(proof), out);
            }
            ChatEvent::RedactedThinking(data) => return self.part(redacted(data), out),
            ChatEvent::ToolCall { index, id, name } => self.choice().calls.push(Call {
                index: *index,
                id: id.clone(),
                name: name.clone(),
                arguments: String::new(),
                signature: None,
            }),
            ChatEvent::Arguments { index, json } => return self.arguments(*index, json),
            ChatEvent::BlockEnd => {}
            ChatEvent::CallEnd(index) => return self.call_end(*index, out),
            ChatEvent::Logprobs(tokens) => {
                let candidate = WireCandidate {
                    content: content(vec![WirePart::text("")]),
                    index: Some(self.current),
                    logprobs_result: Some(encode_logprobs(tokens)),
                    ..WireCandidate::default()
                };
                return self.frame(vec![candidate], None, out);
            }
            ChatEvent::Citation(citation) => self.choice().citations.push(citation.clone()),
            ChatEvent::Usage(usage) => self.usage = Some(*usage),
            ChatEvent::Finish { reason, .. } => {
                self.choice().finish = Some(reason.clone());
                return self.calls(out);
            }
            ChatEvent::End => return self.end(out),
        }
        Ok(())
    }
    fn fail(&mut self, error: &ApiError, out: &mut Vec<u8>) {
        match &mut self.array {
            None => out.extend(Errors.encode_event(error)),
            Some(array) => {
                out.extend_from_slice(array.separator());
                out.extend(Errors.encode(error, ""));
                out.extend_from_slice(array.end());
            }
        }
    }
}
