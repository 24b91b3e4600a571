//! What every dialect can express survives being written and read again.

use proptest::prelude::*;

use super::*;
use crate::llm::chat::{
    Choice, Content, Effort, FinishReason, Json, Message, Part, Reasoning, ResponseFormat, Role,
    Signature, Signer, Source, Tool, ToolChoice,
};
use crate::llm::usage::Usage;

#[test]
fn ids_are_kept_where_they_fit_and_stay_distinct_where_not() {
    assert_eq!(safe_id("toolu_01-a", 40), "toolu_01-a");
    let (dot, colon) = (safe_id("a.b", 40), safe_id("a:b", 40));
    assert_ne!(dot, colon);
    assert!(dot.starts_with("a_b_"));
    assert_eq!(dot, safe_id("a.b", 40));
    assert!(safe_id(&"x".repeat(90), 40).len() <= 40);
    assert!(!safe_id("", 40).is_empty());
}

fn text() -> impl Strategy<Value = String> {
    "[a-zé🦀\"\\\\<]{1,8}"
}

fn image() -> impl Strategy<Value = Content> {
    prop_oneof![
        "[a-z]{1,5}".prop_map(|path| Source::Url(format!("https://x.test/{path}"))),
        "[A-Z]{4}".prop_map(|data| Source::Base64 { media_type: "image/png".to_owned(), data }),
    ]
    .prop_map(|source| Content::Image { source, detail: None })
}

fn parts(content: impl Strategy<Value = Content>) -> impl Strategy<Value = Vec<Part>> {
    prop::collection::vec(content.prop_map(Part::from), 1..3)
}

fn said() -> impl Strategy<Value = Vec<Part>> {
    parts(prop_oneof![text().prop_map(Content::Text), image()])
}

