//! The words of the Mock provider: a fixed story around a digest of what was asked, cut into tokens.

use std::fmt::Write as _;

use sha2::{Digest as _, Sha256};

/// Bytes of one token of JSON, which has few spaces to cut at.
const JSON_TOKEN_BYTES: usize = 4;

const STORY: &str = "A message came down the river and met a gate. The gate asked who had sent it, looked \
    up the name, and counted what the journey might cost. Then it opened, a little at a time, so that \
    the water below stayed calm. On the far bank stood a mill that knew one story only, and told it \
    to every message alike, word by word, never faster than the wheel would turn.";

/// The first 12 hex digits of a SHA-256 over a text and the number of the choice.
pub fn digest(text: &str, choice: u32) -> String {
    let mut hasher = Sha256::new();
    hasher.update(text.as_bytes());
    hasher.update(choice.to_be_bytes());
    let mut hex = String::with_capacity(12);
    for byte in hasher.finalize().iter().take(6) {
        // Writing to a String cannot fail.
        let _ = write!(hex, "{byte:02x}");
    }
    hex
}

/// The answer to a text.
pub fn tell(text: &str, choice: u32) -> String {
    format!("Your message has the digest {}. {STORY}", digest(text, choice))
}

/// Cuts a text behind each run of white space: a token is a word.
pub fn words(text: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut start = 0;
    let mut in_space = false;
    for (at, letter) in text.char_indices() {
        if in_space && !letter.is_whitespace() {
            words.push(text[start..at].to_owned());
            start = at;
        }
        in_space = letter.is_whitespace();
    }
    if start < text.len() {
        words.push(text[start..].to_owned());
    }
    words
}

/// Cuts JSON into tokens of at least four bytes, never inside a character.
pub fn fragments(json: &str) -> Vec<String> {
    let mut fragments = Vec::new();
    let mut fragment = String::new();
    for letter in json.chars() {
        fragment.push(letter);
        if fragment.len() >= JSON_TOKEN_BYTES {
            fragments.push(std::mem::take(&mut fragment));
        }
    }
    if !fragment.is_empty() {
        fragments.push(fragment);
    }
    fragments
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_join_to_the_text_again() {
        for text in ["", " ", "a", " two  words\nand more ", "überall ein wörtchen"] {
            assert_eq!(words(text).concat(), text);
            assert_eq!(fragments(text).concat(), text);
        }
        assert_eq!(words("one two three").len(), 3);
    }

    #[test]
    fn another_message_or_choice_has_another_digest() {
        assert_eq!(digest("a", 0), digest("a", 0));
        assert_ne!(digest("a", 0), digest("b", 0));
        assert_ne!(digest("a", 0), digest("a", 1));
    }
}
