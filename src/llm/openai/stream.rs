//! Streams of chat completions: chunks to canonical events and back.

use serde::Serialize;

use super::part::{decode_content, redacted, signed};
use super::response::{answer_id, trust_calls};
use super::wire::{
    ThinkingBlock, WireAnswer, WireChoice, WireMessage, WireToolCall, WireUsage, finish_reason,
    finish_word, usage_of,
};
use crate::llm::chat::{ChatEvent, Content};
use crate::llm::codec::{EventDecoder, EventEncoder};
use crate::llm::error::{ApiError, ErrorKind};
use crate::llm::scan::scan;
use crate::llm::sse::Frame;
use crate::llm::stream::StreamFault;
use crate::llm::translate::ResponseContext;
use crate::llm::usage::Usage;

/// Reads chunks. Tolerates what servers that follow OpenAI do: no index, repeated names, late ids,
/// arguments as objects, `stop` beside calls.
#[derive(Default)]
pub struct Decoder {
    started: bool,
    answer: String,
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
        if found.error {
            return Err(error_frame());
        }
        let chunk: WireAnswer = serde_json::from_slice(data)
            .map_err(|error| StreamFault::Malformed(format!("a chunk is not JSON: {error}")))?;
        if found.usage
            && let Some(usage) = usage_of(data)
        {
            events.push(ChatEvent::Usage(usage));
        }
        let choices = chunk.choices.unwrap_or_default();
        if !self.started && !choices.is_empty() {
            self.started = true;
            let id = chunk.id.filter(|id| !id.is_empty());
            self.answer = id.clone().unwrap_or_default();
            let model = chunk.model.filter(|model| !model.is_empty());
            events.push(ChatEvent::Start { id, model });
        }
        for choice in choices.into_iter().filter(|choice| choice.index.unwrap_or(0) == 0) {
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
        if let Some(delta) = choice.delta.or(choice.message) {
            self.delta(delta, events)?;
        }
        if let Some(word) = choice.finish_reason.filter(|word| !word.is_empty()) {
            let reason = trust_calls(finish_reason(&word), !self.calls.is_empty());
            events.push(ChatEvent::Finish { reason, stop_sequence: None });
        }
        Ok(())
    }

    fn delta(
        &mut self,
        delta: WireMessage,
        events: &mut Vec<ChatEvent>,
    ) -> Result<(), StreamFault> {
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
        for call in delta.tool_calls.unwrap_or_default() {
            self.call(call, events)?;
        }
        Ok(())
    }

    fn call(&mut self, wire: WireToolCall, events: &mut Vec<ChatEvent>) -> Result<(), StreamFault> {
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
                let minted = || format!("call_{}_{index}", self.answer);
                let event_id = id.clone().unwrap_or_else(minted);
                events.push(ChatEvent::ToolCall { index, id: event_id, name });
                self.calls.push(Call { wire_index: wire.index, id });
                index
            }
        };
        if let Some(json) = wire.function.arguments_text().filter(|json| !json.is_empty()) {
            events.push(ChatEvent::Arguments { index, json });
        }
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

/// Writes chunks.
pub struct Encoder {
    context: ResponseContext,
    include_usage: bool,
    id: String,
    model: String,
    started: bool,
    finished: bool,
    thinking: String,
    usage: Option<Usage>,
}

#[derive(Serialize)]
struct Chunk<'a> {
    id: &'a str,
    object: &'static str,
    created: i64,
    model: &'a str,
    choices: &'a [Choice<'a>],
    #[serde(skip_serializing_if = "Option::is_none")]
    usage: Option<Option<WireUsage>>,
}

#[derive(Serialize)]
struct Choice<'a> {
    index: u32,
    delta: Delta<'a>,
    logprobs: Option<()>,
    finish_reason: Option<&'static str>,
}

#[derive(Default, Serialize)]
struct Delta<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    role: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    content: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    refusal: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reasoning_content: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    thinking_blocks: Option<[ThinkingBlock; 1]>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tool_calls: Option<[CallDelta<'a>; 1]>,
}

#[derive(Serialize)]
struct CallDelta<'a> {
    index: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<&'a str>,
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    kind: Option<&'static str>,
    function: FunctionDelta<'a>,
}

#[derive(Serialize)]
struct FunctionDelta<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<&'a str>,
    arguments: &'a str,
}

