//! One borrowed look at a request body: what the proxy must know to route, budget and rewrite it.
//! Everything else stays as it came; no value tree is built and nothing is translated here.

use std::ops::Range;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::Endpoint;
use super::error::RequestError;
use super::members::{Member, Members, span_of};

/// The most choices one request may ask for (OpenAI's own bound for `n`).
const MAX_CHOICES: u64 = 128;

/// What a request asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Peek {
    /// The model as the client named it.
    pub model: String,
    /// Where the model's JSON string literal lies in the body, quotes included.
    pub model_span: Range<usize>,
    /// Whether the answer is to be streamed.
    pub stream: bool,
    /// Whether the client asked for usage in the stream (`stream_options.include_usage`).
    pub include_usage: bool,
    /// Where the value of `stream_options` lies in the body, if it is there.
    pub stream_options_span: Option<Range<usize>>,
    /// How many answers are asked for (`n`), at least 1.
    pub choices: u32,
    /// The bound on generated tokens: the larger of `max_completion_tokens` and `max_tokens`.
    pub max_output_tokens: Option<u64>,
    /// The end user: `user`, else `safety_identifier`, else `metadata.user_id`.
    pub user: Option<String>,
    /// The members that bound what is generated, each as the client wrote it.
    pub(crate) bounds: Bounds,
    /// Offset just after the body's opening brace, where a member may be inserted.
    pub(crate) insert_at: usize,
}

/// What bounds the generated tokens of a request; `None` for what is absent or null.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Bounds {
    /// `max_completion_tokens`.
    pub max_completion_tokens: Option<u64>,
    /// `max_tokens`.
    pub max_tokens: Option<u64>,
    /// `n`.
    pub n: Option<u64>,
}

/// The members that are read; the rest is skipped.
#[derive(Default)]
struct Found<'a> {
    model: Option<&'a RawValue>,
    stream: Option<&'a RawValue>,
    stream_options: Option<&'a RawValue>,
    n: Option<&'a RawValue>,
    max_completion_tokens: Option<&'a RawValue>,
    max_tokens: Option<&'a RawValue>,
    user: Option<&'a RawValue>,
    safety_identifier: Option<&'a RawValue>,
    metadata: Option<&'a RawValue>,
}

impl<'a> Found<'a> {
    fn collect(members: Vec<Member<'a>>) -> Result<Self, RequestError> {
        let mut found = Self::default();
        for Member { name, value } in members {
            let slot = match &*name {
                "model" => &mut found.model,
                "stream" => &mut found.stream,
                "stream_options" => &mut found.stream_options,
                "n" => &mut found.n,
                "max_completion_tokens" => &mut found.max_completion_tokens,
                "max_tokens" => &mut found.max_tokens,
                "user" => &mut found.user,
                "safety_identifier" => &mut found.safety_identifier,
                "metadata" => &mut found.metadata,
                _ => continue,
            };
            // Two readers of one body must not see two different requests.
            if slot.replace(value).is_some() {
                let message = format!("\"{name}\" is given more than once: write it once");
                return Err(RequestError::field(name.into_owned(), message));
            }
        }
        Ok(found)
    }
}

/// Reads what the proxy needs from a request body.
///
/// # Errors
/// [`RequestError`] if the body is not a JSON object, is nested too deep, names no model, or a field
/// read here has the wrong type or is given twice; its text says what to write instead.
pub fn peek(endpoint: Endpoint, body: &[u8]) -> Result<Peek, RequestError> {
    let Members(members) = Members::parse(body)?;
    let found = Found::collect(members)?;
    let (model, model_span) = model(endpoint, body, found.model)?;
    let bounds = Bounds {
        max_completion_tokens: tokens("max_completion_tokens", found.max_completion_tokens)?,
        max_tokens: tokens("max_tokens", found.max_tokens)?,
        n: choices(found.n)?,
    };
    let insert_at = memchr::memchr(b'{', body).map_or(0, |brace| brace + 1);
    Ok(Peek {
        model,
        model_span,
        stream: boolean("stream", found.stream)?,
        include_usage: found.stream_options.is_some_and(wants_usage),
        stream_options_span: found.stream_options.map(|value| span_of(body, value)),
        choices: bounds.n.and_then(|n| u32::try_from(n).ok()).unwrap_or(1),
        // Providers differ in which of the two they obey, and a budget reserves by it.
        max_output_tokens: bounds.max_completion_tokens.max(bounds.max_tokens),
        user: user(&found),
        bounds,
        insert_at,
    })
}

fn model(
    endpoint: Endpoint,
    body: &[u8],
    value: Option<&RawValue>,
) -> Result<(String, Range<usize>), RequestError> {
    let example = match endpoint {
        Endpoint::ChatCompletions => "gpt-5-mini",
        Endpoint::Embeddings => "text-embedding-3-small",
        Endpoint::Messages => "claude-sonnet-5",
    };
    let wrong = |what: &str| {
        let message = format!("\"model\" {what}, for example \"model\": \"{example}\"");
        RequestError::field("model", message)
    };
    let value = value.ok_or_else(|| wrong("is missing: name the model"))?;
    let model: String = serde_json::from_str(value.get())
        .map_err(|_| wrong("must be a string: name the model in quotes"))?;
    if model.is_empty() {
        return Err(wrong("is empty: name the model"));
    }
    Ok((model, span_of(body, value)))
}

/// Decodes a member that may be absent or null.
fn optional<'a, T: Deserialize<'a>>(value: Option<&'a RawValue>) -> Result<Option<T>, ()> {
    value.map_or(Ok(None), |value| serde_json::from_str(value.get()).map_err(|_| ()))
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

fn choices(value: Option<&RawValue>) -> Result<Option<u64>, RequestError> {
    let n = optional::<u64>(value).ok();
    n.filter(|n| n.is_none_or(|n| (1..=MAX_CHOICES).contains(&n))).ok_or_else(|| {
        RequestError::field("n", format!("\"n\" must be a number from 1 to {MAX_CHOICES}"))
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
