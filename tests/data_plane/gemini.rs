//! Gemini's dialect over real sockets: as what callers speak and as what providers speak.

use http::StatusCode;
use serde_json::{Value, json};
use sluice::{
    llm::Dialect,
    snapshot::{Addressing, KeyHeader},
};

use crate::{
    fixture::{
        ASK, Gateway, Reply, STOP, STREAM, USAGE, WHOLE, chunk, credential, provider, provider_at,
        route,
    },
    upstream::{Step, Upstream, event, json, stream, stream_head, whole},
};

const GENERATE: &str = r#"{"contents":[{"role":"user","parts":[{"text":"Hi"}]}]}"#;
const WHOLE_GEMINI: &str = r#"{"candidates":[{"content":{"role":"model","parts":[{"text":"Hello"}]},"finishReason":"STOP","index":0}],"usageMetadata":{"promptTokenCount":10,"candidatesTokenCount":5,"thoughtsTokenCount":15,"totalTokenCount":30},"modelVersion":"m","responseId":"r1","newField":1}"#;
const PIECE: &str = r#"{"candidates":[{"content":{"role":"model","parts":[{"text":"Hel"}]},"index":0}],"responseId":"r1","modelVersion":"m"}"#;
const LAST: &str = r#"{"candidates":[{"content":{"role":"model","parts":[{"text":"lo"}]},"finishReason":"STOP","index":0}],"usageMetadata":{"promptTokenCount":10,"candidatesTokenCount":5,"thoughtsTokenCount":15,"totalTokenCount":30},"responseId":"r1","modelVersion":"m"}"#;

/// As Google's own clients ask.
async fn google(gateway: &Gateway, path: &str, body: &str) -> Reply {
    let headers = [("x-goog-api-key", "sk-test")];
    Reply::read(gateway.send_with(path, &headers, body.to_owned()).await).await
}

async fn gemini(upstream: &Upstream) -> Gateway {
    let mut provider = provider_at(upstream.address(), Dialect::Gemini);
    provider.credentials = vec![credential("sk-upstream")];
    provider.key_header = KeyHeader::XGoogApiKey;
    Gateway::start([route([provider])]).await
}

fn texts(frames: &[Value]) -> String {
    let parts = frames.iter().map(|frame| &frame["candidates"][0]["content"]["parts"][0]["text"]);
    parts.filter_map(Value::as_str).collect()
}

#[tokio::test]
async fn an_openai_caller_gets_a_whole_answer_of_gemini() {
    let upstream = Upstream::always(json(WHOLE_GEMINI)).await;
    let gateway = gemini(&upstream).await;
    let reply = gateway.chat(ASK).await;
    assert_eq!(reply.status, StatusCode::OK, "{}", reply.text());
    assert_eq!(reply.json()["choices"][0]["message"]["content"], "Hello");
    assert_eq!(reply.json()["usage"]["completion_tokens"], 20);
    assert_eq!(reply.header("x-sluice-cost-usd"), "0.00003");
    let sent = &upstream.received()[0];
    assert_eq!(sent.path, "/v1/models/m:generateContent");
    assert_eq!(sent.header("x-goog-api-key"), Some("sk-upstream"));
    assert_eq!(sent.header("authorization"), None);
    assert_eq!(sent.json(), serde_json::from_str::<Value>(GENERATE).unwrap());
}

#[tokio::test]
async fn an_openai_caller_gets_a_stream_of_gemini() {
    let upstream = Upstream::always(stream([PIECE, LAST])).await;
    let gateway = gemini(&upstream).await;
    let reply = gateway.chat(STREAM).await;
    for part in
        ["\"content\":\"Hel\"", "\"content\":\"lo\"", "\"finish_reason\":\"stop\"", "data: [DONE]"]
    {
        assert!(reply.text().contains(part), "{part}: {}", reply.text());
    }
    assert_eq!(upstream.received()[0].path, "/v1/models/m:streamGenerateContent?alt=sse");
    assert_eq!(gateway.ended("complete"), 1);
}

#[tokio::test]
async fn a_stream_of_gemini_that_breaks_off_is_no_answer() {
    let scripts = [stream([PIECE]), vec![stream_head(), event(PIECE), Step::Reset]];
    for script in scripts {
        let upstream = Upstream::always(script).await;
        let gateway = gemini(&upstream).await;
        let reply = gateway.chat(STREAM).await;
        let text = reply.text();
        assert!(text.contains("Hel") && text.contains("\"error\""), "{text}");
        assert!(!reply.text().contains("[DONE]"), "{}", reply.text());
        assert_eq!(gateway.ended("incomplete"), 1);
    }
}

