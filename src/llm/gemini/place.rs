//! Where Gemini's requests name their model: in the path, and again inside some bodies.

use std::borrow::Cow;
use std::fmt::Write as _;

use serde_json::{Map, Value};

/// The path of a method of a model; `{model}` in `template` stands for the model.
pub fn path(template: &str, model: &str) -> String {
    let model = model.strip_prefix("models/").unwrap_or(model);
    template.replace("{model}", &segment(model))
}

/// A name as one segment of a path (RFC 3986, 3.3); `@` and `:` may stand in one.
fn segment(name: &str) -> Cow<'_, str> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~@".contains(&byte);
    if name.bytes().all(plain) && !matches!(name, "." | "..") {
        return name.into();
    }
    let mut encoded = String::with_capacity(name.len() + 8);
    for byte in name.bytes() {
        if plain(byte) && byte != b'.' {
            encoded.push(char::from(byte));
        } else {
            // Writing to a text cannot fail.
            let _ = write!(encoded, "%{byte:02X}");
        }
    }
    encoded.into()
}

/// Names the provider's model in a body that repeats it (`embedContent`, `batchEmbedContents`,
/// `countTokens`); `None`: it does not, or not in JSON.
pub fn rename(body: &[u8], model: &str) -> Option<Vec<u8>> {
    let mut body: Map<String, Value> = serde_json::from_slice(body).ok()?;
    let bare = model.strip_prefix("models/").unwrap_or(model);
    let name = Value::from(format!("models/{bare}"));
    let mut renamed = rename_in(&mut body, &name);
    for inner in ["generateContentRequest", "generate_content_request"] {
        if let Some(Value::Object(inner)) = body.get_mut(inner) {
            renamed |= rename_in(inner, &name);
        }
    }
    for request in body.get_mut("requests").and_then(Value::as_array_mut).into_iter().flatten() {
        if let Value::Object(request) = request {
            renamed |= rename_in(request, &name);
        }
    }
    renamed.then(|| Value::Object(body).to_string().into_bytes())
}

fn rename_in(object: &mut Map<String, Value>, name: &Value) -> bool {
    match object.get_mut("model") {
        Some(model) if model != name => {
            model.clone_from(name);
            true
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_model_is_one_segment() {
        let at = |model| path("/models/{model}:generateContent", model);
        assert_eq!(at("models/gemini-2.5-flash"), "/models/gemini-2.5-flash:generateContent");
        assert_eq!(at("a/../b?c"), "/models/a%2F%2E%2E%2Fb%3Fc:generateContent");
        assert_eq!(at(".."), "/models/%2E%2E:generateContent");
        assert_eq!(at("gemini-1.5-pro@001"), "/models/gemini-1.5-pro@001:generateContent");
    }

    #[test]
    fn a_model_inside_a_body_is_the_providers() {
        let renamed = |body: &str| {
            rename(body.as_bytes(), "served").map(|body| String::from_utf8(body).unwrap())
        };
        assert_eq!(
            renamed(r#"{"requests":[{"model":"models/alias","content":{}},{"content":{}}]}"#)
                .unwrap(),
            r#"{"requests":[{"content":{},"model":"models/served"},{"content":{}}]}"#
        );
        assert_eq!(
            renamed(r#"{"generateContentRequest":{"model":"models/alias"}}"#).unwrap(),
            r#"{"generateContentRequest":{"model":"models/served"}}"#
        );
        for same in [r#"{"model":"models/served"}"#, r#"{"contents":[]}"#, "[]"] {
            assert_eq!(renamed(same), None, "{same}");
        }
    }
}
