//! Conversations that a provider stores: they go on where they are.

use http::StatusCode;
use serde_json::{Value, json};
use sluice::{
    llm::Dialect,
    snapshot::{Provider, Route},
};

use crate::{
    fixture::{Gateway, provider_at, route},
    upstream::{Script, Step, Upstream, json as answer, stream_head, whole},
};

const PATH: &str = "/v1/responses";

/// A provider that stores what it answers under ids that begin with its name.
async fn storing(name: &'static str) -> Upstream {
    Upstream::answering(move |request| {
        let asked = request.json();
        let known = match asked["previous_response_id"].as_str() {
            Some(id) if !id.starts_with(name) => return unknown(id),
            Some(id) => format!("after {id}"),
            None => "new".to_owned(),
        };
        match asked["stream"].as_bool() {
            Some(true) => streamed(name),
            _ => answer(given(name, &known)),
        }
    })
    .await
}

fn given(name: &str, text: &str) -> String {
    json!({"id": format!("{name}_1"), "object": "response", "status": "completed", "model": "m",
        "output": [{"type": "message", "content": [{"type": "output_text", "text": text}]}],
        "usage": {"input_tokens": 10, "output_tokens": 20}})
    .to_string()
}

fn unknown(id: &str) -> Script {
    let message = format!("Previous response with id '{id}' not found.");
    let error = json!({"error": {"message": message, "type": "invalid_request_error",
        "param": "previous_response_id", "code": "previous_response_not_found"}});
    whole(400, &[], error.to_string())
}

fn streamed(name: &str) -> Script {
    let id = format!("{name}_s");
    let begun = json!({"id": id, "object": "response", "status": "in_progress", "model": "m", "output": []});
    let done = json!({"id": id, "object": "response", "status": "completed", "model": "m", "output": [],
        "usage": {"input_tokens": 10, "output_tokens": 20}});
    let events = [
        json!({"type": "response.created", "sequence_number": 0, "response": begun}),
        json!({"type": "response.output_text.delta", "sequence_number": 1, "output_index": 0,
            "content_index": 0, "item_id": "msg_1", "delta": "Hello"}),
        json!({"type": "response.completed", "sequence_number": 2, "response": done}),
    ];
    let event = |event: &Value| {
        let kind = event["type"].as_str().unwrap();
        Step::Chunk(format!("event: {kind}\ndata: {event}\n\n").into_bytes())
    };
    std::iter::once(stream_head()).chain(events.iter().map(event)).chain([Step::End]).collect()
}

fn at(upstream: &Upstream) -> Provider {
    provider_at(upstream.address(), Dialect::Responses)
}

fn asking(more: Value) -> String {
    let mut body = json!({"model": "chat", "input": "Hi"});
    body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    body.to_string()
}

fn two(first: &Upstream, second: &Upstream) -> Route {
    route([at(first), at(second)])
}

#[tokio::test]
async fn a_conversation_goes_on_at_its_provider_whoever_comes_first() {
    for stream in [false, true] {
        let (a, b) = (storing("a").await, storing("b").await);
        // The first of the route was down when the conversation began.
        let down = Upstream::scripted([whole(503, &[], "busy")]).await;
        let gateway = Gateway::start([two(&down, &b)]).await;
        let begun = gateway.ask(PATH, asking(json!({"stream": stream}))).await;
        assert_eq!(begun.header("x-sluice-target"), "target-1");
        let id = if stream { "b_s" } else { "b_1" };
        assert!(begun.text().contains(id));

        gateway.published.publish(std::sync::Arc::new(crate::fixture::snapshot([two(&a, &b)])));
        let next = gateway.ask(PATH, asking(json!({"previous_response_id": id}))).await;
        assert!(next.text().contains(&format!("after {id}")), "{}", next.text());
        assert_eq!(next.header("x-sluice-attempts"), "1");
        assert!(a.received().is_empty(), "who does not know it is not asked");
    }
}

#[tokio::test]
async fn a_replica_that_knows_nothing_finds_the_conversation_by_asking() {
    let (a, b) = (storing("a").await, storing("b").await);
    let gateway = Gateway::start([two(&a, &b)]).await;
    let ask = asking(json!({"previous_response_id": "b_1"}));
    let reply = gateway.ask(PATH, ask.clone()).await;
    assert!(reply.text().contains("after b_1"), "{}", reply.text());
    assert_eq!(reply.header("x-sluice-attempts"), "2");
    let ask = asking(json!({"previous_response_id": "b_1"}));
    assert_eq!(gateway.ask(PATH, ask).await.header("x-sluice-target"), "target-1");
}

#[tokio::test]
async fn if_nobody_has_stored_it_the_first_error_is_told() {
    let (a, b) = (storing("a").await, storing("b").await);
    let gateway = Gateway::start([two(&a, &b)]).await;
    let reply = gateway.ask(PATH, asking(json!({"previous_response_id": "gone"}))).await;
    assert_eq!(reply.status, StatusCode::BAD_REQUEST);
    assert_eq!(reply.code(), "previous_response_not_found");
    assert_eq!((a.received().len(), b.received().len()), (1, 1), "nobody is asked twice");
}

#[tokio::test]
async fn who_stores_nothing_is_passed_over() {
    let chat = Upstream::always(whole(500, &[], "must not be asked")).await;
    let b = storing("b").await;
    let other = provider_at(chat.address(), Dialect::Anthropic);
    let gateway = Gateway::start([route([other.clone(), at(&b)])]).await;
    let ask = asking(json!({"previous_response_id": "b_1"}));
    let reply = gateway.ask(PATH, ask.clone()).await;
    assert!(reply.text().contains("after b_1"), "{}", reply.text());

    let gateway = Gateway::start([route([other])]).await;
    assert_eq!(gateway.ask(PATH, ask).await.code(), "unsupported_parameter");
    assert!(chat.received().is_empty());
}
