//! The requests that the Mock provider understands, in OpenAI's wire format. Unknown fields are left
//! alone; what would be refused by every provider is refused here too.

use bytes::Bytes;
use http::StatusCode;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::llm::{ApiError, ErrorKind};

/// The largest `n`: OpenAI takes 128, but the answer lies in the gateway's own memory.
const MAX_CHOICES: u32 = 16;
/// The longest text of a message that is repeated in the answer, in bytes.
const MAX_ECHO: usize = 64 << 10;
/// The most inputs of one request, as OpenAI has it.
const MAX_INPUTS: usize = 2048;
/// The most numbers of one answer, all its vectors together.
const MAX_NUMBERS: usize = 1 << 20;
/// The largest `dimensions`.
const MAX_DIMENSIONS: usize = 4096;
/// The tokens of an answer for which no bound was asked.
const DEFAULT_MAX_TOKENS: u64 = 4096;

/// `POST /chat/completions`.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct ChatRequest {
    pub model: String,
    pub messages: Vec<Message>,
    stream: Option<bool>,
    stream_options: Option<StreamOptions>,
    max_tokens: Option<u64>,
    max_completion_tokens: Option<u64>,
    n: Option<u32>,
    stop: Option<Stop>,
    pub tools: Option<Vec<Tool>>,
    pub tool_choice: Option<Value>,
    pub response_format: Option<ResponseFormat>,
}

/// One message of the conversation.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Message {
    pub role: String,
    content: Option<Content>,
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Content {
    Text(String),
    Parts(Vec<Part>),
}

#[derive(Debug, Deserialize)]
struct Part {
    #[serde(default)]
    text: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct StreamOptions {
    include_usage: Option<bool>,
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Stop {
    One(String),
    Many(Vec<String>),
}

/// A tool that may be called.
#[derive(Debug, Deserialize)]
pub struct Tool {
    #[serde(default)]
    pub function: Function,
}

/// A function's name and the schema of its arguments.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Function {
    pub name: String,
    pub parameters: Value,
}

/// The form that a text answer must have.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct ResponseFormat {
    #[serde(rename = "type")]
    pub kind: String,
    pub json_schema: Option<JsonSchema>,
}

/// The schema of a structured answer.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct JsonSchema {
    pub schema: Value,
}

impl ChatRequest {
    /// Reads a body.
    ///
    /// # Errors
    /// A 400 for a body that is not JSON of this shape, without a model or messages, or with an `n`
    /// outside 1..=16.
    pub fn parse(body: &Bytes) -> Result<Self, ApiError> {
        let request: Self = parse(body)?;
        named(&request.model)?;
        if request.messages.is_empty() {
            return Err(invalid("messages", "messages is empty: send at least one message"));
        }
        if request.n.is_some_and(|n| n == 0 || n > MAX_CHOICES) {
            return Err(invalid("n", "n is out of bounds: use 1 to 16"));
        }
        Ok(request)
    }

    /// Whether the answer is a stream of events.
    pub fn is_stream(&self) -> bool {
        self.stream == Some(true)
    }

    /// Whether the stream ends with a chunk of usage.
    pub fn includes_usage(&self) -> bool {
        self.stream_options.as_ref().is_some_and(|options| options.include_usage == Some(true))
    }

    /// How many choices are asked for.
    pub fn choices(&self) -> u32 {
        self.n.unwrap_or(1)
    }

    /// The most tokens that one choice may have.
    pub fn max_tokens(&self) -> u64 {
        self.max_completion_tokens.or(self.max_tokens).unwrap_or(DEFAULT_MAX_TOKENS)
    }

    /// The texts at which an answer stops.
    pub fn stops(&self) -> &[String] {
        match &self.stop {
            None => &[],
            Some(Stop::One(stop)) => std::slice::from_ref(stop),
            Some(Stop::Many(stops)) => stops,
        }
    }

    /// The beginning of a text, as much of it as an answer may repeat.
    pub fn repeated(text: &str) -> &str {
        &text[..text.floor_char_boundary(MAX_ECHO)]
    }

