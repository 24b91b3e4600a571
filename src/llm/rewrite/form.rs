//! The same changes in a form: parts are cut out and put in, and all others keep their bytes.

use std::borrow::Cow;
use std::ops::Range;

use bytes::Bytes;
use serde_json::Value;

use super::meaning::Fitted;
use super::{Parameters, RESERVED, Rewrite};
use crate::llm::endpoint::Endpoint;
use crate::llm::error::RequestError;
use crate::llm::form::{Form, Part};
use crate::llm::peek::{ModelPlace, Peek};

/// Puts the provider's model and the route's parameters into a form. Copies nothing when nothing
/// changes.
///
/// # Errors
/// [`RequestError`] if what is put in contains the form's boundary.
pub(crate) fn rewrite_form(
    endpoint: Endpoint,
    body: &Bytes,
    peek: &Peek,
    rewrite: &Rewrite<'_>,
) -> Result<Bytes, RequestError> {
    let Some(form) = &peek.form else { return Ok(body.clone()) };
    let mut edits = Edits { form, edits: Vec::new() };
    match &peek.model_place {
        ModelPlace::Field(span) if peek.model != rewrite.model => {
            edits.put(span.clone(), rewrite.model.to_owned())?;
        }
        ModelPlace::Nowhere => edits.insert("model", rewrite.model)?,
        ModelPlace::Field(_) | ModelPlace::Body(_) | ModelPlace::Path => {}
    }
    if let Some(parameters) = rewrite.parameters.filter(|parameters| !parameters.is_empty()) {
        edits.apply(&Fitted::new(parameters, endpoint).top)?;
    }
    Ok(edits.write(body))
}

/// Changes of a form, by their places.
struct Edits<'a> {
    form: &'a Form,
    edits: Vec<(Range<usize>, String)>,
}

impl Edits<'_> {
    fn apply(&mut self, parameters: &Parameters) -> Result<(), RequestError> {
        for part in self.form.parts() {
            let name = bare(&part.name);
            let is_set = parameters.set.contains_key(name);
            let is_removed = parameters.remove.iter().any(|removed| bare(removed) == name);
            if !is_reserved(name) && (is_set || is_removed) {
                self.edits.push((part.whole.clone(), String::new()));
            }
        }
        let given =
            |name: &str| self.form.parts().iter().any(|part: &Part| bare(&part.name) == name);
        let defaults = parameters.default.iter().filter(|(name, _)| {
            let set = parameters.set.contains_key(name.as_str());
            let removed = parameters.remove.iter().any(|removed| removed == *name);
            !set && (removed || !given(name))
        });
        for (name, value) in parameters.set.iter().chain(defaults) {
            if !is_reserved(name) {
                self.member(name, value)?;
            }
        }
        Ok(())
    }

    /// A member of JSON as a field; a list as one field for each of its elements, as OpenAI's SDKs
    /// write it.
    fn member(&mut self, name: &str, value: &Value) -> Result<(), RequestError> {
        match value {
            Value::Null => Ok(()),
            Value::Array(list) => {
                let name = format!("{}[]", bare(name));
                list.iter().try_for_each(|value| self.insert(&name, &text(value)))
            }
            value => self.insert(name, &text(value)),
        }
    }

    /// A field before all others.
    fn insert(&mut self, name: &str, value: &str) -> Result<(), RequestError> {
        let at = self.form.first();
        let boundary = self.form.boundary.as_str();
        let name = name.replace('"', "%22").replace('\r', "%0D").replace('\n', "%0A");
        self.put(at..at, value.to_owned())?;
        if let Some((_, text)) = self.edits.last_mut() {
            *text = format!(
                "--{boundary}\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n"
            );
        }
        Ok(())
    }

    fn put(&mut self, span: Range<usize>, value: String) -> Result<(), RequestError> {
        if value.contains(&format!("--{}", self.form.boundary.as_str())) {
            let message = "the form's boundary stands in what is put into it: choose a longer one";
            return Err(RequestError::field("content-type", message));
        }
        self.edits.push((span, value));
        Ok(())
    }

    fn write(mut self, body: &Bytes) -> Bytes {
        if self.edits.is_empty() {
            return body.clone();
        }
        // Stable: what is put in at one place keeps its order, before what is cut out there.
        self.edits.sort_by_key(|(span, _)| (span.start, span.end));
        super::edited(body, self.edits)
    }
}

/// Lists are written as `name[]`.
fn bare(name: &str) -> &str {
    name.strip_suffix("[]").unwrap_or(name)
}

fn is_reserved(name: &str) -> bool {
    RESERVED.contains(&name)
}

