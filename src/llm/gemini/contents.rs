//! Canonical messages as Gemini's contents.

use std::collections::HashMap;

use serde_json::json;

use super::model::Model;
use super::part::{media_type, plain_result};
use super::picture;
use super::signature::SKIP;
use super::wire::{WireBlob, WireCall, WireContent, WireFile, WirePart, WireResult};
use crate::llm::chat::{
    ChatRequest, Content, Json, Message, Part, Role, Signature, Signer, Source,
};
use crate::llm::codec::Dropped;
use crate::llm::error::RequestError;

fn refuse(message: impl Into<String>) -> RequestError {
    RequestError::field("messages", message)
}

/// Writes the turns of one request.
pub struct Writer<'a> {
    model: Option<Model>,
    /// The function of each call so far: results must name it, and callers give only the id.
    functions: HashMap<&'a str, &'a str>,
    contents: Vec<WireContent>,
}

impl<'a> Writer<'a> {
    /// Nothing written yet.
    pub fn new(model: &str) -> Self {
        Self { model: Model::of(model), functions: HashMap::new(), contents: Vec::new() }
    }

    /// Writes all turns; system messages belong to the instruction.
    ///
    /// # Errors
    /// [`RequestError`] for content that Gemini cannot take.
    pub fn write(
        mut self,
        request: &'a ChatRequest,
        dropped: &mut Dropped,
    ) -> Result<Vec<WireContent>, RequestError> {
        for message in &request.messages {
            match message.role {
                Role::System => {}
                Role::User => self.user(message, dropped)?,
                Role::Assistant => self.model(message, dropped)?,
            }
        }
        if self.model.is_some_and(Model::insists_on_signatures) {
            self.contents.iter_mut().for_each(excuse_missing_signature);
        }
        Ok(self.contents)
    }

    /// Neighbours of one role are one turn: as many results must come in a turn as there were calls.
    fn push(&mut self, role: &str, parts: Vec<WirePart>) {
        match self.contents.last_mut() {
            Some(last) if last.role.as_deref() == Some(role) => {
                last.parts.get_or_insert_default().extend(parts);
            }
            _ if parts.is_empty() => {}
            _ => {
                self.contents.push(WireContent { role: Some(role.to_owned()), parts: Some(parts) });
            }
        }
    }

    fn user(&mut self, message: &Message, dropped: &mut Dropped) -> Result<(), RequestError> {
        let (mut results, mut said) = (Vec::new(), Vec::new());
        for part in &message.parts {
            note_beside(part, dropped);
            match &part.content {
                Content::ToolResult { call_id, parts, is_error } => {
                    let (result, after) = self.result(call_id, parts, *is_error, dropped)?;
                    results.push(result);
                    said.extend(after);
                }
                content => said.extend(encode_content(content, dropped)?),
            }
        }
        results.append(&mut said);
        self.push("user", results);
        Ok(())
    }

    /// One result, and what follows the results: images, where the model does not take them inside.
    fn result(
        &self,
        call_id: &str,
        parts: &[Part],
        is_error: bool,
        dropped: &mut Dropped,
    ) -> Result<(WirePart, Vec<WirePart>), RequestError> {
        let Some(name) = self.functions.get(call_id) else {
            let text = format!(
                "a tool result names the call \"{call_id}\", which is not in the conversation: send the assistant's message with its tool calls before it"
            );
            return Err(refuse(text));
        };
        let (mut text, mut media) = (String::new(), Vec::new());
        for part in parts {
            note_beside(part, dropped);
            match &part.content {
                Content::Text(piece) => text.push_str(piece),
                content => media.extend(encode_content(content, dropped)?),
            }
        }
        let inside = self.model.is_some_and(Model::takes_media_in_results);
        let (inside, after) = if inside { (media, Vec::new()) } else { (Vec::new(), media) };
        let result = WireResult {
            id: Some(call_id.to_owned()),
            name: (*name).to_owned(),
            response: Some(wrap_result(&text, is_error)),
            parts: (!inside.is_empty()).then_some(inside),
        };
        Ok((WirePart { function_response: Some(result), ..WirePart::default() }, after))
    }

    fn model(&mut self, message: &'a Message, dropped: &mut Dropped) -> Result<(), RequestError> {
        let mut parts: Vec<WirePart> = Vec::with_capacity(message.parts.len());
        // A signature without a text of its own belongs to what follows it.
        let mut carried: Option<&str> = None;
        for part in &message.parts {
            note_beside(part, dropped);
            let own = part.signature.as_ref().and_then(by_google);
            match &part.content {
                Content::Thinking { text, signature } => {
                    match signature.as_ref().and_then(by_google) {
                        Some(proof) if text.is_empty() => carried = Some(proof),
                        Some(proof) => parts.push(WirePart {
                            thought: Some(true),
                            thought_signature: Some(proof.to_owned()),
                            ..WirePart::text(text)
                        }),
                        None => dropped.add("reasoning_content"),
                    }
                    continue;
                }
                Content::RedactedThinking(_) => {
                    dropped.add("redacted_thinking");
                    continue;
                }
                Content::Text(text) | Content::Refusal(text)
                    if text.is_empty() && own.is_none() =>
                {
                    continue;
                }
                Content::ToolCall { id, name, arguments } => {
                    self.functions.insert(id, name);
                    parts.push(encode_call(id, name, arguments)?);
                }
                Content::Text(text) => parts.extend(picture::parts(text)),
                content => parts.extend(encode_content(content, dropped)?),
            }
            if let Some(last) = parts.last_mut()
                && let Some(proof) = own.or_else(|| carried.take())
            {
                last.thought_signature = Some(proof.to_owned());
            }
        }
        if let Some(proof) = carried {
            let thought_signature = Some(proof.to_owned());
            parts.push(WirePart { thought_signature, ..WirePart::text("") });
        }
        self.push("model", parts);
        Ok(())
    }
}

