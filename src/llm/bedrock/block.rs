//! Content blocks of Converse: between wire and canonical form, both ways.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::media::{DocumentNames, decode_document, decode_image, encode_document, encode_image};
use super::model::Model;
use super::wire::{
    WireBlock, WireCachePoint, WireCitation, WireCited, WireReasoning, WireReasoningText,
    WireToolResult, WireToolUse,
};
use crate::llm::anthropic::block::object;
use crate::llm::chat::{Citation, Content, Json, Part, Signature, Signer};
use crate::llm::codec::{Dropped, safe_id};
use crate::llm::error::RequestError;

/// The longest id of a tool call, and the longest name of a tool.
const MAX_WORD: usize = 64;
/// Marks redacted reasoning that is no text: it is kept in base64.
const BINARY: &str = "sluice.base64.";

/// What encoding a request's content has to know and to remember.
pub struct Writer<'a> {
    /// Who will read it.
    pub model: Model<'a>,
    /// What was left out.
    pub dropped: &'a mut Dropped,
    /// The documents named so far.
    pub names: DocumentNames,
}

impl Writer<'_> {
    /// Appends a part, with its cache point. What Bedrock would refuse is left out: blank text, and
    /// reasoning that the model did not sign.
    pub fn part(&mut self, part: &Part, out: &mut Vec<WireBlock>) -> Result<(), RequestError> {
        if let Some(block) = self.block(&part.content)? {
            out.push(block);
        }
        if !part.citations.is_empty() {
            self.dropped.add("citations");
        }
        if let Some(mark) = part.cache.as_ref().or_else(|| inner_cache(&part.content)) {
            self.cache_point(mark, out);
        }
        Ok(())
    }

    fn block(&mut self, content: &Content) -> Result<Option<WireBlock>, RequestError> {
        let empty = WireBlock::default();
        Ok(Some(match content {
            Content::Text(text) | Content::Refusal(text) if text.trim().is_empty() => {
                return Ok(None);
            }
            Content::Text(text) | Content::Refusal(text) => WireBlock::text(text),
            Content::Image { source, detail } => {
                if detail.as_deref().is_some_and(|detail| detail != "auto") {
                    self.dropped.add("image_url.detail");
                }
                WireBlock { image: Some(encode_image(source)?), ..empty }
            }
            Content::File { source, name } => {
                let document = encode_document(source, name.as_deref(), &mut self.names)?;
                WireBlock { document: Some(document), ..empty }
            }
            Content::ToolCall { id, name, arguments } => {
                let input = Some(object(arguments)?);
                let (tool_use_id, name) = (encode_id(id), tool_name(name)?.to_owned());
                let tool_use = Some(WireToolUse { tool_use_id, name, input, kind: None });
                WireBlock { tool_use, ..empty }
            }
            Content::ToolResult { call_id, parts, is_error } => {
                let result = self.result(call_id, parts, *is_error)?;
                WireBlock { tool_result: Some(result), ..empty }
            }
            Content::Thinking { .. } | Content::RedactedThinking(_) => {
                let block = reasoning(content).filter(|_| self.model.takes_reasoning_back());
                if block.is_none() {
                    self.dropped.add("reasoning_content");
                }
                return Ok(block);
            }
        }))
    }

    fn result(
        &mut self,
        call_id: &str,
        parts: &[Part],
        is_error: bool,
    ) -> Result<WireToolResult, RequestError> {
        let mut content = Vec::with_capacity(parts.len());
        for part in parts {
            content.extend(self.block(&part.content)?);
        }
        if content.is_empty() {
            // Neither nothing nor blank text is taken by every model.
            content.push(WireBlock { json: Some(Json::empty_object()), ..WireBlock::default() });
        }
        let status = (is_error && self.model.takes_result_status()).then(|| "error".to_owned());
        if is_error && status.is_none() {
            self.dropped.add("is_error");
        }
        Ok(WireToolResult { tool_use_id: encode_id(call_id), content, status })
    }

    /// Marks what was written so far. A point may not follow a document, except a PDF for Claude.
    pub fn cache_point(&mut self, mark: &Json, out: &mut Vec<WireBlock>) {
        if !self.model.takes_cache_points() {
            self.dropped.add("cache_control");
            return;
        }
        let bars = |block: &WireBlock| {
            let pdf = |format: Option<&str>| self.model.is_claude() && format == Some("pdf");
            block.document.as_ref().is_some_and(|found| !pdf(found.format.as_deref()))
        };
        let at = out.iter().rposition(|block| !bars(block)).map(|at| at + 1);
        match at.filter(|at| *at > 0) {
            None => self.dropped.add("cache_control"),
            Some(at) if out.get(at - 1).is_some_and(|block| block.cache_point.is_some()) => {}
            Some(at) => {
                let cache_point = Some(self.point(mark));
                out.insert(at, WireBlock { cache_point, ..WireBlock::default() });
            }
        }
    }

    /// A cache point for Anthropic's mark.
    pub fn point(&mut self, mark: &Json) -> WireCachePoint {
        let hour = mark.text().contains("\"1h\"");
        if hour && !self.model.takes_all_cache_points() {
            self.dropped.add("cache_control.ttl");
        }
        let ttl = (hour && self.model.takes_all_cache_points()).then(|| "1h".to_owned());
        WireCachePoint { kind: "default".to_owned(), ttl }
    }
}

