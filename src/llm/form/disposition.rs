//! The headers of one part of a form, as far as they say which field it is: `content-disposition`
//! (RFC 7578, section 4.2). All others are the provider's business.

/// Which field a part is.
#[derive(Debug, PartialEq, Eq)]
pub struct Disposition {
    /// The field's name.
    pub name: String,
    /// It has a `filename`.
    pub is_file: bool,
}

/// Reads header lines, each with its line end.
///
/// # Errors
/// What is wrong with them.
pub fn read(lines: &[u8]) -> Result<Disposition, &'static str> {
    // Names of files come in any encoding; no field that matters has a name that is not ASCII.
    let text = String::from_utf8_lossy(lines);
    let mut found = None;
    for line in text.split_terminator("\r\n") {
        if line.bytes().any(|byte| byte.is_ascii_control() && byte != b'\t') {
            return Err("a header of a part has a control character, or ends without CRLF");
        }
        let Some((name, value)) = line.split_once(':') else {
            return Err("a header of a part has no colon");
        };
        if !is_token(name) {
            return Err("a header of a part has a malformed name, or is continued on a new line");
        }
        if name.eq_ignore_ascii_case("content-disposition") && found.replace(value).is_some() {
            return Err("a part has two headers content-disposition");
        }
        if name.eq_ignore_ascii_case("content-transfer-encoding") && is_encoded(value) {
            return Err(
                "a part has a content-transfer-encoding, which forms must not: send it as it is",
            );
        }
    }
    let value = found.ok_or("a part has no header content-disposition")?;
    parameters(value)
}

/// RFC 7578, section 4.7: some readers decode it, some don't.
fn is_encoded(value: &str) -> bool {
    !["binary", "8bit", "7bit"].iter().any(|plain| value.trim().eq_ignore_ascii_case(plain))
}

/// `form-data; name="field"; filename="a.mp3"`.
fn parameters(value: &str) -> Result<Disposition, &'static str> {
    let (kind, mut rest) = value.split_once(';').unwrap_or((value, ""));
    if !kind.trim().eq_ignore_ascii_case("form-data") {
        return Err("the content-disposition of a part is not form-data");
    }
    let (mut field, mut is_file) = (None, false);
    while !rest.trim().is_empty() {
        let (name, value, after) = parameter(rest)?;
        rest = after;
        match name.to_ascii_lowercase().as_str() {
            "name" if !is_plain(value) => {
                return Err(
                    "the name of a part has a backslash, an encoded word or spaces around it",
                );
            }
            "name" if field.replace(value).is_some() => return Err("a part has two names"),
            name if name.starts_with("name*") => {
                return Err("the name of a part is written as name*, which forms must not");
            }
            "filename" | "filename*" => is_file = true,
            _ => {}
        }
    }
    let name = field.ok_or("a part has no name")?.to_owned();
    Ok(Disposition { name, is_file })
}

/// The first parameter, and what follows it.
fn parameter(text: &str) -> Result<(&str, &str, &str), &'static str> {
    const WRONG: &str = "the content-disposition of a part is malformed";
    let (name, value) = text.split_once('=').ok_or(WRONG)?;
    let (name, is_quoted) = (name.trim_start(), value.starts_with('"'));
    let (value, rest) = match value.strip_prefix('"') {
        // Whether a backslash escapes the quote after it depends on the reader.
        Some(quoted) => match quoted.split_once('"').ok_or(WRONG)? {
            (value, _) if backslashes(value) % 2 == 1 => {
                return Err("a name in a part has a backslash before a quote: write %22 for it");
            }
            parts => parts,
        },
        None => {
            let end = value.find(';').unwrap_or(value.len());
            let (value, rest) = value.split_at(end);
            (value.trim_end(), rest)
        }
    };
    if !is_token(name) || !(is_quoted || is_token(value)) {
        return Err(WRONG);
    }
    let rest = rest.trim_start();
    match rest.strip_prefix(';') {
        Some(rest) => Ok((name, value, rest)),
        None if rest.is_empty() => Ok((name, value, "")),
        None => Err(WRONG),
    }
}

/// RFC 9110, section 5.6.2.
fn is_token(text: &str) -> bool {
    let is_part = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    !text.is_empty() && text.bytes().all(is_part)
}

/// Whether all readers take a name for the same: some undo escapes, encoded words (RFC 2047) or trim.
fn is_plain(name: &str) -> bool {
    !name.contains('\\') && !name.contains("=?") && name.trim() == name
}

/// How many it ends with.
fn backslashes(value: &str) -> usize {
    value.len() - value.trim_end_matches('\\').len()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn field(value: &str) -> Result<(String, bool), &'static str> {
        let line = format!("Content-Type: a/b\r\nContent-Disposition: {value}\r\n");
        read(line.as_bytes()).map(|found| (found.name, found.is_file))
    }

    #[test]
    fn names_are_read_as_clients_write_them() {
        for (value, name, is_file) in [
            ("form-data; name=\"model\"", "model", false),
            ("form-data; name=model", "model", false),
            ("form-data; name=\"file\"; filename=\"a;b=c.mp3\"", "file", true),
            ("Form-Data; FileName=a.mp3 ; Name=\"image[]\"", "image[]", true),
            ("form-data; name=\"file\"; filename*=utf-8''%C3%A9", "file", true),
            ("form-data; name=\"file\"; filename=\"C:\\\\x\\\\\"", "file", true),
        ] {
            assert_eq!(field(value), Ok((name.to_owned(), is_file)), "{value}");
        }
    }

    #[test]
    fn what_can_be_read_in_two_ways_is_refused() {
        for value in [
            "attachment; name=\"model\"",
            "form-data",
            "form-data; filename=\"x\"",
            "form-data; name=\"model\"; name=\"other\"",
            "form-data; filename=\"\\\"; name=\"model\"; x=\"",
            "form-data; name=\"model",
            "form-data; name=\"model\"junk",
            "form-data; name*=utf-8''model",
            "form-data; name*0=mo; name*1=del",
            "form-data; name=\"mod\\el\"",
            "form-data; name=\"=?utf-8?q?model?=\"",
            "form-data; name=\" model\"",
            "form-data; name= \"model\"",
            "form-data; name =\"model\"",
            "form-data; name=(x)model",
            "form-data; name=mod\"el\"",
            "form-data; name=",
            "form-data; name=\"\u{b}model\"",
            "form-data; filename=\"a\\\\\\\"; name=\"model\"; x=\"",
        ] {
            assert!(field(value).is_err(), "{value}");
        }
        for lines in [
            "",
            "Content-Disposition: form-data; name=a\r\nContent-Disposition: form-data; name=b\r\n",
            "Content-Disposition: form-data;\r\n name=\"a\"\r\n",
            "Content-Disposition: form-data; name=a\n\r\n",
            "Content-Disposition : form-data; name=a\r\n",
            "nothing\r\n",
            "Content-Disposition: form-data; name=a\r\nContent-Transfer-Encoding: base64\r\n",
        ] {
            assert!(read(lines.as_bytes()).is_err(), "{lines:?}");
        }
    }
}
