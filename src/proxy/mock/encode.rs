//! Writes the Mock provider's chat answers in OpenAI's wire format: one object, or chunk by chunk.

use bytes::Bytes;
use http::StatusCode;
use serde_json::{Value, json};

use super::CREATED;
use super::answer::{Answer, Choice, Form};
use super::behaviour::{Behaviour, stream_error};
use super::plan::Event;
use super::request::ChatRequest;
use crate::llm::{Dialect, encode_stream_error};

/// One answer and what is repeated in each of its chunks.
#[derive(Debug)]
pub struct Encoder {
    model: String,
    answer: Answer,
    reports_usage: bool,
    /// Chunks before the last say `"usage": null` when usage was asked for.
    usage_asked: bool,
}

impl Encoder {
    /// The encoder of an answer.
    pub fn new(request: ChatRequest, answer: Answer, behaviour: &Behaviour) -> Self {
        let usage_asked = request.includes_usage() && !behaviour.without_usage;
        let reports_usage = !behaviour.without_usage;
        Self { model: request.model, answer, reports_usage, usage_asked }
    }

    /// The answer as one object.
    pub fn whole(&self) -> Bytes {
        let choices: Vec<Value> = self
            .answer
            .choices
            .iter()
            .enumerate()
            .map(|(index, choice)| whole(index, choice))
            .collect();
        let mut body = json!({
            "id": self.answer.id,
            "object": "chat.completion",
            "created": CREATED,
            "model": self.model,
            "choices": choices,
        });
        if self.reports_usage {
            body["usage"] = self.answer.usage.to_json();
        }
        Bytes::from(body.to_string())
    }

    /// One event of the stream.
    pub fn event(&self, event: Event) -> Bytes {
        match event {
            Event::Role(index) => self.choice(index, self.role(index), None),
            Event::Token(index, token) => self.choice(index, self.token(index, token), None),
            Event::Finish(index) => {
                self.choice(index, json!({}), self.answer.choices[index].finish)
            }
            Event::Usage => self.chunk(&json!([]), &self.answer.usage.to_json()),
            Event::Done => Bytes::from_static(b"data: [DONE]\n\n"),
            Event::Error => {
                let error = stream_error(StatusCode::INTERNAL_SERVER_ERROR);
                encode_stream_error(Dialect::OpenAi, &error)
            }
        }
    }

    fn choice(&self, index: usize, delta: Value, finish: Option<&str>) -> Bytes {
        let choice = json!([{
            "index": index, "delta": delta, "logprobs": null, "finish_reason": finish,
        }]);
        self.chunk(&choice, &Value::Null)
    }

    fn chunk(&self, choices: &Value, usage: &Value) -> Bytes {
        let mut chunk = json!({
            "id": self.answer.id,
            "object": "chat.completion.chunk",
            "created": CREATED,
            "model": self.model,
            "choices": choices,
        });
        if self.usage_asked {
            chunk["usage"] = usage.clone();
        }
        Bytes::from(format!("data: {chunk}\n\n"))
    }

    fn role(&self, index: usize) -> Value {
        match &self.answer.choices[index].form {
            Form::Text => json!({"role": "assistant", "content": "", "refusal": null}),
            Form::Call { id, name } => json!({
                "role": "assistant",
                "content": null,
                "tool_calls": [{"index": 0, "id": id, "type": "function",
                    "function": {"name": name, "arguments": ""}}],
            }),
        }
    }

    fn token(&self, index: usize, token: usize) -> Value {
        let choice = &self.answer.choices[index];
        let text = &choice.tokens[token];
        match choice.form {
            Form::Text => json!({"content": text}),
            Form::Call { .. } => {
                json!({"tool_calls": [{"index": 0, "function": {"arguments": text}}]})
            }
        }
    }
}

fn whole(index: usize, choice: &Choice) -> Value {
    let text = choice.tokens.concat();
    let message = match &choice.form {
        Form::Text => json!({"role": "assistant", "content": text, "refusal": null}),
        Form::Call { id, name } => json!({
            "role": "assistant",
            "content": null,
            "refusal": null,
            "tool_calls": [{"id": id, "type": "function",
                "function": {"name": name, "arguments": text}}],
        }),
    };
    json!({"index": index, "message": message, "logprobs": null, "finish_reason": choice.finish})
}
