//! OpenAI's embeddings, the caller's side and the provider's. Source of the wire format: OpenAI's API
//! reference, "Embeddings". `input_type` is an extension that several of its followers share.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::{
    EmbeddingIngress, EmbeddingInput, EmbeddingRequest, EmbeddingResponse, EmbeddingTask,
    EmbeddingUpstream, Vector,
};
use crate::llm::codec::{Dropped, is_neutral, member};
use crate::llm::error::RequestError;
use crate::llm::members::{Member, Members};
use crate::llm::openai::wire::usage_of;
use crate::llm::quirks::Quirks;
use crate::llm::translate::ResponseContext;
use crate::llm::usage::Usage;

/// The codec of `POST /v1/embeddings`.
pub struct OpenAiEmbeddings;

impl EmbeddingIngress for OpenAiEmbeddings {
    fn decode_request(
        &self,
        body: &[u8],
        dropped: &mut Dropped,
    ) -> Result<EmbeddingRequest, RequestError> {
        let Members(members) = Members::parse(body)?;
        let mut request = EmbeddingRequest::default();
        for Member { name, value } in members {
            match &*name {
                "model" => request.model = member(&name, value)?.unwrap_or_default(),
                "input" => request.inputs = decode_input(value)?,
                "dimensions" => request.dimensions = member(&name, value)?,
                "user" => request.user = member(&name, value)?,
                "encoding_format" => check_format(value)?,
                "input_type" => request.task = decode_task(member(&name, value)?, dropped),
                _ if is_neutral(&name, value) => {}
                _ => dropped.add(name),
            }
        }
        if request.inputs.is_empty() {
            let message = "\"input\" is missing or empty: give a text or a list of texts";
            return Err(RequestError::field("input", message));
        }
        Ok(request)
    }

    fn encode_response(&self, response: &EmbeddingResponse, context: &ResponseContext) -> Vec<u8> {
        let of = |(index, vector): (usize, &Vector)| {
            let embedding = match context.base64 {
                true => Written::Base64(vector.to_base64()),
                false => Written::Numbers(vector.clone()),
            };
            WireVector { object: "embedding", index, embedding }
        };
        let usage = response.usage.unwrap_or_default();
        let answer = WireAnswer {
            object: "list",
            data: response.vectors.iter().enumerate().map(of).collect(),
            model: response.model.as_deref().unwrap_or(&context.model),
            usage: WireUsage { prompt_tokens: usage.input, total_tokens: usage.total() },
        };
        serde_json::to_vec(&answer).unwrap_or_default()
    }
}

#[derive(Serialize)]
struct WireAnswer<'a> {
    object: &'static str,
    data: Vec<WireVector>,
    model: &'a str,
    usage: WireUsage,
}

#[derive(Serialize)]
struct WireVector {
    object: &'static str,
    index: usize,
    embedding: Written,
}

#[derive(Serialize)]
#[serde(untagged)]
enum Written {
    Base64(String),
    Numbers(Vector),
}

#[derive(Serialize)]
struct WireUsage {
    prompt_tokens: u64,
    total_tokens: u64,
}

/// A text, a list of texts, a list of tokens, or a list of lists of tokens.
fn decode_input(value: &RawValue) -> Result<Vec<EmbeddingInput>, RequestError> {
    let text = value.get();
    if let Ok(one) = serde_json::from_str::<String>(text) {
        return Ok(vec![EmbeddingInput::Text(one)]);
    }
    if let Ok(many) = serde_json::from_str::<Vec<String>>(text) {
        return Ok(many.into_iter().map(EmbeddingInput::Text).collect());
    }
    if let Ok(one) = serde_json::from_str::<Vec<u64>>(text) {
        return Ok(vec![EmbeddingInput::Tokens(one)]);
    }
    if let Ok(many) = serde_json::from_str::<Vec<Vec<u64>>>(text) {
        return Ok(many.into_iter().map(EmbeddingInput::Tokens).collect());
    }
    let message = "\"input\" must be a text, a list of texts, or token ids";
    Err(RequestError::field("input", message))
}

