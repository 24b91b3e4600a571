//! Answers that are handed on unread, because they are large or not JSON: images and sound. Their
//! bytes are not touched; only the first and the last of them are looked at, for an error in a 200
//! and for the usage.

use bytes::Bytes;
use http::{HeaderMap, StatusCode};
use serde::Deserialize as _;

use super::Dialect;
use super::codec::codec;
use super::error::{ApiError, decode_error};
use super::scan::scan;
use super::stream::{Progress, StreamFault, StreamTranslator};

/// Bytes at the end of an answer in which usage is looked for.
const TAIL: usize = 8 << 10;
/// The longest error answer that is recognised.
const MAX_ERROR: usize = 64 << 10;

/// Forwards one answer.
pub(crate) struct OpaqueStream {
    dialect: Dialect,
    tail: Vec<u8>,
    progress: Progress,
}

impl OpaqueStream {
    /// An answer of a provider that speaks this dialect.
    pub(crate) fn new(dialect: Dialect) -> Self {
        Self { dialect, tail: Vec::new(), progress: Progress::default() }
    }

    /// Keeps the last [`TAIL`] bytes.
    fn remember(&mut self, chunk: &[u8]) {
        let kept = chunk.get(chunk.len().saturating_sub(TAIL)..).unwrap_or_default();
        let surplus = (self.tail.len() + kept.len()).saturating_sub(TAIL);
        self.tail.drain(..surplus.min(self.tail.len()));
        self.tail.extend_from_slice(kept);
    }
}

impl StreamTranslator for OpaqueStream {
    fn push(&mut self, chunk: Bytes, out: &mut Vec<Bytes>) -> Result<(), StreamFault> {
        if chunk.is_empty() {
            return Ok(());
        }
        if !self.progress.content && chunk.len() <= MAX_ERROR && chunk.starts_with(b"{") {
            let found = scan(&chunk);
            if found.error && found.complete {
                let error = decode_error(self.dialect, StatusCode::OK, &HeaderMap::new(), &chunk);
                return Err(StreamFault::Upstream(error));
            }
        }
        self.remember(&chunk);
        self.progress.content = true;
        self.progress.frames = self.progress.frames.saturating_add(1);
        out.push(chunk);
        Ok(())
    }

    fn finish(&mut self, _: &mut Vec<Bytes>) -> Result<(), StreamFault> {
        self.progress.terminated = true;
        if let Some(usage) = last_usage(&self.tail) {
            let report = [b"{\"usage\":", usage, b"}"].concat();
            self.progress.usage = codec(self.dialect).usage_of(&report);
        }
        Ok(())
    }

    /// Nothing can be said inside such an answer: it is cut off.
    fn fail(&mut self, _: &ApiError, _: &mut Vec<Bytes>) {}

    fn progress(&self) -> &Progress {
        &self.progress
    }
}

/// The object after the last `"usage":`. Inside a text the name's quotes would be escaped.
fn last_usage(tail: &[u8]) -> Option<&[u8]> {
    const NAME: &[u8] = b"\"usage\"";
    let at = memchr::memmem::rfind(tail, NAME)? + NAME.len();
    let value = tail.get(at..)?.trim_ascii_start().strip_prefix(b":")?.trim_ascii_start();
    let mut json = serde_json::Deserializer::from_slice(value);
    let object = <&serde_json::value::RawValue>::deserialize(&mut json).ok()?;
    Some(object.get().as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::llm::Usage;

    fn run(pieces: &[&[u8]]) -> (Vec<u8>, Result<(), StreamFault>, Progress) {
        let mut stream = OpaqueStream::new(Dialect::OpenAi);
        let (mut out, mut result) = (Vec::new(), Ok(()));
        for piece in pieces {
            result = result.and_then(|()| stream.push(Bytes::copy_from_slice(piece), &mut out));
        }
        result = result.and_then(|()| stream.finish(&mut out));
        (out.concat(), result, stream.progress().clone())
    }

    #[test]
    fn bytes_are_untouched_and_usage_is_read_at_every_cut() {
        let image = format!(
            r#"{{"data":[{{"b64_json":"{}","revised_prompt":"\"usage\": {{}}"}}],"usage": {{"input_tokens":7,"output_tokens":1056,"total_tokens":1063}}}}"#,
            "A".repeat(9000)
        );
        let expected = Usage { input: 7, output: 1056, ..Usage::default() };
        for cut in (0..=image.len()).step_by(97).chain(image.len() - 120..image.len()) {
            let (head, tail) = image.as_bytes().split_at(cut);
            let (out, result, progress) = run(&[head, tail]);
            assert_eq!((out.as_slice(), result), (image.as_bytes(), Ok(())), "cut at {cut}");
            assert_eq!((progress.usage, progress.content), (Some(expected), true));
            assert_eq!(progress.output_bytes, 0, "bytes of an image say nothing about tokens");
        }
    }

    #[test]
    fn sound_reports_no_usage() {
        let (out, result, progress) = run(&[b"ID3\x04\x00", b"\xff\xfb\"usage\":"]);
        assert_eq!((out.len(), result, progress.usage), (15, Ok(()), None));
    }

    #[test]
    fn an_error_in_a_200_is_an_error() {
        let (out, result, _) = run(&[br#"{"error":{"message":"no","code":429}}"#]);
        let Err(StreamFault::Upstream(error)) = result else { panic!("{result:?}") };
        assert_eq!((error.status.as_u16(), out.len()), (429, 0));
    }
}