#[tokio::test]
async fn what_gemini_leaves_out_is_named_to_the_caller() {
    let upstream = Upstream::always(json(WHOLE_GEMINI)).await;
    let gateway = gemini(&upstream).await;
    let reply = gateway.chat(ASK.replace("\"messages\"", "\"user\":\"u\",\"messages\"")).await;
    assert_eq!(reply.header("x-sluice-dropped"), "user");
}

#[tokio::test]
async fn the_wait_that_gemini_asks_for_reaches_every_caller() {
    let error = r#"{"error":{"code":429,"message":"slow","status":"RESOURCE_EXHAUSTED","details":[{"@type":"type.googleapis.com/google.rpc.RetryInfo","retryDelay":"34.4s"}]}}"#;
    let upstream = Upstream::always(whole(429, &[], error)).await;
    let gateway = gemini(&upstream).await;
    let reply = gateway.chat(ASK).await;
    assert_eq!(
        (reply.status.as_u16(), reply.header("retry-after")),
        (429, "35"),
        "{}",
        reply.text()
    );
}

#[tokio::test]
async fn a_key_that_gemini_refuses_is_no_fault_of_the_caller() {
    let error = r#"{"error":{"code":400,"message":"API key not valid. sk-upstream","status":"INVALID_ARGUMENT","details":[{"@type":"type.googleapis.com/google.rpc.ErrorInfo","reason":"API_KEY_INVALID"}]}}"#;
    let upstream = Upstream::always(whole(400, &[], error)).await;
    let gateway = gemini(&upstream).await;
    for reply in [
        gateway.chat(ASK).await,
        google(&gateway, "/v1beta/models/chat:generateContent", GENERATE).await,
    ] {
        assert_eq!(reply.status.as_u16(), 502);
        assert!(reply.text().contains("upstream_credential_refused"), "{}", reply.text());
        assert!(!reply.text().contains("sk-upstream"));
    }
}

#[tokio::test]
async fn bytes_pass_between_a_caller_and_a_provider_that_both_speak_gemini() {
    let upstream = Upstream::always(json(WHOLE_GEMINI)).await;
    let gateway = gemini(&upstream).await;
    let body = GENERATE.replace("}]}", "}],\"future\":{\"x\": 1.50}}");
    for path in ["/v1beta/models/chat:generateContent", "/v1/models/chat%3AgenerateContent"] {
        let reply = google(&gateway, path, &body).await;
        assert_eq!(reply.text(), WHOLE_GEMINI, "{path}");
    }
    let sent = &upstream.received()[1];
    assert_eq!(sent.path, "/v1/models/m:generateContent");
    assert_eq!(std::str::from_utf8(&sent.body).unwrap(), body);
    assert_eq!(sent.header("x-goog-api-key"), Some("sk-upstream"));
}

#[tokio::test]
async fn a_stream_of_gemini_is_an_array_for_callers_who_do_not_ask_for_events() {
    let upstream = Upstream::always(stream([PIECE, LAST])).await;
    let gateway = gemini(&upstream).await;
    let path = "/v1beta/models/chat:streamGenerateContent";
    let events = google(&gateway, &format!("{path}?alt=sse"), GENERATE).await;
    assert_eq!(events.text(), format!("data: {PIECE}\n\ndata: {LAST}\n\n"));
    let array = google(&gateway, path, GENERATE).await;
    assert!(array.header("content-type").starts_with("application/json"));
    let frames: Vec<Value> = serde_json::from_slice(&array.body).unwrap();
    assert_eq!(texts(&frames), "Hello");
    assert_eq!(gateway.ended("complete"), 2);
}

