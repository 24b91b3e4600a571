//! A single pass over the bytes of an answer that finds what the gateway meters, without parsing it:
//! the hot path of streams. It does not validate; what it flags is parsed by the dialect's types.

use super::members::end_of_string;

/// What one JSON object of an answer holds. Borrowed texts are raw: escapes are not decoded.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Scan<'a> {
    /// Raw bytes of generated text: content, reasoning, refusals, tool arguments.
    pub content_bytes: u64,
    /// A top-level `error` that says something: an object, or a text that is not empty. Or the object is
    /// one itself: its `object` is `error` (Mistral, vLLM). Or one of its `choices` is none: it has an
    /// `error` object (OpenRouter), or its `finish_reason` is `error` (Mistral, OpenRouter).
    pub error: bool,
    /// The top-level `usage` (Gemini: `usageMetadata`), if it is an object.
    pub usage: Option<&'a [u8]>,
    /// The top-level `x_groq`, in which Groq reports usage, if it is an object.
    pub x_groq: Option<&'a [u8]>,
    /// The top-level `service_tier`, if it is a text.
    pub service_tier: Option<&'a [u8]>,
    /// `choices` is an empty list.
    pub no_choices: bool,
    /// The top-level `type`.
    pub kind: Option<&'a [u8]>,
    /// The top-level `model` (Gemini: `modelVersion`).
    pub model: Option<&'a [u8]>,
    /// The last `finish_reason` or `stop_reason` (Gemini: `finishReason`, `blockReason`) that is a
    /// text.
    pub finish_reason: Option<&'a [u8]>,
    /// The top-level `status`, by which an answer of Responses says how it ended.
    pub status: Option<&'a [u8]>,
    /// Every bracket and string is closed, and nothing but white space follows.
    pub complete: bool,
    /// Reading is inside the top-level `choices`.
    in_choices: bool,
}

/// Scans one JSON object.
pub fn scan(json: &[u8]) -> Scan<'_> {
    let mut found = Scan::default();
    let (mut depth, mut at) = (0_usize, 0_usize);
    let mut closed_at = None;
    while let Some(&byte) = json.get(at) {
        at += 1;
        match byte {
            b'{' | b'[' => depth += 1,
            b'}' | b']' => {
                depth = depth.saturating_sub(1);
                if depth == 0 {
                    closed_at = closed_at.or(Some(at));
                }
            }
            b'"' => {
                let end = end_of_string(json, at);
                let name = json.get(at..end.saturating_sub(1)).unwrap_or_default();
                at = end;
                if let Some(value) = value_after(json, end) {
                    at = found.member(depth, name, json, value);
                }
            }
            _ => {}
        }
    }
    let rest = closed_at.and_then(|at| json.get(at..));
    found.complete = rest.is_some_and(|rest| rest.trim_ascii().is_empty());
    found
}

/// The offset of a member's value, if a colon follows `at`.
fn value_after(json: &[u8], at: usize) -> Option<usize> {
    let colon = skip_space(json, at);
    (json.get(colon) == Some(&b':')).then(|| skip_space(json, colon + 1))
}

fn skip_space(json: &[u8], mut at: usize) -> usize {
    while json.get(at).is_some_and(u8::is_ascii_whitespace) {
        at += 1;
    }
    at
}

impl<'a> Scan<'a> {
    /// Whether there may be counts of tokens.
    pub fn has_usage(&self) -> bool {
        self.usage.is_some() || self.x_groq.is_some()
    }

    /// Notes a member whose value starts at `value`; returns where to read on.
    fn member(&mut self, depth: usize, name: &[u8], json: &'a [u8], value: usize) -> usize {
        let first = json.get(value).copied().unwrap_or_default();
        if depth == 1 {
            self.in_choices = name == b"choices";
        }
        let of_choice = self.in_choices && depth == 3;
        match name {
            b"content" | b"text" | b"arguments" | b"partial_json" | b"thinking" | b"refusal"
            | b"reasoning_content" | b"reasoning" | b"name" | b"input" | b"args" | b"delta" => {
                return self.content(name, json, value, first);
            }
            b"finish_reason" | b"stop_reason" | b"finishReason" | b"blockReason"
                if first == b'"' =>
            {
                let (text, end) = string_at(json, value);
                self.error |= of_choice && name == b"finish_reason" && text == b"error";
                if !text.is_empty() {
                    self.finish_reason = Some(text);
                }
                return end;
            }
            b"usage" | b"usageMetadata" | b"x_groq" if depth == 1 => {
                let end = if first == b'{' { end_of_object(json, value) } else { value };
                let object = json.get(value..end).filter(|object| !object.is_empty());
                match name {
                    b"x_groq" => self.x_groq = object,
                    _ => self.usage = object,
                }
                return end;
            }
            b"error" if depth == 1 => {
                self.error |=
                    first == b'{' || (first == b'"' && json.get(value + 1) != Some(&b'"'));
            }
            b"error" if of_choice => self.error |= first == b'{',
            b"object" if depth == 1 && first == b'"' => {
                let (text, end) = string_at(json, value);
                self.error |= text == b"error";
                return end;
            }
            b"choices" if depth == 1 => {
                self.no_choices =
                    first == b'[' && json.get(skip_space(json, value + 1)) == Some(&b']');
            }
            b"type" | b"model" | b"status" | b"modelVersion" | b"service_tier"
                if depth == 1 && first == b'"' =>
            {
                let (text, end) = string_at(json, value);
                let slot = match name {
                    b"type" => &mut self.kind,
                    b"status" => &mut self.status,
                    b"service_tier" => &mut self.service_tier,
                    _ => &mut self.model,
                };
                *slot = Some(text);
                return end;
            }
            _ => {}
        }
        value
    }

