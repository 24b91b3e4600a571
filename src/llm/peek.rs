//! One borrowed look at a request body: what the proxy must know to route, budget and rewrite it.
//! Everything else stays as it came; no value tree is built and nothing is translated here.

use std::ops::Range;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::endpoint::{Called, Endpoint};
use super::error::RequestError;
use super::form::Form;
use super::members::{Member, Members, span_of};
use super::names::{ALIASES, Names};
use super::usage::{InputEstimate, ServiceTier};

mod form;

pub use form::peek_form;

/// The most choices one request may ask for (OpenAI's own bound for `n`).
const MAX_CHOICES: u64 = 128;

/// The members that hold what is asked, each by its names, of any endpoint. They are not read here, but
/// who reads them must find one of each.
const CONTENT: [&[&str]; 7] = [
    &["messages"],
    &["input"],
    &["instructions"],
    &["system"],
    &["contents"],
    &["systemInstruction", "system_instruction"],
    &["tools"],
];

/// What a request asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Peek {
    /// The model as the client named it.
    pub model: String,
    /// Where the client named it.
    pub model_place: ModelPlace,
    /// Whether the answer is to be streamed.
    pub stream: bool,
    /// Whether the client asked for usage in the stream (`stream_options.include_usage`).
    pub include_usage: bool,
    /// Where the value of `stream_options` lies in the body, if it is there.
    pub stream_options_span: Option<Range<usize>>,
    /// How many answers are asked for (`n`, and the elements of a batch), at least 1.
    pub choices: u32,
    /// The bound on generated tokens: the largest, where it has several names.
    pub max_output_tokens: Option<u64>,
    /// Whether vectors are wanted in base64 (`encoding_format`).
    pub base64: bool,
    /// The end user: `user`, else `safety_identifier`, else `metadata.user_id`.
    pub user: Option<String>,
    /// The stored answer that the conversation goes on from (`previous_response_id` of Responses).
    pub previous_response: Option<String>,
    /// Where the fields are, if the body is a form and not JSON.
    pub form: Option<Form>,
    /// The tier that is asked for (`service_tier`).
    pub service_tier: ServiceTier,
    /// The members that bound what is generated, each as the client wrote it.
    pub(crate) bounds: Bounds,
    /// Offset just after the body's opening brace, where a member may be inserted.
    pub(crate) insert_at: usize,
}

/// Where a request names its model.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ModelPlace {
    /// In the body: the span of the JSON string literal, quotes included.
    Body(Range<usize>),
    /// In a form: the span of the field's content.
    Field(Range<usize>),
    /// In the path; the body has no room for it.
    Path,
    /// Nowhere; the endpoint's default is meant.
    Nowhere,
}

/// What bounds the generated tokens of a request, in the order of [`Names`]; `None` for what is absent
/// or null.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Bounds {
    /// By the names of the bound on tokens.
    pub max_tokens: [Option<u64>; ALIASES],
    /// By the names of the number of answers.
    pub choices: [Option<u64>; ALIASES],
    /// Elements of the batch, at least 1 (0 is written for 1 by default).
    pub batch: u64,
}

/// The members that are read; the rest is skipped.
#[derive(Default)]
struct Found<'a> {
    model: Option<&'a RawValue>,
    stream: Option<&'a RawValue>,
    stream_options: Option<&'a RawValue>,
    encoding_format: Option<&'a RawValue>,
    user: Option<&'a RawValue>,
    safety_identifier: Option<&'a RawValue>,
    metadata: Option<&'a RawValue>,
    batch: Option<&'a RawValue>,
    inside: Option<&'a RawValue>,
    service_tier: Option<&'a RawValue>,
    previous_response: Option<&'a RawValue>,
    bounds: FoundBounds<'a>,
}

#[derive(Default)]
struct FoundBounds<'a> {
    max_tokens: [Option<&'a RawValue>; ALIASES],
    choices: [Option<&'a RawValue>; ALIASES],
}

impl<'a> FoundBounds<'a> {
    fn slot(&mut self, names: &Names, name: &str) -> Option<&mut Option<&'a RawValue>> {
        let at = |known: &[&str]| known.iter().position(|known| *known == name);
        match at(names.max_tokens) {
            Some(at) => self.max_tokens.get_mut(at),
            None => self.choices.get_mut(at(names.choices)?),
        }
    }
}

