//! Whole answers, from Gemini and for its clients.

use serde_json::{Value, json};

use super::super::response::{decode, encode};
use crate::llm::chat::{
    ChatResponse, Choice, Citation, Content, FinishReason, Part, Signature, Signer, TokenLogprob,
};
use crate::llm::translate::ResponseContext;
use crate::llm::usage::Usage;

fn read(body: Value) -> ChatResponse {
    decode(body.to_string().as_bytes()).unwrap()
}

fn candidate(parts: Value, word: &str) -> Value {
    json!({"content": {"role": "model", "parts": parts}, "finishReason": word})
}

fn written(response: &ChatResponse) -> Value {
    serde_json::from_slice(&encode(response, &ResponseContext::default())).unwrap()
}

#[test]
fn calls_get_ids_and_the_finish_reason_that_gemini_lacks() {
    let parts = json!([
        {"text": "hm", "thought": true},
        {"text": "so"},
        {"functionCall": {"name": "f"}, "thoughtSignature": "S"},
        {"functionCall": {"name": "f", "id": "own", "args": {"z": 1, "a": 2}}},
    ]);
    let answer = json!({"candidates": [candidate(parts, "STOP")], "responseId": "R",
        "modelVersion": "gemini-3"});
    let response = read(answer);
    let choice = response.first().unwrap();
    assert_eq!(choice.finish_reason, Some(FinishReason::ToolCalls));
    assert_eq!((response.id.as_deref(), response.model.as_deref()), (Some("R"), Some("gemini-3")));
    let thought = Content::Thinking { text: "hm".to_owned(), signature: None };
    assert_eq!(choice.parts[0].content, thought);
    let call = |id: &str, arguments: &str| Content::ToolCall {
        id: id.to_owned(),
        name: "f".to_owned(),
        arguments: arguments.to_owned(),
    };
    assert_eq!(choice.parts[2].content, call("call_R_0", "{}"));
    assert_eq!(choice.parts[2].signature, Some(Signature::new(Signer::Gemini, "S")));
    assert!(matches!(&choice.parts[3].content, Content::ToolCall { id, .. } if id == "own"));
}

#[test]
fn ids_of_two_answers_without_id_differ() {
    let id = |x: u8| {
        let parts = json!([{"functionCall": {"name": "f", "args": {"x": x}}}]);
        let response = read(json!({"candidates": [candidate(parts, "STOP")]}));
        match &response.choices[0].parts[0].content {
            Content::ToolCall { id, .. } => id.clone(),
            other => panic!("{other:?}"),
        }
    };
    assert_ne!(id(1), id(2));
    assert!(id(1).len() <= 40);
}

#[test]
fn every_reason_to_stop_has_a_meaning() {
    let reason = |word: &str| {
        let answer = json!({"candidates": [candidate(json!([{"text": "x"}]), word)]});
        read(answer).choices.remove(0).finish_reason.unwrap()
    };
    assert_eq!(reason("STOP"), FinishReason::Stop);
    assert_eq!(reason("MAX_TOKENS"), FinishReason::Length);
    for word in [
        "SAFETY",
        "RECITATION",
        "BLOCKLIST",
        "PROHIBITED_CONTENT",
        "SPII",
        "IMAGE_SAFETY",
        "IMAGE_PROHIBITED_CONTENT",
        "IMAGE_RECITATION",
        "MODEL_ARMOR",
    ] {
        assert_eq!(reason(word), FinishReason::ContentFilter, "{word}");
    }
    for word in ["LANGUAGE", "OTHER", "NO_IMAGE"] {
        assert_eq!(reason(word), FinishReason::Other(word.to_lowercase()), "{word}");
    }
}

#[test]
fn a_call_that_the_model_garbled_is_a_failure_that_says_so() {
    let answer = json!({"candidates": [{"finishReason": "MALFORMED_FUNCTION_CALL",
        "finishMessage": "Malformed function call: f("}]});
    let error = decode(answer.to_string().as_bytes()).unwrap_err();
    assert!(error.contains("MALFORMED_FUNCTION_CALL: Malformed function call: f("), "{error}");
}

#[test]
fn what_came_before_a_failure_of_the_model_makes_it_no_answer() {
    for word in [
        "MALFORMED_FUNCTION_CALL",
        "UNEXPECTED_TOOL_CALL",
        "TOO_MANY_TOOL_CALLS",
        "MISSING_THOUGHT_SIGNATURE",
        "MALFORMED_RESPONSE",
    ] {
        for part in
            [json!({"text": ""}), json!({"text": "hm", "thought": true}), json!({"text": "Let me"})]
        {
            let answer = json!({"candidates": [candidate(json!([part]), word)]});
            let error = decode(answer.to_string().as_bytes()).unwrap_err();
            assert!(error.contains(word), "{error}");
        }
    }
}

#[test]
fn a_blocked_prompt_and_a_blocked_candidate_are_filtered_answers() {
    let usage = json!({"promptTokenCount": 4, "totalTokenCount": 4});
    let blocked = json!({"promptFeedback": {"blockReason": "SAFETY"}, "usageMetadata": usage});
    for answer in
        [blocked, json!({"candidates": [{"finishReason": "SAFETY"}], "usageMetadata": usage})]
    {
        let response = read(answer);
        let choice = response.first().unwrap();
        assert_eq!(choice.finish_reason, Some(FinishReason::ContentFilter));
        assert!(choice.parts.is_empty());
        assert_eq!(response.usage.unwrap().input, 4);
    }
    assert!(decode(b"{}").is_err() && decode(b"[]").is_err());
}

