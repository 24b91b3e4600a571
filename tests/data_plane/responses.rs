//! Callers of Responses, and providers that speak it.

use http::StatusCode;
use serde_json::{Value, json};
use sluice::llm::Dialect;

use crate::{
    fixture::{
        ASK, Gateway, Reply, STOP, USAGE, WHOLE, chunk, credential, provider, provider_at, route,
    },
    upstream::{Step, Upstream, event, json as answer, stream, stream_head, whole},
};

const PATH: &str = "/v1/responses";

fn asking(more: Value) -> String {
    let mut body = json!({"model": "chat", "input": "Hi"});
    body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    body.to_string()
}

/// The events of a stream, each with the name that its data has.
fn events(reply: &Reply) -> Vec<Value> {
    let frames = reply.text().split_terminator("\n\n");
    let events = frames.map(|frame| {
        let (name, data) = frame.split_once("\ndata: ").expect(frame);
        let data: Value = data.parse().unwrap();
        assert_eq!(name.strip_prefix("event: "), data["type"].as_str());
        data
    });
    let events: Vec<Value> = events.collect();
    for (at, event) in events.iter().enumerate() {
        assert_eq!(event["sequence_number"], json!(at), "{event}");
    }
    events
}

#[tokio::test]
async fn a_whole_answer_of_a_chat_provider_says_what_was_asked() {
    let upstream = Upstream::always(answer(WHOLE)).await;
    let gateway = Gateway::start([route([provider(&upstream)])]).await;
    let reply = gateway.ask(PATH, asking(json!({"instructions": "Be brief."}))).await;
    assert_eq!(reply.status, StatusCode::OK, "{}", reply.text());
    let body = reply.json();
    assert_eq!((&body["object"], &body["status"]), (&json!("response"), &json!("completed")));
    assert_eq!(body["output"][0]["content"][0]["text"], "Hello");
    assert_eq!((&body["instructions"], &body["store"]), (&json!("Be brief."), &json!(false)));
    assert_eq!(body["usage"]["input_tokens"], 10);
    let sent = &upstream.received()[0];
    assert_eq!(sent.path, "/v1/chat/completions");
    assert_eq!(
        sent.json()["messages"],
        json!([{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hi"}])
    );
}

#[tokio::test]
async fn a_stream_of_a_chat_provider_is_typed_events() {
    let chunks = [chunk("Hel"), chunk("lo"), STOP.to_owned(), USAGE.to_owned(), "[DONE]".into()];
    let upstream = Upstream::always(stream(chunks)).await;
    let gateway = Gateway::start([route([provider(&upstream)])]).await;
    let reply = gateway.ask(PATH, asking(json!({"stream": true}))).await;
    assert!(reply.header("content-type").starts_with("text/event-stream"));
    let events = events(&reply);
    assert_eq!(events[0]["type"], "response.created");
    let last = events.last().unwrap();
    assert_eq!(last["type"], "response.completed");
    assert_eq!(last["response"]["output"][0]["content"][0]["text"], "Hello");
    assert_eq!(last["response"]["usage"]["output_tokens"], 20);
    assert!(!reply.text().contains("[DONE]"));
    assert_eq!(gateway.ended("complete"), 1);
}

#[tokio::test]
async fn a_freeform_tool_crosses_and_comes_back() {
    let claude = json!({"id": "msg_1", "type": "message", "role": "assistant", "model": "m",
        "content": [
            {"type": "thinking", "thinking": "Hm.", "signature": "c2ln"},
            {"type": "tool_use", "id": "toolu_1", "name": "apply_patch", "input": {"input": "*** x\n"}},
        ],
        "stop_reason": "tool_use", "usage": {"input_tokens": 10, "output_tokens": 20}});
    let upstream = Upstream::always(answer(claude.to_string())).await;
    let provider = provider_at(upstream.address(), Dialect::Anthropic);
    let gateway = Gateway::start([route([provider])]).await;
    let tools = json!({"tools": [{"type": "custom", "name": "apply_patch"}]});
    let reply = gateway.ask(PATH, asking(tools.clone())).await;
    let output = reply.json()["output"].clone();
    assert_eq!(output[1]["type"], "custom_tool_call", "{}", reply.text());
    assert_eq!(
        (&output[1]["input"], &output[1]["call_id"]),
        (&json!("*** x\n"), &json!("toolu_1"))
    );

    let mut input = output.as_array().unwrap().clone();
    input.push(json!({"type": "custom_tool_call_output", "call_id": "toolu_1", "output": "ok"}));
    let mut next = tools;
    next["input"] = json!(input);
    assert_eq!(gateway.ask(PATH, asking(next)).await.status, StatusCode::OK);
    let sent = upstream.received()[1].json();
    let turn = json!([
        {"type": "thinking", "thinking": "Hm.", "signature": "c2ln"},
        {"type": "tool_use", "id": "toolu_1", "name": "apply_patch", "input": {"input": "*** x\n"}},
    ]);
    // The history begins with the model, so a user speaks first.
    assert_eq!(sent["messages"][0], json!({"role": "user", "content": "."}));
    assert_eq!(sent["messages"][1]["content"], turn, "{sent}");
    assert_eq!(sent["messages"][2]["content"][0]["type"], "tool_result");
}

#[tokio::test]
async fn a_provider_that_speaks_responses_gets_the_bytes() {
    let given = r#"{"id":"resp_1","object":"response","status":"completed","model":"m","output":[{"type":"web_search_call","id":"ws_1"},{"type":"message","content":[{"type":"output_text","text":"Hello"}]}],"usage":{"input_tokens":10,"output_tokens":20},"x_new":1}"#;
    let upstream = Upstream::always(answer(given)).await;
    let mut provider = provider_at(upstream.address(), Dialect::Responses);
    provider.credentials = vec![credential("sk-upstream")];
    let gateway = Gateway::start([route([provider])]).await;
    let asked = r#"{"previous_response_id":"resp_0","model":"chat","input":"Hi","tools":[{"type":"web_search"}],"x_new":[1]}"#;
    let reply = gateway.ask(PATH, asked).await;
    assert_eq!(reply.text(), given);
    let sent = &upstream.received()[0];
    assert_eq!(std::str::from_utf8(&sent.body).unwrap(), asked.replace("\"chat\"", "\"m\""));
    assert_eq!(sent.path, "/v1/responses");
    assert_eq!(sent.header("authorization"), Some("Bearer sk-upstream"));
    assert_eq!(gateway.ended("complete"), 1);
}

const PASSED: [&str; 4] = [
    r#"{"type":"response.created","sequence_number":0,"response":{"id":"resp_1","object":"response","status":"in_progress","model":"m","output":[]}}"#,
    r#"{"type":"response.output_item.added","sequence_number":1,"output_index":0,"item":{"type":"message","id":"msg_1","role":"assistant","content":[]}}"#,
    r#"{"type":"response.output_text.delta","sequence_number":2,"output_index":0,"content_index":0,"item_id":"msg_1","delta":"Hello","logprobs":[]}"#,
    r#"{"type":"response.completed","sequence_number":3,"response":{"id":"resp_1","object":"response","status":"completed","model":"m","output":[],"usage":{"input_tokens":10,"output_tokens":20}}}"#,
];

fn named(data: &str) -> Step {
    let kind: Value = data.parse().unwrap();
    Step::Chunk(format!("event: {}\ndata: {data}\n\n", kind["type"].as_str().unwrap()).into())
}

async fn responses_stream(events: Vec<Step>) -> (Gateway, Upstream) {
    let script = std::iter::once(stream_head()).chain(events).collect();
    let upstream = Upstream::always(script).await;
    let provider = provider_at(upstream.address(), Dialect::Responses);
    (Gateway::start([route([provider])]).await, upstream)
}

#[tokio::test]
async fn a_stream_passes_through_and_its_break_is_told_by_the_same_answer() {
    let all = PASSED.into_iter().map(named).chain([Step::End]).collect();
    let (gateway, _upstream) = responses_stream(all).await;
    let reply = gateway.ask(PATH, asking(json!({"stream": true}))).await;
    assert_eq!(events(&reply), PASSED.map(|data| data.parse::<Value>().unwrap()));
    assert_eq!(gateway.ended("complete"), 1);
    let failed = r#"{"type":"response.failed","sequence_number":3,"response":{"id":"resp_1","status":"failed","error":{"code":"server_error","message":"broken"}}}"#;
    for end in [named(failed), Step::Reset, Step::End] {
        let events_sent = PASSED[..3].iter().map(|data| named(data)).chain([end]).collect();
        let (gateway, _upstream) = responses_stream(events_sent).await;
        let reply = gateway.ask(PATH, asking(json!({"stream": true}))).await;
        let told = events(&reply);
        let last = told.last().unwrap();
        assert_eq!(last["type"], "response.failed", "{}", reply.text());
        assert_eq!(last["response"]["id"], "resp_1");
        assert!(last["response"]["error"]["message"].is_string());
        assert_eq!(gateway.ended("incomplete"), 1);
    }
}

#[tokio::test]
async fn other_callers_reach_a_provider_that_speaks_responses_only() {
    let given = json!({"id": "resp_1", "status": "completed", "model": "m", "output": [
        {"type": "message", "content": [{"type": "output_text", "text": "Hello"}]}],
        "usage": {"input_tokens": 10, "output_tokens": 20}});
    let upstream = Upstream::always(answer(given.to_string())).await;
    let provider = provider_at(upstream.address(), Dialect::Responses);
    let gateway = Gateway::start([route([provider])]).await;
    let reply = gateway.chat(ASK).await;
    assert_eq!(reply.json()["choices"][0]["message"]["content"], "Hello", "{}", reply.text());
    let sent = &upstream.received()[0];
    assert_eq!((sent.path.as_str(), &sent.json()["store"]), ("/v1/responses", &json!(false)));

    let all = PASSED.into_iter().map(named).chain([Step::End]).collect();
    let (gateway, _upstream) = responses_stream(all).await;
    let ask = ASK.replacen('{', "{\"stream\":true,", 1);
    let reply = gateway.chat(ask).await;
    assert!(reply.text().contains("\"content\":\"Hello\""), "{}", reply.text());
    assert!(reply.text().ends_with("data: [DONE]\n\n"));
}

#[tokio::test]
async fn what_needs_a_memory_is_refused_before_any_call() {
    let upstream = Upstream::always(answer(WHOLE)).await;
    let gateway = Gateway::start([route([provider(&upstream)])]).await;
    for (more, code) in [
        (json!({"previous_response_id": "resp_0"}), "unsupported_parameter"),
        (json!({"tool_choice": {"type": "web_search"}}), "unsupported_tool"),
        (
            json!({"input": [{"type": "item_reference", "id": "rs_1"}]}),
            "unsupported_item_reference",
        ),
    ] {
        let reply = gateway.ask(PATH, asking(more)).await;
        assert_eq!((reply.status, reply.code().as_str()), (StatusCode::BAD_REQUEST, code));
    }
    assert!(upstream.received().is_empty());
    let reply = gateway.get("/v1/responses/resp_1", &[]).await;
    assert_eq!(
        (reply.status, reply.code().as_str()),
        (StatusCode::NOT_FOUND, "response_not_found")
    );
}

#[tokio::test]
async fn errors_are_read_and_written_in_the_callers_dialect() {
    let error = r#"{"error":{"message":"Unsupported parameter: 'temperature' is not supported with this model.","type":"invalid_request_error","param":"temperature","code":null}}"#;
    let refused = whole(400, &[("content-type", "application/json")], error);
    for dialect in [Dialect::Responses, Dialect::OpenAi] {
        let upstream = Upstream::always(refused.clone()).await;
        let gateway = Gateway::start([route([provider_at(upstream.address(), dialect)])]).await;
        let reply = gateway.ask(PATH, asking(json!({}))).await;
        assert_eq!(reply.status, StatusCode::BAD_REQUEST);
        assert_eq!(reply.json()["error"]["param"], "temperature");
    }
    // An error inside a 200, before anything was sent, has a status.
    let limited = r#"{"type":"error","code":"rate_limit_exceeded","message":"slow","param":null,"sequence_number":0}"#;
    let (gateway, _upstream) = responses_stream(vec![event(limited), Step::End]).await;
    let reply = gateway.ask(PATH, asking(json!({"stream": true}))).await;
    assert_eq!(reply.status, StatusCode::TOO_MANY_REQUESTS, "{}", reply.text());
}
