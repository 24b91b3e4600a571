//! Callers of one dialect, providers of the other.

use std::sync::Arc;

use http::StatusCode;
use sluice::llm::{Dialect, Parameters};

use crate::{
    fixture::{
        ASK, Gateway, Reply, STOP, STREAM, USAGE, WHOLE, chunk, credential, provider, provider_at,
        route, targets_of,
    },
    upstream::{Step, Upstream, event, json, stream, stream_head, whole},
};

const MESSAGES: &str =
    r#"{"model":"chat","max_tokens":64,"messages":[{"role":"user","content":"Hi"}]}"#;

async fn messages(gateway: &Gateway, body: &str) -> Reply {
    let headers = [("x-api-key", "sk-test"), ("anthropic-version", "2023-06-01")];
    Reply::read(gateway.send_with("/v1/messages", &headers, body.to_owned()).await).await
}

fn streamed() -> String {
    MESSAGES.replace("\"max_tokens\"", "\"stream\":true,\"max_tokens\"")
}

#[tokio::test]
async fn an_anthropic_caller_gets_a_whole_answer_of_an_openai_provider() {
    let upstream = Upstream::always(json(WHOLE)).await;
    let mut provider = provider(&upstream);
    provider.credentials = vec![credential("sk-upstream")];
    let gateway = Gateway::start([route([provider])]).await;
    let reply = messages(&gateway, MESSAGES).await;
    assert_eq!(reply.status, StatusCode::OK, "{}", reply.text());
    let answer = reply.json();
    assert_eq!(answer["type"], "message");
    assert_eq!(answer["content"][0]["text"], "Hello");
    assert_eq!(answer["usage"]["output_tokens"], 20);
    let sent = &upstream.received()[0];
    assert_eq!(sent.path, "/v1/chat/completions");
    assert_eq!(sent.header("authorization"), Some("Bearer sk-upstream"));
    assert_eq!(sent.header("anthropic-version"), None);
    assert_eq!(sent.json()["model"], "m");
}

#[tokio::test]
async fn an_anthropic_caller_gets_a_stream_of_an_openai_provider() {
    let upstream = Upstream::always(stream([&*chunk("Hello"), STOP, USAGE, "[DONE]"])).await;
    let gateway = Gateway::start([route([provider(&upstream)])]).await;
    let reply = messages(&gateway, &streamed()).await;
    for part in ["event: message_start", "\"text\":\"Hello\"", "event: message_stop"] {
        assert!(reply.text().contains(part), "{part}: {}", reply.text());
    }
    assert!(!reply.text().contains("[DONE]"));
    assert_eq!(gateway.ended("complete"), 1);
}

#[tokio::test]
async fn an_anthropic_caller_sees_errors_in_its_dialect() {
    let error = r#"{"error":{"message":"too long","type":"invalid_request_error","code":"context_length_exceeded"}}"#;
    let upstream = Upstream::always(whole(400, &[], error)).await;
    let gateway = Gateway::start([route([provider(&upstream)])]).await;
    let reply = messages(&gateway, MESSAGES).await;
    assert_eq!(reply.json()["error"]["type"], "invalid_request_error");
    let script = vec![stream_head(), event(chunk("Hello")), Step::Reset];
    let broken = Upstream::always(script).await;
    let gateway = Gateway::start([route([provider(&broken)])]).await;
    let reply = messages(&gateway, &streamed()).await;
    assert!(reply.text().contains("Hello") && reply.text().contains("event: error\n"));
    assert!(!reply.text().contains("message_stop"), "{}", reply.text());
    assert_eq!(gateway.ended("incomplete"), 1);
}

