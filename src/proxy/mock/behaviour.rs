//! What the model's name asks the Mock provider to do. The grammar is documented for users in
//! `docs/mock.md`; this file owns it.

use std::time::Duration;

use http::StatusCode;

use super::Fault;
use crate::llm::{ApiError, ErrorKind};

/// The names that a user may write, as an error message lists them.
pub const NAMES: [&str; 15] = [
    "mock",
    "mock-fast",
    "mock-slow",
    "mock-echo",
    "mock-error-<status>",
    "mock-rate-limit",
    "mock-refuse",
    "mock-reset",
    "mock-stall",
    "mock-stall-after-<n>",
    "mock-cut-after-<n>",
    "mock-error-after-<n>",
    "mock-empty",
    "mock-no-usage",
    "mock-truncate",
];

/// The names in the models list, each usable as it stands.
pub const EXAMPLES: [&str; 15] = [
    "mock",
    "mock-fast",
    "mock-slow",
    "mock-echo",
    "mock-error-500",
    "mock-rate-limit",
    "mock-refuse",
    "mock-reset",
    "mock-stall",
    "mock-stall-after-3",
    "mock-cut-after-3",
    "mock-error-after-3",
    "mock-empty",
    "mock-no-usage",
    "mock-truncate",
];

/// No answer at all.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// The connection fails.
    Connection(Fault),
    /// The answer is an error of this status.
    Status(StatusCode),
}

/// How an answer ends that does not end well.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// Silence on an open connection.
    Stall,
    /// The connection breaks.
    Cut,
    /// An error event, then the end.
    Error,
}

/// How one model behaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Behaviour {
    /// From the request to the first token.
    pub first_token: Duration,
    /// From one token to the next.
    pub interval: Duration,
    /// No answer at all.
    pub refusal: Option<Refusal>,
    /// A bad end, after so many content chunks; 0 is before anything of the body.
    pub ending: Option<(Ending, usize)>,
    /// No token and no finish reason.
    pub empty: bool,
    /// Usage is never reported.
    pub without_usage: bool,
    /// The terminator (or the second half of a whole answer) is left out.
    pub truncate: bool,
    /// The last user message is the answer.
    pub echo: bool,
}

impl Default for Behaviour {
    fn default() -> Self {
        Self {
            first_token: Duration::from_millis(200),
            interval: Duration::from_millis(20),
            refusal: None,
            ending: None,
            empty: false,
            without_usage: false,
            truncate: false,
            echo: false,
        }
    }
}

impl Behaviour {
    /// The behaviour of a model; `None` if its name begins with `mock-` and is not understood. Names
    /// of other models, which a route may present, behave like `mock`.
    pub fn of_model(model: &str) -> Option<Self> {
        let mut behaviour = Self::default();
        let Some(suffixes) = model.strip_prefix("mock-") else { return Some(behaviour) };
        let words: Vec<&str> = suffixes.split('-').collect();
        let mut rest = words.as_slice();
        while !rest.is_empty() {
            rest = behaviour.take_suffix(rest)?;
        }
        Some(behaviour)
    }

