//! What every dialect can express survives being written and read again.

use proptest::prelude::*;

use super::*;
use crate::llm::chat::{
    Content, FinishReason, Json, Message, Part, ResponseFormat, Role, Source, Tool, ToolChoice,
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
                parts.push(Content::Thinking { text, signature: Some(signature) }.into());
            }
            parts.extend(text.map(|text| Part::from(Content::Text(text))));
            let finish_reason = match (calls.is_empty(), cut) {
                (false, _) => FinishReason::ToolCalls,
                (true, true) => FinishReason::Length,
                (true, false) => FinishReason::Stop,
            };
            for (at, (name, arguments)) in calls.into_iter().enumerate() {
                parts.push(Content::ToolCall { id: format!("c_{at}"), name, arguments }.into());
            }
            ChatResponse {
                id: Some("msg_1".to_owned()),
                model: Some("m".to_owned()),
                parts,
                finish_reason: Some(finish_reason),
                stop_sequence: None,
                usage: Some(Usage {
                    input: fresh + cached_input + cache_write,
                    output: said + reasoning,
                    cached_input,
                    cache_write,
                    reasoning,
                }),
            }
        },
    )
}

proptest! {
    #[test]
    fn requests_survive_every_dialect(request in request().prop_filter("tools", is_expressible)) {
        for dialect in [Dialect::OpenAi, Dialect::Anthropic] {
            let (codec, mut dropped) = (codec(dialect), Dropped::default());
            let wire = codec.encode_request(&request, &mut dropped).unwrap();
            let again = codec.decode_request(&wire, &mut dropped).unwrap();
            prop_assert_eq!(normal(again), normal(request.clone()), "{:?}", dialect);
            prop_assert_eq!(dropped, Dropped::default());
        }
    }

    #[test]
    fn answers_survive_every_dialect(response in response()) {
        for dialect in [Dialect::OpenAi, Dialect::Anthropic] {
            let codec = codec(dialect);
            let wire = codec.encode_response(&response, &ResponseContext::default());
            let again = codec.decode_response(&wire).unwrap();
            // Whole answers are written with sorted members; arguments mean the same.
            prop_assert_eq!(sorted(again), sorted(response.clone()), "{:?}", dialect);
        }
    }
}

fn sorted(mut response: ChatResponse) -> ChatResponse {
    for part in &mut response.parts {
        if let Content::ToolCall { arguments, .. } = &mut part.content {
            let value: serde_json::Value = serde_json::from_str(arguments).unwrap();
            *arguments = value.to_string();
        }
    }
    response
}
