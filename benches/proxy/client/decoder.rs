//! Decodes one HTTP/1.1 answer, by length or chunked (RFC 9112, sections 6 and 7), and counts
//! `data:` lines on the way. No IO; it keeps the head and the first bytes of the body only.

use anyhow::{Context as _, Result, bail};

use super::Answer;

/// Bytes of the body that are kept.
const KEPT: usize = 512;
/// Largest accepted head.
const HEAD_LIMIT: usize = 64 * 1024;
const EVENT_MARK: &[u8] = b"data:";

/// Where in the answer the next byte belongs.
#[derive(Debug, Default, Clone, Copy)]
enum State {
    #[default]
    Head,
    /// This many bytes of a body of known length are missing.
    Length(usize),
    /// In a chunk's size line; the value so far.
    ChunkSize(usize),
    /// In the rest of a size line, after the digits.
    ChunkSizeEnd(usize),
    /// This many bytes are missing of the chunk and the line end behind it.
    Chunk(usize),
    /// Behind the last chunk; the number of bytes in the current line.
    Trailer(usize),
    Done,
}

/// Decoder of one answer; feed it until it is complete.
#[derive(Debug, Default)]
pub struct Decoder {
    state: State,
    head: Vec<u8>,
    start: Vec<u8>,
    status: u16,
    close: bool,
    matched: usize,
    events: u64,
}

impl Decoder {
    /// Takes the next bytes; true when the answer is complete.
    ///
    /// # Errors
    /// The bytes are not an answer with a length or in chunks.
    pub fn feed(&mut self, bytes: &[u8]) -> Result<bool> {
        let mut rest = bytes;
        while !rest.is_empty() && !matches!(self.state, State::Done) {
            rest = self.step(rest)?;
        }
        Ok(matches!(self.state, State::Done))
    }

    /// Number of `data:` lines so far.
    pub fn events(&self) -> u64 {
        self.events
    }

    /// The answer, once it is complete.
    pub fn into_answer(self) -> Answer {
        let start = String::from_utf8_lossy(&self.start).into_owned();
        Answer { status: self.status, events: self.events, start, close: self.close }
    }

    /// Consumes at least one byte and returns the rest.
    fn step<'a>(&mut self, bytes: &'a [u8]) -> Result<&'a [u8]> {
        match self.state {
            State::Head => return self.head(bytes),
            State::Length(missing) => {
                let (body, rest) = bytes.split_at(missing.min(bytes.len()));
                self.body(body);
                let missing = missing - body.len();
                self.state = if missing == 0 { State::Done } else { State::Length(missing) };
                return Ok(rest);
            }
            State::Chunk(missing) => {
                let (part, rest) = bytes.split_at(missing.min(bytes.len()));
                // The last two bytes are the line end.
                self.body(&part[..part.len().min(missing.saturating_sub(2))]);
                let missing = missing - part.len();
                self.state = if missing == 0 { State::ChunkSize(0) } else { State::Chunk(missing) };
                return Ok(rest);
            }
            _ => {}
        }
        let Some((&byte, rest)) = bytes.split_first() else { return Ok(bytes) };
        self.state = match (self.state, byte) {
            (State::ChunkSize(0) | State::ChunkSizeEnd(0), b'\n') => State::Trailer(0),
            (State::ChunkSize(size) | State::ChunkSizeEnd(size), b'\n') => State::Chunk(size + 2),
            (State::ChunkSize(size), _) => match char::from(byte).to_digit(16) {
                Some(digit) => State::ChunkSize(size * 16 + digit as usize),
                None => State::ChunkSizeEnd(size),
            },
            (State::Trailer(0), b'\n') => State::Done,
            (State::Trailer(_), b'\n') => State::Trailer(0),
            (State::Trailer(length), b'\r') => State::Trailer(length),
            (State::Trailer(length), _) => State::Trailer(length + 1),
            (state, _) => state,
        };
        Ok(rest)
    }

    fn head<'a>(&mut self, bytes: &'a [u8]) -> Result<&'a [u8]> {
        let before = self.head.len();
        self.head.extend_from_slice(bytes);
        let Some(end) = memchr::memmem::find(&self.head, b"\r\n\r\n") else {
            if self.head.len() > HEAD_LIMIT {
                bail!("the head does not end");
            }
            return Ok(&[]);
        };
        let text = String::from_utf8_lossy(&self.head[..end]).to_ascii_lowercase();
        let mut lines = text.lines();
        let status = lines.next().and_then(|line| line.split(' ').nth(1));
        self.status = status.and_then(|code| code.parse().ok()).context("no status line")?;
        let mut next = None;
        for (name, value) in lines.filter_map(|line| line.split_once(':')) {
            match (name, value.trim()) {
                ("content-length", length) => next = Some(State::Length(length.parse()?)),
                ("transfer-encoding", "chunked") => next = Some(State::ChunkSize(0)),
                ("connection", "close") => self.close = true,
                _ => {}
            }
        }
        self.state = match next.context("neither a length nor chunks")? {
            State::Length(0) => State::Done,
            state => state,
        };
        Ok(&bytes[end + 4 - before..])
    }

    fn body(&mut self, bytes: &[u8]) {
        let wanted = KEPT.saturating_sub(self.start.len()).min(bytes.len());
        self.start.extend_from_slice(&bytes[..wanted]);
        for &byte in bytes {
            // The mark repeats no prefix of itself, so a mismatch restarts at this byte.
            let expected = EVENT_MARK.get(self.matched) == Some(&byte);
            self.matched = if expected { self.matched + 1 } else { usize::from(byte == b'd') };
            if self.matched == EVENT_MARK.len() {
                self.events += 1;
                self.matched = 0;
            }
        }
    }
}
