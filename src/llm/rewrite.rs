//! What a target changes in a request before it is sent: the model, parameters of the route, and
//! the wish for usage. Members that are not named keep their bytes.

use std::borrow::Cow;
use std::ops::Range;

use bytes::Bytes;
use serde_json::{Map, Value};

use super::error::RequestError;
use super::members::{Member, Members};
use super::peek::{Bounds, Peek};

/// Members that the gateway itself depends on; `parameters` cannot touch them.
const RESERVED: [&str; 2] = ["model", "stream"];
/// Two names of one parameter: a request may carry only one of them.
const MAX_TOKENS: [&str; 2] = ["max_completion_tokens", "max_tokens"];

/// `AIRoute.spec.rules[].targets[].parameters`: top-level members of the request body, named as in
/// the dialect of the caller. `model` and `stream` are left alone.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Parameters {
    /// Written whatever the client sent.
    pub set: Map<String, Value>,
    /// Written only where the client sent nothing (absent or null).
    pub default: Map<String, Value>,
    /// Taken out.
    pub remove: Vec<String>,
}

impl Parameters {
    /// Whether nothing would change.
    pub fn is_empty(&self) -> bool {
        self.set.is_empty() && self.default.is_empty() && self.remove.is_empty()
    }

    /// The bound on generated tokens that is sent, as [`Peek::max_output_tokens`]; `None` if none is.
    pub fn max_output_tokens(&self, peek: &Peek) -> Option<u64> {
        let Bounds { max_completion_tokens, max_tokens, n: _ } = peek.bounds;
        self.sent(&MAX_TOKENS, [max_completion_tokens, max_tokens])
    }

    /// The number of answers that is sent, at least 1.
    pub fn choices(&self, peek: &Peek) -> u64 {
        self.sent(&["n"], [peek.bounds.n]).unwrap_or(1).max(1)
    }

    /// What becomes of a number that has these names, of which `given` is what the client wrote for
    /// each. Must mirror [`apply_parameters`].
    fn sent<const N: usize>(&self, names: &[&str; N], given: [Option<u64>; N]) -> Option<u64> {
        let is_named = |name: &str| names.contains(&name);
        if let Some((_, set)) = self.set.iter().rfind(|(name, _)| is_named(name)) {
            return set.as_u64();
        }
        let removed = |name: &str| self.remove.iter().any(|removed| removed == name);
        let kept = names.iter().zip(given).filter(|(name, _)| !removed(name));
        let default = || {
            let mut defaults = self.default.iter().filter(|(name, _)| is_named(name));
            defaults.find(|(_, value)| !value.is_null())?.1.as_u64()
        };
        kept.filter_map(|(_, value)| value).max().or_else(default)
    }

    /// Whether the client's member `name` stays.
    fn keeps(&self, name: &str) -> bool {
        if RESERVED.contains(&name) {
            return true;
        }
        !self.set.keys().any(|set| same_parameter(set, name))
            && !self.remove.iter().any(|removed| removed == name)
    }
}

/// What one target changes in a request.
#[derive(Debug, Clone, Copy)]
pub struct Rewrite<'a> {
    /// The model's name at the provider.
    pub model: &'a str,
    /// The target's parameters.
    pub parameters: Option<&'a Parameters>,
    /// The bound on generated tokens for a dialect that requires one: the catalogue's
    /// `maxOutputTokens`. `None`: 4096.
    pub default_max_tokens: Option<u64>,
}

fn same_parameter(a: &str, b: &str) -> bool {
    a == b || (MAX_TOKENS.contains(&a) && MAX_TOKENS.contains(&b))
}

/// Applies `parameters` to a body; `None` if there is nothing to apply.
pub(crate) fn apply_parameters(
    body: &[u8],
    parameters: Option<&Parameters>,
) -> Result<Option<Bytes>, RequestError> {
    let Some(parameters) = parameters.filter(|parameters| !parameters.is_empty()) else {
        return Ok(None);
    };
    let Members(members) = Members::parse(body)?;
    let mut kept: Vec<(Cow<'_, str>, Cow<'_, str>)> = members
        .into_iter()
        .filter(|member| parameters.keeps(&member.name))
        .map(|Member { name, value }| (name, Cow::Borrowed(value.get())))
        .collect();
    for (name, value) in &parameters.default {
        let given = |(kept, value): &(Cow<'_, str>, Cow<'_, str>)| {
            same_parameter(kept, name) && value != "null"
        };
        if !RESERVED.contains(&name.as_str()) && !kept.iter().any(given) {
            kept.retain(|(kept, _)| !same_parameter(kept, name));
            kept.push((Cow::Borrowed(name), Cow::Owned(value.to_string())));
        }
    }
    for (name, value) in &parameters.set {
        if !RESERVED.contains(&name.as_str()) {
            kept.retain(|(kept, _)| !same_parameter(kept, name));
            kept.push((Cow::Borrowed(name), Cow::Owned(value.to_string())));
        }
    }
    Ok(Some(write_members(body.len(), &kept)))
}

fn write_members(size_hint: usize, members: &[(Cow<'_, str>, Cow<'_, str>)]) -> Bytes {
    let mut body = String::with_capacity(size_hint + 256);
    body.push('{');
    for (at, (name, value)) in members.iter().enumerate() {
        if at > 0 {
            body.push(',');
        }
        body.push_str(&json_string(name));
        body.push(':');
        body.push_str(value);
    }
    body.push('}');
    Bytes::from(body)
}

fn json_string(text: &str) -> String {
    Value::from(text).to_string()
}

/// Puts `model` in place of the client's and, with `want_usage`, asks for usage in the stream; all
/// other bytes stay. Copies nothing when nothing changes.
pub(crate) fn splice(body: &Bytes, peek: &Peek, model: &str, want_usage: bool) -> Bytes {
    let mut edits: Vec<(Range<usize>, String)> = Vec::new();
    if peek.model != model {
        edits.push((peek.model_span.clone(), json_string(model)));
    }
    if want_usage && !peek.include_usage {
        edits.push(match &peek.stream_options_span {
            Some(span) => (span.clone(), with_usage(body.get(span.clone()).unwrap_or_default())),
            None => {
                let member = r#""stream_options":{"include_usage":true},"#.to_owned();
                (peek.insert_at..peek.insert_at, member)
            }
        });
    }
    if edits.is_empty() {
        return body.clone();
    }
    edits.sort_by_key(|(span, _)| span.start);
    let mut spliced = Vec::with_capacity(body.len() + 64);
    let mut at = 0;
    for (span, text) in edits {
        spliced.extend_from_slice(body.get(at..span.start).unwrap_or_default());
        spliced.extend_from_slice(text.as_bytes());
        at = span.end;
    }
    spliced.extend_from_slice(body.get(at..).unwrap_or_default());
    Bytes::from(spliced)
}

/// The client's `stream_options` with `include_usage` switched on.
fn with_usage(options: &[u8]) -> String {
    let mut options = serde_json::from_slice::<Map<String, Value>>(options).unwrap_or_default();
    options.insert("include_usage".to_owned(), Value::Bool(true));
    Value::Object(options).to_string()
}

#[cfg(test)]
mod tests;
