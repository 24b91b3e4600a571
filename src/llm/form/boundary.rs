//! The boundary of a form, out of the header `content-type` (RFC 2046, section 5.1.1).

use std::fmt;

use thiserror::Error;

/// The most bytes of a boundary (RFC 2046).
const MAX: usize = 70;

/// What separates the parts of a form.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Boundary(String);

/// Why a `content-type` has no boundary.
#[derive(Debug, Clone, Copy, Error, PartialEq, Eq)]
pub enum BoundaryError {
    /// Another media type.
    #[error("it is not multipart/form-data")]
    MediaType,
    /// The parameter is missing.
    #[error("it names no boundary: let the client's library write the header")]
    Missing,
    /// The parameter is there twice, or malformed.
    #[error("its boundary is malformed: it must be 1 to 70 letters, digits or '()+_,-./:=? once")]
    Malformed,
}

impl Boundary {
    /// Reads the value of `content-type`.
    ///
    /// # Errors
    /// [`BoundaryError`] if it is not that of a form, or its boundary is missing, malformed or there
    /// twice.
    pub fn read(content_type: &[u8]) -> Result<Self, BoundaryError> {
        let text = std::str::from_utf8(content_type).map_err(|_| BoundaryError::MediaType)?;
        let mut parts = text.split(';');
        let essence = parts.next().unwrap_or_default().trim();
        if !essence.eq_ignore_ascii_case("multipart/form-data") {
            return Err(BoundaryError::MediaType);
        }
        let mut found = None;
        // No boundary has a semicolon, not even a quoted one.
        for (name, value) in parts.filter_map(|part| part.split_once('=')) {
            if name.trim().eq_ignore_ascii_case("boundary") && found.replace(value).is_some() {
                return Err(BoundaryError::Malformed);
            }
        }
        let value = found.ok_or(BoundaryError::Missing)?.trim();
        let inner = value.strip_prefix('"').and_then(|value| value.strip_suffix('"'));
        let value = inner.unwrap_or(value);
        let is_right = (1..=MAX).contains(&value.len()) && value.bytes().all(is_boundary_byte);
        is_right.then(|| Self(value.to_owned())).ok_or(BoundaryError::Malformed)
    }

    /// The boundary as it stands in the delimiters.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// `bcharsnospace` of RFC 2046: a space may stand in one too, which nobody writes and some trim.
fn is_boundary_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"'()+_,-./:=?".contains(&byte)
}

/// As a parameter: quoted where it is no token (RFC 9110, 5.6.2).
impl fmt::Display for Boundary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let is_token = self.0.bytes().all(|byte| !b"(),/:=?".contains(&byte));
        if is_token { f.write_str(&self.0) } else { write!(f, "\"{}\"", self.0) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_boundary_is_read_as_clients_write_it_and_written_as_it_must_be() {
        for (given, read, written) in [
            ("multipart/form-data; boundary=0a1b", "0a1b", "0a1b"),
            ("Multipart/Form-Data;Boundary=\"a:b\"", "a:b", "\"a:b\""),
            ("multipart/form-data; charset=utf-8; boundary=----x_1", "----x_1", "----x_1"),
            ("multipart/form-data; boundary=a=b", "a=b", "\"a=b\""),
        ] {
            let boundary = Boundary::read(given.as_bytes()).unwrap();
            assert_eq!((boundary.as_str(), boundary.to_string().as_str()), (read, written));
        }
    }

    #[test]
    fn what_is_no_boundary_is_refused() {
        let long = format!("multipart/form-data; boundary={}", "a".repeat(71));
        for (given, error) in [
            ("application/json", BoundaryError::MediaType),
            ("multipart/mixed; boundary=a", BoundaryError::MediaType),
            ("multipart/form-data", BoundaryError::Missing),
            ("multipart/form-data; boundary=", BoundaryError::Malformed),
            ("multipart/form-data; boundary=\"a b\"", BoundaryError::Malformed),
            ("multipart/form-data; boundary=\"a", BoundaryError::Malformed),
            ("multipart/form-data; boundary=a; boundary=b", BoundaryError::Malformed),
            (long.as_str(), BoundaryError::Malformed),
        ] {
            assert_eq!(Boundary::read(given.as_bytes()), Err(error), "{given}");
        }
    }
}
