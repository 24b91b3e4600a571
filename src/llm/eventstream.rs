//! `application/vnd.amazon.eventstream` at byte level: where a message ends, whether it is intact, and
//! what is in it. The bytes may be cut anywhere. Knows no dialect.
//!
//! Cutting and bounds are ours, because a length that came over the network must not make anybody wait
//! for gigabytes; checksums and headers are read by AWS's own library.
//!
//! Source: Smithy, "Amazon Event Stream Specification"; the bounds are botocore's.

use std::borrow::Cow;

use aws_smithy_eventstream::frame::{read_message_from, write_message_to};
use aws_smithy_types::event_stream::{Header, HeaderValue, Message as Raw};
use bytes::{Buf, Bytes, BytesMut};
use serde_json::{Map, Value};
use thiserror::Error;

use super::sse::Frame;
use super::stream::StreamFault;

/// The media type of these streams.
pub const MEDIA_TYPE: &str = "application/vnd.amazon.eventstream";
/// The most that the headers of a message may take, in bytes.
pub const MAX_HEADERS: usize = 128 << 10;
/// The most that a message may take, in bytes: 24 MiB of payload, the headers and the framing.
pub const MAX_MESSAGE: usize = (24 << 20) + MAX_HEADERS + OVERHEAD;
/// The name that a frame has which is an error: no event can be called so.
pub const ERROR_EVENT: &[u8] = b":error";

/// Two lengths and a checksum before the headers.
const PRELUDE: usize = 12;
/// The prelude, and a checksum at the end.
const OVERHEAD: usize = PRELUDE + 4;

/// Why bytes are not an event stream.
#[derive(Debug, Clone, Error, PartialEq, Eq)]
pub enum EventStreamError {
    /// The lengths of a message are impossible, or beyond the bounds.
    #[error("a message of {total} bytes with {headers} bytes of headers is out of bounds")]
    Length {
        /// Of the whole message, in bytes.
        total: usize,
        /// Of its headers, in bytes.
        headers: usize,
    },
    /// A checksum is wrong or a header cannot be read.
    #[error("a message is damaged: {0}")]
    Damaged(String),
}

impl From<EventStreamError> for StreamFault {
    fn from(error: EventStreamError) -> Self {
        Self::Malformed(error.to_string())
    }
}

/// Cuts a byte stream into messages, by their lengths alone. Whole messages inside one chunk are not
/// copied; only the cut-off rest of a chunk is kept.
#[derive(Debug, Default)]
pub struct MessageScanner {
    tail: BytesMut,
}

impl MessageScanner {
    /// Takes a chunk and returns all messages that are now whole, as one run of bytes. `ends` is
    /// overwritten with the offset after each message in that run.
    ///
    /// # Errors
    /// [`EventStreamError::Length`] as soon as a message says that it is out of bounds; if whole ones
    /// are before it, they come out first.
    pub fn push(
        &mut self,
        mut chunk: Bytes,
        ends: &mut Vec<usize>,
    ) -> Result<Bytes, EventStreamError> {
        ends.clear();
        if self.tail.is_empty() {
            let whole = chunk.split_to(scan(&chunk, ends)?);
            self.tail.extend_from_slice(&chunk);
            return Ok(whole);
        }
        self.tail.extend_from_slice(&chunk);
        let end = scan(&self.tail, ends)?;
        Ok(self.tail.split_to(end).freeze())
    }

    /// The bytes after the last whole message; the stream has ended.
    pub fn finish(&mut self) -> Bytes {
        self.tail.split().freeze()
    }
}

/// The offset after the last whole message.
fn scan(bytes: &[u8], ends: &mut Vec<usize>) -> Result<usize, EventStreamError> {
    let mut at = 0;
    loop {
        match length(bytes.get(at..).unwrap_or_default()) {
            Ok(Some(total)) if bytes.len() - at >= total => {
                at += total;
                ends.push(at);
            }
            Err(error) if at == 0 => return Err(error),
            _ => return Ok(at),
        }
    }
}

