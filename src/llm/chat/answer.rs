//! What an answer and a stream mean in no dialect.

use super::{Citation, Part, Signature};
use crate::llm::usage::Usage;

/// Why the model stopped.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FinishReason {
    /// It was done, or a stop sequence matched.
    Stop,
    /// The bound on tokens or the context window.
    Length,
    /// It waits for tool results.
    ToolCalls,
    /// The provider's filter, or a refusal.
    ContentFilter,
    /// A word of the provider's own.
    Other(String),
}

impl FinishReason {
    /// A stable word for records and metrics (OpenAI's where it has one).
    pub fn as_str(&self) -> &str {
        match self {
            Self::Stop => "stop",
            Self::Length => "length",
            Self::ToolCalls => "tool_calls",
            Self::ContentFilter => "content_filter",
            Self::Other(word) => word,
        }
    }
}

/// A whole answer.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ChatResponse {
    /// The provider's id of it.
    pub id: Option<String>,
    /// The model that answered.
    pub model: Option<String>,
    /// The answers, as many as were asked for.
    pub choices: Vec<Choice>,
    /// Tokens used; `None`: not reported.
    pub usage: Option<Usage>,
}

/// One of the answers to a request.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Choice {
    /// What was generated, in order.
    pub parts: Vec<Part>,
    /// Why it ended.
    pub finish_reason: Option<FinishReason>,
    /// The stop sequence that matched.
    pub stop_sequence: Option<String>,
    /// Log probabilities of the text's tokens, if they were asked for.
    pub logprobs: Option<Vec<TokenLogprob>>,
}

/// How likely a token was.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct TokenLogprob {
    /// The token's text.
    pub token: String,
    /// The natural logarithm of its probability.
    pub logprob: f64,
    /// The likeliest tokens at its place, each with its logarithm.
    pub top: Vec<(String, f64)>,
}

impl ChatResponse {
    /// An answer with one choice.
    pub fn of(choice: Choice) -> Self {
        Self { choices: vec![choice], ..Self::default() }
    }

    /// The first choice: the only one for dialects that know no more.
    pub fn first(&self) -> Option<&Choice> {
        self.choices.first()
    }
}

/// One step of a streamed answer.
#[derive(Debug, Clone, PartialEq)]
pub enum ChatEvent {
    /// The answer begins. Comes once, first.
    Start {
        /// The provider's id of the answer.
        id: Option<String>,
        /// The model that answers.
        model: Option<String>,
    },
    /// What follows belongs to this choice; 0 until another is named.
    Choice(u32),
    /// A piece of text.
    Text(String),
    /// Where the text so far comes from.
    Citation(Citation),
    /// Log probabilities of the text just before.
    Logprobs(Vec<TokenLogprob>),
    /// The signature that lies beside the text or the tool call just before (Gemini's).
    PartSignature(Signature),
    /// A piece of a refusal.
    Refusal(String),
    /// A piece of reasoning.
    Thinking(String),
    /// The signature of the reasoning so far; it ends that block.
    Signature(Signature),
    /// Hidden reasoning, whole.
    RedactedThinking(String),
    /// A tool call begins.
    ToolCall {
        /// 0, 1, ... in the order of their beginning.
        index: usize,
        /// Ties the result to the call.
        id: String,
        /// The tool.
        name: String,
    },
    /// A piece of a call's arguments.
    Arguments {
        /// The call's index.
        index: usize,
        /// JSON text, cut anywhere.
        json: String,
    },
    /// The provider closed a block; what comes next is a new one.
    BlockEnd,
    /// The provider closed the call of this index; others may still be open.
    CallEnd(usize),
    /// The model stopped.
    Finish {
        /// Why.
        reason: FinishReason,
        /// The stop sequence that matched.
        stop_sequence: Option<String>,
    },
    /// Tokens used so far; replaces what was reported before.
    Usage(Usage),
    /// The provider's terminator.
    End,
}
