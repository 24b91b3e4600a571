//! Callers of other dialects, and Bedrock: an upstream that refuses what Converse refuses and streams
//! its own framing, cut anywhere.

use bytes::Bytes;
use http::StatusCode;
use serde_json::{Value, json};
use sluice::{
    llm::{Dialect, eventstream},
    snapshot::{Model, Provider, Route},
};

use crate::{
    complaints::wrong_for_bedrock,
    fixture::{ASK, Gateway, Reply, STREAM, credential, provider_at, route, targets_of},
    upstream::{Received, Script, Step, Upstream, head, whole},
};

pub const MODEL: &str = "us.anthropic.claude-sonnet-4-5-20250929-v1:0";

fn bedrock(upstream: &Upstream) -> Provider {
    let mut provider = provider_at(upstream.address(), Dialect::Bedrock);
    provider.models = [(MODEL.to_owned(), Model::default())].into();
    provider.credentials = vec![credential("bedrock-api-key")];
    provider
}

/// A route to the model.
fn to_bedrock(upstream: &Upstream) -> Route {
    let mut route = route([bedrock(upstream)]);
    let targets: Vec<_> = route
        .targets()
        .map(|target| {
            let mut target = (**target).clone();
            target.model = sluice::snapshot::TargetModel::Fixed(MODEL.into());
            target.into()
        })
        .collect();
    *targets_of(&mut route) = targets;
    route
}

/// An answer for requests that Converse would take.
pub fn strictly(received: &Received, answer: Script) -> Script {
    let request = received.json();
    let base = "/v1/model/us.anthropic.claude-sonnet-4-5-20250929-v1%3A0/";
    let operation = received.path.strip_prefix(base);
    if !matches!(operation, Some("converse" | "converse-stream")) {
        return refusal(404, "UnknownOperationException", &received.path);
    }
    match wrong_for_bedrock(&request) {
        Some(complaint) => refusal(400, "ValidationException", &complaint),
        None => answer,
    }
}

pub fn refusal(status: u16, kind: &str, message: &str) -> Script {
    let headers = [("content-type", "application/json"), ("x-amzn-errortype", kind)];
    whole(status, &headers, json!({"message": message}).to_string())
}

const ANSWER: &str = r#"{"metrics":{"latencyMs":5},"output":{"message":{"role":"assistant","content":[{"text":"Hello"}]}},"stopReason":"end_turn","usage":{"inputTokens":3,"outputTokens":4,"cacheReadInputTokens":5,"totalTokens":12}}"#;

pub fn answer() -> Script {
    whole(200, &[("content-type", "application/json")], ANSWER)
}

pub fn messages_of(events: &[(&str, Value)]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for (name, data) in events {
        let data = Bytes::from(data.to_string());
        match name.strip_prefix('!') {
            Some(name) => eventstream::write_exception(name, data, &mut bytes).unwrap(),
            None => eventstream::write_event(name, data, &mut bytes).unwrap(),
        }
    }
    bytes
}

/// A stream in pieces of so many bytes.
pub fn stream_in(bytes: &[u8], size: usize) -> Script {
    let headers = [("content-type", eventstream::MEDIA_TYPE), ("transfer-encoding", "chunked")];
    let mut script = vec![Step::Raw(head(200, &headers))];
    script.extend(bytes.chunks(size).map(|piece| Step::Chunk(piece.to_vec())));
    script.push(Step::End);
    script
}

pub fn hello() -> Vec<(&'static str, Value)> {
    let delta = |text: &str| {
        ("contentBlockDelta", json!({"contentBlockIndex": 0, "delta": {"text": text}, "p": "abc"}))
    };
    vec![
        ("messageStart", json!({"role": "assistant"})),
        delta("Hé"),
        delta("llo"),
        ("contentBlockStop", json!({"contentBlockIndex": 0})),
        ("messageStop", json!({"stopReason": "end_turn"})),
        (
            "metadata",
            json!({"usage": {"inputTokens": 3, "outputTokens": 4, "cacheReadInputTokens": 5}}),
        ),
    ]
}

#[tokio::test]
async fn an_openai_caller_gets_a_whole_answer_of_bedrock() {
    let upstream = Upstream::answering(|received| strictly(received, answer())).await;
    let gateway = Gateway::start([to_bedrock(&upstream)]).await;
    let reply = gateway.chat(ASK).await;
    assert_eq!(reply.status, StatusCode::OK, "{}", reply.text());
    let answer = reply.json();
    assert_eq!(answer["choices"][0]["message"]["content"], "Hello");
    assert_eq!(answer["usage"]["prompt_tokens"], 8);
    let sent = &upstream.received()[0];
    assert_eq!(sent.header("authorization"), Some("Bearer bedrock-api-key"));
    assert_eq!(sent.header("accept-encoding"), Some("identity"));
}

#[tokio::test]
async fn callers_get_a_stream_of_bedrock_whatever_the_cuts() {
    let bytes = messages_of(&hello());
    for size in [1, 7, 100, bytes.len()] {
        let script = stream_in(&bytes, size);
        let upstream =
            Upstream::answering(move |received| strictly(received, script.clone())).await;
        let gateway = Gateway::start([to_bedrock(&upstream)]).await;
        let reply = gateway.chat(STREAM).await;
        assert!(reply.header("content-type").starts_with("text/event-stream"));
        let (text, pieces) = (reply.text(), ["\"Hé\"", "\"llo\"", "\"finish_reason\":\"stop\""]);
        assert!(pieces.iter().all(|piece| text.contains(piece)), "{text}");
        assert!(text.ends_with("data: [DONE]\n\n"), "{text}");
        assert_eq!(gateway.ended("complete"), 1);
        assert!(upstream.received()[0].path.ends_with("/converse-stream"));
    }
}

