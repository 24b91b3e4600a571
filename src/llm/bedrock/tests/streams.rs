//! Streams of ConverseStream.

use super::*;

#[test]
fn a_stream_ends_when_both_the_stop_and_the_usage_were_seen() {
    let stop = ("messageStop", json!({"stopReason": "end_turn"}));
    let usage = (
        "metadata",
        json!({"usage": {"inputTokens": 3, "outputTokens": 2,
        "cacheReadInputTokens": 4, "cacheWriteInputTokens": 5}}),
    );
    let start = ("messageStart", json!({"role": "assistant"}));
    let counted = ChatEvent::Usage(Usage {
        input: 12,
        output: 2,
        cached_input: 4,
        cache_write: 5,
        ..Usage::default()
    });
    for order in [[&start, &stop, &usage], [&start, &usage, &stop]] {
        let events = read(&order.map(Clone::clone));
        assert_eq!(events.last(), Some(&ChatEvent::End));
        assert!(events.contains(&counted));
    }
    assert_eq!(read(&[start.clone(), stop]).last(), Some(&ChatEvent::End));
    assert!(!read(&[start, usage]).contains(&ChatEvent::End));
    assert!(read(&[]).is_empty());
}

#[test]
fn blocks_of_bedrocks_own_tools_are_skipped_and_calls_counted_without_them() {
    let events = read(&[
        (
            "contentBlockStart",
            json!({"contentBlockIndex": 0, "start": {"toolUse": {"toolUseId": "s", "name": "nova_code_interpreter", "type": "server_tool_use"}}}),
        ),
        (
            "contentBlockDelta",
            json!({"contentBlockIndex": 0, "delta": {"toolUse": {"input": "{}"}}}),
        ),
        ("contentBlockStop", json!({"contentBlockIndex": 0})),
        (
            "contentBlockStart",
            json!({"contentBlockIndex": 1, "start": {"toolResult": {"toolUseId": "s"}}}),
        ),
        (
            "contentBlockDelta",
            json!({"contentBlockIndex": 1, "delta": {"toolResult": [{"json": {}}]}}),
        ),
        ("contentBlockStop", json!({"contentBlockIndex": 1})),
        (
            "contentBlockStart",
            json!({"contentBlockIndex": 2, "start": {"toolUse": {"toolUseId": "t", "name": "f"}}}),
        ),
        ("contentBlockStop", json!({"contentBlockIndex": 2})),
        ("messageStop", json!({"stopReason": "tool_use"})),
    ]);
    let call = ChatEvent::ToolCall { index: 0, id: "t".to_owned(), name: "f".to_owned() };
    let arguments = ChatEvent::Arguments { index: 0, json: "{}".to_owned() };
    assert_eq!(events[1..4], [call, arguments, ChatEvent::CallEnd(0)]);
}

#[test]
fn redacted_reasoning_in_pieces_comes_out_whole() {
    let delta = |base64: &str| {
        (
            "contentBlockDelta",
            json!({"contentBlockIndex": 0, "delta": {"reasoningContent": {"redactedContent": base64}}}),
        )
    };
    let events = read(&[
        delta("aGlk"),
        delta("ZGVu"),
        ("contentBlockStop", json!({"contentBlockIndex": 0})),
    ]);
    assert_eq!(events[1], ChatEvent::RedactedThinking("hidden".to_owned()));
}
