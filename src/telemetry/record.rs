//! The access record: one for each request, written when it ends. Holds no content
//! and no credential.

use std::{borrow::Cow, io::Write as _, sync::Arc, time::Duration};

use jiff::{Timestamp, fmt::temporal::DateTimePrinter};

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
    pub reason: Cow<'static, str>,
    /// How long it took to know.
    pub duration: Duration,
}

/// What is known of a request when it ends. Empty texts stand for what never came to be known.
#[derive(Clone, Debug, Default)]
pub struct Record {
    /// `x-request-id`.
    pub request_id: Arc<str>,
    /// `namespace/name` of the AIRoute.
    pub route: Arc<str>,
    /// Name of the rule.
    pub rule: Arc<str>,
    /// Rules whose condition could not be evaluated, with the reason.
    pub rule_errors: String,
    /// Name of the target that answered.
    pub target: Arc<str>,
    /// `namespace/name` of its AIProvider.
    pub provider: Arc<str>,
    /// The model as the caller named it.
    pub model_asked: String,
    /// The model that the provider was asked for, or names itself.
    pub model_served: String,
    /// `namespace/name` of the API key's Secret.
    pub consumer: Arc<str>,
    /// `sluice.dev/team`.
    pub team: Arc<str>,
    /// `sluice.dev/app`.
    pub app: Arc<str>,
    /// `sluice.dev/environment`.
    pub environment: Arc<str>,
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
    /// The budget that was full, so that another model served; empty if none was.
    pub downgraded: Arc<str>,
    /// Parameters that the target could not take.
    pub dropped: String,
    /// How it ended.
    pub outcome: Outcome,
}

/// Writes a record's members one after the other. What is empty does not apply to the request and is
/// left out.
struct Members<'a>(&'a mut Vec<u8>);

/// The name of a member and what stands around it.
macro_rules! name {
    ($name:literal) => {
        concat!(",\"", $name, "\":")
    };
}

impl Members<'_> {
    fn name(&mut self, name: &'static str) {
        self.0.extend_from_slice(name.as_bytes());
    }

    fn text(&mut self, name: &'static str, text: &str) {
        if !text.is_empty() {
            self.name(name);
            self.quoted(text);
        }
    }

    fn number(&mut self, name: &'static str, number: u64) {
        self.name(name);
        self.digits(number);
    }

    fn flag(&mut self, name: &'static str, is_set: bool) {
        self.name(name);
        self.0.extend_from_slice(if is_set { b"true" } else { b"false" });
    }

    /// With microseconds as decimals.
    fn milliseconds(&mut self, name: &'static str, duration: Duration) {
        self.name(name);
        let microseconds = u64::try_from(duration.as_micros()).unwrap_or(u64::MAX);
        self.digits(microseconds / 1000);
        // The thousand keeps the zeros in front.
        let at = self.0.len();
        self.digits(1000 + microseconds % 1000);
        if let Some(point) = self.0.get_mut(at) {
            *point = b'.';
        }
    }

    fn usd(&mut self, name: &'static str, cost: Option<NanoUsd>) {
        if let Some(cost) = cost {
            self.name(name);
            // Writing into memory cannot fail.
            let _ = write!(self.0, "\"{cost}\"");
        }
    }

    /// `primary http_503 12ms, backup ok 340ms`.
    fn attempts(&mut self, attempts: &[AttemptRecord]) {
        if attempts.is_empty() {
            return;
        }
        self.name(name!("attempts"));
        self.0.push(b'"');
        for (index, AttemptRecord { target, reason, duration }) in attempts.iter().enumerate() {
            if index > 0 {
                self.0.extend_from_slice(b", ");
            }
            self.escaped(target);
            self.0.push(b' ');
            self.escaped(reason);
            self.0.push(b' ');
            self.digits(u64::try_from(duration.as_millis()).unwrap_or(u64::MAX));
            self.0.extend_from_slice(b"ms");
        }
        self.0.push(b'"');
    }

    fn quoted(&mut self, text: &str) {
        self.0.push(b'"');
        self.escaped(text);
        self.0.push(b'"');
    }

    /// What stands between the quotes of a JSON string (RFC 8259, 7).
    fn escaped(&mut self, text: &str) {
        let is_special = |byte: u8| byte < b' ' || byte == b'"' || byte == b'\\';
        // Without a way out the compiler looks at many bytes at once.
        if !text.bytes().fold(false, |found, byte| found | is_special(byte)) {
            self.0.extend_from_slice(text.as_bytes());
            return;
        }
        let from = self.0.len();
        // Writing a text into memory cannot fail.
        let _ = serde_json::to_writer(&mut *self.0, text);
        self.0.pop();
        self.0.remove(from);
    }

    fn digits(&mut self, number: u64) {
        self.0.extend_from_slice(itoa::Buffer::new().format(number).as_bytes());
    }
}

