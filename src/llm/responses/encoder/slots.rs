//! The items of a streamed answer, each at its place: announced, and closed once.

use serde_json::{Value, json};

use super::Written;
use super::event::{Delta, Sink};
use crate::llm::responses::echo::item_id;
use crate::llm::responses::freeform::{Unwrapper, unwrap};
use crate::llm::responses::output::{Item, summary_part};

/// The items so far, and the events that tell of them.
#[derive(Default)]
pub struct Slots {
    /// Writes events.
    pub sink: Sink,
    /// The answer's id, of which the items' are made.
    pub answer: String,
    /// In the order of their places.
    pub slots: Vec<Slot>,
}

/// An item of the answer, at its place.
pub struct Slot {
    /// Its id.
    pub id: String,
    /// What is known of it.
    pub item: Item,
    /// The call's index in the canonical stream.
    pub call: Option<usize>,
    /// Takes a freeform tool's input out of its arguments.
    pub unwrapper: Unwrapper,
    /// Bytes of a freeform tool's input that have been sent.
    pub sent: usize,
    /// The last part of a message is open.
    pub part_open: bool,
    /// The item as it was closed.
    pub closed: Option<Value>,
}

impl Slots {
    /// Announces an item at the next place.
    pub fn open(&mut self, item: Item, call: Option<usize>, out: &mut Vec<u8>) -> Written {
        let at = self.slots.len();
        let id = item_id(item.prefix(), &self.answer, at);
        let body = json!({"output_index": at, "item": item.json(&id, "in_progress")});
        self.slots.push(Slot {
            id,
            item,
            call,
            unwrapper: Unwrapper::default(),
            sent: 0,
            part_open: false,
            closed: None,
        });
        self.sink.write("response.output_item.added", &body, out)
    }

    /// The last item, if it is open.
    pub fn last(&mut self) -> Option<(usize, &mut Slot)> {
        let at = self.slots.len().checked_sub(1)?;
        self.slots.get_mut(at).filter(|slot| slot.closed.is_none()).map(|slot| (at, slot))
    }

    /// Closes the last item if it is what the model says or thinks. Calls stay open, for some
    /// servers send the arguments of several in turns.
    pub fn close_words(&mut self, out: &mut Vec<u8>) -> Written {
        match self.last() {
            Some((at, slot)) if slot.call.is_none() => self.close(at, "completed", out),
            _ => Ok(()),
        }
    }

    /// Closes the item of a call, if it is open.
    pub fn close_call(&mut self, index: usize, out: &mut Vec<u8>) -> Written {
        let is_open = |slot: &Slot| slot.call == Some(index) && slot.closed.is_none();
        match self.slots.iter().position(is_open) {
            Some(at) => self.close(at, "completed", out),
            None => Ok(()),
        }
    }

    /// Closes an item: all that is still open in it, then itself.
    pub fn close(&mut self, at: usize, status: &str, out: &mut Vec<u8>) -> Written {
        self.close_part(at, out)?;
        self.close_content(at, out)?;
        let Some(slot) = self.slots.get_mut(at) else { return Ok(()) };
        let item = slot.item.json(&slot.id, status);
        let body = json!({"output_index": at, "item": item});
        slot.closed = Some(item);
        self.sink.write("response.output_item.done", &body, out)
    }

    /// Tells what the pieces of reasoning or of a call came to.
    fn close_content(&mut self, at: usize, out: &mut Vec<u8>) -> Written {
        let Some(slot) = self.slots.get_mut(at) else { return Ok(()) };
        let id = &slot.id;
        let place =
            |name: &str, value: Value| json!({"item_id": id, "output_index": at, name: value});
        match &mut slot.item {
            Item::Reasoning { summary, .. } if !summary.is_empty() => {
                let mut text = place("text", json!(summary));
                let mut part = place("part", summary_part(summary));
                (text["summary_index"], part["summary_index"]) = (json!(0), json!(0));
                self.sink.write("response.reasoning_summary_text.done", &text, out)?;
                self.sink.write("response.reasoning_summary_part.done", &part, out)
            }
            Item::Call { origin, arguments, .. } if origin.freeform => {
                let input = unwrap(arguments);
                if let Some(rest) = input.get(slot.sent..).filter(|rest| !rest.is_empty()) {
                    let delta = Delta { delta: rest, ..Delta::at(at, id) };
                    self.sink.write("response.custom_tool_call_input.delta", &delta, out)?;
                }
                let done = place("input", json!(input));
                self.sink.write("response.custom_tool_call_input.done", &done, out)
            }
            Item::Call { origin, arguments, .. } => {
                if arguments.trim().is_empty() {
                    "{}".clone_into(arguments);
                }
                let mut done = place("arguments", json!(arguments));
                done["name"] = json!(origin.name);
                self.sink.write("response.function_call_arguments.done", &done, out)
            }
            Item::Reasoning { .. } | Item::Message(_) => Ok(()),
        }
    }

    /// Closes the open part of a message.
    pub fn close_part(&mut self, at: usize, out: &mut Vec<u8>) -> Written {
        let Some(slot) = self.slots.get_mut(at) else { return Ok(()) };
        let Item::Message(parts) = &slot.item else { return Ok(()) };
        let (true, Some(words)) = (std::mem::take(&mut slot.part_open), parts.last()) else {
            return Ok(());
        };
        let mut done = json!({
            "item_id": slot.id, "output_index": at, "content_index": parts.len() - 1,
        });
        let part = json!({
            "item_id": slot.id, "output_index": at, "content_index": parts.len() - 1,
            "part": words.json(),
        });
        let kind = if words.refusal {
            done["refusal"] = json!(words.text);
            "response.refusal.done"
        } else {
            done["text"] = json!(words.text);
            done["logprobs"] = json!(words.logprobs);
            "response.output_text.done"
        };
        self.sink.write(kind, &done, out)?;
        self.sink.write("response.content_part.done", &part, out)
    }

    /// Closes every item; `last`: the status of the last.
    pub fn close_all(&mut self, last: &str, out: &mut Vec<u8>) -> Written {
        let count = self.slots.len();
        for at in 0..count {
            if self.slots.get(at).is_some_and(|slot| slot.closed.is_none()) {
                let status = if at + 1 == count { last } else { "completed" };
                self.close(at, status, out)?;
            }
        }
        Ok(())
    }

    /// The items as they were closed.
    pub fn take(&mut self) -> Vec<Value> {
        self.slots.iter_mut().filter_map(|slot| slot.closed.take()).collect()
    }
}