fn by_google(signature: &Signature) -> Option<&str> {
    signature.by(Signer::Gemini)
}

/// Names what lies beside a part and cannot go along.
fn note_beside(part: &Part, dropped: &mut Dropped) {
    if part.cache.is_some() {
        dropped.add("cache_control");
    }
    if !part.citations.is_empty() {
        dropped.add("citations");
    }
    if part.signature.as_ref().is_some_and(|signature| by_google(signature).is_none()) {
        dropped.add("thought_signature");
    }
    dropped.title(&part.content);
}

/// Only the first of parallel calls is signed; a step whose first is not comes from another model, or
/// from a client that does not keep signatures.
fn excuse_missing_signature(content: &mut WireContent) {
    let mut parts = content.parts.iter_mut().flatten();
    if let Some(first) = parts.find(|part| part.function_call.is_some()) {
        first.thought_signature.get_or_insert_with(|| SKIP.to_owned());
    }
}

/// The parts of the system's instruction.
pub fn encode_system<'a>(
    parts: impl Iterator<Item = &'a Part>,
    dropped: &mut Dropped,
) -> Vec<WirePart> {
    let mut texts = Vec::new();
    for part in parts {
        note_beside(part, dropped);
        match &part.content {
            Content::Text(text) if text.is_empty() => {}
            Content::Text(text) => texts.push(WirePart::text(text)),
            _ => dropped.add("system"),
        }
    }
    texts
}

fn encode_content(
    content: &Content,
    dropped: &mut Dropped,
) -> Result<Option<WirePart>, RequestError> {
    Ok(match content {
        Content::Text(text) | Content::Refusal(text) if text.is_empty() => None,
        Content::Text(text) | Content::Refusal(text) => Some(WirePart::text(text)),
        Content::Image { source, detail } => {
            if detail.as_deref().is_some_and(|detail| detail != "auto") {
                dropped.add("image_url.detail");
            }
            Some(encode_source(source, "image/jpeg")?)
        }
        Content::File { source: Source::Text(text), .. } => Some(WirePart::text(text)),
        Content::File { source, name } => {
            if name.is_some() {
                dropped.add("filename");
            }
            Some(encode_source(source, "application/pdf")?)
        }
        Content::ToolCall { .. }
        | Content::ToolResult { .. }
        | Content::Thinking { .. }
        | Content::RedactedThinking(_) => {
            dropped.add("messages.content");
            None
        }
    })
}

/// `kind`: the media type where neither the caller nor the URL's ending tells.
fn encode_source(source: &Source, kind: &str) -> Result<WirePart, RequestError> {
    let fetched = |uri: &str| {
        let kind = media_type(uri).unwrap_or(kind).to_owned();
        let file = WireFile { mime_type: Some(kind), file_uri: uri.to_owned(), display_name: None };
        WirePart { file_data: Some(file), ..WirePart::default() }
    };
    match source {
        Source::Base64 { media_type, data } => {
            let blob =
                WireBlob { mime_type: media_type.clone(), data: data.clone(), display_name: None };
            Ok(WirePart { inline_data: Some(blob), ..WirePart::default() })
        }
        Source::Url(url) => Ok(fetched(url)),
        Source::Id(id) if id.starts_with("gs://") || id.starts_with("https://") => Ok(fetched(id)),
        Source::Id(id) if id.starts_with("files/") => {
            Ok(fetched(&format!("https://generativelanguage.googleapis.com/v1beta/{id}")))
        }
        Source::Text(text) => Ok(WirePart::text(text)),
        Source::Id(_) => Err(refuse(
            "a file uploaded to another provider cannot be given to this model's provider: send it in base64 or by URL",
        )),
    }
}

fn encode_call(id: &str, name: &str, arguments: &str) -> Result<WirePart, RequestError> {
    let args = object(arguments).ok_or_else(|| {
        refuse("\"tool_calls[].function.arguments\" must be a JSON object in a string, for example \"{\\\"city\\\": \\\"Oslo\\\"}\"")
    })?;
    let call = WireCall {
        id: Some(id.to_owned()),
        name: Some(name.to_owned()),
        args: Some(args),
        ..WireCall::default()
    };
    Ok(WirePart { function_call: Some(call), ..WirePart::default() })
}

/// Arguments as the object that Gemini wants; `None` if they are none.
pub fn object(arguments: &str) -> Option<Json> {
    match arguments.trim() {
        "" | "null" => Some(Json::empty_object()),
        text if text.starts_with('{') => Json::parse(text),
        _ => None,
    }
}

/// A result as the object that Gemini wants: itself if it is one, else wrapped as Google documents.
fn wrap_result(text: &str, is_error: bool) -> Json {
    // What looks like our own wrapping would be unwrapped when it is read again.
    if !is_error
        && text.trim_start().starts_with('{')
        && plain_result(text) == (text.to_owned(), false)
        && let Some(json) = Json::parse(text)
    {
        return json;
    }
    let name = if is_error { "error" } else { "output" };
    Json::parse(&json!({name: text}).to_string()).unwrap_or_else(Json::empty_object)
}