fn arguments() -> impl Strategy<Value = String> {
    prop_oneof![Just("{}".to_owned()), (0..99).prop_map(|n| format!(r#"{{"z":{n},"a":[]}}"#))]
}

/// A turn of the model and what the user says to it: first the results of its calls.
fn exchange() -> impl Strategy<Value = Vec<Message>> {
    let calls = prop::collection::vec((text(), arguments()), 0..3);
    (any::<u32>(), prop::option::of(text()), calls, said()).prop_map(|(n, text, calls, said)| {
        let mut assistant: Vec<Part> =
            text.into_iter().map(|text| Content::Text(text).into()).collect();
        let mut user: Vec<Part> = Vec::new();
        for (at, (name, arguments)) in calls.into_iter().enumerate() {
            let call_id = format!("call_{n}_{at}");
            let parts = vec![Content::Text(name.clone()).into()];
            assistant.push(Content::ToolCall { id: call_id.clone(), name, arguments }.into());
            user.push(Content::ToolResult { call_id, parts, is_error: false }.into());
        }
        if assistant.is_empty() {
            assistant.push(Content::Text("ok".to_owned()).into());
        }
        user.extend(said);
        vec![
            Message { role: Role::Assistant, parts: assistant },
            Message { role: Role::User, parts: user },
        ]
    })
}

fn tool() -> impl Strategy<Value = Tool> {
    (text(), prop::option::of(text()), prop::option::of(any::<bool>())).prop_map(
        |(name, description, strict)| Tool {
            name,
            description,
            parameters: Json::parse(r#"{"type":"object","properties":{"b":{},"a":{}}}"#),
            strict,
            cache: None,
        },
    )
}

fn choice() -> impl Strategy<Value = ToolChoice> {
    prop_oneof![
        Just(ToolChoice::Auto),
        Just(ToolChoice::Required),
        text().prop_map(ToolChoice::Named),
    ]
}

/// Parameters with no conversation yet.
fn parameters() -> impl Strategy<Value = ChatRequest> {
    let sampling = (prop::option::of(0..=16_u8), prop::option::of(1..=16_u8));
    let tools = (tool(), prop::option::of(choice()), any::<bool>());
    let format = prop::option::of(Just(()));
    let stop = prop::collection::vec(text(), 0..4);
    (sampling, prop::option::of(tools), format, stop, prop::option::of(text()), any::<bool>())
        .prop_map(|((temperature, top_p), tools, format, stop, user, stream)| {
            let mut request = ChatRequest {
                max_tokens: Some(100),
                temperature: temperature.map(|n| f64::from(n) / 16.0),
                top_p: top_p.map(|n| f64::from(n) / 16.0),
                stop,
                user,
                stream,
                ..ChatRequest::default()
            };
            request.response_format = format.and_then(|()| {
                let schema = Json::parse(r#"{"type":"object","additionalProperties":false}"#)?;
                Some(ResponseFormat::JsonSchema { name: None, schema, strict: None })
            });
            if let Some((tool, choice, one_call)) = tools {
                request.tools = vec![tool];
                request.tool_choice = choice;
                if one_call {
                    request.tool_choice.get_or_insert(ToolChoice::Auto);
                    request.parallel_tool_calls = Some(false);
                }
            }
            request
        })
}

fn request() -> impl Strategy<Value = ChatRequest> {
    let exchanges = prop::collection::vec(exchange(), 0..3);
    (parameters(), prop::option::of(text()), said(), exchanges).prop_map(
        |(mut request, system, first, exchanges)| {
            request.system = system.into_iter().map(|text| Content::Text(text).into()).collect();
            request.messages = vec![Message { role: Role::User, parts: first }];
            request.messages.extend(exchanges.into_iter().flatten());
            request
        },
    )
}

/// The same request, whatever a dialect had to cut apart or to name.
fn normal(mut request: ChatRequest) -> ChatRequest {
    let mut merged: Vec<Message> = Vec::new();
    for message in request.messages.drain(..) {
        match merged.last_mut() {
            Some(last) if last.role == message.role => last.parts.extend(message.parts),
            _ => merged.push(message),
        }
    }
    request.messages = merged;
    if let Some(ResponseFormat::JsonSchema { name, .. }) = &mut request.response_format {
        *name = None;
    }
    request
}

/// What a dialect has no words for is left out beforehand: that it is named is tested elsewhere.
fn expressible(dialect: Dialect, mut request: ChatRequest) -> ChatRequest {
    if dialect == Dialect::Gemini {
        // The path says whether to stream.
        (request.user, request.parallel_tool_calls, request.stream) = (None, None, false);
        if !request.tools.is_empty() {
            request.response_format = None;
        }
        request.tools.iter_mut().for_each(|tool| tool.strict = None);
    }
    if dialect == Dialect::Responses {
        request.stop.clear();
        for tool in &mut request.tools {
            // Absent means another thing there.
            tool.strict.get_or_insert(false);
        }
    }
    if dialect == Dialect::Bedrock {
        "anthropic.claude-sonnet-4-5-20250929-v1:0".clone_into(&mut request.model);
        // Claude takes one of the two, and the path says what streams.
        request.top_p = request.top_p.filter(|_| request.temperature.is_none());
        request.stream = false;
        request.user = request.user.map(|user| safe_id(&user, 64));
        for tool in &mut request.tools {
            (tool.name, tool.strict) = (safe_id(&tool.name, 64), None);
        }
        if let Some(ToolChoice::Named(name)) = &mut request.tool_choice {
            *name = safe_id(name, 64);
        }
        for part in request.messages.iter_mut().flat_map(|message| &mut message.parts) {
            match &mut part.content {
                Content::ToolCall { name, .. } => *name = safe_id(name, 64),
                Content::Image { source, .. } => {
                    let (media_type, data) = ("image/png".to_owned(), "AAAA".to_owned());
                    *source = Source::Base64 { media_type, data };
                }
                _ => {}
            }
        }
    }
    request
}

/// A history without tools gets stubs from Anthropic's encoder; that is not a round trip.
fn is_expressible(request: &ChatRequest) -> bool {
    let called = |part: &Part| matches!(part.content, Content::ToolCall { .. });
    !request.tools.is_empty()
        || !request.messages.iter().flat_map(|message| &message.parts).any(called)
}

fn response() -> impl Strategy<Value = ChatResponse> {
    let thinking = prop::option::of((text(), text()));
    let calls = prop::collection::vec((text(), arguments()), 0..3);
    let counts = (0..50_u64, 0..50_u64, 0..50_u64, 0..50_u64, 0..50_u64);
    (thinking, prop::option::of(text()), calls, counts, any::<bool>()).prop_map(
        |(thinking, text, calls, (fresh, cached_input, cache_write, said, reasoning), cut)| {
            let mut parts: Vec<Part> = Vec::new();
            if let Some((text, signature)) = thinking {
                let signature = Some(Signature::new(Signer::Anthropic, signature));
                parts.push(Content::Thinking { text, signature }.into());
            }
            parts.extend(text.map(|text| Part::from(Content::Text(text))));
            let finish_reason = match (calls.is_empty(), cut) {
                (false, _) => FinishReason::ToolCalls,
                (true, true) => FinishReason::Length,
                (true, false) => FinishReason::Stop,
            };
            for (at, (name, arguments)) in calls.into_iter().enumerate() {
                let call = Content::ToolCall { id: format!("c_{at}"), name, arguments };
                let signature = (at == 0 && cut).then(|| Signature::new(Signer::Gemini, "g"));
                parts.push(Part { signature, ..call.into() });
            }
            ChatResponse {
                id: Some("msg_1".to_owned()),
                model: Some("m".to_owned()),
                choices: vec![Choice {
                    parts,
                    finish_reason: Some(finish_reason),
                    ..Choice::default()
                }],
                usage: Some(Usage {
                    input: fresh + cached_input + cache_write,
                    output: said + reasoning,
                    cached_input,
                    cache_write,
                    reasoning,
                    ..Usage::default()
                }),
            }
        },
    )
}

proptest! {
    #[test]
    fn requests_survive_every_dialect(request in request().prop_filter("tools", is_expressible)) {
        for dialect in [Dialect::OpenAi, Dialect::Anthropic, Dialect::Gemini, Dialect::Responses, Dialect::Bedrock] {
            let request = expressible(dialect, request.clone());
            let (codec, mut dropped) = (codec(dialect), Dropped::default());
            let wire = codec.encode_request(&request, &mut dropped).unwrap();
            let mut again = codec.decode_request(&wire, &mut dropped).unwrap();
            again.model.clone_from(&request.model);
            prop_assert_eq!(normal(again), normal(request.clone()), "{:?}", dialect);
            prop_assert_eq!(dropped, Dropped::default());
        }
    }

    #[test]
    fn what_only_openai_can_ask_for_survives_it(
        (choices, seed, logprobs) in (2..9_u32, any::<i64>(), prop::option::of(0..20_u32)),
        (frequency, presence, effort) in (1..8_i8, -8..0_i8, 0..5_usize),
    ) {
        let effort = Effort::ALL.get(effort).copied();
        let request = ChatRequest {
            choices: Some(choices),
            seed: Some(seed),
            logprobs,
            frequency_penalty: Some(f64::from(frequency) / 4.0),
            presence_penalty: Some(f64::from(presence) / 4.0),
            reasoning: Some(Reasoning { effort, ..Reasoning::default() }),
            model: "gpt-5.1".to_owned(),
            ..ChatRequest::default()
        };
        let (codec, mut dropped) = (codec(Dialect::OpenAi), Dropped::default());
        let wire = codec.encode_request(&request, &mut dropped).unwrap();
        let again = codec.decode_request(&wire, &mut dropped).unwrap();
        let reasons = effort != Some(Effort::None);
        prop_assert_eq!((again.choices, again.seed), (Some(choices), Some(seed)));
        // Of the levels, `minimal` is not one of this model's.
        if effort != Some(Effort::Minimal) {
            prop_assert_eq!(again.reasoning, request.reasoning);
        }
        match reasons {
            true => prop_assert!(dropped.into_names().contains(&"presence_penalty".to_owned())),
            false => {
                prop_assert_eq!(again.frequency_penalty, request.frequency_penalty);
                prop_assert_eq!(again.presence_penalty, request.presence_penalty);
                prop_assert_eq!(again.logprobs, logprobs);
            }
        }
    }

    #[test]
    fn answers_survive_every_dialect(response in response()) {
        for dialect in [Dialect::OpenAi, Dialect::Anthropic, Dialect::Gemini, Dialect::Responses, Dialect::Bedrock] {
            let mut response = response.clone();
            if let (Dialect::Gemini, Some(usage)) = (dialect, &mut response.usage) {
                usage.cache_write = 0;
            }
            if let (Dialect::Bedrock, Some(usage)) = (dialect, &mut response.usage) {
                usage.reasoning = 0;
                (response.id, response.model) = (None, None);
                let parts = response.choices.iter_mut().flat_map(|choice| &mut choice.parts);
                // No caller speaks it, so nothing of Gemini's ever goes that way.
                parts.for_each(|part| part.signature = None);
            }
            let codec = codec(dialect);
            let wire = codec.encode_response(&response, &ResponseContext::default());
            let again = codec.decode_response(&wire).unwrap();
            // Whole answers are written with sorted members; arguments mean the same.
            prop_assert_eq!(sorted(again), sorted(response.clone()), "{:?}", dialect);
        }
    }
}

fn sorted(mut response: ChatResponse) -> ChatResponse {
    // Some dialects prefix ids with what they name.
    response.id = response.id.map(|id| id.trim_start_matches("resp_").to_owned());
    for part in response.choices.iter_mut().flat_map(|choice| &mut choice.parts) {
        if let Content::ToolCall { arguments, .. } = &mut part.content {
            let value: serde_json::Value = serde_json::from_str(arguments).unwrap();
            *arguments = value.to_string();
        }
    }
    response
}

#[test]
fn an_empty_object_that_switches_something_on_is_named() {
    let body = br#"{"model":"m","messages":[{"role":"user","content":"q"}],"web_search_options":{},"metadata":{ },"logit_bias":{},"store":false}"#;
    let mut dropped = Dropped::default();
    codec(Dialect::OpenAi).decode_request(body, &mut dropped).unwrap();
    assert_eq!(dropped.into_names(), ["web_search_options"]);
    let body = br#"{"model":"m","input":"q","text":{},"moderation":{}}"#;
    let mut dropped = Dropped::default();
    codec(Dialect::Responses).decode_request(body, &mut dropped).unwrap();
    assert_eq!(dropped.into_names(), ["moderation"]);
}

#[test]
fn what_has_no_place_inside_tools_formats_and_documents_is_named() {
    let tool = r#"{"name":"f","input_schema":{"type":"object"}"#;
    let document = r#"{"type":"document","title":"T","source":{"type":"text","media_type":"text/plain","data":"a"}}"#;
    let messages = |block: &str| format!(r#""messages":[{{"role":"user","content":[{block}]}}]"#);
    let said = messages(r#"{"type":"text","text":"q"}"#);
    let contents = r#""contents":[{"parts":[{"text":"q"}]}]"#;
    for (dialect, body, named) in [
        (
            Dialect::Anthropic,
            format!(
                r#"{{{said},"tools":[{tool},"input_examples":[{{}}],"defer_loading":true,"allowed_callers":["code_execution_20250825"]}}]}}"#
            ),
            "tools.allowed_callers tools.defer_loading tools.input_examples",
        ),
        (
            Dialect::Anthropic,
            format!(
                r#"{{{said},"tools":[{tool},"input_examples":[],"defer_loading":false,"allowed_callers":["direct"]}}]}}"#
            ),
            "",
        ),
        (Dialect::Anthropic, format!("{{{}}}", messages(document)), "document.title"),
        (
            Dialect::Gemini,
            format!(
                r#"{{{contents},"tools":[{{"functionDeclarations":[{{"name":"f","behavior":"NON_BLOCKING","response":{{}}}}]}}]}}"#
            ),
            "tools.functionDeclarations.behavior tools.functionDeclarations.response",
        ),
    ] {
        // Every dialect but the two that know titles of documents.
        for target in [
            Dialect::OpenAi,
            Dialect::Gemini,
            Dialect::Responses,
            Dialect::Mistral,
            Dialect::Cohere,
            Dialect::Ollama,
        ] {
            let mut dropped = Dropped::default();
            let request = codec(dialect).decode_request(body.as_bytes(), &mut dropped).unwrap();
            codec(target).encode_request(&request, &mut dropped).unwrap();
            assert_eq!(dropped.into_names().join(" "), named, "{dialect:?} to {target:?}");
        }
    }
}

#[test]
fn what_a_schema_is_for_reaches_every_dialect() {
    let schema = r#"{"name":"s","schema":{"type":"object","description":"own"},"description":"d"}"#;
    let chat = format!(
        r#"{{"messages":[{{"role":"user","content":"q"}}],"response_format":{{"type":"json_schema","json_schema":{schema}}}}}"#
    );
    let response = format!(
        r#"{{"input":"q","text":{{"format":{{"type":"json_schema",{}}}}}"#,
        schema.trim_start_matches('{')
    );
    for (from, body) in [(Dialect::OpenAi, chat), (Dialect::Responses, response)] {
        for to in [
            Dialect::OpenAi,
            Dialect::Responses,
            Dialect::Gemini,
            Dialect::Mistral,
            Dialect::Ollama,
        ] {
            let mut dropped = Dropped::default();
            let request = codec(from).decode_request(body.as_bytes(), &mut dropped).unwrap();
            let bytes = codec(to).encode_request(&request, &mut dropped).unwrap();
            let text = String::from_utf8(bytes.to_vec()).unwrap();
            assert!(text.contains(r"d\n\nown"), "{from:?} to {to:?}: {text}");
            assert_eq!(dropped.into_names(), [""; 0], "{from:?} to {to:?}");
        }
    }
}
