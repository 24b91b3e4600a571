//! Streams of Cohere's chat: events to canonical events. `message-end` is what ends one; the `[DONE]`
//! after it says nothing more.

use serde::Deserialize;

use super::citation;
use super::wire::{AnswerCall, AnswerPart, WireCitation, WireLogprob, WireUsage, finish_reason};
use crate::llm::chat::ChatEvent;
use crate::llm::codec::EventDecoder;
use crate::llm::error::{ApiError, ErrorKind};
use crate::llm::sse::Frame;
use crate::llm::stream::StreamFault;

/// Reads events. Unknown ones are skipped.
#[derive(Default)]
pub struct Decoder {
    started: bool,
    /// A part has ended, but what it cites may still come.
    ended: bool,
    /// What the calls have had of arguments, in the order of their beginning.
    calls: Vec<(u64, Arguments)>,
}

#[derive(Clone, Copy, PartialEq)]
enum Arguments {
    None,
    Some,
    /// The word `null`, which means none.
    Null,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Event {
    id: Option<String>,
    #[serde(rename = "type")]
    kind: String,
    index: u64,
    delta: Option<Delta>,
    logprobs: Option<WireLogprob>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Delta {
    message: Option<Message>,
    finish_reason: Option<String>,
    usage: Option<WireUsage>,
}

/// What `message` holds is a list in whole answers and one object here, and both at the start.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Message {
    content: Option<OneOf<AnswerPart>>,
    tool_plan: Option<String>,
    tool_calls: Option<OneOf<AnswerCall>>,
    citations: Option<OneOf<WireCitation>>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum OneOf<T> {
    Many(Vec<T>),
    One(T),
}

impl<T> OneOf<T> {
    fn into_list(list: Option<Self>) -> Vec<T> {
        match list {
            None => Vec::new(),
            Some(Self::One(one)) => vec![one],
            Some(Self::Many(many)) => many,
        }
    }
}

impl EventDecoder for Decoder {
    fn decode(
        &mut self,
        frame: &Frame<'_>,
        events: &mut Vec<ChatEvent>,
    ) -> Result<(), StreamFault> {
        if frame.data.trim_ascii() == b"[DONE]" {
            return Ok(());
        }
        let event: Event = serde_json::from_slice(&frame.data)
            .map_err(|error| StreamFault::Malformed(format!("an event is not JSON: {error}")))?;
        if !event.kind.starts_with("citation-") && std::mem::take(&mut self.ended) {
            events.push(ChatEvent::BlockEnd);
        }
        let (index, delta) = (event.index, event.delta.unwrap_or_default());
        let message = delta.message.unwrap_or_default();
        match event.kind.as_str() {
            "message-start" => self.start(event.id, events),
            "content-start" | "content-delta" => {
                for part in OneOf::into_list(message.content) {
                    events.extend(given(part.thinking).map(ChatEvent::Thinking));
                    events.extend(given(part.text).map(ChatEvent::Text));
                }
                let logprobs = event.logprobs.map(WireLogprob::canonical);
                events.extend(logprobs.map(|one| ChatEvent::Logprobs(vec![one])));
            }
            "content-end" => self.ended = true,
            "tool-plan-delta" => events.extend(given(message.tool_plan).map(ChatEvent::Text)),
            "tool-call-start" => {
                for call in OneOf::into_list(message.tool_calls) {
                    self.call_start(index, call, events);
                }
            }
            "tool-call-delta" => {
                for call in OneOf::into_list(message.tool_calls) {
                    self.arguments(index, call.function.arguments, events);
                }
            }
            "tool-call-end" => self.call_end(index, events),
            "citation-start" => {
                let citations = OneOf::into_list(message.citations);
                events.extend(
                    citations.into_iter().flat_map(citation::decode).map(ChatEvent::Citation),
                );
            }
            "message-end" => return end(delta.finish_reason.as_deref(), delta.usage, events),
            // An error without an event around it.
            "" => return Err(error_frame()),
            _ => {}
        }
        Ok(())
    }
}

fn given(text: Option<String>) -> Option<String> {
    text.filter(|text| !text.is_empty())
}

impl Decoder {
    fn start(&mut self, id: Option<String>, events: &mut Vec<ChatEvent>) {
        if !std::mem::replace(&mut self.started, true) {
            events.push(ChatEvent::Start { id: given(id), model: None });
        }
    }

    fn call_start(&mut self, at: u64, call: AnswerCall, events: &mut Vec<ChatEvent>) {
        let index = self.calls.len();
        self.calls.push((at, Arguments::None));
        events.push(ChatEvent::ToolCall {
            index,
            id: call.id.unwrap_or_default(),
            name: call.function.name.unwrap_or_default(),
        });
        self.arguments(at, call.function.arguments, events);
    }

    /// The call of a wire index, the newest if it was used twice.
    fn call(&mut self, at: u64) -> Option<(usize, &mut Arguments)> {
        let found = self.calls.iter_mut().enumerate().rev().find(|(_, (index, _))| *index == at);
        found.map(|(index, (_, arguments))| (index, arguments))
    }

    fn arguments(&mut self, at: u64, json: Option<String>, events: &mut Vec<ChatEvent>) {
        let Some(json) = given(json) else { return };
        let Some((index, arguments)) = self.call(at) else { return };
        if *arguments == Arguments::None {
            // An object begins with a brace; only null begins so.
            let null = json.trim_start().starts_with('n');
            *arguments = if null { Arguments::Null } else { Arguments::Some };
        }
        if *arguments == Arguments::Some {
            events.push(ChatEvent::Arguments { index, json });
        }
    }

    fn call_end(&mut self, at: u64, events: &mut Vec<ChatEvent>) {
        let Some((index, arguments)) = self.call(at) else { return };
        if *arguments != Arguments::Some {
            *arguments = Arguments::Some;
            events.push(ChatEvent::Arguments { index, json: "{}".to_owned() });
        }
        events.push(ChatEvent::CallEnd(index));
    }
}

fn end(
    word: Option<&str>,
    usage: Option<WireUsage>,
    events: &mut Vec<ChatEvent>,
) -> Result<(), StreamFault> {
    events.extend(usage.and_then(|usage| usage.canonical()).map(ChatEvent::Usage));
    if let Some(word) = word {
        let reason = finish_reason(word).ok_or_else(error_frame)?;
        events.push(ChatEvent::Finish { reason, stop_sequence: None });
    }
    events.push(ChatEvent::End);
    Ok(())
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
