//! Histories of chat completions: the extensions in which thoughts and signatures travel.

use std::sync::LazyLock;

use memchr::memmem::Finder;
use serde_json::value::RawValue;

use super::{Edit, Names, SIGNATURE, THINKING, drop_as, has, list, members};

/// Whether a message has one of the extensions.
pub fn is_marked(body: &[u8]) -> bool {
    // Made once: making them costs more than looking through a short body.
    static MARKS: LazyLock<[Finder<'_>; 2]> = LazyLock::new(|| {
        [Finder::new("\"thinking_blocks\""), Finder::new("\"thought_signature\"")]
    });
    MARKS.iter().any(|mark| mark.find(body).is_some())
}

/// What goes back to the servers of a model, which speak the extensions themselves.
#[derive(Clone, Copy)]
struct Maker {
    /// Blocks of Claude's thoughts.
    blocks: bool,
    /// Google's signatures.
    signatures: bool,
}

impl Maker {
    fn takes_blocks(self, blocks: &RawValue) -> bool {
        self.blocks && !is_tagged(blocks)
    }

    fn takes_extra(self, extra: &RawValue) -> bool {
        !has(extra.get().as_bytes(), "\"thought_signature\"")
            || (self.signatures && !is_tagged(extra))
    }
}

fn is_tagged(value: &RawValue) -> bool {
    has(value.get().as_bytes(), "\"sluice.")
}

/// Edits a request to `model`.
pub fn edit(body: &RawValue, model: &str, dropped: Names<'_>) -> Edit {
    let maker = Maker { blocks: model.contains("claude"), signatures: model.contains("gemini") };
    members(body, |name, value| match name {
        "messages" => list(value, |message| edit_message(message, maker, dropped)),
        _ => Edit::Keep,
    })
}

fn edit_message(message: &RawValue, maker: Maker, dropped: Names<'_>) -> Edit {
    let mut is_foreign = false;
    let mut leave_out = |name: &str| {
        is_foreign = true;
        drop_as(name, dropped)
    };
    let edited = members(message, |name, value| match name {
        "thinking_blocks" if !maker.takes_blocks(value) => leave_out(THINKING),
        "extra_content" if !maker.takes_extra(value) => leave_out(SIGNATURE),
        "tool_calls" => list(value, |call| {
            members(call, |name, value| match name {
                "extra_content" if !maker.takes_extra(value) => leave_out(SIGNATURE),
                _ => Edit::Keep,
            })
        }),
        _ => Edit::Keep,
    });
    match edited {
        Edit::Write(text) if is_foreign => Edit::Write(without_text(text, dropped)),
        edited => edited,
    }
}

/// The message without the same thoughts as text, which some servers refuse.
fn without_text(message: String, dropped: Names<'_>) -> String {
    let Ok(raw) = serde_json::from_str::<&RawValue>(&message) else { return message };
    let edited = members(raw, |name, _| match name {
        "reasoning_content" => drop_as(THINKING, dropped),
        _ => Edit::Keep,
    });
    if let Edit::Write(text) = edited { text } else { message }
}