#[tokio::test]
async fn an_openai_caller_gets_a_whole_answer_of_an_anthropic_provider() {
    let answer = r#"{"id":"msg_1","type":"message","role":"assistant","model":"m","content":[{"type":"text","text":"Hello"}],"stop_reason":"end_turn","stop_sequence":null,"usage":{"input_tokens":10,"output_tokens":20}}"#;
    let upstream = Upstream::always(json(answer)).await;
    let mut provider = provider_at(upstream.address(), Dialect::Anthropic);
    provider.credentials = vec![credential("sk-upstream")];
    let gateway = Gateway::start([route([provider])]).await;
    let reply = gateway.chat(ASK).await;
    assert_eq!(reply.status, StatusCode::OK, "{}", reply.text());
    assert_eq!(reply.json()["choices"][0]["message"]["content"], "Hello");
    assert_eq!(reply.header("x-sluice-cost-usd"), "0.00003");
    let sent = &upstream.received()[0];
    assert_eq!(
        (sent.path.as_str(), sent.header("x-api-key")),
        ("/v1/messages", Some("sk-upstream"))
    );
    assert_eq!(sent.header("anthropic-version"), Some("2023-06-01"));
    assert_eq!(sent.header("authorization"), None);
}

#[tokio::test]
async fn the_same_dialect_passes_on_both_sides_of_anthropic() {
    let answer = r#"{"id":"msg_1","type":"message","role":"assistant","model":"m","content":[{"type":"text","text":"Hello"}],"stop_reason":"end_turn","usage":{"input_tokens":10,"output_tokens":20},"new_field":1}"#;
    let upstream = Upstream::always(json(answer)).await;
    let gateway =
        Gateway::start([route([provider_at(upstream.address(), Dialect::Anthropic)])]).await;
    let reply = messages(&gateway, MESSAGES).await;
    assert_eq!(reply.text(), answer);
    let sent = String::from_utf8(upstream.received()[0].body.clone()).unwrap();
    assert_eq!(sent, MESSAGES.replace("\"chat\"", "\"m\""));
}

/// Later versions of the API refuse sampling parameters, which the caller cannot know were added.
#[tokio::test]
async fn a_route_that_sets_sampling_chooses_the_version_that_takes_it() {
    let answer = r#"{"id":"msg_1","type":"message","role":"assistant","model":"m","content":[{"type":"text","text":"Hello"}],"stop_reason":"end_turn","usage":{"input_tokens":10,"output_tokens":20}}"#;
    let upstream = Upstream::always(json(answer)).await;
    let mut route = route([provider_at(upstream.address(), Dialect::Anthropic)]);
    let mut target = (*route.rules[0].targets[0]).clone();
    let set = serde_json::json!({"temperature": 0.2}).as_object().unwrap().clone();
    target.parameters = Some(Parameters { set, ..Parameters::default() });
    *targets_of(&mut route) = vec![Arc::new(target)];
    let gateway = Gateway::start([route]).await;
    let headers = [("x-api-key", "sk-test"), ("anthropic-version", "2026-10-21")];
    let reply = gateway.send_with("/v1/messages", &headers, MESSAGES).await;
    assert_eq!(reply.status(), 200);
    assert_eq!(upstream.received()[0].header("anthropic-version"), Some("2023-06-01"));
}

/// Anthropic's stream of a text, its `event:` lines included.
const STREAMED: [&str; 7] = [
    r#"{"type":"message_start","message":{"id":"msg_1","type":"message","role":"assistant","model":"m","content":[],"stop_reason":null,"usage":{"input_tokens":10,"output_tokens":1}}}"#,
    r#"{"type":"content_block_start","index":0,"content_block":{"type":"text","text":""}}"#,
    r#"{"type":"ping"}"#,
    r#"{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"Hello"}}"#,
    r#"{"type":"content_block_stop","index":0}"#,
    r#"{"type":"message_delta","delta":{"stop_reason":"end_turn","stop_sequence":null},"usage":{"output_tokens":20}}"#,
    r#"{"type":"message_stop"}"#,
];

fn named_event(data: &str) -> Step {
    let kind: serde_json::Value = data.parse().unwrap();
    Step::Chunk(format!("event: {}\ndata: {data}\n\n", kind["type"].as_str().unwrap()).into())
}

/// A gateway before an Anthropic provider that streams this.
async fn anthropic_streams(events: Vec<Step>) -> (Gateway, Upstream) {
    let script = std::iter::once(stream_head()).chain(events).collect();
    let upstream = Upstream::always(script).await;
    let provider = provider_at(upstream.address(), Dialect::Anthropic);
    (Gateway::start([route([provider])]).await, upstream)
}

