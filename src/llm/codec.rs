//! What a dialect implements to take part in crossing: decode and encode a request, an answer and a
//! stream. A new provider is one more folder with one more [`ChatCodec`]; nothing else changes.
//!
//! A codec is pure and holds no state; a stream's state lives in its decoder and encoder.

use std::borrow::Cow;
use std::collections::BTreeSet;

use serde::de::DeserializeOwned;
use serde_json::value::RawValue;

use super::chat::{ChatEvent, ChatRequest, ChatResponse, Content, FinishReason, Part, Source};
use super::error::{ApiError, RequestError, in_words};
pub use super::framing::Framing;
use super::sse::Frame;
use super::stream::StreamFault;
use super::translate::ResponseContext;
use super::usage::Usage;
use super::{Dialect, anthropic, bedrock, cohere, gemini, mistral, ollama, openai, responses};

/// Names of parameters that were left out. Nothing is left out without being named here.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Dropped(BTreeSet<String>);

impl Dropped {
    /// Notes a parameter.
    pub fn add(&mut self, name: impl Into<String>) {
        self.0.insert(name.into());
    }

    /// Notes what lies beside a part, for dialects that carry none of it.
    pub fn beside(&mut self, part: &Part) {
        for (name, is_there) in [
            ("cache_control", part.cache.is_some()),
            ("thought_signature", part.signature.is_some()),
            ("annotations", !part.citations.is_empty()),
        ] {
            if is_there {
                self.add(name);
            }
        }
        self.title(&part.content);
    }

    /// Notes the title of a document of which only the text is written.
    pub fn title(&mut self, content: &Content) {
        if matches!(content, Content::File { source: Source::Text(_), name: Some(_) }) {
            self.add("document.title");
        }
    }

    /// The names, sorted, each once.
    pub fn into_names(self) -> Vec<String> {
        self.0.into_iter().collect()
    }
}

/// Whether a member that must hold something holds nothing: null, an empty text or an empty list.
pub(crate) fn is_empty(value: &RawValue) -> bool {
    let text = value.get();
    let bare = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
    matches!(text, "null" | "\"\"") || bare.is_some_and(|inside| inside.trim().is_empty())
}

/// One dialect's side of a crossing, and what passing through has to understand of it.
pub trait ChatCodec: Sync {
    /// Reads a request of this dialect. Parameters that have no canonical form go to `dropped`,
    /// unless their value changes nothing.
    ///
    /// # Errors
    /// [`RequestError`] if it is not valid in this dialect, or holds content (audio, a server's own
    /// tool result) that no other dialect can carry: content is refused, never left out.
    fn decode_request(
        &self,
        body: &[u8],
        dropped: &mut Dropped,
    ) -> Result<ChatRequest, RequestError>;

    /// Writes a request in this dialect. What it cannot take goes to `dropped`.
    ///
    /// # Errors
    /// [`RequestError`] if content cannot be written in this dialect.
    fn encode_request(
        &self,
        request: &ChatRequest,
        dropped: &mut Dropped,
    ) -> Result<Vec<u8>, RequestError>;

    /// The path of chat to join to a provider's base URL, which ends in the API's version. It may
    /// have a query. `model` is as the provider names it: what a path cannot hold must be encoded.
    fn path(&self, model: &str, stream: bool) -> Cow<'static, str>;

    /// How its streams are cut.
    fn framing(&self) -> Framing {
        Framing::Sse
    }

    /// Whether a request must bound what is generated.
    fn requires_max_tokens(&self) -> bool {
        false
    }

    /// Headers that a request in this dialect needs, besides credentials.
    fn request_headers(&self) -> &'static [(&'static str, &'static str)];

    /// Reads a whole answer of this dialect.
    ///
    /// # Errors
    /// A text that says why it is not one.
    fn decode_response(&self, body: &[u8]) -> Result<ChatResponse, String>;

    /// Reads a request to count the tokens of a request.
    ///
    /// # Errors
    /// As [`Self::decode_request`].
    fn decode_count(&self, body: &[u8]) -> Result<ChatRequest, RequestError> {
        self.decode_request(body, &mut Dropped::default())
    }

    /// Writes an answer that says how many tokens a request has.
    fn encode_count(&self, tokens: u64) -> Vec<u8> {
        format!("{{\"input_tokens\":{tokens}}}").into_bytes()
    }

    /// Writes a whole answer in this dialect.
    fn encode_response(&self, response: &ChatResponse, context: &ResponseContext) -> Vec<u8>;

    /// The usage that a whole answer, or a part of a stream that has one, reports.
    fn usage_of(&self, body: &[u8]) -> Option<Usage>;

