//! What a target changes in a request before it is sent: the model, parameters of the route, and
//! the wish for usage. Members that are not named keep their bytes.

use std::borrow::Cow;
use std::ops::Range;

use bytes::Bytes;
use serde_json::{Map, Value};

use super::endpoint::Endpoint;
use super::error::RequestError;
use super::members::{Member, Members, quoted};
use super::names::Names;
use super::peek::{ModelPlace, Peek};
use super::usage::ServiceTier;
use meaning::{Fitted, apply_inside, is_same, sent_inside};

mod form;
mod meaning;

pub(crate) use form::rewrite_form;

/// Members that the gateway itself depends on; `parameters` cannot touch them.
const RESERVED: [&str; 2] = ["model", "stream"];

/// `AIRoute.spec.rules[].targets[].parameters`: top-level members of the request body, named as in
/// the dialect of the caller; those that most dialects have under one name or another may be named as
/// in any. `model` and `stream` are left alone.
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
    pub fn max_output_tokens(&self, endpoint: Endpoint, peek: &Peek) -> Option<u64> {
        let names = endpoint.facts().names;
        Fitted::new(self, endpoint).sent(names, names.max_tokens, &peek.bounds.max_tokens)
    }

    /// The number of answers that is sent, at least 1.
    pub fn choices(&self, endpoint: Endpoint, peek: &Peek) -> u64 {
        let names = endpoint.facts().names;
        let choices = Fitted::new(self, endpoint).sent(names, names.choices, &peek.bounds.choices);
        peek.bounds.answers(&[choices])
    }

    /// The tier that is asked for in what is sent.
    pub fn service_tier(&self, peek: &Peek) -> ServiceTier {
        const NAME: &str = "service_tier";
        let tier = |value: &Value| value.as_str().map(ServiceTier::from_word).unwrap_or_default();
        match (self.set.get(NAME), self.default.get(NAME)) {
            (Some(set), _) => tier(set),
            // A default also stands in for `auto`, which is read as the usual tier: the dearer counts.
            (None, Some(default)) if peek.service_tier == ServiceTier::Standard => tier(default),
            _ if self.remove.iter().any(|removed| removed == NAME) => ServiceTier::Standard,
            _ => peek.service_tier,
        }
    }

    /// What becomes of a number that has these names, of which `given` is what the client wrote for
    /// each, before what is changed inside the object. Must mirror [`apply_parameters`].
    fn sent_on_top(&self, table: &Names, names: &[&str], given: &[Option<u64>]) -> Option<u64> {
        // The members of the request that it may stand in, and how it is found in one.
        let inside = !table.inside.is_empty();
        let members = if inside { table.inside } else { names };
        let number = |value: &Value| match inside {
            true => names.iter().filter_map(|name| value.get(name)?.as_u64()).max(),
            false => value.as_u64(),
        };
        let is_named = |name: &str| members.contains(&name);
        if let Some((_, set)) = self.set.iter().rfind(|(name, _)| is_named(name)) {
            return number(set);
        }
        let removed = |name: &str| self.remove.iter().any(|removed| removed == name);
        let kept = names.iter().zip(given).filter(|(name, _)| match inside {
            true => !table.inside.iter().any(|name| removed(name)),
            false => !removed(name),
        });
        let default = || {
            let mut defaults = self.default.iter().filter(|(name, _)| is_named(name));
            number(defaults.find(|(_, value)| !value.is_null())?.1)
        };
        kept.filter_map(|(_, value)| *value).max().or_else(default)
    }

    /// Whether the client's member `name` stays.
    fn keeps(&self, table: &Names, name: &str) -> bool {
        if RESERVED.contains(&name) {
            return true;
        }
        !self.set.keys().any(|set| is_same(table, set, name))
            && !self.remove.iter().any(|removed| removed == name)
    }
}

impl Fitted<'_> {
    /// What becomes of a number that has these names.
    fn sent(&self, table: &Names, names: &[&str], given: &[Option<u64>]) -> Option<u64> {
        sent_inside(&self.inside, names, self.top.sent_on_top(table, names, given))
    }
}

/// What one target changes in a request.
#[derive(Debug, Clone, Copy)]
pub struct Rewrite<'a> {
    /// The model's name at the provider.
    pub model: &'a str,
    /// The target's parameters.
    pub parameters: Option<&'a Parameters>,
    /// The bound on generated tokens for a dialect that requires one: what is known of the model.
    /// `None`: 4096.
    pub default_max_tokens: Option<u64>,
}

