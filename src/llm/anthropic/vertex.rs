//! Claude on Vertex AI: Messages, with the model in the path and the version in the body.
//!
//! Source: Vertex AI, "Claude request"; anthropic, `lib/vertex/_client.py`.

use bytes::Bytes;
use serde_json::json;

use crate::llm::error::RequestError;
use crate::llm::members::Members;

/// What Vertex AI calls the version of Messages.
const VERSION: &str = "vertex-2023-10-16";

/// The path after the location's: `model` as Vertex AI names it, fit for a path.
pub fn path(model: &str, stream: bool) -> String {
    let method = if stream { "streamRawPredict" } else { "rawPredict" };
    format!("/publishers/anthropic/models/{model}:{method}")
}

/// The body of a request of Messages as Vertex AI takes it. All other members keep their bytes.
///
/// # Errors
/// [`RequestError`] if it is not a JSON object.
pub fn body(messages: &[u8]) -> Result<Bytes, RequestError> {
    let Members(members) = Members::parse(messages)?;
    let mut body = format!("{{\"anthropic_version\":\"{VERSION}\"");
    for member in members {
        if matches!(&*member.name, "model" | "anthropic_version") {
            continue;
        }
        body.push(',');
        body.push_str(&json!(member.name).to_string());
        body.push(':');
        body.push_str(member.value.get());
    }
    body.push('}');
    Ok(Bytes::from(body))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_model_moves_to_the_path_and_the_version_into_the_body() {
        let messages = br#"{"model": "claude", "max_tokens": 5, "x\"y": [1.50], "stream": true}"#;
        let expected = r#"{"anthropic_version":"vertex-2023-10-16","max_tokens":5,"x\"y":[1.50],"stream":true}"#;
        assert_eq!(body(messages).unwrap(), expected);
        assert_eq!(body(b"{}").unwrap(), r#"{"anthropic_version":"vertex-2023-10-16"}"#);
        assert!(body(b"[]").is_err());
        let model = "claude-sonnet-4-5@20250929";
        assert_eq!(
            path(model, true),
            "/publishers/anthropic/models/claude-sonnet-4-5@20250929:streamRawPredict"
        );
        assert!(path(model, false).ends_with(":rawPredict"));
    }
}
