//! Whole answers of Converse: wire to canonical form and back.

use serde_json::{Value, json};

use super::block::{decode_blocks, encode_id, encode_redacted};
use super::wire::{WireAnswer, WireUsage, finish_reason, finish_word, stop_sequence};
use crate::llm::chat::{
    ChatResponse, Choice, Citation, Content, FinishReason, Part, Signer, Source,
};
use crate::llm::structured;
use crate::llm::translate::ResponseContext;

/// Wire to canonical. Calls of Bedrock's own tools are left out: no other dialect has them.
pub fn decode(body: &[u8]) -> Result<ChatResponse, String> {
    let answer: WireAnswer = serde_json::from_slice(body).map_err(|error| error.to_string())?;
    let message = answer.output.and_then(|output| output.message).ok_or("it has no message")?;
    let mut parts: Vec<Part> = decode_blocks(message.content).into_iter().flatten().collect();
    parts.retain(|part| !matches!(part.content, Content::ToolResult { .. }));
    let answered = structured::unwrap(&mut parts);
    let calls = parts.iter().any(|part| matches!(part.content, Content::ToolCall { .. }));
    let reason = answer.stop_reason.as_deref().map(finish_reason);
    let choice = Choice {
        parts,
        finish_reason: reason.map(|reason| structured::finish(reason, answered, calls)),
        stop_sequence: stop_sequence(answer.additional_model_response_fields.as_ref()),
        logprobs: None,
    };
    Ok(ChatResponse {
        id: None,
        model: None,
        choices: vec![choice],
        usage: answer.usage.and_then(|usage| usage.canonical()),
    })
}

/// Canonical to wire.
pub fn encode(response: &ChatResponse, _: &ResponseContext) -> Vec<u8> {
    let empty = Choice::default();
    let choice = response.first().unwrap_or(&empty);
    let content: Vec<Value> = choice.parts.iter().filter_map(encode_part).collect();
    let reason = choice.finish_reason.as_ref().unwrap_or(&FinishReason::Stop);
    let mut answer = json!({
        "output": {"message": {"role": "assistant", "content": content}},
        "stopReason": finish_word(reason, choice.stop_sequence.as_deref()),
        "usage": WireUsage::from(response.usage.unwrap_or_default()),
        "metrics": {"latencyMs": 0},
    });
    if let Some(matched) = &choice.stop_sequence {
        answer["additionalModelResponseFields"] = json!({"stop_sequence": matched});
    }
    answer.to_string().into_bytes()
}

fn encode_part(part: &Part) -> Option<Value> {
    Some(match &part.content {
        Content::Text(text) | Content::Refusal(text) if text.is_empty() => return None,
        Content::Text(text) if !part.citations.is_empty() => {
            let citations: Vec<Value> = part.citations.iter().map(encode_citation).collect();
            json!({"citationsContent": {"content": [{"text": text}], "citations": citations}})
        }
        Content::Text(text) | Content::Refusal(text) => json!({"text": text}),
        Content::Thinking { text, signature } => {
            let mut reasoning = json!({"text": text});
            if let Some(signature) = signature {
                reasoning["signature"] = json!(signature.tagged(Signer::Anthropic));
            }
            json!({"reasoningContent": {"reasoningText": reasoning}})
        }
        Content::RedactedThinking(data) => {
            json!({"reasoningContent": {"redactedContent": encode_redacted(data)}})
        }
        Content::ToolCall { id, name, arguments } => {
            let input: Value = serde_json::from_str(arguments)
                .unwrap_or_else(|_| json!({"INVALID_JSON": arguments}));
            json!({"toolUse": {"toolUseId": encode_id(id), "name": name, "input": input}})
        }
        Content::Image { source: Source::Base64 { media_type, data }, .. } => {
            let format = media_type.strip_prefix("image/").unwrap_or(media_type);
            json!({"image": {"format": format, "source": {"bytes": data}}})
        }
        Content::Image { .. } | Content::File { .. } | Content::ToolResult { .. } => return None,
    })
}

/// A citation in Converse's form.
pub fn encode_citation(citation: &Citation) -> Value {
    let mut wire = json!({});
    if let Some(title) = &citation.title {
        wire["title"] = json!(title);
    }
    if let Some(text) = &citation.text {
        wire["sourceContent"] = json!([{"text": text}]);
    }
    if let Some(url) = &citation.url {
        wire["location"] = json!({"web": {"url": url}});
    }
    wire
}
