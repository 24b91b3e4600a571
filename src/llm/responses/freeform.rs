//! A freeform tool's text inside the JSON arguments of the function that it became: taken out piece
//! by piece while they stream, and put back.

use serde_json::Value;

use super::tool::FREEFORM_ARGUMENT;

/// The arguments that carry a text.
pub fn wrap(text: &str) -> String {
    format!("{{\"{FREEFORM_ARGUMENT}\":{}}}", Value::from(text))
}

/// The text that whole arguments carry; what is not of that form is a text itself.
pub fn unwrap(arguments: &str) -> String {
    match serde_json::from_str::<Value>(arguments) {
        Ok(Value::Object(mut object)) => match object.remove(FREEFORM_ARGUMENT) {
            Some(Value::String(text)) => text,
            _ if object.is_empty() => String::new(),
            _ => arguments.to_owned(),
        },
        _ => arguments.to_owned(),
    }
}

/// Takes the text out of arguments that come in pieces, cut anywhere.
#[derive(Debug, Default)]
pub struct Unwrapper {
    state: State,
    /// The name of the member so far, or the digits of an escape.
    pending: String,
    /// The first half of a surrogate pair.
    high: Option<u16>,
}

#[derive(Debug, Default, Clone, Copy, PartialEq)]
enum State {
    /// Before the member's name.
    #[default]
    Before,
    /// In the member's name.
    Name,
    /// Between the name and the text.
    Colon,
    /// In the text.
    Text,
    /// After a backslash.
    Escape,
    /// In the digits of `\u`.
    Unicode,
    /// The text is over, or the arguments have another form.
    Over,
}

impl Unwrapper {
    /// The text in the next piece of arguments.
    pub fn push(&mut self, json: &str) -> String {
        let mut text = String::new();
        for c in json.chars() {
            self.step(c, &mut text);
        }
        text
    }

    fn step(&mut self, c: char, text: &mut String) {
        self.state = match (self.state, c) {
            (State::Before, '"') => State::Name,
            (State::Before, '{' | ' ' | '\n' | '\r' | '\t') => State::Before,
            (State::Name, '"') if self.pending == FREEFORM_ARGUMENT => {
                self.pending.clear();
                State::Colon
            }
            (State::Name, c) if self.pending.len() < FREEFORM_ARGUMENT.len() => {
                self.pending.push(c);
                State::Name
            }
            (State::Colon, '"') => State::Text,
            (State::Colon, ':' | ' ' | '\n' | '\r' | '\t') => State::Colon,
            (State::Text, '"') => State::Over,
            (State::Text, '\\') => State::Escape,
            (State::Text, c) => {
                text.push(c);
                State::Text
            }
            (State::Escape, 'u') => State::Unicode,
            (State::Escape, c) => {
                text.push(escaped(c));
                State::Text
            }
            (State::Unicode, c) => self.unicode(c, text),
            _ => State::Over,
        };
    }

    fn unicode(&mut self, digit: char, text: &mut String) -> State {
        self.pending.push(digit);
        if self.pending.len() < 4 {
            return State::Unicode;
        }
        let Ok(unit) = u16::from_str_radix(&self.pending, 16) else { return State::Over };
        self.pending.clear();
        match self.high.take() {
            Some(high) => text.extend(decode(&[high, unit])),
            None if (0xD800..0xDC00).contains(&unit) => self.high = Some(unit),
            None => text.extend(decode(&[unit])),
        }
        State::Text
    }
}

fn decode(units: &[u16]) -> impl Iterator<Item = char> {
    char::decode_utf16(units.iter().copied()).map(|c| c.unwrap_or(char::REPLACEMENT_CHARACTER))
}

fn escaped(c: char) -> char {
    match c {
        'n' => '\n',
        'r' => '\r',
        't' => '\t',
        'b' => '\u{8}',
        'f' => '\u{c}',
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_taken_out_whatever_the_cuts() {
        let text = "*** Begin\n\"q\" \\ é 🦀 \t\u{1}";
        let escaped = r#" { "input" : "a\u00e9\ud83e\udd80\/\b" } "#;
        for (arguments, text) in [(wrap(text), text), (escaped.to_owned(), "aé🦀/\u{8}")] {
            assert_eq!(unwrap(&arguments), text);
            let cuts: Vec<usize> = arguments.char_indices().map(|(at, _)| at).collect();
            for cut in cuts {
                let (head, tail) = arguments.split_at(cut);
                let mut unwrapper = Unwrapper::default();
                let taken = unwrapper.push(head) + &unwrapper.push(tail);
                assert_eq!(taken, text, "{arguments} cut at {cut}");
            }
        }
    }

    #[test]
    fn arguments_of_another_form_are_the_text_themselves() {
        assert_eq!(unwrap("SELECT 1"), "SELECT 1");
        assert_eq!(unwrap(r#"{"query":"x"}"#), r#"{"query":"x"}"#);
        assert_eq!(unwrap("{}"), "");
        for other in ["SELECT 1", r#"{"query":"x"}"#, r#"{"input":7}"#, r#"{"inputs":"x"}"#] {
            assert_eq!(Unwrapper::default().push(other), "", "{other}");
        }
    }
}
