//! What a caller may say in its session: anything but another model. The route has decided on the model
//! and its price, and a session is no way around it.

use std::{borrow::Cow, sync::Arc};

use serde::Deserialize;

use super::frame::{CLOSE, CONTINUATION, Cursor, PING, PONG, Part, TEXT};

/// The longest message of a caller, in bytes; OpenAI takes 15 MiB.
const MAX_MESSAGE: usize = 16 << 20;
/// The same with the headers of its frames, which could be more than what is in them.
const MAX_HELD: usize = MAX_MESSAGE + (1 << 20);
/// The longest control frame, in bytes: 125 of payload (RFC 6455, 5.5) and a header.
const MAX_CONTROL: usize = 125 + 6;

/// Why a message was not forwarded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// It is longer than a message may be.
    TooLong,
    /// It is no text of a JSON object, or one that could be read in two ways.
    Unreadable,
    /// It names another model.
    OtherModel,
}

/// Looks at what the caller sends, and holds each message until it is whole and may go on.
pub struct Guard {
    cursor: Cursor,
    /// What came of a frame and is in neither of the two yet.
    came: Vec<u8>,
    /// The frames of the message under way, as they came.
    held: Vec<u8>,
    /// Their payload without masks.
    message: Vec<u8>,
    /// The control frame under way: it may stand between the frames of a message.
    control: Vec<u8>,
    is_inside_frame: bool,
    is_inside_message: bool,
    /// The model as the caller asked for it, and as the provider calls it.
    models: [Arc<str>; 2],
    fault: Option<Fault>,
}

/// The part of an event that matters. A member that comes twice is an error: providers differ in
/// which of them they take.
#[derive(Deserialize)]
struct Event<'a> {
    #[serde(borrow, default)]
    session: Option<Named<'a>>,
    #[serde(borrow, default)]
    response: Option<Named<'a>>,
    #[serde(borrow, default)]
    model: Option<Cow<'a, str>>,
}

#[derive(Deserialize)]
struct Named<'a> {
    #[serde(borrow, default)]
    model: Option<Cow<'a, str>>,
}

impl Guard {
    /// A session of this model.
    pub fn new(models: [Arc<str>; 2]) -> Self {
        Self {
            cursor: Cursor::default(),
            came: Vec::new(),
            held: Vec::new(),
            message: Vec::new(),
            control: Vec::new(),
            is_inside_frame: false,
            is_inside_message: false,
            models,
            fault: None,
        }
    }

    /// Looks at bytes of the caller, and adds to `out` the frames that may be forwarded; `false` once
    /// something must not be.
    pub fn push(&mut self, mut bytes: &[u8], out: &mut Vec<u8>) -> bool {
        while self.fault.is_none() && !bytes.is_empty() {
            let before = bytes;
            let part = self.cursor.next(&mut bytes);
            let length = before.len() - bytes.len();
            self.came.extend_from_slice(before.get(..length).unwrap_or_default());
            if let Some(part) = part {
                self.fault = self.take(&part, out).err();
            }
        }
        self.fault.is_none()
    }

    /// Sorts a piece of a frame.
    fn take(&mut self, part: &Part<'_>, out: &mut Vec<u8>) -> Result<(), Fault> {
        let begins = !std::mem::replace(&mut self.is_inside_frame, !part.ends_frame);
        match part.opcode {
            CLOSE | PING | PONG => return self.take_control(part, out),
            TEXT if begins && !self.is_inside_message => self.is_inside_message = true,
            CONTINUATION if self.is_inside_message => {}
            TEXT if !begins => {}
            // Nobody knows what a provider would make of the others.
            _ => return Err(Fault::Unreadable),
        }
        if self.message.len() + part.payload.len() > MAX_MESSAGE
            || self.held.len() + self.came.len() > MAX_HELD
        {
            return Err(Fault::TooLong);
        }
        self.held.append(&mut self.came);
        self.message.extend(part.plain());
        if part.ends_frame && part.is_final {
            self.is_inside_message = false;
            check(&std::mem::take(&mut self.message), &self.models)?;
            out.append(&mut std::mem::take(&mut self.held));
        }
        Ok(())
    }

    fn take_control(&mut self, part: &Part<'_>, out: &mut Vec<u8>) -> Result<(), Fault> {
        if self.control.len() + self.came.len() > MAX_CONTROL {
            return Err(Fault::TooLong);
        }
        self.control.append(&mut self.came);
        if part.ends_frame {
            out.append(&mut self.control);
        }
        Ok(())
    }

