//! Streams as they are written: canonical events to typed ones. The SDKs build their state from
//! them, so every place is announced before anything is put there, and closed after.

use serde::Serialize;
use serde_json::json;

use super::echo::{Echo, Envelope, Status, answer_id};
use super::item::redacted;
use super::output::{Item, Words, proof, summary_part};
use super::wire::WireLogprob;
use crate::llm::chat::{ChatEvent, FinishReason};
use crate::llm::codec::EventEncoder;
use crate::llm::error::ApiError;
use crate::llm::stream::StreamFault;
use crate::llm::translate::ResponseContext;
use crate::llm::usage::Usage;

mod event;
mod slots;

use event::Delta;
use slots::{Slot, Slots};

type Written = Result<(), StreamFault>;

/// Writes events.
pub struct Encoder {
    context: ResponseContext,
    echo: Echo,
    model: String,
    started: bool,
    /// Another choice than the first speaks; Responses knows one only.
    elsewhere: bool,
    items: Slots,
    /// Characters of text in the answer so far.
    said: u64,
    refused: bool,
    /// The signature beside a call whose arguments may still come.
    beside: Option<String>,
    finish: Option<FinishReason>,
    usage: Option<Usage>,
}

impl Encoder {
    /// An encoder for one stream.
    pub fn new(context: &ResponseContext) -> Self {
        let echo = Echo::read(&context.request);
        // The request is not needed any more, and it may be large.
        let context = ResponseContext { request: bytes::Bytes::new(), ..context.clone() };
        Self {
            model: context.model.clone(),
            context,
            echo,
            started: false,
            elsewhere: false,
            items: Slots::default(),
            said: 0,
            refused: false,
            beside: None,
            finish: None,
            usage: None,
        }
    }

    fn start(&mut self, id: Option<&str>, model: Option<&str>, out: &mut Vec<u8>) -> Written {
        if std::mem::replace(&mut self.started, true) {
            return Ok(());
        }
        self.items.answer = answer_id(id, &self.context);
        if let Some(model) = model {
            model.clone_into(&mut self.model);
        }
        for kind in ["response.created", "response.in_progress"] {
            self.envelope(kind, Status::InProgress, out)?;
        }
        Ok(())
    }

