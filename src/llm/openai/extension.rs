//! What an answer holds beside its content where the dialects that it crosses to have no place for
//! it: images, the words of sound, and a call in the form before tools. They become text and a call.

use serde::Deserialize;

use super::wire::{WireMessage, WirePart, WireToolCall};
use crate::llm::gemini::picture;

/// Sound, as far as it can be read (API reference, "message.audio").
#[derive(Default, Deserialize)]
#[serde(default)]
struct Audio {
    transcript: Option<String>,
}

/// The words of sound, then images as Markdown (`images` is an extension of several servers).
pub fn texts(message: &WireMessage) -> Vec<String> {
    let audio = message.audio.as_ref().map(|json| json.text());
    let audio: Option<Audio> = audio.and_then(|text| serde_json::from_str(text).ok());
    let spoken = audio.and_then(|audio| audio.transcript);
    let images = message.images.as_ref().map(|json| json.text());
    let images: Option<Vec<WirePart>> = images.and_then(|text| serde_json::from_str(text).ok());
    let urls = images.into_iter().flatten().filter_map(|part| part.image_url);
    let shown = urls.map(|image| image.url).filter(|url| !url.is_empty());
    let shown = shown.map(|url| picture::markdown(&url));
    spoken.filter(|text| !text.is_empty()).into_iter().chain(shown).collect()
}

/// The calls, whole or in pieces: the one of `function_call` where there are no others.
pub fn calls(message: &mut WireMessage) -> Vec<WireToolCall> {
    let calls = message.tool_calls.take().unwrap_or_default();
    match message.function_call.take() {
        Some(function) if calls.is_empty() => {
            vec![WireToolCall { index: Some(0), function, ..WireToolCall::default() }]
        }
        _ => calls,
    }
}
