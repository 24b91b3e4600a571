//! Server-sent events at byte level: where a frame ends, and what is in it. Line ends may be LF, CRLF
//! or CR, and the bytes may be cut anywhere. Knows no dialect.
//!
//! Source: WHATWG HTML, "Server-sent events", parsing an event stream.

use std::borrow::Cow;

use bytes::{Bytes, BytesMut};

/// The largest frame that is held until its end comes, in bytes: models that paint send a whole image
/// in base64 as one event.
pub const MAX_FRAME: usize = 16 << 20;

/// A frame grew beyond [`MAX_FRAME`] without an end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FrameTooLarge;

/// Cuts a byte stream into frames. Whole frames inside one chunk are not copied; only the cut-off
/// rest of a chunk is kept.
#[derive(Debug)]
pub struct FrameScanner {
    tail: BytesMut,
    /// Nothing has been read of the current line yet.
    line_empty: bool,
    /// The last byte was a CR, so that a LF now belongs to the same line end.
    after_cr: bool,
}

impl Default for FrameScanner {
    fn default() -> Self {
        Self { tail: BytesMut::new(), line_empty: true, after_cr: false }
    }
}

impl FrameScanner {
    /// Takes a chunk and returns all frames that are now whole, as one run of bytes. `ends` is
    /// overwritten with the offset after each frame in that run.
    ///
    /// # Errors
    /// [`FrameTooLarge`] if more than [`MAX_FRAME`] bytes wait for the end of their frame.
    pub fn push(
        &mut self,
        mut chunk: Bytes,
        ends: &mut Vec<usize>,
    ) -> Result<Bytes, FrameTooLarge> {
        ends.clear();
        let whole = if self.tail.is_empty() {
            self.scan(&chunk, 0, ends);
            let whole = chunk.split_to(ends.last().copied().unwrap_or(0));
            self.tail.extend_from_slice(&chunk);
            whole
        } else {
            let held = self.tail.len();
            self.scan(&chunk, held, ends);
            self.tail.extend_from_slice(&chunk);
            self.tail.split_to(ends.last().copied().unwrap_or(0)).freeze()
        };
        if self.tail.len() > MAX_FRAME { Err(FrameTooLarge) } else { Ok(whole) }
    }

    /// The bytes after the last whole frame; the stream has ended.
    pub fn finish(&mut self) -> Bytes {
        self.tail.split().freeze()
    }

    /// Looks for blank lines in new bytes, which lie `offset` bytes into the run.
    fn scan(&mut self, new: &[u8], offset: usize, ends: &mut Vec<usize>) {
        let Some(&first) = new.first() else { return };
        // A frame that ended by the CR is out already; its LF then opens the next run.
        let mut at = usize::from(std::mem::take(&mut self.after_cr) && first == b'\n');
        while let Some(rest) = new.get(at..).filter(|rest| !rest.is_empty()) {
            let Some(found) = memchr::memchr2(b'\n', b'\r', rest) else {
                self.line_empty = false;
                return;
            };
            let blank = found == 0 && self.line_empty;
            let cr = rest.get(found) == Some(&b'\r');
            at += found + 1;
            if cr && new.get(at) == Some(&b'\n') {
                at += 1;
            } else if cr && at == new.len() {
                self.after_cr = true;
            }
            self.line_empty = true;
            if blank {
                ends.push(offset + at);
            }
        }
    }
}

/// The parts of a frame that matter.
#[derive(Debug, PartialEq, Eq)]
pub struct Frame<'a> {
    /// The event's name; empty if it has none.
    pub event: &'a [u8],
    /// The lines of data, joined by LF; empty if there are none.
    pub data: Cow<'a, [u8]>,
}

impl<'a> Frame<'a> {
    /// Reads a frame. Comments and unknown fields are skipped.
    pub fn parse(raw: &'a [u8]) -> Self {
        // The other half of the line end by which the frame before was cut off.
        let raw = raw.strip_prefix(b"\n").unwrap_or(raw);
        let mut raw = raw.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(raw);
        let mut frame = Frame { event: b"", data: Cow::Borrowed(b"") };
        let mut has_data = false;
        while !raw.is_empty() {
            let end = memchr::memchr2(b'\n', b'\r', raw).unwrap_or(raw.len());
            let line = raw.get(..end).unwrap_or_default();
            raw = raw.get(end + 1..).unwrap_or_default();
            if let Some(value) = field(line, b"data:") {
                frame.add_data(value, has_data);
                has_data = true;
            } else if let Some(value) = field(line, b"event:") {
                frame.event = value;
            }
        }
        frame
    }

    fn add_data(&mut self, value: &'a [u8], more: bool) {
        if more {
            let data = self.data.to_mut();
            data.push(b'\n');
            data.extend_from_slice(value);
        } else {
            self.data = Cow::Borrowed(value);
        }
    }
}

fn field<'a>(line: &'a [u8], name: &[u8]) -> Option<&'a [u8]> {
    let value = line.strip_prefix(name)?;
    Some(value.strip_prefix(b" ").unwrap_or(value))
}

#[cfg(test)]
mod tests;
