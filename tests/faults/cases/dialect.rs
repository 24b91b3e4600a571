//! The end of a stream in every dialect, of callers and of providers.

use super::{BROKEN, CUT, TEN_LETTERS, after_request};
use crate::{
    answer::{
        self, GEMINI, GEMINI_ERROR, MESSAGES, MESSAGES_ERROR, RESPONSES, RESPONSES_ERROR, ROLE,
        TOKEN,
    },
    caller::Caller,
    case::{Expect, Fault, fault},
    peer::{Peer, Step},
};

const GROUP: &str = "Dialects";

fn reset(bytes: Vec<u8>) -> Peer {
    Peer::Plain(vec![after_request(bytes, Step::Reset)])
}

fn broken(error: &'static str, output: u64) -> Expect {
    Expect::Broken { error, output }
}

pub fn faults() -> Vec<Fault> {
    let fault = |title, peer| fault(GROUP, title, peer);
    let failed = |error, reason| Expect::Failed { error, reason, tries: 2 };
    let cut = |error| Expect::Failed { error, reason: "closed", tries: 2 };
    vec![
        // Callers of other dialects on a provider of OpenAI's.
        fault("a chat's stream is reset after 1 token", |_| reset(answer::begun(&[ROLE, TOKEN])))
            .stream(broken("api_error", TEN_LETTERS))
            .between(Caller::Messages, "OpenAICompatible"),
        fault("a chat's stream is reset after 1 token", |_| reset(answer::begun(&[ROLE, TOKEN])))
            .stream(broken("upstream_incomplete", TEN_LETTERS))
            .between(Caller::Responses, "OpenAICompatible"),
        fault("a chat's stream is reset after 1 token", |_| reset(answer::begun(&[ROLE, TOKEN])))
            .stream(broken("UNAVAILABLE", TEN_LETTERS))
            .between(Caller::Gemini, "OpenAICompatible"),
        // Anthropic.
        fault("reset before content", |_| reset(answer::named(&MESSAGES[..2])))
            .stream(cut("502 api_error"))
            .between(Caller::Messages, "Anthropic"),
        fault("reset after 1 token", |_| reset(answer::named(&MESSAGES[..3])))
            .stream(broken("api_error", TEN_LETTERS))
            .between(Caller::Messages, "Anthropic")
            .reporting(10),
        fault("an error event before content", |_| {
            reset(answer::named(&[MESSAGES[0], MESSAGES_ERROR]))
        })
        .stream(failed("529 overloaded_error", "error_event_529"))
        .between(Caller::Messages, "Anthropic"),
        fault("an error event after 1 token", |_| {
            reset(answer::named(&[MESSAGES[0], MESSAGES[1], MESSAGES[2], MESSAGES_ERROR]))
        })
        .stream(broken("overloaded_error", TEN_LETTERS))
        .between(Caller::Messages, "Anthropic")
        .reporting(10),
        fault("an error event after 1 token", |_| {
            reset(answer::named(&[MESSAGES[0], MESSAGES[1], MESSAGES[2], MESSAGES_ERROR]))
        })
        .stream(broken("overloaded", TEN_LETTERS))
        .between(Caller::Chat, "Anthropic")
        .reporting(10),
        // Gemini.
        fault("reset after 1 token", |_| reset(answer::begun(&GEMINI[..1])))
            .stream(broken("UNAVAILABLE", TEN_LETTERS))
            .between(Caller::Gemini, "Gemini"),
        fault("an error event before content", |_| reset(answer::begun(&[GEMINI_ERROR])))
            .stream(failed("503 UNAVAILABLE", "error_event_503"))
            .between(Caller::Gemini, "Gemini"),
        fault("an error event after 1 token", |_| reset(answer::begun(&[GEMINI[0], GEMINI_ERROR])))
            .stream(broken("UNAVAILABLE", TEN_LETTERS))
            .between(Caller::Gemini, "Gemini"),
        // OpenAI's Responses.
        fault("reset before content", |_| reset(answer::named(&RESPONSES[..3])))
            .stream(CUT)
            .between(Caller::Responses, "OpenAI"),
        fault("reset after 1 token", |_| reset(answer::named(&RESPONSES[..4])))
            .stream(BROKEN)
            .between(Caller::Responses, "OpenAI"),
        fault("a failure before content", |_| {
            reset(answer::named(&[RESPONSES[0], RESPONSES_ERROR]))
        })
        .stream(failed("502 server_error", "error_event_502"))
        .between(Caller::Responses, "OpenAI"),
        fault("a failure after 1 token", |_| {
            let [a, b, c, d, ..] = RESPONSES;
            reset(answer::named(&[a, b, c, d, RESPONSES_ERROR]))
        })
        .stream(broken("server_error", TEN_LETTERS))
        .between(Caller::Responses, "OpenAI"),
    ]
}
