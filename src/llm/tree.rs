//! A JSON value whose members keep their order: models write properties in the order of their schema.

use serde_json::value::RawValue;

use crate::llm::chat::Json;
use crate::llm::members::{Members, quoted};

/// A JSON value; leaves keep their text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Node {
    /// An object, in order.
    Object(Vec<(String, Node)>),
    /// A list.
    List(Vec<Node>),
    /// Text, a number, true, false or null, as it was written.
    Leaf(String),
}

impl Node {
    /// The tree of a value, which was checked for depth before.
    pub fn parse(text: &str) -> Option<Self> {
        Some(match text.trim_start().as_bytes().first()? {
            b'{' => {
                let Members(members) = serde_json::from_str(text).ok()?;
                let member = |member: crate::llm::members::Member<'_>| {
                    Some((member.name.into_owned(), Self::parse(member.value.get())?))
                };
                Self::Object(members.into_iter().map(member).collect::<Option<_>>()?)
            }
            b'[' => {
                let items: Vec<&RawValue> = serde_json::from_str(text).ok()?;
                Self::List(
                    items.into_iter().map(|item| Self::parse(item.get())).collect::<Option<_>>()?,
                )
            }
            _ => Self::Leaf(text.trim().to_owned()),
        })
    }

    /// A text.
    pub fn text(text: &str) -> Self {
        Self::Leaf(quoted(text))
    }

    /// The text, if it is one.
    pub fn as_text(&self) -> Option<String> {
        match self {
            Self::Leaf(text) => serde_json::from_str(text).ok(),
            _ => None,
        }
    }

    /// The value as JSON.
    pub fn json(&self) -> Option<Json> {
        let mut text = String::new();
        self.write(&mut text);
        Json::parse(&text)
    }

    fn write(&self, out: &mut String) {
        match self {
            Self::Leaf(text) => out.push_str(text),
            Self::List(items) => {
                for (at, item) in items.iter().enumerate() {
                    out.push(if at == 0 { '[' } else { ',' });
                    item.write(out);
                }
                out.push_str(if items.is_empty() { "[]" } else { "]" });
            }
            Self::Object(members) => {
                for (at, (name, value)) in members.iter().enumerate() {
                    out.push(if at == 0 { '{' } else { ',' });
                    out.push_str(&quoted(name));
                    out.push(':');
                    value.write(out);
                }
                out.push_str(if members.is_empty() { "{}" } else { "}" });
            }
        }
    }
}

/// The value of a member.
pub fn get<'a>(members: &'a [(String, Node)], name: &str) -> Option<&'a Node> {
    members.iter().find(|(member, _)| member == name).map(|(_, value)| value)
}

/// Takes a member out.
pub fn take(members: &mut Vec<(String, Node)>, name: &str) -> Option<Node> {
    let at = members.iter().position(|(member, _)| member == name)?;
    Some(members.remove(at).1)
}