    fn content(&mut self, name: &[u8], json: &'a [u8], value: usize, first: u8) -> usize {
        let end = match (first, name) {
            (b'"', _) => {
                let (text, end) = string_at(json, value);
                self.content_bytes += text.len() as u64;
                return end;
            }
            // Tool arguments as an object count as a whole; names inside them mean nothing.
            (b'{', b"input" | b"arguments" | b"args") => end_of_object(json, value),
            _ => return value,
        };
        // An empty object is how Anthropic opens a tool call, not content yet.
        if end - value > 2 {
            self.content_bytes += (end - value) as u64;
        }
        end
    }
}

/// The raw content of the string literal that starts at `at`, and the offset after it.
fn string_at(json: &[u8], at: usize) -> (&[u8], usize) {
    let end = end_of_string(json, at + 1);
    (json.get(at + 1..end.saturating_sub(1)).unwrap_or_default(), end)
}

fn end_of_object(json: &[u8], from: usize) -> usize {
    let (mut depth, mut at) = (0_usize, from);
    while let Some(&byte) = json.get(at) {
        at += 1;
        match byte {
            b'"' => at = end_of_string(json, at),
            b'{' | b'[' => depth += 1,
            b'}' | b']' => {
                depth = depth.saturating_sub(1);
                if depth == 0 {
                    return at;
                }
            }
            _ => {}
        }
    }
    json.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_content_chunk_is_measured() {
        let chunk = br#"{"id":"c","model":"m-1","choices":[{"index":0,"delta":{"content":"He\"y"},"finish_reason":null}],"usage":null}"#;
        let found = scan(chunk);
        assert_eq!(found.content_bytes, 5);
        assert_eq!(found.model, Some(&b"m-1"[..]));
        assert!(!found.has_usage() && !found.error && !found.no_choices);
        assert_eq!(found.finish_reason, None);
    }

    #[test]
    fn usage_and_empty_choices_are_seen_with_spaces() {
        let found = scan(br#"{ "choices" : [ ] , "usage" : { "prompt_tokens" : 1 } }"#);
        assert_eq!(found.usage, Some(&br#"{ "prompt_tokens" : 1 }"#[..]));
        assert!(found.no_choices);
    }

    #[test]
    fn names_inside_strings_and_arguments_mean_nothing() {
        let found = scan(
            br#"{"choices":[{"delta":{"tool_calls":[{"function":{"arguments":"{\"usage\":{},\"error\":1}"}}]}}]}"#,
        );
        assert!(!found.has_usage() && !found.error);
        assert_eq!(found.content_bytes, 26);
        let whole = scan(br#"{"content":[{"type":"tool_use","input":{"text":"abc","error":{}}}]}"#);
        assert_eq!(whole.content_bytes, 25);
    }

    #[test]
    fn an_error_that_says_nothing_is_none() {
        for quiet in ["null", "false", "\"\""] {
            assert!(!scan(format!("{{\"error\":{quiet}}}").as_bytes()).error, "{quiet}");
        }
        assert!(scan(br#"{"error": "boom"}"#).error && scan(br#"{"error":{}}"#).error);
        assert!(scan(br#"{"object":"error","message":"boom","error":null}"#).error);
        assert!(!scan(br#"{"object":"chat.completion","x":{"object":"error"}}"#).error);
    }

    #[test]
    fn a_choice_that_failed_is_an_error() {
        let failed = [
            r#"{"choices":[{"delta":{"content":"a"},"finish_reason":"error"}]}"#,
            r#"{"choices":[{"finish_reason":"stop"},{"message":{},"error":{"code":502}}],"usage":{}}"#,
        ];
        for text in failed {
            assert!(scan(text.as_bytes()).error, "{text}");
        }
        let fine = [
            r#"{"choices":[{"error":null,"finish_reason":"stop"}],"usage":{}}"#,
            r#"{"choices":[{"content_filter_results":{"error":{"code":"x"}},"finish_reason":"stop"}]}"#,
            r#"{"choices":[{"finish_reason":"stop"}],"x":[{"finish_reason":"error","error":{}}]}"#,
        ];
        for text in fine {
            assert!(!scan(text.as_bytes()).error, "{text}");
        }
    }

    #[test]
    fn a_document_is_complete_at_no_cut_but_the_last() {
        let whole = br#"{"a":{"b":["}",1]},"content":[{"text":"x\"}"}],"input":{"c":{}}}"#;
        for cut in 0..whole.len() {
            assert!(!scan(&whole[..cut]).complete, "cut at {cut}");
        }
        assert!(scan(whole).complete);
        assert!(scan(&[whole, &b" \r\n"[..]].concat()).complete);
        assert!(!scan(&[&whole[..], b"x"].concat()).complete);
        assert!(!scan(&[&whole[..], whole].concat()).complete);
    }

    #[test]
    fn truncated_input_ends_quietly() {
        for text in [&b"{\"a"[..], b"{\"content\":\"x", b"{\"error\":", b"\"", b"{\"content\":\"\\"]
        {
            let _ = scan(text);
        }
    }
}