fn check_format(value: &RawValue) -> Result<(), RequestError> {
    match member::<String>("encoding_format", value)?.as_deref() {
        None | Some("float" | "base64") => Ok(()),
        Some(other) => {
            let message =
                format!("\"encoding_format\" is \"{other}\": use \"float\" or \"base64\"");
            Err(RequestError::field("encoding_format", message))
        }
    }
}

fn decode_task(word: Option<String>, dropped: &mut Dropped) -> Option<EmbeddingTask> {
    let task = EmbeddingTask::parse(word.as_deref()?);
    if task.is_none() {
        dropped.add("input_type");
    }
    task
}

#[derive(Serialize)]
struct WireRequest<'a> {
    model: &'a str,
    input: Input<'a>,
    encoding_format: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    dimensions: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    user: Option<&'a str>,
}

#[derive(Serialize)]
#[serde(untagged)]
enum Input<'a> {
    Texts(Vec<&'a str>),
    Tokens(Vec<&'a [u64]>),
}

#[derive(Deserialize)]
struct Answer {
    #[serde(default)]
    model: Option<String>,
    data: Vec<Item>,
}

#[derive(Deserialize)]
struct Item {
    #[serde(default)]
    index: Option<usize>,
    embedding: Vector,
}

impl EmbeddingUpstream for OpenAiEmbeddings {
    fn encode_request(
        &self,
        request: &EmbeddingRequest,
        dropped: &mut Dropped,
    ) -> Result<Vec<u8>, RequestError> {
        drop_task(request, dropped);
        let wire = WireRequest {
            model: &request.model,
            input: encode_input(request)?,
            encoding_format: "float",
            dimensions: request.dimensions,
            user: request.user.as_deref(),
        };
        serde_json::to_vec(&wire).map_err(|error| RequestError::syntax(&error))
    }

    fn path(&self, _: &str) -> Cow<'static, str> {
        "/embeddings".into()
    }

    fn decode_response(&self, body: &[u8]) -> Result<EmbeddingResponse, String> {
        decode(body)
    }
}

/// Names what OpenAI and its followers have no parameter for.
pub(super) fn drop_task(request: &EmbeddingRequest, dropped: &mut Dropped) {
    if request.task.is_some() {
        dropped.add("input_type");
    }
    if request.title.is_some() {
        dropped.add("title");
    }
}

fn encode_input(request: &EmbeddingRequest) -> Result<Input<'_>, RequestError> {
    let all: Option<Vec<&[u64]>> = request.inputs.iter().map(EmbeddingInput::tokens).collect();
    match all.filter(|all| !all.is_empty()) {
        Some(all) => Ok(Input::Tokens(all)),
        None => Ok(Input::Texts(super::texts(request)?)),
    }
}

/// An answer of OpenAI or of a server that follows it; vectors as numbers or as base64.
pub(super) fn decode(body: &[u8]) -> Result<EmbeddingResponse, String> {
    let mut answer: Answer = serde_json::from_slice(body).map_err(|error| error.to_string())?;
    let mut indexes: Vec<usize> = answer.data.iter().filter_map(|item| item.index).collect();
    indexes.sort_unstable();
    // Some servers leave all of them out; then the order is the given one, and a stable sort keeps it.
    if !indexes.is_empty() && !indexes.iter().copied().eq(0..answer.data.len()) {
        return Err("the indexes of its vectors are not each of 0 to their number once".to_owned());
    }
    answer.data.sort_by_key(|item| item.index.unwrap_or(0));
    Ok(EmbeddingResponse {
        model: answer.model.filter(|model| !model.is_empty()),
        vectors: answer.data.into_iter().map(|item| item.embedding).collect(),
        usage: usage_of(body, Quirks::NONE).or_else(|| total_only(body)),
    })
}

/// Some servers give the total alone; there is nothing but input.
fn total_only(body: &[u8]) -> Option<Usage> {
    #[derive(Deserialize)]
    struct Report {
        usage: Total,
    }
    #[derive(Deserialize)]
    struct Total {
        total_tokens: u64,
    }
    let report: Report = serde_json::from_slice(body).ok()?;
    Some(Usage { input: report.usage.total_tokens, ..Usage::default() })
}
