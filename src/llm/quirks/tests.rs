//! Requests as providers with quirks get them.

use super::*;

fn adapted(quirks: Quirks, body: &str) -> (String, Vec<String>) {
    let mut dropped = Vec::new();
    let body = quirks.adapt(Bytes::copy_from_slice(body.as_bytes()), &mut dropped).unwrap();
    (String::from_utf8(body.to_vec()).unwrap(), dropped)
}

#[track_caller]
fn becomes(quirks: Quirks, body: &str, expected: &str) {
    assert_eq!(adapted(quirks, body), (expected.to_owned(), Vec::new()));
}

const MISTRAL_QUIRKS: Quirks = Quirks::NONE
    .max_tokens()
    .system_only()
    .mistral_names()
    .usage_unasked()
    .nine_character_ids()
    .mistral_members();

#[test]
fn a_body_that_needs_no_change_is_given_back_itself() {
    let body = Bytes::from_static(br#"{ "model" : "m","messages":[ {"role":"user"} ],"x":1.50}"#);
    for quirks in [Quirks::NONE, Quirks::NONE.max_tokens().system_only().nine_character_ids()] {
        let same = quirks.adapt(body.clone(), &mut Vec::new()).unwrap();
        assert_eq!(same.as_ptr(), body.as_ptr(), "{quirks:?}");
    }
}

#[test]
fn words_inside_texts_change_nothing() {
    let body = r#"{"messages":[{"role":"user","content":"\"developer\" max_completion_tokens \"developer\""}]}"#;
    becomes(Quirks::NONE.max_tokens().system_only(), body, body);
}

#[test]
fn the_bound_on_tokens_gets_its_old_name() {
    let quirks = Quirks::NONE.max_tokens();
    becomes(
        quirks,
        r#"{"max_completion_tokens": 7, "x": [1, 2]}"#,
        r#"{"max_tokens":7,"x":[1, 2]}"#,
    );
    becomes(quirks, r#"{"max_completion_tokens":7,"max_tokens":5}"#, r#"{"max_tokens":5}"#);
    becomes(
        quirks,
        r#"{"max_completion\u005ftokens":7,"a":"max_completion_tokens"}"#,
        r#"{"max_tokens":7,"a":"max_completion_tokens"}"#,
    );
}

#[test]
fn a_developer_is_a_system_and_other_members_keep_their_bytes() {
    becomes(
        Quirks::NONE.system_only(),
        r#"{"messages": [ {"content" : "a", "role": "developer"}, {"role":"user","content":"\u0062"} ]}"#,
        r#"{"messages":[ {"content" : "a", "role": "system"}, {"role":"user","content":"\u0062"} ]}"#,
    );
}

#[test]
fn usage_is_not_asked_for_where_it_comes_unasked() {
    becomes(
        Quirks::NONE.usage_unasked(),
        r#"{"stream":true,"stream_options":{"include_usage":true}}"#,
        r#"{"stream":true}"#,
    );
}

#[test]
fn ids_of_calls_and_results_are_shortened_alike() {
    let body = r#"{"messages":[{"role":"assistant","tool_calls":[{"type":"function","id":"call_abcdefghijkl"},{"id":"gSIMJiOkT"},{"id":null},{}]},{"role":"tool","tool_call_id":"call_abcdefghijkl"},{"role":"tool","tool_call_id":"gSIMJiOkT"}]}"#;
    let (text, _) = adapted(Quirks::NONE.nine_character_ids(), body);
    let parsed: serde_json::Value = serde_json::from_str(&text).unwrap();
    let id = parsed["messages"][0]["tool_calls"][0]["id"].as_str().unwrap();
    assert!(is_nine_characters(id), "{id}");
    assert_eq!(parsed["messages"][1]["tool_call_id"], id);
    assert_eq!(text, body.replace("call_abcdefghijkl", id));
    assert_ne!(nine_characters("call_1"), nine_characters("call_2"));
}

#[test]
fn members_that_a_strict_provider_refuses_are_taken_out_and_named() {
    let (text, dropped) = adapted(
        MISTRAL_QUIRKS,
        r#"{"model":"m","messages":[],"seed":4,"user":"u","store":null,"stream":true,"stream_options":{"include_usage":true},"logit_bias":{},"max_completion_tokens":9}"#,
    );
    assert_eq!(text, r#"{"model":"m","messages":[],"random_seed":4,"stream":true,"max_tokens":9}"#);
    assert_eq!(dropped, ["logit_bias", "user"]);
    becomes(
        MISTRAL_QUIRKS,
        r#"{"model":"m","input":"a","dimensions":256}"#,
        r#"{"model":"m","input":"a","output_dimension":256}"#,
    );
}

#[test]
fn what_is_no_conversation_is_left_to_the_provider() {
    for body in [
        r#"{"messages":"developer","tool_calls":1,"x":"\"developer\""}"#,
        r#"{"messages":[1,null,{"role":"developer "},{"role":1,"tool_calls":{"id":"a"}}],"y":"\"developer\""}"#,
    ] {
        becomes(Quirks::NONE.system_only().nine_character_ids(), body, body);
    }
}
