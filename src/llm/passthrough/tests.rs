//! Passing through: what is forwarded, stripped, metered and refused, whatever the cuts.

use super::*;
use crate::llm::chat::FinishReason;
use crate::llm::crossing;
use crate::llm::error::ErrorKind;
use crate::llm::translate::ResponseContext;
use crate::llm::usage::Usage;

const TEXT: &str = concat!(
    ": hello\n\n",
    "data: {\"choices\":[],\"model\":\"\",\"prompt_filter_results\":[]}\n\n",
    "data: {\"model\":\"m-1\",\"choices\":[{\"index\":0,\"delta\":{\"role\":\"assistant\",\"content\":\"\"}}],\"usage\":null}\n\n",
    "data: {\"model\":\"m-1\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"Gr\u{fc}\u{df}e\"}}],\"usage\":null}\r\n\r\n",
    "data: {\"model\":\"m-1\",\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}],\"usage\":null}\n\n",
    "data: {\"model\":\"m-1\",\"choices\":[],\"usage\":{\"prompt_tokens\":9,\"completion_tokens\":0,\"total_tokens\":9}}\n\n",
    "data: [DONE]\n\n",
);

fn run(
    mut stream: Box<dyn StreamTranslator>,
    pieces: &[&[u8]],
) -> (Vec<u8>, Result<(), StreamFault>, Progress) {
    let mut out = Vec::new();
    let mut result = Ok(());
    for piece in pieces {
        result = result.and_then(|()| stream.push(Bytes::copy_from_slice(piece), &mut out));
    }
    result = result.and_then(|()| stream.finish(&mut out));
    (out.concat(), result, stream.progress().clone())
}

fn openai(strip: bool) -> Box<dyn StreamTranslator> {
    stream(Dialect::OpenAi, strip, Quirks::NONE, StreamForm::Sse)
}

#[test]
fn bytes_are_untouched_when_the_client_asked_for_usage() {
    let (out, result, progress) = run(openai(false), &[TEXT.as_bytes()]);
    assert_eq!((out.as_slice(), result), (TEXT.as_bytes(), Ok(())));
    let expected = Usage { input: 9, ..Usage::default() };
    assert_eq!(progress.usage, Some(expected), "zero output is not absent usage");
    assert_eq!(progress.model.as_deref(), Some("m-1"));
    assert_eq!(progress.finish_reason, Some(FinishReason::Stop));
    assert_eq!((progress.output_bytes, progress.terminated, progress.frames), (7, true, 7));
}

#[test]
fn only_the_usage_chunk_is_stripped_at_every_cut() {
    let start = TEXT.find("data: {\"model\":\"m-1\",\"choices\":[],").unwrap();
    let usage_chunk = &TEXT[start..TEXT.find("data: [DONE]").unwrap()];
    let expected = TEXT.replace(usage_chunk, "");
    assert_ne!(expected, TEXT);
    for cut in 0..=TEXT.len() {
        let (head, tail) = TEXT.as_bytes().split_at(cut);
        let (out, result, progress) = run(openai(true), &[head, tail]);
        assert_eq!(String::from_utf8_lossy(&out), expected, "cut at {cut}");
        assert_eq!(result, Ok(()));
        assert!(progress.usage.is_some());
    }
    let single: Vec<&[u8]> = TEXT.as_bytes().chunks(1).collect();
    assert_eq!(String::from_utf8_lossy(&run(openai(true), &single).0), expected);
}

#[test]
fn whole_frames_are_forwarded_without_a_copy() {
    let mut stream = openai(false);
    let chunk = Bytes::from_static(b"data: {\"choices\":[{\"delta\":{\"content\":\"a\"}}]}\n\n");
    let mut out = Vec::new();
    stream.push(chunk.clone(), &mut out).unwrap();
    assert_eq!(out[0].as_ptr(), chunk.as_ptr());
    assert!(stream.progress().content);
}

#[test]
fn usage_beside_choices_is_read_and_forwarded() {
    let text = "data: {\"choices\":[{\"delta\":{\"content\":\"x\"}}],\"x_groq\":{\"usage\":{\"prompt_tokens\":1,\"completion_tokens\":2}}}\n\ndata: [DONE]";
    let (out, result, progress) = run(openai(true), &[text.as_bytes()]);
    assert_eq!(
        String::from_utf8_lossy(&out),
        format!("{text}\n\n"),
        "a missing blank line is added"
    );
    assert_eq!(result, Ok(()));
    assert_eq!(progress.usage.map(|usage| usage.total()), Some(3));
}

