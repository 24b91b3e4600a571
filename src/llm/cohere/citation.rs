//! Cohere's citations in canonical form: one for each source of a statement.

use serde_json::{Map, Value};

use super::wire::{WireCitation, WireSource};
use crate::llm::chat::Citation;

/// The members of a document that hold its text, in the order in which they are looked for.
const TEXTS: [&str; 4] = ["text", "snippet", "content", "contents"];

/// Wire to canonical.
pub fn decode(wire: WireCitation) -> impl Iterator<Item = Citation> {
    let span = wire.start.zip(wire.end);
    wire.sources.unwrap_or_default().into_iter().map(move |source| of_source(source, span))
}

fn of_source(source: WireSource, span: Option<(u64, u64)>) -> Citation {
    let data = source.document.or(source.tool_output).unwrap_or_default();
    Citation {
        url: member(&data, &["url"]),
        title: member(&data, &["title"]).or(source.id),
        text: member(&data, &TEXTS),
        span,
    }
}

fn member(data: &Map<String, Value>, names: &[&str]) -> Option<String> {
    names.iter().find_map(|name| data.get(*name)?.as_str().map(str::to_owned))
}
