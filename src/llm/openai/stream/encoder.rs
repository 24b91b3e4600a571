//! Streams of chat completions: canonical events to chunks.

use serde::Serialize;
use serde_json::Value;

use crate::llm::Dialect;
use crate::llm::chat::{ChatEvent, Citation};
use crate::llm::codec::EventEncoder;
use crate::llm::error::{ApiError, encode_stream_error};
use crate::llm::openai::beside::{encode_citation, encode_logprobs, encode_signature};
use crate::llm::openai::part::{length, redacted, signed};
use crate::llm::openai::response::answer_id;
use crate::llm::openai::wire::{ThinkingBlock, WireUsage, finish_word};
use crate::llm::stream::StreamFault;
use crate::llm::translate::ResponseContext;
use crate::llm::usage::Usage;

/// Writes chunks.
pub struct Encoder {
    context: ResponseContext,
    include_usage: bool,
    id: String,
    model: String,
    usage: Option<Usage>,
    /// The choice that events belong to: its index, and where it is in `choices`.
    current: (u32, Option<usize>),
    choices: Vec<Said>,
}

/// One choice so far.
#[derive(Default)]
struct Said {
    index: u32,
    finished: bool,
    thinking: String,
    /// Characters of its text.
    length: u64,
    /// Those before the block that is being written.
    block: u64,
    /// Citations of that block whose span its end will say.
    citations: Vec<Citation>,
    /// The call that was written last, if nothing else was since.
    call: Option<usize>,
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
    logprobs: Option<Value>,
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
    annotations: Option<Vec<Value>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    extra_content: Option<Value>,
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
    #[serde(skip_serializing_if = "Option::is_none")]
    extra_content: Option<Value>,
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
            usage: None,
            current: (0, None),
            choices: Vec::new(),
        }
    }

    /// The current choice; its first chunk, which names the role, is written if need be.
    fn said(&mut self, out: &mut Vec<u8>) -> Result<&mut Said, StreamFault> {
        let at = match self.current.1 {
            Some(at) => at,
            None => {
                let role = Delta { role: Some("assistant"), content: Some(""), ..Delta::default() };
                self.delta(role, None, out)?;
                self.choices.push(Said { index: self.current.0, ..Said::default() });
                self.choices.len() - 1
            }
        };
        self.current.1 = Some(at);
        let lost = || StreamFault::Malformed("a choice was lost".to_owned());
        self.choices.get_mut(at).ok_or_else(lost)
    }

    fn choose(&mut self, index: u32) {
        self.current = (index, self.choices.iter().position(|said| said.index == index));
    }

    /// The block has ended, and with it what its citations speak of.
    fn end_block(&mut self, out: &mut Vec<u8>) -> Result<(), StreamFault> {
        let said = self.said(out)?;
        let span = (said.block, said.length);
        said.block = said.length;
        let cited: Vec<Value> =
            said.citations.drain(..).map(|citation| encode_citation(&citation, span)).collect();
        match cited.is_empty() {
            true => Ok(()),
            false => self.delta(Delta { annotations: Some(cited), ..Delta::default() }, None, out),
        }
    }

    fn delta(
        &self,
        delta: Delta<'_>,
        finish_reason: Option<&'static str>,
        out: &mut Vec<u8>,
    ) -> Result<(), StreamFault> {
        let choice = Choice { index: self.current.0, delta, logprobs: None, finish_reason };
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

    fn signature(&mut self, signature: Value, out: &mut Vec<u8>) -> Result<(), StreamFault> {
        let extra_content = Some(signature);
        match self.said(out)?.call {
            Some(index) => {
                let function = FunctionDelta { name: None, arguments: "" };
                self.call(CallDelta { index, id: None, kind: None, function, extra_content }, out)
            }
            None => self.delta(Delta { extra_content, ..Delta::default() }, None, out),
        }
    }

    fn end(&mut self, out: &mut Vec<u8>) -> Result<(), StreamFault> {
        self.said(out)?;
        let open = self.choices.iter().filter(|said| !said.finished).map(|said| said.index);
        for index in open.collect::<Vec<u32>>() {
            self.choose(index);
            self.end_block(out)?;
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
            ChatEvent::Choice(index) => {
                self.choose(*index);
                return Ok(());
            }
            _ => {}
        }
        let said = self.said(out)?;
        let empty = Delta::default();
        match event {
            ChatEvent::Text(text) => {
                said.length += length(text);
                said.call = None;
                self.delta(Delta { content: Some(text), ..empty }, None, out)
            }
            ChatEvent::Refusal(text) => {
                self.delta(Delta { refusal: Some(text), ..empty }, None, out)
            }
            ChatEvent::Thinking(text) => {
                said.thinking.push_str(text);
                self.delta(Delta { reasoning_content: Some(text), ..empty }, None, out)
            }
            ChatEvent::Signature(signature) => {
                let thinking = std::mem::take(&mut said.thinking);
                self.block(signed(&thinking, signature), out)
            }
            ChatEvent::RedactedThinking(data) => self.block(redacted(data), out),
            ChatEvent::ToolCall { index, id, name } => {
                said.call = Some(*index);
                self.end_block(out)?;
                let function = FunctionDelta { name: Some(name), arguments: "" };
                let (id, kind, extra_content) = (Some(id.as_str()), Some("function"), None);
                self.call(CallDelta { index: *index, id, kind, function, extra_content }, out)
            }
            ChatEvent::Arguments { index, json } => {
                said.call = Some(*index);
                let function = FunctionDelta { name: None, arguments: json };
                let (id, kind, extra_content) = (None, None, None);
                self.call(CallDelta { index: *index, id, kind, function, extra_content }, out)
            }
            ChatEvent::Citation(citation) if citation.span.is_some() => {
                let annotations = Some(vec![encode_citation(citation, (0, 0))]);
                self.delta(Delta { annotations, ..empty }, None, out)
            }
            ChatEvent::Citation(citation) => {
                said.citations.push(citation.clone());
                Ok(())
            }
            ChatEvent::Logprobs(tokens) => {
                let (index, logprobs) = (self.current.0, Some(encode_logprobs(tokens)));
                let choice = Choice { index, delta: empty, logprobs, finish_reason: None };
                self.write(&[choice], self.include_usage.then_some(None), out)
            }
            ChatEvent::PartSignature(signature) => self.signature(encode_signature(signature), out),
            ChatEvent::Finish { reason, .. } => {
                said.finished = true;
                self.end_block(out)?;
                self.delta(empty, Some(finish_word(reason)), out)
            }
            ChatEvent::End => self.end(out),
            ChatEvent::BlockEnd | ChatEvent::CallEnd(_) => {
                said.thinking.clear();
                self.end_block(out)
            }
            ChatEvent::Start { .. } | ChatEvent::Usage(_) | ChatEvent::Choice(_) => Ok(()),
        }
    }

    fn fail(&mut self, error: &ApiError, out: &mut Vec<u8>) {
        out.extend_from_slice(&encode_stream_error(Dialect::OpenAi, error));
    }
}