    fn envelope(&mut self, kind: &'static str, status: Status<'_>, out: &mut Vec<u8>) -> Written {
        #[derive(Serialize)]
        struct Body<'a> {
            response: Envelope<'a>,
        }
        let output = self.items.take();
        let response = Envelope {
            echo: &self.echo,
            context: &self.context,
            id: &self.items.answer,
            model: &self.model,
            status,
            output: &output,
            usage: self.usage,
        };
        self.items.sink.write(kind, &Body { response }, out)
    }

    /// Makes sure that words of this kind can be put at the end of the last message.
    fn ensure_words(&mut self, refusal: bool, out: &mut Vec<u8>) -> Written {
        if !matches!(self.items.last(), Some((_, Slot { item: Item::Message(_), .. }))) {
            self.items.close_words(out)?;
            self.items.open(Item::Message(Vec::new()), None, out)?;
        }
        let said = self.said;
        let Some((at, slot)) = self.items.last() else { return Ok(()) };
        let Item::Message(parts) = &slot.item else { return Ok(()) };
        if slot.part_open && parts.last().is_some_and(|last| last.refusal == refusal) {
            return Ok(());
        }
        self.items.close_part(at, out)?;
        let Some((at, slot)) = self.items.last() else { return Ok(()) };
        let Item::Message(parts) = &mut slot.item else { return Ok(()) };
        let words = Words::new(refusal, said);
        let body = json!({
            "item_id": slot.id, "output_index": at, "content_index": parts.len(),
            "part": words.json(),
        });
        parts.push(words);
        slot.part_open = true;
        self.items.sink.write("response.content_part.added", &body, out)
    }

    fn words(&mut self, text: &str, refusal: bool, out: &mut Vec<u8>) -> Written {
        self.ensure_words(refusal, out)?;
        self.said += text.chars().count() as u64;
        self.refused |= refusal;
        let at = self.items.slots.len().saturating_sub(1);
        let Some(Slot { id, item: Item::Message(parts), .. }) = self.items.slots.get_mut(at) else {
            return Ok(());
        };
        let content_index = Some(parts.len().saturating_sub(1));
        if let Some(words) = parts.last_mut() {
            words.text.push_str(text);
        }
        let (kind, logprobs) = match refusal {
            true => ("response.refusal.delta", None),
            false => ("response.output_text.delta", Some(&[][..])),
        };
        let delta = Delta { delta: text, content_index, logprobs, ..Delta::at(at, id) };
        self.items.sink.write(kind, &delta, out)
    }

    /// Logprobs come after their text; an empty piece of text carries them.
    fn logprobs(&mut self, logprobs: Vec<WireLogprob>, out: &mut Vec<u8>) -> Written {
        self.ensure_words(false, out)?;
        let at = self.items.slots.len().saturating_sub(1);
        let Some(Slot { id, item: Item::Message(parts), .. }) = self.items.slots.get_mut(at) else {
            return Ok(());
        };
        let content_index = Some(parts.len().saturating_sub(1));
        let delta = Delta { content_index, logprobs: Some(&logprobs), ..Delta::at(at, id) };
        self.items.sink.write("response.output_text.delta", &delta, out)?;
        if let Some(words) = parts.last_mut() {
            words.logprobs.extend(logprobs);
        }
        Ok(())
    }

    fn citation(&mut self, citation: &crate::llm::chat::Citation, out: &mut Vec<u8>) -> Written {
        let Some((at, Slot { id, item: Item::Message(parts), .. })) = self.items.last() else {
            return Ok(());
        };
        let content_index = parts.len().saturating_sub(1);
        let Some(words) = parts.last_mut() else { return Ok(()) };
        let annotation_index = words.cite(citation);
        let body = json!({
            "item_id": id, "output_index": at, "content_index": content_index,
            "annotation_index": annotation_index, "annotation": words.annotations.last(),
        });
        self.items.sink.write("response.output_text.annotation.added", &body, out)
    }

    fn ensure_reasoning(&mut self, out: &mut Vec<u8>) -> Written {
        if matches!(self.items.last(), Some((_, Slot { item: Item::Reasoning { .. }, .. }))) {
            return Ok(());
        }
        self.items.close_words(out)?;
        self.items.open(Item::Reasoning { summary: String::new(), proof: None }, None, out)
    }

    fn thinking(&mut self, text: &str, out: &mut Vec<u8>) -> Written {
        self.ensure_reasoning(out)?;
        let at = self.items.slots.len().saturating_sub(1);
        let Some(Slot { id, item: Item::Reasoning { summary, .. }, .. }) =
            self.items.slots.get_mut(at)
        else {
            return Ok(());
        };
        if summary.is_empty() {
            let body = json!({
                "item_id": id, "output_index": at, "summary_index": 0, "part": summary_part(""),
            });
            self.items.sink.write("response.reasoning_summary_part.added", &body, out)?;
        }
        summary.push_str(text);
        let delta = Delta { delta: text, summary_index: Some(0), ..Delta::at(at, id) };
        self.items.sink.write("response.reasoning_summary_text.delta", &delta, out)
    }

    /// Ends reasoning with what the model must get back.
    fn prove(&mut self, text: String, out: &mut Vec<u8>) -> Written {
        self.ensure_reasoning(out)?;
        if let Some((_, Slot { item: Item::Reasoning { proof, .. }, .. })) = self.items.last() {
            *proof = Some(text);
        }
        self.items.close_words(out)
    }

    /// A signature beside a part follows the part, as reasoning without text: a call's when its
    /// arguments are complete.
    fn prove_beside(&mut self, text: String, out: &mut Vec<u8>) -> Written {
        self.beside = Some(text);
        match self.items.last() {
            Some((_, Slot { item: Item::Call { .. }, .. })) => Ok(()),
            _ => self.leave_part(out),
        }
    }

    /// Writes the signature that was kept for the end of its part.
    fn leave_part(&mut self, out: &mut Vec<u8>) -> Written {
        let Some(text) = self.beside.take() else { return Ok(()) };
        self.block_end(out)?;
        self.items.close_words(out)?;
        self.prove(text, out)
    }

    fn call(&mut self, index: usize, call_id: &str, name: &str, out: &mut Vec<u8>) -> Written {
        self.items.close_words(out)?;
        let origin = self.echo.origins.of(name);
        let (call_id, arguments) = (call_id.to_owned(), String::new());
        self.items.open(Item::Call { call_id, origin, arguments }, Some(index), out)
    }

    fn arguments(&mut self, index: usize, json: &str, out: &mut Vec<u8>) -> Written {
        let found =
            self.items.slots.iter_mut().enumerate().find(|(_, slot)| slot.call == Some(index));
        let open = found.filter(|(_, slot)| slot.closed.is_none());
        let Some((at, slot)) = open else {
            if json.trim().is_empty() {
                return Ok(());
            }
            let text = "arguments come for a call that is not open";
            return Err(StreamFault::Malformed(text.to_owned()));
        };
        let Item::Call { origin, arguments, .. } = &mut slot.item else { return Ok(()) };
        arguments.push_str(json);
        if !origin.freeform {
            let delta = Delta { delta: json, ..Delta::at(at, &slot.id) };
            return self.items.sink.write("response.function_call_arguments.delta", &delta, out);
        }
        let text = slot.unwrapper.push(json);
        slot.sent += text.len();
        if text.is_empty() {
            return Ok(());
        }
        let delta = Delta { delta: &text, ..Delta::at(at, &slot.id) };
        self.items.sink.write("response.custom_tool_call_input.delta", &delta, out)
    }

    /// What comes next is a new part, or a new item.
    fn block_end(&mut self, out: &mut Vec<u8>) -> Written {
        match self.items.last() {
            Some((at, Slot { item: Item::Message(_), .. })) => self.items.close_part(at, out),
            Some((at, _)) => self.items.close(at, "completed", out),
            None => Ok(()),
        }
    }

    fn end(&mut self, out: &mut Vec<u8>) -> Written {
        let status = Status::of(self.finish.as_ref(), self.refused);
        self.items.close_all(status.item_word(), out)?;
        let kind = match status {
            Status::Incomplete(_) => "response.incomplete",
            _ => "response.completed",
        };
        self.envelope(kind, status, out)
    }
}

