//! Which way each pair takes.

use super::*;

fn ask(endpoint: Endpoint, upstream: Dialect, body: &'static [u8]) -> UpstreamRequest {
    let body = Bytes::from_static(body);
    let peeked = peek(endpoint, &body).unwrap();
    let rewrite = Rewrite { model: "served", parameters: None, default_max_tokens: None };
    Translator::new(endpoint, upstream).unwrap().request(&body, &peeked, &rewrite).unwrap()
}

#[test]
fn embeddings_have_no_anthropic_counterpart() {
    let error = Translator::new(Endpoint::Embeddings, Dialect::Anthropic).unwrap_err();
    assert!(error.to_string().contains("/v1/embeddings"));
}

#[test]
fn paths_follow_the_upstream() {
    let path = |endpoint, upstream| Translator::new(endpoint, upstream).unwrap().upstream_path();
    assert_eq!(path(Endpoint::Messages, Dialect::OpenAi), "/chat/completions");
    assert_eq!(path(Endpoint::ChatCompletions, Dialect::Anthropic), "/messages");
    assert_eq!(path(Endpoint::Embeddings, Dialect::OpenAi), "/embeddings");
}

#[test]
fn usage_is_asked_for_in_chat_streams_only() {
    let chat = ask(Endpoint::ChatCompletions, Dialect::OpenAi, br#"{"model":"a","stream":true}"#);
    assert!(chat.body.starts_with(br#"{"stream_options":"#));
    let whole = ask(Endpoint::ChatCompletions, Dialect::OpenAi, br#"{"model":"a"}"#);
    assert_eq!(&whole.body[..], br#"{"model":"served"}"#);
    let messages = ask(Endpoint::Messages, Dialect::Anthropic, br#"{"model":"a","stream":true}"#);
    assert_eq!(&messages.body[..], br#"{"model":"served","stream":true}"#);
}
