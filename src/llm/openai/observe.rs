//! What passing through sees in a stream of OpenAI's: chunks of chat and completions, and the typed
//! events of images and speech.

use bytes::Bytes;

use super::wire::{finish_reason, usage_in};
use crate::llm::Dialect;
use crate::llm::error::{ApiError, encode_stream_error};
use crate::llm::passthrough::{self, Pass, check_object, lossy, text, upstream_fault};
use crate::llm::quirks::Quirks;
use crate::llm::scan::{Scan, scan};
use crate::llm::sse::Frame;
use crate::llm::stream::{Progress, StreamFault};

/// Notes what chunks say.
pub struct Observer {
    strip_usage: bool,
    quirks: Quirks,
    /// A typed event has said that a part of the answer is complete; such streams end by ending.
    completed: bool,
}

impl Observer {
    /// `strip_usage`: keep the chunk that carries nothing but usage from the client.
    pub fn new(strip_usage: bool, quirks: Quirks) -> Self {
        Self { strip_usage, quirks, completed: false }
    }

    /// Whether the frame was one of the typed events. The content of most is base64, whose length says
    /// nothing about tokens.
    fn observe_typed(&mut self, kind: &[u8], found: &Scan<'_>, progress: &mut Progress) -> bool {
        match kind {
            b"image_generation.partial_image"
            | b"image_edit.partial_image"
            | b"speech.audio.delta" => {}
            b"transcript.text.delta" | b"transcript.text.segment" => {
                progress.add_content(found.content_bytes);
            }
            b"image_generation.completed"
            | b"image_edit.completed"
            | b"speech.audio.done"
            | b"transcript.text.done" => {
                self.completed = true;
                if let Some(usage) = usage_in(found, self.quirks) {
                    progress.usage = Some(usage);
                }
            }
            _ => return false,
        }
        progress.content = true;
        true
    }
}

impl passthrough::Observer for Observer {
    fn observe(&mut self, frame: &Frame<'_>, progress: &mut Progress) -> Result<Pass, StreamFault> {
        let data = &*frame.data;
        if data.trim_ascii() == b"[DONE]" {
            progress.terminated = true;
            return Ok(Pass::Forward);
        }
        let found = scan(data);
        check_object(&found, data)?;
        if found.error || found.kind == Some(b"error") {
            progress.usage = usage_in(&found, self.quirks).or(progress.usage);
            return Err(upstream_fault(Dialect::OpenAi, data));
        }
        if let Some(kind) = found.kind
            && self.observe_typed(kind, &found, progress)
        {
            return Ok(Pass::Forward);
        }
        progress.add_content(found.content_bytes);
        if progress.model.is_none() {
            progress.model = found.model.filter(|model| !model.is_empty()).map(text);
        }
        if let Some(reason) = found.finish_reason {
            progress.finish_reason = Some(finish_reason(&lossy(reason)));
        }
        if let Some(usage) = usage_in(&found, self.quirks) {
            progress.usage = Some(usage);
        }
        let strip = found.has_usage() && found.no_choices && self.strip_usage;
        Ok(if strip { Pass::Strip } else { Pass::Forward })
    }

    fn is_complete(&self) -> bool {
        self.completed
    }

    fn fail(&mut self, error: &ApiError) -> Bytes {
        encode_stream_error(Dialect::OpenAi, error)
    }
}
