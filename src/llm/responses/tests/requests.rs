//! Requests, both ways.

use super::*;

#[test]
fn items_of_the_model_are_one_turn_and_so_are_results() {
    let (request, dropped) = decode(json!({
        "model": "m",
        "input": [
            {"role": "developer", "content": "Be brief."},
            {"type": "message", "role": "user", "content": [
                {"type": "input_text", "text": "Weather?"},
                {"type": "input_image", "image_url": "data:image/jpg;base64,AAAA", "detail": "low"},
                {"type": "input_image", "file_id": "file-1"},
                {"type": "input_file", "file_data": "data:application/pdf;base64,BBBB", "filename": "a.pdf"},
                {"type": "input_file", "file_url": "https://x.test/a.pdf"},
            ]},
            {"type": "reasoning", "id": "rs_1", "summary": [
                {"type": "summary_text", "text": "One."}, {"type": "summary_text", "text": "Two."},
            ], "encrypted_content": "enc"},
            {"type": "message", "role": "assistant", "id": "msg_1", "content": [
                {"type": "output_text", "text": "Let me see.", "annotations": []},
            ]},
            {"type": "function_call", "id": "fc_1", "call_id": "call_1", "name": "weather", "arguments": "{\"city\":\"Oslo\"}"},
            {"type": "function_call", "call_id": "call_2", "name": "now", "arguments": ""},
            {"type": "function_call_output", "call_id": "call_1", "output": "cold"},
            {"type": "function_call_output", "call_id": "call_2", "output": [{"type": "input_text", "text": "noon"}]},
            {"role": "user", "content": "Thanks"},
            {"role": "system", "content": "Now sing."},
        ],
        "instructions": "Be kind.",
    }));
    let base64 = |media_type: &str, data: &str| Source::Base64 {
        media_type: media_type.to_owned(),
        data: data.to_owned(),
    };
    let said = Message {
        role: Role::User,
        parts: vec![
            text("Weather?"),
            Content::Image { source: base64("image/jpeg", "AAAA"), detail: Some("low".into()) }
                .into(),
            Content::Image { source: Source::Id("file-1".into()), detail: None }.into(),
            Content::File {
                source: base64("application/pdf", "BBBB"),
                name: Some("a.pdf".to_owned()),
            }
            .into(),
            Content::File { source: Source::Url("https://x.test/a.pdf".into()), name: None }.into(),
        ],
    };
    let turn = vec![
        thought("One.\n\nTwo.", Signer::OpenAi, "enc"),
        text("Let me see."),
        call("call_1", "weather", r#"{"city":"Oslo"}"#),
        call("call_2", "now", "{}"),
    ];
    let results = vec![result("call_1", "cold"), result("call_2", "noon")];
    assert_eq!(request.system, [text("Be kind."), text("Be brief.")]);
    let expected = [
        said,
        Message { role: Role::Assistant, parts: turn },
        Message { role: Role::User, parts: results },
        Message { role: Role::User, parts: vec![text("Thanks")] },
        Message { role: Role::System, parts: vec![text("Now sing.")] },
    ];
    assert_eq!(request.messages, expected);
    assert_eq!(dropped, [""; 0]);
}

#[test]
fn two_messages_of_the_model_stay_two() {
    let (request, dropped) = decode(json!({"model": "m", "input": [
        {"role": "user", "content": "Hi"},
        {"role": "assistant", "phase": "commentary", "content": [{"type": "output_text", "text": "a"}]},
        {"role": "assistant", "content": "b"},
    ]}));
    let assistant = |said: &str| Message { role: Role::Assistant, parts: vec![text(said)] };
    assert_eq!(request.messages[1..], [assistant("a"), assistant("b")]);
    assert_eq!(dropped, ["input.phase"]);
}

#[test]
fn freeform_calls_and_namespaces_become_functions() {
    let (request, _) = decode(json!({"model": "m", "input": [
        {"type": "custom_tool_call", "call_id": "c1", "name": "apply_patch", "input": "*** \"x\""},
        {"type": "custom_tool_call_output", "call_id": "c1", "output": "done"},
        {"type": "function_call", "call_id": "c2", "namespace": "crm", "name": "get", "arguments": "{}"},
        {"type": "function_call_output", "call_id": "c2", "output": "x"},
    ], "tools": [
        {"type": "custom", "name": "apply_patch"},
        {"type": "namespace", "name": "crm", "description": "d", "tools": [
            {"type": "function", "name": "get", "parameters": {"type": "object"}},
        ]},
    ], "tool_choice": {"type": "custom", "name": "apply_patch"}}));
    assert_eq!(request.messages[0].parts, [call("c1", "apply_patch", r#"{"input":"*** \"x\""}"#)]);
    assert_eq!(request.messages[2].parts, [call("c2", "crm__get", "{}")]);
    let names: Vec<&str> = request.tools.iter().map(|tool| tool.name.as_str()).collect();
    assert_eq!(names, ["apply_patch", "crm__get"]);
    assert_eq!(request.tool_choice, Some(ToolChoice::Named("apply_patch".to_owned())));
}

#[test]
fn what_needs_a_memory_is_refused_with_a_stable_code() {
    for (name, value) in [
        ("previous_response_id", json!("resp_1")),
        ("conversation", json!({"id": "conv_1"})),
        ("background", json!(true)),
        ("prompt", json!({"id": "pmpt_1"})),
    ] {
        let mut body = json!({"model": "m", "input": "Hi"});
        body[name] = value;
        let error = refused(body);
        assert_eq!(error.status, 400, "{name}");
        assert_eq!(
            (error.code.as_ref(), error.param.as_deref()),
            ("unsupported_parameter", Some(name))
        );
        assert!(error.message.contains("provider that speaks Responses"), "{}", error.message);
    }
    for (item, code) in [
        (json!({"type": "item_reference", "id": "msg_1"}), "unsupported_item_reference"),
        (json!({"id": "msg_1"}), "unsupported_item_reference"),
        (json!({"type": "mcp_call", "id": "mcp_1"}), "unsupported_item"),
        (
            json!({"role": "user", "content": [{"type": "input_audio", "input_audio": {}}]}),
            "unsupported_content",
        ),
    ] {
        let error = refused(json!({"model": "m", "input": [item]}));
        assert_eq!((error.code.as_ref(), error.param.as_deref()), (code, Some("input")));
    }
    for neutral in ["previous_response_id", "conversation", "prompt"] {
        let mut body = json!({"model": "m", "input": "Hi", "background": false});
        body[neutral] = Value::Null;
        assert_eq!(decode(body).1, [""; 0]);
    }
}

#[test]
fn parameters_are_read_and_what_has_no_counterpart_is_named() {
    let (request, dropped) = decode(json!({
        "model": "m", "input": "Hi", "max_output_tokens": 50, "temperature": 0.5, "top_p": 0.9,
        "parallel_tool_calls": false, "user": "u", "stream": true,
        "include": ["message.output_text.logprobs", "reasoning.encrypted_content"],
        "top_logprobs": 3, "reasoning": {"effort": "max", "summary": "auto"},
        "text": {"format": {"type": "json_object"}, "verbosity": "low"},
        "store": true, "metadata": {"a": "b"}, "prompt_cache_key": "k", "truncation": "auto",
        "service_tier": "flex", "max_tool_calls": 3, "stream_options": {"include_obfuscation": false},
    }));
    assert_eq!(request.max_tokens, Some(50));
    assert_eq!((request.temperature, request.top_p), (Some(0.5), Some(0.9)));
    assert_eq!(request.logprobs, Some(3));
    let reasoning = Reasoning { effort: Some(Effort::ExtraHigh), budget: None, shown: Some(true) };
    assert_eq!(request.reasoning, Some(reasoning));
    assert!(request.stream && request.parallel_tool_calls == Some(false));
    let named =
        ["metadata", "prompt_cache_key", "service_tier", "store", "text.verbosity", "truncation"];
    assert_eq!(dropped, named);
    let nothing = json!({"model": "m", "input": "Hi", "store": false, "truncation": "disabled",
        "service_tier": "auto", "metadata": {}, "reasoning": {"effort": null, "summary": null}});
    let (request, dropped) = decode(nothing);
    assert_eq!((dropped, request.reasoning), (Vec::new(), None));
}

#[test]
fn an_upstream_gets_items_nothing_to_store_and_strict_said() {
    let request = ChatRequest {
        model: "gpt-5".to_owned(),
        system: vec![text("a"), text("b")],
        messages: vec![
            Message {
                role: Role::User,
                parts: vec![
                    text("Hi"),
                    Content::Image { source: Source::Url("https://x.test/i".into()), detail: None }
                        .into(),
                ],
            },
            Message {
                role: Role::Assistant,
                parts: vec![
                    thought("mine", Signer::OpenAi, "enc"),
                    thought("theirs", Signer::Anthropic, "sig"),
                    text("Well."),
                    call("call_1", "f", "{}"),
                ],
            },
            Message { role: Role::User, parts: vec![text("So?"), result("call_1", "ok")] },
        ],
        tools: vec![crate::llm::chat::Tool {
            name: "f".to_owned(),
            description: None,
            parameters: None,
            strict: None,
            cache: None,
        }],
        tool_choice: Some(ToolChoice::Named("f".to_owned())),
        max_tokens: Some(1),
        logprobs: Some(2),
        reasoning: Some(Reasoning { effort: None, budget: Some(9000), shown: Some(true) }),
        stop: vec!["x".to_owned()],
        seed: Some(1),
        choices: Some(2),
        frequency_penalty: Some(0.1),
        presence_penalty: Some(0.1),
        top_k: Some(4),
        ..ChatRequest::default()
    };
    let (body, dropped) = encode(&request);
    let expected = json!({
        "model": "gpt-5", "instructions": "a\n\nb", "store": false, "max_output_tokens": 16,
        "include": ["reasoning.encrypted_content"], "reasoning": {"effort": "medium", "summary": "auto"},
        "tool_choice": {"type": "function", "name": "f"},
        "tools": [{"type": "function", "name": "f", "strict": false,
            "parameters": {"type": "object", "properties": {}}}],
        "input": [
            {"type": "message", "role": "user", "content": [
                {"type": "input_text", "text": "Hi"},
                {"type": "input_image", "image_url": "https://x.test/i"},
            ]},
            {"type": "reasoning", "summary": [{"type": "summary_text", "text": "mine"}], "encrypted_content": "enc"},
            {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "Well."}]},
            {"type": "function_call", "call_id": "call_1", "name": "f", "arguments": "{}"},
            {"type": "function_call_output", "call_id": "call_1", "output": "ok"},
            {"type": "message", "role": "user", "content": "So?"},
        ],
    });
    assert_eq!(format!("{body:#}"), format!("{expected:#}"));
    let named = [
        "frequency_penalty",
        "logprobs",
        "max_tokens",
        "n",
        "presence_penalty",
        "seed",
        "stop",
        "thinking",
        "top_k",
    ];
    assert_eq!(dropped, named);
}

#[test]
fn reasoning_is_asked_back_encrypted_only_of_models_that_reason() {
    let of = |model: &str| {
        let model = model.to_owned();
        encode(&ChatRequest { model, ..ChatRequest::default() }).0["include"].clone()
    };
    assert_eq!(of("gpt-4o"), Value::Null);
    assert_eq!(of("o3"), json!(["reasoning.encrypted_content"]));
}
