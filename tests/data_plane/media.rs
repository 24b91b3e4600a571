//! The endpoints that only exist in OpenAI's dialect: completions, moderations, images and speech.

use http::StatusCode;
use http_body_util::BodyExt as _;
use sluice::{budget::Unit, llm::Dialect};

use crate::{
    fixture::{Gateway, budget, provider, provider_at, route},
    upstream::{Gate, Step, Upstream, json, stream, whole},
};

const SPEAK: &str = r#"{"model":"chat","input":"Hello","voice":"alloy"}"#;
const PAINT: &str = r#"{"model":"chat","prompt":"a cat"}"#;

#[tokio::test]
async fn sound_passes_as_it_comes_with_its_own_media_type() {
    let gate = Gate::new();
    let head = "HTTP/1.1 200 OK\r\ncontent-type: audio/mpeg\r\ntransfer-encoding: chunked\r\n\r\n";
    let script = vec![
        Step::Raw(head.into()),
        Step::Chunk(b"ID3\xff".to_vec()),
        Step::Wait(gate.clone()),
        Step::Chunk(b"\x00rest".to_vec()),
        Step::End,
    ];
    let upstream = Upstream::always(script).await;
    let gateway = Gateway::start([route([provider(&upstream)])]).await;
    let response = gateway.send("/v1/audio/speech", SPEAK).await;
    assert_eq!(response.headers()["content-type"], "audio/mpeg");
    let mut body = response.into_body();
    let first = body.frame().await.unwrap().unwrap().into_data().unwrap();
    assert_eq!(&first[..], b"ID3\xff", "before the rest was made");
    gate.open();
    assert_eq!(&body.collect().await.unwrap().to_bytes()[..], b"\x00rest");
    let sent = &upstream.received()[0];
    assert_eq!(sent.path, "/v1/audio/speech");
    assert_eq!(sent.body, SPEAK.replace("chat", "m").as_bytes());
    gateway.until_ended("complete").await;
}

#[tokio::test]
async fn sound_that_breaks_off_breaks_the_answer() {
    let head = "HTTP/1.1 200 OK\r\ncontent-type: audio/mpeg\r\ntransfer-encoding: chunked\r\n\r\n";
    let script = vec![Step::Raw(head.into()), Step::Chunk(b"ID3".to_vec()), Step::Reset];
    let upstream = Upstream::always(script).await;
    let gateway = Gateway::start([route([provider(&upstream)])]).await;
    let response = gateway.send("/v1/audio/speech", SPEAK).await;
    assert!(response.into_body().collect().await.is_err(), "or it would be taken for complete");
    gateway.until_ended("incomplete").await;
}

