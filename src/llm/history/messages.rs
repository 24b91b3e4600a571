//! Histories of Messages: thoughts that another maker signed, or nobody did.

use memchr::memmem;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::{Edit, Names, SIGNATURE, TAG, THINKING, drop_as, has, inside, list, members, quoted};
use crate::llm::chat::{Signature, Signer};

/// Whether a signature may be tagged or empty.
pub fn is_marked(body: &[u8]) -> bool {
    const NAME: &[u8] = b"\"signature\"";
    let is_empty = |at: usize| {
        let rest = body.get(at + NAME.len()..).unwrap_or_default().trim_ascii_start();
        let value = rest.strip_prefix(b":").unwrap_or_default().trim_ascii_start();
        value.starts_with(b"\"\"")
    };
    has(body, "\"sluice.") || memmem::find_iter(body, NAME).any(is_empty)
}

/// What the conversation ends in.
#[derive(Default)]
struct End {
    /// The model's last turn lost its thoughts.
    lost: bool,
    /// It still has some.
    kept: bool,
    /// Results of its calls follow.
    results: bool,
}

/// Edits a request.
pub fn edit(body: &RawValue, dropped: Names<'_>) -> Edit {
    let mut end = End::default();
    let edited = members(body, |name, value| match name {
        "messages" => list(value, |message| {
            if has(message.get().as_bytes(), "\"assistant\"") {
                end = End::default();
            }
            inside(message, "content", |content| {
                list(content, |block| edit_block(block, &mut end, dropped))
            })
        }),
        _ => Edit::Keep,
    });
    match edited {
        // By a budget no model thinks within a loop of tools whose calls no thoughts precede.
        Edit::Write(text) if end.lost && !end.kept && end.results => {
            Edit::Write(without_budget(text, dropped))
        }
        edited => edited,
    }
}

fn without_budget(text: String, dropped: Names<'_>) -> String {
    let Ok(body) = serde_json::from_str::<&RawValue>(&text) else { return text };
    let edited = members(body, |name, value| match name {
        "thinking" if has(value.get().as_bytes(), "\"enabled\"") => drop_as(THINKING, dropped),
        _ => Edit::Keep,
    });
    if let Edit::Write(text) = edited { text } else { text }
}

fn edit_block(raw: &RawValue, end: &mut End, dropped: Names<'_>) -> Edit {
    #[derive(Default, Deserialize)]
    #[serde(default)]
    struct Block {
        #[serde(rename = "type")]
        kind: String,
        thinking: Option<String>,
        signature: Option<String>,
        data: Option<String>,
    }
    let block: Block = serde_json::from_str(raw.get()).unwrap_or_default();
    let name = match block.kind.as_str() {
        "thinking" => match block.signature.unwrap_or_default() {
            signature if signature.is_empty() => THINKING,
            signature if !signature.starts_with(TAG) => {
                end.kept = true;
                return Edit::Keep;
            }
            signature => {
                let read = Signature::read(signature, Signer::OpenAi);
                if let Some(own) = read.by(Signer::Anthropic) {
                    end.kept = true;
                    return members(raw, |name, _| match name {
                        "signature" => Edit::Write(quoted(own)),
                        _ => Edit::Keep,
                    });
                }
                // A block without text only carries the signature of its neighbour.
                let is_thought = block.thinking.is_some_and(|text| !text.is_empty());
                if is_thought { THINKING } else { SIGNATURE }
            }
        },
        "redacted_thinking" if block.data.is_some_and(|data| data.starts_with(TAG)) => THINKING,
        kind => {
            end.kept |= kind == "redacted_thinking";
            end.results |= kind == "tool_result";
            return Edit::Keep;
        }
    };
    end.lost = true;
    drop_as(name, dropped)
}
