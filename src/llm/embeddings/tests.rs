//! What each provider is sent and what is read of its answer.

use serde_json::{Value, json};

use super::*;

fn decode(body: Value) -> (EmbeddingRequest, Vec<String>) {
    let mut dropped = Dropped::default();
    let request =
        OpenAiEmbeddings.decode_request(body.to_string().as_bytes(), &mut dropped).unwrap();
    (request, dropped.into_names())
}

fn asked() -> EmbeddingRequest {
    EmbeddingRequest {
        model: "m".to_owned(),
        inputs: ["one", "two"].map(|text| EmbeddingInput::Text(text.to_owned())).to_vec(),
        task: Some(EmbeddingTask::Query),
        title: Some("t".to_owned()),
        dimensions: Some(256),
        user: Some("u".to_owned()),
    }
}

fn encode(to: &dyn EmbeddingUpstream, request: &EmbeddingRequest) -> (Value, String) {
    let mut dropped = Dropped::default();
    let body = to.encode_request(request, &mut dropped).unwrap();
    (serde_json::from_slice(&body).unwrap(), dropped.into_names().join(" "))
}

fn error(to: &dyn EmbeddingUpstream, request: &EmbeddingRequest) -> String {
    to.encode_request(request, &mut Dropped::default()).unwrap_err().to_string()
}

fn read(from: &dyn EmbeddingUpstream, body: Value) -> EmbeddingResponse {
    from.decode_response(body.to_string().as_bytes()).unwrap()
}

fn vectors() -> Vec<Vector> {
    vec![Vector(vec![0.5, 1.0]), Vector(vec![0.25, -2.0])]
}

fn input(tokens: u64) -> Option<Usage> {
    Some(Usage { input: tokens, ..Usage::default() })
}

#[test]
fn openais_inputs_are_read_in_all_four_forms() {
    let texts = |body: Value| decode(json!({"model": "m", "input": body})).0.inputs;
    assert_eq!(texts(json!("a")), [EmbeddingInput::Text("a".to_owned())]);
    assert_eq!(texts(json!(["a", "b"])).len(), 2);
    assert_eq!(texts(json!([1, 2])), [EmbeddingInput::Tokens(vec![1, 2])]);
    assert_eq!(texts(json!([[1], [2, 3]])).len(), 2);
}

#[test]
fn openais_parameters_are_read_and_unknown_ones_named() {
    let (request, dropped) = decode(json!({
        "model": "m", "input": "a", "dimensions": 8, "user": "u", "encoding_format": "base64",
        "input_type": "search_query", "extra": 1, "neutral": null,
    }));
    assert_eq!(request.task, Some(EmbeddingTask::Query));
    assert_eq!((request.dimensions, request.user.as_deref()), (Some(8), Some("u")));
    assert_eq!(dropped, ["extra"]);
}

#[test]
fn wrong_inputs_are_refused_with_what_to_write() {
    for (body, told) in [
        (json!({"model": "m"}), "missing or empty"),
        (json!({"model": "m", "input": []}), "missing or empty"),
        (json!({"model": "m", "input": {"a": 1}}), "a list of texts, or token ids"),
        (json!({"model": "m", "input": "a", "encoding_format": "int8"}), "\"float\" or \"base64\""),
    ] {
        let body = body.to_string();
        let error = OpenAiEmbeddings.decode_request(body.as_bytes(), &mut Dropped::default());
        assert!(error.unwrap_err().to_string().contains(told), "{body}");
    }
}

#[test]
fn answers_are_written_as_numbers_or_as_base64() {
    let response = EmbeddingResponse { model: None, vectors: vectors(), usage: input(3) };
    for base64 in [false, true] {
        let model = "asked".to_owned();
        let context = ResponseContext { model, base64, ..ResponseContext::default() };
        let body = OpenAiEmbeddings.encode_response(&response, &context);
        let value: Value = serde_json::from_slice(&body).unwrap();
        assert_eq!(value["data"][1]["embedding"].is_string(), base64);
        assert_eq!(value["usage"], json!({"prompt_tokens": 3, "total_tokens": 3}));
        let again = OpenAiEmbeddings.decode_response(&body).unwrap();
        assert_eq!(
            again,
            EmbeddingResponse { model: Some("asked".to_owned()), ..response.clone() }
        );
    }
}