#[tokio::test]
async fn errors_of_speech_are_in_openais_dialect_and_another_target_may_serve() {
    let refusal = r#"{"error":{"message":"bad voice","type":"invalid_request_error","code":"v"}}"#;
    let first =
        Upstream::always(whole(400, &[("content-type", "application/json")], refusal)).await;
    let gateway = Gateway::start([route([provider(&first)])]).await;
    let reply = gateway.ask("/v1/audio/speech", SPEAK).await;
    assert_eq!((reply.status, reply.code()), (StatusCode::BAD_REQUEST, "v".to_owned()));
    let broken = Upstream::always(json(r#"{"error":{"message":"no","code":503}}"#)).await;
    let sound = Upstream::always(whole(200, &[("content-type", "audio/wav")], "RIFF")).await;
    let gateway = Gateway::start([route([provider(&broken), provider(&sound)])]).await;
    let reply = gateway.ask("/v1/audio/speech", SPEAK).await;
    assert_eq!((reply.text(), reply.header("content-type")), ("RIFF", "audio/wav"));
}

#[tokio::test]
async fn speech_as_events_is_a_stream() {
    let delta = r#"{"type":"speech.audio.delta","audio":"AAAA"}"#;
    let done = r#"{"type":"speech.audio.done","usage":{"input_tokens":4,"output_tokens":6,"total_tokens":10}}"#;
    let upstream = Upstream::always(stream([delta, done])).await;
    let (budget, mut route) = (budget(Unit::Tokens, 1_000_000), route([provider(&upstream)]));
    route.budgets = vec![budget.clone()];
    let gateway = Gateway::start([route]).await;
    let body = SPEAK.replace('}', r#","stream_format":"sse"}"#);
    let reply = gateway.ask("/v1/audio/speech", body).await;
    assert_eq!(reply.text(), format!("data: {delta}\n\ndata: {done}\n\n"));
    assert!(reply.header("content-type").starts_with("text/event-stream"));
    gateway.until_ended("complete").await;
    assert_eq!(gateway.used(&budget), (10, 0));
}

#[tokio::test]
async fn an_image_is_charged_by_what_it_reports() {
    let image = format!(
        r#"{{"created":1,"data":[{{"b64_json":"{}"}}],"usage":{{"input_tokens":20,"output_tokens":1056,"total_tokens":1076}}}}"#,
        "A".repeat(300_000)
    );
    let upstream = Upstream::always(json(&image)).await;
    let (budget, mut route) = (budget(Unit::Tokens, 1_000_000), route([provider(&upstream)]));
    route.budgets = vec![budget.clone()];
    let gateway = Gateway::start([route]).await;
    let reply = gateway.ask("/v1/images/generations", PAINT).await;
    assert_eq!(reply.text(), image);
    assert_eq!(reply.header("content-type"), "application/json");
    gateway.until_ended("complete").await;
    assert_eq!(gateway.used(&budget), (1076, 0));
}

#[tokio::test]
async fn completions_are_streamed_and_metered() {
    let text = r#"{"id":"c","object":"text_completion","model":"m","choices":[{"index":0,"text":"Hi","finish_reason":"stop"}]}"#;
    let usage = r#"{"id":"c","choices":[],"usage":{"prompt_tokens":2,"completion_tokens":1,"total_tokens":3}}"#;
    let upstream = Upstream::always(stream([text, usage, "[DONE]"])).await;
    let (budget, mut route) = (budget(Unit::Tokens, 1_000_000), route([provider(&upstream)]));
    route.budgets = vec![budget.clone()];
    let gateway = Gateway::start([route]).await;
    let body = r#"{"model":"chat","prompt":"Say hi","stream":true}"#;
    let reply = gateway.ask("/v1/completions", body).await;
    assert_eq!(reply.text(), format!("data: {text}\n\ndata: [DONE]\n\n"));
    let sent = &upstream.received()[0];
    assert_eq!(sent.path, "/v1/completions");
    assert_eq!(sent.json()["stream_options"]["include_usage"], true);
    gateway.until_ended("complete").await;
    assert_eq!(gateway.used(&budget), (3, 0));
}

#[tokio::test]
async fn moderation_without_a_model_means_openais_default() {
    let verdict = r#"{"id":"modr-1","model":"m","results":[{"flagged":false}]}"#;
    let upstream = Upstream::always(json(verdict)).await;
    let mut route = route([provider(&upstream)]);
    route.models = vec![sluice::snapshot::Pattern::Exact("omni-moderation-latest".into())];
    let gateway = Gateway::start([route]).await;
    let reply = gateway.ask("/v1/moderations", r#"{"input":"x"}"#).await;
    assert_eq!(reply.text(), verdict);
    let sent = &upstream.received()[0];
    assert_eq!((sent.path.as_str(), &sent.json()["model"]), ("/v1/moderations", &"m".into()));
}

#[tokio::test]
async fn a_provider_without_the_endpoint_is_not_asked() {
    let upstream = Upstream::always(json("{}")).await;
    let provider = provider_at(upstream.address(), Dialect::Anthropic);
    let gateway = Gateway::start([route([provider])]).await;
    for (path, body) in [("/v1/audio/speech", SPEAK), ("/v1/images/generations", PAINT)] {
        let reply = gateway.ask(path, body).await;
        assert_eq!(reply.code(), "unsupported_endpoint");
        assert_eq!(reply.status, StatusCode::BAD_REQUEST);
    }
    assert!(upstream.received().is_empty());
}
