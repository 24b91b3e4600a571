//! Providers of dialects that are near others but refuse what they do not know: Mistral, Cohere and
//! Ollama, each played by an upstream that checks requests as the real one does.

use http::StatusCode;
use serde_json::{Value, json};
use sluice::llm::Dialect;
use sluice::snapshot::Provider;

use crate::{
    complaints::{self, unknown, wrong_for_cohere, wrong_for_mistral},
    fixture::{Gateway, Reply, provider_at, route},
    upstream::{self, Received, Script, Step, Upstream, stream, whole},
};

const MISTRAL_EMBED: &[&str] =
    &["model", "input", "metadata", "output_dimension", "output_dtype", "encoding_format"];
const COHERE_EMBED: &[&str] = &[
    "model",
    "input_type",
    "texts",
    "images",
    "inputs",
    "max_tokens",
    "output_dimension",
    "embedding_types",
    "truncate",
    "priority",
];
const COHERE_RERANK: &[&str] =
    &["model", "query", "documents", "top_n", "max_tokens_per_doc", "relevant_spans", "priority"];

/// A conversation with what each of them is particular about: a tool loop with foreign ids, the user
/// after a tool, OpenAI's own parameters.
const LOOP: &str = r#"{"model":"chat","messages":[
    {"role":"developer","content":"Be brief."},
    {"role":"user","content":"Weather?"},
    {"role":"assistant","content":"I will look.","tool_calls":[{"id":"call_abcdefghijklmnop","type":"function","function":{"name":"weather","arguments":"{\"city\":\"Oslo\"}"}}]},
    {"role":"tool","tool_call_id":"call_abcdefghijklmnop","content":"cold"},
    {"role":"user","content":"Thanks"}],
    "tools":[{"type":"function","function":{"name":"weather"}}],"tool_choice":"required",
    "max_completion_tokens":50,"top_p":1,"user":"u"}"#;

fn streamed() -> String {
    LOOP.replace("\"user\":\"u\"", "\"stream\":true,\"stream_options\":{\"include_usage\":true}")
}

fn json(status: u16, body: &Value) -> Script {
    whole(status, &[("content-type", "application/json")], body.to_string())
}