#[test]
fn usage_counts_thoughts_as_output_and_tools_as_input() {
    let answer = json!({"candidates": [candidate(json!([]), "STOP")], "usageMetadata": {
        "promptTokenCount": 29, "cachedContentTokenCount": 9, "candidatesTokenCount": 15,
        "thoughtsTokenCount": 804, "toolUsePromptTokenCount": 2, "totalTokenCount": 850,
        "promptTokensDetails": [{"modality": "TEXT", "tokenCount": 20}, {"modality": "IMAGE", "tokenCount": 9}],
        "candidatesTokensDetails": [{"modality": "AUDIO", "tokenCount": 15}]}});
    let usage = read(answer).usage.unwrap();
    let expected = Usage {
        input: 31,
        output: 819,
        cached_input: 9,
        reasoning: 804,
        image_input: 9,
        audio_output: 15,
        ..Usage::default()
    };
    assert_eq!(usage, expected);
    let response = ChatResponse { usage: Some(usage), ..ChatResponse::of(Choice::default()) };
    let again = written(&response)["usageMetadata"].clone();
    assert_eq!(
        again,
        json!({"promptTokenCount": 31, "cachedContentTokenCount": 9, "candidatesTokenCount": 15,
            "thoughtsTokenCount": 804, "totalTokenCount": 850})
    );
    let none = json!({"candidates": [], "usageMetadata": {"trafficType": "ON_DEMAND"}});
    assert_eq!(read(none).usage, None);
}

#[test]
fn images_code_and_sources_of_an_answer_are_kept() {
    let parts = json!([
        {"inlineData": {"mimeType": "image/png", "data": "AAAA"}},
        {"executableCode": {"language": "PYTHON", "code": "1+1"}},
        {"codeExecutionResult": {"outcome": "OUTCOME_OK", "output": "2"}},
    ]);
    let mut wire = candidate(parts, "STOP");
    wire["groundingMetadata"] = json!({"groundingChunks": [{"web": {"uri": "u", "title": "t"}}]});
    let response = read(json!({"candidates": [wire]}));
    let parts = &response.choices[0].parts;
    let text = "![image](data:image/png;base64,AAAA)```python\n1+1\n```\n```\n2\n```\n";
    assert_eq!(parts[0].content, Content::Text(text.to_owned()));
    assert_eq!(parts[0].citations[0].url.as_deref(), Some("u"));
}

#[test]
fn several_candidates_and_their_probabilities_go_both_ways() {
    let logprobs = json!({
        "chosenCandidates": [{"token": "a", "logProbability": -0.5}],
        "topCandidates": [{"candidates": [{"token": "a", "logProbability": -0.5},
            {"token": "b", "logProbability": -2.0}]}]});
    let mut first = candidate(json!([{"text": "a"}]), "STOP");
    first["logprobsResult"] = logprobs.clone();
    let second = candidate(json!([{"text": "b"}]), "MAX_TOKENS");
    let response = read(json!({"candidates": [first, second]}));
    let token = TokenLogprob {
        token: "a".to_owned(),
        logprob: -0.5,
        top: vec![("a".to_owned(), -0.5), ("b".to_owned(), -2.0)],
    };
    assert_eq!(response.choices[0].logprobs, Some(vec![token]));
    let body = written(&response);
    assert_eq!(body["candidates"][0]["logprobsResult"], logprobs);
    assert_eq!(
        (&body["candidates"][1]["index"], &body["candidates"][1]["finishReason"]),
        (&json!(1), &json!("MAX_TOKENS"))
    );
}

#[test]
fn a_client_of_gemini_gets_refusals_thoughts_and_foreign_signatures() {
    let claude = Signature::new(Signer::Anthropic, "sig");
    let mut cited = Part::from(Content::Text("é x".to_owned()));
    cited.citations =
        vec![Citation { url: Some("u".to_owned()), span: Some((2, 3)), ..Citation::default() }];
    let choice = Choice {
        parts: vec![
            Content::Thinking { text: "hm".to_owned(), signature: Some(claude) }.into(),
            Content::RedactedThinking("R".to_owned()).into(),
            cited,
            Content::Refusal("no".to_owned()).into(),
            Content::ToolCall {
                id: "c".to_owned(),
                name: "f".to_owned(),
                arguments: "nonsense".to_owned(),
            }
            .into(),
        ],
        finish_reason: Some(FinishReason::Stop),
        ..Choice::default()
    };
    let body = written(&ChatResponse::of(choice));
    let candidate = &body["candidates"][0];
    assert_eq!(candidate["finishReason"], "SAFETY");
    let parts = candidate["content"]["parts"].as_array().unwrap();
    assert_eq!((&parts[0]["text"], &parts[0]["thought"]), (&json!("hm"), &json!(true)));
    assert!(parts[0]["thoughtSignature"].is_string() && parts[1]["thoughtSignature"].is_string());
    assert_eq!(parts[4]["functionCall"]["args"], json!({"INVALID_JSON": "nonsense"}));
    let segment = &candidate["groundingMetadata"]["groundingSupports"][0]["segment"];
    assert_eq!((&segment["startIndex"], &segment["endIndex"]), (&json!(3), &json!(4)));
}
