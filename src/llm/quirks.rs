//! In what a provider that speaks OpenAI's dialect differs from OpenAI, as data; and the edit of a
//! request that follows from it. A set without quirks costs a request nothing.

use std::borrow::Cow;
use std::ops::Range;

use bytes::Bytes;
use memchr::memmem;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::error::RequestError;
use super::members::{Member, Members, span_of};
use super::rewrite::write_members;

/// Members of Mistral's chat request and of its embeddings request; others are refused (422
/// `extra_forbidden`). From the request types of Mistral's SDK.
const MISTRAL: &[&str] = &[
    "frequency_penalty",
    "guardrails",
    "logprobs",
    "max_tokens",
    "messages",
    "metadata",
    "min_tokens",
    "model",
    "n",
    "parallel_tool_calls",
    "prediction",
    "presence_penalty",
    "prompt_cache_key",
    "prompt_logprobs",
    "prompt_mode",
    "random_seed",
    "reasoning_effort",
    "repetition_penalty",
    "response_format",
    "safe_prompt",
    "stop",
    "stream",
    "temperature",
    "tool_choice",
    "tools",
    "top_k",
    "top_logprobs",
    "top_p",
    "encoding_format",
    "input",
    "output_dimension",
    "output_dtype",
];

/// In what a provider differs.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Quirks {
    /// Knows `max_tokens` only, not `max_completion_tokens`.
    pub max_tokens: bool,
    /// Calls `seed` `random_seed`, and in embeddings `dimensions` `output_dimension`.
    pub mistral_names: bool,
    /// Knows no role `developer`.
    pub system_only: bool,
    /// Reports usage in every stream, and knows no `stream_options`.
    pub usage_unasked: bool,
    /// Takes ids of tool calls of 9 letters and digits only.
    pub nine_character_ids: bool,
    /// The members that a request may have; others are taken out and named in `x-sluice-dropped`.
    pub members: Option<&'static [&'static str]>,
    /// `completion_tokens` leaves reasoning out, also where no total shows it.
    pub reasoning_beside_output: bool,
}

impl Quirks {
    /// As OpenAI.
    pub const NONE: Self = Self {
        max_tokens: false,
        mistral_names: false,
        system_only: false,
        usage_unasked: false,
        nine_character_ids: false,
        members: None,
        reasoning_beside_output: false,
    };

    /// See [`Self::max_tokens`].
    pub const fn max_tokens(self) -> Self {
        Self { max_tokens: true, ..self }
    }

    /// See [`Self::mistral_names`].
    pub const fn mistral_names(self) -> Self {
        Self { mistral_names: true, ..self }
    }

    /// See [`Self::system_only`].
    pub const fn system_only(self) -> Self {
        Self { system_only: true, ..self }
    }

    /// See [`Self::usage_unasked`].
    pub const fn usage_unasked(self) -> Self {
        Self { usage_unasked: true, ..self }
    }

    /// See [`Self::nine_character_ids`].
    pub const fn nine_character_ids(self) -> Self {
        Self { nine_character_ids: true, ..self }
    }

    /// Takes only what Mistral's API takes.
    pub const fn mistral_members(self) -> Self {
        Self { members: Some(MISTRAL), ..self }
    }

    /// See [`Self::reasoning_beside_output`].
    pub const fn reasoning_beside_output(self) -> Self {
        Self { reasoning_beside_output: true, ..self }
    }