#[tokio::test]
async fn what_converse_refuses_is_not_sent() {
    let upstream = Upstream::answering(|received| strictly(received, answer())).await;
    let gateway = Gateway::start([to_bedrock(&upstream)]).await;
    let call = json!({"role": "assistant", "content": "", "tool_calls": [
        {"id": "c1", "type": "function", "function": {"name": "f", "arguments": ""}},
        {"id": "c2", "type": "function", "function": {"name": "f", "arguments": "{}"}}]});
    let result =
        |id: &str, text: &str| json!({"role": "tool", "tool_call_id": id, "content": text});
    let user = |text: &str| json!({"role": "user", "content": text});
    for messages in [
        json!([
            user("a"),
            user(" "),
            user("b"),
            call,
            result("c1", ""),
            result("c2", "x"),
            user("c")
        ]),
        json!([{"role": "system", "content": "s"}, user("a"), {"role": "system", "content": "t"}]),
        json!([user("a"), {"role": "assistant", "content": " "}, user("b")]),
        json!([{"role": "system", "content": "only"}]),
    ] {
        let body = json!({"model": "chat", "messages": messages, "seed": 1, "store": true});
        let reply = gateway.chat(body.to_string()).await;
        assert_eq!(reply.status, StatusCode::OK, "{messages}: {}", reply.text());
        assert!(reply.header("x-sluice-dropped").contains("seed"));
    }
    let picture = json!({"model": "chat", "messages": [{"role": "user", "content": [
        {"type": "image_url", "image_url": {"url": "https://x.test/a.png"}}]}]});
    let reply = gateway.chat(picture.to_string()).await;
    assert_eq!(reply.status, StatusCode::BAD_REQUEST);
    assert!(reply.text().contains("base64"), "{}", reply.text());
}

#[tokio::test]
async fn an_anthropic_caller_keeps_the_betas_that_bedrock_takes() {
    let upstream = Upstream::answering(|received| strictly(received, answer())).await;
    let gateway = Gateway::start([to_bedrock(&upstream)]).await;
    let headers = [
        ("x-api-key", "sk-test"),
        ("anthropic-version", "2023-06-01"),
        ("anthropic-beta", "context-1m-2025-08-07,claude-code-20250219"),
    ];
    let body =
        r#"{"model":"chat","max_tokens":64,"top_k":3,"messages":[{"role":"user","content":"Hi"}]}"#;
    let reply = Reply::read(gateway.send_with("/v1/messages", &headers, body).await).await;
    assert_eq!(reply.json()["content"][0]["text"], "Hello", "{}", reply.text());
    assert_eq!(reply.header("x-sluice-dropped"), "anthropic-beta");
    let sent = upstream.received()[0].json();
    let fields = json!({"top_k": 3, "anthropic_beta": ["context-1m-2025-08-07"]});
    assert_eq!(sent["additionalModelRequestFields"], fields);
}

#[tokio::test]
async fn bedrocks_errors_are_told_in_the_callers_dialect() {
    let invalid = "The provided model identifier is invalid.";
    for (status, kind, message, expected, code) in [
        (400, "ValidationException:http://internal/", invalid, 404, "model_not_found"),
        (400, "ValidationException", "too long", 400, "invalid_request"),
        (429, "ThrottlingException", "slow down", 429, "rate_limit_exceeded"),
        (424, "ModelErrorException", "it broke", 502, "upstream_error"),
        (
            403,
            "AccessDeniedException",
            "arn:aws:iam::1:role/x",
            502,
            "upstream_credentials_exhausted",
        ),
    ] {
        let upstream = Upstream::always(refusal(status, kind, message)).await;
        let gateway = Gateway::start([to_bedrock(&upstream)]).await;
        let reply = gateway.chat(ASK).await;
        assert_eq!((reply.status.as_u16(), &*reply.code()), (expected, code), "{kind}");
        assert_eq!(reply.text().contains(message), status != 403, "{}", reply.text());
    }
}

#[tokio::test]
async fn a_stream_that_breaks_off_is_never_ended_as_if_it_were_whole() {
    let slow = ("!throttlingException", json!({"message": "slow down"}));
    let begun: Vec<_> = hello().into_iter().take(2).collect();
    let thrown = messages_of(&[&begun[..], &[slow]].concat());
    let mut damaged = messages_of(&hello());
    let last = damaged.len() - 30;
    damaged[last] ^= 1;
    let whole = messages_of(&hello());
    let stop = messages_of(&hello()[..4]).len();
    for bytes in [&thrown[..], &damaged[..], &whole[..stop], &whole[..stop + 5]] {
        let upstream = Upstream::always(stream_in(bytes, 64)).await;
        let gateway = Gateway::start([to_bedrock(&upstream)]).await;
        let headers = [("x-api-key", "sk-test"), ("anthropic-version", "2023-06-01")];
        let body = r#"{"model":"chat","max_tokens":64,"stream":true,"messages":[{"role":"user","content":"Hi"}]}"#;
        let reply = Reply::read(gateway.send_with("/v1/messages", &headers, body).await).await;
        let text = reply.text();
        assert!(text.contains("Hé") && text.contains("event: error\n"), "{text}");
        assert!(!text.contains("message_stop"), "{text}");
        assert_eq!(gateway.ended("incomplete"), 1);
    }
}
