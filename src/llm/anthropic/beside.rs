//! What lies beside the text of an answer: citations, and signatures of other makers. Messages has no
//! place for a signature beside a text or a call, so it travels as a thinking block without text:
//! before a call, and after a text or a call of which it became known too late.

use serde::Deserialize;
use serde_json::{Value, json};

use super::wire::WireBlock;
use crate::llm::chat::{Citation, Content, Json, Part, Signature, Signer};

/// Marks a signature that belongs to what was before it.
const AFTER: &str = "sluice.after.";

/// Reads `citations` of a text. Those of documents have no place that others could visit.
pub fn decode_citations(wire: Option<&Json>) -> Vec<Citation> {
    let wire = wire.and_then(|wire| serde_json::from_str::<Vec<Value>>(wire.text()).ok());
    wire.unwrap_or_default().iter().filter_map(decode_citation).collect()
}

/// Reads one of them, or the `citation` of a delta.
pub fn decode_citation(wire: &Value) -> Option<Citation> {
    #[derive(Deserialize)]
    struct Wire {
        url: Option<String>,
        source: Option<String>,
        title: Option<String>,
        document_title: Option<String>,
        cited_text: Option<String>,
    }
    let wire = Wire::deserialize(wire).ok()?;
    Some(Citation {
        url: wire.url.or(wire.source),
        title: wire.title.or(wire.document_title),
        text: wire.cited_text.filter(|text| !text.is_empty()),
        span: None,
    })
}

/// Writes one of `citations`, of the type whose place is a URL. `said`: the answer's text so far.
pub fn encode_citation(citation: &Citation, said: &str) -> Value {
    let slice = |(start, end): (u64, u64)| {
        let (start, end) = (usize::try_from(start).ok()?, usize::try_from(end).ok()?);
        Some(said.chars().skip(start).take(end.checked_sub(start)?).collect::<String>())
    };
    let text = citation.text.clone().or_else(|| slice(citation.span?)).unwrap_or_default();
    json!({
        "type": "web_search_result_location",
        "url": citation.url.as_deref().unwrap_or_default(),
        "title": citation.title,
        "cited_text": text,
        "encrypted_index": "",
    })
}

/// `citations` of a text.
pub fn encode_citations(citations: &[Citation], said: &str) -> Option<Json> {
    let wire = citations.iter().map(|citation| encode_citation(citation, said));
    (!citations.is_empty()).then(|| Json::parse(&wire.collect::<Value>().to_string())).flatten()
}

/// The block in which the signature of what comes next travels.
pub fn signature_before(signature: &Signature) -> WireBlock {
    carrier(signature.tagged(Signer::Anthropic))
}

/// The block in which the signature of what was before it travels.
pub fn signature_after(signature: &Signature) -> WireBlock {
    carrier(format!("{AFTER}{}", signature.tagged(Signer::Anthropic)))
}

fn carrier(signature: String) -> WireBlock {
    WireBlock {
        thinking: Some(String::new()),
        signature: Some(signature),
        ..WireBlock::of("thinking")
    }
}

/// Gives signatures that travelled in blocks of their own back to their parts.
pub fn attach_signatures(parts: Vec<Part>) -> Vec<Part> {
    let mut attached: Vec<Part> = Vec::with_capacity(parts.len());
    let mut next: Option<Signature> = None;
    for mut part in parts {
        if let Some((signature, is_after)) = travelled(&part) {
            match attached.last_mut().filter(|_| is_after) {
                Some(last) => last.signature = Some(signature),
                None => next = Some(signature),
            }
            continue;
        }
        if matches!(part.content, Content::Text(_) | Content::ToolCall { .. }) {
            part.signature = next.take();
        }
        attached.push(part);
    }
    attached
}

/// The signature that a part only carries, and whether it belongs to the part before.
fn travelled(part: &Part) -> Option<(Signature, bool)> {
    let Content::Thinking { text, signature: Some(signature) } = &part.content else { return None };
    if !text.is_empty() {
        return None;
    }
    match signature.by(Signer::Anthropic).and_then(|text| text.strip_prefix(AFTER)) {
        Some(tagged) => Some((Signature::read(tagged.to_owned(), Signer::Anthropic), true)),
        None if signature.signer == Signer::Gemini => Some((signature.clone(), false)),
        None => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::llm::anthropic::block::decode_block;
    use crate::llm::codec::Dropped;

    fn read(blocks: Vec<WireBlock>) -> Vec<Part> {
        let decode = |block| decode_block(block, &mut Dropped::default()).unwrap();
        attach_signatures(blocks.into_iter().filter_map(decode).collect())
    }

    #[test]
    fn signatures_find_their_parts_again_on_either_side() {
        let sign = |value: &str| Signature::new(Signer::Gemini, value);
        let parts = read(vec![
            WireBlock::text("a"),
            signature_after(&sign("1")),
            signature_before(&sign("2")),
            WireBlock::of("tool_use"),
            WireBlock::of("tool_use"),
        ]);
        let signatures: Vec<_> = parts.into_iter().map(|part| part.signature).collect();
        assert_eq!(signatures, [Some(sign("1")), Some(sign("2")), None]);
    }

    #[test]
    fn thoughts_of_other_makers_stay_thoughts() {
        let signature = Signature::new(Signer::OpenAi, "x");
        let parts = read(vec![signature_before(&signature), WireBlock::text("a")]);
        assert_eq!((parts.len(), parts[1].signature.clone()), (2, None));
    }

    #[test]
    fn citations_of_every_type_are_read_and_cite_the_text_that_their_span_covers() {
        let wire = json!([
            {"type": "web_search_result_location", "url": "https://x.test", "title": "X", "cited_text": "é"},
            {"type": "char_location", "document_title": "D", "cited_text": ""},
        ]);
        let read = decode_citations(Json::parse(&wire.to_string()).as_ref());
        let place = |at: usize| {
            (read[at].url.as_deref(), read[at].title.as_deref(), read[at].text.as_deref())
        };
        assert_eq!(place(0), (Some("https://x.test"), Some("X"), Some("é")));
        assert_eq!(place(1), (None, Some("D"), None));
        let spanned = Citation { span: Some((1, 3)), ..Citation::default() };
        assert_eq!(encode_citation(&spanned, "aéb")["cited_text"], "éb");
        assert!(decode_citations(Json::parse(r#"{"enabled":true}"#).as_ref()).is_empty());
    }
}