fn text(value: &Value) -> Cow<'_, str> {
    match value {
        Value::String(text) => Cow::Borrowed(text),
        other => Cow::Owned(other.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::llm::form::Boundary;
    use crate::llm::peek::peek_form;

    /// A form with the boundary `B`, of fields and files.
    fn form(fields: &[(&str, &str)]) -> String {
        let part = |(name, value): &(&str, &str)| {
            let file = if *name == "file" { "; filename=\"a.mp3\"" } else { "" };
            format!(
                "--B\r\nContent-Disposition: form-data; name=\"{name}\"{file}\r\n\r\n{value}\r\n"
            )
        };
        fields.iter().map(part).chain(["--B--\r\n".to_owned()]).collect()
    }

    fn rewritten(
        endpoint: Endpoint,
        body: &str,
        model: &str,
        parameters: Option<&Parameters>,
    ) -> Result<String, RequestError> {
        let boundary = Boundary::read(b"multipart/form-data; boundary=B").unwrap();
        let peek = peek_form(&endpoint.into(), boundary.clone(), body.as_bytes())?;
        let rewrite = Rewrite { model, parameters, default_max_tokens: None };
        let body = rewrite_form(endpoint, &Bytes::from(body.to_owned()), &peek, &rewrite)?;
        Form::parse(boundary, &body).unwrap();
        Ok(String::from_utf8(body.to_vec()).unwrap())
    }

    fn parameters(set: Value, default: Value, remove: &[&str]) -> Parameters {
        Parameters {
            set: set.as_object().unwrap().clone(),
            default: default.as_object().unwrap().clone(),
            remove: remove.iter().map(|name| (*name).to_owned()).collect(),
        }
    }

    #[test]
    fn the_model_is_the_providers_wherever_it_stands_and_nothing_else_changes() {
        let sound = "\r\n--A\r\n\0\u{ff}--B\r\r\n-";
        for fields in [
            &[("model", "alias"), ("file", sound)][..],
            &[("file", sound), ("model", "alias")],
            &[("prompt", "model"), ("file", sound), ("model", "alias"), ("language", "")],
        ] {
            let body = form(fields);
            let sent = rewritten(Endpoint::Transcriptions, &body, "whisper-1", None).unwrap();
            assert_eq!(sent, body.replace("alias", "whisper-1"));
        }
    }

    #[test]
    fn a_form_that_needs_no_change_is_not_copied() {
        let body = Bytes::from(form(&[("model", "m"), ("file", "x")]));
        let boundary = Boundary::read(b"multipart/form-data; boundary=B").unwrap();
        let peek = peek_form(&Endpoint::Transcriptions.into(), boundary, &body).unwrap();
        let rewrite = Rewrite { model: "m", parameters: None, default_max_tokens: None };
        let same = rewrite_form(Endpoint::Transcriptions, &body, &peek, &rewrite).unwrap();
        assert_eq!(same.as_ptr(), body.as_ptr());
    }

    #[test]
    fn parameters_set_fill_and_remove_fields() {
        let body = form(&[
            ("temperature", "1"),
            ("file", "x"),
            ("include[]", "logprobs"),
            ("include[]", "other"),
            ("language", "de"),
            ("model", "m"),
        ]);
        let parameters = parameters(
            serde_json::json!({"temperature": 0.5, "timestamp_granularities": ["word", "segment"], "model": "no"}),
            serde_json::json!({"language": "en", "prompt": "a\r\nb"}),
            &["include", "model"],
        );
        let sent = rewritten(Endpoint::Transcriptions, &body, "m", Some(&parameters)).unwrap();
        let expected = form(&[
            ("temperature", "0.5"),
            ("timestamp_granularities[]", "word"),
            ("timestamp_granularities[]", "segment"),
            ("prompt", "a\r\nb"),
            ("file", "x"),
            ("language", "de"),
            ("model", "m"),
        ]);
        assert_eq!(sent, expected);
    }

    #[test]
    fn a_model_that_is_meant_is_named() {
        let body = form(&[("image", "x")]);
        let sent = rewritten(Endpoint::ImageVariations, &body, "dall-e-2", None).unwrap();
        assert_eq!(sent, form(&[("model", "dall-e-2"), ("image", "x")]));
        let sent = rewritten(Endpoint::ImageVariations, "\r\n--B--", "dall-e-2", None).unwrap();
        assert_eq!(sent, format!("\r\n{}", form(&[("model", "dall-e-2")]).trim_end()));
    }

    #[test]
    fn nothing_that_is_put_in_can_end_its_field() {
        let body = form(&[("model", "alias"), ("file", "x")]);
        let forged = "m\r\n--B\r\nContent-Disposition: form-data; name=\"model\"\r\n\r\nother";
        assert!(rewritten(Endpoint::Transcriptions, &body, forged, None).is_err());
        let set = parameters(serde_json::json!({"prompt": forged}), serde_json::json!({}), &[]);
        assert!(rewritten(Endpoint::Transcriptions, &body, "m", Some(&set)).is_err());
    }
}
