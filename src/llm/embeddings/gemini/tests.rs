//! Gemini's callers at other providers, and Vertex AI's own form.

use serde_json::{Value, json};

use super::*;
use crate::llm::embeddings::{
    EmbeddingCrossing, EmbeddingIngress, EmbeddingInput, VertexEmbeddings,
};
use crate::llm::rewrite::Rewrite;
use crate::llm::translate::{ResponseContext, UpstreamRequest};
use crate::llm::{Dialect, Endpoint};

fn one() -> Value {
    json!({
        "model": "models/alias", "content": {"parts": [{"text": "a"}, {"text": "b"}], "role": "user"},
        "taskType": "RETRIEVAL_QUERY", "outputDimensionality": 256, "title": null,
    })
}

fn batch() -> Value {
    json!({"requests": [
        {"model": "models/alias", "content": {"parts": [{"text": "one"}]}, "task_type": "CLUSTERING",
         "title": "t", "output_dimensionality": 8},
        {"content": {"parts": [{"text": "two"}]}, "taskType": "CLUSTERING", "title": "u",
         "outputDimensionality": 8},
    ]})
}

fn cross(
    crossing: &EmbeddingCrossing,
    body: &Value,
    model: &str,
) -> Result<UpstreamRequest, RequestError> {
    let rewrite = Rewrite { model, parameters: None, default_max_tokens: None };
    crossing.request(body.to_string().as_bytes(), &rewrite)
}

fn sent(crossing: &EmbeddingCrossing, body: &Value, model: &str) -> (Value, String) {
    let request = cross(crossing, body, model).unwrap();
    (serde_json::from_slice(&request.body).unwrap(), request.dropped.join(" "))
}

fn to(endpoint: Endpoint, dialect: Dialect) -> EmbeddingCrossing {
    EmbeddingCrossing::new(endpoint, dialect).unwrap()
}

#[test]
fn one_content_and_several_are_read_in_both_spellings() {
    let mut dropped = Dropped::default();
    let read =
        GeminiEmbedContent.decode_request(one().to_string().as_bytes(), &mut dropped).unwrap();
    assert_eq!(read.inputs, [EmbeddingInput::Text("a\nb".to_owned())]);
    assert_eq!((read.task, read.dimensions), (Some(EmbeddingTask::Query), Some(256)));
    let body = batch().to_string();
    let read = GeminiBatchEmbedContents.decode_request(body.as_bytes(), &mut dropped).unwrap();
    assert_eq!(read.inputs.len(), 2);
    assert_eq!((read.task, read.dimensions), (Some(EmbeddingTask::Clustering), Some(8)));
    assert_eq!((read.title, dropped.into_names()), (None, vec!["title".to_owned()]));
}

#[test]
fn what_a_provider_cannot_take_is_named_in_the_callers_words() {
    let crossing = to(Endpoint::EmbedContent, Dialect::OpenAi);
    let (body, dropped) = sent(&crossing, &one(), "text-embedding-3-small");
    assert_eq!(
        (body, dropped.as_str()),
        (
            json!({"model": "text-embedding-3-small", "input": ["a\nb"], "encoding_format": "float",
                   "dimensions": 256}),
            "taskType"
        )
    );
    let crossing = to(Endpoint::BatchEmbedContents, Dialect::Cohere);
    let (body, dropped) = sent(&crossing, &batch(), "embed-v4.0");
    assert_eq!((&body["input_type"], &body["output_dimension"]), (&json!("clustering"), &json!(8)));
    assert_eq!((&body["texts"], dropped.as_str()), (&json!(["one", "two"]), "title"));
    let crossing = to(Endpoint::EmbedContent, Dialect::Bedrock);
    let (_, dropped) = sent(&crossing, &one(), "amazon.titan-embed-text-v1");
    assert_eq!(dropped, "outputDimensionality taskType");
    let crossing = to(Endpoint::BatchEmbedContents, Dialect::Bedrock);
    let error = cross(&crossing, &batch(), "amazon.titan-embed-text-v2:0").unwrap_err().to_string();
    assert!(error.starts_with("\"requests\" has 2 texts, but"), "{error}");
}

