//! The built-in Mock provider: an upstream inside the process that speaks OpenAI's dialect, gives the
//! same answer to the same request, and fails on demand by the model's name.
//!
//! It owns what is answered and in which rhythm. It must not open a socket, read a wall clock or draw a
//! random number: a test that fails once fails always.

use std::time::Duration;

use bytes::Bytes;
use http::header::{CACHE_CONTROL, CONTENT_TYPE, RETRY_AFTER};
use http::{HeaderValue, Response, StatusCode};
use serde_json::json;
use thiserror::Error;

mod answer;
mod behaviour;
mod body;
mod embedding;
mod encode;
mod plan;
mod request;
mod schema;
mod story;

pub use body::Body;

use crate::llm::{ApiError, Dialect, ErrorKind, encode_error};
use answer::Answer;
use behaviour::{Behaviour, Refusal};
use encode::Encoder;
use request::{ChatRequest, EmbeddingRequest};

/// The `created` of every answer, in seconds since the epoch: fixed, so that answers compare equal.
pub const CREATED: u64 = 1_700_000_000;

/// How the mocked connection failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum Fault {
    /// Nobody listens: no connection was made.
    #[error("connection refused by the mock provider")]
    Refused,
    /// The connection broke before the head of the answer.
    #[error("connection reset by the mock provider")]
    Reset,
    /// The connection broke inside the body.
    #[error("connection cut by the mock provider")]
    Cut,
}

/// Answers a request as the Mock provider would.
///
/// `path` is relative to the provider's base URL: `/chat/completions`, `/embeddings` or `/models`; all
/// others are answered 404. The future ends when the head of the answer is known: at once for a
/// stream, after the time it takes to generate for a whole answer. It must run in a tokio runtime
/// with timers.
///
/// # Errors
/// [`Fault::Refused`] and [`Fault::Reset`] where the model's name asks for them. [`Fault::Cut`] only
/// comes from the body.
pub async fn respond(path: &str, body: &Bytes) -> Result<Response<Body>, Fault> {
    let answered = match path {
        "/chat/completions" => chat(body).await,
        "/embeddings" => embeddings(body).await,
        "/models" => Ok(json_response(StatusCode::OK, models())),
        _ => Err(Failure::Error(not_found(path))),
    };
    match answered {
        Ok(response) => Ok(response),
        Err(Failure::Fault(fault)) => Err(fault),
        Err(Failure::Error(error)) => Ok(error_response(&error)),
    }
}

/// Why there is no answer.
enum Failure {
    Fault(Fault),
    Error(ApiError),
}

impl From<ApiError> for Failure {
    fn from(error: ApiError) -> Self {
        Self::Error(error)
    }
}

async fn chat(body: &Bytes) -> Result<Response<Body>, Failure> {
    let request = ChatRequest::parse(body)?;
    let behaviour = admitted(&request.model)?;
    let answer = Answer::new(&request, &behaviour);
    if request.is_stream() {
        let steps = plan::stream(&answer, &behaviour, request.includes_usage());
        let encoder = Encoder::new(request, answer, &behaviour);
        return Ok(stream_response(Body::stream(encoder, steps)));
    }
    if behaviour.fails_inside_stream() {
        return Err(behaviour::stream_error(StatusCode::INTERNAL_SERVER_ERROR).into());
    }
    pause(behaviour.whole_delay(answer.usage.completion)).await;
    let whole = Encoder::new(request, answer, &behaviour).whole();
    Ok(with_body(StatusCode::OK, Body::steps(plan::whole(whole, &behaviour))))
}

async fn embeddings(body: &Bytes) -> Result<Response<Body>, Failure> {
    let request = EmbeddingRequest::parse(body)?;
    let behaviour = admitted(&request.model)?;
    pause(behaviour.whole_delay(0)).await;
    let whole = embedding::answer(&request, &behaviour);
    Ok(with_body(StatusCode::OK, Body::steps(plan::whole(whole, &behaviour))))
}

/// The behaviour of a model that answers at all.
fn admitted(model: &str) -> Result<Behaviour, Failure> {
    let Some(behaviour) = Behaviour::of_model(model) else {
        return Err(unknown_model(model).into());
    };
    match behaviour.refusal {
        None => Ok(behaviour),
        Some(Refusal::Connection(fault)) => Err(Failure::Fault(fault)),
        Some(Refusal::Status(status)) => Err(Failure::Error(behaviour::status_error(status))),
    }
}

async fn pause(duration: Duration) {
    if !duration.is_zero() {
        tokio::time::sleep(duration).await;
    }
}

fn models() -> Bytes {
    let data: Vec<_> = behaviour::EXAMPLES
        .iter()
        .map(|id| json!({"id": id, "object": "model", "created": CREATED, "owned_by": "mock"}))
        .collect();
    Bytes::from(json!({"object": "list", "data": data}).to_string())
}

fn unknown_model(model: &str) -> ApiError {
    let names = behaviour::NAMES.join(", ");
    let mut error = ApiError::new(
        StatusCode::NOT_FOUND,
        ErrorKind::NotFound,
        "model_not_found",
        format!(
            "the mock provider has no behaviour {model:?}: use {names}, or join their suffixes"
        ),
    );
    error.param = Some("model".to_owned());
    error
}

fn not_found(path: &str) -> ApiError {
    let message = format!(
        "the mock provider does not serve {path}: use /chat/completions, /embeddings or /models"
    );
    ApiError::new(StatusCode::NOT_FOUND, ErrorKind::NotFound, "not_found", message)
}

fn error_response(error: &ApiError) -> Response<Body> {
    let body = encode_error(Dialect::OpenAi, error, "");
    let mut response = json_response(error.status, body);
    if error.status == StatusCode::TOO_MANY_REQUESTS {
        response.headers_mut().insert(RETRY_AFTER, HeaderValue::from_static("1"));
    }
    response
}

fn json_response(status: StatusCode, body: Bytes) -> Response<Body> {
    with_body(status, Body::whole(body))
}

fn with_body(status: StatusCode, body: Body) -> Response<Body> {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

fn stream_response(body: Body) -> Response<Body> {
    let mut response = Response::new(body);
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/event-stream; charset=utf-8"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    response
}

#[cfg(test)]
mod tests;
