//! The bytes of one event: its name, its number and its members.

use serde::Serialize;

use crate::llm::responses::wire::WireLogprob;
use crate::llm::stream::StreamFault;

/// Numbers events as it writes them.
#[derive(Debug, Default)]
pub struct Sink {
    next: u64,
}

#[derive(Serialize)]
struct Event<'a, T> {
    #[serde(rename = "type")]
    kind: &'a str,
    sequence_number: u64,
    #[serde(flatten)]
    body: &'a T,
}

impl Sink {
    /// Appends an event. `body` must be a struct or an object.
    pub fn write<T: Serialize>(
        &mut self,
        kind: &str,
        body: &T,
        out: &mut Vec<u8>,
    ) -> Result<(), StreamFault> {
        out.extend_from_slice(b"event: ");
        out.extend_from_slice(kind.as_bytes());
        out.extend_from_slice(b"\ndata: ");
        let event = Event { kind, sequence_number: self.next, body };
        serde_json::to_writer(&mut *out, &event)
            .map_err(|error| StreamFault::Malformed(error.to_string()))?;
        out.extend_from_slice(b"\n\n");
        self.next += 1;
        Ok(())
    }
}

/// A piece of something at its place.
#[derive(Default, Serialize)]
pub struct Delta<'a> {
    pub item_id: &'a str,
    pub output_index: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub content_index: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub summary_index: Option<usize>,
    pub delta: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub logprobs: Option<&'a [WireLogprob]>,
}

impl<'a> Delta<'a> {
    /// An empty piece of the item at a place.
    pub fn at(output_index: usize, item_id: &'a str) -> Self {
        Self { item_id, output_index, ..Self::default() }
    }
}
