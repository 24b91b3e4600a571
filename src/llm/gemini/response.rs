//! Whole answers of `generateContent`: wire to canonical form and back.

use serde_json::json;

use super::contents::object;
use super::grounding::{self, Offsets};
use super::part::{Ids, decode_part, join};
use super::picture;
use super::signature;
use super::wire::{
    WireAnswer, WireBlob, WireCall, WireCandidate, WireContent, WireLogprobs, WirePart, WireToken,
    WireTop, WireUsage, finish_reason, finish_word, is_failure,
};
use crate::llm::chat::{
    ChatResponse, Choice, Citation, Content, FinishReason, Json, Part, Source, TokenLogprob,
};
use crate::llm::translate::ResponseContext;

/// Wire to canonical. What the model failed to finish (a malformed call) is no answer, whatever came
/// before it.
pub fn decode(body: &[u8]) -> Result<ChatResponse, String> {
    let answer: WireAnswer = serde_json::from_slice(body).map_err(|error| error.to_string())?;
    let blocked = answer.prompt_feedback.and_then(|feedback| feedback.block_reason).is_some();
    let candidates = answer.candidates.unwrap_or_default();
    let mut choices = Vec::with_capacity(candidates.len());
    for (at, candidate) in candidates.into_iter().enumerate() {
        let prefix = match (&answer.response_id, at) {
            (Some(id), 0) => id.clone(),
            (Some(id), _) => format!("{id}_{at}"),
            (None, _) => format!("{:016x}_{at}", crate::llm::codec::fnv1a(body)),
        };
        choices.push(decode_candidate(candidate, Ids::new(prefix))?);
    }
    if choices.is_empty() {
        if !blocked && answer.usage_metadata.is_none() {
            return Err("it has no candidates".to_owned());
        }
        let finish_reason = blocked.then_some(FinishReason::ContentFilter);
        choices.push(Choice { finish_reason, ..Choice::default() });
    }
    Ok(ChatResponse {
        id: answer.response_id,
        model: answer.model_version,
        choices,
        usage: answer.usage_metadata.and_then(|usage| usage.canonical()),
    })
}

fn decode_candidate(mut candidate: WireCandidate, mut ids: Ids) -> Result<Choice, String> {
    let wire = candidate.content.take().and_then(|content| content.parts).unwrap_or_default();
    let (mut parts, mut offsets) = (Vec::with_capacity(wire.len()), Offsets::default());
    for (at, part) in wire.into_iter().enumerate() {
        let Some(part) = decode_part(part, &mut ids).map_err(|error| error.to_string())? else {
            continue;
        };
        let part = without_image(part);
        if let Content::Text(text) = &part.content {
            offsets.push(at, text);
        }
        join(&mut parts, part);
    }
    let word = candidate.finish_reason.as_deref();
    if let Some(word) = word.filter(|word| is_failure(word)) {
        return Err(failure(word, candidate.finish_message.as_deref()));
    }
    let is_call = |part: &Part| matches!(part.content, Content::ToolCall { .. });
    let called = parts.iter().any(is_call);
    let citations = grounding::decode(&candidate, &offsets);
    if let Some(text) = parts.iter_mut().rfind(|part| matches!(part.content, Content::Text(_))) {
        text.citations = citations;
    }
    Ok(Choice {
        parts,
        finish_reason: word.map(|word| finish_reason(word, called)),
        stop_sequence: None,
        logprobs: candidate.logprobs_result.map(decode_logprobs),
    })
}

/// No dialect that is crossed to has images in its answers.
fn without_image(part: Part) -> Part {
    match part.content {
        Content::Image { source: Source::Base64 { media_type, data }, .. } => {
            Part { content: Content::Text(picture::to_text(&media_type, &data)), ..part }
        }
        _ => part,
    }
}

/// Says why the model failed.
pub fn failure(word: &str, message: Option<&str>) -> String {
    match message.filter(|message| !message.is_empty()) {
        Some(message) => format!("the model failed with {word}: {message}"),
        None => format!("the model failed with {word}: ask again"),
    }
}

/// Gemini's log probabilities.
pub fn decode_logprobs(wire: WireLogprobs) -> Vec<TokenLogprob> {
    let mut tops = wire.top_candidates.into_iter();
    wire.chosen_candidates
        .into_iter()
        .map(|chosen| {
            let top = tops.next().unwrap_or_default().candidates;
            let top = top.into_iter().map(|token| (token.token, token.log_probability)).collect();
            TokenLogprob { token: chosen.token, logprob: chosen.log_probability, top }
        })
        .collect()
}

