//! How the bytes of a stream are cut into frames, whatever the dialect: one cutter for each framing,
//! behind one type. What a frame says belongs to the dialects.

use std::borrow::Cow;

use bytes::Bytes;

use super::eventstream::{self, MessageScanner};
use super::lines::LineCutter;
use super::sse::{Frame, FrameScanner};
use super::stream::StreamFault;

/// How the bytes of a stream are cut into frames.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Framing {
    /// Server-sent events.
    Sse,
    /// `application/vnd.amazon.eventstream`.
    EventStream,
    /// One JSON value a line.
    Lines,
}

impl Framing {
    /// The media types that announce it, without parameters.
    pub fn media_types(self) -> &'static [&'static str] {
        match self {
            Self::Sse => &["text/event-stream"],
            Self::EventStream => &[eventstream::MEDIA_TYPE],
            Self::Lines => {
                &["application/x-ndjson", "application/jsonl", "application/x-json-stream"]
            }
        }
    }
}

/// Cuts one stream.
#[derive(Debug)]
pub enum FrameCutter {
    /// Server-sent events.
    Sse(FrameScanner),
    /// An event stream.
    EventStream(MessageScanner),
    /// Lines.
    Lines(LineCutter),
}

impl FrameCutter {
    /// A cutter at the start of a stream.
    pub fn new(framing: Framing) -> Self {
        match framing {
            Framing::Sse => Self::Sse(FrameScanner::default()),
            Framing::EventStream => Self::EventStream(MessageScanner::default()),
            Framing::Lines => Self::Lines(LineCutter::default()),
        }
    }

    /// Takes a chunk and returns all frames that are now whole, as one run of bytes. `ends` is
    /// overwritten with the offset after each frame in that run.
    ///
    /// # Errors
    /// [`StreamFault::Malformed`] if a frame is too large or broken.
    pub fn push(&mut self, chunk: Bytes, ends: &mut Vec<usize>) -> Result<Bytes, StreamFault> {
        Ok(match self {
            Self::Sse(scanner) => scanner.push(chunk, ends)?,
            Self::EventStream(scanner) => scanner.push(chunk, ends)?,
            Self::Lines(cutter) => cutter.push(chunk, ends)?,
        })
    }

    /// The bytes after the last whole frame; the stream has ended.
    pub fn finish(&mut self) -> Bytes {
        match self {
            Self::Sse(scanner) => scanner.finish(),
            Self::EventStream(scanner) => scanner.finish(),
            Self::Lines(cutter) => cutter.finish(),
        }
    }

    /// Reads one frame of a run. One without data says nothing.
    ///
    /// # Errors
    /// [`StreamFault::Malformed`] if it is broken.
    pub fn parse<'a>(&self, raw: &'a [u8]) -> Result<Frame<'a>, StreamFault> {
        Ok(match self {
            Self::Sse(_) => Frame::parse(raw),
            Self::EventStream(_) => eventstream::parse(raw)?,
            Self::Lines(_) => Frame { event: b"", data: Cow::Borrowed(raw.trim_ascii()) },
        })
    }
}
