//! What the whole dialect promises: requests, answers and streams, by behaviour.

use serde_json::{Value, json};

use super::Responses;
use crate::llm::ApiError;
use crate::llm::chat::{
    ChatEvent, ChatRequest, ChatResponse, Choice, Citation, Content, Effort, FinishReason, Message,
    Part, Reasoning, Role, Signature, Signer, Source, TokenLogprob, ToolChoice,
};
use crate::llm::codec::{ChatCodec as _, Dropped};
use crate::llm::translate::ResponseContext;
use crate::llm::usage::Usage;

mod answers;
mod requests;
mod streams;

fn decode(request: Value) -> (ChatRequest, Vec<String>) {
    let mut dropped = Dropped::default();
    let request = Responses.decode_request(request.to_string().as_bytes(), &mut dropped).unwrap();
    (request, dropped.into_names())
}

fn refused(request: Value) -> ApiError {
    let body = request.to_string();
    Responses.decode_request(body.as_bytes(), &mut Dropped::default()).unwrap_err().into()
}

fn encode(request: &ChatRequest) -> (Value, Vec<String>) {
    let mut dropped = Dropped::default();
    let body = Responses.encode_request(request, &mut dropped).unwrap();
    (serde_json::from_slice(&body).unwrap(), dropped.into_names())
}

fn context(request: &Value) -> ResponseContext {
    ResponseContext {
        created: 1_700_000_000,
        model: "asked-for".to_owned(),
        request_id: "req-1".to_owned(),
        request: request.to_string().into(),
        ..ResponseContext::default()
    }
}

fn text(text: &str) -> Part {
    Content::Text(text.to_owned()).into()
}

fn call(id: &str, name: &str, arguments: &str) -> Part {
    Content::ToolCall { id: id.to_owned(), name: name.to_owned(), arguments: arguments.to_owned() }
        .into()
}

fn result(call_id: &str, said: &str) -> Part {
    Content::ToolResult { call_id: call_id.to_owned(), parts: vec![text(said)], is_error: false }
        .into()
}

fn thought(text: &str, signer: Signer, value: &str) -> Part {
    let signature = Some(Signature::new(signer, value));
    Content::Thinking { text: text.to_owned(), signature }.into()
}