/// Applies `parameters` to a body; `None` if there is nothing to apply.
pub(crate) fn apply_parameters(
    endpoint: Endpoint,
    body: &[u8],
    parameters: Option<&Parameters>,
) -> Result<Option<Bytes>, RequestError> {
    let Some(parameters) = parameters.filter(|parameters| !parameters.is_empty()) else {
        return Ok(None);
    };
    let fitted = Fitted::new(parameters, endpoint);
    let parameters = &*fitted.top;
    let names = endpoint.facts().names;
    let Members(members) = Members::parse(body)?;
    let mut kept: Vec<(Cow<'_, str>, Cow<'_, str>)> = members
        .into_iter()
        .filter(|member| parameters.keeps(names, &member.name))
        .map(|Member { name, value }| (name, Cow::Borrowed(value.get())))
        .collect();
    for (name, value) in &parameters.default {
        let given = |(kept, value): &(Cow<'_, str>, Cow<'_, str>)| {
            is_same(names, kept, name) && value != "null"
        };
        if !RESERVED.contains(&name.as_str()) && !kept.iter().any(given) {
            kept.retain(|(kept, _)| !is_same(names, kept, name));
            kept.push((Cow::Borrowed(name), Cow::Owned(value.to_string())));
        }
    }
    for (name, value) in &parameters.set {
        if !RESERVED.contains(&name.as_str()) {
            kept.retain(|(kept, _)| !is_same(names, kept, name));
            kept.push((Cow::Borrowed(name), Cow::Owned(value.to_string())));
        }
    }
    let inside = names.inside;
    let at = kept.iter().position(|(name, _)| inside.contains(&name.as_ref()));
    let object = at.and_then(|at| kept.get_mut(at));
    let text = object.as_ref().map(|(_, value)| &**value);
    if let (Some(changed), Some(name)) = (apply_inside(text, &fitted.inside), inside.first()) {
        match object {
            Some((_, value)) => *value = Cow::Owned(changed),
            None => kept.push((Cow::Borrowed(*name), Cow::Owned(changed))),
        }
    }
    Ok(Some(write_members(body.len(), &kept)))
}

/// A JSON object of these members, whose values are JSON already.
pub(super) fn write_members(size_hint: usize, members: &[(Cow<'_, str>, Cow<'_, str>)]) -> Bytes {
    let mut body = String::with_capacity(size_hint + 256);
    body.push('{');
    for (at, (name, value)) in members.iter().enumerate() {
        if at > 0 {
            body.push(',');
        }
        body.push_str(&quoted(name));
        body.push(':');
        body.push_str(value);
    }
    body.push('}');
    Bytes::from(body)
}

/// Puts `model` in place of the client's and, with `want_usage`, asks for usage in the stream; all
/// other bytes stay. Copies nothing when nothing changes.
pub(crate) fn splice(body: &Bytes, peek: &Peek, model: &str, want_usage: bool) -> Bytes {
    let mut edits: Vec<(Range<usize>, String)> = Vec::new();
    match &peek.model_place {
        ModelPlace::Body(span) if peek.model != model => {
            edits.push((span.clone(), quoted(model)));
        }
        ModelPlace::Nowhere => {
            let member = insertion(body, peek, &format!("\"model\":{}", quoted(model)));
            edits.push((peek.insert_at..peek.insert_at, member));
        }
        ModelPlace::Body(_) | ModelPlace::Field(_) | ModelPlace::Path => {}
    }
    if want_usage && !peek.include_usage {
        edits.push(match &peek.stream_options_span {
            Some(span) => (span.clone(), with_usage(body.get(span.clone()).unwrap_or_default())),
            None => {
                let member = insertion(body, peek, r#""stream_options":{"include_usage":true}"#);
                (peek.insert_at..peek.insert_at, member)
            }
        });
    }
    if edits.is_empty() {
        return body.clone();
    }
    edits.sort_by_key(|(span, _)| span.start);
    edited(body, edits)
}

/// The body with a member more, which it must not have yet.
pub(crate) fn with_member(body: &Bytes, peek: &Peek, member: &str) -> Bytes {
    edited(body, vec![(peek.insert_at..peek.insert_at, insertion(body, peek, member))])
}

/// The body with these edits, which are in the order of the text.
fn edited(body: &Bytes, edits: Vec<(Range<usize>, String)>) -> Bytes {
    let added: usize = edits.iter().map(|(_, text)| text.len()).sum();
    let mut spliced = Vec::with_capacity(body.len() + added);
    let mut at = 0;
    for (span, text) in edits {
        spliced.extend_from_slice(body.get(at..span.start).unwrap_or_default());
        spliced.extend_from_slice(text.as_bytes());
        at = span.end;
    }
    spliced.extend_from_slice(body.get(at..).unwrap_or_default());
    Bytes::from(spliced)
}

/// A member as it is put before all others, of which there may be none.
fn insertion(body: &[u8], peek: &Peek, member: &str) -> String {
    let next = body.get(peek.insert_at..).unwrap_or_default().trim_ascii_start();
    let comma = if next.starts_with(b"}") { "" } else { "," };
    format!("{member}{comma}")
}

/// The client's `stream_options` with `include_usage` switched on.
fn with_usage(options: &[u8]) -> String {
    let mut options = serde_json::from_slice::<Map<String, Value>>(options).unwrap_or_default();
    options.insert("include_usage".to_owned(), Value::Bool(true));
    Value::Object(options).to_string()
}

#[cfg(test)]
mod tests;
