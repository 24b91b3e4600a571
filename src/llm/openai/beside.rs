//! What lies beside the text of an answer: log probabilities, citations and signatures. Read leniently,
//! for an answer must not fail by them.

use serde::Deserialize;
use serde_json::{Value, json};

use crate::llm::chat::{Citation, Json, Signature, Signer, TokenLogprob};

/// Reads `logprobs.content`; `None` if there is none.
pub fn decode_logprobs(wire: Option<&Json>) -> Option<Vec<TokenLogprob>> {
    #[derive(Deserialize)]
    struct Logprobs {
        content: Option<Vec<Token>>,
    }
    #[derive(Deserialize)]
    struct Token {
        token: String,
        logprob: f64,
        top_logprobs: Option<Vec<Token>>,
    }
    let wire: Logprobs = serde_json::from_str(wire?.text()).ok()?;
    let tokens = wire.content?.into_iter().map(|token| {
        let top = token.top_logprobs.unwrap_or_default();
        TokenLogprob {
            token: token.token,
            logprob: token.logprob,
            top: top.into_iter().map(|top| (top.token, top.logprob)).collect(),
        }
    });
    Some(tokens.collect())
}

/// Writes `logprobs`.
pub fn encode_logprobs(tokens: &[TokenLogprob]) -> Value {
    let one = |token: &str, logprob: f64| json!({"token": token, "logprob": logprob, "bytes": bytes(token)});
    let content = tokens.iter().map(|token| {
        let mut wire = one(&token.token, token.logprob);
        wire["top_logprobs"] =
            token.top.iter().map(|(text, logprob)| one(text, *logprob)).collect();
        wire
    });
    json!({"content": content.collect::<Value>(), "refusal": null})
}

/// The bytes of a token; `None` for a piece of a character, whose text does not say them.
fn bytes(token: &str) -> Option<&[u8]> {
    let is_piece = token.contains("\\x") || token.contains('\u{fffd}');
    (!is_piece).then_some(token.as_bytes())
}

/// Reads `annotations`.
pub fn decode_citations(wire: Option<&Json>) -> Vec<Citation> {
    #[derive(Deserialize)]
    struct Annotation {
        url_citation: Option<UrlCitation>,
    }
    #[derive(Default, Deserialize)]
    #[serde(default)]
    struct UrlCitation {
        url: Option<String>,
        title: Option<String>,
        start_index: Option<u64>,
        end_index: Option<u64>,
        /// Extension: the words that are cited; OpenRouter's name for them.
        content: Option<String>,
    }
    let wire = wire.and_then(|wire| serde_json::from_str::<Vec<Annotation>>(wire.text()).ok());
    let cited =
        wire.unwrap_or_default().into_iter().filter_map(|annotation| annotation.url_citation);
    cited
        .map(|cited| Citation {
            url: cited.url.filter(|url| !url.is_empty()),
            title: cited.title.filter(|title| !title.is_empty()),
            text: cited.content,
            span: cited.start_index.zip(cited.end_index),
        })
        .collect()
}

/// Writes one of `annotations`; `span` where the citation has none of its own. Clients rely on every
/// member but `content`.
pub fn encode_citation(citation: &Citation, span: (u64, u64)) -> Value {
    let (start, end) = citation.span.unwrap_or(span);
    let mut cited = json!({
        "start_index": start,
        "end_index": end,
        "url": citation.url.as_deref().unwrap_or_default(),
        "title": citation.title.as_deref().unwrap_or_default(),
    });
    if let Some(text) = &citation.text {
        cited["content"] = json!(text);
    }
    json!({"type": "url_citation", "url_citation": cited})
}

/// Reads a signature from where Google's own layer for OpenAI's clients puts it
/// (`extra_content.google.thought_signature`).
pub fn decode_signature(extra: Option<&Json>) -> Option<Signature> {
    let extra: Value = serde_json::from_str(extra?.text()).ok()?;
    let text = extra.pointer("/google/thought_signature")?.as_str()?;
    (!text.is_empty()).then(|| Signature::read(text.to_owned(), Signer::Gemini))
}

/// `extra_content`.
pub fn encode_signature(signature: &Signature) -> Value {
    json!({"google": {"thought_signature": signature.tagged(Signer::Gemini)}})
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_lies_beside_an_answer_survives_and_nonsense_is_nothing() {
        let tokens = vec![
            TokenLogprob { token: "é".into(), logprob: -0.5, top: vec![("\\xe2".into(), -1.0)] },
            TokenLogprob::default(),
        ];
        let wire = encode_logprobs(&tokens);
        assert_eq!(wire["content"][0]["bytes"], json!([0xc3, 0xa9]));
        assert_eq!(wire["content"][0]["top_logprobs"][0]["bytes"], Value::Null);
        let read = |wire: &Value| decode_logprobs(Json::parse(&wire.to_string()).as_ref());
        assert_eq!(read(&wire), Some(tokens));
        assert_eq!(read(&json!({"tokens": ["a"], "token_logprobs": [1]})), None);

        let citation =
            Citation { url: Some("u".into()), title: None, text: Some("t".into()), span: None };
        let wire = json!([encode_citation(&citation, (1, 2)), {"type": "file"}]);
        let read = decode_citations(Json::parse(&wire.to_string()).as_ref());
        assert_eq!(read, [Citation { span: Some((1, 2)), ..citation }]);
        assert!(decode_citations(Json::parse("7").as_ref()).is_empty());

        for signer in [Signer::Gemini, Signer::Anthropic] {
            let signature = Signature::new(signer, "s");
            let wire = Json::parse(&encode_signature(&signature).to_string());
            assert_eq!(decode_signature(wire.as_ref()), Some(signature));
        }
        assert_eq!(decode_signature(Json::parse("{}").as_ref()), None);
    }
}
