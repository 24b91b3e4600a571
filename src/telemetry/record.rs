//! The access record: one for each request, written when it ends. Holds no content
//! and no credential.

use std::{borrow::Cow, fmt::Write as _, sync::Arc, time::Duration};

use jiff::Timestamp;
use serde::Serialize;

use crate::{budget::NanoUsd, llm::Usage};

/// Characters of others' words that errors and records repeat.
const MAX_REPEATED: usize = 256;

/// How a request ended.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub enum Outcome {
    /// The caller got the whole answer.
    Complete,
    /// A stream broke after content had been delivered.
    Incomplete,
    /// The caller left before the end.
    #[default]
    ClientGone,
    /// The gateway refused the request.
    Refused,
    /// No provider gave an answer.
    Failed,
}

impl Outcome {
    /// The word used in records and metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Complete => "complete",
            Self::Incomplete => "incomplete",
            Self::ClientGone => "client_gone",
            Self::Refused => "refused",
            Self::Failed => "failed",
        }
    }
}

/// One try upstream.
#[derive(Clone, Debug)]
pub struct AttemptRecord {
    /// Name of the target.
    pub target: Arc<str>,
    /// Stable word for how it went: `ok`, `connect`, `first_token_timeout`, `http_503`, ...
    pub reason: std::borrow::Cow<'static, str>,
    /// How long it took to know.
    pub duration: Duration,
}

/// What is known of a request when it ends. Empty texts stand for what never came to be known.
#[derive(Clone, Debug, Default)]
pub struct Record {
    /// `x-request-id`.
    pub request_id: Arc<str>,
    /// `namespace/name` of the AIRoute.
    pub route: String,
    /// Name of the rule.
    pub rule: Arc<str>,
    /// Rules whose condition could not be evaluated, with the reason.
    pub rule_errors: String,
    /// Name of the target that answered.
    pub target: Arc<str>,
    /// `namespace/name` of its AIProvider.
    pub provider: String,
    /// The model as the caller named it.
    pub model_asked: String,
    /// The model that the provider was asked for, or names itself.
    pub model_served: String,
    /// `namespace/name` of the API key's Secret.
    pub consumer: String,
    /// `sluice.dev/team`.
    pub team: Arc<str>,
    /// `sluice.dev/app`.
    pub app: Arc<str>,
    /// The end user that the caller names.
    pub user: String,
    /// Path of the endpoint; of a direct call the part that its grant names.
    pub endpoint: Cow<'static, str>,
    /// HTTP status sent.
    pub status: u16,
    /// Code of the error sent, in the head or in the stream.
    pub error: String,
    /// Whether a stream was asked for.
    pub stream: bool,
    /// Every try, in order.
    pub attempts: Vec<AttemptRecord>,
    /// Why a failure was final that would have been tried again: `retry_budget`.
    pub not_retried: &'static str,
    /// Whether a second try ran beside the first.
    pub hedged: bool,
    /// From the request's arrival to its first content.
    pub first_token: Option<Duration>,
    /// From the request's arrival to its end.
    pub duration: Duration,
    /// Tokens charged.
    pub usage: Usage,
    /// Whether the provider reported no (final) usage.
    pub estimated: bool,
    /// What was charged; `None` without a price.
    pub cost: Option<NanoUsd>,
    /// The part of it for a try that was broken off because another one was faster.
    pub hedge_cost: Option<NanoUsd>,
    /// Who names the price: `provider`, `overlay`, `builtin`.
    pub price_source: &'static str,
    /// Parameters that the target could not take.
    pub dropped: String,
    /// How it ended.
    pub outcome: Outcome,
}

/// A record as it is written. What is empty does not apply to the request and is left out.
#[derive(Serialize)]
struct Line<'a> {
    timestamp: Timestamp,
    level: &'static str,
    message: &'static str,
    #[serde(skip_serializing_if = "str::is_empty")]
    request_id: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    route: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    rule: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    rule_errors: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    target: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    provider: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    model: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    model_served: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    consumer: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    team: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    app: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    user: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    endpoint: &'a str,
    status: u16,
    #[serde(skip_serializing_if = "str::is_empty")]
    error: &'a str,
    stream: bool,
    #[serde(skip_serializing_if = "str::is_empty")]
    attempts: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    not_retried: &'a str,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    hedged: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    ttft_ms: Option<f64>,
    duration_ms: f64,
    input_tokens: u64,
    output_tokens: u64,
    cached_input_tokens: u64,
    cache_write_tokens: u64,
    reasoning_tokens: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    audio_seconds: Option<u64>,
    estimated: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    cost_usd: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    hedge_cost_usd: Option<String>,
    #[serde(skip_serializing_if = "str::is_empty")]
    price_source: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    dropped: &'a str,
    outcome: &'static str,
}

impl Record {
    /// Appends the record as one JSON object, without a line end.
    pub(super) fn write_json(&self, out: &mut Vec<u8>) {
        // Writing numbers and texts into memory cannot fail.
        self.with_line(|line| drop(serde_json::to_writer(out, &line)));
    }