/// The chunks of OpenAI's stream, without its terminator, which must be there.
fn chunks(reply: &Reply) -> Vec<serde_json::Value> {
    let events = reply.text().strip_suffix("data: [DONE]\n\n").expect("a terminator");
    let events = events.split_terminator("\n\n");
    events.map(|event| event.strip_prefix("data: ").unwrap().parse().unwrap()).collect()
}

#[tokio::test]
async fn an_openai_caller_gets_a_stream_of_an_anthropic_provider() {
    let events = STREAMED.into_iter().map(named_event).chain([Step::End]).collect();
    let (gateway, upstream) = anthropic_streams(events).await;
    let reply = gateway.chat(STREAM).await;
    assert!(reply.header("content-type").starts_with("text/event-stream"));
    let plain = chunks(&reply);
    let text: String =
        plain.iter().filter_map(|chunk| chunk["choices"][0]["delta"]["content"].as_str()).collect();
    assert_eq!(text, "Hello");
    assert_eq!(plain[0]["object"], "chat.completion.chunk");
    assert_eq!(plain.last().unwrap()["choices"][0]["finish_reason"], "stop");
    assert!(!reply.text().contains("event:") && !reply.text().contains("total_tokens"));
    let sent = &upstream.received()[0];
    assert_eq!((sent.path.as_str(), &sent.json()["stream"]), ("/v1/messages", &true.into()));

    let asked = STREAM
        .replace("\"stream\":true", r#""stream":true,"stream_options":{"include_usage":true}"#);
    let chunks = chunks(&gateway.chat(asked).await);
    let usage = &chunks.last().unwrap()["usage"];
    assert_eq!((&usage["prompt_tokens"], &usage["completion_tokens"]), (&10.into(), &20.into()));
    assert_eq!(gateway.ended("complete"), 2);
}

#[tokio::test]
async fn an_openai_caller_is_told_when_an_anthropic_stream_breaks() {
    let overloaded = r#"{"type":"error","error":{"type":"overloaded_error","message":"busy"}}"#;
    for end in [named_event(overloaded), Step::Reset, Step::End] {
        let events = STREAMED[..4].iter().map(|data| named_event(data)).chain([end]).collect();
        let (gateway, _upstream) = anthropic_streams(events).await;
        let reply = gateway.chat(STREAM).await;
        assert!(reply.text().contains("Hello") && reply.text().contains("data: {\"error\":"));
        assert!(!reply.text().contains("[DONE]"), "{}", reply.text());
        assert_eq!(gateway.ended("incomplete"), 1);
    }
}

#[tokio::test]
async fn what_the_other_dialect_cannot_say_is_named_in_a_header() {
    let answer = r#"{"id":"msg_1","type":"message","role":"assistant","model":"m","content":[{"type":"text","text":"Hello"}],"stop_reason":"end_turn","usage":{"input_tokens":10,"output_tokens":20}}"#;
    let streamed = [stream_head()].into_iter().chain(STREAMED.into_iter().map(named_event));
    let streamed: Vec<Step> = streamed.chain([Step::End]).collect();
    let upstream = Upstream::answering(move |request| match request.json()["stream"].as_bool() {
        Some(true) => streamed.clone(),
        _ => json(answer),
    })
    .await;
    let gateway =
        Gateway::start([route([provider_at(upstream.address(), Dialect::Anthropic)])]).await;
    for ask in [ASK, STREAM] {
        let reply = gateway.chat(ask).await;
        assert!(!reply.headers.contains_key("x-sluice-dropped"), "{:?}", reply.headers);
        let more = ask.replacen('{', r#"{"seed":7,"logit_bias":{"1":2},"#, 1);
        let reply = gateway.chat(more).await;
        assert_eq!(reply.status, StatusCode::OK, "{}", reply.text());
        assert_eq!(reply.header("x-sluice-dropped"), "logit_bias, seed");
        let sent = upstream.received().last().unwrap().json();
        assert!(sent.get("seed").is_none() && sent.get("logit_bias").is_none(), "{sent}");
    }
}