    /// The provider's name for a member, where it has another.
    fn name_of(self, member: &str) -> Option<&'static str> {
        match member {
            "max_completion_tokens" if self.max_tokens => Some("max_tokens"),
            "seed" if self.mistral_names => Some("random_seed"),
            "dimensions" if self.mistral_names => Some("output_dimension"),
            _ => None,
        }
    }

    /// Whether the text of a body shows anything that has to change: a cheap look that may err on
    /// the side of yes.
    fn may_change(self, body: &[u8]) -> bool {
        let has = |text: &[u8]| memmem::find(body, text).is_some();
        self.members.is_some()
            || (self.max_tokens && has(b"max_completion_tokens"))
            || (self.mistral_names && (has(b"\"seed\"") || has(b"\"dimensions\"")))
            || (self.system_only && has(b"\"developer\""))
            || (self.usage_unasked && has(b"\"stream_options\""))
            || (self.nine_character_ids && (has(b"\"tool_calls\"") || has(b"\"tool_call_id\"")))
    }

    /// Puts a request into the provider's form. What is left out goes to `dropped`; values that need
    /// no change keep their bytes, and a body that needs none is given back as it is.
    ///
    /// # Errors
    /// [`RequestError`] if the body is not a JSON object.
    pub(crate) fn adapt(
        self,
        body: Bytes,
        dropped: &mut Vec<String>,
    ) -> Result<Bytes, RequestError> {
        if self == Self::NONE || !self.may_change(&body) {
            return Ok(body);
        }
        let Members(members) = Members::parse(&body)?;
        let given = |name: &str| members.iter().any(|member| member.name == name);
        let mut changed = false;
        let mut kept: Vec<(Cow<'_, str>, Cow<'_, str>)> = Vec::with_capacity(members.len());
        for Member { name, value } in &members {
            let renamed = self.name_of(name);
            // Both names of one parameter: the one that the provider knows is kept.
            let is_second = renamed.is_some_and(given);
            let is_options = self.usage_unasked && name == "stream_options";
            let sent = renamed.unwrap_or(name.as_ref());
            let is_unknown = self.members.is_some_and(|known| !known.contains(&sent));
            if is_second || is_options || is_unknown {
                changed = true;
                if is_unknown && !is_options && value.get() != "null" {
                    dropped.push(name.clone().into_owned());
                }
                continue;
            }
            let messages = if sent == "messages" { self.messages(&body, value) } else { None };
            changed |= renamed.is_some() || messages.is_some();
            let value = messages.map_or(Cow::Borrowed(value.get()), Cow::Owned);
            let name = renamed.map_or_else(|| name.clone(), Cow::Borrowed);
            kept.push((name, value));
        }
        if !changed {
            return Ok(body);
        }
        dropped.sort_unstable();
        dropped.dedup();
        Ok(write_members(body.len(), &kept))
    }

    /// The messages with the provider's roles and ids; `None` if they stay as they are, also where
    /// they are no messages: the provider says that better.
    fn messages(self, body: &[u8], value: &RawValue) -> Option<String> {
        let mut edits = Vec::new();
        for message in serde_json::from_str::<Vec<&RawValue>>(value.get()).ok()? {
            self.message(body, message, &mut edits);
        }
        if edits.is_empty() {
            return None;
        }
        let start = span_of(body, value).start;
        let text = value.get();
        let (mut edited, mut at) = (String::with_capacity(text.len() + 16), 0);
        for (span, new) in edits {
            edited.push_str(text.get(at..span.start - start)?);
            edited.push_str(&new);
            at = span.end - start;
        }
        edited.push_str(text.get(at..)?);
        Some(edited)
    }

    /// Notes the edits of one message, in the order of the text.
    fn message(self, body: &[u8], message: &RawValue, edits: &mut Vec<(Range<usize>, String)>) {
        let Ok(Members(members)) = serde_json::from_str::<Members<'_>>(message.get()) else {
            return;
        };
        let mut shorten = |value: &RawValue| {
            if let Ok(id) = serde_json::from_str::<Cow<'_, str>>(value.get())
                && !is_nine_characters(&id)
            {
                edits.push((span_of(body, value), format!("\"{}\"", nine_characters(&id))));
            }
        };
        for Member { name, value } in &members {
            match &**name {
                "tool_call_id" if self.nine_character_ids => shorten(value),
                "tool_calls" if self.nine_character_ids => {
                    ids_of_calls(value).into_iter().for_each(&mut shorten);
                }
                _ => {}
            }
        }
        if self.system_only
            && let Some(role) = members.iter().find(|member| member.name == "role")
            && role.value.get() == "\"developer\""
        {
            edits.push((span_of(body, role.value), "\"system\"".to_owned()));
        }
        // A message has few edits, and only those of one message can be out of order.
        edits.sort_by_key(|(span, _)| span.start);
    }
}

fn ids_of_calls(calls: &RawValue) -> Vec<&RawValue> {
    #[derive(Deserialize)]
    struct Call<'a> {
        #[serde(borrow, default)]
        id: Option<&'a RawValue>,
    }
    let calls: Vec<Call<'_>> = serde_json::from_str(calls.get()).unwrap_or_default();
    calls.into_iter().filter_map(|call| call.id).collect()
}

fn is_nine_characters(id: &str) -> bool {
    id.len() == 9 && id.bytes().all(|byte| byte.is_ascii_alphanumeric())
}

/// The same 9 characters for the same id, in a call and in its result: 62^9 is about 2^53 values.
fn nine_characters(id: &str) -> String {
    const DIGITS: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    let mut rest = super::codec::fnv1a(id.as_bytes());
    let mut text = String::with_capacity(9);
    for _ in 0..9 {
        let digit = usize::try_from(rest % 62).unwrap_or_default();
        text.push(char::from(DIGITS.get(digit).copied().unwrap_or(b'0')));
        rest /= 62;
    }
    text
}

#[cfg(test)]
mod tests;