#[test]
fn wrong_contents_are_refused_in_the_callers_words() {
    let read = |from: &dyn EmbeddingIngress, body: Value| {
        let result = from.decode_request(body.to_string().as_bytes(), &mut Dropped::default());
        result.unwrap_err().to_string()
    };
    let other = |name: &str, value: Value| {
        let mut body = batch();
        body["requests"][1][name] = value;
        body
    };
    for (body, what) in [
        (json!({}), "\"content\" is missing or empty"),
        (json!({"content": {"parts": []}}), "\"content\" is missing or empty"),
        (json!({"content": {"parts": [{"text": ""}]}}), "\"content\" is missing or empty"),
        (
            json!({"content": {"parts": [{"inlineData": {"mimeType": "a/b", "data": ""}}]}}),
            "no text",
        ),
    ] {
        let error = read(&GeminiEmbedContent, body);
        assert!(error.contains(what), "{error}");
    }
    for (body, what) in [
        (json!({}), "\"requests\" is missing or empty"),
        (json!({"requests": []}), "\"requests\" is missing or empty"),
        (json!({"requests": "a"}), "must be a list of objects"),
        (other("content", Value::Null), "no text in element 1"),
        (other("taskType", json!("RETRIEVAL_QUERY")), "differ in \"taskType\""),
        (other("outputDimensionality", Value::Null), "differ in \"outputDimensionality\""),
    ] {
        let error = read(&GeminiBatchEmbedContents, body);
        assert!(error.contains(what), "{error}");
    }
}

#[test]
fn vectors_are_written_as_google_writes_them() {
    let context = ResponseContext::default();
    let answer = br#"{"data":[{"index":0,"embedding":[0.5,1.0]}],"usage":{"prompt_tokens":3}}"#;
    let written = |endpoint| {
        let whole = to(endpoint, Dialect::OpenAi).response(&answer.to_vec().into(), &context, None);
        let whole = whole.unwrap();
        assert_eq!(whole.usage.unwrap().input, 3);
        serde_json::from_slice::<Value>(&whole.body).unwrap()
    };
    let (vector, usage) = (json!({"values": [0.5, 1.0]}), json!({"promptTokenCount": 3}));
    assert_eq!(
        written(Endpoint::EmbedContent),
        json!({"embedding": vector, "usageMetadata": usage})
    );
    assert_eq!(
        written(Endpoint::BatchEmbedContents),
        json!({"embeddings": [vector], "usageMetadata": usage})
    );
}

#[test]
fn vertex_predicts_with_models_of_text_and_batches_with_gemini() {
    let crossing = EmbeddingCrossing::to_vertex(Endpoint::EmbedContent).unwrap();
    let mut document = one();
    document["taskType"] = json!("RETRIEVAL_DOCUMENT");
    document["title"] = json!("t");
    let (body, dropped) = sent(&crossing, &document, "text-embedding-005");
    assert_eq!(
        (body, dropped.as_str()),
        (
            json!({"instances": [{"content": "a\nb", "task_type": "RETRIEVAL_DOCUMENT", "title": "t"}],
                   "parameters": {"outputDimensionality": 256, "autoTruncate": false}}),
            ""
        )
    );
    assert_eq!(crossing.path("text-embedding-005"), "/models/text-embedding-005:predict");
    let (body, _) = sent(&crossing, &one(), "gemini-embedding-001");
    assert_eq!(
        body,
        json!({"requests": [{"content": {"parts": [{"text": "a\nb"}]}, "embedContentConfig":
               {"taskType": "RETRIEVAL_QUERY", "outputDimensionality": 256, "autoTruncate": false}}]})
    );
    assert_eq!(
        crossing.path("gemini-embedding-001"),
        "/models/gemini-embedding-001:batchEmbedContents"
    );
}

#[test]
fn vertexs_answers_are_read_in_both_forms() {
    let read = |body: Value| VertexEmbeddings.decode_response(body.to_string().as_bytes()).unwrap();
    let statistics = |tokens: u64| json!({"truncated": false, "token_count": tokens});
    let predicted = read(json!({"predictions": [
        {"embeddings": {"values": [0.5], "statistics": statistics(3)}},
        {"embeddings": {"values": [1.0], "statistics": statistics(4)}},
    ]}));
    assert_eq!(predicted.vectors, [Vector(vec![0.5]), Vector(vec![1.0])]);
    assert_eq!(predicted.usage.unwrap().input, 7);
    let batched = read(json!({"embeddings": [{"values": [0.5]}],
        "usageMetadata": {"promptTokenCount": 2}}));
    assert_eq!((batched.vectors.len(), batched.usage.unwrap().input), (1, 2));
    assert!(VertexEmbeddings.decode_response(b"{}").is_err());
}
