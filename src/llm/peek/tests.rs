//! What is read from a request, and how a mistake is told.

use super::*;

fn chat(body: &str) -> Result<Peek, RequestError> {
    peek(Endpoint::ChatCompletions, body.as_bytes())
}

#[test]
fn everything_the_proxy_needs_is_found() {
    let body = r#"{"messages":[{"role":"user","content":"\"model\":\"trap\""}], "model" : "gpt-5-mini",
        "stream":true,"stream_options": {"include_usage": true},"n":2,"max_tokens":7,
        "max_completion_tokens":9,"user":"u-1","unknown":{"model":"inner"}}"#;
    let found = chat(body).unwrap();
    assert_eq!(&body[found.model_span.clone()], r#""gpt-5-mini""#);
    assert_eq!(&body[found.stream_options_span.clone().unwrap()], r#"{"include_usage": true}"#);
    assert!(found.stream && found.include_usage);
    assert_eq!((found.choices, found.max_output_tokens), (2, Some(9)));
    assert_eq!((found.model.as_str(), found.user.as_deref()), ("gpt-5-mini", Some("u-1")));
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
    assert_eq!(peek(Endpoint::Messages, body).unwrap().user.as_deref(), Some("u-2"));
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
fn invalid_utf8_and_trailing_garbage_are_refused() {
    assert!(peek(Endpoint::ChatCompletions, b"{\"model\":\"\xff\"}").is_err());
    assert!(chat(r#"{"model":"m"} x"#).is_err());
}
