//! The conversation as Ollama takes it: one text a message, images beside it, arguments as objects.

use std::collections::HashMap;

use super::wire::{WireCall, WireFunction, WireMessage};
use crate::llm::chat::{ChatRequest, Content, Json, Part, Role, Source};
use crate::llm::codec::Dropped;
use crate::llm::error::RequestError;

/// All messages of a request.
pub fn encode<'a>(
    request: &'a ChatRequest,
    dropped: &mut Dropped,
) -> Result<Vec<WireMessage<'a>>, RequestError> {
    let messages = Vec::with_capacity(request.messages.len() + 1);
    let mut encoder = Encoder { messages, names: HashMap::new(), dropped };
    encoder.say("system", request.system.iter())?;
    for message in &request.messages {
        match message.role {
            Role::System => encoder.say("system", message.parts.iter())?,
            Role::User => encoder.user(&message.parts)?,
            Role::Assistant => encoder.say("assistant", message.parts.iter())?,
        }
    }
    Ok(encoder.messages)
}

struct Encoder<'a, 'd> {
    messages: Vec<WireMessage<'a>>,
    /// The tools' names by the ids of the calls: a result must name its tool.
    names: HashMap<&'a str, &'a str>,
    dropped: &'d mut Dropped,
}

impl<'a> Encoder<'a, '_> {
    /// Results directly follow their calls; what else is said comes after them, and so do images that
    /// a tool gave.
    fn user(&mut self, parts: &'a [Part]) -> Result<(), RequestError> {
        let (mut shown, mut said) = (Vec::new(), Vec::new());
        for part in parts {
            let Content::ToolResult { call_id, parts, is_error } = &part.content else {
                said.push(part);
                continue;
            };
            self.dropped.beside(part);
            if *is_error {
                self.dropped.add("tool_result.is_error");
            }
            let is_text = |part: &&Part| matches!(part.content, Content::Text(_));
            let mut message = WireMessage {
                role: "tool",
                tool_name: self.names.get(call_id.as_str()).copied(),
                tool_call_id: Some(call_id),
                ..WireMessage::default()
            };
            for text in parts.iter().filter(is_text) {
                self.add(text, &mut message)?;
            }
            self.messages.push(message);
            shown.extend(parts.iter().filter(|part| !is_text(part)));
        }
        shown.append(&mut said);
        self.say("user", shown.into_iter())
    }

    fn say(
        &mut self,
        role: &'static str,
        parts: impl Iterator<Item = &'a Part>,
    ) -> Result<(), RequestError> {
        let mut message = WireMessage { role, ..WireMessage::default() };
        for part in parts {
            self.add(part, &mut message)?;
        }
        let is_empty = message.content.is_empty()
            && message.images.is_empty()
            && message.tool_calls.is_empty();
        if !is_empty {
            self.messages.push(message);
        }
        Ok(())
    }

    fn add(&mut self, part: &'a Part, message: &mut WireMessage<'a>) -> Result<(), RequestError> {
        self.dropped.beside(part);
        match &part.content {
            Content::Text(text) | Content::Refusal(text) => {
                add_text(text, message);
            }
            Content::File { source: Source::Text(text), .. } => add_text(text, message),
            Content::Image { source: Source::Base64 { data, .. }, detail } => {
                if detail.as_deref().is_some_and(|detail| detail != "auto") {
                    self.dropped.add("image_url.detail");
                }
                message.images.push(data);
            }
            Content::Image { .. } => {
                return refuse(
                    "an image by URL or id cannot be given to Ollama: send it in base64",
                );
            }
            Content::File { .. } => {
                return refuse(
                    "a document cannot be given to Ollama: send its text, or its pages as images",
                );
            }
            Content::ToolCall { id, name, arguments } => {
                self.names.insert(id, name);
                message.tool_calls.push(WireCall {
                    id: Some(id.clone()),
                    function: WireFunction {
                        name: name.clone(),
                        arguments: Some(object(arguments)?),
                    },
                });
            }
            Content::Thinking { text, signature: None } => message.thinking.push_str(text),
            Content::Thinking { .. } | Content::RedactedThinking(_) => {
                self.dropped.add("reasoning_content");
            }
            Content::ToolResult { .. } => {}
        }
        Ok(())
    }
}

/// Texts of one message become one; a blank line keeps them apart, except that the model's own pieces
/// belong together.
fn add_text(text: &str, message: &mut WireMessage<'_>) {
    if !message.content.is_empty() && !text.is_empty() && message.role != "assistant" {
        message.content.push_str("\n\n");
    }
    message.content.push_str(text);
}

fn refuse<T>(text: &'static str) -> Result<T, RequestError> {
    Err(RequestError::field("messages", text))
}

fn object(arguments: &str) -> Result<Json, RequestError> {
    if matches!(arguments.trim(), "" | "null") {
        return Ok(Json::empty_object());
    }
    match Json::parse(arguments).filter(|json| json.text().starts_with('{')) {
        Some(json) => Ok(json),
        None => refuse(
            "\"tool_calls[].function.arguments\" must be a JSON object in a string, for example \"{\\\"city\\\": \\\"Oslo\\\"}\"",
        ),
    }
}
