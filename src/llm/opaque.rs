//! Answers that are handed on unread, because they are large or not JSON: images, sound, and what is
//! heard in sound. Their bytes are not touched; only the first and the last of them are looked at, for
//! an error in a 200 and for the usage.

use bytes::Bytes;
use http::{HeaderMap, StatusCode};
use serde::Deserialize;

use super::Dialect;
use super::codec::codec;
use super::error::{ApiError, decode_error};
use super::scan::scan;
use super::stream::{Progress, StreamFault, StreamTranslator};
use super::usage::{Usage, count};

/// Bytes at the end of an answer in which usage is looked for.
const TAIL: usize = 8 << 10;
/// The same of a transcript, which may tell its length before all of its words.
const TRANSCRIPT: usize = 8 << 20;
/// The longest error answer that is recognised.
const MAX_ERROR: usize = 64 << 10;

/// Forwards one answer.
pub(crate) struct OpaqueStream {
    dialect: Dialect,
    tail: Vec<u8>,
    /// Bytes of it that are kept.
    kept: usize,
    /// It is what was heard in sound.
    is_transcript: bool,
    /// Nothing at all is an answer too: silence has no words.
    may_be_empty: bool,
    progress: Progress,
}

impl OpaqueStream {
    /// An answer of a provider that speaks this dialect.
    pub(crate) fn new(dialect: Dialect) -> Self {
        Self {
            dialect,
            tail: Vec::new(),
            kept: TAIL,
            is_transcript: false,
            may_be_empty: false,
            progress: Progress::default(),
        }
    }

    /// A transcript. `is_text`: the caller has asked for plain text or subtitles, which may be empty.
    pub(crate) fn transcript(dialect: Dialect, is_text: bool) -> Self {
        let (is_transcript, may_be_empty) = (true, is_text);
        Self { kept: TRANSCRIPT, is_transcript, may_be_empty, ..Self::new(dialect) }
    }

    /// Keeps the last bytes.
    fn remember(&mut self, chunk: &[u8]) {
        let kept = chunk.get(chunk.len().saturating_sub(self.kept)..).unwrap_or_default();
        let surplus = (self.tail.len() + kept.len()).saturating_sub(self.kept);
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
        if self.is_transcript {
            self.progress.add_content(chunk.len() as u64);
        }
        self.progress.content = true;
        self.progress.frames = self.progress.frames.saturating_add(1);
        out.push(chunk);
        Ok(())
    }

    fn finish(&mut self, _: &mut Vec<Bytes>) -> Result<(), StreamFault> {
        self.progress.terminated = true;
        self.progress.content |= self.may_be_empty;
        if self.is_transcript {
            self.progress.usage =
                codec(self.dialect).usage_of(&self.tail).or_else(|| length(&self.tail));
        }
        if self.progress.usage.is_none()
            && let Some(usage) = last_usage(&self.tail)
        {
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

/// The length of what was heard, by which most servers bill who report no usage: `duration` of a
/// verbose transcript, in seconds.
fn length(transcript: &[u8]) -> Option<Usage> {
    #[derive(Deserialize)]
    struct Verbose {
        #[serde(default, deserialize_with = "count")]
        duration: Option<u64>,
    }
    let verbose: Verbose = serde_json::from_slice(transcript).ok()?;
    let audio_seconds = verbose.duration?;
    Some(Usage { audio_seconds, ..Usage::default() })
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

    fn transcript(is_text: bool, pieces: &[&[u8]]) -> (Result<(), StreamFault>, Progress) {
        let mut stream = OpaqueStream::transcript(Dialect::OpenAi, is_text);
        let mut out = Vec::new();
        for piece in pieces {
            stream.push(Bytes::copy_from_slice(piece), &mut out).unwrap();
        }
        let result = stream.finish(&mut out);
        assert_eq!(out.concat(), pieces.concat());
        (result, stream.progress().clone())
    }

    #[test]
    fn what_a_transcript_used_is_read_wherever_it_stands() {
        let long = format!(r#""text":"{}""#, "a".repeat(20_000));
        let seconds = |audio_seconds| Some(Usage { audio_seconds, ..Usage::default() });
        let tokens = Usage { input: 14, output: 45, audio_input: 13, ..Usage::default() };
        for (json, usage) in [
            (format!(r#"{{"usage":{{"type":"duration","seconds":8.2}},{long}}}"#), seconds(9)),
            (format!(r#"{{"task":"transcribe","duration":8.47,{long}}}"#), seconds(9)),
            (format!(r#"{{"duration":"8.470000318527222",{long}}}"#), seconds(9)),
            (
                format!(
                    r#"{{{long},"usage":{{"type":"tokens","input_tokens":14,"input_token_details":
                    {{"text_tokens":1,"audio_tokens":13}},"output_tokens":45,"total_tokens":59}}}}"#
                ),
                Some(tokens),
            ),
            (format!("{{{long}}}"), None),
        ] {
            let (head, tail) = json.as_bytes().split_at(json.len() / 2);
            let (result, progress) = transcript(false, &[head, tail]);
            assert_eq!((result, progress.usage), (Ok(()), usage), "{}", &json[..60]);
        }
    }

    #[test]
    fn only_a_transcript_in_plain_text_may_be_empty() {
        assert!(transcript(true, &[]).1.content);
        assert!(!transcript(false, &[]).1.content);
        let (_, progress) = transcript(true, &[b"1\n00:00:00,000 --> 00:00:01,000\nHi\n"]);
        assert_eq!((progress.usage, progress.output_bytes), (None, 35));
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
