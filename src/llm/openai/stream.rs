//! Streams of chat completions: chunks to canonical events; back: `encoder`.

mod encoder;

use super::beside::{decode_citations, decode_logprobs, decode_signature};
use super::part::decode_content;
use super::response::trust_calls;
use super::wire::{WireAnswer, WireChoice, WireMessage, WireToolCall, finish_reason, usage_of};
use crate::llm::chat::{ChatEvent, Content};
use crate::llm::codec::EventDecoder;
use crate::llm::error::{ApiError, ErrorKind};
use crate::llm::quirks::Quirks;
use crate::llm::scan::scan;
use crate::llm::sse::Frame;
use crate::llm::stream::StreamFault;

pub use encoder::Encoder;

/// Reads chunks. Tolerates what servers that follow OpenAI do: no index, repeated names, late ids,
/// arguments as objects, `stop` beside calls.
#[derive(Default)]
pub struct Decoder {
    started: bool,
    answer: String,
    /// The choice that events belong to.
    current: u32,
    choices: Vec<Said>,
}

/// One choice so far.
struct Said {
    index: u32,
    calls: Vec<Call>,
}

struct Call {
    wire_index: Option<usize>,
    id: Option<String>,
}

impl EventDecoder for Decoder {
    fn decode(
        &mut self,
        frame: &Frame<'_>,
        events: &mut Vec<ChatEvent>,
    ) -> Result<(), StreamFault> {
        let data = frame.data.trim_ascii();
        if data == b"[DONE]" {
            events.push(ChatEvent::End);
            return Ok(());
        }
        let found = scan(data);
        if found.usage
            && let Some(usage) = usage_of(data, Quirks::NONE)
        {
            events.push(ChatEvent::Usage(usage));
        }
        if found.error {
            return Err(error_frame());
        }
        let chunk: WireAnswer = serde_json::from_slice(data)
            .map_err(|error| StreamFault::Malformed(format!("a chunk is not JSON: {error}")))?;
        let choices = chunk.choices.unwrap_or_default();
        if !self.started && !choices.is_empty() {
            self.started = true;
            let id = chunk.id.filter(|id| !id.is_empty());
            self.answer = id.clone().unwrap_or_default();
            let model = chunk.model.filter(|model| !model.is_empty());
            events.push(ChatEvent::Start { id, model });
        }
        for choice in choices {
            self.choice(choice, events)?;
        }
        Ok(())
    }
}

impl Decoder {
    fn choice(
        &mut self,
        choice: WireChoice,
        events: &mut Vec<ChatEvent>,
    ) -> Result<(), StreamFault> {
        let index = choice.index.unwrap_or(0);
        if self.current != index {
            self.current = index;
            events.push(ChatEvent::Choice(index));
        }
        let at = self.choices.iter().position(|said| said.index == index);
        let mut said = match at {
            Some(at) => self.choices.swap_remove(at),
            None => Said { index, calls: Vec::new() },
        };
        let result = said.choice(choice, &self.answer, events);
        self.choices.push(said);
        result
    }
}

impl Said {
    fn choice(
        &mut self,
        choice: WireChoice,
        answer: &str,
        events: &mut Vec<ChatEvent>,
    ) -> Result<(), StreamFault> {
        let (mut delta, logprobs) = (choice.delta.or(choice.message), choice.logprobs);
        let calls = delta.as_mut().and_then(|delta| delta.tool_calls.take());
        if let Some(delta) = delta {
            Self::delta(delta, events)?;
        }
        let tokens = decode_logprobs(logprobs.as_ref()).filter(|tokens| !tokens.is_empty());
        events.extend(tokens.map(ChatEvent::Logprobs));
        for call in calls.unwrap_or_default() {
            self.call(call, answer, events)?;
        }
        if let Some(word) = choice.finish_reason.filter(|word| !word.is_empty()) {
            let reason = trust_calls(finish_reason(&word), !self.calls.is_empty());
            events.push(ChatEvent::Finish { reason, stop_sequence: None });
        }
        Ok(())
    }

    fn delta(delta: WireMessage, events: &mut Vec<ChatEvent>) -> Result<(), StreamFault> {
        let given = |text: Option<String>| text.filter(|text| !text.is_empty());
        if let Some(text) = given(delta.reasoning_content).or_else(|| given(delta.reasoning)) {
            events.push(ChatEvent::Thinking(text));
        }
        let parts = decode_content(delta.content)
            .map_err(|error| StreamFault::Malformed(error.to_string()))?;
        for part in parts {
            match part.content {
                Content::Text(text) if !text.is_empty() => events.push(ChatEvent::Text(text)),
                Content::Thinking { text, .. } => events.push(ChatEvent::Thinking(text)),
                _ => {}
            }
        }
        if let Some(text) = given(delta.refusal) {
            events.push(ChatEvent::Refusal(text));
        }
        let citations = decode_citations(delta.annotations.as_ref());
        events.extend(citations.into_iter().map(ChatEvent::Citation));
        let signature = decode_signature(delta.extra_content.as_ref());
        events.extend(signature.map(ChatEvent::PartSignature));
        Ok(())
    }

