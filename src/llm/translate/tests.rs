//! Which way each pair takes.

use super::*;
use crate::llm::peek;

const OPENAI: &[Dialect] = &[Dialect::OpenAi];
const ANTHROPIC: &[Dialect] = &[Dialect::Anthropic];

fn ask(endpoint: Endpoint, spoken: &'static [Dialect], body: &'static [u8]) -> UpstreamRequest {
    let body = Bytes::from_static(body);
    let peeked = peek(&endpoint.into(), &body).unwrap();
    let rewrite = Rewrite { model: "served", parameters: None, default_max_tokens: None };
    Translator::new(endpoint, spoken).unwrap().request(&body, &peeked, &rewrite).unwrap()
}

#[test]
fn only_chat_crosses_dialects() {
    for endpoint in Endpoint::ALL {
        match Translator::new(endpoint, ANTHROPIC) {
            Ok(translator) => assert_eq!(translator.upstream(), Dialect::Anthropic),
            Err(error) => {
                assert_ne!(endpoint.work(), Work::Chat);
                assert!(error.to_string().contains(endpoint.path()), "{error}");
            }
        }
    }
}

#[test]
fn the_callers_own_dialect_is_preferred_and_the_main_one_crossed_to() {
    const BOTH: &[Dialect] = &[Dialect::Anthropic, Dialect::OpenAi];
    let upstream = |endpoint, spoken| Translator::new(endpoint, spoken).unwrap().upstream();
    assert_eq!(upstream(Endpoint::ChatCompletions, BOTH), Dialect::OpenAi);
    assert_eq!(upstream(Endpoint::Messages, BOTH), Dialect::Anthropic);
    assert_eq!(upstream(Endpoint::ChatCompletions, &BOTH[..1]), Dialect::Anthropic);
    assert!(Translator::new(Endpoint::ChatCompletions, &[]).is_err());
}

#[test]
fn paths_follow_the_upstream() {
    let path = |endpoint, spoken| {
        let translator = Translator::new(endpoint, spoken).unwrap();
        translator.upstream_path("m", false).into_owned()
    };
    assert_eq!(path(Endpoint::Messages, OPENAI), "/chat/completions");
    assert_eq!(path(Endpoint::ChatCompletions, ANTHROPIC), "/messages");
    assert_eq!(path(Endpoint::Embeddings, OPENAI), "/embeddings");
    assert_eq!(path(Endpoint::Speech, OPENAI), "/audio/speech");
}

#[test]
fn usage_is_asked_for_in_chat_streams_only() {
    let chat = ask(Endpoint::ChatCompletions, OPENAI, br#"{"model":"a","stream":true}"#);
    assert!(chat.body.starts_with(br#"{"stream_options":"#));
    let text = ask(Endpoint::Completions, OPENAI, br#"{"model":"a","stream":true}"#);
    assert!(text.body.starts_with(br#"{"stream_options":"#));
    let whole = ask(Endpoint::ChatCompletions, OPENAI, br#"{"model":"a"}"#);
    assert_eq!(&whole.body[..], br#"{"model":"served"}"#);
    let messages = ask(Endpoint::Messages, ANTHROPIC, br#"{"model":"a","stream":true}"#);
    assert_eq!(&messages.body[..], br#"{"model":"served","stream":true}"#);
}

#[test]
fn tokens_are_counted_by_the_provider_that_can_and_else_here() {
    let passed = ask(Endpoint::CountTokens, ANTHROPIC, br#"{"model":"a","messages":[]}"#);
    assert_eq!(&passed.body[..], br#"{"model":"served","messages":[]}"#);
    let counts = |spoken| Translator::new(Endpoint::CountTokens, spoken).unwrap();
    assert!(!counts(ANTHROPIC).is_local() && counts(OPENAI).is_local());
    let path = counts(ANTHROPIC).upstream_path("m", false).into_owned();
    assert_eq!(path, "/messages/count_tokens");
    let body = br#"{"model":"a","messages":[{"role":"user","content":"hello world"}]}"#;
    let counted = counts(OPENAI).count(body, "gpt-4o").unwrap();
    assert_eq!(&counted.body[..], br#"{"input_tokens":8}"#);
    assert!(counts(OPENAI).count(br#"{"messages":7}"#, "m").is_err());
}

#[test]
fn geminis_count_is_answered_in_its_own_form() {
    let counts = Translator::new(Endpoint::GeminiCountTokens, OPENAI).unwrap();
    let contents = r#""contents":[{"role":"user","parts":[{"text":"hello world"}]}]"#;
    for body in [
        format!("{{{contents}}}"),
        format!(r#"{{"generateContentRequest":{{"model":"models/m",{contents}}}}}"#),
    ] {
        let counted = counts.count(body.as_bytes(), "gpt-4o").unwrap();
        assert_eq!(&counted.body[..], br#"{"totalTokens":8}"#, "{body}");
    }
}

#[test]
fn a_history_that_another_provider_wrote_is_taken_by_the_callers_own() {
    let sent = ask(
        Endpoint::Messages,
        ANTHROPIC,
        br#"{"model":"a","messages":[{"role":"assistant","content":[{"type":"thinking","thinking":"","signature":"sluice.gemini.x"},{"type":"text","text":"b"}]}]}"#,
    );
    let expected = br#"{"model":"served","messages":[{"role":"assistant","content":[{"type":"text","text":"b"}]}]}"#;
    assert_eq!(
        (&sent.body[..], sent.dropped),
        (&expected[..], vec!["thought_signature".to_owned()])
    );
}
