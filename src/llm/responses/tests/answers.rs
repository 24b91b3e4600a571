//! Whole answers, both ways.

use super::*;

fn written(response: &ChatResponse, request: Value) -> Value {
    serde_json::from_slice(&Responses.encode_response(response, &context(&request))).unwrap()
}

fn answer(parts: Vec<Part>, reason: FinishReason) -> ChatResponse {
    ChatResponse::of(Choice { parts, finish_reason: Some(reason), ..Choice::default() })
}

#[test]
fn an_answer_has_its_items_its_usage_and_what_was_asked() {
    let mut said = text("He");
    said.citations = vec![
        Citation {
            url: Some("https://x.test".into()),
            title: Some("X".into()),
            text: None,
            span: Some((0, 2)),
        },
        Citation { title: Some("a.pdf".into()), text: Some("words".into()), ..Citation::default() },
    ];
    let mut more = text("llo");
    more.citations =
        vec![Citation { url: Some("u".into()), span: Some((3, 5)), ..Citation::default() }];
    let response = ChatResponse {
        id: Some("msg_9".to_owned()),
        model: Some("claude".to_owned()),
        usage: Some(Usage {
            input: 9,
            output: 7,
            cached_input: 2,
            cache_write: 1,
            reasoning: 3,
            ..Usage::default()
        }),
        ..answer(
            vec![
                thought("Hm.", Signer::Anthropic, "sig"),
                Content::RedactedThinking("data".to_owned()).into(),
                said,
                more,
                call("toolu_1", "apply_patch", r#"{"input":"x\ny"}"#),
                call("toolu_2", "crm__get", r#"{"a":1}"#),
            ],
            FinishReason::ToolCalls,
        )
    };
    let tools = json!([{"type": "custom", "name": "apply_patch"},
        {"type": "namespace", "name": "crm", "tools": [{"type": "function", "name": "get"}]}]);
    let body = written(
        &response,
        json!({"model": "m", "tools": tools, "instructions": "i", "metadata": {"k": "v"},
            "temperature": 0.2, "previous_response_id": null, "store": true}),
    );
    let annotations = json!([
        {"type": "url_citation", "url": "https://x.test", "title": "X", "start_index": 0, "end_index": 2},
        {"type": "file_citation", "file_id": "", "filename": "a.pdf", "index": 2},
    ]);
    let more = json!([{"type": "url_citation", "url": "u", "title": "", "start_index": 1, "end_index": 3}]);
    let expected = json!([
        {"type": "reasoning", "id": "rs_msg_9_0", "summary": [{"type": "summary_text", "text": "Hm."}],
            "encrypted_content": "sluice.anthropic.sig"},
        {"type": "reasoning", "id": "rs_msg_9_1", "summary": [], "encrypted_content": "sluice.redacted.data"},
        {"type": "message", "id": "msg_msg_9_2", "status": "completed", "role": "assistant", "content": [
            {"type": "output_text", "text": "He", "annotations": annotations, "logprobs": []},
            {"type": "output_text", "text": "llo", "annotations": more, "logprobs": []},
        ]},
        {"type": "custom_tool_call", "id": "ctc_msg_9_3", "call_id": "toolu_1", "name": "apply_patch",
            "input": "x\ny", "status": "completed"},
        {"type": "function_call", "id": "fc_msg_9_4", "call_id": "toolu_2", "name": "get",
            "namespace": "crm", "arguments": "{\"a\":1}", "status": "completed"},
    ]);
    assert_eq!(format!("{:#}", body["output"]), format!("{expected:#}"));
    let usage = json!({"input_tokens": 9, "input_tokens_details": {"cached_tokens": 2, "cache_write_tokens": 1},
        "output_tokens": 7, "output_tokens_details": {"reasoning_tokens": 3}, "total_tokens": 16});
    assert_eq!(body["usage"], usage);
    assert_eq!((&body["id"], &body["object"]), (&json!("resp_msg_9"), &json!("response")));
    assert_eq!((&body["model"], &body["status"]), (&json!("claude"), &json!("completed")));
    assert_eq!((&body["tools"], &body["instructions"]), (&tools, &json!("i")));
    assert_eq!((&body["metadata"], &body["temperature"]), (&json!({"k": "v"}), &json!(0.2)));
    assert_eq!((&body["store"], &body["parallel_tool_calls"]), (&json!(false), &json!(true)));
    for absent in ["error", "incomplete_details", "previous_response_id", "user"] {
        assert_eq!(body.get(absent), Some(&Value::Null), "{absent}");
    }
}

#[test]
fn what_was_written_is_read_again() {
    let mut signed = call("c2", "g", "{}");
    signed.signature = Some(Signature::new(Signer::Gemini, "gem"));
    let mut response = answer(
        vec![
            thought("a", Signer::OpenAi, "enc"),
            Content::RedactedThinking("data".to_owned()).into(),
            text("Hi é"),
            signed,
        ],
        FinishReason::ToolCalls,
    );
    response.id = Some("resp_1".to_owned());
    response.model = Some("m".to_owned());
    response.choices[0].logprobs = Some(vec![TokenLogprob {
        token: "Hi".to_owned(),
        logprob: -0.5,
        top: vec![("Ho".to_owned(), -1.0)],
    }]);
    response.choices[0].parts[2].citations = vec![Citation {
        url: Some("u".into()),
        title: Some("t".into()),
        text: None,
        span: Some((0, 4)),
    }];
    let body = written(&response, json!({}));
    assert_eq!(Responses.decode_response(body.to_string().as_bytes()).unwrap(), response);
    // The same items in the next request.
    let (request, _) = decode(json!({"model": "m", "input": body["output"]}));
    let mut parts = response.choices[0].parts.clone();
    parts[2].citations.clear();
    assert_eq!(request.messages, [Message { role: Role::Assistant, parts }]);
}

#[test]
fn ends_have_their_states() {
    let refusal = || Part::from(Content::Refusal("No.".to_owned()));
    let state = |parts, reason| {
        let body = written(&answer(parts, reason), json!({}));
        let item = body["output"][0]["status"].clone();
        (body["status"].clone(), body["incomplete_details"].clone(), item)
    };
    let completed = (json!("completed"), Value::Null, json!("completed"));
    let incomplete = |why: &str| (json!("incomplete"), json!({"reason": why}), json!("incomplete"));
    assert_eq!(state(vec![text("a")], FinishReason::Stop), completed);
    assert_eq!(state(vec![refusal()], FinishReason::ContentFilter), completed);
    assert_eq!(state(vec![text("a")], FinishReason::Length), incomplete("max_output_tokens"));
    assert_eq!(state(vec![text("a")], FinishReason::ContentFilter), incomplete("content_filter"));
}

#[test]
fn states_are_read_and_an_unfinished_answer_is_none() {
    let read = |status: &str, details: Value| {
        let body = json!({"id": "r", "status": status, "incomplete_details": details, "output": [
            {"type": "web_search_call", "id": "ws", "action": {"type": "search"}, "output": {}},
            {"type": "message", "content": [{"type": "refusal", "refusal": "No."}, {"type": "new"}]},
        ]});
        Responses.decode_response(body.to_string().as_bytes())
    };
    let reason = |status, details| read(status, details).unwrap().choices[0].finish_reason.clone();
    assert_eq!(reason("completed", Value::Null), Some(FinishReason::Stop));
    let cut = json!({"reason": "max_output_tokens"});
    assert_eq!(reason("incomplete", cut), Some(FinishReason::Length));
    let filtered = json!({"reason": "content_filter"});
    assert_eq!(reason("incomplete", filtered), Some(FinishReason::ContentFilter));
    let parts = read("completed", Value::Null).unwrap().choices[0].parts.clone();
    assert_eq!(parts, [Content::Refusal("No.".to_owned()).into()]);
    for unfinished in ["queued", "in_progress", "cancelled"] {
        let error = read(unfinished, Value::Null).unwrap_err();
        assert_eq!(error, format!("its status is \"{unfinished}\""));
    }
}
