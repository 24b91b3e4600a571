//! The conversation as Mistral takes it: roles in its order, ids of its form, content in its chunks.

use super::wire::{WireChunk, WireContent, WireMessage, WireThought};
use crate::llm::chat::{ChatRequest, Content, Json, Message, Part, Role, Source};
use crate::llm::codec::{Dropped, fnv1a};
use crate::llm::error::RequestError;
use crate::llm::openai::wire::{ImageUrl, WireFunction, WireToolCall};

/// What the assistant says between a tool's result and the user, who may not follow each other.
const ACKNOWLEDGEMENT: &str = "OK";
/// The length of Mistral's tool call ids, all of `[a-zA-Z0-9]`.
const ID_LENGTH: usize = 9;
const ID_ALPHABET: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// An id in Mistral's form: itself if it has it, else a hash, the same for a call and its result.
pub fn encode_id(id: &str) -> String {
    if id.len() == ID_LENGTH && id.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
        return id.to_owned();
    }
    let mut rest = fnv1a(id.as_bytes());
    let mut digit = || {
        let digit = usize::try_from(rest % 62).unwrap_or_default();
        rest /= 62;
        ID_ALPHABET.get(digit).copied().map_or('0', char::from)
    };
    (0..ID_LENGTH).map(|_| digit()).collect()
}

/// All messages of a request.
pub fn encode<'a>(
    request: &'a ChatRequest,
    dropped: &mut Dropped,
) -> Result<Vec<WireMessage<'a>>, RequestError> {
    let mut encoder = Encoder {
        messages: Vec::with_capacity(request.messages.len() + 1),
        thinks: thinks(request),
        dropped,
    };
    encoder.system(request);
    for message in &request.messages {
        match message.role {
            // Mistral takes it only at the start, where it stands already.
            Role::System => {}
            Role::User => encoder.user(&message.parts)?,
            Role::Assistant => encoder.assistant(message)?,
        }
    }
    let mut messages = encoder.messages;
    match messages.last_mut() {
        Some(last) if last.role == "assistant" && last.tool_calls.is_empty() => last.prefix = true,
        // A conversation of instructions alone is refused.
        Some(only) if only.role == "system" => only.role = "user",
        _ => {}
    }
    Ok(messages)
}

/// Whether the model may be given reasoning back; others refuse it.
fn thinks(request: &ChatRequest) -> bool {
    request.model.contains("magistral") || request.reasoning.is_some()
}

struct Encoder<'a, 'd> {
    messages: Vec<WireMessage<'a>>,
    thinks: bool,
    dropped: &'d mut Dropped,
}