impl Encoder {
    /// `include_usage`: end with a chunk of usage.
    pub fn new(context: &ResponseContext, include_usage: bool) -> Self {
        Self {
            id: answer_id(None, context),
            model: context.model.clone(),
            context: context.clone(),
            include_usage,
            started: false,
            finished: false,
            thinking: String::new(),
            usage: None,
        }
    }

    fn start(&mut self, out: &mut Vec<u8>) -> Result<(), StreamFault> {
        if std::mem::replace(&mut self.started, true) {
            return Ok(());
        }
        let delta = Delta { role: Some("assistant"), content: Some(""), ..Delta::default() };
        self.delta(delta, None, out)
    }

    fn delta(
        &self,
        delta: Delta<'_>,
        finish_reason: Option<&'static str>,
        out: &mut Vec<u8>,
    ) -> Result<(), StreamFault> {
        let choice = Choice { index: 0, delta, logprobs: None, finish_reason };
        self.write(&[choice], self.include_usage.then_some(None), out)
    }

    fn write(
        &self,
        choices: &[Choice<'_>],
        usage: Option<Option<WireUsage>>,
        out: &mut Vec<u8>,
    ) -> Result<(), StreamFault> {
        let chunk = Chunk {
            id: &self.id,
            object: "chat.completion.chunk",
            created: self.context.created,
            model: &self.model,
            choices,
            usage,
        };
        out.extend_from_slice(b"data: ");
        serde_json::to_writer(&mut *out, &chunk)
            .map_err(|error| StreamFault::Malformed(error.to_string()))?;
        out.extend_from_slice(b"\n\n");
        Ok(())
    }

    fn call(&self, call: CallDelta<'_>, out: &mut Vec<u8>) -> Result<(), StreamFault> {
        self.delta(Delta { tool_calls: Some([call]), ..Delta::default() }, None, out)
    }

    fn block(&self, block: ThinkingBlock, out: &mut Vec<u8>) -> Result<(), StreamFault> {
        self.delta(Delta { thinking_blocks: Some([block]), ..Delta::default() }, None, out)
    }

    fn end(&mut self, out: &mut Vec<u8>) -> Result<(), StreamFault> {
        if !self.finished {
            self.delta(Delta::default(), Some("stop"), out)?;
        }
        if self.include_usage
            && let Some(usage) = self.usage
        {
            self.write(&[], Some(Some(usage.into())), out)?;
        }
        out.extend_from_slice(b"data: [DONE]\n\n");
        Ok(())
    }
}

impl EventEncoder for Encoder {
    fn encode(&mut self, event: &ChatEvent, out: &mut Vec<u8>) -> Result<(), StreamFault> {
        match event {
            ChatEvent::Start { id, model } => {
                self.id = answer_id(id.as_deref(), &self.context);
                if let Some(model) = model {
                    self.model.clone_from(model);
                }
            }
            ChatEvent::Usage(usage) => {
                self.usage = Some(*usage);
                return Ok(());
            }
            _ => {}
        }
        self.start(out)?;
        let empty = Delta::default();
        match event {
            ChatEvent::Text(text) => self.delta(Delta { content: Some(text), ..empty }, None, out),
            ChatEvent::Refusal(text) => {
                self.delta(Delta { refusal: Some(text), ..empty }, None, out)
            }
            ChatEvent::Thinking(text) => {
                self.thinking.push_str(text);
                self.delta(Delta { reasoning_content: Some(text), ..empty }, None, out)
            }
            ChatEvent::Signature(signature) => {
                let thinking = std::mem::take(&mut self.thinking);
                self.block(signed(&thinking, signature), out)
            }
            ChatEvent::RedactedThinking(data) => self.block(redacted(data), out),
            ChatEvent::ToolCall { index, id, name } => {
                let function = FunctionDelta { name: Some(name), arguments: "" };
                let kind = Some("function");
                self.call(CallDelta { index: *index, id: Some(id), kind, function }, out)
            }
            ChatEvent::Arguments { index, json } => {
                let function = FunctionDelta { name: None, arguments: json };
                self.call(CallDelta { index: *index, id: None, kind: None, function }, out)
            }
            ChatEvent::Finish { reason, .. } => {
                self.finished = true;
                self.delta(empty, Some(finish_word(reason)), out)
            }
            ChatEvent::End => self.end(out),
            ChatEvent::BlockEnd => {
                self.thinking.clear();
                Ok(())
            }
            ChatEvent::Start { .. } | ChatEvent::Usage(_) => Ok(()),
        }
    }
}
