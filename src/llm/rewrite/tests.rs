//! What a rewrite changes, and that it changes nothing else.

use serde_json::json;

use super::*;
use crate::llm::{Endpoint, peek};

fn object(value: Value) -> Map<String, Value> {
    value.as_object().cloned().unwrap_or_default()
}

fn spliced(body: &str, model: &str, usage: bool) -> String {
    let body = Bytes::copy_from_slice(body.as_bytes());
    let peeked = peek(&Endpoint::ChatCompletions.into(), &body).unwrap();
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
    let peeked = peek(&Endpoint::ChatCompletions.into(), &body).unwrap();
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
    let body = apply_parameters(Endpoint::ChatCompletions, body.as_bytes(), Some(parameters))
        .unwrap()
        .unwrap();
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
    assert_eq!(apply_parameters(Endpoint::ChatCompletions, b"not json", None), Ok(None));
    assert_eq!(
        apply_parameters(Endpoint::ChatCompletions, b"not json", Some(&Parameters::default())),
        Ok(None)
    );
}

#[test]
fn a_model_that_is_nowhere_is_written() {
    let splice_moderation = |body: &'static str| {
        let body = Bytes::from_static(body.as_bytes());
        let peeked = peek(&Endpoint::Moderations.into(), &body).unwrap();
        String::from_utf8(splice(&body, &peeked, "m", false).to_vec()).unwrap()
    };
    assert_eq!(splice_moderation(r#"{"input":"x"}"#), r#"{"model":"m","input":"x"}"#);
    assert_eq!(splice_moderation("{ }"), r#"{"model":"m" }"#);
}

#[test]
fn the_tier_that_is_sent_is_known_before_it_is_sent() {
    let tier = |parameters: Value, body: &str| {
        let parameters = Parameters {
            set: object(parameters["set"].clone()),
            default: object(parameters["default"].clone()),
            remove: serde_json::from_value(parameters["remove"].clone()).unwrap_or_default(),
        };
        parameters.service_tier(&peek(&Endpoint::ChatCompletions.into(), body.as_bytes()).unwrap())
    };
    let (plain, flex) = (r#"{"model":"m"}"#, r#"{"model":"m","service_tier":"flex"}"#);
    let priority = json!({"service_tier": "priority"});
    assert_eq!(tier(json!({}), plain), ServiceTier::Standard);
    assert_eq!(tier(json!({}), flex), ServiceTier::Flex);
    assert_eq!(tier(json!({"set": priority}), flex), ServiceTier::Priority);
    assert_eq!(tier(json!({"default": priority}), plain), ServiceTier::Priority);
    assert_eq!(tier(json!({"default": priority}), flex), ServiceTier::Flex);
    assert_eq!(tier(json!({"remove": ["service_tier"]}), flex), ServiceTier::Standard);
}

#[test]
fn parameters_are_named_as_in_any_dialect_and_reserved_for_as_they_are_sent() {
    let parameters = Parameters {
        default: object(json!({"max_completion_tokens": 9, "stop": "END"})),
        ..Parameters::default()
    };
    for (body, sent, bound) in [
        (r#"{"model":"m"}"#, r#"{"model":"m","max_tokens":9,"stop_sequences":["END"]}"#, 9),
        (
            r#"{"model":"m","max_tokens":7}"#,
            r#"{"model":"m","max_tokens":7,"stop_sequences":["END"]}"#,
            7,
        ),
        // Not a name that this endpoint has: it bounds nothing.
        (
            r#"{"model":"m","max_completion_tokens":7}"#,
            r#"{"model":"m","max_completion_tokens":7,"max_tokens":9,"stop_sequences":["END"]}"#,
            9,
        ),
    ] {
        let endpoint = Endpoint::Messages;
        let applied = apply_parameters(endpoint, body.as_bytes(), Some(&parameters)).unwrap();
        assert_eq!(String::from_utf8_lossy(&applied.unwrap()), sent);
        let peeked = peek(&endpoint.into(), body.as_bytes()).unwrap();
        assert_eq!(parameters.max_output_tokens(endpoint, &peeked), Some(bound), "{body}");
    }
}
