//! The top-level members of a JSON object, borrowed, in order, with their values as they were written.
//! Owns the checks that every body passes first: syntax and depth. It never builds a `Value`.

use std::borrow::Cow;
use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

use super::error::RequestError;

/// Bodies nested deeper than this are refused.
pub const MAX_DEPTH: usize = 128;

/// One member: its decoded name and its value's text.
pub struct Member<'a> {
    pub name: Cow<'a, str>,
    pub value: &'a RawValue,
}

/// All members of an object, in the order written, duplicates included.
pub struct Members<'a>(pub Vec<Member<'a>>);

impl<'a> Members<'a> {
    /// Reads the members of the object that `body` is.
    pub fn parse(body: &'a [u8]) -> Result<Self, RequestError> {
        if too_deep(body) {
            return Err(RequestError::TooDeep);
        }
        // Once for all texts in it.
        match str::from_utf8(body) {
            Ok(text) => serde_json::from_str(text),
            Err(_) => serde_json::from_slice(body),
        }
        .map_err(|error| RequestError::syntax(&error))
    }
}

/// The bytes of `value` as a range of `body`, in which it must lie.
pub fn span_of(body: &[u8], value: &RawValue) -> std::ops::Range<usize> {
    let text = value.get();
    let start = (text.as_ptr() as usize).saturating_sub(body.as_ptr() as usize);
    start..start + text.len()
}

/// The JSON string that stands for a text.
pub fn quoted(text: &str) -> String {
    // Writing a text into memory cannot fail.
    serde_json::to_string(text).unwrap_or_default()
}

/// Whether brackets nest deeper than [`MAX_DEPTH`]; serde_json does not count in values it skips.
fn too_deep(body: &[u8]) -> bool {
    let (mut depth, mut at) = (0_usize, 0_usize);
    while let Some(&byte) = body.get(at) {
        at += 1;
        match byte {
            b'"' => at = end_of_string(body, at),
            b'{' | b'[' => {
                depth += 1;
                if depth > MAX_DEPTH {
                    return true;
                }
            }
            b'}' | b']' => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    false
}

/// The offset after the closing quote of the string whose content starts at `from`; the end of the
/// text if it never closes.
pub fn end_of_string(text: &[u8], from: usize) -> usize {
    let mut at = from;
    while let Some(found) = text.get(at..).and_then(|rest| memchr::memchr2(b'"', b'\\', rest)) {
        let hit = at + found;
        if text.get(hit) == Some(&b'"') {
            return hit + 1;
        }
        at = hit + 2;
    }
    text.len()
}

impl<'de: 'a, 'a> Deserialize<'de> for Members<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(MembersVisitor)
    }
}

struct Name<'a>(Cow<'a, str>);

impl<'de: 'a, 'a> Deserialize<'de> for Name<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(NameVisitor)
    }
}

struct NameVisitor;

impl<'de> Visitor<'de> for NameVisitor {
    type Value = Name<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a member name")
    }

    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Self::Value, E> {
        Ok(Name(Cow::Borrowed(text)))
    }

    fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
        Ok(Name(Cow::Owned(text.to_owned())))
    }
}

struct MembersVisitor;

impl<'de> Visitor<'de> for MembersVisitor {
    type Value = Members<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut members = Vec::with_capacity(16);
        while let Some(Name(name)) = map.next_key()? {
            members.push(Member { name, value: map.next_value()? });
        }
        Ok(Members(members))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn brackets_inside_strings_do_not_count_as_depth() {
        let body = format!(r#"{{"a": "{}\"{}"}}"#, "[".repeat(200), "{".repeat(200));
        assert!(!too_deep(body.as_bytes()));
    }

    #[test]
    fn depth_is_refused_at_one_above_the_limit() {
        let nested = |n: usize| format!("{}{}", "[".repeat(n), "]".repeat(n));
        assert!(!too_deep(nested(MAX_DEPTH).as_bytes()));
        assert!(too_deep(nested(MAX_DEPTH + 1).as_bytes()));
    }

    #[test]
    fn values_keep_their_text_and_escaped_names_are_decoded() {
        let body = br#" {"a":  1.50 , "\u0062": [ 1 ] }"#;
        let Members(members) = Members::parse(body).unwrap();
        assert_eq!(members[0].value.get(), "1.50");
        assert_eq!((&*members[1].name, members[1].value.get()), ("b", "[ 1 ]"));
        assert_eq!(&body[span_of(body, members[1].value)], b"[ 1 ]");
    }
}