#[tokio::test]
async fn a_caller_of_gemini_is_served_by_openai_whole_and_in_both_forms_of_stream() {
    let upstream = Upstream::always(json(WHOLE)).await;
    let gateway = Gateway::start([route([provider(&upstream)])]).await;
    let reply = google(&gateway, "/v1beta/models/chat:generateContent", GENERATE).await;
    assert_eq!(texts(&[reply.json()]), "Hello", "{}", reply.text());
    assert_eq!(reply.json()["usageMetadata"]["totalTokenCount"], 30);
    let sent = upstream.received()[0].json();
    assert_eq!((&sent["model"], &sent["messages"][0]["content"]), (&json!("m"), &json!("Hi")));
    let upstream = Upstream::always(stream([&*chunk("Hello"), STOP, USAGE, "[DONE]"])).await;
    let gateway = Gateway::start([route([provider(&upstream)])]).await;
    let path = "/v1beta/models/chat:streamGenerateContent";
    let reply = google(&gateway, &format!("{path}?alt=sse"), GENERATE).await;
    let frames: Vec<Value> = reply
        .text()
        .split_terminator("\r\n\r\n")
        .map(|frame| serde_json::from_str(frame.strip_prefix("data: ").unwrap()).unwrap())
        .collect();
    assert_eq!(texts(&frames), "Hello");
    assert_eq!(frames.last().unwrap()["candidates"][0]["finishReason"], "STOP");
    assert_eq!(upstream.received()[0].json()["stream"], true);
    let array = google(&gateway, path, GENERATE).await;
    assert_eq!(texts(array.json().as_array().unwrap()), "Hello");
}

#[tokio::test]
async fn a_broken_stream_ends_in_an_error_that_google_clients_read() {
    let script = vec![stream_head(), event(chunk("Hello")), Step::Reset];
    let upstream = Upstream::always(script).await;
    let gateway = Gateway::start([route([provider(&upstream)])]).await;
    let path = "/v1beta/models/chat:streamGenerateContent";
    let events = google(&gateway, &format!("{path}?alt=sse"), GENERATE).await;
    let text = events.text();
    assert!(text.contains("Hello") && text.contains("\"status\":\"UNAVAILABLE\""), "{text}");
    assert!(!events.text().contains("finishReason"), "{}", events.text());
    let array = google(&gateway, path, GENERATE).await.json();
    assert_eq!(array.as_array().unwrap().last().unwrap()["error"]["status"], "UNAVAILABLE");
}

#[tokio::test]
async fn errors_are_in_googles_words_wherever_the_path_is_googles() {
    let upstream = Upstream::always(json(WHOLE_GEMINI)).await;
    let gateway = gemini(&upstream).await;
    for (path, key, status, word) in [
        ("/v1beta/models/chat:generateContent", "sk-wrong", 401, "UNAUTHENTICATED"),
        ("/v1beta/models/other:generateContent", "sk-test", 404, "NOT_FOUND"),
        ("/v1/models/other:generateContent", "sk-test", 404, "NOT_FOUND"),
        ("/v1beta/models/chat:unknown", "sk-test", 404, "NOT_FOUND"),
        ("/v1/models/chat:unknown", "sk-test", 404, "NOT_FOUND"),
    ] {
        let headers = [("x-goog-api-key", key)];
        let reply = Reply::read(gateway.send_with(path, &headers, GENERATE).await).await;
        assert_eq!(
            (reply.status.as_u16(), &reply.json()["error"]["status"]),
            (status, &json!(word)),
            "{path}: {}",
            reply.text()
        );
        assert_eq!(reply.json()["error"]["code"], status);
    }
}

#[tokio::test]
async fn models_are_listed_in_googles_form() {
    let upstream = Upstream::always(json(WHOLE_GEMINI)).await;
    let gateway = gemini(&upstream).await;
    let list = gateway.get("/v1beta/models", &[("x-goog-api-key", "sk-test")]).await;
    assert_eq!(list.json()["models"][0]["name"], "models/chat", "{}", list.text());
    let one = gateway.get("/v1beta/models/chat", &[("x-goog-api-key", "sk-test")]).await;
    assert_eq!(one.json()["name"], "models/chat");
}

