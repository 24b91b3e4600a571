//! Behaviour of the Mock provider as its caller meets it.

use http_body_util::BodyExt as _;
use serde_json::Value;

use super::*;

async fn post(path: &str, body: Value) -> (StatusCode, http::HeaderMap, Body) {
    let response = respond(path, &Bytes::from(body.to_string())).await.unwrap();
    let (parts, body) = response.into_parts();
    (parts.status, parts.headers, body)
}

async fn whole(path: &str, body: Value) -> (StatusCode, Value) {
    let (status, _, body) = post(path, body).await;
    let bytes = body.collect().await.unwrap().to_bytes();
    (status, serde_json::from_slice(&bytes).unwrap())
}

/// The data of each event, and the fault that ended the stream.
async fn events(body: Value) -> (Vec<String>, Option<Fault>) {
    let (status, headers, mut body) = post("/chat/completions", body).await;
    assert_eq!(status, StatusCode::OK);
    assert_eq!(headers[CONTENT_TYPE], "text/event-stream; charset=utf-8");
    let mut events = Vec::new();
    while let Some(frame) = body.frame().await {
        match frame {
            Ok(frame) => {
                let text = String::from_utf8(frame.into_data().unwrap().to_vec()).unwrap();
                let data = text.strip_prefix("data: ").unwrap().strip_suffix("\n\n").unwrap();
                events.push(data.to_owned());
            }
            Err(fault) => return (events, Some(fault)),
        }
    }
    (events, None)
}

fn ask(model: &str, extra: Value) -> Value {
    let mut body =
        json!({"model": model, "messages": [{"role": "user", "content": "Hello there"}]});
    body.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
    body
}

fn chunks(events: &[String]) -> Vec<Value> {
    events.iter().filter(|data| *data != "[DONE]").map(|data| data.parse().unwrap()).collect()
}

fn joined(chunks: &[Value], pointer: &str) -> String {
    chunks.iter().filter_map(|chunk| chunk.pointer(pointer)?.as_str()).collect()
}

fn content_chunks(events: &[String]) -> usize {
    let has_text = |chunk: &Value| {
        let text = chunk.pointer("/choices/0/delta/content").and_then(Value::as_str);
        text.is_some_and(|text| !text.is_empty())
    };
    chunks(events).iter().filter(|chunk| has_text(chunk)).count()
}

#[tokio::test]
async fn the_same_request_gets_the_same_bytes_and_another_gets_others() {
    let (_, one) = whole("/chat/completions", ask("mock-fast", json!({}))).await;
    let (_, same) = whole("/chat/completions", ask("mock-fast", json!({}))).await;
    let messages = json!([{"role": "user", "content": "Bye"}]);
    let (_, other) =
        whole("/chat/completions", ask("mock-fast", json!({"messages": messages}))).await;
    assert_eq!(one, same);
    assert_ne!(one["choices"], other["choices"]);
}

#[tokio::test]
async fn a_stream_has_the_text_and_usage_of_the_whole_answer() {
    let (_, whole) = whole("/chat/completions", ask("mock-fast", json!({}))).await;
    let extra = json!({"stream": true, "stream_options": {"include_usage": true}});
    let (events, fault) = events(ask("mock-fast", extra)).await;
    assert_eq!((events.last().unwrap().as_str(), fault), ("[DONE]", None));
    let chunks = chunks(&events);
    let text = joined(&chunks, "/choices/0/delta/content");
    assert_eq!(whole["choices"][0]["message"]["content"], text);
    assert_eq!(whole["usage"], chunks.last().unwrap()["usage"]);
    assert_eq!(chunks.last().unwrap()["choices"], json!([]));
    assert_eq!(whole["usage"]["completion_tokens"], content_chunks(&events));
}

#[tokio::test]
async fn usage_is_streamed_only_when_asked_for() {
    let (events, _) = events(ask("mock-fast", json!({"stream": true}))).await;
    assert!(events.iter().all(|data| !data.contains("usage")));
}

#[tokio::test]
async fn max_tokens_and_stop_end_the_text() {
    for bound in ["max_tokens", "max_completion_tokens"] {
        let (_, body) = whole("/chat/completions", ask("mock-fast", json!({bound: 3}))).await;
        assert_eq!(body["choices"][0]["message"]["content"], "Your message has ");
        assert_eq!(body["choices"][0]["finish_reason"], "length");
        assert_eq!(body["usage"]["completion_tokens"], 3);
    }
    let stop = json!({"stop": ["river", " the digest"]});
    let (_, body) = whole("/chat/completions", ask("mock-fast", stop)).await;
    assert_eq!(body["choices"][0]["message"]["content"], "Your message has");
    assert_eq!(body["choices"][0]["finish_reason"], "stop");
}