    /// The text of the last message of the user; empty if there is none.
    pub fn last_user_text(&self) -> String {
        let last = self.messages.iter().rev().find(|message| message.role == "user");
        last.map(Message::text).unwrap_or_default()
    }

    /// The length of all messages' text and all tools' schemas, in bytes.
    pub fn text_bytes(&self) -> usize {
        let messages: usize = self.messages.iter().map(|message| message.text().len()).sum();
        let tools = self.tools.iter().flatten();
        messages + tools.map(|tool| tool.function.parameters.to_string().len()).sum::<usize>()
    }
}

impl Message {
    /// All text parts, joined by line ends.
    pub fn text(&self) -> String {
        match &self.content {
            None => String::new(),
            Some(Content::Text(text)) => text.clone(),
            Some(Content::Parts(parts)) => {
                let texts: Vec<&str> =
                    parts.iter().filter_map(|part| part.text.as_deref()).collect();
                texts.join("\n")
            }
        }
    }
}

/// `POST /embeddings`.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct EmbeddingRequest {
    pub model: String,
    input: Value,
    encoding_format: Option<String>,
    dimensions: Option<usize>,
}

impl EmbeddingRequest {
    /// Reads a body.
    ///
    /// # Errors
    /// A 400 for a body that is not JSON of this shape, without a model or input, with more than 2048
    /// inputs, with dimensions outside 1..=4096, or that asks for more than 2^20 numbers in all.
    pub fn parse(body: &Bytes) -> Result<Self, ApiError> {
        let request: Self = parse(body)?;
        named(&request.model)?;
        let inputs = request.inputs().len();
        if inputs == 0 {
            return Err(invalid("input", "input is empty: send a text, or a list of texts"));
        }
        if inputs > MAX_INPUTS {
            return Err(invalid("input", "input is too long a list: send at most 2048 texts"));
        }
        if request.dimensions.is_some_and(|size| size == 0 || size > MAX_DIMENSIONS) {
            return Err(invalid("dimensions", "dimensions is out of bounds: use 1 to 4096"));
        }
        if inputs * request.dimensions() > MAX_NUMBERS {
            let message = "input times dimensions is more than 1048576 numbers: send fewer texts";
            return Err(invalid("input", message));
        }
        Ok(request)
    }

    /// Each input as a text; token lists are written as JSON.
    pub fn inputs(&self) -> Vec<String> {
        match &self.input {
            Value::String(text) if !text.is_empty() => vec![text.clone()],
            Value::Array(items) if items.first().is_some_and(Value::is_number) => {
                vec![self.input.to_string()]
            }
            Value::Array(items) => items
                .iter()
                .map(|item| item.as_str().map_or_else(|| item.to_string(), str::to_owned))
                .collect(),
            _ => Vec::new(),
        }
    }

    /// The length of each vector.
    pub fn dimensions(&self) -> usize {
        self.dimensions.unwrap_or(1536)
    }

    /// Whether vectors are written as base64 of little-endian 32-bit floats.
    pub fn is_base64(&self) -> bool {
        self.encoding_format.as_deref() == Some("base64")
    }
}

fn parse<T: DeserializeOwned>(body: &Bytes) -> Result<T, ApiError> {
    serde_json::from_slice(body).map_err(|error| {
        let message = format!("the request body cannot be read: {error}");
        let kind = ErrorKind::InvalidRequest;
        ApiError::new(StatusCode::BAD_REQUEST, kind, "invalid_json", message)
    })
}

fn named(model: &str) -> Result<(), ApiError> {
    if model.is_empty() {
        return Err(invalid("model", "model is missing: name one, such as \"mock\""));
    }
    Ok(())
}

fn invalid(param: &str, message: &str) -> ApiError {
    let kind = ErrorKind::InvalidRequest;
    let mut error = ApiError::new(StatusCode::BAD_REQUEST, kind, "invalid_request", message);
    error.param = Some(param.to_owned());
    error
}
