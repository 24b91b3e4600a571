//! A conversation that goes on with a provider of the caller's own dialect after another one answered:
//! takes out of the history what the gateway itself put into those answers, which only their maker
//! understands. It must not touch what a provider of the dialect wrote; a history that holds nothing of
//! the kind costs a look for the marks and keeps its bytes.

use bytes::Bytes;
use memchr::memmem;
use serde_json::value::RawValue;

use super::Dialect;
use super::error::RequestError;
use super::members::{Member, Members, quoted};

mod chat;
mod contents;
mod items;
mod messages;

/// What every tag of the gateway's begins with.
const TAG: &str = "sluice.";
/// The names of what is left out.
const THINKING: &str = "thinking";
const SIGNATURE: &str = "thought_signature";

/// What is left out, by name: few, in any order.
type Names<'a> = &'a mut Vec<String>;

/// Puts the history of a request to `model` into the form that its own provider takes; names what is
/// left out in `dropped`.
///
/// # Errors
/// [`RequestError`] if the body holds a mark and is not a JSON object.
pub fn restore(
    dialect: Dialect,
    body: Bytes,
    model: &str,
    dropped: &mut Vec<String>,
) -> Result<Bytes, RequestError> {
    let is_marked = match dialect {
        Dialect::OpenAi => chat::is_marked(&body),
        Dialect::Anthropic => messages::is_marked(&body),
        Dialect::Gemini => contents::is_marked(&body),
        Dialect::Responses => items::is_marked(&body),
        Dialect::Bedrock | Dialect::Mistral | Dialect::Cohere | Dialect::Ollama => false,
    };
    if !is_marked {
        return Ok(body);
    }
    // Checks syntax and depth.
    Members::parse(&body)?;
    let raw: &RawValue =
        serde_json::from_slice(&body).map_err(|error| RequestError::syntax(&error))?;
    let edit = match dialect {
        Dialect::OpenAi => chat::edit(raw, model, dropped),
        Dialect::Anthropic => messages::edit(raw, dropped),
        Dialect::Gemini => contents::edit(raw, model, dropped),
        _ => items::edit(raw, dropped),
    };
    dropped.sort_unstable();
    dropped.dedup();
    Ok(match edit {
        Edit::Write(text) => Bytes::from(text),
        Edit::Keep | Edit::Remove => body,
    })
}

/// What becomes of a value.
#[derive(Debug, PartialEq, Eq)]
enum Edit {
    /// It keeps its bytes.
    Keep,
    /// It is written so.
    Write(String),
    /// It is left out.
    Remove,
}

/// Edits the elements of a list; one that loses all of them is left out, and what is no list stays.
fn list(raw: &RawValue, mut edit: impl FnMut(&RawValue) -> Edit) -> Edit {
    let Ok(elements) = serde_json::from_str::<Vec<&RawValue>>(raw.get()) else { return Edit::Keep };
    let edits: Vec<Edit> = elements.iter().map(|element| edit(element)).collect();
    let texts = elements.iter().zip(&edits).filter_map(|(element, edit)| text(element, edit));
    joined(('[', ']'), &edits, texts.map(str::to_owned))
}

/// Edits the members of an object, by name; what is no object stays.
fn members(raw: &RawValue, mut edit: impl FnMut(&str, &RawValue) -> Edit) -> Edit {
    let Ok(Members(members)) = serde_json::from_str(raw.get()) else { return Edit::Keep };
    let edits: Vec<Edit> = members.iter().map(|Member { name, value }| edit(name, value)).collect();
    let texts = members.iter().zip(&edits).filter_map(|(Member { name, value }, edit)| {
        Some(format!("{}:{}", quoted(name), text(value, edit)?))
    });
    joined(('{', '}'), &edits, texts)
}

fn text<'a>(raw: &'a RawValue, edit: &'a Edit) -> Option<&'a str> {
    match edit {
        Edit::Keep => Some(raw.get()),
        Edit::Write(text) => Some(text),
        Edit::Remove => None,
    }
}

fn joined(brackets: (char, char), edits: &[Edit], texts: impl Iterator<Item = String>) -> Edit {
    if edits.iter().all(|edit| *edit == Edit::Keep) {
        return Edit::Keep;
    }
    let texts: Vec<String> = texts.collect();
    if texts.is_empty() {
        return Edit::Remove;
    }
    Edit::Write(format!("{}{}{}", brackets.0, texts.join(","), brackets.1))
}

/// Edits the lists that an object has under a name, and with them the object: without what they held it
/// is left out.
fn inside(raw: &RawValue, name: &str, mut edit: impl FnMut(&RawValue) -> Edit) -> Edit {
    let mut is_bare = false;
    let edited = members(raw, |member, value| {
        let edit = if member == name { edit(value) } else { Edit::Keep };
        is_bare |= edit == Edit::Remove;
        edit
    });
    if is_bare { Edit::Remove } else { edited }
}

/// Notes what is left out.
fn drop_as(name: &str, dropped: Names<'_>) -> Edit {
    dropped.push(name.to_owned());
    Edit::Remove
}

fn has(body: &[u8], mark: &str) -> bool {
    memmem::find(body, mark.as_bytes()).is_some()
}

#[cfg(test)]
mod tests;