#[tokio::test]
async fn counts_and_embeddings_pass_to_gemini_under_the_providers_name_of_the_model() {
    let upstream =
        Upstream::always(json(r#"{"totalTokens":3,"embedding":{"values":[0.5]}}"#)).await;
    let gateway = gemini(&upstream).await;
    for (method, body) in [
        ("countTokens", GENERATE),
        ("embedContent", r#"{"model":"models/chat","content":{"parts":[{"text":"a"}]}}"#),
        (
            "batchEmbedContents",
            r#"{"requests":[{"model":"models/chat","content":{"parts":[{"text":"a"}]}}]}"#,
        ),
    ] {
        let reply = google(&gateway, &format!("/v1beta/models/chat:{method}"), body).await;
        assert_eq!(reply.json()["totalTokens"], 3, "{method}: {}", reply.text());
        let sent = upstream.received().last().unwrap().clone();
        assert_eq!(sent.path, format!("/v1/models/m:{method}"));
        let sent: Value = sent.json();
        let expected: Value =
            serde_json::from_str(&body.replace("models/chat", "models/m")).unwrap();
        assert_eq!(sent, expected, "{method}");
    }
}

#[tokio::test]
async fn embeddings_of_googles_callers_are_made_by_openai_and_by_vertex() {
    let answer = r#"{"object":"list","data":[{"index":0,"embedding":[0.5,1]}],"model":"m","usage":{"prompt_tokens":3,"total_tokens":3}}"#;
    let upstream = Upstream::always(json(answer)).await;
    let gateway = Gateway::start([route([provider(&upstream)])]).await;
    let one = r#"{"content":{"parts":[{"text":"a"}]},"taskType":"RETRIEVAL_QUERY","outputDimensionality":2}"#;
    let batch = format!(r#"{{"requests":[{one}]}}"#);
    let reply = google(&gateway, "/v1beta/models/chat:embedContent", one).await;
    assert_eq!(reply.json()["embedding"], json!({"values": [0.5, 1.0]}), "{}", reply.text());
    assert_eq!(reply.header("x-sluice-dropped"), "taskType");
    let reply = google(&gateway, "/v1/models/chat:batchEmbedContents", &batch).await;
    assert_eq!(reply.json()["embeddings"], json!([{"values": [0.5, 1.0]}]), "{}", reply.text());
    for sent in upstream.received() {
        let body =
            json!({"model": "m", "input": ["a"], "encoding_format": "float", "dimensions": 2});
        assert_eq!((sent.path.as_str(), sent.json()), ("/v1/embeddings", body));
    }
    let answer =
        r#"{"predictions":[{"embeddings":{"values":[0.5],"statistics":{"token_count":3}}}]}"#;
    let upstream = Upstream::always(json(answer)).await;
    let mut vertex = provider_at(upstream.address(), Dialect::Gemini);
    vertex.addressing = Addressing::Vertex;
    let gateway = Gateway::start([route([vertex])]).await;
    let reply = google(&gateway, "/v1beta/models/chat:embedContent", one).await;
    assert_eq!(reply.json()["embedding"]["values"], json!([0.5]), "{}", reply.text());
    let reply = gateway.ask("/v1/embeddings", r#"{"model":"chat","input":"a"}"#).await;
    assert_eq!(reply.json()["data"][0]["embedding"], json!([0.5]), "{}", reply.text());
    assert_eq!(reply.json()["usage"]["prompt_tokens"], 3);
    for sent in upstream.received() {
        assert_eq!(sent.path, "/v1/publishers/google/models/m:predict");
        assert_eq!(sent.json()["instances"][0]["content"], "a");
    }
}

#[tokio::test]
async fn a_key_in_the_query_is_the_callers_and_goes_no_further() {
    let upstream = Upstream::always(json(WHOLE_GEMINI)).await;
    let gateway = gemini(&upstream).await;
    let path = "/v1beta/models/chat:generateContent";
    let ask = async |query: &str| {
        Reply::read(gateway.send_with(&format!("{path}{query}"), &[], GENERATE).await).await
    };
    assert_eq!(ask("?key=sk-test&alt=json").await.text(), WHOLE_GEMINI);
    let wrong = ask("?key=sk-wrong").await;
    assert_eq!(
        (wrong.status.as_u16(), &wrong.json()["error"]["status"]),
        (401, &json!("UNAUTHENTICATED"))
    );
    assert!(!wrong.text().contains("sk-wrong"));
    assert_eq!(ask("").await.status.as_u16(), 401);
    let received = upstream.received();
    assert_eq!(received.len(), 1);
    assert!(!format!("{received:?}").contains("sk-test"), "{received:?}");
}

#[tokio::test]
async fn what_is_missing_is_named_as_the_caller_calls_it() {
    let upstream = Upstream::always(json(WHOLE)).await;
    let gateway = Gateway::start([route([provider(&upstream)])]).await;
    for body in ["{}", r#"{"contents":[]}"#, r#"{"contents":null}"#] {
        let reply = google(&gateway, "/v1beta/models/chat:generateContent", body).await;
        let message = reply.json()["error"]["message"].as_str().unwrap().to_owned();
        assert!(message.starts_with("\"contents\" is missing or empty"), "{message}");
    }
    for body in [r#"{"model":"chat"}"#, r#"{"model":"chat","input":[ ]}"#] {
        let reply = gateway.ask("/v1/responses", body).await;
        let message = reply.json()["error"]["message"].as_str().unwrap().to_owned();
        assert!(message.starts_with("\"input\" is missing or empty"), "{message}");
    }
    assert!(upstream.received().is_empty());
}