impl<'a> Found<'a> {
    fn collect(members: Vec<Member<'a>>, names: &Names) -> Result<Self, RequestError> {
        let mut found = Self::default();
        let mut content = [false; CONTENT.len()];
        for Member { name, value } in members {
            let at = CONTENT.iter().position(|names| names.contains(&&*name));
            let seen = at.and_then(|at| content.get_mut(at));
            let mut is_second = seen.is_some_and(|seen| std::mem::replace(seen, true));
            if let Some(slot) = found.slot(names, &name) {
                is_second |= slot.replace(value).is_some();
            }
            // Two readers of one body must not see two different requests.
            if is_second {
                return Err(given_twice(&name));
            }
        }
        if let Some(inside) = found.inside {
            found.bounds = Self::inside(inside, names)?;
        }
        Ok(found)
    }

    fn slot(&mut self, names: &Names, name: &str) -> Option<&mut Option<&'a RawValue>> {
        Some(match name {
            "model" => &mut self.model,
            "stream" => &mut self.stream,
            "stream_options" => &mut self.stream_options,
            "encoding_format" => &mut self.encoding_format,
            "user" => &mut self.user,
            "safety_identifier" => &mut self.safety_identifier,
            "metadata" => &mut self.metadata,
            "service_tier" => &mut self.service_tier,
            "previous_response_id" => &mut self.previous_response,
            _ if names.batch == Some(name) => &mut self.batch,
            _ if names.inside.contains(&name) => &mut self.inside,
            _ if names.inside.is_empty() => return self.bounds.slot(names, name),
            _ => return None,
        })
    }

    /// What bounds the request, inside an object of the body. One that is no object is left to the
    /// provider to refuse.
    fn inside(object: &'a RawValue, names: &Names) -> Result<FoundBounds<'a>, RequestError> {
        let mut bounds = FoundBounds::default();
        let Ok(Members(members)) = serde_json::from_str(object.get()) else { return Ok(bounds) };
        for Member { name, value } in members {
            let Some(slot) = bounds.slot(names, &name) else { continue };
            if slot.replace(value).is_some() {
                return Err(given_twice(&name));
            }
        }
        Ok(bounds)
    }
}

fn given_twice(name: &str) -> RequestError {
    let message = format!("\"{name}\" is given more than once: write it once");
    RequestError::field(name.to_owned(), message)
}

/// Reads what the proxy needs from a request body.
///
/// # Errors
/// [`RequestError`] if the body is not a JSON object, is nested too deep, names no model, or a field
/// read here has the wrong type or is given twice; its text says what to write instead.
pub fn peek(called: &Called<'_>, body: &[u8]) -> Result<Peek, RequestError> {
    let names = called.endpoint.facts().names;
    let Members(members) = Members::parse(body)?;
    let found = Found::collect(members, names)?;
    let (model, model_place) = model(called, body, found.model)?;
    let bounds = bounds(names, &found)?;
    let insert_at = memchr::memchr(b'{', body).map_or(0, |brace| brace + 1);
    Ok(Peek {
        model,
        model_place,
        stream: match called.stream {
            Some(stream) => stream,
            None => boolean("stream", found.stream)?,
        },
        include_usage: found.stream_options.is_some_and(wants_usage),
        stream_options_span: found.stream_options.map(|value| span_of(body, value)),
        choices: u32::try_from(bounds.answers(&bounds.choices)).unwrap_or(u32::MAX),
        base64: found.encoding_format.is_some_and(|value| value.get() == "\"base64\""),
        // Providers differ in which of several they obey, and a budget reserves by it.
        max_output_tokens: bounds.max_tokens.into_iter().flatten().max(),
        user: user(&found),
        // Left to the provider to refuse where it is no text.
        previous_response: match called.endpoint {
            Endpoint::Responses => optional(found.previous_response).unwrap_or_default(),
            _ => None,
        },
        form: None,
        service_tier: service_tier(found.service_tier),
        bounds,
        insert_at,
    })
}

impl Peek {
    /// What the request may count as input; `body` is the one looked at.
    pub fn input(&self, endpoint: Endpoint, body: &[u8]) -> InputEstimate {
        match (&self.form, endpoint.files()) {
            (Some(form), Some(files)) => form.estimate(body, files),
            _ => InputEstimate::of_text(body.len()),
        }
    }

    /// Looks at a body that was made of the one looked at here.
    ///
    /// # Errors
    /// As [`peek()`].
    pub(crate) fn again(&self, endpoint: Endpoint, body: &[u8]) -> Result<Self, RequestError> {
        let in_path = self.model_place == ModelPlace::Path;
        let called = Called {
            model: in_path.then(|| self.model.as_str().into()),
            stream: in_path.then_some(self.stream),
            ..Called::from(endpoint)
        };
        peek(&called, body)
    }
}

impl Bounds {
    /// The number of answers that a number of choices for each element of the batch gives.
    pub(crate) fn answers(&self, choices: &[Option<u64>]) -> u64 {
        let each = choices.iter().flatten().copied().max().unwrap_or(1).max(1);
        each.saturating_mul(self.batch.max(1))
    }
}