    /// Why a message was not forwarded.
    pub fn fault(&self) -> Option<Fault> {
        self.fault
    }
}

fn check(message: &[u8], models: &[Arc<str>; 2]) -> Result<(), Fault> {
    let event: Event<'_> = serde_json::from_slice(message).map_err(|_| Fault::Unreadable)?;
    let Event { session, response, model } = event;
    let nested = [session, response].into_iter().flatten().filter_map(|named| named.model);
    let is_other = |model: &Cow<'_, str>| models.iter().all(|known| **known != **model);
    match nested.chain(model).any(|model| is_other(&model)) {
        true => Err(Fault::OtherModel),
        false => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_sessions_own_model_may_be_named() {
        let models = ["chat".into(), "gpt-realtime".into()];
        let check = |text: &str| check(text.as_bytes(), &models);
        for fine in [
            r#"{"type":"session.update","session":{"model":"chat","voice":"x"}}"#,
            r#"{"type":"session.update","session":{"model":"gpt-realtime"}}"#,
            r#"{"type":"session.update","session":{"audio":{"input":{"transcription":{"model":"w"}}}}}"#,
            r#"{"type":"response.create"}"#,
            r#"{"type":"input_audio_buffer.append","audio":"AAAA"}"#,
        ] {
            assert_eq!(check(fine), Ok(()), "{fine}");
        }
        for other in [
            r#"{"type":"session.update","session":{"model":"gpt-5"}}"#,
            r#"{"type":"session.update","session":{"\u006dodel":"gpt-5"}}"#,
            r#"{"type":"response.create","response":{"model":"gpt-5"}}"#,
            r#"{"model":"gpt-5"}"#,
        ] {
            assert_eq!(check(other), Err(Fault::OtherModel), "{other}");
        }
        for twice in [
            r#"{"session":{"model":"chat"},"session":{"model":"gpt-5"}}"#,
            r#"{"session":{"model":"chat","model":"gpt-5"}}"#,
            "hello",
        ] {
            assert_eq!(check(twice), Err(Fault::Unreadable), "{twice}");
        }
    }

    /// A frame of a client; its mask is zero, so that it can be read here.
    fn masked(first: u8, payload: &[u8]) -> Vec<u8> {
        let length = (payload.len() as u64).to_be_bytes();
        [&[first, 0xff][..], &length, &[0; 4], payload].concat()
    }

    fn forwarded(bytes: &[u8], size: usize) -> (Vec<u8>, Option<Fault>) {
        let mut guard = Guard::new(["chat".into(), "gpt-realtime".into()]);
        let mut out = Vec::new();
        for piece in bytes.chunks(size) {
            if !guard.push(piece, &mut out) {
                break;
            }
        }
        (out, guard.fault())
    }

    #[test]
    fn nothing_of_a_refused_message_is_forwarded() {
        let ping = [0x89, 0x80, 0, 0, 0, 0];
        let fine = [masked(0x01, b"{\"a\":"), ping.to_vec(), masked(0x80, b"1}")].concat();
        let passes = [&ping[..], &masked(0x01, b"{\"a\":"), &masked(0x80, b"1}")].concat();
        let other = br#"{"response":{"model":"gpt-5"}}"#;
        let cases = [
            (masked(0x81, other), Fault::OtherModel),
            ([masked(0x01, &other[..20]), masked(0x80, &other[20..])].concat(), Fault::OtherModel),
            (masked(0x81, b"{not json"), Fault::Unreadable),
            (masked(0x82, b"{}"), Fault::Unreadable),
            (masked(0x83, b"{}"), Fault::Unreadable),
            (masked(0x80, b"{}"), Fault::Unreadable),
            ([masked(0x01, b"{"), masked(0x81, b"{}")].concat(), Fault::Unreadable),
            (masked(0x89, &[b'x'; 200]), Fault::TooLong),
        ];
        for (refused, fault) in cases {
            let bytes = [&fine[..], &refused, &masked(0x81, b"{}")].concat();
            for size in [1, 7, usize::MAX] {
                assert_eq!(
                    forwarded(&bytes, size),
                    (passes.clone(), Some(fault)),
                    "{refused:?} by {size}"
                );
            }
        }
        let long = masked(0x81, &vec![b' '; MAX_MESSAGE + 1]);
        assert_eq!(forwarded(&long, 16 << 10), (Vec::new(), Some(Fault::TooLong)));
    }
}