impl EventEncoder for Encoder {
    fn encode(&mut self, event: &ChatEvent, out: &mut Vec<u8>) -> Written {
        match event {
            ChatEvent::Usage(usage) => {
                self.usage = Some(*usage);
                return Ok(());
            }
            ChatEvent::Start { id, model } => {
                return self.start(id.as_deref(), model.as_deref(), out);
            }
            ChatEvent::Choice(choice) => {
                self.elsewhere = *choice != 0;
                return Ok(());
            }
            ChatEvent::End => {}
            _ if self.elsewhere => return Ok(()),
            _ => {}
        }
        self.start(None, None, out)?;
        if !matches!(event, ChatEvent::Arguments { .. } | ChatEvent::Finish { .. }) {
            self.leave_part(out)?;
        }
        match event {
            ChatEvent::Text(text) => self.words(text, false, out),
            ChatEvent::Refusal(text) => self.words(text, true, out),
            ChatEvent::Logprobs(logprobs) => {
                self.logprobs(logprobs.iter().map(WireLogprob::from).collect(), out)
            }
            ChatEvent::Citation(citation) => self.citation(citation, out),
            ChatEvent::Thinking(text) => self.thinking(text, out),
            ChatEvent::Signature(signature) => self.prove(proof(signature), out),
            ChatEvent::PartSignature(signature) => self.prove_beside(proof(signature), out),
            ChatEvent::RedactedThinking(data) => {
                self.items.close_words(out)?;
                self.prove(redacted(data), out)
            }
            ChatEvent::ToolCall { index, id, name } => self.call(*index, id, name, out),
            ChatEvent::Arguments { index, json } => self.arguments(*index, json, out),
            ChatEvent::BlockEnd => self.block_end(out),
            ChatEvent::CallEnd(index) => self.items.close_call(*index, out),
            ChatEvent::Finish { reason, .. } => {
                self.finish = Some(reason.clone());
                Ok(())
            }
            ChatEvent::End => self.end(out),
            ChatEvent::Start { .. } | ChatEvent::Usage(_) | ChatEvent::Choice(_) => Ok(()),
        }
    }

    /// `response.failed` must carry the id that `response.created` gave.
    fn fail(&mut self, error: &ApiError, out: &mut Vec<u8>) {
        let status = Status::Failed { code: &error.code, message: &error.message };
        // Writing to memory cannot fail.
        let _ = self
            .start(None, None, out)
            .and_then(|()| self.items.close_all("incomplete", out))
            .and_then(|()| self.envelope("response.failed", status, out));
    }
}
