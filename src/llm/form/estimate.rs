//! What a form may cost before a provider has said it: files are sound and pictures, of which bytes
//! say little.

use super::Form;
use crate::llm::usage::{InputEstimate, estimate_tokens};

/// Bytes of a second of sound where its format does not say so: 32 kbit/s, which few recordings of
/// speech are below.
const BYTES_PER_SECOND: usize = 4_000;
/// Tokens of a second of sound (OpenAI's guide, "Managing costs": one for each 100 ms).
const TOKENS_PER_SECOND: u64 = 10;
/// Tokens of a picture at high fidelity (OpenAI's guide, "Images and vision": 65 and 129 a tile, and
/// 6,240 for what is not square), rounded up.
const TOKENS_PER_PICTURE: u64 = 7_000;
/// The largest PCM stream that is believed: two channels of 4 bytes at 48 kHz.
const MAX_PCM: usize = 384_000;

/// What the files of a form are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Files {
    /// Sound that is listened to.
    Sound,
    /// Pictures.
    Pictures,
}

impl Form {
    /// What the form may count as input.
    pub(crate) fn estimate(&self, body: &[u8], files: Files) -> InputEstimate {
        let mut estimate = InputEstimate::default();
        for part in &self.parts {
            let content = body.get(part.content.clone()).unwrap_or_default();
            let (tokens, seconds) = match (part.is_file, files) {
                (false, _) => (estimate_tokens(content.len()), 0),
                (true, Files::Pictures) => (TOKENS_PER_PICTURE, 0),
                (true, Files::Sound) => {
                    let seconds = seconds(content);
                    (seconds.saturating_mul(TOKENS_PER_SECOND), seconds)
                }
            };
            estimate.tokens = estimate.tokens.saturating_add(tokens);
            estimate.audio_seconds = estimate.audio_seconds.saturating_add(seconds);
        }
        estimate
    }
}

/// How long a sound may be, in whole seconds, rounded up.
fn seconds(sound: &[u8]) -> u64 {
    let per_second = pcm_rate(sound).unwrap_or(BYTES_PER_SECOND);
    u64::try_from(sound.len().div_ceil(per_second)).unwrap_or(u64::MAX)
}

/// Bytes of a second of uncompressed sound in a RIFF/WAVE file; `None` for any other.
fn pcm_rate(sound: &[u8]) -> Option<usize> {
    if sound.get(..4)? != b"RIFF" || sound.get(8..16)? != b"WAVEfmt " {
        return None;
    }
    let number = |at: usize| Some(u16::from_le_bytes(sound.get(at..at + 2)?.try_into().ok()?));
    // PCM, floats, or either with more said about its channels; others are compressed.
    if !matches!(number(20)?, 1 | 3 | 0xFFFE) {
        return None;
    }
    let rate = u32::from_le_bytes(sound.get(24..28)?.try_into().ok()?);
    let rate = usize::try_from(rate).ok()?.checked_mul(usize::from(number(32)?))?;
    (1..=MAX_PCM).contains(&rate).then_some(rate)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_length_of_sound_is_by_its_header_or_on_the_high_side() {
        let mut wav = b"RIFF\0\0\0\0WAVEfmt \x10\0\0\0\x01\0\x01\0".to_vec();
        wav.extend(16_000_u32.to_le_bytes());
        wav.extend(32_000_u32.to_le_bytes());
        wav.extend([2, 0, 16, 0]);
        wav.resize(32_000 * 3, 0);
        assert_eq!(seconds(&wav), 3);
        // Nobody's sound is so dense: it would count as nothing.
        wav[24..28].copy_from_slice(&u32::MAX.to_le_bytes());
        assert_eq!(seconds(&wav), 24);
        assert_eq!((seconds(b"ID3"), seconds(&[0; 8001]), seconds(b"")), (1, 3, 0));
    }
}