    /// Applies the suffix at the front and returns the words behind it.
    fn take_suffix<'a, 'w>(&mut self, words: &'a [&'w str]) -> Option<&'a [&'w str]> {
        match words {
            ["fast", rest @ ..] => {
                (self.first_token, self.interval) = (Duration::ZERO, Duration::ZERO);
                Some(rest)
            }
            ["slow", rest @ ..] => {
                (self.first_token, self.interval) =
                    (Duration::from_secs(2), Duration::from_millis(200));
                Some(rest)
            }
            ["echo", rest @ ..] => set(&mut self.echo, rest),
            ["empty", rest @ ..] => set(&mut self.empty, rest),
            ["truncate", rest @ ..] => set(&mut self.truncate, rest),
            ["no", "usage", rest @ ..] => set(&mut self.without_usage, rest),
            ["stall", "after", n, rest @ ..] => self.end(Ending::Stall, n, rest),
            ["cut", "after", n, rest @ ..] => self.end(Ending::Cut, n, rest),
            ["error", "after", n, rest @ ..] => self.end(Ending::Error, n, rest),
            ["stall", rest @ ..] => self.end(Ending::Stall, "0", rest),
            ["refuse", rest @ ..] => self.refuse(Refusal::Connection(Fault::Refused), rest),
            ["reset", rest @ ..] => self.refuse(Refusal::Connection(Fault::Reset), rest),
            ["rate", "limit", rest @ ..] => {
                self.refuse(Refusal::Status(StatusCode::TOO_MANY_REQUESTS), rest)
            }
            ["error", status, rest @ ..] => {
                let status = status.parse().ok().filter(|status| (400..600).contains(status))?;
                self.refuse(Refusal::Status(StatusCode::from_u16(status).ok()?), rest)
            }
            _ => None,
        }
    }

    fn end<'r, T>(&mut self, ending: Ending, after: &str, rest: &'r [T]) -> Option<&'r [T]> {
        self.ending = Some((ending, after.parse().ok()?));
        Some(rest)
    }

    fn refuse<'r, T>(&mut self, refusal: Refusal, rest: &'r [T]) -> Option<&'r [T]> {
        self.refusal = Some(refusal);
        Some(rest)
    }

    /// Whether an error is put into the stream; a whole answer can only fail as a whole.
    pub fn fails_inside_stream(&self) -> bool {
        matches!(self.ending, Some((Ending::Error, _)))
    }

    /// How long a whole answer of so many tokens takes. One that stalls shows its head at once.
    pub fn whole_delay(&self, tokens: u64) -> Duration {
        if matches!(self.ending, Some((Ending::Stall, _))) {
            return Duration::ZERO;
        }
        let tokens = u32::try_from(tokens).unwrap_or(u32::MAX);
        self.first_token + self.interval.saturating_mul(tokens)
    }
}

fn set<'r, T>(flag: &mut bool, rest: &'r [T]) -> Option<&'r [T]> {
    *flag = true;
    Some(rest)
}

/// The error of a model that fails with a status.
pub fn status_error(status: StatusCode) -> ApiError {
    let kind = ErrorKind::from_status(status);
    let message = format!("the mock provider was told by the model's name to answer {status}");
    ApiError::new(status, kind, kind.default_code(), message)
}

/// The error of a model that fails inside its stream.
pub fn stream_error(status: StatusCode) -> ApiError {
    let message = "the mock provider was told by the model's name to fail inside the stream";
    ApiError::new(status, ErrorKind::Upstream, "mock_error", message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_listed_example_is_understood() {
        for name in EXAMPLES {
            assert!(Behaviour::of_model(name).is_some(), "{name}");
        }
    }

    #[test]
    fn a_model_presented_under_another_name_behaves_like_mock() {
        assert_eq!(Behaviour::of_model("gpt-5-mini"), Some(Behaviour::default()));
        assert_eq!(Behaviour::of_model("mock"), Some(Behaviour::default()));
        assert_eq!(Behaviour::of_model("mocking"), Some(Behaviour::default()));
    }

    #[test]
    fn suffixes_compose_in_any_order() {
        let one = Behaviour::of_model("mock-fast-echo-cut-after-3-no-usage").unwrap();
        let other = Behaviour::of_model("mock-no-usage-cut-after-3-echo-fast").unwrap();
        assert_eq!(one, other);
        assert_eq!(one.ending, Some((Ending::Cut, 3)));
        assert!(one.echo && one.without_usage && one.interval.is_zero());
    }

    #[test]
    fn an_unknown_or_broken_suffix_is_no_behaviour() {
        let unknown = [
            "mock-",
            "mock-x",
            "mock-error",
            "mock-error-200",
            "mock-cut-after",
            "mock-cut-after-x",
        ];
        for name in unknown {
            assert_eq!(Behaviour::of_model(name), None, "{name}");
        }
    }
}