    fn call(
        &mut self,
        wire: WireToolCall,
        answer: &str,
        events: &mut Vec<ChatEvent>,
    ) -> Result<(), StreamFault> {
        let id = wire.id.clone().filter(|id| !id.is_empty() && id != "null");
        let name = wire.function.name.clone().filter(|name| !name.is_empty());
        let index = match self.position(wire.index, id.as_deref(), name.is_some()) {
            Some(index) => index,
            None => {
                let Some(name) = name else {
                    let text = "a tool call begins without a name";
                    return Err(StreamFault::Malformed(text.to_owned()));
                };
                let index = self.calls.len();
                let minted = || match self.index {
                    0 => format!("call_{answer}_{index}"),
                    choice => format!("call_{answer}_{choice}_{index}"),
                };
                let event_id = id.clone().unwrap_or_else(minted);
                events.push(ChatEvent::ToolCall { index, id: event_id, name });
                self.calls.push(Call { wire_index: wire.index, id });
                index
            }
        };
        if let Some(json) = wire.function.arguments_text().filter(|json| !json.is_empty()) {
            events.push(ChatEvent::Arguments { index, json });
        }
        let signature = decode_signature(wire.extra_content.as_ref());
        events.extend(signature.map(ChatEvent::PartSignature));
        Ok(())
    }

    /// The call that a delta continues; `None`: it begins a new one. A new id means a new call even
    /// under a used index, since some servers number all calls 0.
    fn position(&self, index: Option<usize>, id: Option<&str>, named: bool) -> Option<usize> {
        let same = |call: &Call| match (id, call.id.as_deref()) {
            (Some(new), Some(old)) => new == old,
            (None, _) => index.is_some() || !named,
            (Some(_), None) => index.is_some(),
        };
        self.calls
            .iter()
            .rposition(|call| (index.is_none() || call.wire_index == index) && same(call))
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

#[cfg(test)]
mod tests {
    use std::borrow::Cow;

    use serde_json::{Value, json};

    use super::*;
    use crate::llm::codec::EventEncoder;
    use crate::llm::translate::ResponseContext;

    fn chunk(choices: Value) -> Value {
        json!({"id": "c", "model": "m", "choices": choices})
    }

    /// Reads chunks, and writes what they say.
    fn again(chunks: &[Value]) -> Vec<Value> {
        let (mut decoder, mut out) = (Decoder::default(), Vec::new());
        let mut encoder = Encoder::new(&ResponseContext::default(), false);
        let done = [Cow::from("[DONE]")];
        for data in chunks.iter().map(|chunk| Cow::from(chunk.to_string())).chain(done) {
            let frame = Frame { event: b"", data: data.as_bytes().into() };
            let mut events = Vec::new();
            decoder.decode(&frame, &mut events).unwrap();
            encoder.encode_all(&events, &mut out).unwrap();
        }
        let text = String::from_utf8(out).unwrap();
        let data = text.lines().filter_map(|line| line.strip_prefix("data: {"));
        data.map(|line| serde_json::from_str(&format!("{{{line}")).unwrap()).collect()
    }

    #[test]
    fn interleaved_choices_keep_their_calls_and_log_probabilities_apart() {
        let call = |index: u32, id: &str| {
            json!({"index": index, "delta": {"tool_calls": [
                {"index": 0, "id": id, "function": {"name": "f", "arguments": "{}"}},
            ]}})
        };
        let token = json!({"content": [{"token": "b", "logprob": -1.0, "bytes": [98], "top_logprobs": []}], "refusal": null});
        let chunks = again(&[
            chunk(json!([{"index": 1, "delta": {"content": "b"}, "logprobs": token}])),
            chunk(json!([call(0, "x"), call(1, "y")])),
            chunk(json!([{"index": 0, "delta": {}, "finish_reason": "stop"}])),
        ]);
        let of = |index: u32| {
            let choices = chunks.iter().map(|chunk| &chunk["choices"][0]);
            choices.filter(|choice| choice["index"] == index).cloned().collect::<Vec<Value>>()
        };
        for (index, id) in [(0, "x"), (1, "y")] {
            let said = of(index);
            let (first, last) = (said.first().unwrap(), said.last().unwrap());
            assert_eq!(first["delta"]["role"], "assistant");
            let ids =
                said.iter().filter_map(|choice| choice["delta"]["tool_calls"][0]["id"].as_str());
            assert_eq!(ids.collect::<Vec<_>>(), [id]);
            assert!(last["finish_reason"].is_string(), "{said:?}");
        }
        assert_eq!(of(1).iter().filter(|choice| choice["logprobs"] == token).count(), 1);
        assert_eq!(of(0).last().unwrap()["finish_reason"], "tool_calls");
    }

    #[test]
    fn signatures_come_with_the_call_or_the_text_that_they_belong_to() {
        let extra = |value: &str| json!({"google": {"thought_signature": value}});
        let chunks = again(&[
            chunk(json!([{"index": 0, "delta": {"content": "a", "extra_content": extra("1")}}])),
            chunk(json!([{"index": 0, "delta": {"tool_calls": [
                {"index": 0, "id": "x", "function": {"name": "f", "arguments": "{}"}, "extra_content": extra("2")},
            ]}}])),
        ]);
        let deltas = || chunks.iter().map(|chunk| &chunk["choices"][0]["delta"]);
        assert_eq!(deltas().filter(|delta| delta["extra_content"] == extra("1")).count(), 1);
        let signed = |delta: &&Value| delta["tool_calls"][0]["extra_content"] == extra("2");
        assert_eq!(deltas().filter(signed).count(), 1);
    }
}
