//! What the mock upstream says, in two dialects: shapes of the OpenAI chat completion and of the
//! Anthropic message, whole and as server-sent events. Text only; it must not know HTTP.

use hyper::body::Bytes;

/// Wire format of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dialect {
    /// OpenAI chat completions.
    OpenAi,
    /// Anthropic messages.
    Anthropic,
}

const WORDS: &str = "The quick brown fox jumps over the lazy dog while tokens flow. ";

/// A whole answer of about `size` bytes.
pub fn whole(dialect: Dialect, size: usize) -> Bytes {
    let (head, tail) = match dialect {
        Dialect::OpenAi => (OPENAI_HEAD, OPENAI_TAIL),
        Dialect::Anthropic => (ANTHROPIC_HEAD, ANTHROPIC_TAIL),
    };
    let length = size.saturating_sub(head.len() + tail.len());
    let text: String = WORDS.chars().cycle().take(length).collect();
    Bytes::from(format!("{head}{text}{tail}"))
}

/// The events before the first content.
pub fn opening(dialect: Dialect) -> &'static str {
    match dialect {
        Dialect::OpenAi => concat!(
            r#"data: {"id":"chatcmpl-bench","object":"chat.completion.chunk","created":1760000000,"#,
            r#""model":"gpt-4o-mini","system_fingerprint":"fp_mock","choices":[{"index":0,"#,
            r#""delta":{"role":"assistant","content":"","refusal":null},"logprobs":null,"#,
            r#""finish_reason":null}]}"#,
            "\n\n"
        ),
        Dialect::Anthropic => concat!(
            "event: message_start\n",
            r#"data: {"type":"message_start","message":{"id":"msg_bench","type":"message","#,
            r#""role":"assistant","model":"claude-sonnet-4-5","content":[],"stop_reason":null,"#,
            r#""stop_sequence":null,"usage":{"input_tokens":21,"output_tokens":1}}}"#,
            "\n\nevent: content_block_start\n",
            r#"data: {"type":"content_block_start","index":0,"#,
            r#""content_block":{"type":"text","text":""}}"#,
            "\n\n"
        ),
    }
}

/// One event with one token.
pub fn content(dialect: Dialect) -> &'static str {
    match dialect {
        Dialect::OpenAi => concat!(
            r#"data: {"id":"chatcmpl-bench","object":"chat.completion.chunk","created":1760000000,"#,
            r#""model":"gpt-4o-mini","system_fingerprint":"fp_mock","choices":[{"index":0,"#,
            r#""delta":{"content":" token"},"logprobs":null,"finish_reason":null}]}"#,
            "\n\n"
        ),
        Dialect::Anthropic => concat!(
            "event: content_block_delta\n",
            r#"data: {"type":"content_block_delta","index":0,"#,
            r#""delta":{"type":"text_delta","text":" token"}}"#,
            "\n\n"
        ),
    }
}

/// The events after the last content, with the usage where it was asked for.
pub fn closing(dialect: Dialect, usage: bool) -> &'static str {
    match (dialect, usage) {
        (Dialect::OpenAi, false) => concat!(
            r#"data: {"id":"chatcmpl-bench","object":"chat.completion.chunk","created":1760000000,"#,
            r#""model":"gpt-4o-mini","choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}"#,
            "\n\ndata: [DONE]\n\n"
        ),
        (Dialect::OpenAi, true) => concat!(
            r#"data: {"id":"chatcmpl-bench","object":"chat.completion.chunk","created":1760000000,"#,
            r#""model":"gpt-4o-mini","choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}"#,
            "\n\n",
            r#"data: {"id":"chatcmpl-bench","object":"chat.completion.chunk","created":1760000000,"#,
            r#""model":"gpt-4o-mini","choices":[],"#,
            r#""usage":{"prompt_tokens":21,"completion_tokens":42,"total_tokens":63}}"#,
            "\n\ndata: [DONE]\n\n"
        ),
        (Dialect::Anthropic, _) => concat!(
            "event: content_block_stop\n",
            r#"data: {"type":"content_block_stop","index":0}"#,
            "\n\nevent: message_delta\n",
            r#"data: {"type":"message_delta","delta":{"stop_reason":"end_turn","#,
            r#""stop_sequence":null},"usage":{"output_tokens":42}}"#,
            "\n\nevent: message_stop\n",
            r#"data: {"type":"message_stop"}"#,
            "\n\n"
        ),
    }
}

const OPENAI_HEAD: &str = concat!(
    r#"{"id":"chatcmpl-bench","object":"chat.completion","created":1760000000,"#,
    r#""model":"gpt-4o-mini","choices":[{"index":0,"message":{"role":"assistant","content":""#,
);
const OPENAI_TAIL: &str = concat!(
    r#"","refusal":null},"logprobs":null,"finish_reason":"stop"}],"#,
    r#""usage":{"prompt_tokens":21,"completion_tokens":42,"total_tokens":63}}"#,
);
const ANTHROPIC_HEAD: &str = concat!(
    r#"{"id":"msg_bench","type":"message","role":"assistant","model":"claude-sonnet-4-5","#,
    r#""content":[{"type":"text","text":""#,
);
const ANTHROPIC_TAIL: &str = concat!(
    r#""}],"stop_reason":"end_turn","stop_sequence":null,"#,
    r#""usage":{"input_tokens":21,"cache_creation_input_tokens":0,"#,
    r#""cache_read_input_tokens":0,"output_tokens":42}}"#,
);
