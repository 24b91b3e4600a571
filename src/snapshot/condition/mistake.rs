//! What is wrong with an expression, and where.

use cel::ParseErrors;

/// A mistake with its place.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{line}:{column}: {message}")]
pub struct Mistake {
    /// Line of the expression, from 1.
    pub line: usize,
    /// Character of the line, from 1.
    pub column: usize,
    /// What is wrong, and what to do.
    pub message: String,
    /// The line, and below it a caret under the place.
    pub excerpt: String,
}

impl Mistake {
    /// A mistake at a byte of the expression, counted from 0.
    pub(super) fn at(text: &str, offset: usize, message: impl Into<String>) -> Self {
        let before = text.char_indices().take_while(|(at, _)| *at < offset);
        let (mut line, mut column) = (1, 1);
        for (_, character) in before {
            match character {
                '\n' => (line, column) = (line + 1, 1),
                _ => column += 1,
            }
        }
        Self::on(text, (line, column), message.into())
    }

    fn on(text: &str, (line, column): (usize, usize), message: String) -> Self {
        let written = text.lines().nth(line.saturating_sub(1)).unwrap_or_default();
        let caret = " ".repeat(column.saturating_sub(1));
        Self { line, column, message, excerpt: format!("{written}\n{caret}^") }
    }
}

/// The first mistake that the parser found.
pub(super) fn syntax(text: &str, errors: &ParseErrors) -> Mistake {
    let Some(error) = errors.errors.first() else {
        return Mistake::at(text, 0, "is no CEL expression");
    };
    let (line, column) = error.pos;
    let place = (usize::try_from(line).unwrap_or(1).max(1), usize::try_from(column).unwrap_or(1));
    // The parser's own words name a file that does not exist.
    let message = error.msg.trim_start_matches("Syntax error: ");
    Mistake::on(text, (place.0, place.1.max(1)), format!("is no CEL expression: {message}"))
}
