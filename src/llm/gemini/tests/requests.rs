//! Requests, to Gemini and from its clients.

use serde_json::{Value, json};

use super::super::request::{decode, encode};
use super::super::signature::{self, SKIP};
use crate::llm::chat::{
    ChatRequest, Content, Json, Message, Part, Reasoning, ResponseFormat, Role, Signature, Signer,
    Source, Tool, ToolChoice,
};
use crate::llm::codec::Dropped;
use crate::llm::error::RequestError;

fn said(role: Role, parts: Vec<Content>) -> Message {
    Message { role, parts: parts.into_iter().map(Part::from).collect() }
}

fn text(text: &str) -> Content {
    Content::Text(text.to_owned())
}

fn call(id: &str, name: &str) -> Content {
    let arguments = r#"{"b":1,"a":2}"#.to_owned();
    Content::ToolCall { id: id.to_owned(), name: name.to_owned(), arguments }
}

fn result(call_id: &str, parts: Vec<Content>) -> Content {
    let parts = parts.into_iter().map(Part::from).collect();
    Content::ToolResult { call_id: call_id.to_owned(), parts, is_error: false }
}

fn tool(name: &str, parameters: &str) -> Tool {
    Tool {
        name: name.to_owned(),
        description: None,
        parameters: Json::parse(parameters),
        strict: None,
        cache: None,
    }
}

fn asked(model: &str, messages: Vec<Message>) -> ChatRequest {
    ChatRequest { model: model.to_owned(), messages, ..ChatRequest::default() }
}

fn written(request: &ChatRequest) -> (Value, Vec<String>) {
    let mut dropped = Dropped::default();
    let body = encode(request, &mut dropped).unwrap();
    (serde_json::from_slice(&body).unwrap(), dropped.into_names())
}

/// A request whose contents matter to no test may leave them out.
fn read(mut body: Value) -> (ChatRequest, Vec<String>) {
    let mut dropped = Dropped::default();
    if body.get("contents").is_none() {
        body["contents"] = json!([{"parts": [{"text": "Hi"}]}]);
    }
    let request = decode(body.to_string().as_bytes(), &mut dropped).unwrap();
    (request, dropped.into_names())
}

#[test]
fn a_conversation_has_an_instruction_roles_and_one_content_a_turn() {
    let mut request = asked(
        "gemini-2.5-flash",
        vec![
            said(Role::User, vec![text("hi")]),
            said(Role::Assistant, vec![text(""), text("yes")]),
            said(Role::System, vec![text("later")]),
            said(Role::User, vec![text("a")]),
            said(Role::User, vec![text("b")]),
        ],
    );
    request.system = vec![Part::from(text("first"))];
    let (body, dropped) = written(&request);
    assert_eq!(
        body,
        json!({
            "systemInstruction": {"parts": [{"text": "first"}, {"text": "later"}]},
            "contents": [
                {"role": "user", "parts": [{"text": "hi"}]},
                {"role": "model", "parts": [{"text": "yes"}]},
                {"role": "user", "parts": [{"text": "a"}, {"text": "b"}]},
            ],
        })
    );
    assert!(dropped.is_empty());
    request.messages.clear();
    let (body, _) = written(&request);
    assert_eq!(body, json!({"contents": [{"role": "user", "parts": [{"text": "first"}]}]}));
}

