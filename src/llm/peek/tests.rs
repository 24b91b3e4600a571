//! What is read from a request, and how a mistake is told.

use super::*;

fn chat(body: &str) -> Result<Peek, RequestError> {
    peek(&Endpoint::ChatCompletions.into(), body.as_bytes())
}

#[test]
fn everything_the_proxy_needs_is_found() {
    let body = r#"{"messages":[{"role":"user","content":"\"model\":\"trap\""}], "model" : "gpt-5-mini",
        "stream":true,"stream_options": {"include_usage": true},"n":2,"max_tokens":7,
        "max_completion_tokens":9,"user":"u-1","unknown":{"model":"inner"},"service_tier":"flex"}"#;
    let found = chat(body).unwrap();
    let ModelPlace::Body(span) = found.model_place else { panic!("{:?}", found.model_place) };
    assert_eq!(&body[span], r#""gpt-5-mini""#);
    assert_eq!(&body[found.stream_options_span.clone().unwrap()], r#"{"include_usage": true}"#);
    assert!(found.stream && found.include_usage);
    assert_eq!((found.choices, found.max_output_tokens), (2, Some(9)));
    assert_eq!((found.model.as_str(), found.user.as_deref()), ("gpt-5-mini", Some("u-1")));
    assert_eq!(found.service_tier, ServiceTier::Flex);
}

#[test]
fn absent_and_null_members_are_defaults() {
    let found =
        chat(r#"{"model":"m","stream":null,"n":null,"max_tokens":null,"stream_options":null}"#);
    let found = found.unwrap();
    assert!(!found.stream && !found.include_usage && found.stream_options_span.is_some());
    assert_eq!((found.choices, found.max_output_tokens, found.user), (1, None, None));
}

#[test]
fn the_end_user_of_messages_is_in_metadata() {
    let body = br#"{"model":"m","max_tokens":1,"metadata":{"user_id":"u-2"}}"#;
    assert_eq!(peek(&Endpoint::Messages.into(), body).unwrap().user.as_deref(), Some("u-2"));
}

#[test]
fn mistakes_say_what_to_write_instead() {
    let text = |body: &str| chat(body).unwrap_err().to_string();
    assert_eq!(
        text("{}"),
        r#""model" is missing: name the model, for example "model": "gpt-5-mini""#
    );
    assert!(text(r#"{"model":5}"#).contains("name the model in quotes"));
    assert!(text(r#"{"model":""}"#).contains("is empty"));
    assert!(text(r#"{"model":"a","model":"b"}"#).contains("more than once"));
    assert!(text(r#"{"model":"a","mod\u0065l":"b"}"#).contains("more than once"));
    assert!(text(r#"{"model":"a","stream":"yes"}"#).contains("true or false"));
    assert!(text(r#"{"model":"a","n":0}"#).contains("from 1 to 128"));
    assert!(text(r#"{"model":"a","max_tokens":-1}"#).contains("for example 1024"));
    assert!(text("{\"model\":\n \"a\",}").contains("line 2 column"));
    assert!(text("[]").contains("expected a JSON object"));
    assert!(text("").contains("EOF"));
}

#[test]
fn deep_bodies_are_refused() {
    let body = format!(r#"{{"model":"m","x":{}{}}}"#, "[".repeat(500), "]".repeat(500));
    assert_eq!(chat(&body), Err(RequestError::TooDeep));
}

#[test]
fn what_is_asked_may_be_given_once() {
    for (endpoint, names) in [
        (Endpoint::ChatCompletions, ["messages", "messages"]),
        (Endpoint::ChatCompletions, ["tools", "tools"]),
        (Endpoint::Messages, ["system", "system"]),
        (Endpoint::Responses, ["input", "input"]),
        (Endpoint::Responses, ["instructions", "instructions"]),
        (Endpoint::GenerateContent, ["contents", "contents"]),
        (Endpoint::GenerateContent, ["systemInstruction", "system_instruction"]),
        (Endpoint::Embeddings, ["input", "input"]),
    ] {
        let [first, second] = names;
        let body = format!(r#"{{"{first}":null,"model":"m","{second}":[]}}"#);
        let error = peek(&endpoint.into(), body.as_bytes()).unwrap_err();
        let expected = format!("\"{second}\" is given more than once: write it once");
        assert_eq!(error.to_string(), expected, "{endpoint:?}");
    }
}

#[test]
fn invalid_utf8_and_trailing_garbage_are_refused() {
    assert!(peek(&Endpoint::ChatCompletions.into(), b"{\"model\":\"\xff\"}").is_err());
    assert!(chat(r#"{"model":"m"} x"#).is_err());
}

#[test]
fn a_model_in_the_path_needs_none_in_the_body() {
    let called = Called {
        model: Some("a/b".into()),
        stream: Some(true),
        ..Called::from(Endpoint::ChatCompletions)
    };
    let found = peek(&called, br#"{"model":5,"stream":false}"#).unwrap();
    assert_eq!((found.model.as_str(), &found.model_place), ("a/b", &ModelPlace::Path));
    assert!(found.stream, "the path says so");
    let again = found.again(Endpoint::ChatCompletions, b"{}").unwrap();
    assert_eq!((again.model, again.stream), (found.model, true));
}

#[test]
fn moderation_needs_no_model() {
    let found = peek(&Endpoint::Moderations.into(), br#"{"input":"x"}"#).unwrap();
    let expected = ("omni-moderation-latest", ModelPlace::Nowhere);
    assert_eq!((found.model.as_str(), found.model_place), expected);
}

#[test]
fn completions_are_counted_for_each_prompt_and_try() {
    let choices =
        |body: &str| peek(&Endpoint::Completions.into(), body.as_bytes()).unwrap().choices;
    for (prompt, n) in [(r#""a""#, 1), (r#"["a","b"]"#, 2), ("[1,2,3]", 1), ("[[1],[2],[3]]", 3)] {
        assert_eq!(choices(&format!(r#"{{"model":"m","prompt":{prompt}}}"#)), n, "{prompt}");
    }
    assert_eq!(choices(r#"{"model":"m","prompt":["a","b"],"n":2,"best_of":5}"#), 10);
}

#[test]
fn bounds_inside_an_object_are_found() {
    const NAMES: Names = Names {
        max_tokens: &["maxTokens", "max_tokens"],
        choices: &["count"],
        inside: &["config", "other_config"],
        batch: None,
    };
    let read = |body: &str| {
        let Members(members) = Members::parse(body.as_bytes()).unwrap();
        bounds(&NAMES, &Found::collect(members, &NAMES)?)
    };
    let found =
        read(r#"{"max_tokens":1,"config":{"maxTokens":7,"max_tokens":9,"count":2}}"#).unwrap();
    assert_eq!((found.max_tokens, found.choices[0]), ([Some(7), Some(9)], Some(2)));
    assert!(read(r#"{"config":{},"other_config":{}}"#).is_err());
    assert!(read(r#"{"config":{"count":1,"count":2}}"#).is_err());
    assert_eq!(read(r#"{"config":"x"}"#).unwrap().max_tokens, [None, None]);
}
