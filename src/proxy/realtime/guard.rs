//! What a caller may say in its session: anything but another model. The route has decided on the model
//! and its price, and a session is no way around it.

use std::{borrow::Cow, sync::Arc};

use serde::Deserialize;

use super::frame::Messages;

/// The longest message of a caller, in bytes; OpenAI takes 15 MiB.
const MAX_MESSAGE: usize = 16 << 20;

/// Why a message was not forwarded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// It is longer than a message may be.
    TooLong,
    /// It is no JSON object, or one that could be read in two ways.
    Unreadable,
    /// It names another model.
    OtherModel,
}

/// Looks at what the caller sends.
pub struct Guard {
    messages: Messages,
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
        Self { messages: Messages::default(), models, fault: None }
    }

    /// Looks at bytes of the caller; `false` if the message that ends in them must not be forwarded.
    pub fn push(&mut self, bytes: &[u8]) -> bool {
        let Self { messages, models, fault } = self;
        messages.push(bytes, MAX_MESSAGE, |message, is_whole| {
            *fault = fault.or(check(message, is_whole, models).err());
        });
        self.fault.is_none()
    }

    /// Why a message was not forwarded.
    pub fn fault(&self) -> Option<Fault> {
        self.fault
    }
}

fn check(message: &[u8], is_whole: bool, models: &[Arc<str>; 2]) -> Result<(), Fault> {
    if !is_whole {
        return Err(Fault::TooLong);
    }
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
        let check = |text: &str| check(text.as_bytes(), true, &models);
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
}