fn mistral(received: &Received) -> Script {
    let body = received.json();
    let found = match received.path.as_str() {
        "/v1/chat/completions" => wrong_for_mistral(&body),
        "/v1/embeddings" => unknown(&body, MISTRAL_EMBED),
        other => Some(other.to_owned()),
    };
    if let Some(found) = found {
        let detail = json!({"detail": [{"type": "extra_forbidden", "loc": ["body", found], "msg": "Extra inputs are not permitted"}]});
        return json(
            422,
            &json!({"object": "error", "message": detail, "type": "invalid_request_error", "param": null, "code": null}),
        );
    }
    if received.path == "/v1/embeddings" {
        return json(
            200,
            &json!({"id": "e", "object": "list", "model": "m", "data": [{"object": "embedding", "index": 0, "embedding": [0.5, 1]}],
            "usage": {"prompt_tokens": 3, "completion_tokens": 0, "total_tokens": 3}}),
        );
    }
    let usage = json!({"prompt_tokens": 10, "completion_tokens": 20, "total_tokens": 30});
    if body["stream"] == true {
        let chunk = |delta: Value, reason: Value| json!({"id": "i", "object": "chat.completion.chunk", "created": 1, "model": "m", "choices": [{"index": 0, "delta": delta, "finish_reason": reason}]});
        let mut last = chunk(json!({"content": ""}), json!("stop"));
        last["usage"] = usage;
        let first = chunk(json!({"role": "assistant", "content": "Hello"}), Value::Null);
        return stream([first.to_string(), last.to_string(), "[DONE]".to_owned()]);
    }
    json(
        200,
        &json!({"id": "i", "object": "chat.completion", "created": 1, "model": "m", "usage": usage,
        "choices": [{"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "tool_calls": null, "content": "Hello"}}]}),
    )
}

fn cohere(received: &Received) -> Script {
    let body = received.json();
    let known = match received.path.as_str() {
        "/v2/chat" => complaints::COHERE,
        "/v2/embed" => COHERE_EMBED,
        "/v2/rerank" => COHERE_RERANK,
        _ => &[],
    };
    let refuse =
        |status: u16, message: String| json(status, &json!({"id": "x", "message": message}));
    if let Some(name) = unknown(&body, known) {
        return refuse(
            400,
            format!("invalid request: unknown field: parameter '{name}' is not a valid field"),
        );
    }
    match received.path.as_str() {
        "/v2/embed" if body["input_type"].is_null() => {
            refuse(400, "input_type is required".to_owned())
        }
        "/v2/embed" => json(
            200,
            &json!({"id": "e", "texts": body["texts"], "embeddings": {"float": [[0.5, 1]]},
            "meta": {"billed_units": {"input_tokens": 3}}, "response_type": "embeddings_by_type"}),
        ),
        "/v2/rerank" if body["model"] == "none" => refuse(404, "model 'none' not found".to_owned()),
        "/v2/rerank" => json(
            200,
            &json!({"id": "r", "results": [{"index": 1, "relevance_score": 0.9}],
            "meta": {"api_version": {"version": "2"}, "billed_units": {"search_units": 1}}}),
        ),
        _ => cohere_chat(&body),
    }
}

fn cohere_chat(body: &Value) -> Script {
    if wrong_for_cohere(body).is_some() {
        return json(422, &json!({"id": "x", "message": "invalid request"}));
    }
    let usage = json!({"billed_units": {"input_tokens": 5, "output_tokens": 20}, "tokens": {"input_tokens": 10, "output_tokens": 20}});
    if body["stream"] == true {
        return stream(
            [
                json!({"type": "message-start", "id": "i", "delta": {"message": {"role": "assistant", "content": []}}}),
                json!({"type": "content-start", "index": 0, "delta": {"message": {"content": {"type": "text", "text": ""}}}}),
                json!({"type": "content-delta", "index": 0, "delta": {"message": {"content": {"text": "Hello"}}}}),
                json!({"type": "content-end", "index": 0}),
                json!({"type": "message-end", "delta": {"finish_reason": "COMPLETE", "usage": usage}}),
            ]
            .iter()
            .map(Value::to_string)
            .chain(["[DONE]".to_owned()]),
        );
    }
    json(
        200,
        &json!({"id": "i", "finish_reason": "COMPLETE", "usage": usage,
        "message": {"role": "assistant", "content": [{"type": "text", "text": "Hello"}]}}),
    )
}

/// A provider whose base URL ends where the dialect's own paths begin.
fn at(upstream: &Upstream, dialect: Dialect, base: &str) -> Provider {
    let mut provider = provider_at(upstream.address(), dialect);
    if let sluice::snapshot::Endpoint::Http { base_path, .. } = &mut provider.endpoint {
        base.clone_into(base_path);
    }
    provider
}

async fn post(gateway: &Gateway, path: &str, body: &str) -> Reply {
    let headers = [("authorization", "Bearer sk-test")];
    Reply::read(gateway.send_with(path, &headers, body.to_owned()).await).await
}

#[tokio::test]
async fn mistral_is_asked_in_its_own_form() {
    let upstream = Upstream::answering(mistral).await;
    let gateway = Gateway::start([route([at(&upstream, Dialect::Mistral, "/v1")])]).await;
    let reply = gateway.chat(LOOP).await;
    assert_eq!(reply.status, StatusCode::OK, "{}", reply.text());
    assert_eq!(reply.json()["choices"][0]["message"]["content"], "Hello");
    assert_eq!(reply.header("x-sluice-dropped"), "user");
    assert_eq!(reply.header("x-sluice-cost-usd"), "0.00003");
    let reply = gateway.chat(streamed()).await;
    assert!(reply.text().contains("\"content\":\"Hello\""), "{}", reply.text());
    assert!(reply.text().contains("\"choices\":[],\"usage\":{\"prompt_tokens\":10"));
    assert!(reply.text().ends_with("data: [DONE]\n\n"));
}

#[tokio::test]
async fn what_mistrals_validation_finds_is_told_in_a_sentence() {
    let upstream = Upstream::answering(|_| {
        mistral(&Received {
            connection: 0,
            method: String::new(),
            path: "/v1/chat/completions".to_owned(),
            headers: Vec::new(),
            body: br#"{"messages":[],"new":1}"#.to_vec(),
        })
    })
    .await;
    let gateway = Gateway::start([route([at(&upstream, Dialect::Mistral, "/v1")])]).await;
    let reply = gateway.chat(LOOP).await;
    assert_eq!(reply.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(reply.json()["error"]["message"], "body.new: Extra inputs are not permitted");
}

#[tokio::test]
async fn cohere_is_asked_in_its_own_form() {
    let upstream = Upstream::answering(cohere).await;
    let gateway = Gateway::start([route([at(&upstream, Dialect::Cohere, "/v2")])]).await;
    let reply = gateway.chat(LOOP).await;
    assert_eq!(reply.status, StatusCode::OK, "{}", reply.text());
    assert_eq!(reply.json()["choices"][0]["message"]["content"], "Hello");
    assert_eq!(reply.json()["usage"]["prompt_tokens"], 10);
    assert_eq!(reply.header("x-sluice-dropped"), "user");
    let reply = gateway.chat(streamed()).await;
    assert!(reply.text().contains("\"content\":\"Hello\""), "{}", reply.text());
    assert!(reply.text().ends_with("data: [DONE]\n\n"));
    assert_eq!(gateway.ended("complete"), 2);
}

#[tokio::test]
async fn ollama_is_asked_in_lines_by_callers_of_other_dialects() {
    let lines = [
        json!({"model": "m", "message": {"role": "assistant", "content": "Hel"}, "done": false}),
        json!({"model": "m", "message": {"role": "assistant", "content": "lo"}, "done": false}),
        json!({"model": "m", "message": {"role": "assistant", "content": ""}, "done": true,
            "done_reason": "stop", "prompt_eval_count": 10, "eval_count": 20}),
    ];
    let head = "HTTP/1.1 200 OK\r\ncontent-type: application/x-ndjson\r\ntransfer-encoding: chunked\r\n\r\n";
    let line = |line: &Value| Step::Chunk(format!("{line}\n").into_bytes());
    let mut script = vec![Step::Raw(head.as_bytes().to_vec())];
    script.extend(lines.iter().map(line));
    script.push(Step::End);
    let upstream = Upstream::always(script).await;
    let gateway = Gateway::start([route([at(&upstream, Dialect::Ollama, "")])]).await;
    let body = r#"{"model":"chat","max_tokens":64,"top_k":3,"stream":true,"messages":[{"role":"user","content":"Hi"}]}"#;
    let reply = post(&gateway, "/v1/messages", body).await;
    for part in ["\"text\":\"Hel\"", "\"text\":\"lo\"", "\"output_tokens\":20", "message_stop"] {
        assert!(reply.text().contains(part), "{part}: {}", reply.text());
    }
    let sent = &upstream.received()[0];
    assert_eq!(sent.path, "/api/chat");
    assert_eq!(sent.json()["options"], json!({"num_predict": 64, "top_k": 3}));
    assert_eq!(gateway.ended("complete"), 1);
}

#[tokio::test]
async fn embeddings_cross_to_every_dialect_that_makes_them() {
    for (dialect, base, answer) in [
        (Dialect::Mistral, "/v1", mistral as fn(&Received) -> Script),
        (Dialect::Cohere, "/v2", cohere),
    ] {
        let upstream = Upstream::answering(answer).await;
        let gateway = Gateway::start([route([at(&upstream, dialect, base)])]).await;
        let ask = r#"{"model":"chat","input":["a"],"encoding_format":"base64","user":"u"}"#;
        let reply = post(&gateway, "/v1/embeddings", ask).await;
        assert_eq!(reply.status, StatusCode::OK, "{dialect:?}: {}", reply.text());
        assert_eq!(reply.json()["data"][0]["embedding"], "AAAAPwAAgD8=");
        assert_eq!(reply.json()["usage"]["prompt_tokens"], 3);
        assert_eq!(reply.header("x-sluice-dropped"), "user");
        let ask = ask.replace("base64", "float");
        let reply = post(&gateway, "/v1/embeddings", &ask).await;
        assert_eq!(reply.json()["data"][0]["embedding"], json!([0.5, 1.0]));
    }
}

#[tokio::test]
async fn embeddings_that_no_call_can_carry_are_refused_before_one_is_made() {
    let upstream = Upstream::answering(cohere).await;
    let gateway = Gateway::start([route([at(&upstream, Dialect::Cohere, "/v2")])]).await;
    let many = json!({"model": "chat", "input": vec!["a"; 97]}).to_string();
    for (ask, told) in
        [(many.as_str(), "at most 96"), (r#"{"model":"chat","input":[1,2]}"#, "send the texts")]
    {
        let reply = post(&gateway, "/v1/embeddings", ask).await;
        assert_eq!(reply.status, StatusCode::BAD_REQUEST, "{}", reply.text());
        assert!(reply.text().contains(told), "{}", reply.text());
        assert_eq!(reply.json()["error"]["param"], "input");
    }
    assert!(upstream.received().is_empty());
}

const RERANK: &str = r#"{"model":"chat","query":"q","documents":["a",{"text":"b"}],"top_n":1,"return_documents":true}"#;

#[tokio::test]
async fn cohere_reranks_what_either_shape_asks() {
    let upstream = Upstream::answering(cohere).await;
    let gateway = Gateway::start([route([at(&upstream, Dialect::Cohere, "/v2")])]).await;
    for path in ["/v2/rerank", "/v1/rerank"] {
        let reply = post(&gateway, path, RERANK).await;
        assert_eq!(reply.status, StatusCode::OK, "{}", reply.text());
        assert_eq!(reply.json()["results"][0]["index"], 1);
        assert_eq!(reply.header("x-sluice-dropped"), "return_documents");
    }
    let sent = upstream.received()[0].json();
    assert_eq!(sent, json!({"model": "m", "query": "q", "documents": ["a", "b"], "top_n": 1}));
    let own = r#"{ "model":"chat","query":"q","documents":["a"] }"#;
    post(&gateway, "/v2/rerank", own).await;
    assert_eq!(upstream.received()[2].body, own.replace("chat", "m").into_bytes());
}

#[tokio::test]
async fn servers_that_follow_openai_rerank_what_came() {
    let answer = r#"{"id":"r","model":"m","usage":{"total_tokens":7},"results":[{"index":0,"document":{"text":"a"},"relevance_score":0.5}]}"#;
    let upstream = Upstream::always(upstream::json(answer)).await;
    let gateway = Gateway::start([route([at(&upstream, Dialect::OpenAi, "/v1")])]).await;
    let reply = post(&gateway, "/v1/rerank", RERANK).await;
    assert_eq!((reply.status, reply.text()), (StatusCode::OK, answer));
    assert_eq!(reply.header("x-sluice-cost-usd"), "0.000007");
    let sent = &upstream.received()[0];
    assert_eq!(sent.path, "/v1/rerank");
    assert_eq!(String::from_utf8_lossy(&sent.body), RERANK.replace("\"chat\"", "\"m\""));
}

#[tokio::test]
async fn errors_of_rerank_are_in_coheres_form() {
    let upstream =
        Upstream::answering(|_| json(404, &json!({"id": "x", "message": "no such model"}))).await;
    let gateway = Gateway::start([route([at(&upstream, Dialect::Cohere, "/v2")])]).await;
    let reply = post(&gateway, "/v2/rerank", RERANK).await;
    assert_eq!(reply.status, StatusCode::NOT_FOUND);
    assert_eq!(reply.json()["message"], "no such model");
    let reply = post(&gateway, "/v2/rerank", "{").await;
    assert_eq!(reply.status, StatusCode::BAD_REQUEST);
    assert!(reply.json()["message"].as_str().unwrap().contains("not valid JSON"));
}
