//! What the Mock provider answers, before it is written as one body or as a stream: the same tokens
//! either way.

use serde_json::{Value, json};

use super::behaviour::Behaviour;
use super::request::{ChatRequest, Function};
use super::{schema, story};

/// An answer to a chat request.
#[derive(Debug)]
pub struct Answer {
    /// Unique to the request's last user message.
    pub id: String,
    /// As many as asked for.
    pub choices: Vec<Choice>,
    /// What it took.
    pub usage: Usage,
}

/// One choice.
#[derive(Debug)]
pub struct Choice {
    /// Text, or the call of a tool.
    pub form: Form,
    /// The tokens of the text or of the call's arguments, each one chunk of a stream.
    pub tokens: Vec<String>,
    /// `stop`, `length`, `tool_calls`; `None` for an empty answer.
    pub finish: Option<&'static str>,
}

/// What the tokens are.
#[derive(Debug)]
pub enum Form {
    /// Text.
    Text,
    /// The arguments of a tool call.
    Call {
        /// The call's id.
        id: String,
        /// The tool's name.
        name: String,
    },
}

/// Tokens: a quarter of the input's bytes, and the chunks of the output.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Usage {
    /// Tokens of the request.
    pub prompt: u64,
    /// Tokens of all choices.
    pub completion: u64,
}

impl Usage {
    /// As OpenAI writes it.
    pub fn to_json(self) -> Value {
        json!({
            "prompt_tokens": self.prompt,
            "completion_tokens": self.completion,
            "total_tokens": self.prompt + self.completion,
        })
    }
}

/// Four bytes a token, rounded up, and never zero.
pub fn input_tokens(bytes: usize) -> u64 {
    (bytes as u64).div_ceil(4).max(1)
}

impl Answer {
    /// The answer to a request.
    pub fn new(request: &ChatRequest, behaviour: &Behaviour) -> Self {
        let asked = request.last_user_text();
        let choices: Vec<Choice> = (0..request.choices())
            .map(|index| Choice::new(request, behaviour, &asked, index))
            .collect();
        let completion = choices.iter().map(|choice| choice.tokens.len() as u64).sum();
        let usage = Usage { prompt: input_tokens(request.text_bytes()), completion };
        Self { id: format!("chatcmpl-mock-{}", story::digest(&asked, 0)), choices, usage }
    }
}

impl Choice {
    fn new(request: &ChatRequest, behaviour: &Behaviour, asked: &str, index: u32) -> Self {
        if behaviour.empty {
            return Self { form: Form::Text, tokens: Vec::new(), finish: None };
        }
        if let Some(function) = called(request, asked) {
            let id = format!("call_mock_{}", story::digest(asked, index));
            let form = Form::Call { id, name: function.name.clone() };
            let arguments = schema::instance(&function.parameters).to_string();
            return Self { form, tokens: story::fragments(&arguments), finish: Some("tool_calls") }
                .bounded(request.max_tokens());
        }
        let tokens = match structured(request, asked, index) {
            Some(json) => story::fragments(&json),
            None => story::words(stopped(&text(request, behaviour, asked, index), request.stops())),
        };
        Self { form: Form::Text, tokens, finish: Some("stop") }.bounded(request.max_tokens())
    }

    fn bounded(mut self, max_tokens: u64) -> Self {
        let most = usize::try_from(max_tokens).unwrap_or(usize::MAX);
        if self.tokens.len() > most {
            self.tokens.truncate(most);
            self.finish = Some("length");
        }
        self
    }
}

fn text(request: &ChatRequest, behaviour: &Behaviour, asked: &str, index: u32) -> String {
    if behaviour.echo {
        return ChatRequest::repeated(asked).to_owned();
    }
    match request.messages.last() {
        Some(last) if last.role == "tool" => {
            let told = last.text();
            format!("The tool said {}. {}", ChatRequest::repeated(&told), story::tell(asked, index))
        }
        _ => story::tell(asked, index),
    }
}

/// The text up to the first of the stops.
fn stopped<'t>(text: &'t str, stops: &[String]) -> &'t str {
    let stops = stops.iter().filter(|stop| !stop.is_empty());
    let end = stops.filter_map(|stop| text.find(stop)).min();
    &text[..end.unwrap_or(text.len())]
}

/// The JSON that `response_format` asks for.
fn structured(request: &ChatRequest, asked: &str, index: u32) -> Option<String> {
    let format = request.response_format.as_ref()?;
    match format.kind.as_str() {
        "json_object" => Some(json!({"digest": story::digest(asked, index)}).to_string()),
        "json_schema" => {
            let schema = format.json_schema.as_ref().map_or(&Value::Null, |given| &given.schema);
            Some(schema::instance(schema).to_string())
        }
        _ => None,
    }
}

/// The function to call: the one that `tool_choice` names, the first if any is required; left to the
/// model, the one that the user's words are about.
fn called<'r>(request: &'r ChatRequest, asked: &str) -> Option<&'r Function> {
    let mut functions = request.tools.iter().flatten().map(|tool| &tool.function);
    match &request.tool_choice {
        Some(Value::String(choice)) if choice == "none" => None,
        Some(Value::String(choice)) if choice == "required" => functions.next(),
        Some(choice @ Value::Object(_)) => {
            let name = choice["function"]["name"].as_str()?;
            functions.find(|function| function.name == name)
        }
        _ if request.messages.last().is_none_or(|last| last.role != "user") => None,
        _ => {
            let asked = asked.to_lowercase();
            let first = functions.clone().next()?;
            let named = functions.find(|function| mentions(&asked, &function.name));
            named.or_else(|| asked.contains("tool").then_some(first))
        }
    }
}

/// Whether a text has one of the longer words of a function's name: "weather" for `get_weather`.
fn mentions(asked: &str, name: &str) -> bool {
    let name = name.to_lowercase();
    name.split(['_', '-']).any(|word| word.len() > 3 && asked.contains(word))
}
