//! What an answer reports of tokens, whatever dialect it is of: for bytes that pass untranslated and
//! untouched. Holds no answer as a whole: documents are tapped as they pass, events looked at one by
//! one.

mod tap;

use bytes::Bytes;
use serde::Deserialize;
use serde_json::{Map, Value, value::RawValue};

use super::{
    Quirks, Usage, anthropic, openai,
    sse::{Frame, FrameScanner},
};

use tap::Tap;

/// What an answer says of itself.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Report {
    /// Tokens; `None` if it names none.
    pub usage: Option<Usage>,
    /// The model that answered.
    pub model: Option<String>,
}

impl Report {
    /// Takes over what a later part says. Counts are cumulative in every dialect, and some parts
    /// leave out what another has said: the largest of each is true.
    fn merge(&mut self, later: Self) {
        let Self { usage, model } = later;
        self.model = model.or(self.model.take());
        if let Some(later) = usage {
            let mine = self.usage.get_or_insert_default();
            mine.input = mine.input.max(later.input);
            mine.output = mine.output.max(later.output);
            mine.cached_input = mine.cached_input.max(later.cached_input);
            mine.cache_write = mine.cache_write.max(later.cache_write);
            mine.reasoning = mine.reasoning.max(later.reasoning);
        }
    }
}

/// Reads the report of one JSON document or event: OpenAI's `usage` (chat, Responses, images,
/// realtime), Anthropic's `usage`, Gemini's `usageMetadata`; on top, or in `response` or `message`.
pub fn report(json: &[u8]) -> Report {
    #[derive(Deserialize)]
    struct Parts<'a> {
        #[serde(borrow, default)]
        model: Option<&'a RawValue>,
        #[serde(borrow, default, rename = "modelVersion")]
        model_version: Option<&'a RawValue>,
        #[serde(borrow, default)]
        usage: Option<&'a RawValue>,
        #[serde(borrow, default, rename = "usageMetadata")]
        usage_metadata: Option<&'a RawValue>,
        #[serde(borrow, default)]
        response: Option<&'a RawValue>,
        #[serde(borrow, default)]
        message: Option<&'a RawValue>,
    }
    let Ok(parts) = serde_json::from_slice::<Parts<'_>>(json) else { return Report::default() };
    let mut found = Report::default();
    for nested in [parts.response, parts.message].into_iter().flatten() {
        if nested.get().starts_with('{') && (nested.get().len() < json.len()) {
            found.merge(report(nested.get().as_bytes()));
        }
    }
    for (name, value) in [
        ("model", parts.model),
        ("modelVersion", parts.model_version),
        ("usage", parts.usage),
        ("usageMetadata", parts.usage_metadata),
    ] {
        if let Some(value) = value {
            found.merge(member(name, value.get().as_bytes()));
        }
    }
    found
}

/// The report in one member of a document.
fn member(name: &str, value: &[u8]) -> Report {
    let mut found = Report::default();
    match name {
        "model" | "modelVersion" => {
            found.model = serde_json::from_slice::<String>(value).ok().filter(|m| !m.is_empty());
        }
        _ => found.usage = serde_json::from_slice(value).ok().and_then(|value| usage(&value)),
    }
    found
}

/// Tokens in any of the shapes. Which one it is shows in the names.
fn usage(value: &Value) -> Option<Usage> {
    let members = value.as_object()?;
    let has = |name: &str| members.get(name).is_some_and(|value| !value.is_null());
    if has("promptTokenCount") || has("candidatesTokenCount") {
        return Some(gemini(members).bounded());
    }
    if has("prompt_tokens") {
        let wire: openai::wire::WireUsage = serde_json::from_value(value.clone()).ok()?;
        return wire.canonical(Quirks::default());
    }
    // Anthropic's input leaves out the cache; OpenAI's has it, with a total beside.
    if has("total_tokens") || has("input_tokens_details") || has("input_token_details") {
        return has("input_tokens").then(|| responses(members).bounded());
    }
    let wire: anthropic::wire::WireUsage = serde_json::from_value(value.clone()).ok()?;
    wire.canonical()
}

/// `UsageMetadata` of the Gemini API: the prompt has the cached part, thoughts are beside the
/// candidates.
fn gemini(members: &Map<String, Value>) -> Usage {
    let reasoning = count(members, "thoughtsTokenCount");
    let prompt = count(members, "promptTokenCount");
    Usage {
        input: prompt.saturating_add(count(members, "toolUsePromptTokenCount")),
        output: count(members, "candidatesTokenCount").saturating_add(reasoning),
        cached_input: count(members, "cachedContentTokenCount"),
        reasoning,
        ..Usage::default()
    }
}

/// `usage` of OpenAI's Responses and images (`..._tokens_details`) and of realtime
/// (`..._token_details`).
fn responses(members: &Map<String, Value>) -> Usage {
    let detail = |names: [&str; 2], name| {
        let details = names.iter().find_map(|details| members.get(*details)?.as_object());
        details.map_or(0, |details| count(details, name))
    };
    Usage {
        input: count(members, "input_tokens"),
        output: count(members, "output_tokens"),
        cached_input: detail(["input_tokens_details", "input_token_details"], "cached_tokens"),
        reasoning: detail(["output_tokens_details", "output_token_details"], "reasoning_tokens"),
        ..Usage::default()
    }
}

/// A count; 0 where it is absent or none.
fn count(members: &Map<String, Value>, name: &str) -> u64 {
    let value = members.get(name).unwrap_or(&Value::Null);
    super::usage::count(value).ok().flatten().unwrap_or(0)
}

/// Reads the report of an answer while it passes.
#[derive(Debug)]
pub struct Meter {
    shape: Shape,
    found: Report,
}

#[derive(Debug)]
enum Shape {
    /// Nothing that could be read, or no longer.
    Opaque,
    /// JSON: an object, or a list of objects (Gemini's stream).
    Document(Box<Tap>),
    /// Server-sent events.
    Events(Box<FrameScanner>),
}

impl Meter {
    /// For an answer of this media type.
    pub fn new(media_type: &str) -> Self {
        let essence = media_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
        let shape = match &*essence {
            "text/event-stream" => Shape::Events(Box::default()),
            "application/json" => Shape::Document(Box::default()),
            other if other.ends_with("+json") => Shape::Document(Box::default()),
            _ => Shape::Opaque,
        };
        Self { shape, found: Report::default() }
    }

    /// Looks at bytes that pass.
    pub fn push(&mut self, bytes: &Bytes) {
        let found = &mut self.found;
        match &mut self.shape {
            Shape::Opaque => {}
            Shape::Document(tap) => tap.push(bytes, |name, value| found.merge(member(name, value))),
            Shape::Events(frames) => {
                let mut ends = Vec::new();
                let Ok(run) = frames.push(bytes.clone(), &mut ends) else {
                    self.shape = Shape::Opaque;
                    return;
                };
                let mut start = 0;
                for end in ends {
                    found.merge(event(run.get(start..end).unwrap_or_default()));
                    start = end;
                }
            }
        }
    }

    /// What was found; the answer has ended.
    pub fn finish(&mut self) -> &Report {
        if let Shape::Events(frames) = &mut self.shape {
            self.found.merge(event(&frames.finish()));
        }
        &self.found
    }
}

fn event(frame: &[u8]) -> Report {
    match memchr::memmem::find(frame, b"odel").or_else(|| memchr::memmem::find(frame, b"usage")) {
        Some(_) => report(&Frame::parse(frame).data),
        None => Report::default(),
    }
}

#[cfg(test)]
mod tests;