/// Log probabilities as Gemini writes them.
pub fn encode_logprobs(tokens: &[TokenLogprob]) -> WireLogprobs {
    let wire =
        |token: &str, log_probability: f64| WireToken { token: token.to_owned(), log_probability };
    let shown = tokens.iter().any(|token| !token.top.is_empty());
    let top = |token: &TokenLogprob| WireTop {
        candidates: token.top.iter().map(|(text, logprob)| wire(text, *logprob)).collect(),
    };
    WireLogprobs {
        chosen_candidates: tokens.iter().map(|it| wire(&it.token, it.logprob)).collect(),
        top_candidates: tokens.iter().filter(|_| shown).map(top).collect(),
    }
}

/// Canonical to wire.
pub fn encode(response: &ChatResponse, context: &ResponseContext) -> Vec<u8> {
    let candidates =
        response.choices.iter().zip(0..).map(|(choice, index)| encode_choice(choice, index));
    let answer = WireAnswer {
        candidates: Some(candidates.collect()),
        prompt_feedback: None,
        usage_metadata: response.usage.map(WireUsage::from),
        model_version: Some(response.model.as_deref().unwrap_or(&context.model).to_owned()),
        response_id: Some(response.id.as_deref().unwrap_or(&context.request_id).to_owned()),
    };
    serde_json::to_vec(&answer).unwrap_or_default()
}

fn encode_choice(choice: &Choice, index: u32) -> WireCandidate {
    let mut offsets = Offsets::default();
    let (mut parts, mut citations): (Vec<WirePart>, Vec<Citation>) = (Vec::new(), Vec::new());
    for part in &choice.parts {
        if let Content::Text(text) = &part.content {
            offsets.push(parts.len(), text);
        }
        citations.extend(part.citations.iter().cloned());
        parts.extend(encode_parts(part));
    }
    let refused = choice.parts.iter().any(|part| matches!(part.content, Content::Refusal(_)));
    let reason = choice.finish_reason.as_ref().unwrap_or(&FinishReason::Stop);
    let reason = if refused { &FinishReason::ContentFilter } else { reason };
    WireCandidate {
        content: Some(WireContent { role: Some("model".to_owned()), parts: Some(parts) }),
        finish_reason: Some(finish_word(reason).to_owned()),
        index: Some(index),
        grounding_metadata: grounding::encode(&citations, &offsets),
        logprobs_result: choice.logprobs.as_deref().map(encode_logprobs),
        ..WireCandidate::default()
    }
}

/// A part for a client: unlike in a request, thoughts without signature are shown, and foreign
/// signatures are kept for the way back.
/// A text may hold images of another dialect's answer.
fn encode_parts(part: &Part) -> Vec<WirePart> {
    let Content::Text(text) = &part.content else { return encode_part(part).into_iter().collect() };
    let mut parts = picture::parts(text);
    match parts.as_mut_slice() {
        [_, .., last] => last.thought_signature = part.signature.as_ref().map(signature::write),
        [only] if only.inline_data.is_some() => {
            only.thought_signature = part.signature.as_ref().map(signature::write);
        }
        _ => return encode_part(part).into_iter().collect(),
    }
    parts
}

fn encode_part(part: &Part) -> Option<WirePart> {
    let thought_signature = part.signature.as_ref().map(signature::write);
    let wire = match &part.content {
        Content::Text(text) | Content::Refusal(text) if text.is_empty() => {
            thought_signature.as_ref().map(|_| WirePart::text(""))?
        }
        Content::Text(text) | Content::Refusal(text) => WirePart::text(text),
        Content::Thinking { text, signature } => {
            let thought_signature = signature.as_ref().map(signature::write);
            return Some(WirePart {
                thought: Some(true),
                thought_signature,
                ..WirePart::text(text)
            });
        }
        Content::RedactedThinking(data) => return Some(redacted(data)),
        Content::ToolCall { id, name, arguments } => call(id, name, arguments),
        Content::Image { source: Source::Base64 { media_type, data }, .. } => {
            image(media_type, data)
        }
        Content::Image { .. } | Content::File { .. } | Content::ToolResult { .. } => return None,
    };
    Some(WirePart { thought_signature, ..wire })
}

/// An image in an answer.
fn image(media_type: &str, data: &str) -> WirePart {
    let blob =
        WireBlob { mime_type: media_type.to_owned(), data: data.to_owned(), display_name: None };
    WirePart { inline_data: Some(blob), ..WirePart::default() }
}

/// Hidden reasoning for a client.
pub fn redacted(data: &str) -> WirePart {
    let thought_signature = Some(signature::write_redacted(data));
    WirePart { thought: Some(true), thought_signature, ..WirePart::text("") }
}

/// A call for a client; arguments that are no object are kept as a text in one.
pub fn call(id: &str, name: &str, arguments: &str) -> WirePart {
    let invalid = || Json::parse(&json!({"INVALID_JSON": arguments}).to_string());
    let call = WireCall {
        id: Some(id.to_owned()),
        name: Some(name.to_owned()),
        args: object(arguments).or_else(invalid),
        ..WireCall::default()
    };
    WirePart { function_call: Some(call), ..WirePart::default() }
}
