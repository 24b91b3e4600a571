//! Tokenizers by family of models. Counting takes time in proportion to the text, and the first use
//! of a family loads its vocabulary (about 0.1 s): call it on no thread that serves connections.

use crate::llm::usage::estimate_tokens;

/// Longest piece that is cut into tokens at once, in bytes. The time for a piece without any word
/// boundary grows faster than its length.
const MAX_PIECE: usize = 4 << 10;

/// Counts the tokens of a text.
pub trait Tokenizer: Sync {
    /// Tokens of a text of any length.
    fn count(&self, text: &str) -> u64;
}

/// The tokenizer of a model's family. Families whose vocabulary is not public get the estimate by
/// length ([`estimate_tokens`]).
pub fn of_model(model: &str) -> &'static dyn Tokenizer {
    const O200K: &[&str] =
        &["gpt-4o", "gpt-4.1", "gpt-4.5", "gpt-5", "gpt-oss", "chatgpt-4o", "o1", "o3", "o4"];
    const CL100K: &[&str] = &["gpt-4", "gpt-3.5", "gpt-35", "text-embedding-"];
    let name = model.rsplit('/').next().unwrap_or(model);
    let is_of = |family: &[&str]| family.iter().any(|prefix| name.starts_with(prefix));
    if is_of(O200K) {
        &Encoding("o200k_base")
    } else if is_of(CL100K) {
        &Encoding("cl100k_base")
    } else {
        &ByLength
    }
}

/// The number of bytes divided by 3.
struct ByLength;

impl Tokenizer for ByLength {
    fn count(&self, text: &str) -> u64 {
        estimate_tokens(text.len())
    }
}

/// OpenAI's byte pair encodings, by name.
struct Encoding(&'static str);

impl Tokenizer for Encoding {
    fn count(&self, text: &str) -> u64 {
        let Some(encoding) = tiktoken::get_encoding(self.0) else { return ByLength.count(text) };
        pieces(text).map(|piece| u64::try_from(encoding.count(piece)).unwrap_or(u64::MAX)).sum()
    }
}

/// A text in pieces of at most [`MAX_PIECE`] bytes, cut before white space where there is some: that is
/// where tokens are cut, too.
fn pieces(mut text: &str) -> impl Iterator<Item = &str> {
    std::iter::from_fn(move || {
        if text.is_empty() {
            return None;
        }
        let end = match text.len() {
            0..=MAX_PIECE => text.len(),
            _ => {
                let end = (1..=MAX_PIECE).rev().find(|end| text.is_char_boundary(*end))?;
                let space = text.get(..end)?.rfind(char::is_whitespace);
                space.filter(|space| *space > MAX_PIECE / 2).unwrap_or(end)
            }
        };
        let (piece, rest) = text.split_at_checked(end)?;
        text = rest;
        Some(piece)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As OpenAI's own tokenizer counts them.
    #[test]
    fn each_family_counts_in_its_own_way() {
        for (model, text, tokens) in [
            ("gpt-4o-mini", "The quick brown fox jumps over the lazy dog.", 10),
            ("openai/gpt-5.1", "hello world", 2),
            ("gpt-4", "hello world", 2),
            ("gpt-4o", "", 0),
            ("claude-sonnet-5", "hello world", 4),
        ] {
            assert_eq!(of_model(model).count(text), tokens, "{model} {text}");
        }
    }

    #[test]
    fn pieces_make_up_the_text_and_are_bounded() {
        for text in ["é".repeat(9000), "word ".repeat(5000), "a".repeat(MAX_PIECE + 1)] {
            let pieces: Vec<&str> = pieces(&text).collect();
            assert!(pieces.iter().all(|piece| !piece.is_empty() && piece.len() <= MAX_PIECE));
            assert_eq!(pieces.concat(), text);
        }
    }

    #[test]
    fn cutting_at_words_changes_no_count() {
        let text = "Some words, and more of them.\n".repeat(400);
        let whole = tiktoken::get_encoding("o200k_base").unwrap().count(&text);
        let pieced = of_model("gpt-4o").count(&text);
        assert!(pieced.abs_diff(whole as u64) <= pieces(&text).count() as u64, "{pieced} {whole}");
    }
}