#[tokio::test]
async fn each_choice_tells_its_own_story() {
    let (_, body) = whole("/chat/completions", ask("mock-fast", json!({"n": 2}))).await;
    let choices = body["choices"].as_array().unwrap();
    assert_eq!(choices.len(), 2);
    assert_ne!(choices[0]["message"], choices[1]["message"]);
    let (events, _) = events(ask("mock-fast", json!({"n": 2, "stream": true}))).await;
    let finished = chunks(&events);
    let finished = finished.iter().filter(|chunk| !chunk["choices"][0]["finish_reason"].is_null());
    assert_eq!(finished.count(), 2);
}

#[tokio::test]
async fn a_tool_is_called_when_the_user_or_the_choice_asks_for_it() {
    let schema = json!({"type": "object", "required": ["city"],
        "properties": {"city": {"type": "string"}}});
    let tools =
        json!([{"type": "function", "function": {"name": "get_weather", "parameters": schema}}]);
    let named = json!({"type": "function", "function": {"name": "get_weather"}});
    for choice in [json!("required"), named] {
        let extra = json!({"tools": tools, "tool_choice": choice});
        let (_, body) = whole("/chat/completions", ask("mock-fast", extra)).await;
        let call = &body["choices"][0]["message"]["tool_calls"][0];
        assert_eq!(call["function"]["arguments"], r#"{"city":"mock"}"#);
        assert_eq!(body["choices"][0]["finish_reason"], "tool_calls");
    }
    let weather = json!([{"role": "user", "content": "What is the weather?"}]);
    let extra = json!({"tools": tools, "messages": weather, "stream": true});
    let (events, _) = events(ask("mock-fast", extra)).await;
    let arguments = joined(&chunks(&events), "/choices/0/delta/tool_calls/0/function/arguments");
    assert_eq!(arguments, r#"{"city":"mock"}"#);
    let extra = json!({"tools": tools, "tool_choice": "none"});
    let (_, body) = whole("/chat/completions", ask("mock-fast", extra)).await;
    assert_eq!(body["choices"][0]["finish_reason"], "stop");
}

#[tokio::test]
async fn a_tool_result_is_answered_with_text() {
    let extra = json!({
        "messages": [{"role": "user", "content": "use the tool"}, {"role": "tool", "content": "17 C"}],
        "tools": [{"type": "function", "function": {"name": "f", "parameters": {}}}],
    });
    let (_, body) = whole("/chat/completions", ask("mock-fast", extra)).await;
    let text = body["choices"][0]["message"]["content"].as_str().unwrap();
    assert!(text.starts_with("The tool said 17 C. "), "{text}");
}

#[tokio::test]
async fn structured_output_fits_its_schema() {
    let schema = json!({"type": "object", "required": ["age"],
        "properties": {"age": {"type": "integer", "minimum": 18}}});
    let format =
        json!({"type": "json_schema", "json_schema": {"name": "person", "schema": schema}});
    let extra = json!({"response_format": format});
    let (_, body) = whole("/chat/completions", ask("mock-fast", extra)).await;
    assert_eq!(body["choices"][0]["message"]["content"], r#"{"age":18}"#);
}

#[tokio::test]
async fn errors_have_openais_shape() {
    for (model, status, code) in [
        ("mock-error-500", 500, "upstream_error"),
        ("mock-error-400", 400, "invalid_request"),
        ("mock-rate-limit", 429, "rate_limit_exceeded"),
        ("mock-error-after-3", 500, "mock_error"),
        ("mock-nonsense", 404, "model_not_found"),
    ] {
        let (answered, body) = whole("/chat/completions", ask(model, json!({}))).await;
        assert_eq!((answered.as_u16(), &body["error"]["code"]), (status, &json!(code)), "{model}");
    }
    let (_, headers, _) = post("/chat/completions", ask("mock-rate-limit", json!({}))).await;
    assert_eq!(headers[RETRY_AFTER], "1");
    let (_, body) = whole("/chat/completions", ask("mock-nonsense", json!({}))).await;
    assert!(body["error"]["message"].as_str().unwrap().contains("mock-stall-after-<n>"));
}

#[tokio::test]
async fn bad_requests_are_refused_with_the_field_at_fault() {
    let none = json!({"model": "mock", "messages": []});
    let (status, body) = whole("/chat/completions", none).await;
    assert_eq!((status.as_u16(), &body["error"]["param"]), (400, &json!("messages")));
    let (status, _) = whole("/chat/completions", json!([1])).await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
    let (status, _) = whole("/elsewhere", json!({})).await;
    assert_eq!(status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn a_small_request_cannot_ask_for_a_large_answer() {
    let (status, body) = whole("/chat/completions", ask("mock-fast", json!({"n": 17}))).await;
    assert_eq!((status.as_u16(), &body["error"]["param"]), (400, &json!("n")));
    let many = vec!["a"; 2049];
    for extra in [
        json!({"input": many, "dimensions": 1}),
        json!({"input": many[..2048], "dimensions": 513}),
        json!({"input": many[..257], "dimensions": 4096}),
    ] {
        let mut extra = extra;
        extra["model"] = json!("mock-fast");
        let (status, body) = whole("/embeddings", extra).await;
        assert_eq!((status.as_u16(), &body["error"]["param"]), (400, &json!("input")));
    }
    let most = json!({"model": "mock-fast", "input": many[..2048], "dimensions": 2});
    let (_, body) = whole("/embeddings", most).await;
    assert_eq!(body["data"].as_array().unwrap().len(), 2048);
    let messages = json!([{"role": "user", "content": "word ".repeat(100_000)}]);
    let long = ask("mock-fast-echo", json!({"messages": messages, "max_tokens": 1_000_000}));
    let (_, body) = whole("/chat/completions", long).await;
    assert_eq!(body["choices"][0]["message"]["content"].as_str().unwrap().len(), 64 << 10);
}

#[tokio::test]
async fn connections_fail_before_the_head() {
    for (model, fault) in [("mock-refuse", Fault::Refused), ("mock-reset", Fault::Reset)] {
        let body = Bytes::from(ask(model, json!({})).to_string());
        assert_eq!(respond("/chat/completions", &body).await.unwrap_err(), fault);
        let body = Bytes::from(json!({"model": model, "input": "x"}).to_string());
        assert_eq!(respond("/embeddings", &body).await.unwrap_err(), fault);
    }
}

#[tokio::test]
async fn streams_end_badly_after_the_given_chunks() {
    let stream = json!({"stream": true});
    let (cut, fault) = events(ask("mock-fast-cut-after-3", stream.clone())).await;
    assert_eq!((content_chunks(&cut), fault), (3, Some(Fault::Cut)));
    let (failed, fault) = events(ask("mock-fast-error-after-2", stream.clone())).await;
    assert_eq!((content_chunks(&failed), fault), (2, None));
    assert!(failed.last().unwrap().contains(r#""error":"#));
    let (truncated, fault) = events(ask("mock-fast-truncate", stream.clone())).await;
    assert!(content_chunks(&truncated) > 50 && fault.is_none());
    assert_ne!(truncated.last().unwrap(), "[DONE]");
    let (empty, _) = events(ask("mock-fast-empty", stream)).await;
    assert_eq!((content_chunks(&empty), empty.len()), (0, 2));
}

#[tokio::test]
async fn a_stalled_stream_stays_silent_after_the_given_chunks() {
    for (model, before) in [("mock-fast-stall", 0), ("mock-fast-stall-after-2", 3)] {
        let (status, _, mut body) =
            post("/chat/completions", ask(model, json!({"stream": true}))).await;
        assert_eq!(status, StatusCode::OK);
        for _ in 0..before {
            body.frame().await.unwrap().unwrap();
        }
        let next = futures_util::poll!(std::pin::pin!(body.frame()));
        assert!(next.is_pending(), "{model}");
    }
}

#[tokio::test]
async fn whole_answers_break_too() {
    let (_, _, body) = post("/chat/completions", ask("mock-fast-cut-after-3", json!({}))).await;
    assert_eq!(body.collect().await.unwrap_err(), Fault::Cut);
    let (_, _, body) = post("/chat/completions", ask("mock-fast-truncate", json!({}))).await;
    let bytes = body.collect().await.unwrap().to_bytes();
    assert!(serde_json::from_slice::<Value>(&bytes).is_err());
    let (_, body) = whole("/chat/completions", ask("mock-fast-no-usage", json!({}))).await;
    assert!(body.get("usage").is_none());
    let (_, body) = whole("/chat/completions", ask("mock-fast-empty", json!({}))).await;
    assert_eq!(body["choices"][0]["message"]["content"], "");
    assert!(body["choices"][0]["finish_reason"].is_null());
    let (_, body) = whole("/chat/completions", ask("mock-fast-echo", json!({}))).await;
    assert_eq!(body["choices"][0]["message"]["content"], "Hello there");
}

#[tokio::test]
async fn embeddings_are_unit_vectors_and_equal_in_both_encodings() {
    use base64::Engine as _;
    let extra = json!({"model": "mock-fast", "input": ["a", "b"], "dimensions": 8});
    let (_, body) = whole("/embeddings", extra).await;
    let vector = |index: usize| -> Vec<f32> {
        serde_json::from_value(body["data"][index]["embedding"].clone()).unwrap()
    };
    assert_ne!(vector(0), vector(1));
    let length: f32 = vector(0).iter().map(|number| number * number).sum();
    assert!((length - 1.0).abs() < 1e-5, "{length}");
    let extra =
        json!({"model": "mock-fast", "input": "a", "dimensions": 8, "encoding_format": "base64"});
    let (_, encoded) = whole("/embeddings", extra).await;
    let text = encoded["data"][0]["embedding"].as_str().unwrap();
    let bytes = base64::engine::general_purpose::STANDARD.decode(text).unwrap();
    let decoded: Vec<f32> =
        bytes.chunks(4).map(|four| f32::from_le_bytes(four.try_into().unwrap())).collect();
    assert_eq!(decoded, vector(0));
}

#[tokio::test]
async fn the_models_list_names_every_behaviour() {
    let (status, body) = whole("/models", json!({})).await;
    assert_eq!((status, body["data"].as_array().unwrap().len()), (StatusCode::OK, 15));
}
