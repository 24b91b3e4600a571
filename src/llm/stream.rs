//! The contract of every stream translation: upstream bytes in, downstream bytes out, and what has
//! been seen so far. What to do about a fault belongs to the proxy.

use bytes::Bytes;
use thiserror::Error;

use super::chat::FinishReason;
use super::error::ApiError;
use super::sse::{FrameTooLarge, MAX_FRAME};
use super::usage::Usage;

/// What a stream has delivered so far.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Progress {
    /// A byte of content (text, tool call, refusal, reasoning) has been seen.
    pub content: bool,
    /// The usage reported last; cumulative reports are merged, not added.
    pub usage: Option<Usage>,
    /// Bytes of content so far, for estimates where no usage is reported.
    pub output_bytes: u64,
    /// Frames read, comments included.
    pub frames: u32,
    /// The dialect's terminator (`[DONE]`, `message_stop`) has been seen.
    pub terminated: bool,
    /// Why the model stopped.
    pub finish_reason: Option<FinishReason>,
    /// The model that answered, as the provider names it.
    pub model: Option<String>,
    /// The id by which a later request can go on from the answer, where the provider stores answers
    /// (Responses).
    pub stored_as: Option<String>,
}

impl Progress {
    /// Notes bytes of content.
    pub(super) fn add_content(&mut self, bytes: u64) {
        self.content |= bytes > 0;
        self.output_bytes = self.output_bytes.saturating_add(bytes);
    }
}

/// How a stream is written for the caller.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum StreamForm {
    /// Server-sent events.
    #[default]
    Sse,
    /// The elements of one JSON array, sent in pieces (Gemini without `alt=sse`).
    JsonArray,
}

impl StreamForm {
    /// The media type.
    pub fn media_type(self) -> &'static str {
        match self {
            Self::Sse => "text/event-stream; charset=utf-8",
            Self::JsonArray => "application/json; charset=utf-8",
        }
    }

    /// What may be sent between two frames to show that the connection lives: an SSE comment, white
    /// space in JSON.
    pub fn filler(self) -> &'static [u8] {
        match self {
            Self::Sse => b": keep-alive\n\n",
            Self::JsonArray => b"\n",
        }
    }
}

/// Writes the elements of a JSON array that is sent in pieces, in Gemini's own layout.
#[derive(Debug, Default)]
pub struct ArrayWriter {
    open: bool,
}

impl ArrayWriter {
    /// What stands before the next element.
    pub fn separator(&mut self) -> &'static [u8] {
        match std::mem::replace(&mut self.open, true) {
            true => b",\r\n",
            false => b"[",
        }
    }

    /// What ends the array, also one that has no element.
    pub fn end(&self) -> &'static [u8] {
        if self.open { b"\n]" } else { b"[]" }
    }
}

/// Why a stream cannot be continued.
#[derive(Debug, Clone, Error, PartialEq, Eq)]
pub enum StreamFault {
    /// The provider reported an error inside its 200.
    #[error("the provider reported an error in its stream: {}", .0.message)]
    Upstream(ApiError),
    /// The bytes are not a stream of the provider's dialect.
    #[error("the provider's stream is malformed: {0}")]
    Malformed(String),
    /// The stream ended without its terminator.
    #[error("the provider's stream ended before it was complete")]
    Truncated,
}

impl StreamFault {
    /// The same of a stream's last frame, which lacks its end: it is cut, not wrong.
    pub(super) fn at_the_end(self) -> Self {
        match self {
            Self::Malformed(_) => Self::Truncated,
            fault => fault,
        }
    }
}

impl From<FrameTooLarge> for StreamFault {
    fn from(_: FrameTooLarge) -> Self {
        Self::Malformed(format!("an event is larger than {MAX_FRAME} bytes"))
    }
}

/// Translates one stream. After a fault nothing more may be pushed; what `out` holds then is still
/// good and may be sent before the error event.
pub trait StreamTranslator: Send {
    /// Takes upstream bytes, cut anywhere, and appends downstream bytes, always whole events.
    ///
    /// # Errors
    /// [`StreamFault::Upstream`] or [`StreamFault::Malformed`].
    fn push(&mut self, chunk: Bytes, out: &mut Vec<Bytes>) -> Result<(), StreamFault>;

    /// The upstream ended.
    ///
    /// # Errors
    /// [`StreamFault::Truncated`] if its terminator was not seen; the faults of `push` for a last
    /// event that had no blank line after it.
    fn finish(&mut self, out: &mut Vec<Bytes>) -> Result<(), StreamFault>;

    /// Appends what tells the caller that the stream breaks off here: one error in its dialect, and no
    /// terminator. Nothing may be pushed after it.
    fn fail(&mut self, error: &ApiError, out: &mut Vec<Bytes>);

    /// What has been seen so far.
    fn progress(&self) -> &Progress;
}
