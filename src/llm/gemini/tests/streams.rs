//! Streams, from Gemini and for its clients.

use serde_json::{Value, json};

use super::super::encoder::Encoder;
use super::super::stream::Decoder;
use crate::llm::chat::{ChatEvent, Citation, FinishReason, Signature, Signer, TokenLogprob};
use crate::llm::codec::{EventDecoder as _, EventEncoder as _};
use crate::llm::error::{ApiError, ErrorKind};
use crate::llm::sse::Frame;
use crate::llm::stream::{StreamFault, StreamForm};
use crate::llm::translate::ResponseContext;
use crate::llm::usage::Usage;

fn frame(parts: Value) -> Value {
    json!({"candidates": [{"content": {"role": "model", "parts": parts}, "index": 0}]})
}

fn last(word: &str) -> Value {
    json!({"candidates": [{"finishReason": word, "index": 0}], "responseId": "R",
        "usageMetadata": {"promptTokenCount": 1, "candidatesTokenCount": 2}})
}

fn read(frames: &[Value]) -> Result<Vec<ChatEvent>, StreamFault> {
    let (mut decoder, mut events) = (Decoder::default(), Vec::new());
    for value in frames {
        let raw = format!("data: {value}\r\n\r\n");
        decoder.decode(&Frame::parse(raw.as_bytes()), &mut events)?;
    }
    decoder.finish(&mut events)?;
    Ok(events)
}

fn finish(reason: FinishReason) -> ChatEvent {
    ChatEvent::Finish { reason, stop_sequence: None }
}

#[test]
fn frames_become_events_and_the_end_comes_with_the_end_of_the_input() {
    let mut first = frame(json!([{"text": "hm", "thought": true}]));
    first["responseId"] = json!("R");
    first["modelVersion"] = json!("gemini-3");
    let frames = [
        first,
        frame(json!([{"text": "a"}, {"text": "", "thoughtSignature": "T"}])),
        frame(json!([{"functionCall": {"name": "f"}, "thoughtSignature": "S"}])),
        last("STOP"),
    ];
    let own = |value| Signature::new(Signer::Gemini, value);
    let call = ChatEvent::ToolCall { index: 0, id: "call_R_0".to_owned(), name: "f".to_owned() };
    let expected = vec![
        ChatEvent::Start { id: Some("R".to_owned()), model: Some("gemini-3".to_owned()) },
        ChatEvent::Thinking("hm".to_owned()),
        ChatEvent::Text("a".to_owned()),
        ChatEvent::PartSignature(own("T")),
        call,
        ChatEvent::Arguments { index: 0, json: "{}".to_owned() },
        ChatEvent::PartSignature(own("S")),
        ChatEvent::Usage(Usage { input: 1, output: 2, ..Usage::default() }),
        finish(FinishReason::ToolCalls),
        ChatEvent::End,
    ];
    assert_eq!(read(&frames).unwrap(), expected);
}

#[test]
fn a_stream_without_a_reason_to_stop_has_no_end() {
    let events = read(&[frame(json!([{"text": "a"}]))]).unwrap();
    assert!(!events.contains(&ChatEvent::End));
    assert!(read(&[]).unwrap().is_empty());
}

#[test]
fn a_reason_to_stop_in_every_frame_ends_nothing_early() {
    let piece = |text: &str| {
        let mut piece = frame(json!([{"text": text}]));
        piece["candidates"][0]["finishReason"] = json!("STOP");
        piece
    };
    let events = read(&[piece("a"), piece("b")]).unwrap();
    let expected = [
        ChatEvent::Start { id: None, model: None },
        ChatEvent::Text("a".to_owned()),
        ChatEvent::Text("b".to_owned()),
        finish(FinishReason::Stop),
        ChatEvent::End,
    ];
    assert_eq!(events, expected);
}

#[test]
fn a_blocked_prompt_is_a_filtered_answer() {
    let events = read(&[json!({"promptFeedback": {"blockReason": "PROHIBITED_CONTENT"}})]).unwrap();
    assert_eq!(events[1..], [finish(FinishReason::ContentFilter), ChatEvent::End]);
}

#[test]
fn errors_and_failures_of_the_model_are_faults() {
    let error = json!({"error": {"code": 503, "message": "m", "status": "UNAVAILABLE"}});
    for frames in [vec![error.clone()], vec![json!([error])]] {
        assert!(matches!(read(&frames), Err(StreamFault::Upstream(_))));
    }
    let failed = [last("MALFORMED_FUNCTION_CALL")];
    assert!(matches!(read(&failed), Err(StreamFault::Malformed(_))));
    for before in
        [json!({"text": ""}), json!({"text": "hm", "thought": true}), json!({"text": "a"})]
    {
        let late = [frame(json!([before])), last("MALFORMED_FUNCTION_CALL")];
        assert!(matches!(read(&late), Err(StreamFault::Malformed(_))), "{before}");
    }
}

