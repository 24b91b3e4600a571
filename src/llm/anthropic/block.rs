//! Content blocks of Messages: between wire and canonical form, both ways.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::beside::{attach_signatures, decode_citations};
use super::wire::{WireBlock, WireSource};
use crate::llm::chat::{Content, Json, Part, Signature, Signer, Source};
use crate::llm::codec::{Dropped, safe_id};
use crate::llm::error::RequestError;
use crate::llm::one_or_many::OneOrMany;

/// Ids have no bound of their own; longer ones than this are not ids.
const MAX_ID: usize = 128;

/// The parts of a request's content. A block that only Anthropic can serve is refused.
pub fn decode_content(
    content: OneOrMany<WireBlock>,
    dropped: &mut Dropped,
) -> Result<Vec<Part>, RequestError> {
    match content {
        OneOrMany::One(text) if text.is_empty() => Ok(Vec::new()),
        OneOrMany::One(text) => Ok(vec![Content::Text(text).into()]),
        OneOrMany::Foreign => {
            let message = "\"content\" must be a string or a list of blocks";
            Err(RequestError::field("messages", message))
        }
        OneOrMany::Many(blocks) => {
            let decode = |block| decode_known(block, dropped);
            let parts = blocks.into_iter().map(decode).collect::<Result<Vec<Part>, _>>()?;
            Ok(attach_signatures(parts))
        }
    }
}

fn decode_known(block: WireBlock, dropped: &mut Dropped) -> Result<Part, RequestError> {
    let kind = block.kind.clone();
    decode_block(block, dropped)?.ok_or_else(|| {
        let instead = match kind.as_str() {
            "search_result" => "send what it says as \"text\", or as a \"document\" of text",
            "container_upload" => "send the file in base64, as a \"document\" or an \"image\"",
            _ if kind == "server_tool_use" || kind.ends_with("_tool_result") => {
                "leave it out, for only Anthropic's API knows its own tools"
            }
            _ => {
                "use \"text\", \"image\", \"document\", \"tool_use\", \"tool_result\" or \"thinking\""
            }
        };
        unsupported(format!(
            "content of type \"{kind}\" cannot be given to this model's provider: {instead}"
        ))
    })
}

/// The part that a block is; `None`: only Anthropic knows it.
pub fn decode_block(block: WireBlock, dropped: &mut Dropped) -> Result<Option<Part>, RequestError> {
    let mut citations = Vec::new();
    let content = match block.kind.as_str() {
        "text" => {
            citations = decode_citations(block.citations.as_ref());
            Content::Text(block.text.unwrap_or_default())
        }
        "image" => Content::Image { source: decode_source(block.source)?, detail: None },
        "document" => {
            if block.context.is_some() {
                dropped.add("document.context");
            }
            if block.citations.is_some_and(|citations| citations.text().contains("true")) {
                dropped.add("document.citations");
            }
            Content::File { source: decode_source(block.source)?, name: block.title }
        }
        "tool_use" => Content::ToolCall {
            id: block.id.unwrap_or_default(),
            name: block.name.unwrap_or_default(),
            arguments: block.input.map_or_else(|| "{}".to_owned(), |input| input.text().to_owned()),
        },
        "tool_result" => Content::ToolResult {
            call_id: block.tool_use_id.unwrap_or_default(),
            parts: match block.content {
                Some(content) => decode_content(content, dropped)?,
                None => Vec::new(),
            },
            is_error: block.is_error.unwrap_or(false),
        },
        "thinking" => Content::Thinking {
            text: block.thinking.unwrap_or_default(),
            signature: block
                .signature
                .filter(|signature| !signature.is_empty())
                .map(|signature| Signature::read(signature, Signer::Anthropic)),
        },
        "redacted_thinking" => Content::RedactedThinking(block.data.unwrap_or_default()),
        _ => return Ok(None),
    };
    Ok(Some(Part { cache: block.cache_control, citations, ..Part::from(content) }))
}

fn decode_source(source: Option<WireSource>) -> Result<Source, RequestError> {
    let source = source.unwrap_or_default();
    if source.kind == "content" {
        let message = "a \"document\" whose \"source\" is of type \"content\" cannot be given to this model's provider: send its text in {\"type\": \"text\", \"media_type\": \"text/plain\", \"data\"}";
        return Err(unsupported(message.to_owned()));
    }
    let found = match source.kind.as_str() {
        "url" => source.url.map(Source::Url),
        "base64" => source
            .data
            .zip(source.media_type)
            .map(|(data, media_type)| Source::Base64 { media_type, data }),
        "text" => source.data.map(Source::Text),
        "file" => source.file_id.map(Source::Id),
        _ => None,
    };
    found.ok_or_else(|| {
        let message = "a \"source\" is incomplete: give {\"type\": \"base64\", \"media_type\", \"data\"} or {\"type\": \"url\", \"url\"}";
        RequestError::field("messages", message)
    })
}

