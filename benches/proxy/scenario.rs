//! The scenarios: what is sent, in which shape, what the mock is told, which targets take part.
//! Data only; it must not run anything.

use std::sync::Arc;
use std::time::Duration;

use crate::client;
use crate::load::{Plan, Shape};
use crate::target::manifests::{OTHER_DIALECT_MODEL, SAME_DIALECT_MODEL};
use crate::target::{Name, Target};

/// A load that every target gets alike.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Scenario {
    /// 0.5 kB chat completions at 300 a second.
    ChatAtRate,
    /// 0.5 kB chat completions on 64 connections, as many as go.
    ChatSaturated,
    /// 100 kB prompts, as many as go.
    LongPrompt,
    /// Streams whose chunks come 20 ms apart.
    PacedStream,
    /// Streams whose chunks come all at once.
    BurstStream,
    /// As `ChatSaturated`, to a provider of the other dialect.
    TranslatedChat,
    /// As `PacedStream`, to a provider of the other dialect.
    TranslatedStream,
}

/// Requests a second of `ChatAtRate`.
pub const RATE: u32 = 300;
/// Connections of the saturated scenarios.
pub const SATURATION: usize = 64;
/// Time between chunks of a paced stream.
pub const PACE: Duration = Duration::from_millis(20);

impl Scenario {
    /// All, in the order of a round.
    pub const ALL: [Self; 7] = [
        Self::ChatAtRate,
        Self::ChatSaturated,
        Self::LongPrompt,
        Self::PacedStream,
        Self::BurstStream,
        Self::TranslatedChat,
        Self::TranslatedStream,
    ];

    /// Whether this target takes part.
    pub fn includes(self, name: Name) -> bool {
        match self {
            Self::ChatAtRate | Self::ChatSaturated => true,
            Self::LongPrompt | Self::PacedStream | Self::BurstStream => name != Name::Direct,
            // Only Sluice translates.
            Self::TranslatedChat | Self::TranslatedStream => name == Name::SluiceQuiet,
        }
    }

    /// What to tell the mock before the scenario.
    pub fn control(self, quick: bool) -> String {
        let (chunks, delay) = (self.units(quick), self.delay().as_micros());
        format!("/ctl?chunks={chunks}&delay_us={delay}&size=500")
    }

    /// Measured units in one answer: 1 for a whole answer, the content chunks of a stream.
    pub fn units(self, quick: bool) -> u32 {
        match self {
            Self::PacedStream | Self::TranslatedStream if quick => 25,
            Self::PacedStream | Self::TranslatedStream => 100,
            Self::BurstStream => 200,
            _ => 1,
        }
    }

    fn delay(self) -> Duration {
        match self {
            Self::PacedStream | Self::TranslatedStream => PACE,
            _ => Duration::ZERO,
        }
    }

    /// The load on one target.
    pub fn plan(self, target: &Target, quick: bool) -> Plan {
        let length = |millis| Duration::from_millis(if quick { millis / 4 } else { millis });
        let (connections, shape) = match self {
            Self::ChatAtRate => (16, Shape::Rate(RATE, length(2_000))),
            Self::ChatSaturated => (SATURATION, Shape::Closed(length(1_200))),
            Self::TranslatedChat => (SATURATION, Shape::Closed(length(1_200))),
            Self::LongPrompt => (8, Shape::Closed(length(1_200))),
            Self::BurstStream => (16, Shape::Closed(length(1_000))),
            // An odd step spreads the streams over all phases of the pace.
            Self::PacedStream | Self::TranslatedStream => {
                (100, Shape::Once(Duration::from_micros(1_700)))
            }
        };
        let model = match self {
            Self::TranslatedChat | Self::TranslatedStream => OTHER_DIALECT_MODEL,
            _ => SAME_DIALECT_MODEL,
        };
        let request = match self {
            Self::LongPrompt => chat(model, 50, 2_000, false),
            Self::PacedStream | Self::BurstStream | Self::TranslatedStream => {
                chat(model, 1, SHORT_PROMPT, true)
            }
            _ => chat(model, 1, SHORT_PROMPT, false),
        };
        Plan {
            address: target.address,
            pid: target.pid,
            warm: chat(model, 1, SHORT_PROMPT, false),
            request,
            connections,
            shape,
        }
    }
}

/// Bytes of the user's message that make a request body of 0.5 kB.
const SHORT_PROMPT: usize = 380;

/// A streamed chat completion, for the streams that are held open.
pub fn stream_request() -> Arc<[u8]> {
    chat(SAME_DIALECT_MODEL, 1, SHORT_PROMPT, true)
}

/// A whole chat completion, to check a target.
pub fn check_request() -> Arc<[u8]> {
    chat(SAME_DIALECT_MODEL, 1, SHORT_PROMPT, false)
}

/// A chat completion with so many messages of so many bytes each.
fn chat(model: &str, messages: usize, length: usize, stream: bool) -> Arc<[u8]> {
    const WORDS: &str = r"Summarise the minutes of the meeting in five points.\n";
    let text = WORDS.repeat(length / WORDS.len());
    let turns: Vec<String> = (0..messages)
        .map(|turn| {
            let role = if turn % 2 == 0 { "user" } else { "assistant" };
            format!(r#"{{"role":"{role}","content":"{text}"}}"#)
        })
        .collect();
    let turns = turns.join(",");
    let options = format!(r#""temperature":0.7,"max_tokens":64,"stream":{stream}"#);
    let body = format!(r#"{{"model":"{model}","messages":[{turns}],{options}}}"#);
    client::post("/v1/chat/completions", &body).into()
}
