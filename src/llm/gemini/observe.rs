//! What passing through sees in a stream of Gemini's.

use bytes::Bytes;

use super::wire::{finish_reason, usage_of};
use crate::llm::Dialect;
use crate::llm::error::{ApiError, encode_stream_error};
use crate::llm::passthrough::{self, Pass, check_object, lossy, text, upstream_fault};
use crate::llm::scan::scan;
use crate::llm::sse::Frame;
use crate::llm::stream::{Progress, StreamFault};

/// Notes what frames say. There is no terminator: a stream is complete if it ends after a reason to
/// stop.
#[derive(Default)]
pub struct Observer {
    finished: bool,
}

impl passthrough::Observer for Observer {
    fn observe(&mut self, frame: &Frame<'_>, progress: &mut Progress) -> Result<Pass, StreamFault> {
        let found = scan(&frame.data);
        check_object(&found, &frame.data)?;
        if found.error {
            return Err(upstream_fault(Dialect::Gemini, &frame.data));
        }
        progress.add_content(found.content_bytes);
        if progress.model.is_none() {
            progress.model = found.model.map(text);
        }
        if let Some(word) = found.finish_reason {
            self.finished = true;
            progress.finish_reason = Some(finish_reason(&lossy(word), false));
        }
        if found.has_usage()
            && let Some(usage) = usage_of(&frame.data)
        {
            progress.usage = Some(usage);
        }
        Ok(Pass::Forward)
    }

    fn is_complete(&self) -> bool {
        self.finished
    }

    fn fail(&mut self, error: &ApiError) -> Bytes {
        encode_stream_error(Dialect::Gemini, error)
    }
}
