//! Content parts of chat completions: between wire and canonical form, both ways.

use super::beside::{decode_citations, decode_signature, encode_citation, encode_signature};
use super::wire::{
    ImageUrl, ThinkingBlock, WireFile, WireFunction, WireMessage, WirePart, WireToolCall,
};
use crate::llm::chat::{Citation, Content, Json, Part, Signature, Signer, Source};
use crate::llm::codec::{Dropped, safe_id};
use crate::llm::error::RequestError;
use crate::llm::one_or_many::OneOrMany;

/// The longest tool call id that OpenAI takes.
const MAX_ID: usize = 40;

/// Anthropic's form of a cache mark, which is the canonical one.
const CACHE_MARK: &str = r#"{"type":"ephemeral"}"#;
/// OpenAI's form of one.
const BREAKPOINT: &str = r#"{"mode":"explicit"}"#;

/// OpenAI's cache mark (API reference, `prompt_cache_breakpoint`), read.
pub fn decode_breakpoint(wire: Option<&Json>) -> Option<Json> {
    wire.filter(|wire| wire.text() != "null").and_then(|_| Json::parse(CACHE_MARK))
}

/// A part's mark in OpenAI's form for a model that takes it; else it is named. There is no hour's
/// cache.
pub fn encode_breakpoint(part: &Part, takes_marks: bool, dropped: &mut Dropped) -> Option<Json> {
    let mark = part.cache.as_ref()?;
    if !takes_marks {
        dropped.add("cache_control");
        return None;
    }
    if mark.text().contains("\"1h\"") {
        dropped.add("cache_control.ttl");
    }
    Json::parse(BREAKPOINT)
}

fn part(content: Content, cache: Option<Json>) -> Part {
    Part { cache, ..Part::from(content) }
}

/// The parts of a message's content.
pub fn decode_content(content: Option<OneOrMany<WirePart>>) -> Result<Vec<Part>, RequestError> {
    match content {
        None => Ok(Vec::new()),
        Some(OneOrMany::One(text)) if text.is_empty() => Ok(Vec::new()),
        Some(OneOrMany::One(text)) => Ok(vec![Content::Text(text).into()]),
        Some(OneOrMany::Many(parts)) => parts.into_iter().map(decode_part).collect(),
        Some(OneOrMany::Foreign) => {
            let message = "\"content\" must be a string or a list of parts";
            Err(RequestError::field("messages", message))
        }
    }
}

fn decode_part(wire: WirePart) -> Result<Part, RequestError> {
    let cache =
        wire.cache_control.or_else(|| decode_breakpoint(wire.prompt_cache_breakpoint.as_ref()));
    let content = match wire.kind.as_str() {
        "text" | "input_text" | "output_text" => Content::Text(wire.text.unwrap_or_default()),
        "refusal" => Content::Refusal(wire.refusal.unwrap_or_default()),
        "thinking" => Content::Thinking { text: thinking_text(wire.thinking), signature: None },
        "image_url" => {
            let image = wire.image_url.unwrap_or_default();
            Content::Image { source: decode_url(image.url)?, detail: image.detail }
        }
        "file" => decode_file(wire.file.unwrap_or_default())?,
        other => {
            let message = format!(
                "content of type \"{other}\" cannot be given to this model's provider: use \"text\", \"image_url\" or \"file\""
            );
            return Err(RequestError::field("messages", message));
        }
    };
    Ok(part(content, cache))
}

fn thinking_text(thinking: Option<OneOrMany<WirePart>>) -> String {
    match thinking {
        None | Some(OneOrMany::Foreign) => String::new(),
        Some(OneOrMany::One(text)) => text,
        Some(OneOrMany::Many(parts)) => parts.into_iter().filter_map(|part| part.text).collect(),
    }
}

fn decode_file(file: WireFile) -> Result<Content, RequestError> {
    let source = match (file.file_data, file.file_id) {
        (Some(data), _) if data.starts_with("data:") => decode_url(data)?,
        (Some(data), _) => Source::Base64 { media_type: "application/pdf".to_owned(), data },
        (None, Some(id)) => Source::Id(id),
        (None, None) => {
            let message = "a \"file\" part needs \"file_data\" with a data URL, for example \"data:application/pdf;base64,...\"";
            return Err(RequestError::field("messages", message));
        }
    };
    Ok(Content::File { source, name: file.filename })
}

/// A `data:` URL is data, not a place.
fn decode_url(url: String) -> Result<Source, RequestError> {
    let Some(rest) = url.strip_prefix("data:") else { return Ok(Source::Url(url)) };
    let Some((media_type, data)) = rest.split_once(";base64,") else {
        let message = "a data URL must be in base64, for example \"data:image/png;base64,...\"";
        return Err(RequestError::field("messages", message));
    };
    let media_type = media_type.split(';').next().unwrap_or_default();
    // A frequent slip that Anthropic refuses.
    let media_type = if media_type == "image/jpg" { "image/jpeg" } else { media_type };
    Ok(Source::Base64 { media_type: media_type.to_owned(), data: data.to_owned() })
}

