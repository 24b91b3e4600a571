//! Errors of every shape, in and out.

use serde_json::{Value, json};

use super::*;

fn decode(status: u16, body: &str) -> ApiError {
    let status = StatusCode::from_u16(status).unwrap();
    decode_error(Dialect::OpenAi, status, &HeaderMap::new(), body.as_bytes())
}

#[test]
fn the_providers_message_and_code_are_kept() {
    let error = decode(
        400,
        r#"{"error":{"message":"too long","type":"invalid_request_error","param":"messages","code":"context_length_exceeded"}}"#,
    );
    assert_eq!(error.message, "too long");
    assert_eq!(
        (&*error.code, error.param.as_deref()),
        ("context_length_exceeded", Some("messages"))
    );
    assert_eq!(error.kind, ErrorKind::InvalidRequest);
}

#[test]
fn every_shape_gives_its_message() {
    for (body, message) in [
        (r#"{"object":"error","message":"flat","code":404}"#, "flat"),
        (r#"{"error":"a string"}"#, "a string"),
        (r#"{"error":{"message":{"detail":[1]}}}"#, r#"{"detail":[1]}"#),
        (r#"{"detail":"Unauthorized"}"#, "Unauthorized"),
        (r#"[{"error":{"code":404,"message":"in a list"}}]"#, "in a list"),
        ("plain text\n", "plain text"),
        (r#""quoted""#, "quoted"),
    ] {
        let error = decode(404, body);
        assert_eq!(error.message, message, "{body}");
        assert_eq!(error.code, "not_found", "{body}");
    }
}

#[test]
fn html_and_nothing_are_not_repeated() {
    for body in
        ["<html><body>secret</body></html>", "", "  ", r#"{"error":"<b>x</b>"}"#, "{}", "null"]
    {
        let error = decode(502, body);
        assert_eq!(error.message, "the provider answered HTTP 502 without a readable message");
        assert_eq!(error.kind, ErrorKind::Upstream);
    }
}

#[test]
fn long_messages_are_cut_at_a_character() {
    let error = decode(500, &"\u{fc}".repeat(5000));
    assert!(error.message.len() < 2100 && error.message.ends_with("\u{fc}..."));
}

#[test]
fn an_error_inside_a_200_gets_the_status_it_means() {
    assert_eq!(decode(200, r#"{"error":{"message":"x","code":"429"}}"#).status.as_u16(), 429);
    assert_eq!(decode(200, r#"{"error":{"type":"overloaded_error"}}"#).status.as_u16(), 529);
    assert_eq!(decode(200, r#"{"error":{"type":"what"}}"#).status.as_u16(), 502);
}

#[test]
fn both_dialects_show_the_stable_code() {
    let mut error = ApiError::new(
        StatusCode::TOO_MANY_REQUESTS,
        ErrorKind::RateLimit,
        "budget_exceeded",
        "budget team/month is used up",
    );
    error.param = Some("model".to_owned());
    let parse = |bytes: Bytes| serde_json::from_slice::<Value>(&bytes).unwrap();
    let openai = parse(encode_error(Dialect::OpenAi, &error, "req_1"));
    assert_eq!(openai["error"]["code"], "budget_exceeded");
    assert_eq!(openai["error"]["type"], "rate_limit_exceeded");
    let anthropic = parse(encode_error(Dialect::Anthropic, &error, "req_1"));
    assert_eq!(anthropic["error"]["code"], "budget_exceeded");
    assert_eq!(anthropic["error"]["type"], "rate_limit_error");
    assert_eq!((&anthropic["type"], &anthropic["request_id"]), (&json!("error"), &json!("req_1")));
}

#[test]
fn a_stream_error_is_one_event_without_a_terminator() {
    let error = decode(500, "boom");
    let openai = encode_stream_error(Dialect::OpenAi, &error);
    assert!(openai.starts_with(b"data: {\"error\":") && openai.ends_with(b"}\n\n"));
    assert!(!openai.windows(6).any(|window| window == b"[DONE]"));
    let anthropic = encode_stream_error(Dialect::Anthropic, &error);
    assert!(anthropic.starts_with(b"event: error\ndata: {"));
}

#[test]
fn a_refused_gateway_key_is_not_the_clients_401() {
    let error = decode(401, r#"{"error":{"message":"Incorrect API key provided: sk-abc"}}"#);
    assert!(error.concerns_upstream_credential());
    let shielded = error.shield_credential();
    assert_eq!(shielded.status.as_u16(), 502);
    assert!(!shielded.message.contains("sk-abc"));
    assert_eq!(decode(429, "slow").shield_credential().status.as_u16(), 429);
}
