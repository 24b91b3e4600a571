//! Reads a provider's error, whatever its shape, into the neutral form. The provider's message is
//! kept, bounded; HTML is never repeated.

use std::borrow::Cow;

use http::StatusCode;
use serde_json::{Map, Value};

use super::{ApiError, ErrorKind};

/// The longest provider message that is passed on, in bytes.
const MAX_MESSAGE: usize = 2048;
/// The longest code that is passed on, in bytes.
const MAX_CODE: usize = 64;
/// Bodies above this are not parsed for a message.
const MAX_BODY: usize = 1 << 20;

/// Reads an error of no dialect in particular.
///
/// Understands `{"error": {...}}`, `{"error": "..."}`, flat `{"message"}` (vLLM, Mistral, Cohere),
/// `{"detail"}` (FastAPI), an answer with a choice that failed (OpenRouter, Mistral), plain text, HTML
/// and nothing.
pub fn decode(status: StatusCode, body: &[u8]) -> ApiError {
    let parsed = (body.len() <= MAX_BODY).then(|| serde_json::from_slice::<Value>(body).ok());
    match parsed.flatten() {
        Some(value) => build(status, details(&value)),
        None => build(status, Details { message: plain_text(body), ..Details::default() }),
    }
}

#[derive(Default)]
struct Details {
    message: Option<String>,
    kind: Option<String>,
    code: Option<String>,
    param: Option<String>,
    status: Option<StatusCode>,
}

fn details(value: &Value) -> Details {
    match value {
        Value::Array(list) => list.first().map(details).unwrap_or_default(),
        Value::String(text) => {
            Details { message: plain_text(text.as_bytes()), ..Details::default() }
        }
        Value::Object(object) => match object.get("error") {
            Some(Value::Object(inner)) => fields(inner),
            Some(Value::String(text)) => {
                let mut flat = fields(object);
                flat.message = flat.message.or_else(|| plain_text(text.as_bytes()));
                flat
            }
            _ => failed_choice(object).unwrap_or_else(|| fields(object)),
        },
        _ => Details::default(),
    }
}

/// What is wrong with the first choice that is none.
fn failed_choice(answer: &Map<String, Value>) -> Option<Details> {
    let choices = answer.get("choices")?.as_array()?;
    choices.iter().find_map(|choice| match choice.get("error") {
        Some(Value::Object(error)) => Some(fields(error)),
        _ if choice.get("finish_reason")? == "error" => Some(Details {
            message: Some("the model stopped with finish_reason \"error\"".to_owned()),
            ..Details::default()
        }),
        _ => None,
    })
}

fn fields(object: &Map<String, Value>) -> Details {
    let message = object.get("message").or_else(|| object.get("detail")).and_then(|value| {
        let text = match value {
            Value::Null => return None,
            Value::String(text) => Cow::Borrowed(text.as_str()),
            other => Cow::Owned(other.to_string()),
        };
        plain_text(text.as_bytes())
    });
    let word = |name: &str| object.get(name).and_then(Value::as_str).map(str::to_owned);
    let code = object.get("code");
    Details {
        message,
        kind: word("type").or_else(|| word("status")),
        code: code.and_then(Value::as_str).filter(|code| is_code(code)).map(str::to_owned),
        param: word("param").filter(|param| param.len() <= MAX_CODE),
        status: code.and_then(numeric_status),
    }
}

/// Gemini, vLLM and OpenRouter put the HTTP status into `code`.
fn numeric_status(code: &Value) -> Option<StatusCode> {
    let number = code.as_u64().or_else(|| code.as_str()?.parse().ok())?;
    let status = StatusCode::from_u16(u16::try_from(number).ok()?).ok()?;
    (400..600).contains(&status.as_u16()).then_some(status)
}

fn is_code(code: &str) -> bool {
    !code.is_empty()
        && code.len() <= MAX_CODE
        && code.starts_with(|c: char| c.is_ascii_alphabetic())
        && code.bytes().all(|b| b.is_ascii_alphanumeric() || b"_-.".contains(&b))
}

/// Text fit to be repeated: not empty, not HTML, bounded.
fn plain_text(bytes: &[u8]) -> Option<String> {
    let window = bytes.get(..bytes.len().min(MAX_MESSAGE))?;
    let text = String::from_utf8_lossy(window);
    let text = text.trim_end_matches('\u{fffd}').trim();
    if text.is_empty() || text.starts_with('<') {
        return None;
    }
    let ellipsis = if bytes.len() > MAX_MESSAGE { "..." } else { "" };
    Some(format!("{text}{ellipsis}"))
}

/// What the words of an error stand for. The code is the finer one: OpenAI says `invalid_request_error`
/// of a wrong key, and gives the limit that was reached (`tokens`, `requests`) for the type.
fn named(details: &Details) -> Option<(ErrorKind, u16)> {
    let by = |word: &Option<String>| word.as_deref().and_then(ErrorKind::from_type);
    by(&details.code).or_else(|| by(&details.kind))
}

fn build(status: StatusCode, details: Details) -> ApiError {
    let named = named(&details);
    let status = if status.is_client_error() || status.is_server_error() {
        status
    } else {
        let by_type = named.and_then(|(_, code)| StatusCode::from_u16(code).ok());
        details.status.or(by_type).unwrap_or(StatusCode::BAD_GATEWAY)
    };
    let kind = ErrorKind::from_status(status);
    let code = details.code.map_or(Cow::Borrowed(kind.default_code()), Cow::Owned);
    let message = details.message.unwrap_or_else(|| {
        format!("the provider answered HTTP {} without a readable message", status.as_u16())
    });
    ApiError { param: details.param, ..ApiError::new(status, kind, code, message) }
}
