//! What a fault is, and the row that is expected of it.

use crate::{caller::Caller, peer::Peer};

/// How the answer is asked for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Form {
    Whole,
    Stream,
}

impl Form {
    pub const ALL: [Self; 2] = [Self::Whole, Self::Stream];

    pub fn word(self) -> &'static str {
        match self {
            Self::Whole => "whole",
            Self::Stream => "stream",
        }
    }
}

/// What becomes of a request, as it was found or as it is expected.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Row {
    /// Status and code, or how the stream ended.
    pub caller: String,
    /// Target and reason of every try.
    pub tries: String,
    /// Tokens read and written.
    pub charged: String,
    /// The record's outcome.
    pub outcome: String,
}

/// What is expected of one form of a fault.
#[derive(Clone, Copy, Debug)]
pub enum Expect {
    /// Nobody notices.
    Unharmed,
    /// The first try fails; the next, at the same target if it is the only one, does not.
    Recovered { reason: &'static str },
    /// No content had come: another target answers. Without one the caller gets `error` after
    /// `tries` for this `reason`.
    Failed { error: &'static str, reason: &'static str, tries: usize },
    /// The caller's own mistake: no other target is asked.
    Refused { error: &'static str, reason: &'static str },
    /// Content had come: the stream ends with this error, and so many tokens are charged.
    Broken { error: &'static str, output: u64 },
}

/// What becomes of a connection after its first request.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Warm {
    /// It is open when the next request comes.
    Open,
    /// It has been closed before.
    Closed,
}

/// One fault.
pub struct Fault {
    /// Heading in the document.
    pub group: &'static str,
    /// The fault in words.
    pub title: &'static str,
    /// Who plays it.
    pub peer: fn(Form) -> Peer,
    /// `None`: does not exist in this form.
    pub whole: Option<Expect>,
    pub stream: Option<Expect>,
    /// Who asks, in which dialect the provider answers.
    pub caller: Caller,
    pub provider: &'static str,
    /// Tokens of the request that the provider reports before it breaks; else they are estimated.
    pub reported: Option<u64>,
    /// The request is so large that it cannot hide in buffers.
    pub large: bool,
    /// The connection has served one request before.
    pub warm: Option<Warm>,
    /// Time limits are short.
    pub hasty: bool,
}

/// A fault of a provider that speaks OpenAI's chat completions.
pub fn fault(group: &'static str, title: &'static str, peer: fn(Form) -> Peer) -> Fault {
    Fault {
        group,
        title,
        peer,
        whole: None,
        stream: None,
        caller: Caller::Chat,
        provider: "OpenAICompatible",
        reported: None,
        large: false,
        warm: None,
        hasty: false,
    }
}

impl Fault {
    pub fn whole(self, expect: Expect) -> Self {
        Self { whole: Some(expect), ..self }
    }

    pub fn stream(self, expect: Expect) -> Self {
        Self { stream: Some(expect), ..self }
    }

    pub fn both(self, expect: Expect) -> Self {
        self.whole(expect).stream(expect)
    }

    pub fn large(self) -> Self {
        Self { large: true, ..self }
    }

    pub fn warm(self, warm: Warm) -> Self {
        Self { warm: Some(warm), ..self }
    }

    pub fn reporting(self, input: u64) -> Self {
        Self { reported: Some(input), ..self }
    }

    pub fn hasty(self) -> Self {
        Self { hasty: true, ..self }
    }

    pub fn between(self, caller: Caller, provider: &'static str) -> Self {
        Self { caller, provider, ..self }
    }

    pub fn expect(&self, form: Form) -> Option<Expect> {
        match form {
            Form::Whole => self.whole,
            Form::Stream => self.stream,
        }
    }
}

/// Tokens of a good answer as its provider reports them.
const REPORTED: &str = "10 + 20";

impl Expect {
    /// The row; `input`: the estimate of the request's tokens, `paired`: there is a second target.
    pub fn row(self, form: Form, input: u64, paired: bool) -> Row {
        let complete = match form {
            Form::Whole => "200",
            Form::Stream => "200, to its end",
        };
        let row = |caller: &str, tries: String, charged: String, outcome: &str| Row {
            caller: caller.to_owned(),
            tries,
            charged,
            outcome: outcome.to_owned(),
        };
        match self {
            Self::Unharmed => row(complete, "first ok".into(), REPORTED.into(), "complete"),
            Self::Recovered { reason } if !paired => {
                let tries = format!("first {reason}, first ok");
                row(complete, tries, REPORTED.into(), "complete")
            }
            Self::Failed { reason, .. } | Self::Recovered { reason } if paired => {
                let tries = format!("first {reason}, second ok");
                row(complete, tries, REPORTED.into(), "complete")
            }
            Self::Recovered { .. } => Row::default(),
            Self::Failed { error, reason, tries } => {
                let tries = vec![format!("first {reason}"); tries].join(", ");
                row(error, tries, "0 + 0".into(), "failed")
            }
            Self::Refused { error, reason } => {
                row(error, format!("first {reason}"), "0 + 0".into(), "failed")
            }
            Self::Broken { error, output } => row(
                &format!("200, then {error}"),
                "first ok".into(),
                format!("{input} + {output}, estimated"),
                "incomplete",
            ),
        }
    }
}