#[test]
fn each_provider_is_sent_its_own_form() {
    let request = asked();
    let (body, dropped) = encode(&OpenAiEmbeddings, &request);
    assert_eq!(
        body,
        json!({"model": "m", "input": ["one", "two"], "encoding_format": "float",
            "dimensions": 256, "user": "u"})
    );
    assert_eq!(dropped, "input_type title");
    let (body, dropped) = encode(&MistralEmbeddings, &request);
    assert_eq!(body, json!({"model": "m", "input": ["one", "two"], "output_dimension": 256}));
    assert_eq!(dropped, "input_type title user");
    let (body, dropped) = encode(&CohereEmbeddings, &request);
    assert_eq!(
        body,
        json!({"model": "m", "texts": ["one", "two"], "input_type": "search_query",
            "embedding_types": ["float"], "truncate": "NONE", "output_dimension": 256})
    );
    assert_eq!(dropped, "title user");
    let (body, dropped) = encode(&OllamaEmbeddings, &request);
    assert_eq!(
        body,
        json!({"model": "m", "input": ["one", "two"], "truncate": false, "dimensions": 256})
    );
    assert_eq!(dropped, "input_type title user");
}

#[test]
fn gemini_is_sent_a_batch_that_repeats_the_model() {
    let mut request = asked();
    let (body, dropped) = encode(&GeminiEmbeddings, &request);
    assert_eq!(
        body["requests"][1],
        json!({"model": "models/m", "content": {"parts": [{"text": "two"}]},
            "taskType": "RETRIEVAL_QUERY", "outputDimensionality": 256})
    );
    assert_eq!(dropped, "title user");
    request.task = Some(EmbeddingTask::Document);
    let (body, dropped) = encode(&GeminiEmbeddings, &request);
    assert_eq!((body["requests"][0]["title"].as_str(), &*dropped), (Some("t"), "user"));
    assert_eq!(GeminiEmbeddings.path("models/m"), "/models/m:batchEmbedContents");
}

#[test]
fn bedrock_is_sent_the_form_of_the_models_maker() {
    let of = |model: &str, inputs: usize| {
        let mut request = EmbeddingRequest { model: model.to_owned(), ..asked() };
        request.inputs.truncate(inputs);
        encode(&BedrockEmbeddings, &request)
    };
    let (body, dropped) = of("amazon.titan-embed-text-v2:0", 1);
    assert_eq!(body, json!({"inputText": "one", "dimensions": 256}));
    assert_eq!(dropped, "input_type title user");
    let (body, dropped) = of("amazon.titan-embed-text-v1", 1);
    assert_eq!(body, json!({"inputText": "one"}));
    assert_eq!(dropped, "dimensions input_type title user");
    let (body, dropped) = of("us.cohere.embed-v4:0", 2);
    assert_eq!(
        body,
        json!({"texts": ["one", "two"], "input_type": "search_query", "truncate": "NONE",
            "output_dimension": 256})
    );
    assert_eq!(dropped, "title user");
    assert_eq!(of("cohere.embed-english-v3", 2).1, "dimensions title user");
    let (body, _) = of("amazon.nova-2-multimodal-embeddings-v1:0", 1);
    assert_eq!(
        body["singleEmbeddingParams"],
        json!({"embeddingPurpose": "GENERIC_RETRIEVAL", "embeddingDimension": 256,
            "text": {"truncationMode": "NONE", "value": "one"}})
    );
    assert_eq!(
        BedrockEmbeddings.path("arn:aws:bedrock:x/cohere.embed-v4:0"),
        "/model/arn%3Aaws%3Abedrock%3Ax%2Fcohere.embed-v4%3A0/invoke"
    );
}