#[test]
fn an_error_chunk_is_a_fault_and_is_not_forwarded() {
    let good = "data: {\"choices\":[{\"delta\":{\"content\":\"x\"}}]}\n\n";
    let text = format!(
        "{good}data: {{\"error\":{{\"message\":\"boom\",\"type\":\"server_error\",\"code\":500}}}}\n\n"
    );
    let (out, result, _) = run(openai(false), &[text.as_bytes()]);
    assert_eq!(String::from_utf8_lossy(&out), good);
    let Err(StreamFault::Upstream(error)) = result else { panic!("{result:?}") };
    assert_eq!((error.status.as_u16(), error.message.as_str()), (500, "boom"));
}

#[test]
fn an_error_in_a_choice_is_a_fault_that_tells_what_it_cost() {
    let good = "data: {\"choices\":[{\"delta\":{\"content\":\"x\"}}]}\n\n";
    let text = format!(
        "{good}data: {{\"choices\":[{{\"index\":0,\"delta\":{{\"content\":\"\"}},\"finish_reason\":\"error\",\"error\":{{\"code\":503,\"message\":\"died\"}}}}],\"usage\":{{\"prompt_tokens\":4,\"completion_tokens\":1}}}}\n\ndata: [DONE]\n\n"
    );
    let (out, result, progress) = run(openai(false), &[text.as_bytes()]);
    assert_eq!(String::from_utf8_lossy(&out), good);
    let Err(StreamFault::Upstream(error)) = result else { panic!("{result:?}") };
    assert_eq!((error.status.as_u16(), error.message.as_str()), (503, "died"));
    assert_eq!(progress.usage.map(|usage| usage.total()), Some(5));
}

#[test]
fn an_answer_whose_choice_failed_is_an_error() {
    for content in ["", "partial"] {
        let body = format!(
            "{{\"id\":\"x\",\"choices\":[{{\"index\":0,\"message\":{{\"role\":\"assistant\",\"content\":\"{content}\"}},\"finish_reason\":\"error\",\"error\":{{\"code\":502,\"message\":\"died\"}}}}]}}"
        );
        let body = Bytes::from(body);
        let whole = [
            response(Dialect::OpenAi, Quirks::NONE, &body),
            crossing::response(
                Dialect::Anthropic,
                Dialect::OpenAi,
                &body,
                &ResponseContext::default(),
            ),
        ];
        for whole in whole {
            let Err(ResponseError::Upstream(error)) = whole else { panic!("{whole:?}") };
            assert_eq!((error.status.as_u16(), error.message.as_str()), (502, "died"));
        }
    }
}

#[test]
fn a_stream_without_its_terminator_is_truncated() {
    let cut = &TEXT.as_bytes()[..TEXT.len() - 20];
    let (_, result, progress) = run(openai(false), &[cut]);
    assert_eq!(result, Err(StreamFault::Truncated));
    assert!(progress.content && !progress.terminated);
    assert_eq!(run(openai(false), &[]).1, Err(StreamFault::Truncated));
}

#[test]
fn a_frame_without_end_is_refused() {
    let piece = vec![b'x'; 1 << 20];
    let pieces: Vec<&[u8]> = std::iter::repeat_n(&piece[..], 17).collect();
    let (_, result, _) = run(openai(false), &pieces);
    assert!(matches!(result, Err(StreamFault::Malformed(_))));
}

#[test]
fn cumulative_usage_is_overwritten_and_unknown_events_pass() {
    let text = concat!(
        "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"model\":\"claude\",\"usage\":{\"input_tokens\":5,\"cache_read_input_tokens\":7,\"output_tokens\":1}}}\n\n",
        "event: brand_new\ndata: {\"type\":\"brand_new\"}\n\n",
        "data: {\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"type\":\"text_delta\",\"text\":\"Hi\"}}\n\n",
        "event: message_delta\ndata: {\"type\":\"message_delta\",\"delta\":{\"stop_reason\":\"end_turn\"},\"usage\":{\"output_tokens\":3}}\n\n",
        "event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n",
    );
    let stream = stream(Dialect::Anthropic, false, Quirks::NONE, StreamForm::Sse);
    let (out, result, progress) = run(stream, &[text.as_bytes()]);
    assert_eq!((String::from_utf8_lossy(&out).as_ref(), result), (text, Ok(())));
    let expected = Usage { input: 12, output: 3, cached_input: 7, ..Usage::default() };
    assert_eq!(progress.usage, Some(expected));
    assert_eq!((progress.model.as_deref(), progress.output_bytes), (Some("claude"), 2));
}

