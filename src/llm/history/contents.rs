//! Histories of Gemini: thought signatures that carry another maker's.

use serde_json::value::RawValue;

use super::{Edit, Names, SIGNATURE, THINKING, drop_as, has, inside, list, members, quoted};
use crate::llm::gemini::{Model, SKIP};

/// What tags look like in base64, in either alphabet.
const MARK: &str = "\"c2x1aWNlL";

/// Whether a signature is tagged.
pub fn is_marked(body: &[u8]) -> bool {
    has(body, MARK)
}

/// Edits a request to `model`.
pub fn edit(body: &RawValue, model: &str, dropped: Names<'_>) -> Edit {
    let insists = Model::of(model).is_some_and(Model::insists_on_signatures);
    members(body, |name, value| match name {
        "contents" => list(value, |content| {
            let mut is_first = insists;
            inside(content, "parts", |parts| {
                list(parts, |part| {
                    let edited = edit_part(part, dropped);
                    if is_first && is_call(part) {
                        is_first = false;
                        return excused(part, edited);
                    }
                    edited
                })
            })
        }),
        _ => Edit::Keep,
    })
}

fn is_call(part: &RawValue) -> bool {
    has_member(part, &["functionCall", "function_call"])
}

fn has_member(part: &RawValue, names: &[&str]) -> bool {
    let mut found = false;
    members(part, |name, value| {
        found |= names.contains(&name) && !matches!(value.get(), "null" | "false" | "\"\"");
        Edit::Keep
    });
    found
}

fn edit_part(part: &RawValue, dropped: Names<'_>) -> Edit {
    let is_signature = |name: &str| matches!(name, "thoughtSignature" | "thought_signature");
    let edited = members(part, |name, value| match is_signature(name) && is_tagged(value) {
        true => Edit::Remove,
        false => Edit::Keep,
    });
    if edited == Edit::Keep {
        return edited;
    }
    if has_member(part, &["thought"]) {
        return drop_as(THINKING, dropped);
    }
    dropped.push(SIGNATURE.to_owned());
    let mut holds_more = false;
    members(part, |name, value| {
        holds_more |= !(is_signature(name) || name == "text" && value.get() == "\"\"");
        Edit::Keep
    });
    if holds_more { edited } else { Edit::Remove }
}

fn is_tagged(value: &RawValue) -> bool {
    value.get().starts_with(MARK)
}

/// A step's first call with the word for a signature that did not come back, unless it has its own.
fn excused(part: &RawValue, edited: Edit) -> Edit {
    let text = match &edited {
        Edit::Keep if has_member(part, &["thoughtSignature", "thought_signature"]) => {
            return edited;
        }
        Edit::Keep => part.get(),
        Edit::Write(text) => text,
        Edit::Remove => return edited,
    };
    match text.trim_end().strip_suffix('}') {
        Some(open) => Edit::Write(format!("{open},\"thoughtSignature\":{}}}", quoted(SKIP))),
        None => edited,
    }
}