    /// Appends the record as text for people, without a line end.
    pub(super) fn write_text(&self, out: &mut Vec<u8>) {
        let fields = self.with_line(|line| serde_json::to_value(&line));
        let Ok(serde_json::Value::Object(mut fields)) = fields else { return };
        for name in ["timestamp", "level", "message"] {
            if let Some(serde_json::Value::String(text)) = fields.remove(name) {
                out.extend_from_slice(text.as_bytes());
                out.push(b' ');
            }
        }
        for (name, value) in &fields {
            let plain = |text: &&str| text.bytes().all(|byte| byte.is_ascii_graphic());
            let text = match value.as_str().filter(plain) {
                Some(text) => format!("{name}={text} "),
                None => format!("{name}={value} "),
            };
            out.extend_from_slice(text.as_bytes());
        }
        out.pop();
    }

    fn with_line<T>(&self, write: impl FnOnce(Line<'_>) -> T) -> T {
        // Names and users come from outside and may be of any length.
        let (asked, served) = (brief(&self.model_asked), brief(&self.model_served));
        let (user, dropped) = (brief(&self.user), brief(&self.dropped));
        write(Line {
            timestamp: Timestamp::now(),
            level: "INFO",
            message: "request",
            request_id: &self.request_id,
            route: &self.route,
            rule: &self.rule,
            rule_errors: &self.rule_errors,
            target: &self.target,
            provider: &self.provider,
            model: &asked,
            model_served: &served,
            consumer: &self.consumer,
            team: &self.team,
            app: &self.app,
            user: &user,
            endpoint: &self.endpoint,
            status: self.status,
            error: &self.error,
            stream: self.stream,
            attempts: &self.attempts(),
            not_retried: self.not_retried,
            hedged: self.hedged,
            ttft_ms: self.first_token.map(milliseconds),
            duration_ms: milliseconds(self.duration),
            input_tokens: self.usage.input,
            output_tokens: self.usage.output,
            cached_input_tokens: self.usage.cached_input,
            cache_write_tokens: self.usage.cache_write,
            reasoning_tokens: self.usage.reasoning,
            audio_seconds: Some(self.usage.audio_seconds).filter(|seconds| *seconds > 0),
            estimated: self.estimated,
            cost_usd: self.cost.map(|cost| cost.to_string()),
            hedge_cost_usd: self.hedge_cost.map(|cost| cost.to_string()),
            price_source: self.price_source,
            dropped: &dropped,
            outcome: self.outcome.as_str(),
        })
    }

    /// `primary http_503 12ms, backup ok 340ms`.
    fn attempts(&self) -> String {
        let mut text = String::new();
        for attempt in &self.attempts {
            let comma = if text.is_empty() { "" } else { ", " };
            let AttemptRecord { target, reason, duration } = attempt;
            // Writing to a String cannot fail.
            let _ = write!(text, "{comma}{target} {reason} {}ms", duration.as_millis());
        }
        text
    }
}

/// What somebody else wrote, cut to what errors and records repeat of it.
pub fn brief(text: &str) -> Cow<'_, str> {
    if text.len() <= MAX_REPEATED {
        return text.into();
    }
    match text.char_indices().nth(MAX_REPEATED) {
        Some((end, _)) => format!("{}...", text.get(..end).unwrap_or_default()).into(),
        None => text.into(),
    }
}

/// Milliseconds with microseconds as decimals.
fn milliseconds(duration: Duration) -> f64 {
    duration.as_micros() as f64 / 1000.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attempts_read_in_order() {
        let attempt = |target: &str, reason: &'static str, ms| AttemptRecord {
            target: target.into(),
            reason: reason.into(),
            duration: Duration::from_millis(ms),
        };
        let attempts = vec![attempt("primary", "http_503", 12), attempt("backup", "ok", 340)];
        let record = Record { attempts, ..Record::default() };
        assert_eq!(record.attempts(), "primary http_503 12ms, backup ok 340ms");
    }

    #[test]
    fn a_record_is_one_line_of_json() {
        let record = Record {
            request_id: "req-1".into(),
            cost: Some(NanoUsd(1_500)),
            price_source: "builtin",
            first_token: Some(Duration::from_micros(12_500)),
            outcome: Outcome::Incomplete,
            usage: Usage { audio_seconds: 9, ..Usage::default() },
            user: "é".repeat(100_000),
            ..Record::default()
        };
        let mut line = Vec::new();
        record.write_json(&mut line);
        let fields: serde_json::Value = serde_json::from_slice(&line).unwrap();
        assert_eq!(fields["request_id"], "req-1");
        assert_eq!(fields["cost_usd"], "0.0000015");
        assert_eq!(fields["price_source"], "builtin");
        assert_eq!(fields["ttft_ms"], 12.5);
        assert_eq!(
            (&fields["outcome"], &fields["audio_seconds"]),
            (&"incomplete".into(), &9.into())
        );
        assert_eq!(fields["user"], "é".repeat(MAX_REPEATED) + "...");
    }
}
