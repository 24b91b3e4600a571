//! Streams of Ollama's chat: one answer a line, of which the last says that it is done.

use super::response::minted;
use super::wire::{Answer, AnswerMessage, WireCall, WireLogprob, finish_reason};
use crate::llm::chat::ChatEvent;
use crate::llm::codec::EventDecoder;
use crate::llm::error::{ApiError, ErrorKind};
use crate::llm::sse::Frame;
use crate::llm::stream::StreamFault;

/// Reads lines.
#[derive(Default)]
pub struct Decoder {
    started: bool,
    calls: usize,
    /// Of the first line.
    created_at: String,
}

impl EventDecoder for Decoder {
    fn decode(
        &mut self,
        frame: &Frame<'_>,
        events: &mut Vec<ChatEvent>,
    ) -> Result<(), StreamFault> {
        let mut line: Answer = serde_json::from_slice(&frame.data)
            .map_err(|error| StreamFault::Malformed(format!("a line is not JSON: {error}")))?;
        if line.error.as_ref().is_some_and(|error| !error.is_null()) {
            return Err(error_line());
        }
        if !std::mem::replace(&mut self.started, true) {
            self.created_at = line.created_at.take().unwrap_or_default();
            let model = line.model.take().filter(|model| !model.is_empty());
            events.push(ChatEvent::Start { id: None, model });
        }
        self.message(line.message.take().unwrap_or_default(), events);
        let logprobs = line.logprobs.take().filter(|list| !list.is_empty());
        let canonical = |list: Vec<WireLogprob>| list.into_iter().map(WireLogprob::canonical);
        events.extend(logprobs.map(|list| ChatEvent::Logprobs(canonical(list).collect())));
        if line.done {
            let word = line.done_reason.as_deref().unwrap_or("");
            let reason = finish_reason(word, self.calls > 0);
            events.push(ChatEvent::Finish { reason, stop_sequence: None });
            events.extend(line.usage().map(ChatEvent::Usage));
            events.push(ChatEvent::End);
        }
        Ok(())
    }
}

impl Decoder {
    fn message(&mut self, message: AnswerMessage, events: &mut Vec<ChatEvent>) {
        let given = |text: Option<String>| text.filter(|text| !text.is_empty());
        events.extend(given(message.thinking).map(ChatEvent::Thinking));
        events.extend(given(message.content).map(ChatEvent::Text));
        for WireCall { id, function } in message.tool_calls.unwrap_or_default() {
            let index = self.calls;
            self.calls += 1;
            let json = function.arguments_text();
            let id = given(id).unwrap_or_else(|| minted(&self.created_at, index));
            events.push(ChatEvent::ToolCall { index, id, name: function.name });
            events.push(ChatEvent::Arguments { index, json });
            events.push(ChatEvent::CallEnd(index));
        }
    }
}

/// The crossing reads the error itself from the line.
fn error_line() -> StreamFault {
    StreamFault::Upstream(ApiError::new(
        http::StatusCode::BAD_GATEWAY,
        ErrorKind::Upstream,
        ErrorKind::Upstream.default_code(),
        "the provider reported an error in its stream",
    ))
}