#[test]
fn a_failure_of_the_model_ends_no_call_and_tells_what_it_cost() {
    let call = json!([{"functionCall": {"name": "f", "willContinue": true}}]);
    let frames = [frame(call), last("MALFORMED_FUNCTION_CALL")];
    let (mut decoder, mut events) = (Decoder::default(), Vec::new());
    let decoded = frames.map(|value| {
        let raw = format!("data: {value}\r\n\r\n");
        decoder.decode(&Frame::parse(raw.as_bytes()), &mut events)
    });
    assert!(matches!(decoded, [Ok(()), Err(StreamFault::Malformed(_))]));
    assert!(!events.iter().any(|event| matches!(event, ChatEvent::Arguments { .. })));
    let usage = Usage { input: 1, output: 2, ..Usage::default() };
    assert_eq!(events.last(), Some(&ChatEvent::Usage(usage)));
}

#[test]
fn candidates_interleave() {
    let piece = |index: u32, text: &str| {
        let content = json!({"parts": [{"text": text}]});
        json!({"candidates": [{"index": index, "content": content, "finishReason": "STOP"}]})
    };
    let events = read(&[piece(0, "a"), piece(1, "b"), piece(0, "c")]).unwrap();
    let texts = |events: &[ChatEvent]| {
        let mut choices = vec![String::new(); 2];
        let mut current = 0;
        for event in events {
            match event {
                ChatEvent::Choice(index) => current = *index as usize,
                ChatEvent::Text(text) => choices[current].push_str(text),
                _ => {}
            }
        }
        choices
    };
    assert_eq!(texts(&events), ["ac", "b"]);
    assert_eq!(events.iter().filter(|event| matches!(event, ChatEvent::Finish { .. })).count(), 2);
}

#[test]
fn streamed_arguments_are_put_together_even_where_their_end_is_missing() {
    let piece = |call: Value| frame(json!([{"functionCall": call}]));
    let arg = json!([{"jsonPath": "$.city", "stringValue": "Oslo"}]);
    let open = [
        piece(json!({"name": "f", "willContinue": true})),
        piece(json!({"partialArgs": arg, "willContinue": true})),
    ];
    for closing in [vec![piece(json!({})), last("STOP")], vec![last("STOP")]] {
        let events = read(&[open.to_vec(), closing].concat()).unwrap();
        let json = r#"{"city":"Oslo"}"#.to_owned();
        let arguments: Vec<_> =
            events.iter().filter(|event| matches!(event, ChatEvent::Arguments { .. })).collect();
        assert_eq!(arguments, [&ChatEvent::Arguments { index: 0, json }]);
        assert!(events.contains(&finish(FinishReason::ToolCalls)));
    }
}

#[test]
fn sources_found_again_are_told_once_and_in_characters() {
    let grounding = json!({"groundingChunks": [{"web": {"uri": "u"}}],
        "groundingSupports": [{"segment": {"startIndex": 2, "endIndex": 4},
            "groundingChunkIndices": [0]}]});
    let mut piece = frame(json!([{"text": "é x"}]));
    piece["candidates"][0]["groundingMetadata"] = grounding.clone();
    let mut end = last("STOP");
    end["candidates"][0]["groundingMetadata"] = grounding;
    let events = read(&[piece, end]).unwrap();
    let citations: Vec<_> =
        events.iter().filter(|event| matches!(event, ChatEvent::Citation(_))).collect();
    let citation =
        Citation { url: Some("u".to_owned()), span: Some((1, 3)), ..Citation::default() };
    assert_eq!(citations, [&ChatEvent::Citation(citation)]);
}

fn write(form: StreamForm, events: &[ChatEvent]) -> String {
    let context = ResponseContext {
        model: "m".to_owned(),
        request_id: "r".to_owned(),
        form,
        ..ResponseContext::default()
    };
    let (mut encoder, mut out) = (Encoder::new(&context), Vec::new());
    for event in events {
        encoder.encode(event, &mut out).unwrap();
    }
    String::from_utf8(out).unwrap()
}

fn frames(stream: &str) -> Vec<Value> {
    stream
        .split_terminator("\r\n\r\n")
        .map(|frame| serde_json::from_str(&frame[6..]).unwrap())
        .collect()
}