/// The parts of an assistant's message: thinking first, then text, then calls. `minted` names calls
/// that came without an id.
pub fn decode_assistant(message: WireMessage, minted: &str) -> Result<Vec<Part>, RequestError> {
    let mut parts: Vec<Part> = message
        .thinking_blocks
        .unwrap_or_default()
        .into_iter()
        .filter_map(decode_thinking)
        .collect();
    let reasoning = message.reasoning_content.or(message.reasoning).filter(|text| !text.is_empty());
    if parts.is_empty()
        && let Some(text) = reasoning
    {
        parts.push(Content::Thinking { text, signature: None }.into());
    }
    parts.extend(decode_content(message.content)?);
    let signature = decode_signature(message.extra_content.as_ref());
    let citations = decode_citations(message.annotations.as_ref());
    if signature.is_some() || !citations.is_empty() {
        beside_text(&mut parts, signature, citations);
    }
    if let Some(refusal) = message.refusal.filter(|text| !text.is_empty()) {
        parts.push(Content::Refusal(refusal).into());
    }
    for (at, call) in message.tool_calls.unwrap_or_default().into_iter().enumerate() {
        let arguments = call.function.arguments_text().unwrap_or_default();
        let id = call.id.filter(|id| !id.is_empty() && id != "null");
        let content = Content::ToolCall {
            id: id.unwrap_or_else(|| format!("call_{minted}_{at}")),
            name: call.function.name.unwrap_or_default(),
            arguments: whole_arguments(arguments),
        };
        let signature = decode_signature(call.extra_content.as_ref());
        parts.push(Part { signature, ..content.into() });
    }
    Ok(parts)
}

/// Gives what lies beside the content to the last text, or to an empty one where there is none.
fn beside_text(parts: &mut Vec<Part>, signature: Option<Signature>, citations: Vec<Citation>) {
    let is_text = |part: &&mut Part| matches!(part.content, Content::Text(_));
    match parts.iter_mut().rev().find(is_text) {
        Some(text) => (text.signature, text.citations) = (signature, citations),
        None => {
            let text = Part::from(Content::Text(String::new()));
            parts.push(Part { signature, citations, ..text });
        }
    }
}

/// Empty and null arguments mean none.
fn whole_arguments(text: String) -> String {
    if matches!(text.trim(), "" | "null") { "{}".to_owned() } else { text }
}

fn decode_thinking(block: ThinkingBlock) -> Option<Part> {
    let content = match block.kind.as_str() {
        "redacted_thinking" => Content::RedactedThinking(block.data?),
        "thinking" => Content::Thinking {
            text: block.thinking.unwrap_or_default(),
            signature: block
                .signature
                .filter(|signature| !signature.is_empty())
                .map(|signature| Signature::read(signature, Signer::Anthropic)),
        },
        _ => return None,
    };
    Some(content.into())
}

/// A user's or a tool's parts as content: a text if there is only text, else a list.
pub fn encode_content(
    parts: &[Part],
    takes_marks: bool,
    dropped: &mut Dropped,
) -> Result<OneOrMany<WirePart>, RequestError> {
    let mut encoded = Vec::with_capacity(parts.len());
    for part in parts {
        let prompt_cache_breakpoint = encode_breakpoint(part, takes_marks, dropped);
        dropped.title(&part.content);
        if let Some(wire) = encode_part(&part.content)? {
            encoded.push(WirePart { prompt_cache_breakpoint, ..wire });
        }
    }
    Ok(match encoded.as_mut_slice() {
        [] => OneOrMany::One(String::new()),
        [only] if only.kind == "text" && only.prompt_cache_breakpoint.is_none() => {
            OneOrMany::One(only.text.take().unwrap_or_default())
        }
        _ => OneOrMany::Many(encoded),
    })
}

fn encode_part(content: &Content) -> Result<Option<WirePart>, RequestError> {
    Ok(Some(match content {
        Content::Text(text) | Content::Refusal(text) => {
            WirePart { kind: "text".to_owned(), text: Some(text.clone()), ..WirePart::default() }
        }
        Content::Image { source, detail } => WirePart {
            kind: "image_url".to_owned(),
            image_url: Some(ImageUrl { url: encode_url(source)?, detail: detail.clone() }),
            ..WirePart::default()
        },
        Content::File { source: Source::Text(text), .. } => {
            WirePart { kind: "text".to_owned(), text: Some(text.clone()), ..WirePart::default() }
        }
        Content::File { source, name } => WirePart {
            kind: "file".to_owned(),
            file: Some(encode_file(source, name.as_deref())?),
            ..WirePart::default()
        },
        Content::ToolCall { .. }
        | Content::ToolResult { .. }
        | Content::Thinking { .. }
        | Content::RedactedThinking(_) => return Ok(None),
    }))
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

fn encode_file(source: &Source, name: Option<&str>) -> Result<WireFile, RequestError> {
    match source {
        Source::Base64 { .. } => Ok(WireFile {
            file_data: Some(encode_url(source)?),
            filename: Some(name.unwrap_or("document.pdf").to_owned()),
            file_id: None,
        }),
        _ => Err(RequestError::field(
            "messages",
            "a document by URL or id cannot be given to this model's provider: send it in base64",
        )),
    }
}

/// Who reads a message: what one must have, another refuses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reader {
    /// A client, which gets reasoning, citations and signatures too.
    Client,
    /// A provider of Google's models, which wants its signatures back.
    Google,
    /// Any other provider.
    Provider,
}

