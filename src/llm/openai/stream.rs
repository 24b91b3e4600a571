//! Streams of chat completions: chunks to canonical events; back: `encoder`.

mod encoder;

use std::mem::take;

use super::beside::{decode_citations, decode_logprobs, decode_signature};
use super::extension;
use super::part::decode_content;
use super::response::trust_calls;
use super::wire::{WireAnswer, WireChoice, WireMessage, WireToolCall, finish_reason, usage_in};
use crate::llm::chat::{ChatEvent, Content, Signature};
use crate::llm::codec::EventDecoder;
use crate::llm::error::{ApiError, ErrorKind};
use crate::llm::quirks::Quirks;
use crate::llm::scan::scan;
use crate::llm::sse::{Frame, MAX_FRAME};
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

/// A call. What came before it could be announced waits in it, at most [`MAX_FRAME`] bytes.
#[derive(Default)]
struct Call {
    wire_index: Option<usize>,
    id: Option<String>,
    name: String,
    arguments: String,
    signature: Option<Signature>,
    announced: bool,
}

impl EventDecoder for Decoder {
    fn decode(
        &mut self,
        frame: &Frame<'_>,
        events: &mut Vec<ChatEvent>,
    ) -> Result<(), StreamFault> {
        let data = frame.data.trim_ascii();
        if data == b"[DONE]" {
            return self.end(events);
        }
        let found = scan(data);
        if let Some(usage) = usage_in(&found, Quirks::NONE) {
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
    /// Calls may still wait for the end of their names where nothing said why the model stopped.
    fn end(&mut self, events: &mut Vec<ChatEvent>) -> Result<(), StreamFault> {
        for said in &mut self.choices {
            if said.calls.iter().all(|call| call.announced) {
                continue;
            }
            if std::mem::replace(&mut self.current, said.index) != said.index {
                events.push(ChatEvent::Choice(said.index));
            }
            said.announce_all(&self.answer, events)?;
        }
        events.push(ChatEvent::End);
        Ok(())
    }

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
        let calls = delta.as_mut().map(extension::calls);
        if let Some(delta) = delta {
            let mut words = Vec::new();
            Self::delta(delta, &mut words)?;
            if !words.is_empty() {
                self.announce(answer, events);
                events.append(&mut words);
            }
        }
        let tokens = decode_logprobs(logprobs.as_ref()).filter(|tokens| !tokens.is_empty());
        events.extend(tokens.map(ChatEvent::Logprobs));
        for call in calls.unwrap_or_default() {
            self.call(call, answer, events)?;
        }
        if let Some(word) = choice.finish_reason.filter(|word| !word.is_empty()) {
            self.announce_all(answer, events)?;
            let reason = trust_calls(finish_reason(&word), !self.calls.is_empty());
            events.push(ChatEvent::Finish { reason, stop_sequence: None });
        }
        Ok(())
    }

    fn delta(delta: WireMessage, events: &mut Vec<ChatEvent>) -> Result<(), StreamFault> {
        let given = |text: Option<String>| text.filter(|text| !text.is_empty());
        let texts = extension::texts(&delta);
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
        events.extend(texts.into_iter().map(ChatEvent::Text));
        if let Some(text) = given(delta.refusal) {
            events.push(ChatEvent::Refusal(text));
        }
        let citations = decode_citations(delta.annotations.as_ref());
        events.extend(citations.into_iter().map(ChatEvent::Citation));
        let signature = decode_signature(delta.extra_content.as_ref());
        events.extend(signature.map(ChatEvent::PartSignature));
        Ok(())
    }

    /// Takes a piece of a call, which may begin in pieces: a name and an id may come late.
    fn call(
        &mut self,
        wire: WireToolCall,
        answer: &str,
        events: &mut Vec<ChatEvent>,
    ) -> Result<(), StreamFault> {
        let given = |text: Option<String>| text.filter(|text| !text.is_empty());
        let id = given(wire.id).filter(|id| id != "null");
        let json = given(wire.function.arguments_text());
        let name = given(wire.function.name);
        let signature = decode_signature(wire.extra_content.as_ref());
        let position = self.position(wire.index, id.as_deref(), name.is_some());
        let index = position.unwrap_or_else(|| {
            self.announce(answer, events);
            self.calls.push(Call { wire_index: wire.index, ..Call::default() });
            self.calls.len() - 1
        });
        let Some(call) = self.calls.get_mut(index) else { return Ok(()) };
        if call.announced {
            events.extend(json.map(|json| ChatEvent::Arguments { index, json }));
            events.extend(signature.map(ChatEvent::PartSignature));
            return Ok(());
        }
        call.id = call.id.take().or(id);
        // Some servers repeat the whole name; others send it in pieces, which OpenAI's SDKs join.
        if let Some(piece) = name.filter(|piece| *piece != call.name) {
            call.name.push_str(&piece);
        }
        let has_more = json.is_some() || signature.is_some();
        call.arguments.push_str(&json.unwrap_or_default());
        call.signature = signature.or(call.signature.take());
        if call.name.len() + call.arguments.len() > MAX_FRAME {
            return Err(StreamFault::Malformed("a tool call begins without a name".to_owned()));
        }
        if has_more {
            self.announce(answer, events);
        }
        Ok(())
    }

    /// Lets calls begin whose names are known, in their order.
    fn announce(&mut self, answer: &str, events: &mut Vec<ChatEvent>) {
        for (index, call) in self.calls.iter_mut().enumerate().filter(|(_, call)| !call.announced) {
            if call.name.is_empty() {
                return;
            }
            call.announced = true;
            let minted = || match self.index {
                0 => format!("call_{answer}_{index}"),
                choice => format!("call_{answer}_{choice}_{index}"),
            };
            let (id, name) = (call.id.clone().unwrap_or_else(minted), take(&mut call.name));
            events.push(ChatEvent::ToolCall { index, id, name });
            let json = take(&mut call.arguments);
            if !json.is_empty() {
                events.push(ChatEvent::Arguments { index, json });
            }
            events.extend(call.signature.take().map(ChatEvent::PartSignature));
        }
    }

    /// No more pieces of calls come.
    fn announce_all(
        &mut self,
        answer: &str,
        events: &mut Vec<ChatEvent>,
    ) -> Result<(), StreamFault> {
        self.announce(answer, events);
        match self.calls.iter().all(|call| call.announced) {
            true => Ok(()),
            false => Err(StreamFault::Malformed("a tool call begins without a name".to_owned())),
        }
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
    fn a_call_begins_once_its_name_and_id_are_known() {
        let piece = |call: Value| {
            chunk(json!([{"index": 0, "delta": {"content": "", "tool_calls": [call]}}]))
        };
        let chunks = again(&[
            piece(json!({"index": 0, "id": "x", "function": {}})),
            piece(json!({"index": 1, "function": {"name": "g", "arguments": ""}})),
            piece(json!({"index": 0, "function": {"name": "get_"}})),
            piece(json!({"index": 0, "function": {"name": "weather"}})),
            piece(json!({"index": 1, "id": "y", "function": {"name": "g"}})),
            piece(json!({"index": 0, "function": {"name": "", "arguments": "{}"}})),
            chunk(json!([{"index": 0, "delta": {}, "finish_reason": "tool_calls"}])),
        ]);
        let calls = chunks.iter().map(|chunk| &chunk["choices"][0]["delta"]["tool_calls"][0]);
        let begun = calls
            .filter_map(|call| Some((call["id"].as_str()?, call["function"]["name"].as_str()?)));
        assert_eq!(begun.collect::<Vec<_>>(), [("x", "get_weather"), ("y", "g")]);
    }

    #[test]
    fn a_call_that_never_gets_a_name_breaks_the_stream() {
        let nameless =
            json!([{"delta": {"tool_calls": [{"index": 0, "id": "x", "function": {}}]}}]);
        let (mut decoder, mut events) = (Decoder::default(), Vec::new());
        let mut read = |data: &str| {
            decoder.decode(&Frame { event: b"", data: data.as_bytes().into() }, &mut events)
        };
        read(&chunk(nameless).to_string()).unwrap();
        assert!(matches!(read("[DONE]"), Err(StreamFault::Malformed(_))));
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
