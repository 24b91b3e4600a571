//! The object around an answer's items. Clients read back in it what they asked for, so it repeats
//! the request's members.

use serde::ser::{Serialize, SerializeMap, Serializer};
use serde_json::value::RawValue;
use serde_json::{Value, json};

use super::tool::Origins;
use super::wire::WireUsage;
use crate::llm::chat::{FinishReason, Json};
use crate::llm::members::{Member, Members};
use crate::llm::translate::ResponseContext;
use crate::llm::usage::Usage;

/// Members that are repeated, and what they are where the request does not say. Those that need a
/// server's memory are never other than this.
const REPEATED: [(&str, &str); 17] = [
    ("instructions", "null"),
    ("max_output_tokens", "null"),
    ("max_tool_calls", "null"),
    ("metadata", "{}"),
    ("parallel_tool_calls", "true"),
    ("prompt_cache_key", "null"),
    ("reasoning", r#"{"effort":null,"summary":null}"#),
    ("safety_identifier", "null"),
    ("service_tier", r#""default""#),
    ("temperature", "1.0"),
    ("text", r#"{"format":{"type":"text"}}"#),
    ("tool_choice", r#""auto""#),
    ("tools", "[]"),
    ("top_logprobs", "0"),
    ("top_p", "1.0"),
    ("truncation", r#""disabled""#),
    ("user", "null"),
];

/// What is repeated of one request.
#[derive(Debug)]
pub struct Echo {
    members: Vec<(&'static str, Json)>,
    /// What the functions were declared as.
    pub origins: Origins,
}

impl Echo {
    /// Reads a request. It was read before, so what is not understood now is left at its default.
    pub fn read(request: &[u8]) -> Self {
        let members = Members::parse(request).map(|Members(members)| members).unwrap_or_default();
        let given = |name: &str| {
            let of = |member: &&Member<'_>| member.name == name && member.value.get() != "null";
            members.iter().find(of).map(|member| member.value)
        };
        let repeat = |(name, default)| {
            let text = given(name).map_or(default, RawValue::get);
            Some((name, Json::parse(text)?))
        };
        Self {
            origins: given("tools").map(Origins::read).unwrap_or_default(),
            members: REPEATED.into_iter().filter_map(repeat).collect(),
        }
    }
}

/// A whole answer, or the object in a stream's first and last events.
pub struct Envelope<'a> {
    /// What is repeated.
    pub echo: &'a Echo,
    /// When it was made.
    pub context: &'a ResponseContext,
    /// Its id.
    pub id: &'a str,
    /// The model that answers.
    pub model: &'a str,
    /// How far it is.
    pub status: Status<'a>,
    /// Its items.
    pub output: &'a [Value],
    /// Tokens used.
    pub usage: Option<Usage>,
}

/// How far an answer is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status<'a> {
    /// More comes.
    InProgress,
    /// It is whole.
    Completed,
    /// It ended early, for this reason.
    Incomplete(&'static str),
    /// It broke.
    Failed {
        /// For programs.
        code: &'a str,
        /// For people.
        message: &'a str,
    },
}

impl Status<'_> {
    /// How an answer ended. A refusal in words is an answer like any other.
    pub fn of(reason: Option<&FinishReason>, refused: bool) -> Self {
        match reason {
            Some(FinishReason::Length) => Self::Incomplete("max_output_tokens"),
            Some(FinishReason::ContentFilter) if !refused => Self::Incomplete("content_filter"),
            _ => Self::Completed,
        }
    }

    /// OpenAI's word for it.
    pub fn word(self) -> &'static str {
        match self {
            Self::InProgress => "in_progress",
            Self::Completed => "completed",
            Self::Incomplete(_) => "incomplete",
            Self::Failed { .. } => "failed",
        }
    }

    /// The word for the status of the answer's items.
    pub fn item_word(self) -> &'static str {
        if self == Self::Completed { "completed" } else { "incomplete" }
    }
}

impl Serialize for Envelope<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("id", self.id)?;
        map.serialize_entry("object", "response")?;
        map.serialize_entry("created_at", &self.context.created)?;
        map.serialize_entry("status", self.status.word())?;
        map.serialize_entry("background", &false)?;
        let error = match self.status {
            Status::Failed { code, message } => json!({"code": code, "message": message}),
            _ => Value::Null,
        };
        map.serialize_entry("error", &error)?;
        let details = match self.status {
            Status::Incomplete(reason) => json!({"reason": reason}),
            _ => Value::Null,
        };
        map.serialize_entry("incomplete_details", &details)?;
        map.serialize_entry("model", self.model)?;
        map.serialize_entry("output", self.output)?;
        map.serialize_entry("previous_response_id", &())?;
        map.serialize_entry("store", &false)?;
        for (name, value) in &self.echo.members {
            map.serialize_entry(name, value)?;
        }
        map.serialize_entry("usage", &self.usage.map(WireUsage::from))?;
        map.end()
    }
}

/// An id in OpenAI's form, made of the provider's or else of the request's.
pub fn answer_id(id: Option<&str>, context: &ResponseContext) -> String {
    let id = id.unwrap_or(&context.request_id);
    if id.starts_with("resp_") { id.to_owned() } else { format!("resp_{id}") }
}

/// The id of an item of an answer.
pub fn item_id(prefix: &str, answer: &str, at: usize) -> String {
    format!("{prefix}_{}_{at}", answer.strip_prefix("resp_").unwrap_or(answer))
}
