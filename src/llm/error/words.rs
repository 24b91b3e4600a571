//! Says in words of JSON what is wrong with a request, where the parser names types of this program.

/// The parser's message without the names of types.
pub fn in_words(error: &serde_json::Error) -> String {
    let text = error.to_string();
    // Where the caller's own text stands in the message, it stands before this.
    let Some((before, after)) = text.rsplit_once("expected ") else { return text };
    let at = after.rfind(" at line ").unwrap_or(after.len());
    let (what, place) = after.split_at(at);
    let bits = what.strip_prefix(['u', 'i', 'f']).unwrap_or_default();
    let is_number = matches!(bits, "8" | "16" | "32" | "64" | "128" | "size");
    let named = ["struct ", "tuple struct ", "newtype struct ", "enum ", "internally tagged enum "];
    let what = match what {
        what if named.iter().any(|prefix| what.starts_with(prefix)) => "an object",
        what if is_number && what.starts_with('f') => "a number",
        _ if is_number => "a whole number",
        "a sequence" => "a list",
        what => what,
    };
    format!("{before}expected {what}{place}")
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;

    #[derive(Debug, Default, Deserialize)]
    #[serde(default)]
    struct Inner {
        _count: u64,
        _list: Vec<f64>,
    }

    #[test]
    fn no_type_of_this_program_is_named() {
        for (json, expected) in [
            (
                "\"expected u64\"",
                "invalid type: string \"expected u64\", expected an object at line 1 column 14",
            ),
            (
                r#"{"_count": "1"}"#,
                "invalid type: string \"1\", expected a whole number at line 1 column 14",
            ),
            (
                r#"{"_list": ["1"]}"#,
                "invalid type: string \"1\", expected a number at line 1 column 14",
            ),
            (r#"{"_list": {}}"#, "invalid type: map, expected a list at line 1 column 10"),
            ("{", "EOF while parsing an object at line 1 column 1"),
        ] {
            let error = serde_json::from_str::<Inner>(json).unwrap_err();
            assert_eq!(in_words(&error), expected);
        }
    }
}
