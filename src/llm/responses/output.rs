//! The items of an answer as they are written, whole and in streams.

use serde_json::{Value, json};

use super::freeform::unwrap;
use super::item::redacted;
use super::part::encode_annotation;
use super::tool::{Origin, Origins};
use super::wire::{WireAnnotation, WireLogprob};
use crate::llm::chat::{Citation, Content, Part, Signature, Signer, TokenLogprob};

/// An item, as far as it is known.
#[derive(Debug)]
pub enum Item {
    /// What the model says.
    Message(Vec<Words>),
    /// What it thought.
    Reasoning {
        /// For people to read; may be empty.
        summary: String,
        /// For the model to get back.
        proof: Option<String>,
    },
    /// It calls a tool.
    Call {
        /// Ties the result to the call.
        call_id: String,
        /// What the caller declared the tool as.
        origin: Origin,
        /// The arguments of the function that the tool became.
        arguments: String,
    },
}

/// One part of a message.
#[derive(Debug, Default)]
pub struct Words {
    /// It is a refusal.
    pub refusal: bool,
    /// What is said.
    pub text: String,
    /// Characters of the answer's text before this part.
    pub before: u64,
    /// Where it comes from.
    pub annotations: Vec<WireAnnotation>,
    /// How likely its tokens were.
    pub logprobs: Vec<WireLogprob>,
}

impl Words {
    /// A part with no words yet.
    pub fn new(refusal: bool, before: u64) -> Self {
        Self { refusal, before, ..Self::default() }
    }

    /// Characters of the text.
    pub fn length(&self) -> u64 {
        self.text.chars().count() as u64
    }

    /// Notes where the words come from, and gives the annotation's index.
    pub fn cite(&mut self, citation: &Citation) -> usize {
        let length = self.length();
        self.annotations.push(encode_annotation(citation, self.before, length));
        self.annotations.len() - 1
    }

    /// The part.
    pub fn json(&self) -> Value {
        if self.refusal {
            return json!({"type": "refusal", "refusal": self.text});
        }
        json!({
            "type": "output_text",
            "text": self.text,
            "annotations": self.annotations,
            "logprobs": self.logprobs,
        })
    }
}

impl Item {
    /// The start of an item's id, by which its type is known.
    pub fn prefix(&self) -> &'static str {
        match self {
            Self::Message(_) => "msg",
            Self::Reasoning { .. } => "rs",
            Self::Call { origin, .. } if origin.freeform => "ctc",
            Self::Call { .. } => "fc",
        }
    }

    /// The item. `status`: `in_progress`, `completed` or `incomplete`.
    pub fn json(&self, id: &str, status: &str) -> Value {
        match self {
            Self::Message(words) => json!({
                "type": "message",
                "id": id,
                "status": status,
                "role": "assistant",
                "content": words.iter().map(Words::json).collect::<Vec<_>>(),
            }),
            Self::Reasoning { summary, proof } => {
                let summary = (!summary.is_empty()).then(|| summary_part(summary));
                let summary: Vec<Value> = summary.into_iter().collect();
                let mut item = json!({"type": "reasoning", "id": id, "summary": summary});
                if let Some(proof) = proof {
                    item["encrypted_content"] = json!(proof);
                }
                item
            }
            Self::Call { call_id, origin, arguments } => {
                let mut item = match origin.freeform {
                    true => json!({"type": "custom_tool_call", "input": unwrap(arguments)}),
                    false => json!({"type": "function_call", "arguments": arguments}),
                };
                item["id"] = json!(id);
                item["call_id"] = json!(call_id);
                item["name"] = json!(origin.name);
                item["status"] = json!(status);
                if let Some(namespace) = &origin.namespace {
                    item["namespace"] = json!(namespace);
                }
                item
            }
        }
    }
}

/// A part of a reasoning's summary.
pub fn summary_part(text: &str) -> Value {
    json!({"type": "summary_text", "text": text})
}

/// `encrypted_content` for a signature.
pub fn proof(signature: &Signature) -> String {
    signature.tagged(Signer::OpenAi)
}

/// The items of a whole answer.
pub fn items(parts: &[Part], logprobs: Option<&[TokenLogprob]>, origins: &Origins) -> Vec<Item> {
    let mut items: Vec<Item> = Vec::new();
    let mut before = 0;
    for part in parts {
        match &part.content {
            Content::Text(text) => before = say(&mut items, part, text, before),
            Content::Refusal(text) => before = say(&mut items, part, text, before),
            Content::Thinking { text, signature } => items.push(Item::Reasoning {
                summary: text.clone(),
                proof: signature.as_ref().map(proof),
            }),
            Content::RedactedThinking(data) => {
                items.push(Item::Reasoning { summary: String::new(), proof: Some(redacted(data)) })
            }
            Content::ToolCall { id, name, arguments } => items.push(Item::Call {
                call_id: id.clone(),
                origin: origins.of(name),
                arguments: arguments.clone(),
            }),
            Content::Image { .. } | Content::File { .. } | Content::ToolResult { .. } => {}
        }
        if let Some(signature) = &part.signature {
            items.push(Item::Reasoning { summary: String::new(), proof: Some(proof(signature)) });
        }
    }
    let first = items.iter_mut().find_map(|item| match item {
        Item::Message(words) => words.iter_mut().find(|words| !words.refusal),
        _ => None,
    });
    if let (Some(first), Some(logprobs)) = (first, logprobs) {
        first.logprobs = logprobs.iter().map(WireLogprob::from).collect();
    }
    items
}

/// Adds words to the last message or a new one; gives the characters said so far.
fn say(items: &mut Vec<Item>, part: &Part, text: &str, before: u64) -> u64 {
    let refusal = matches!(part.content, Content::Refusal(_));
    let mut words = Words { text: text.to_owned(), ..Words::new(refusal, before) };
    for citation in &part.citations {
        words.cite(citation);
    }
    let after = before + words.length();
    match items.last_mut() {
        Some(Item::Message(said)) => said.push(words),
        _ => items.push(Item::Message(vec![words])),
    }
    after
}