impl<'a> Encoder<'a, '_> {
    fn push(&mut self, role: &'static str, content: WireContent<'a>) {
        self.messages.push(WireMessage {
            role,
            content,
            tool_calls: Vec::new(),
            tool_call_id: None,
            prefix: false,
        });
    }

    fn system(&mut self, request: &'a ChatRequest) {
        let later = request.messages.iter().filter(|message| message.role == Role::System);
        let parts = request.system.iter().chain(later.flat_map(|message| &message.parts));
        let mut texts = Vec::new();
        for part in parts {
            self.dropped.beside(part);
            match &part.content {
                Content::Text(text) if !text.is_empty() => texts.push(text.as_str()),
                _ => {}
            }
        }
        if !texts.is_empty() {
            self.push("system", WireContent::Text(texts.join("\n\n")));
        }
    }

    /// Results directly follow their calls; what else is said comes after them.
    fn user(&mut self, parts: &'a [Part]) -> Result<(), RequestError> {
        let mut said = Vec::new();
        for part in parts {
            let Content::ToolResult { call_id, parts, is_error } = &part.content else {
                said.push(part);
                continue;
            };
            self.dropped.beside(part);
            if *is_error {
                self.dropped.add("tool_result.is_error");
            }
            let content = self.content(&parts.iter().collect::<Vec<_>>())?;
            self.messages.push(WireMessage {
                role: "tool",
                content,
                tool_calls: Vec::new(),
                tool_call_id: Some(encode_id(call_id)),
                prefix: false,
            });
        }
        if said.is_empty() {
            return Ok(());
        }
        if self.messages.last().is_some_and(|last| last.role == "tool") {
            self.push("assistant", WireContent::Text(ACKNOWLEDGEMENT.to_owned()));
        }
        let content = self.content(&said)?;
        self.push("user", content);
        Ok(())
    }

    fn assistant(&mut self, message: &'a Message) -> Result<(), RequestError> {
        let (mut said, mut calls) = (Vec::new(), Vec::new());
        for part in &message.parts {
            match &part.content {
                Content::ToolCall { id, name, arguments } => {
                    self.dropped.beside(part);
                    calls.push(encode_call(id, name, arguments));
                }
                _ => said.push(part),
            }
        }
        let content = self.content(&said)?;
        let is_empty = matches!(&content, WireContent::Text(text) if text.is_empty());
        if !is_empty || !calls.is_empty() {
            self.push("assistant", content);
            if let Some(last) = self.messages.last_mut() {
                last.tool_calls = calls;
            }
        }
        Ok(())
    }

    /// A text where there is nothing but text, else chunks.
    fn content(&mut self, parts: &[&'a Part]) -> Result<WireContent<'a>, RequestError> {
        let mut chunks = Vec::with_capacity(parts.len());
        for part in parts {
            self.dropped.beside(part);
            chunks.extend(self.chunk(&part.content)?);
        }
        Ok(match chunks.as_slice() {
            [] => WireContent::Text(String::new()),
            [WireChunk::Text { text }] => WireContent::Text((*text).to_owned()),
            _ => WireContent::Chunks(chunks),
        })
    }

    fn chunk(&mut self, content: &'a Content) -> Result<Option<WireChunk<'a>>, RequestError> {
        Ok(match content {
            Content::Text(text) | Content::Refusal(text) => text_chunk(text),
            Content::File { source: Source::Text(text), .. } => text_chunk(text),
            Content::Image { source, detail } => {
                let image_url = ImageUrl { url: encode_url(source)?, detail: detail.clone() };
                Some(WireChunk::ImageUrl { image_url })
            }
            Content::File { source: Source::Id(file_id), .. } => Some(WireChunk::File { file_id }),
            Content::File { source, name } => Some(WireChunk::DocumentUrl {
                document_url: encode_url(source)?,
                document_name: name.as_deref(),
            }),
            Content::Thinking { text, signature: None } if self.thinks && !text.is_empty() => {
                Some(WireChunk::Thinking { thinking: [WireThought::Text { text }] })
            }
            Content::Thinking { .. } | Content::RedactedThinking(_) => {
                self.dropped.add("reasoning_content");
                None
            }
            Content::ToolCall { .. } | Content::ToolResult { .. } => None,
        })
    }
}

/// Empty chunks are left out: they say nothing.
fn text_chunk(text: &str) -> Option<WireChunk<'_>> {
    (!text.is_empty()).then_some(WireChunk::Text { text })
}

fn encode_url(source: &Source) -> Result<String, RequestError> {
    match source {
        Source::Url(url) => Ok(url.clone()),
        Source::Base64 { media_type, data } => Ok(format!("data:{media_type};base64,{data}")),
        Source::Text(_) | Source::Id(_) => Err(RequestError::field(
            "messages",
            "an uploaded image cannot be given to this model's provider: send it in base64 or by URL",
        )),
    }
}

fn encode_call(id: &str, name: &str, arguments: &str) -> WireToolCall {
    let arguments = serde_json::Value::from(arguments).to_string();
    WireToolCall {
        id: Some(encode_id(id)),
        kind: Some("function".to_owned()),
        function: WireFunction { name: Some(name.to_owned()), arguments: Json::parse(&arguments) },
        ..WireToolCall::default()
    }
}
