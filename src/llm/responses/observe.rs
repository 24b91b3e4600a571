//! What passing through sees in a stream of Responses.

use bytes::Bytes;
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value, json};

use super::response::finish_reason;
use super::wire::{WireAnswer, WireUsage};
use crate::llm::Dialect;
use crate::llm::chat::FinishReason;
use crate::llm::error::{ApiError, encode_stream_error};
use crate::llm::passthrough::{self, Pass, check_object, upstream_fault};
use crate::llm::scan::scan;
use crate::llm::sse::Frame;
use crate::llm::stream::{Progress, StreamFault};
use crate::llm::usage::Usage;

/// Notes what events say.
#[derive(Default)]
pub struct Observer {
    /// The answer as it was announced: an error must carry its id.
    announced: Option<Box<RawValue>>,
    /// Events so far, by which they are numbered.
    events: u64,
    called: bool,
}

#[derive(Deserialize)]
struct Event {
    response: Box<RawValue>,
}

impl Observer {
    fn end(&self, answer: &RawValue, progress: &mut Progress) {
        let answer: WireAnswer = serde_json::from_str(answer.get()).unwrap_or_default();
        progress.terminated = true;
        let usage = answer.usage.and_then(|usage| usage.canonical());
        progress.usage = usage.or(progress.usage);
        let details = answer.incomplete_details.and_then(|details| details.reason);
        let status = answer.status.unwrap_or_default();
        progress.finish_reason = Some(
            finish_reason(&status, details.as_deref(), self.called)
                .unwrap_or(FinishReason::Other(status)),
        );
        progress.model = answer.model.or(progress.model.take());
    }

    fn begin(&mut self, answer: Box<RawValue>, progress: &mut Progress) {
        let known: WireAnswer = serde_json::from_str(answer.get()).unwrap_or_default();
        progress.model = known.model.or(progress.model.take());
        progress.stored_as = known.id;
        self.announced = Some(answer);
    }
}

impl passthrough::Observer for Observer {
    fn observe(&mut self, frame: &Frame<'_>, progress: &mut Progress) -> Result<Pass, StreamFault> {
        let found = scan(&frame.data);
        check_object(&found, &frame.data)?;
        let kind = found.kind.unwrap_or(frame.event);
        if matches!(kind, b"error" | b"response.failed") {
            return Err(upstream_fault(Dialect::Responses, &frame.data));
        }
        self.events += 1;
        if kind.ends_with(b".delta") {
            progress.add_content(found.content_bytes);
            return Ok(Pass::Forward);
        }
        let answer = || serde_json::from_slice::<Event>(&frame.data).ok().map(|e| e.response);
        match kind {
            b"response.created" | b"response.queued" => {
                if let Some(answer) = answer() {
                    self.begin(answer, progress);
                }
            }
            b"response.completed" | b"response.incomplete" => {
                if let Some(answer) = answer() {
                    self.end(&answer, progress);
                }
            }
            // Calls without arguments and what OpenAI's own tools give have no deltas.
            b"response.output_item.done" => progress.content = true,
            b"response.function_call_arguments.done" | b"response.custom_tool_call_input.done" => {
                self.called = true
            }
            _ => {}
        }
        Ok(Pass::Forward)
    }

    fn fail(&mut self, error: &ApiError) -> Bytes {
        let announced = self.announced.as_deref().map(RawValue::get);
        let answer =
            announced.and_then(|text| serde_json::from_str::<Map<String, Value>>(text).ok());
        let Some(mut answer) = answer else {
            return encode_stream_error(Dialect::Responses, error);
        };
        answer.insert("status".to_owned(), json!("failed"));
        let details = json!({"code": error.code, "message": error.message});
        answer.insert("error".to_owned(), details);
        let kind = "response.failed";
        let event = json!({"type": kind, "sequence_number": self.events, "response": answer});
        Bytes::from(format!("event: {kind}\ndata: {event}\n\n"))
    }
}

/// The id of a whole answer, and why it ended before its time, if it did.
pub fn ending_of(body: &[u8]) -> (Option<String>, Option<FinishReason>) {
    let answer: WireAnswer = serde_json::from_slice(body).unwrap_or_default();
    let details = answer.incomplete_details.and_then(|details| details.reason);
    let status = answer.status.unwrap_or_default();
    let reason = details.and_then(|details| finish_reason(&status, Some(&details), false));
    (answer.id, reason)
}

/// The usage of a whole answer, or of the event that ends a stream.
pub fn usage_of(body: &[u8]) -> Option<Usage> {
    #[derive(Deserialize)]
    struct Report {
        #[serde(default)]
        usage: Option<WireUsage>,
        #[serde(default)]
        response: Option<Box<Report>>,
    }
    let report: Report = serde_json::from_slice(body).ok()?;
    report.usage.or_else(|| report.response?.usage)?.canonical()
}