#[test]
fn an_anthropic_error_event_is_a_fault() {
    let text = "event: error\ndata: {\"type\":\"error\",\"error\":{\"type\":\"overloaded_error\",\"message\":\"Overloaded\"}}\n\n";
    let stream = stream(Dialect::Anthropic, false, Quirks::NONE, StreamForm::Sse);
    let Err(StreamFault::Upstream(error)) = run(stream, &[text.as_bytes()]).1 else { panic!() };
    assert_eq!(error.status_for(Dialect::Anthropic).as_u16(), 529);
    assert_eq!(error.status_for(Dialect::OpenAi).as_u16(), 503);
}

#[test]
fn a_whole_answer_is_metered_and_kept() {
    let body = Bytes::from_static(br#"{"id":"x","model":"m","choices":[{"message":{"content":"Hello"},"finish_reason":"length"}],"usage":{"prompt_tokens":3,"completion_tokens":1,"prompt_tokens_details":null}}"#);
    let whole = response(Dialect::OpenAi, Quirks::NONE, &body).unwrap();
    assert_eq!(whole.body, body);
    assert_eq!(whole.usage.map(|usage| usage.total()), Some(4));
    assert_eq!(whole.finish_reason, Some(FinishReason::Length));
    assert_eq!((whole.model.as_deref(), whole.output_bytes), (Some("m"), 5));
}

#[test]
fn an_error_in_a_200_is_an_error() {
    let body = Bytes::from_static(br#"{"error":{"message":"no","code":429}}"#);
    let Err(ResponseError::Upstream(error)) = response(Dialect::OpenAi, Quirks::NONE, &body) else {
        panic!()
    };
    assert_eq!(error.status.as_u16(), 429);
    let html = Bytes::from_static(b"<html></html>");
    assert!(matches!(
        response(Dialect::OpenAi, Quirks::NONE, &html),
        Err(ResponseError::Malformed(_))
    ));
}

#[test]
fn a_whole_answer_that_is_cut_at_any_byte_is_malformed() {
    let whole = br#"{"id":"c","choices":[{"message":{"content":"Hi } there"},"finish_reason":"stop"}],"usage":{"prompt_tokens":1}}"#;
    for dialect in [Dialect::OpenAi, Dialect::Anthropic] {
        for cut in 0..whole.len() {
            let answered = response(dialect, Quirks::NONE, &Bytes::copy_from_slice(&whole[..cut]));
            assert!(matches!(answered, Err(ResponseError::Malformed(_))), "cut at {cut}");
        }
        assert!(response(dialect, Quirks::NONE, &Bytes::from_static(whole)).is_ok());
    }
}

#[test]
fn a_stream_of_images_ends_by_ending() {
    let part = "event: image_generation.partial_image\ndata: {\"type\":\"image_generation.partial_image\",\"b64_json\":\"AAAA\"}\n\n";
    let done = "event: image_generation.completed\ndata: {\"type\":\"image_generation.completed\",\"b64_json\":\"AAAA\",\"usage\":{\"input_tokens\":3,\"output_tokens\":9,\"total_tokens\":12}}";
    let (out, result, progress) = run(openai(false), &[part.as_bytes(), done.as_bytes()]);
    assert_eq!(String::from_utf8_lossy(&out), format!("{part}{done}\n\n"));
    assert_eq!((result, progress.terminated, progress.output_bytes), (Ok(()), true, 0));
    assert_eq!(progress.usage.map(|usage| usage.total()), Some(12));
    assert_eq!(run(openai(false), &[part.as_bytes()]).1, Err(StreamFault::Truncated));
}

#[test]
fn an_array_holds_the_data_of_each_frame_at_every_cut() {
    let text = ": x\n\ndata: {\"a\":1}\r\n\r\ndata: {\"choices\":[],\"usage\":{}}\n\ndata: {\"b\":[2]}\n\ndata: [DONE]\n\n";
    let array = || stream(Dialect::OpenAi, true, Quirks::NONE, StreamForm::JsonArray);
    let expected = "[{\"a\":1},\r\n{\"b\":[2]},\r\n[DONE]\n]";
    for cut in 0..=text.len() {
        let (head, tail) = text.as_bytes().split_at(cut);
        let (out, result, _) = run(array(), &[head, tail]);
        assert_eq!((String::from_utf8_lossy(&out).as_ref(), result), (expected, Ok(())), "{cut}");
    }
    let (mut broken, mut out) = (array(), Vec::new());
    let error = ApiError::new(StatusCode::BAD_GATEWAY, ErrorKind::Upstream, "x", "boom");
    broken.push(Bytes::from_static(b"data: {}\n\n"), &mut out).unwrap();
    broken.fail(&error, &mut out);
    let elements: Vec<serde_json::Value> = serde_json::from_slice(&out.concat()).unwrap();
    assert_eq!(elements[1]["error"]["message"], "boom");
}