#[test]
fn all_results_of_a_turn_come_first_in_one_content_with_their_functions_names() {
    let object = result("c2", vec![text(r#"{"t":3}"#)]);
    let mut failed = result("c1", vec![text("no")]);
    if let Content::ToolResult { is_error, .. } = &mut failed {
        *is_error = true;
    }
    let request = asked(
        "gemini-2.5-pro",
        vec![
            said(Role::Assistant, vec![call("c1", "f"), call("c2", "g"), call("c3", "f")]),
            said(Role::User, vec![failed]),
            said(Role::User, vec![text("and?"), object, result("c3", vec![text("ok")])]),
        ],
    );
    let (body, dropped) = written(&request);
    let args = json!({"b": 1, "a": 2});
    assert_eq!(
        body["contents"],
        json!([
            {"role": "model", "parts": [
                {"functionCall": {"id": "c1", "name": "f", "args": args}},
                {"functionCall": {"id": "c2", "name": "g", "args": args}},
                {"functionCall": {"id": "c3", "name": "f", "args": args}}]},
            {"role": "user", "parts": [
                {"functionResponse": {"id": "c1", "name": "f", "response": {"error": "no"}}},
                {"functionResponse": {"id": "c2", "name": "g", "response": {"t": 3}}},
                {"functionResponse": {"id": "c3", "name": "f", "response": {"output": "ok"}}},
                {"text": "and?"}]},
        ])
    );
    assert!(dropped.is_empty());
}

#[test]
fn a_result_of_no_known_call_is_refused() {
    let request = asked("m", vec![said(Role::User, vec![result("c9", vec![])])]);
    let error = encode(&request, &mut Dropped::default()).unwrap_err();
    assert!(error.to_string().contains("c9"), "{error}");
}

#[test]
fn images_of_a_result_stay_in_it_from_version_3_on() {
    let source = Source::Base64 { media_type: "image/png".to_owned(), data: "AAAA".to_owned() };
    let image = Content::Image { source, detail: None };
    let messages = vec![
        said(Role::Assistant, vec![call("c", "f")]),
        said(Role::User, vec![result("c", vec![text("see"), image])]),
    ];
    let inline = json!({"inlineData": {"mimeType": "image/png", "data": "AAAA"}});
    let (body, _) = written(&asked("gemini-3-flash", messages.clone()));
    let parts = &body["contents"][1]["parts"];
    assert_eq!(parts[0]["functionResponse"]["parts"], json!([inline]));
    let (body, _) = written(&asked("gemini-2.5-flash", messages));
    assert_eq!(body["contents"][1]["parts"][1], inline);
}

#[test]
fn signatures_of_google_go_back_to_the_parts_they_came_with() {
    let own = |value: &str| Some(Signature::new(Signer::Gemini, value));
    let mut signed_text = Part::from(text("so"));
    signed_text.signature = own("T");
    let mut signed_call = Part::from(call("c1", "f"));
    signed_call.signature = own("C");
    let thought = |text: &str, signature| Content::Thinking { text: text.to_owned(), signature };
    let carried = Part::from(thought("", own("D")));
    let foreign = Some(Signature::new(Signer::Anthropic, "X"));
    let parts = vec![
        Part::from(thought("hm", own("H"))),
        Part::from(thought("other", foreign)),
        signed_text,
        carried,
        Part::from(call("c0", "f")),
        signed_call,
    ];
    let message = Message { role: Role::Assistant, parts };
    let (body, dropped) = written(&asked("gemini-3-pro-preview", vec![message]));
    let parts = &body["contents"][0]["parts"];
    assert_eq!(parts[0], json!({"text": "hm", "thought": true, "thoughtSignature": "H"}));
    assert_eq!(parts[1], json!({"text": "so", "thoughtSignature": "T"}));
    assert_eq!(
        (&parts[2]["thoughtSignature"], &parts[3]["thoughtSignature"]),
        (&json!("D"), &json!("C"))
    );
    assert_eq!(dropped, ["reasoning_content"]);
}

#[test]
fn only_version_3_is_excused_and_only_where_no_signature_came_back() {
    let messages = vec![
        said(Role::Assistant, vec![text("let me"), call("c1", "f"), call("c2", "f")]),
        said(Role::User, vec![result("c1", vec![]), result("c2", vec![])]),
    ];
    let (body, _) = written(&asked("gemini-3-flash", messages.clone()));
    let parts = &body["contents"][0]["parts"];
    assert_eq!(parts[1]["thoughtSignature"], SKIP);
    assert_eq!((parts[0].get("thoughtSignature"), parts[2].get("thoughtSignature")), (None, None));
    for older in ["gemini-2.5-flash", "gemma-3-27b-it"] {
        let (body, _) = written(&asked(older, messages.clone()));
        assert!(!body.to_string().contains("thoughtSignature"), "{older}");
    }
}

#[test]
fn media_goes_inline_or_by_place() {
    let image = |source| Content::Image { source, detail: Some("high".to_owned()) };
    let file = |source| Content::File { source, name: Some("a.pdf".to_owned()) };
    let request = asked(
        "m",
        vec![said(
            Role::User,
            vec![
                image(Source::Url("https://x.test/a.webp".to_owned())),
                image(Source::Url("https://x.test/a".to_owned())),
                file(Source::Id("files/abc".to_owned())),
                file(Source::Text("plain".to_owned())),
                file(Source::Base64 {
                    media_type: "application/pdf".to_owned(),
                    data: "QQ".to_owned(),
                }),
            ],
        )],
    );
    let (body, dropped) = written(&request);
    let by_place = |kind: &str, uri: &str| json!({"fileData": {"mimeType": kind, "fileUri": uri}});
    assert_eq!(
        body["contents"][0]["parts"],
        json!([
            by_place("image/webp", "https://x.test/a.webp"),
            by_place("image/jpeg", "https://x.test/a"),
            by_place("application/pdf", "https://generativelanguage.googleapis.com/v1beta/files/abc"),
            {"text": "plain"},
            {"inlineData": {"mimeType": "application/pdf", "data": "QQ"}},
        ])
    );
    assert_eq!(dropped, ["document.title", "filename", "image_url.detail"]);
    let foreign = asked("m", vec![said(Role::User, vec![file(Source::Id("file-1".to_owned()))])]);
    let error = encode(&foreign, &mut Dropped::default()).unwrap_err();
    assert!(matches!(error, RequestError::Field { .. }));
}

#[test]
fn tools_stand_in_one_entry_with_plain_json_schema() {
    let mut request = asked("m", vec![said(Role::User, vec![text("x")])]);
    request.tools = vec![
        tool("f", r#"{"type":"object","properties":{"z":{"const":1},"a":{}}}"#),
        tool("g", r#"{"type":"object","properties":{}}"#),
    ];
    let (body, _) = written(&request);
    let schema = json!({"type": "object", "properties": {"z": {"enum": [1]}, "a": {}}});
    let declared = json!([{"name": "f", "parametersJsonSchema": schema}, {"name": "g"}]);
    assert_eq!(body["tools"], json!([{"functionDeclarations": declared}]));
    assert_eq!(body.get("toolConfig"), None);
    let text = String::from_utf8(encode(&request, &mut Dropped::default()).unwrap()).unwrap();
    assert!(text.contains(r#""properties":{"z":{"enum":[1]},"a":{}}"#), "order is kept: {text}");
}

#[test]
fn tool_choices_have_their_modes() {
    let config = |choice, strict| {
        let mut request = asked("m", vec![]);
        request.tools = vec![tool("f", "{}")];
        request.tools[0].strict = strict;
        request.tool_choice = choice;
        written(&request).0["toolConfig"]["functionCallingConfig"].clone()
    };
    assert_eq!(config(Some(ToolChoice::Auto), None), json!({"mode": "AUTO"}));
    assert_eq!(config(None, Some(true)), json!({"mode": "VALIDATED"}));
    assert_eq!(config(Some(ToolChoice::None), Some(true)), json!({"mode": "NONE"}));
    assert_eq!(config(Some(ToolChoice::Required), None), json!({"mode": "ANY"}));
    let named = config(Some(ToolChoice::Named("f".to_owned())), None);
    assert_eq!(named, json!({"mode": "ANY", "allowedFunctionNames": ["f"]}));
    assert_eq!(config(None, None), Value::Null);
}

#[test]
fn parameters_have_their_members_and_what_is_left_out_is_named() {
    let mut request = asked("gemini-2.5-flash", vec![said(Role::User, vec![text("x")])]);
    request.choices = Some(2);
    request.max_tokens = Some(9);
    request.temperature = Some(3.0);
    request.top_p = Some(0.5);
    request.top_k = Some(4);
    request.stop = (0..6).map(|n| n.to_string()).collect();
    request.seed = Some(7);
    request.presence_penalty = Some(0.25);
    request.frequency_penalty = Some(-0.25);
    request.logprobs = Some(3);
    request.reasoning = Some(Reasoning { budget: Some(512), shown: Some(true), effort: None });
    request.parallel_tool_calls = Some(false);
    request.user = Some("u".to_owned());
    let (body, dropped) = written(&request);
    assert_eq!(
        body["generationConfig"],
        json!({
            "candidateCount": 2, "maxOutputTokens": 9, "temperature": 2.0, "topP": 0.5, "topK": 4,
            "stopSequences": ["0", "1", "2", "3", "4"], "seed": 7, "presencePenalty": 0.25,
            "frequencyPenalty": -0.25, "responseLogprobs": true, "logprobs": 3,
            "thinkingConfig": {"thinkingBudget": 512, "includeThoughts": true},
        })
    );
    assert_eq!(dropped, ["parallel_tool_calls", "stop", "user"]);
    request = asked("m", vec![]);
    (request.seed, request.logprobs) = (Some(1 << 40), Some(0));
    let (body, dropped) = written(&request);
    assert_eq!(body["generationConfig"], json!({"responseLogprobs": true}));
    assert_eq!(dropped, ["seed"]);
}

#[test]
fn json_answers_are_asked_for_by_schema_and_in_words_beside_tools_before_version_3() {
    let schema = Json::parse(r#"{"type":"object","properties":{"b":{},"a":{}}}"#).unwrap();
    let format = ResponseFormat::JsonSchema { name: None, schema, strict: Some(true) };
    let mut request = asked("gemini-2.5-flash", vec![said(Role::User, vec![text("x")])]);
    request.response_format = Some(format);
    let by_schema = json!({
        "responseMimeType": "application/json",
        "responseJsonSchema": {"type": "object", "properties": {"b": {}, "a": {}}},
    });
    assert_eq!(written(&request).0["generationConfig"], by_schema);
    request.tools = vec![tool("f", "{}")];
    let (body, dropped) = written(&request);
    assert_eq!((body.get("generationConfig"), dropped), (None, vec!["response_format".to_owned()]));
    let words = body["systemInstruction"]["parts"][0]["text"].as_str().unwrap();
    assert!(words.contains(r#"{"type":"object","properties":{"b":{},"a":{}}}"#), "{words}");
    request.model = "gemini-3-flash".to_owned();
    let (body, dropped) = written(&request);
    assert_eq!((&body["generationConfig"], dropped.len()), (&by_schema, 0));
}

#[test]
fn cache_marks_are_named() {
    let mut part = Part::from(text("x"));
    part.cache = Json::parse("{}");
    let message = Message { role: Role::User, parts: vec![part] };
    assert_eq!(written(&asked("m", vec![message])).1, ["cache_control"]);
}

#[test]
fn a_callers_parameters_are_read_in_both_spellings() {
    let camel = json!({
        "contents": [{"parts": [{"text": "hi"}]}],
        "systemInstruction": {"parts": [{"text": "s"}]},
        "generationConfig": {
            "candidateCount": 2, "maxOutputTokens": 5, "temperature": 1, "topP": 0.5, "topK": 40.0,
            "stopSequences": ["x"], "seed": 3, "presencePenalty": 1, "frequencyPenalty": 1,
            "responseLogprobs": true, "logprobs": 2, "responseMimeType": "application/json",
            "responseSchema": {"type": "OBJECT"}, "thinkingConfig": {"thinkingBudget": 8},
            "responseModalities": ["TEXT"],
        },
        "safetySettings": [],
    });
    let (request, dropped) = read(camel.clone());
    assert!(dropped.is_empty(), "{dropped:?}");
    assert_eq!((request.choices, request.max_tokens, request.top_k), (Some(2), Some(5), Some(40)));
    assert_eq!((request.seed, request.logprobs, &*request.stop[0]), (Some(3), Some(2), "x"));
    assert_eq!(request.reasoning.unwrap().budget, Some(8));
    let Some(ResponseFormat::JsonSchema { schema, .. }) = &request.response_format else {
        panic!("{request:?}")
    };
    assert_eq!(schema.text(), r#"{"type":"object"}"#);
    let snake: String = camel.to_string();
    let snake = [
        ("systemInstruction", "system_instruction"),
        ("generationConfig", "generation_config"),
        ("candidateCount", "candidate_count"),
        ("maxOutputTokens", "max_output_tokens"),
        ("topP", "top_p"),
        ("topK", "top_k"),
        ("stopSequences", "stop_sequences"),
        ("presencePenalty", "presence_penalty"),
        ("frequencyPenalty", "frequency_penalty"),
        ("responseLogprobs", "response_logprobs"),
        ("responseMimeType", "response_mime_type"),
        ("responseSchema", "response_schema"),
        ("thinkingConfig", "thinking_config"),
        ("thinkingBudget", "thinking_budget"),
        ("responseModalities", "response_modalities"),
    ]
    .into_iter()
    .fold(snake, |text, (camel, snake)| text.replace(camel, snake));
    assert_eq!(read(serde_json::from_str(&snake).unwrap()).0, request);
}

#[test]
fn a_callers_tools_are_read_and_googles_own_are_named() {
    let declared = json!([
        {"name": "f", "description": "d", "parameters": {"type": "OBJECT", "properties": {}}},
        {"name": "g", "parametersJsonSchema": {"type": "object"}}]);
    let config = |mode: &str, names: Value| {
        let calling = json!({"mode": mode, "allowedFunctionNames": names});
        read(json!({
            "tools": [{"function_declarations": declared}, {"googleSearch": {}}],
            "toolConfig": {"functionCallingConfig": calling},
        }))
    };
    let (request, dropped) = config("ANY", json!(["g"]));
    assert_eq!(request.tool_choice, Some(ToolChoice::Named("g".to_owned())));
    assert_eq!(request.tools.len(), 2);
    let (only, _) = config("AUTO", json!(["g"]));
    assert_eq!((only.tools.len(), &*only.tools[0].name), (1, "g"));
    assert_eq!(dropped, ["tools.googleSearch"]);
    let (request, _) = config("VALIDATED", json!([]));
    assert_eq!(request.tool_choice, Some(ToolChoice::Auto));
    assert!(request.tools.iter().all(|tool| tool.strict == Some(true)));
    let schema = request.tools[0].parameters.as_ref().unwrap();
    assert_eq!(schema.text(), r#"{"properties":{},"type":"object"}"#);
    assert_eq!(config("NONE", json!(null)).0.tool_choice, Some(ToolChoice::None));
}

#[test]
fn what_nobody_else_has_is_named_and_held_content_is_refused() {
    let (_, dropped) = read(json!({
        "safetySettings": [{"category": "x"}], "labels": {"a": "b"},
        "generationConfig": {"speechConfig": {"a": 1}, "responseModalities": ["IMAGE"],
            "responseMimeType": "text/x.enum"},
        "toolConfig": {"retrievalConfig": {"a": 1}},
    }));
    assert_eq!(
        dropped,
        [
            "generationConfig.responseMimeType",
            "generationConfig.responseModalities",
            "generationConfig.speechConfig",
            "labels",
            "safetySettings",
            "toolConfig.retrievalConfig",
        ]
    );
    let body = br#"{"cachedContent": "cachedContents/x"}"#;
    let error = decode(body, &mut Dropped::default()).unwrap_err().to_string();
    assert!(error.contains("cachedContent"), "{error}");
}

#[test]
fn foreign_signatures_come_back_from_a_client_to_their_maker() {
    let claude = Signature::new(Signer::Anthropic, "sig");
    let (request, _) = read(json!({"contents": [{"role": "model", "parts": [
        {"text": "hm", "thought": true},
        {"text": "", "thought": true, "thoughtSignature": signature::write(&claude)},
        {"thought": true, "text": "", "thoughtSignature": signature::write_redacted("R")},
    ]}]}));
    let parts = &request.messages[0].parts;
    let thought = Content::Thinking { text: "hm".to_owned(), signature: Some(claude) };
    assert_eq!(parts[0].content, thought);
    assert_eq!(parts[1].content, Content::RedactedThinking("R".to_owned()));
}
