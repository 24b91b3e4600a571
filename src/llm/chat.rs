//! The canonical chat: what a request, an answer and a stream mean in no dialect. It is richer than
//! any single one, so that crossing loses as little as the target allows.
//!
//! Every dialect decodes into and encodes from these types (`codec`); nothing here knows a wire
//! format.

use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::usage::Usage;

/// A piece of JSON kept as it was written: schemas and tool arguments keep their member order.
#[derive(Clone, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Json(Box<RawValue>);

impl Json {
    /// The text if it is valid JSON.
    pub fn parse(text: &str) -> Option<Self> {
        serde_json::from_str(text).ok()
    }

    /// `{}`.
    pub fn empty_object() -> Self {
        Self(RawValue::from_string("{}".to_owned()).unwrap_or_default())
    }

    /// The JSON text.
    pub fn text(&self) -> &str {
        self.0.get()
    }
}

impl fmt::Debug for Json {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.text())
    }
}

impl PartialEq for Json {
    fn eq(&self, other: &Self) -> bool {
        self.text() == other.text()
    }
}

/// A request for chat.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ChatRequest {
    /// The model's name at the upstream.
    pub model: String,
    /// The system prompt: text parts.
    pub system: Vec<Part>,
    /// The conversation, in order.
    pub messages: Vec<Message>,
    /// Tools that the model may call.
    pub tools: Vec<Tool>,
    /// Whether and which tool must be called.
    pub tool_choice: Option<ToolChoice>,
    /// Whether several calls may come in one turn.
    pub parallel_tool_calls: Option<bool>,
    /// The bound on generated tokens.
    pub max_tokens: Option<u64>,
    /// Sampling temperature, 0 to 2.
    pub temperature: Option<f64>,
    /// Nucleus sampling, 0 to 1.
    pub top_p: Option<f64>,
    /// Sampling from the k likeliest tokens.
    pub top_k: Option<u64>,
    /// Texts that end generation.
    pub stop: Vec<String>,
    /// Whether the answer is streamed.
    pub stream: bool,
    /// The end user, an opaque id.
    pub user: Option<String>,
    /// The form of the answer.
    pub response_format: Option<ResponseFormat>,
}

/// Who speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// The operator, in the middle of a conversation.
    System,
    /// The caller; tool results too.
    User,
    /// The model.
    Assistant,
}

/// One turn or a part of one.
#[derive(Debug, Clone, PartialEq)]
pub struct Message {
    /// Who speaks.
    pub role: Role,
    /// What is said, in order.
    pub parts: Vec<Part>,
}

/// One piece of a message.
#[derive(Debug, Clone, PartialEq)]
pub struct Part {
    /// What it is.
    pub content: Content,
    /// A cache mark in Anthropic's form (`cache_control`).
    pub cache: Option<Json>,
}

impl From<Content> for Part {
    fn from(content: Content) -> Self {
        Self { content, cache: None }
    }
}

/// What a part is.
#[derive(Debug, Clone, PartialEq)]
pub enum Content {
    /// Text.
    Text(String),
    /// An image; `detail` is OpenAI's hint.
    Image {
        /// Where the image is.
        source: Source,
        /// `auto`, `low` or `high`.
        detail: Option<String>,
    },
    /// A document, such as a PDF.
    File {
        /// Where the document is.
        source: Source,
        /// Its name.
        name: Option<String>,
    },
    /// The model calls a tool.
    ToolCall {
        /// Ties the result to the call.
        id: String,
        /// The tool.
        name: String,
        /// A JSON object as text; never empty.
        arguments: String,
    },
    /// What a tool gave.
    ToolResult {
        /// The call's id.
        call_id: String,
        /// Text and images.
        parts: Vec<Part>,
        /// The tool failed.
        is_error: bool,
    },
    /// The model's reasoning. Only with its signature may it be given back to the model.
    Thinking {
        /// The text.
        text: String,
        /// The provider's proof that the text is unchanged.
        signature: Option<String>,
    },
    /// Reasoning that the provider shows to nobody.
    RedactedThinking(String),
    /// The model declines.
    Refusal(String),
}

/// Where data is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// Fetched by the provider.
    Url(String),
    /// Inline.
    Base64 {
        /// Such as `image/png`.
        media_type: String,
        /// The data in base64.
        data: String,
    },
    /// Inline text of a plain text document.
    Text(String),
    /// Uploaded to the provider before.
    Id(String),
}

/// A tool that the model may call.
#[derive(Debug, Clone, PartialEq)]
pub struct Tool {
    /// Its name.
    pub name: String,
    /// What it is for.
    pub description: Option<String>,
    /// JSON schema of its arguments; `None`: it takes none.
    pub parameters: Option<Json>,
    /// Whether arguments must follow the schema exactly.
    pub strict: Option<bool>,
    /// A cache mark in Anthropic's form.
    pub cache: Option<Json>,
}

/// Whether and which tool must be called.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ToolChoice {
    /// As the model likes.
    Auto,
    /// None.
    None,
    /// At least one.
    Required,
    /// This one.
    Named(String),
}

/// The form of the answer.
#[derive(Debug, Clone, PartialEq)]
pub enum ResponseFormat {
    /// Any text.
    Text,
    /// Some JSON object.
    JsonObject,
    /// JSON that follows a schema.
    JsonSchema {
        /// The schema's name.
        name: Option<String>,
        /// The schema.
        schema: Json,
        /// Whether to follow it exactly.
        strict: Option<bool>,
    },
}

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
    /// What was generated, in order.
    pub parts: Vec<Part>,
    /// Why it ended.
    pub finish_reason: Option<FinishReason>,
    /// The stop sequence that matched.
    pub stop_sequence: Option<String>,
    /// Tokens used; `None`: not reported.
    pub usage: Option<Usage>,
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
    /// A piece of text.
    Text(String),
    /// A piece of a refusal.
    Refusal(String),
    /// A piece of reasoning.
    Thinking(String),
    /// The signature of the reasoning so far; it ends that block.
    Signature(String),
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
