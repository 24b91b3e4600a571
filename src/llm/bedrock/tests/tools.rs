//! Tools, and the tool that stands in for a schema.

use super::*;
use crate::llm::structured;

#[test]
fn choices_of_tools_are_said_once() {
    let choice = |model: &str, choice: Value, parallel: Value| {
        let tools =
            json!({"tools": [tool("f")], "tool_choice": choice, "parallel_tool_calls": parallel});
        let (body, dropped) = sent(model, &asking(tools));
        let native = body["additionalModelRequestFields"]["tool_choice"].clone();
        (body["toolConfig"]["toolChoice"].clone(), native, dropped)
    };
    let none = Vec::<String>::new();
    let named = json!({"type": "function", "function": {"name": "f"}});
    assert_eq!(
        choice(NOVA, json!("auto"), Value::Null),
        (json!({"auto": {}}), Value::Null, none.clone())
    );
    assert_eq!(
        choice(NOVA, json!("required"), Value::Null),
        (json!({"any": {}}), Value::Null, none.clone())
    );
    assert_eq!(
        choice(NOVA, named.clone(), json!(true)),
        (json!({"tool": {"name": "f"}}), Value::Null, none.clone())
    );
    assert_eq!(
        choice(CLAUDE, named, json!(false)),
        (
            Value::Null,
            json!({"type": "tool", "name": "f", "disable_parallel_tool_use": true}),
            none.clone()
        )
    );
    assert_eq!(
        choice(CLAUDE, Value::Null, json!(false)),
        (Value::Null, json!({"type": "auto", "disable_parallel_tool_use": true}), none.clone())
    );
    assert_eq!(names(&choice(NOVA, Value::Null, json!(false)).2), ["parallel_tool_calls"]);
    assert_eq!(choice(LLAMA, json!("auto"), Value::Null), (Value::Null, Value::Null, none));
    assert_eq!(names(&choice(LLAMA, json!("required"), Value::Null).2), ["tool_choice"]);
}

#[test]
fn names_of_tools_that_could_not_come_back_are_refused() {
    for name in ["a.b", "", &"x".repeat(65)] {
        let message = refused(NOVA, &asking(json!({"tools": [tool(name)]})));
        assert!(message.contains("1 to 64 letters"), "{message}");
    }
}

#[test]
fn a_schema_is_asked_for_as_the_model_takes_it() {
    let schema = json!({"type": "object", "properties": {"a": {"type": "string"}}});
    let format = json!({"type": "json_schema", "json_schema": {"name": "n", "schema": schema}});
    let (body, _) = sent(NEWER, &asking(json!({"response_format": format})));
    let text_format = &body["outputConfig"]["textFormat"];
    assert_eq!(text_format["type"], "json_schema");
    let given = text_format["structure"]["jsonSchema"]["schema"].as_str().unwrap();
    let given: Value = serde_json::from_str(given).unwrap();
    assert_eq!(given["additionalProperties"], false);
    assert!(body.get("toolConfig").is_none());

    let (body, _) = sent(NOVA, &asking(json!({"response_format": format})));
    assert_eq!(
        body["toolConfig"]["toolChoice"],
        json!({"tool": {"name": structured::ANSWER_TOOL}})
    );
    assert!(body.get("outputConfig").is_none());
    let both = asking(json!({"response_format": format, "tools": [tool("f")]}));
    let (body, _) = sent(NOVA, &both);
    assert_eq!(body["toolConfig"]["toolChoice"], json!({"any": {}}));
    assert_eq!(body["toolConfig"]["tools"].as_array().unwrap().len(), 2);
    let (body, dropped) = sent(LLAMA, &both);
    assert!(body["toolConfig"].get("toolChoice").is_none());
    assert!(body["system"][0]["text"].as_str().unwrap().contains(structured::ANSWER_TOOL));
    assert_eq!(dropped, Vec::<String>::new());
}

#[test]
fn the_tool_that_stands_in_for_a_schema_is_text_to_the_caller() {
    let body = json!({
        "output": {"message": {"role": "assistant", "content": [
            {"toolUse": {"toolUseId": "t", "name": structured::ANSWER_TOOL, "input": {"a": "b"}}}]}},
        "stopReason": "tool_use",
        "usage": {"inputTokens": 1, "outputTokens": 2, "totalTokens": 3},
    });
    let answer = Bedrock.decode_response(body.to_string().as_bytes()).unwrap();
    let choice = answer.first().unwrap();
    assert_eq!(choice.parts[0].content, Content::Text(r#"{"a":"b"}"#.to_owned()));
    assert_eq!(choice.finish_reason, Some(FinishReason::Stop));

    let events = read(&[
        (
            "contentBlockStart",
            json!({"contentBlockIndex": 0, "start": {"toolUse": {"toolUseId": "t", "name": structured::ANSWER_TOOL}}}),
        ),
        (
            "contentBlockDelta",
            json!({"contentBlockIndex": 0, "delta": {"toolUse": {"input": "{\"a\""}}}),
        ),
        (
            "contentBlockDelta",
            json!({"contentBlockIndex": 0, "delta": {"toolUse": {"input": ":1}"}}}),
        ),
        ("contentBlockStop", json!({"contentBlockIndex": 0})),
        ("messageStop", json!({"stopReason": "tool_use"})),
    ]);
    let text: String = events
        .iter()
        .filter_map(|event| match event {
            ChatEvent::Text(text) => Some(text.as_str()),
            _ => None,
        })
        .collect();
    assert_eq!(text, r#"{"a":1}"#);
    let finish = ChatEvent::Finish { reason: FinishReason::Stop, stop_sequence: None };
    assert!(events.contains(&finish), "{events:?}");
}
