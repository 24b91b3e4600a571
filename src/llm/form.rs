//! Forms (`multipart/form-data`, RFC 7578): where the fields of one lie in its bytes. Nothing is
//! copied and no content is decoded; what the fields mean is `peek`'s business, and what a target
//! changes in them `rewrite`'s.
//!
//! It is stricter than RFC 2046, section 5.1, allows. A form that two readers could take for two
//! different requests is refused, because a provider must not be asked for another model than the one
//! that was routed.

mod boundary;
mod disposition;
pub(super) mod estimate;

use std::ops::Range;

use memchr::memmem::{self, Finder};

use super::error::RequestError;

pub use boundary::{Boundary, BoundaryError};

/// The most parts of a form.
const MAX_PARTS: usize = 256;
/// The most bytes of the headers of one part.
const MAX_HEADERS: usize = 16 << 10;

/// A form, by the places of its parts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Form {
    /// What separates the parts.
    pub boundary: Boundary,
    /// Where its first delimiter begins, and with it the first part or the end.
    first: usize,
    parts: Vec<Part>,
}

/// One part of a form.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Part {
    /// The field's name.
    pub name: String,
    /// Whether it is a file, which has a name of its own.
    pub is_file: bool,
    /// From its delimiter to the next one.
    pub whole: Range<usize>,
    /// Its content.
    pub content: Range<usize>,
}

impl Form {
    /// Finds the parts of a form.
    ///
    /// # Errors
    /// [`RequestError`] that names what is wrong and where, if it is not a form with this boundary, or
    /// could be read in two ways.
    pub fn parse(boundary: Boundary, body: &[u8]) -> Result<Self, RequestError> {
        let delimiter = [b"\r\n--", boundary.as_str().as_bytes()].concat();
        let next = Finder::new(&delimiter);
        // The first delimiter needs no line end before it.
        let opening = delimiter.get(2..).unwrap_or_default();
        let mut start = if body.starts_with(b"\r\n") { 2 } else { 0 };
        if !body.get(start..).unwrap_or_default().starts_with(opening) {
            return Err(malformed(0, "it does not begin with the boundary of its content-type"));
        }
        let (first, mut parts) = (start, Vec::<Part>::new());
        loop {
            let after = start + opening.len();
            let rest = body.get(after..).unwrap_or_default();
            if let Some(epilogue) = rest.strip_prefix(b"--") {
                return match epilogue.trim_ascii().is_empty() {
                    true => Ok(Self { boundary, first, parts }),
                    false => Err(malformed(after, "something follows its last boundary")),
                };
            }
            if !rest.starts_with(b"\r\n") {
                return Err(malformed(after, "a boundary is not followed by a line end (CRLF)"));
            }
            // A part without headers has its blank line right after the delimiter.
            let headers = after + 2;
            let end = next.find(body.get(after..).unwrap_or_default()).map(|at| after + at);
            let Some(end) = end else {
                return Err(malformed(body.len(), "it ends before its last boundary"));
            };
            if parts.len() == MAX_PARTS {
                let message = format!("it has more than {MAX_PARTS} parts");
                return Err(malformed(start, message));
            }
            parts.push(Part::parse(body, start..end + 2, headers)?);
            start = end + 2;
        }
    }

    /// The value of the header `content-type` that goes with the form.
    pub fn content_type(&self) -> String {
        format!("multipart/form-data; boundary={}", self.boundary)
    }

    /// Where a part may be put in before all others.
    pub(crate) fn first(&self) -> usize {
        self.first
    }

    /// Its parts, in order.
    pub(crate) fn parts(&self) -> &[Part] {
        &self.parts
    }

    /// The content of the first field of this name, if it is a text.
    pub(crate) fn text<'a>(&self, body: &'a [u8], name: &str) -> Option<&'a str> {
        let part = self.parts.iter().find(|part| part.name == name && !part.is_file)?;
        std::str::from_utf8(body.get(part.content.clone())?).ok()
    }
}

impl Part {
    /// Reads the headers of a part, which begin at `headers`.
    fn parse(body: &[u8], whole: Range<usize>, headers: usize) -> Result<Self, RequestError> {
        let start = whole.start;
        // The line end of the next delimiter is not the content's.
        let text = body.get(headers..whole.end - 2).unwrap_or_default();
        let end = match text.starts_with(b"\r\n") {
            true => Some(0),
            false => memmem::find(text, b"\r\n\r\n").map(|end| end + 2),
        };
        let Some(end) = end.filter(|end| *end <= MAX_HEADERS) else {
            return Err(malformed(start, "a part has no blank line after its headers"));
        };
        let lines = text.get(..end).unwrap_or_default();
        let found = disposition::read(lines).map_err(|message| malformed(start, message))?;
        Ok(Self {
            name: found.name,
            is_file: found.is_file,
            content: headers + end + 2..whole.end - 2,
            whole,
        })
    }
}

fn malformed(at: usize, message: impl AsRef<str>) -> RequestError {
    RequestError::Form { at, message: message.as_ref().to_owned() }
}

#[cfg(test)]
mod tests;