/// What any provider says.
fn said() -> Vec<ChatEvent> {
    let call = |index, name: &str| ChatEvent::ToolCall {
        index,
        id: format!("c{index}"),
        name: name.to_owned(),
    };
    let arguments = |index, json: &str| ChatEvent::Arguments { index, json: json.to_owned() };
    vec![
        ChatEvent::Start { id: Some("R".to_owned()), model: None },
        ChatEvent::Thinking("hm".to_owned()),
        ChatEvent::Signature(Signature::new(Signer::Anthropic, "sig")),
        ChatEvent::RedactedThinking("x".to_owned()),
        ChatEvent::Text("é x".to_owned()),
        ChatEvent::Citation(Citation {
            url: Some("u".to_owned()),
            span: Some((2, 3)),
            ..Citation::default()
        }),
        ChatEvent::Logprobs(vec![TokenLogprob {
            token: "é".to_owned(),
            logprob: -1.0,
            top: vec![],
        }]),
        call(0, "f"),
        arguments(0, "{\"a\":"),
        call(1, "g"),
        arguments(1, ""),
        arguments(0, "1}"),
        finish(FinishReason::ToolCalls),
        ChatEvent::Usage(Usage { input: 5, output: 4, reasoning: 1, ..Usage::default() }),
        ChatEvent::End,
    ]
}

#[test]
fn events_become_frames_with_whole_calls_and_the_rest_at_once() {
    let frames = frames(&write(StreamForm::Sse, &said()));
    let parts: Vec<&Value> =
        frames.iter().map(|frame| &frame["candidates"][0]["content"]["parts"][0]).collect();
    assert_eq!(parts[0], &json!({"text": "hm", "thought": true}));
    assert_eq!(parts[3]["text"], "é x");
    assert_eq!(frames[4]["candidates"][0]["logprobsResult"]["chosenCandidates"][0]["token"], "é");
    assert_eq!(parts[5]["functionCall"], json!({"id": "c0", "name": "f", "args": {"a": 1}}));
    assert_eq!(parts[6]["functionCall"], json!({"id": "c1", "name": "g", "args": {}}));
    let end = &frames[7];
    assert_eq!((frames.len(), &end["candidates"][0]["finishReason"]), (8, &json!("STOP")));
    assert_eq!(end["usageMetadata"]["candidatesTokenCount"], 3);
    let support = &end["candidates"][0]["groundingMetadata"]["groundingSupports"][0]["segment"];
    assert_eq!(support["startIndex"], 3);
    assert!(frames.iter().all(|frame| frame["responseId"] == "R" && frame["modelVersion"] == "m"));
}

#[test]
fn the_array_has_the_same_elements() {
    let array: Vec<Value> = serde_json::from_str(&write(StreamForm::JsonArray, &said())).unwrap();
    assert_eq!(array, frames(&write(StreamForm::Sse, &said())));
}

#[test]
fn what_is_written_is_read_again() {
    let events = read(&frames(&write(StreamForm::Sse, &said()))).unwrap();
    let kept = |event: &&ChatEvent| {
        !matches!(
            event,
            ChatEvent::Start { .. }
                | ChatEvent::Arguments { .. }
                | ChatEvent::Citation(_)
                | ChatEvent::Usage(_)
        )
    };
    let (before, after) = (said(), events);
    let (before, after): (Vec<_>, Vec<_>) =
        (before.iter().filter(kept).collect(), after.iter().filter(kept).collect());
    assert_eq!(before, after);
}

#[test]
fn a_block_that_ends_lets_its_call_go_and_signatures_stay_beside_it() {
    let own = Signature::new(Signer::Gemini, "S");
    let events = [
        ChatEvent::ToolCall { index: 0, id: "c".to_owned(), name: "f".to_owned() },
        ChatEvent::Arguments { index: 0, json: "{}".to_owned() },
        ChatEvent::PartSignature(own),
        ChatEvent::CallEnd(0),
    ];
    let frames = frames(&write(StreamForm::Sse, &events));
    let part = &frames[0]["candidates"][0]["content"]["parts"][0];
    assert_eq!((frames.len(), &part["thoughtSignature"]), (1, &json!("S")));
}

#[test]
fn an_error_breaks_the_stream_off_in_either_form() {
    let error = ApiError::new(http::StatusCode::BAD_GATEWAY, ErrorKind::Upstream, "c", "broken");
    for form in [StreamForm::Sse, StreamForm::JsonArray] {
        let context = ResponseContext { form, ..ResponseContext::default() };
        let (mut encoder, mut out) = (Encoder::new(&context), Vec::new());
        encoder.encode(&ChatEvent::Text("a".to_owned()), &mut out).unwrap();
        encoder.fail(&error, &mut out);
        let text = String::from_utf8(out).unwrap();
        let frames: Vec<Value> = match form {
            StreamForm::Sse => frames(&text),
            StreamForm::JsonArray => serde_json::from_str(&text).unwrap(),
        };
        assert_eq!((frames.len(), &frames[1]["error"]["message"]), (2, &json!("broken")));
    }
}
