//! Thought signatures as Gemini writes them: bytes in base64. Those of other makers travel in the same
//! member, tagged and in base64 too, since clients decode it; they come back unchanged.
//!
//! Source: Gemini API, "Thought signatures".

use base64::Engine as _;
use base64::alphabet::{STANDARD, URL_SAFE};
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};

use crate::llm::chat::{Signature, Signer};

/// What Google takes in place of a signature that did not come back.
pub const SKIP: &str = "skip_thought_signature_validator";

/// Marks reasoning of Anthropic's that is shown to nobody, which is a proof without a text.
const REDACTED: &str = "sluice.redacted.";
/// What every tag begins with.
const TAG: &str = "sluice.";

/// What a `thoughtSignature` holds.
#[derive(Debug, PartialEq, Eq)]
pub enum Proof {
    /// A signature, Google's own or another maker's.
    Signed(Signature),
    /// Hidden reasoning, whole.
    Redacted(String),
}

/// Reads what [`write()`] and [`write_redacted()`] wrote, or Google's own.
pub fn read(wire: String) -> Proof {
    match decode(&wire).filter(|text| text.starts_with(TAG)) {
        None => Proof::Signed(Signature::new(Signer::Gemini, wire)),
        Some(text) => match text.strip_prefix(REDACTED) {
            Some(data) => Proof::Redacted(data.to_owned()),
            None => Proof::Signed(Signature::read(text, Signer::Gemini)),
        },
    }
}

/// A signature for a client.
pub fn write(signature: &Signature) -> String {
    match signature.by(Signer::Gemini) {
        Some(own) => own.to_owned(),
        None => encode(&signature.tagged(Signer::Gemini)),
    }
}

/// Hidden reasoning for a client.
pub fn write_redacted(data: &str) -> String {
    encode(&format!("{REDACTED}{data}"))
}

fn encode(text: &str) -> String {
    base64::engine::general_purpose::STANDARD.encode(text)
}

/// Clients write base64 in either alphabet, padded or not.
fn decode(wire: &str) -> Option<String> {
    bytes(wire).and_then(|bytes| String::from_utf8(bytes).ok())
}

/// The bytes of base64 in either alphabet, padded or not.
pub fn bytes(wire: &str) -> Option<Vec<u8>> {
    let config =
        GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);
    let alphabet = if wire.contains(['-', '_']) { &URL_SAFE } else { &STANDARD };
    GeneralPurpose::new(alphabet, config).decode(wire).ok()
}

/// Base64 in the usual alphabet, which data URLs and other dialects want; Google's clients write the
/// other.
pub fn usual_alphabet(data: String) -> String {
    if !data.contains(['-', '_']) {
        return data;
    }
    let mut usual = data.replace('-', "+").replace('_', "/");
    while !usual.len().is_multiple_of(4) {
        usual.push('=');
    }
    usual
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn foreign_signatures_travel_as_base64_and_come_back_in_either_alphabet() {
        let claude = Signature::new(Signer::Anthropic, "Eq??>>/+=");
        let wire = write(&claude);
        assert!(bytes(&wire).is_some());
        assert_eq!(read(wire.clone()), Proof::Signed(claude.clone()));
        let other = wire.replace('+', "-").replace('/', "_");
        assert_eq!(read(other.trim_end_matches('=').to_owned()), Proof::Signed(claude));
        assert_eq!(read(write_redacted("xx")), Proof::Redacted("xx".to_owned()));
    }

    #[test]
    fn googles_own_signatures_stay_as_they_are() {
        for own in ["EpEgCo4gAb4+9vvW", SKIP, ""] {
            let Proof::Signed(signature) = read(own.to_owned()) else { panic!("{own}") };
            assert_eq!((signature.by(Signer::Gemini), &*write(&signature)), (Some(own), own));
        }
    }

    #[test]
    fn data_of_googles_clients_gets_the_usual_alphabet() {
        assert_eq!(usual_alphabet("-_8".to_owned()), "+/8=");
        assert_eq!(usual_alphabet("+/8=".to_owned()), "+/8=");
    }
}