    /// What the dialect's word for why the model stopped means.
    fn finish_reason(&self, word: &str) -> FinishReason;

    /// Reads a stream of this dialect.
    fn decoder(&self) -> Box<dyn EventDecoder>;

    /// Writes a stream in this dialect. `include_usage`: the client asked for a usage chunk, where
    /// the dialect has that choice.
    fn encoder(&self, context: &ResponseContext, include_usage: bool) -> Box<dyn EventEncoder>;
}

/// Reads one stream, frame by frame.
pub trait EventDecoder: Send {
    /// Appends what a frame says. Unknown events say nothing.
    ///
    /// # Errors
    /// [`StreamFault`] if the frame is an error, or not of this dialect.
    fn decode(&mut self, frame: &Frame<'_>, events: &mut Vec<ChatEvent>)
    -> Result<(), StreamFault>;

    /// Appends what the end of the upstream's bytes says, for a dialect without a terminator: its
    /// [`ChatEvent::End`], if the answer was complete.
    ///
    /// # Errors
    /// [`StreamFault`] if what was held back makes no sense.
    fn finish(&mut self, _events: &mut Vec<ChatEvent>) -> Result<(), StreamFault> {
        Ok(())
    }
}

/// Writes one stream, event by event.
pub trait EventEncoder: Send {
    /// Appends the bytes of whole frames, in the form that the context asked for.
    ///
    /// # Errors
    /// [`StreamFault::Malformed`] if the dialect cannot express the order of the events.
    fn encode(&mut self, event: &ChatEvent, out: &mut Vec<u8>) -> Result<(), StreamFault>;

    /// The same for all that one frame says, for a dialect that writes first what others say last.
    ///
    /// # Errors
    /// As [`Self::encode`].
    fn encode_all(&mut self, events: &[ChatEvent], out: &mut Vec<u8>) -> Result<(), StreamFault> {
        events.iter().try_for_each(|event| self.encode(event, out))
    }

    /// Appends an error that ends the stream here, unfinished: no terminator.
    fn fail(&mut self, error: &ApiError, out: &mut Vec<u8>);
}

/// The codec of a dialect.
pub fn codec(dialect: Dialect) -> &'static dyn ChatCodec {
    match dialect {
        Dialect::OpenAi => &openai::OpenAi,
        Dialect::Anthropic => &anthropic::Anthropic,
        Dialect::Gemini => &gemini::Gemini,
        Dialect::Responses => &responses::Responses,
        Dialect::Bedrock => &bedrock::Bedrock,
        Dialect::Mistral => &mistral::Mistral,
        Dialect::Cohere => &cohere::Cohere,
        Dialect::Ollama => &ollama::Ollama,
    }
}

/// Reads one member of a request; null is absent.
pub(super) fn member<T: DeserializeOwned>(
    name: &str,
    value: &RawValue,
) -> Result<Option<T>, RequestError> {
    serde_json::from_str(value.get()).map_err(|error| {
        let error = in_words(&error);
        RequestError::field(name.to_owned(), format!("\"{name}\" is not understood: {error}"))
    })
}

/// Maps from names to values, which say nothing when they are empty; any other object that is empty may
/// switch something on by being there (`web_search_options`).
const MAPS: [&str; 4] = ["metadata", "logit_bias", "labels", "logitBias"];

/// Whether a member that is left out changes nothing by it: its value is null, false, zero or empty.
pub(super) fn is_neutral(name: &str, value: &RawValue) -> bool {
    let text = value.get();
    let inside = text.strip_prefix('{').and_then(|text| text.strip_suffix('}'));
    matches!(text, "null" | "false" | "0" | "0.0" | "[]" | "\"\"")
        || (MAPS.contains(&name) && inside.is_some_and(|inside| inside.trim().is_empty()))
}

/// An id that the target accepts: only `[a-zA-Z0-9_-]`, at most `max` bytes. The same id always
/// becomes the same; one that had to change ends in a hash of the original, so that two stay two.
pub(super) fn safe_id(id: &str, max: usize) -> String {
    let fits = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    if !id.is_empty() && id.len() <= max && id.chars().all(fits) {
        return id.to_owned();
    }
    let kept: String =
        id.chars().map(|c| if fits(c) { c } else { '_' }).take(max.saturating_sub(17)).collect();
    format!("{kept}_{:016x}", fnv1a(id.as_bytes()))
}

/// FNV-1a, 64 bit: stable across builds and machines, unlike std's hasher.
pub(super) fn fnv1a(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}

#[cfg(test)]
mod tests;