impl Record {
    /// Appends the record as one JSON object, without a line end.
    pub(super) fn write_json(&self, out: &mut Vec<u8>) {
        let Usage { input, output, cached_input, cache_write, reasoning, audio_seconds, .. } =
            self.usage;
        out.extend_from_slice(b"{\"timestamp\":\"");
        // Writing into memory cannot fail.
        let _ = DateTimePrinter::new().print_timestamp(&Timestamp::now(), &mut *out);
        out.push(b'"');
        let mut members = Members(&mut *out);
        members.text(name!("level"), "INFO");
        members.text(name!("message"), "request");
        members.text(name!("request_id"), &self.request_id);
        members.text(name!("route"), &self.route);
        members.text(name!("rule"), &self.rule);
        members.text(name!("rule_errors"), &self.rule_errors);
        members.text(name!("target"), &self.target);
        members.text(name!("provider"), &self.provider);
        // Names and users come from outside and may be of any length.
        members.text(name!("model"), &brief(&self.model_asked));
        members.text(name!("model_served"), &brief(&self.model_served));
        members.text(name!("consumer"), &self.consumer);
        members.text(name!("team"), &self.team);
        members.text(name!("app"), &self.app);
        members.text(name!("environment"), &self.environment);
        members.text(name!("user"), &brief(&self.user));
        members.text(name!("endpoint"), &self.endpoint);
        members.number(name!("status"), self.status.into());
        members.text(name!("error"), &self.error);
        members.flag(name!("stream"), self.stream);
        members.attempts(&self.attempts);
        members.text(name!("not_retried"), self.not_retried);
        if self.hedged {
            members.flag(name!("hedged"), true);
        }
        if let Some(duration) = self.first_token {
            members.milliseconds(name!("ttft_ms"), duration);
        }
        members.milliseconds(name!("duration_ms"), self.duration);
        members.number(name!("input_tokens"), input);
        members.number(name!("output_tokens"), output);
        members.number(name!("cached_input_tokens"), cached_input);
        members.number(name!("cache_write_tokens"), cache_write);
        members.number(name!("reasoning_tokens"), reasoning);
        if audio_seconds > 0 {
            members.number(name!("audio_seconds"), audio_seconds);
        }
        members.flag(name!("estimated"), self.estimated);
        members.usd(name!("cost_usd"), self.cost);
        members.usd(name!("hedge_cost_usd"), self.hedge_cost);
        members.text(name!("price_source"), self.price_source);
        members.text(name!("downgraded"), &self.downgraded);
        members.text(name!("dropped"), &brief(&self.dropped));
        members.text(name!("outcome"), self.outcome.as_str());
        out.push(b'}');
    }

    /// Appends the record as text for people, without a line end.
    pub(super) fn write_text(&self, out: &mut Vec<u8>) {
        let mut line = Vec::new();
        self.write_json(&mut line);
        let fields = serde_json::from_slice(&line);
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

#[cfg(test)]
mod tests {
    use super::*;

    fn written(record: &Record) -> serde_json::Value {
        let mut line = Vec::new();
        record.write_json(&mut line);
        assert!(!line.contains(&b'\n'));
        serde_json::from_slice(&line).unwrap()
    }

    #[test]
    fn every_text_comes_back_as_it_was() {
        for byte in 0..=u8::MAX {
            let text = format!("a{}\u{20ac}", char::from(byte));
            let attempt = AttemptRecord {
                target: text.as_str().into(),
                reason: "ok".into(),
                duration: Duration::ZERO,
            };
            let record = Record {
                error: text.clone(),
                model_asked: text.clone(),
                attempts: vec![attempt],
                ..Record::default()
            };
            let fields = written(&record);
            assert_eq!(
                (fields["error"].as_str(), fields["model"].as_str()),
                (Some(&*text), Some(&*text))
            );
            assert_eq!(fields["attempts"], format!("{text} ok 0ms"));
        }
    }

    #[test]
    fn times_are_milliseconds_with_three_decimals() {
        for (micros, ms) in
            [(0, 0.0), (7, 0.007), (999, 0.999), (1_000, 1.0), (61_020_300, 61_020.3)]
        {
            let record = Record { duration: Duration::from_micros(micros), ..Record::default() };
            assert_eq!(written(&record)["duration_ms"], ms);
        }
    }

    #[test]
    fn attempts_read_in_order() {
        let attempt = |target: &str, reason: &'static str, ms| AttemptRecord {
            target: target.into(),
            reason: reason.into(),
            duration: Duration::from_millis(ms),
        };
        let attempts = vec![attempt("primary", "http_503", 12), attempt("backup", "ok", 340)];
        let fields = written(&Record { attempts, ..Record::default() });
        assert_eq!(fields["attempts"], "primary http_503 12ms, backup ok 340ms");
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
        let fields = written(&record);
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