/// A part as a block; `None` if Anthropic would refuse it (empty text, thinking without signature).
pub fn encode_part(part: &Part, dropped: &mut Dropped) -> Result<Option<WireBlock>, RequestError> {
    if part.signature.is_some() {
        dropped.add("thought_signature");
    }
    // They could only be given back to the provider that searched.
    if !part.citations.is_empty() {
        dropped.add("annotations");
    }
    let mut block = match &part.content {
        Content::Text(text) | Content::Refusal(text) if text.is_empty() => return Ok(None),
        Content::Text(text) | Content::Refusal(text) => WireBlock::text(text),
        Content::Image { source, detail } => {
            if detail.as_deref().is_some_and(|detail| detail != "auto") {
                dropped.add("image_url.detail");
            }
            WireBlock { source: Some(encode_source(source)?), ..WireBlock::of("image") }
        }
        Content::File { source, name } => WireBlock {
            source: Some(encode_document(source)?),
            title: name.clone(),
            ..WireBlock::of("document")
        },
        Content::ToolCall { id, name, arguments } => WireBlock {
            id: Some(safe_id(id, MAX_ID)),
            name: Some(name.clone()),
            input: Some(object(arguments)?),
            ..WireBlock::of("tool_use")
        },
        Content::ToolResult { call_id, parts, is_error } => WireBlock {
            tool_use_id: Some(safe_id(call_id, MAX_ID)),
            content: encode_result(parts, dropped)?,
            is_error: is_error.then_some(true),
            ..WireBlock::of("tool_result")
        },
        Content::Thinking { text, signature } => {
            // Without its signature, or with another model's, Anthropic refuses it.
            let Some(signature) = signature.as_ref().and_then(|by| by.by(Signer::Anthropic)) else {
                dropped.add("reasoning_content");
                return Ok(None);
            };
            WireBlock {
                thinking: Some(text.clone()),
                signature: Some(signature.to_owned()),
                ..WireBlock::of("thinking")
            }
        }
        Content::RedactedThinking(data) => {
            WireBlock { data: Some(data.clone()), ..WireBlock::of("redacted_thinking") }
        }
    };
    // Thoughts cannot be marked.
    if !matches!(part.content, Content::Thinking { .. } | Content::RedactedThinking(_)) {
        block.cache_control.clone_from(&part.cache);
    }
    Ok(Some(block))
}

/// Anthropic takes documents as PDF or as plain text; a text of any kind is one.
fn encode_document(source: &Source) -> Result<WireSource, RequestError> {
    let Source::Base64 { media_type, data } = source else { return encode_source(source) };
    match media_type.as_str() {
        "application/pdf" => encode_source(source),
        kind if kind.starts_with("text/") || kind == "application/json" => {
            let bytes = STANDARD.decode(data).ok();
            let text = bytes.and_then(|bytes| String::from_utf8(bytes).ok());
            let text = text.ok_or_else(|| {
                let message = format!("a document of type \"{kind}\" must be UTF-8 in base64");
                RequestError::field("messages", message)
            })?;
            encode_source(&Source::Text(text))
        }
        other => Err(unsupported(format!(
            "a document of type \"{other}\" cannot be given to this model's provider: send a PDF \
             (\"application/pdf\") or its text (\"text/plain\")"
        ))),
    }
}

fn unsupported(message: String) -> RequestError {
    RequestError::unsupported("messages", "unsupported_content", message)
}

fn encode_source(source: &Source) -> Result<WireSource, RequestError> {
    let of = |kind: &str| WireSource { kind: kind.to_owned(), ..WireSource::default() };
    Ok(match source {
        Source::Url(url) => WireSource { url: Some(url.clone()), ..of("url") },
        Source::Base64 { media_type, data } => WireSource {
            media_type: Some(media_type.clone()),
            data: Some(data.clone()),
            ..of("base64")
        },
        Source::Text(text) => WireSource {
            media_type: Some("text/plain".to_owned()),
            data: Some(text.clone()),
            ..of("text")
        },
        Source::Id(id) => {
            return Err(unsupported(format!(
                "the file \"{id}\" was uploaded to another provider, and this model's cannot read it: \
                 send its data in base64"
            )));
        }
    })
}

fn encode_result(
    parts: &[Part],
    dropped: &mut Dropped,
) -> Result<Option<OneOrMany<WireBlock>>, RequestError> {
    let mut blocks = Vec::with_capacity(parts.len());
    for part in parts {
        blocks.extend(encode_part(part, dropped)?);
    }
    Ok(match blocks.as_mut_slice() {
        [] => None,
        [only] if only.kind == "text" && only.cache_control.is_none() => {
            only.text.take().map(OneOrMany::One)
        }
        _ => Some(OneOrMany::Many(blocks)),
    })
}

/// Arguments as the object that Anthropic wants.
pub fn object(arguments: &str) -> Result<Json, RequestError> {
    match arguments.trim() {
        "" | "null" => return Ok(Json::empty_object()),
        text if text.starts_with('{') => {
            if let Some(json) = Json::parse(text) {
                return Ok(json);
            }
        }
        _ => {}
    }
    let message = "\"tool_calls[].function.arguments\" must be a JSON object in a string, for example \"{\\\"city\\\": \\\"Oslo\\\"}\"";
    Err(RequestError::field("messages", message))
}