/// A mark inside a tool result, where no point can stand.
fn inner_cache(content: &Content) -> Option<&Json> {
    let Content::ToolResult { parts, .. } = content else { return None };
    parts.iter().rev().find_map(|part| part.cache.as_ref())
}

/// Reasoning as it may be given back to Claude; `None` without Claude's own signature.
fn reasoning(content: &Content) -> Option<WireBlock> {
    let reasoning = match content {
        Content::Thinking { text, signature } => {
            let signature = signature.as_ref()?.by(Signer::Anthropic)?.to_owned();
            let text = WireReasoningText { text: text.clone(), signature: Some(signature) };
            WireReasoning { reasoning_text: Some(text), redacted_content: None }
        }
        Content::RedactedThinking(data) => {
            WireReasoning { reasoning_text: None, redacted_content: Some(encode_redacted(data)) }
        }
        _ => return None,
    };
    Some(WireBlock { reasoning_content: Some(reasoning), ..WireBlock::default() })
}

/// On the wire it is Anthropic's text once more in base64.
pub fn encode_redacted(data: &str) -> String {
    match data.strip_prefix(BINARY) {
        Some(base64) => base64.to_owned(),
        None => STANDARD.encode(data),
    }
}

/// The redacted reasoning that Anthropic itself would give.
pub fn decode_redacted(base64: &str) -> String {
    match STANDARD.decode(base64) {
        Ok(bytes) => redacted_text(bytes),
        Err(_) => format!("{BINARY}{base64}"),
    }
}

/// The redacted reasoning that these bytes are.
pub fn redacted_text(bytes: Vec<u8>) -> String {
    String::from_utf8(bytes)
        .unwrap_or_else(|error| format!("{BINARY}{}", STANDARD.encode(error.as_bytes())))
}

/// An id of 1 to 64 letters, digits and `_.:-`; others are changed, each always to the same.
pub fn encode_id(id: &str) -> String {
    let fits = |c: char| c.is_ascii_alphanumeric() || "_.:-".contains(c);
    if (1..=MAX_WORD).contains(&id.len()) && id.chars().all(fits) {
        id.to_owned()
    } else {
        safe_id(id, MAX_WORD)
    }
}

/// The name if Bedrock takes it: it could not be changed back in the answer.
pub fn tool_name(name: &str) -> Result<&str, RequestError> {
    let fits = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    if (1..=MAX_WORD).contains(&name.len()) && name.chars().all(fits) {
        return Ok(name);
    }
    let message = format!(
        "the tool name \"{name}\" cannot be given to Bedrock: use 1 to 64 letters, digits, \"_\" and \"-\""
    );
    Err(RequestError::field("tools", message))
}

/// The parts of a message, cache points at what they follow. `None` in place of a part: only Bedrock
/// knows the block.
pub fn decode_blocks(blocks: Vec<WireBlock>) -> Vec<Option<Part>> {
    let mut parts: Vec<Option<Part>> = Vec::with_capacity(blocks.len());
    for block in blocks {
        if let Some(point) = &block.cache_point {
            if let Some(Some(part)) = parts.last_mut() {
                part.cache = cache_mark(point);
            }
            continue;
        }
        parts.push(decode_block(block));
    }
    parts
}

/// Anthropic's mark for a cache point.
pub fn cache_mark(point: &WireCachePoint) -> Option<Json> {
    Json::parse(match point.ttl.as_deref() {
        Some("1h") => r#"{"type":"ephemeral","ttl":"1h"}"#,
        _ => r#"{"type":"ephemeral"}"#,
    })
}