fn bounds(names: &Names, found: &Found<'_>) -> Result<Bounds, RequestError> {
    let mut bounds = Bounds { batch: batch(found.batch), ..Bounds::default() };
    let max_tokens = names.max_tokens.iter().zip(found.bounds.max_tokens);
    for (slot, (name, value)) in bounds.max_tokens.iter_mut().zip(max_tokens) {
        *slot = tokens(name, value)?;
    }
    let wanted = names.choices.iter().zip(found.bounds.choices);
    for (slot, (name, value)) in bounds.choices.iter_mut().zip(wanted) {
        *slot = choices(name, value)?;
    }
    Ok(bounds)
}

/// How many elements a batch has: a list of numbers is one text in tokens.
fn batch(value: Option<&RawValue>) -> u64 {
    let list = value.and_then(|value| serde_json::from_str::<Vec<&RawValue>>(value.get()).ok());
    let whole = |list: &Vec<&RawValue>| list.iter().all(|item| item.get().starts_with(['"', '[']));
    list.filter(whole).map_or(1, |list| u64::try_from(list.len()).unwrap_or(u64::MAX).max(1))
}

fn model(
    called: &Called<'_>,
    body: &[u8],
    value: Option<&RawValue>,
) -> Result<(String, ModelPlace), RequestError> {
    if let Some(model) = &called.model {
        return Ok((model.clone().into_owned(), ModelPlace::Path));
    }
    let facts = called.endpoint.facts();
    let wrong = |what: &str| {
        let message = format!("\"model\" {what}, for example \"model\": \"{}\"", facts.example);
        RequestError::field("model", message)
    };
    let Some(value) = value else {
        let default = facts.default_model.ok_or_else(|| wrong("is missing: name the model"))?;
        return Ok((default.to_owned(), ModelPlace::Nowhere));
    };
    let model: String = serde_json::from_str(value.get())
        .map_err(|_| wrong("must be a string: name the model in quotes"))?;
    if model.is_empty() {
        return Err(wrong("is empty: name the model"));
    }
    Ok((model, ModelPlace::Body(span_of(body, value))))
}

/// Decodes a member that may be absent or null.
fn optional<'a, T: Deserialize<'a>>(value: Option<&'a RawValue>) -> Result<Option<T>, ()> {
    value.map_or(Ok(None), |value| serde_json::from_str(value.get()).map_err(|_| ()))
}

/// Left to the provider to refuse where it is no tier.
fn service_tier(value: Option<&RawValue>) -> ServiceTier {
    let word = value.map(|value| value.get().trim_matches('"'));
    word.map(ServiceTier::from_word).unwrap_or_default()
}

fn boolean(name: &'static str, value: Option<&RawValue>) -> Result<bool, RequestError> {
    let flag = optional::<bool>(value).map_err(|()| {
        RequestError::field(name, format!("\"{name}\" must be true or false, without quotes"))
    })?;
    Ok(flag.unwrap_or(false))
}

fn tokens(name: &'static str, value: Option<&RawValue>) -> Result<Option<u64>, RequestError> {
    optional::<u64>(value).map_err(|()| {
        let message = format!("\"{name}\" must be a whole number of tokens, for example 1024");
        RequestError::field(name, message)
    })
}

fn choices(name: &'static str, value: Option<&RawValue>) -> Result<Option<u64>, RequestError> {
    let n = optional::<u64>(value).ok();
    n.filter(|n| n.is_none_or(|n| (1..=MAX_CHOICES).contains(&n))).ok_or_else(|| {
        let message = format!("\"{name}\" must be a number from 1 to {MAX_CHOICES}");
        RequestError::field(name, message)
    })
}

/// Left to the provider to refuse when malformed: the proxy decides nothing by it.
fn wants_usage(value: &RawValue) -> bool {
    #[derive(Deserialize)]
    struct StreamOptions {
        include_usage: Option<bool>,
    }
    serde_json::from_str::<StreamOptions>(value.get())
        .is_ok_and(|options| options.include_usage == Some(true))
}

fn user(found: &Found<'_>) -> Option<String> {
    #[derive(Deserialize)]
    struct Metadata {
        user_id: Option<String>,
    }
    let text = |value: Option<&RawValue>| optional::<String>(value).ok().flatten();
    let from_metadata = || optional::<Metadata>(found.metadata).ok().flatten()?.user_id;
    text(found.user)
        .or_else(|| text(found.safety_identifier))
        .or_else(from_metadata)
        .filter(|user| !user.is_empty())
}

#[cfg(test)]
mod tests;
