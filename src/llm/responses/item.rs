//! Items that mean the same in a request's input and in an answer's output: reasoning and calls.

use super::freeform::wrap;
use super::tool::flat_name;
use super::wire::{WireItem, WirePart};
use crate::llm::chat::{Content, Part, Signature, Signer};
use crate::llm::one_or_many::OneOrMany;

/// Marks Anthropic's hidden reasoning in `encrypted_content`.
const REDACTED: &str = "sluice.redacted.";

/// What a reasoning item holds. Summaries are joined, for other dialects know one text.
pub fn reasoning(item: WireItem) -> Option<Content> {
    let proof = item.encrypted_content.filter(|proof| !proof.is_empty());
    if let Some(data) = proof.as_deref().and_then(|proof| proof.strip_prefix(REDACTED)) {
        return Some(Content::RedactedThinking(data.to_owned()));
    }
    let signature = proof.map(|proof| Signature::read(proof, Signer::OpenAi));
    let summaries = texts(item.summary.unwrap_or_default());
    let summaries = summaries.or_else(|| match item.content {
        Some(OneOrMany::Many(parts)) => texts(parts),
        _ => None,
    });
    if summaries.is_none() && signature.is_none() {
        return None;
    }
    Some(Content::Thinking { text: summaries.unwrap_or_default(), signature })
}

fn texts(parts: Vec<WirePart>) -> Option<String> {
    let texts: Vec<String> = parts.into_iter().filter_map(|part| part.text).collect();
    Some(texts.join("\n\n")).filter(|text| !text.is_empty())
}

/// `encrypted_content` for hidden reasoning of Anthropic.
pub fn redacted(data: &str) -> String {
    format!("{REDACTED}{data}")
}

/// A signature that lies beside a text or a call has no place of its own in Responses: it travels
/// as reasoning without text, just after the part that it belongs to.
pub fn is_beside(content: &Content) -> Option<&Signature> {
    match content {
        Content::Thinking { text, signature: Some(signature) }
            if text.is_empty() && signature.signer == Signer::Gemini =>
        {
            Some(signature)
        }
        _ => None,
    }
}

/// Appends a part, or gives the signature that it is to the part before it.
pub fn attach(parts: &mut Vec<Part>, part: Part) {
    let last = parts.last_mut().filter(|last| {
        last.signature.is_none()
            && matches!(last.content, Content::Text(_) | Content::ToolCall { .. })
    });
    match (is_beside(&part.content), last) {
        (Some(signature), Some(last)) => last.signature = Some(signature.clone()),
        _ => parts.push(part),
    }
}

/// The call in a `function_call` or `custom_tool_call`; `None` without a `call_id`.
pub fn call(item: WireItem) -> Option<Content> {
    let name = flat_name(item.namespace.as_deref(), item.name.as_deref().unwrap_or_default());
    let arguments = match item.kind.as_str() {
        "custom_tool_call" => wrap(item.input.as_deref().unwrap_or_default()),
        _ => whole(item.arguments.unwrap_or_default()),
    };
    Some(Content::ToolCall { id: item.call_id?, name, arguments })
}

/// Empty and null arguments mean none.
fn whole(arguments: String) -> String {
    if matches!(arguments.trim(), "" | "null") { "{}".to_owned() } else { arguments }
}