fn decode_block(block: WireBlock) -> Option<Part> {
    if let Some(cited) = block.citations_content {
        return Some(decode_cited(cited));
    }
    let content = if let Some(text) = block.text {
        Content::Text(text)
    } else if let Some(json) = block.json {
        Content::Text(json.text().to_owned())
    } else if let Some(image) = block.image {
        decode_image(image)?
    } else if let Some(document) = block.document {
        decode_document(document)?
    } else if let Some(call) = block.tool_use {
        if call.is_foreign() {
            return None;
        }
        let input = call.input.filter(|input| !matches!(input.text(), "null" | "\"\""));
        let arguments = input.unwrap_or_else(Json::empty_object).text().to_owned();
        Content::ToolCall { id: call.tool_use_id, name: call.name, arguments }
    } else if let Some(result) = block.tool_result {
        Content::ToolResult {
            call_id: result.tool_use_id,
            parts: decode_blocks(result.content).into_iter().flatten().collect(),
            is_error: result.status.as_deref() == Some("error"),
        }
    } else {
        decode_reasoning(block.reasoning_content?)?
    };
    Some(content.into())
}

fn decode_reasoning(reasoning: WireReasoning) -> Option<Content> {
    if let Some(base64) = reasoning.redacted_content {
        return Some(Content::RedactedThinking(decode_redacted(&base64)));
    }
    let WireReasoningText { text, signature } = reasoning.reasoning_text?;
    let signature = signature.filter(|signature| !signature.is_empty());
    // Only Claude signs.
    let signature = signature.map(|signature| Signature::read(signature, Signer::Anthropic));
    Some(Content::Thinking { text, signature })
}

fn decode_cited(cited: WireCited) -> Part {
    let text: String = cited.content.into_iter().filter_map(|piece| piece.text).collect();
    let citations = cited.citations.into_iter().map(decode_citation).collect();
    Part { citations, ..Part::from(Content::Text(text)) }
}

/// Where a text comes from.
pub fn decode_citation(wire: WireCitation) -> Citation {
    let web = wire.location.and_then(|location| location.web).and_then(|web| web.url);
    let source = wire.source.filter(|source| source.contains("://"));
    let text: String = wire.source_content.into_iter().filter_map(|piece| piece.text).collect();
    let text = (!text.is_empty()).then_some(text);
    Citation { url: web.or(source), title: wire.title, text, span: None }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::llm::bedrock::wire::WireDocument;

    #[test]
    fn ids_that_bedrock_takes_are_kept() {
        assert_eq!(encode_id("functions.get_weather:0"), "functions.get_weather:0");
        assert_eq!(encode_id("tooluse_TdmpoyAAhACnMgSAh4lOVF"), "tooluse_TdmpoyAAhACnMgSAh4lOVF");
        let long = encode_id(&"x".repeat(90));
        assert!(long.len() <= 64 && long == encode_id(&"x".repeat(90)));
        assert!(!encode_id("").is_empty());
    }

    #[test]
    fn redacted_reasoning_is_the_same_on_every_platform() {
        let anthropic = "Eu8ECkgIBxABGAIqQ";
        assert_eq!(decode_redacted(&encode_redacted(anthropic)), anthropic);
        let binary = STANDARD.encode([0xff, 0x00]);
        assert_eq!(encode_redacted(&decode_redacted(&binary)), binary);
    }

    #[test]
    fn a_cache_point_stands_before_documents_that_bar_it() {
        let document = |format: &str| {
            let format = Some(format.to_owned());
            let document = Some(WireDocument { format, ..WireDocument::default() });
            WireBlock { document, ..WireBlock::default() }
        };
        let mark = Json::parse(r#"{"type":"ephemeral","ttl":"1h"}"#).unwrap();
        let place = |model: &str, blocks: &[WireBlock]| {
            let mut dropped = Dropped::default();
            let names = DocumentNames::default();
            let mut writer = Writer { model: Model::of(model), dropped: &mut dropped, names };
            let mut out = blocks.to_vec();
            writer.cache_point(&mark, &mut out);
            writer.cache_point(&mark, &mut out);
            let at = out.iter().position(|block| block.cache_point.is_some());
            (at, out.len() - blocks.len(), dropped.into_names())
        };
        let none = Vec::<String>::new();
        let (text, txt, pdf) = (WireBlock::text("a"), document("txt"), document("pdf"));
        let claude = "anthropic.claude-sonnet-4-5-20250929-v1:0";
        assert_eq!(place(claude, &[text.clone(), txt.clone()]), (Some(1), 1, none.clone()));
        assert_eq!(place(claude, &[text.clone(), pdf.clone()]), (Some(2), 1, none.clone()));
        assert_eq!(place(claude, &[txt]), (None, 0, vec!["cache_control".to_owned()]));
        let ttl = vec!["cache_control.ttl".to_owned()];
        assert_eq!(place("amazon.nova-pro-v1:0", &[text.clone(), pdf]), (Some(1), 1, ttl));
        let dropped = vec!["cache_control".to_owned()];
        assert_eq!(place("meta.llama3-8b-instruct-v1:0", &[text]), (None, 0, dropped));
    }
}
