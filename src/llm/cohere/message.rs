//! The conversation as Cohere takes it.

use super::wire::{WireCall, WireContent, WireFunction, WireMessage, WirePart};
use crate::llm::chat::{ChatRequest, Content, Message, Part, Role, Source};
use crate::llm::codec::Dropped;
use crate::llm::error::RequestError;
use crate::llm::openai::wire::ImageUrl;

/// All messages of a request.
pub fn encode<'a>(
    request: &'a ChatRequest,
    dropped: &mut Dropped,
) -> Result<Vec<WireMessage<'a>>, RequestError> {
    let messages = Vec::with_capacity(request.messages.len() + 1);
    // Cohere's other models refuse reasoning in what is said to them.
    let thinks = request.model.contains("reasoning") || request.reasoning.is_some();
    let mut encoder = Encoder { messages, thinks, dropped };
    encoder.system(&request.system);
    for message in &request.messages {
        match message.role {
            Role::System => encoder.system(&message.parts),
            Role::User => encoder.user(&message.parts)?,
            Role::Assistant => encoder.assistant(message),
        }
    }
    Ok(encoder.messages)
}

struct Encoder<'a, 'd> {
    messages: Vec<WireMessage<'a>>,
    thinks: bool,
    dropped: &'d mut Dropped,
}

impl<'a> Encoder<'a, '_> {
    fn push(&mut self, role: &'static str, content: WireContent<'a>) {
        let content = Some(content);
        self.messages.push(WireMessage { role, content, ..WireMessage::default() });
    }

    fn system(&mut self, parts: &'a [Part]) {
        let text = self.text(parts, "\n\n");
        if !text.is_empty() {
            self.push("system", WireContent::Text(text));
        }
    }

    /// The texts of parts; what else they hold is named.
    fn text(&mut self, parts: &[Part], between: &str) -> String {
        let mut texts = Vec::new();
        for part in parts {
            self.dropped.beside(part);
            match &part.content {
                Content::Text(text) | Content::Refusal(text) if !text.is_empty() => {
                    texts.push(text.as_str());
                }
                _ => {}
            }
        }
        texts.join(between)
    }

    /// Results directly follow their calls; what else is said comes after them, and so do images that
    /// a tool gave, which only the user may show.
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
            let text = self.text(parts, "");
            shown.extend(parts.iter().filter(|part| !is_text(part)));
            self.messages.push(WireMessage {
                role: "tool",
                content: Some(WireContent::Text(text)),
                tool_call_id: Some(call_id),
                ..WireMessage::default()
            });
        }
        shown.append(&mut said);
        let mut content = Vec::with_capacity(shown.len());
        for part in shown {
            self.dropped.beside(part);
            content.extend(user_part(&part.content)?);
        }
        match content.as_slice() {
            [] => {}
            [WirePart::Text { text }] => {
                let text = WireContent::Text((*text).to_owned());
                self.push("user", text);
            }
            _ => self.push("user", WireContent::Parts(content)),
        }
        Ok(())
    }

    /// Beside calls, text is the plan that led to them.
    fn assistant(&mut self, message: &'a Message) {
        let mut wire = WireMessage { role: "assistant", ..WireMessage::default() };
        let (mut content, mut text) = (Vec::new(), String::new());
        for part in &message.parts {
            self.dropped.beside(part);
            match &part.content {
                Content::Text(piece) | Content::Refusal(piece) => {
                    text.push_str(piece);
                    content.extend(text_part(piece));
                }
                Content::ToolCall { id, name, arguments } => wire.tool_calls.push(WireCall {
                    id,
                    kind: "function",
                    function: WireFunction { name, arguments },
                }),
                Content::Thinking { text, signature: None } if self.thinks && !text.is_empty() => {
                    content.push(WirePart::Thinking { thinking: text });
                }
                Content::Thinking { .. } | Content::RedactedThinking(_) => {
                    self.dropped.add("reasoning_content");
                }
                Content::Image { .. } | Content::File { .. } | Content::ToolResult { .. } => {
                    self.dropped.add("messages.content");
                }
            }
        }
        if !wire.tool_calls.is_empty() {
            wire.tool_plan = Some(text).filter(|text| !text.is_empty());
            content.retain(|part| !matches!(part, WirePart::Text { .. }));
        } else if content.iter().all(|part| matches!(part, WirePart::Text { .. })) {
            wire.content = Some(WireContent::Text(text)).filter(|_| !content.is_empty());
            content.clear();
        }
        if !content.is_empty() {
            wire.content = Some(WireContent::Parts(content));
        }
        if wire.content.is_some() || !wire.tool_calls.is_empty() {
            self.messages.push(wire);
        }
    }
}

/// Empty parts are left out: they say nothing, and are refused.
fn text_part(text: &str) -> Option<WirePart<'_>> {
    (!text.is_empty()).then_some(WirePart::Text { text })
}

fn user_part(content: &Content) -> Result<Option<WirePart<'_>>, RequestError> {
    let refuse = |text: &str| Err(RequestError::field("messages", text.to_owned()));
    match content {
        Content::Text(text) | Content::Refusal(text) => Ok(text_part(text)),
        Content::File { source: Source::Text(text), .. } => Ok(text_part(text)),
        Content::Image { source, detail } => {
            let url = match source {
                Source::Url(url) => url.clone(),
                Source::Base64 { media_type, data } => format!("data:{media_type};base64,{data}"),
                Source::Text(_) | Source::Id(_) => {
                    return refuse(
                        "an uploaded image cannot be given to this model's provider: send it in base64 or by URL",
                    );
                }
            };
            let image_url = ImageUrl { url, detail: detail.clone() };
            Ok(Some(WirePart::ImageUrl { image_url }))
        }
        Content::File { .. } => refuse(
            "a document cannot be given to this model's provider: send its text, or its pages as images",
        ),
        Content::ToolCall { .. }
        | Content::ToolResult { .. }
        | Content::Thinking { .. }
        | Content::RedactedThinking(_) => Ok(None),
    }
}