/// The length of the message that begins here, once its lengths are there.
fn length(mut bytes: &[u8]) -> Result<Option<usize>, EventStreamError> {
    if bytes.len() < PRELUDE {
        return Ok(None);
    }
    let (total, headers) = (bytes.get_u32() as usize, bytes.get_u32() as usize);
    let fits = (OVERHEAD..=MAX_MESSAGE).contains(&total);
    if fits && headers <= MAX_HEADERS && headers <= total - OVERHEAD {
        Ok(Some(total))
    } else {
        Err(EventStreamError::Length { total, headers })
    }
}

/// Reads a message. An exception or an error has the name [`ERROR_EVENT`] and data of the form
/// `{"__type": "throttlingException", "message": ...}`.
///
/// # Errors
/// [`EventStreamError::Damaged`] if one of its two checksums is wrong or a header is malformed.
pub fn parse(raw: &[u8]) -> Result<Frame<'_>, EventStreamError> {
    let mut rest = raw;
    let message = read_message_from(&mut rest)
        .map_err(|error| EventStreamError::Damaged(error.to_string()))?;
    if !rest.is_empty() {
        return Err(EventStreamError::Damaged("bytes follow its end".to_owned()));
    }
    let word = |name: &str| {
        let found = message.headers().iter().find(|header| header.name().as_str() == name)?;
        found.value().as_string().ok().map(|value| value.as_str())
    };
    let error = |kind: &str, text: &[u8]| {
        let data = typed(word(kind).unwrap_or_default(), text);
        Ok(Frame { event: ERROR_EVENT, data: Cow::Owned(data) })
    };
    match word(":message-type") {
        Some("exception") => error(":exception-type", message.payload()),
        Some("error") => {
            error(":error-code", word(":error-message").unwrap_or_default().as_bytes())
        }
        _ => {
            // What was read lies in `raw`; so it need not be copied.
            let name = word(":event-type").unwrap_or_default().as_bytes();
            let start = memchr::memmem::find(raw, name).unwrap_or_default();
            let event = raw.get(start..start + name.len()).unwrap_or_default();
            let (rest, _checksum) = raw.split_at(raw.len().saturating_sub(4));
            let from = rest.len().saturating_sub(message.payload().len());
            Ok(Frame { event, data: Cow::Borrowed(rest.get(from..).unwrap_or_default()) })
        }
    }
}

/// An error's payload with its type in it.
fn typed(kind: &str, payload: &[u8]) -> Vec<u8> {
    let mut object: Map<String, Value> = serde_json::from_slice(payload).unwrap_or_else(|_| {
        let text = String::from_utf8_lossy(payload).into_owned();
        Map::from_iter([("message".to_owned(), Value::from(text))])
    });
    object.insert("__type".to_owned(), Value::from(kind));
    Value::Object(object).to_string().into_bytes()
}

/// Appends an event with a JSON payload.
///
/// # Errors
/// [`EventStreamError::Damaged`] if the name or the payload is too long for the format.
pub fn write_event(name: &str, json: Bytes, out: &mut Vec<u8>) -> Result<(), EventStreamError> {
    write(&[(":event-type", name), (":message-type", "event")], json, out)
}

/// Appends an exception with a JSON payload.
///
/// # Errors
/// [`EventStreamError::Damaged`] if the name or the payload is too long for the format.
pub fn write_exception(name: &str, json: Bytes, out: &mut Vec<u8>) -> Result<(), EventStreamError> {
    write(&[(":exception-type", name), (":message-type", "exception")], json, out)
}

fn write(
    headers: &[(&str, &str)],
    payload: Bytes,
    out: &mut Vec<u8>,
) -> Result<(), EventStreamError> {
    let mut message = Raw::new(payload);
    for (name, value) in headers.iter().chain(&[(":content-type", "application/json")]) {
        let value = HeaderValue::String((*value).to_owned().into());
        message = message.add_header(Header::new((*name).to_owned(), value));
    }
    write_message_to(&message, out).map_err(|error| EventStreamError::Damaged(error.to_string()))
}

#[cfg(test)]
mod tests;
