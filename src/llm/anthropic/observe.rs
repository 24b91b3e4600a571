//! What passing through sees in a stream of Anthropic's.

use bytes::Bytes;

use super::wire::{WireUsage, finish_reason, usage_report};
use crate::llm::Dialect;
use crate::llm::error::{ApiError, encode_stream_error};
use crate::llm::passthrough::{self, Pass, check_object, lossy, upstream_fault};
use crate::llm::scan::scan;
use crate::llm::sse::Frame;
use crate::llm::stream::{Progress, StreamFault};

/// Notes what events say.
#[derive(Default)]
pub struct Observer {
    cumulative: WireUsage,
}

impl passthrough::Observer for Observer {
    fn observe(&mut self, frame: &Frame<'_>, progress: &mut Progress) -> Result<Pass, StreamFault> {
        let found = scan(&frame.data);
        check_object(&found, &frame.data)?;
        let kind = found.kind.unwrap_or(frame.event);
        match kind {
            b"error" => return Err(upstream_fault(Dialect::Anthropic, &frame.data)),
            b"message_stop" => progress.terminated = true,
            b"message_start" | b"message_delta" => {
                let report = usage_report(&frame.data);
                if let Some(usage) = report.usage {
                    self.cumulative.merge(&usage);
                    progress.usage = self.cumulative.canonical();
                }
                if progress.model.is_none() {
                    progress.model = report.model;
                }
                if let Some(reason) = found.finish_reason {
                    progress.finish_reason = Some(finish_reason(&lossy(reason)));
                }
            }
            b"content_block_start" | b"content_block_delta" => {
                progress.add_content(found.content_bytes);
            }
            _ => {}
        }
        Ok(Pass::Forward)
    }

    fn fail(&mut self, error: &ApiError) -> Bytes {
        encode_stream_error(Dialect::Anthropic, error)
    }
}
