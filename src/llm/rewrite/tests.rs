//! What a rewrite changes, and that it changes nothing else.

use serde_json::json;

use super::*;
use crate::llm::{Endpoint, peek};

fn object(value: Value) -> Map<String, Value> {
    value.as_object().cloned().unwrap_or_default()
}

fn spliced(body: &str, model: &str, usage: bool) -> String {
    let body = Bytes::copy_from_slice(body.as_bytes());
    let peeked = peek(Endpoint::ChatCompletions, &body).unwrap();
    String::from_utf8(splice(&body, &peeked, model, usage).to_vec()).unwrap()
}

#[test]
fn only_the_model_literal_changes() {
    let out = spliced("{ \"x\" : 1.0, \"model\" :\t\"a\" , \"y\":[ ] }", "b\"c", false);
    assert_eq!(out, "{ \"x\" : 1.0, \"model\" :\t\"b\\\"c\" , \"y\":[ ] }");
}

#[test]
fn an_unchanged_body_is_not_copied() {
    let body = Bytes::from_static(br#"{"model":"a"}"#);
    let peeked = peek(Endpoint::ChatCompletions, &body).unwrap();
    assert_eq!(splice(&body, &peeked, "a", false).as_ptr(), body.as_ptr());
}

#[test]
fn usage_is_asked_for_beside_other_stream_options() {
    assert_eq!(
        spliced(r#" {"model":"a","stream":true}"#, "a", true),
        r#" {"stream_options":{"include_usage":true},"model":"a","stream":true}"#
    );
    assert_eq!(
        spliced(r#"{"stream_options":{"include_obfuscation":false},"model":"a"}"#, "bb", true),
        r#"{"stream_options":{"include_obfuscation":false,"include_usage":true},"model":"bb"}"#
    );
    assert_eq!(
        spliced(r#"{"model":"a","stream_options":null}"#, "b", true),
        r#"{"model":"b","stream_options":{"include_usage":true}}"#
    );
}

fn applied(body: &str, parameters: &Parameters) -> String {
    let body = apply_parameters(body.as_bytes(), Some(parameters)).unwrap().unwrap();
    String::from_utf8(body.to_vec()).unwrap()
}

#[test]
fn parameters_set_default_and_remove_top_level_members_only() {
    let parameters = Parameters {
        set: object(json!({"temperature": 0.2, "model": "evil", "stream": true})),
        default: object(json!({"top_p": 0.5, "seed": 1})),
        remove: vec!["logit_bias".to_owned(), "model".to_owned()],
    };
    let body = r#"{"model":"m","temperature":1.0,"top_p":0.90,"logit_bias":{"1":2},"x":{"logit_bias": 1}}"#;
    assert_eq!(
        applied(body, &parameters),
        r#"{"model":"m","top_p":0.90,"x":{"logit_bias": 1},"seed":1,"temperature":0.2}"#
    );
}

#[test]
fn the_two_names_of_the_token_bound_are_one_parameter() {
    let default = object(json!({"max_tokens": 1024}));
    let parameters = Parameters { default, ..Parameters::default() };
    let body = r#"{"model":"m","max_completion_tokens":5}"#;
    assert_eq!(applied(body, &parameters), body);
    assert_eq!(
        applied(r#"{"model":"m","max_tokens":null}"#, &parameters),
        r#"{"model":"m","max_tokens":1024}"#
    );
    let set = object(json!({"max_completion_tokens": 7}));
    let parameters = Parameters { set, ..Parameters::default() };
    assert_eq!(
        applied(r#"{"max_tokens":5,"model":"m"}"#, &parameters),
        r#"{"model":"m","max_completion_tokens":7}"#
    );
}

#[test]
fn no_parameters_mean_no_new_body() {
    assert_eq!(apply_parameters(b"not json", None), Ok(None));
    assert_eq!(apply_parameters(b"not json", Some(&Parameters::default())), Ok(None));
}
