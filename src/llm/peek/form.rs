//! The same look at a form: its fields are named as the members of OpenAI's JSON are, and its files are
//! skipped.

use super::{Bounds, MAX_CHOICES, ModelPlace, Peek};
use crate::llm::endpoint::Called;
use crate::llm::error::RequestError;
use crate::llm::form::{Boundary, Form, Part};
use crate::llm::names::ALIASES;
use crate::llm::usage::ServiceTier;

/// The most bytes of a field that is read here.
const MAX_FIELD: usize = 4 << 10;

/// Reads what the proxy needs from a request that is a form.
///
/// # Errors
/// [`RequestError`] if it is malformed, names no model, or a field read here is a file, is no text, has
/// a wrong value or is given twice; its text says what to write instead.
pub fn peek_form(
    called: &Called<'_>,
    boundary: Boundary,
    body: &[u8],
) -> Result<Peek, RequestError> {
    let form = Form::parse(boundary, body)?;
    let fields = Fields { form: &form, body };
    let (model, model_place) = fields.model(called)?;
    let n = fields.choices()?;
    let mut choices = [None; ALIASES];
    if let Some(first) = choices.first_mut() {
        *first = n;
    }
    Ok(Peek {
        model,
        model_place,
        // Where a provider takes another word for it, the answer's media type tells.
        stream: fields.text("stream")?.is_some_and(|word| word.eq_ignore_ascii_case("true")),
        include_usage: false,
        stream_options_span: None,
        choices: n.and_then(|n| u32::try_from(n).ok()).unwrap_or(1),
        max_output_tokens: None,
        base64: false,
        user: fields.text("user")?.filter(|user| !user.is_empty()).map(str::to_owned),
        service_tier: ServiceTier::Standard,
        previous_response: None,
        bounds: Bounds { choices, ..Bounds::default() },
        insert_at: 0,
        form: Some(form),
    })
}

/// The fields of a form, by name.
struct Fields<'a> {
    form: &'a Form,
    body: &'a [u8],
}

impl<'a> Fields<'a> {
    /// The one part of this name.
    fn part(&self, name: &'static str) -> Result<Option<&'a Part>, RequestError> {
        let mut found = self.form.parts().iter().filter(|part| part.name == name);
        match (found.next(), found.next()) {
            // Two readers of one form must not see two different requests.
            (Some(_), Some(_)) => Err(super::given_twice(name)),
            (part, _) => Ok(part),
        }
    }

    fn text(&self, name: &'static str) -> Result<Option<&'a str>, RequestError> {
        let Some(part) = self.part(name)? else { return Ok(None) };
        let content = self.body.get(part.content.clone()).unwrap_or_default();
        let text = std::str::from_utf8(content).ok().filter(|text| text.len() <= MAX_FIELD);
        // A name with a line end in it could hold a delimiter of the form that it is written into.
        let text = text.filter(|text| !part.is_file && !text.contains(char::is_control));
        text.map(Some).ok_or_else(|| {
            let message = format!("\"{name}\" must be a plain text field of one line, not a file");
            RequestError::field(name, message)
        })
    }

    fn model(&self, called: &Called<'_>) -> Result<(String, ModelPlace), RequestError> {
        let facts = called.endpoint.facts();
        let wrong = |what: &str| {
            let message = format!(
                "the form's field \"model\" {what}: add one that names the model, for example {}",
                facts.example
            );
            RequestError::field("model", message)
        };
        match (self.text("model")?, self.part("model")?) {
            (Some(""), _) => Err(wrong("is empty")),
            (Some(model), Some(part)) => {
                Ok((model.to_owned(), ModelPlace::Field(part.content.clone())))
            }
            _ => match facts.default_model {
                Some(default) => Ok((default.to_owned(), ModelPlace::Nowhere)),
                None => Err(wrong("is missing")),
            },
        }
    }

    fn choices(&self) -> Result<Option<u64>, RequestError> {
        let Some(text) = self.text("n")?.filter(|text| !text.is_empty()) else { return Ok(None) };
        let n = text.parse().ok().filter(|n| (1..=MAX_CHOICES).contains(n));
        n.map(Some).ok_or_else(|| {
            let message = format!("\"n\" must be a number from 1 to {MAX_CHOICES}");
            RequestError::field("n", message)
        })
    }
}