#[test]
fn what_one_call_cannot_take_is_refused_with_the_number() {
    let mut request = asked();
    request.model = "amazon.titan-embed-text-v2:0".to_owned();
    assert!(error(&BedrockEmbeddings, &request).contains("takes at most 1 in one request"));
    request.inputs = vec![EmbeddingInput::Text(String::new()); 97];
    assert!(error(&CohereEmbeddings, &request).contains("takes at most 96 in one request"));
    request.inputs = vec![EmbeddingInput::Text(String::new()); 101];
    assert!(error(&GeminiEmbeddings, &request).contains("takes at most 100 in one request"));
    request.model = "meta.llama".to_owned();
    assert!(error(&BedrockEmbeddings, &request).contains("amazon.titan-embed-text"));
}

#[test]
fn tokens_are_given_to_openai_alone() {
    let request = EmbeddingRequest {
        inputs: vec![EmbeddingInput::Tokens(vec![7, 8])],
        model: "cohere.embed-v4:0".to_owned(),
        ..EmbeddingRequest::default()
    };
    assert_eq!(encode(&OpenAiEmbeddings, &request).0["input"], json!([[7, 8]]));
    let others: [&dyn EmbeddingUpstream; 5] = [
        &MistralEmbeddings,
        &CohereEmbeddings,
        &GeminiEmbeddings,
        &OllamaEmbeddings,
        &BedrockEmbeddings,
    ];
    for other in others {
        assert!(error(other, &request).contains("send the texts"));
    }
}

#[test]
fn each_providers_answer_is_read() {
    let lists = json!([[0.5, 1.0], [0.25, -2.0]]);
    let openai = json!({"data": [
        {"index": 1, "embedding": [0.25, -2.0]}, {"index": 0, "embedding": "AAAAPwAAgD8="},
    ], "model": "m", "usage": {"prompt_tokens": 4, "total_tokens": 4}});
    let total = json!({"data": [{"embedding": [1]}], "usage": {"total_tokens": 9}});
    let cohere =
        json!({"embeddings": {"float": lists}, "meta": {"billed_units": {"input_tokens": 5.0}}});
    let gemini = json!({"embeddings": [{"values": [0.5, 1]}, {"values": [0.25, -2]}]});
    let ollama = json!({"model": "m", "embeddings": lists, "prompt_eval_count": 6});
    let read_openai = read(&OpenAiEmbeddings, openai);
    assert_eq!((&read_openai.vectors, read_openai.usage), (&vectors(), input(4)));
    assert_eq!(read(&MistralEmbeddings, total).usage, input(9));
    let read_cohere = read(&CohereEmbeddings, cohere);
    assert_eq!((&read_cohere.vectors, read_cohere.usage), (&vectors(), input(5)));
    let read_gemini = read(&GeminiEmbeddings, gemini);
    assert_eq!((&read_gemini.vectors, read_gemini.usage), (&vectors(), None));
    let read_ollama = read(&OllamaEmbeddings, ollama);
    assert_eq!((&read_ollama.vectors, read_ollama.usage), (&vectors(), input(6)));
}

#[test]
fn vectors_that_claim_one_place_are_refused() {
    let item = |index: Option<usize>| json!({"index": index, "embedding": [1.0]});
    for indexes in [[Some(0), Some(0)], [Some(0), Some(2)], [Some(1), None]] {
        let body = json!({"data": indexes.map(item)}).to_string();
        assert!(OpenAiEmbeddings.decode_response(body.as_bytes()).is_err(), "{body}");
    }
}

#[test]
fn bedrocks_answers_are_read_whatever_the_maker() {
    let titan = read(
        &BedrockEmbeddings,
        json!({"embedding": [0.5, 1], "inputTextTokenCount": 2,
        "embeddingsByType": {"float": [0.5, 1]}}),
    );
    assert_eq!((titan.vectors, titan.usage), (vec![Vector(vec![0.5, 1.0])], input(2)));
    for embeddings in [
        json!([[0.5, 1.0], [0.25, -2.0]]),
        json!({"float": [[0.5, 1.0], [0.25, -2.0]]}),
        json!([{"embeddingType": "TEXT", "embedding": [0.5, 1]}, {"embedding": [0.25, -2]}]),
    ] {
        assert_eq!(read(&BedrockEmbeddings, json!({"embeddings": embeddings})).vectors, vectors());
    }
    assert!(BedrockEmbeddings.decode_response(b"{}").is_err());
}
