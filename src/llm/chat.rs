//! The canonical chat: what a request, an answer and a stream mean in no dialect. It is richer than
//! any single one, so that crossing loses as little as the target allows.
//!
//! Every dialect decodes into and encodes from these types (`codec`); nothing here knows a wire
//! format.

use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

mod answer;

pub use answer::{ChatEvent, ChatResponse, Choice, FinishReason, TokenLogprob};

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
    /// How many answers are wanted; `None`: one.
    pub choices: Option<u32>,
    /// For answers that can be had again.
    pub seed: Option<i64>,
    /// Against repeating what is frequent, -2 to 2.
    pub frequency_penalty: Option<f64>,
    /// Against repeating what was said at all, -2 to 2.
    pub presence_penalty: Option<f64>,
    /// Log probabilities of the chosen tokens, with so many alternatives each; 0: the chosen alone.
    pub logprobs: Option<u32>,
    /// How much the model may think.
    pub reasoning: Option<Reasoning>,
}

/// How much a model may think before it answers, and whether it shows so. A dialect that knows
/// levels only, or budgets only, converts by [`Effort::budget`] and [`Effort::of_budget`].
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Reasoning {
    /// A level.
    pub effort: Option<Effort>,
    /// A bound in tokens.
    pub budget: Option<u64>,
    /// The caller wants to see the thoughts or a summary of them; `None`: the provider's default.
    pub shown: Option<bool>,
}

/// A level of reasoning, from none to all there is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Effort {
    /// No reasoning.
    None,
    /// As little as there is.
    Minimal,
    /// Little.
    Low,
    /// The usual.
    Medium,
    /// Much.
    High,
    /// More than that, where the model has it.
    ExtraHigh,
}

impl Effort {
    /// Every level, ascending.
    pub const ALL: [Self; 6] =
        [Self::None, Self::Minimal, Self::Low, Self::Medium, Self::High, Self::ExtraHigh];

    /// OpenAI's word for it (`reasoning_effort`).
    pub fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Minimal => "minimal",
            Self::Low => "low",
            Self::Medium => "medium",
            Self::High => "high",
            Self::ExtraHigh => "xhigh",
        }
    }

    /// The level of a word; `max`, Anthropic's top, is the highest.
    pub fn parse(word: &str) -> Option<Self> {
        match word {
            "max" => Some(Self::ExtraHigh),
            _ => Self::ALL.into_iter().find(|effort| effort.as_str() == word),
        }
    }

    /// Tokens for a dialect that bounds reasoning in tokens.
    pub fn budget(self) -> u64 {
        match self {
            Self::None => 0,
            Self::Minimal => 1024,
            Self::Low => 2048,
            Self::Medium => 8192,
            Self::High => 16_384,
            Self::ExtraHigh => 32_768,
        }
    }

    /// The highest level whose budget a number of tokens pays.
    pub fn of_budget(tokens: u64) -> Self {
        let fits = |effort: &Self| effort.budget() <= tokens;
        match tokens {
            0 => Self::None,
            _ => Self::ALL.into_iter().rev().find(fits).unwrap_or(Self::None).max(Self::Minimal),
        }
    }
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
    /// A signature that lies beside text or a tool call (Gemini's `thoughtSignature`); that of
    /// thinking is in [`Content::Thinking`].
    pub signature: Option<Signature>,
    /// Where a text of the model comes from.
    pub citations: Vec<Citation>,
}

impl From<Content> for Part {
    fn from(content: Content) -> Self {
        Self { content, cache: None, signature: None, citations: Vec::new() }
    }
}

/// A provider's proof that reasoning is unchanged, opaque to everybody else. Only its maker may get
/// it back; in the answers of other dialects it travels as [`Signature::tagged`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signature {
    /// Whose it is.
    pub signer: Signer,
    /// The proof.
    pub value: String,
}

/// Who makes signatures. Those of Claude hold on every platform that serves it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Signer {
    /// Anthropic's models, on any platform.
    Anthropic,
    /// Google's models.
    Gemini,
    /// OpenAI's reasoning items (`encrypted_content`).
    OpenAi,
}

impl Signer {
    const ALL: [Self; 3] = [Self::Anthropic, Self::Gemini, Self::OpenAi];

    fn tag(self) -> &'static str {
        match self {
            Self::Anthropic => "sluice.anthropic.",
            Self::Gemini => "sluice.gemini.",
            Self::OpenAi => "sluice.openai.",
        }
    }
}

impl Signature {
    /// A signature.
    pub fn new(signer: Signer, value: impl Into<String>) -> Self {
        Self { signer, value: value.into() }
    }

    /// The proof if it is `signer`'s.
    pub fn by(&self, signer: Signer) -> Option<&str> {
        (self.signer == signer).then_some(self.value.as_str())
    }

    /// How it is written where signatures are `native`'s: bare if it is, else with a tag that
    /// [`Self::read`] understands when the client gives it back.
    pub fn tagged(&self, native: Signer) -> String {
        match self.by(native) {
            Some(bare) => bare.to_owned(),
            None => format!("{}{}", self.signer.tag(), self.value),
        }
    }

    /// Reads what [`Self::tagged`] wrote, or what `native` wrote itself.
    pub fn read(text: String, native: Signer) -> Self {
        let foreign = Signer::ALL
            .into_iter()
            .find_map(|signer| Some(Self::new(signer, text.strip_prefix(signer.tag())?)));
        foreign.unwrap_or_else(|| Self::new(native, text))
    }
}

/// Where a text of the model comes from.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Citation {
    /// Its place.
    pub url: Option<String>,
    /// Its title.
    pub title: Option<String>,
    /// The words that are cited.
    pub text: Option<String>,
    /// Where in the answer's text the statement stands: first character and the one after the last.
    pub span: Option<(u64, u64)>,
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
        signature: Option<Signature>,
    },
    /// Anthropic's reasoning that is shown to nobody.
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signature_comes_back_to_its_maker_and_to_nobody_else() {
        let signature = Signature::new(Signer::Gemini, "abc");
        let travelled = Signature::read(signature.tagged(Signer::Anthropic), Signer::Anthropic);
        assert_eq!(travelled, signature);
        assert_eq!(
            (travelled.by(Signer::Gemini), travelled.by(Signer::Anthropic)),
            (Some("abc"), None)
        );
        assert_eq!(signature.tagged(Signer::Gemini), "abc");
    }

    #[test]
    fn levels_and_budgets_of_reasoning_agree() {
        for effort in Effort::ALL {
            assert_eq!(Effort::of_budget(effort.budget()), effort);
            assert_eq!(Effort::parse(effort.as_str()), Some(effort));
        }
        assert_eq!(Effort::of_budget(1), Effort::Minimal);
        assert_eq!(Effort::parse("max"), Some(Effort::ExtraHigh));
    }
}