impl Reader {
    /// The provider of a model.
    pub fn of_model(model: &str) -> Self {
        if model.contains("gemini") { Self::Google } else { Self::Provider }
    }

    /// `extra_content` for a signature.
    fn extra(self, signature: Option<&Signature>, dropped: &mut Dropped) -> Option<Json> {
        let signature = signature?;
        if self == Self::Client || (self == Self::Google && signature.by(Signer::Gemini).is_some())
        {
            return Json::parse(&encode_signature(signature).to_string());
        }
        dropped.add("thought_signature");
        None
    }
}

/// An assistant's parts as a message.
pub fn encode_assistant(parts: &[Part], reader: Reader, dropped: &mut Dropped) -> WireMessage {
    let mut message = WireMessage { role: Some("assistant".to_owned()), ..WireMessage::default() };
    let (mut text, mut refusal, mut reasoning) = (String::new(), String::new(), String::new());
    let (mut calls, mut blocks, mut annotations) = (Vec::new(), Vec::new(), Vec::new());
    for part in parts {
        let extra = reader.extra(part.signature.as_ref(), dropped);
        match &part.content {
            Content::Text(piece) => {
                let start = length(&text);
                text.push_str(piece);
                let span = (start, length(&text));
                annotations.extend(part.citations.iter().map(|cited| encode_citation(cited, span)));
                message.extra_content = extra.or(message.extra_content);
            }
            Content::Refusal(piece) => refusal.push_str(piece),
            Content::ToolCall { id, name, arguments } => {
                let call = encode_call(id, name, arguments);
                calls.push(WireToolCall { extra_content: extra, ..call });
            }
            Content::Thinking { .. } | Content::RedactedThinking(_) if reader != Reader::Client => {
                dropped.add("thinking");
            }
            Content::Thinking { text, signature } => {
                reasoning.push_str(text);
                blocks.extend(signature.as_ref().map(|signature| signed(text, signature)));
            }
            Content::RedactedThinking(data) => blocks.push(redacted(data)),
            Content::Image { .. } | Content::File { .. } | Content::ToolResult { .. } => {
                dropped.add("messages.content");
            }
        }
        if part.cache.is_some() {
            dropped.add("cache_control");
        }
    }
    if reader != Reader::Client && !annotations.is_empty() {
        dropped.add("citations");
        annotations.clear();
    }
    message.annotations = match annotations.is_empty() {
        true => None,
        false => Json::parse(&serde_json::Value::from(annotations).to_string()),
    };
    message.content = (!text.is_empty()).then_some(OneOrMany::One(text));
    message.refusal = (!refusal.is_empty()).then_some(refusal);
    message.reasoning_content = (!reasoning.is_empty()).then_some(reasoning);
    message.thinking_blocks = (!blocks.is_empty()).then_some(blocks);
    message.tool_calls = (!calls.is_empty()).then_some(calls);
    message
}

/// The length of a text as citations count it: in characters.
pub fn length(text: &str) -> u64 {
    u64::try_from(text.chars().count()).unwrap_or(u64::MAX)
}

fn encode_call(id: &str, name: &str, arguments: &str) -> WireToolCall {
    let arguments = serde_json::Value::from(arguments).to_string();
    WireToolCall {
        index: None,
        id: Some(safe_id(id, MAX_ID)),
        kind: Some("function".to_owned()),
        function: WireFunction { name: Some(name.to_owned()), arguments: Json::parse(&arguments) },
        extra_content: None,
    }
}

/// A thinking block with its signature, as Anthropic writes it.
pub fn signed(text: &str, signature: &Signature) -> ThinkingBlock {
    ThinkingBlock {
        kind: "thinking".to_owned(),
        thinking: Some(text.to_owned()),
        signature: Some(signature.tagged(Signer::Anthropic)),
        data: None,
    }
}

/// A redacted thinking block, as Anthropic writes it.
pub fn redacted(data: &str) -> ThinkingBlock {
    let kind = "redacted_thinking".to_owned();
    ThinkingBlock { kind, data: Some(data.to_owned()), ..ThinkingBlock::default() }
}

/// The id that a tool result refers to, in the form that its call was given.
pub fn encode_id(id: &str) -> String {
    safe_id(id, MAX_ID)
}
