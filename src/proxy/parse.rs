//! From bytes on the wire to a request that can be routed: path, method, media type, and the body
//! within its bounds.

use std::{borrow::Cow, time::Duration};

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, Method, StatusCode, Uri, header};
use http_body_util::BodyExt as _;
use tokio::time::Instant;

use crate::llm::{
    Boundary, BoundaryError, Called, Dialect, Endpoint, ErrorKind, endpoint, endpoint::decoded,
};
use crate::telemetry::brief;

use super::{Limits, respond::Rejection};

/// Bytes that are made room for on the word of `content-length` alone.
const MAX_ANNOUNCED: usize = 1 << 20;
/// Bytes of a refused request's body that are read for the caller's sake.
const MAX_DISCARD: usize = 64 << 20;
/// How long that may take, and how long the caller may be silent meanwhile.
const DISCARD_PATIENCE: Duration = Duration::from_secs(5);
const DISCARD_SILENCE: Duration = Duration::from_millis(500);

/// Where answers of Responses are asked for; what a provider keeps of them would lie below.
const RESPONSES: &str = "/v1/responses";

/// What a path of the data port asks for.
#[derive(Debug, Eq, PartialEq)]
pub enum Asked<'a> {
    /// A call of a model.
    Call(Called<'a>),
    /// The list of models.
    Models,
    /// One model of the list.
    Model(Cow<'a, str>),
}

/// Google's clients send their key in it.
const GOOGLE_KEY: &str = "x-goog-api-key";

/// The dialect in which a caller of this path expects errors.
pub fn dialect(path: &str, headers: &HeaderMap) -> Dialect {
    let messages = path == "/v1/messages" || path.starts_with("/v1/messages/");
    if path.ends_with("/rerank") {
        return Dialect::Cohere;
    }
    let models = path == "/v1/models" || path.starts_with("/v1/models/");
    // Behind a colon stands what is done with a model; OpenAI's and Anthropic's paths have none.
    let method = models && path.rsplit('/').next().is_some_and(is_method);
    if path.starts_with("/v1beta/") || method || (models && headers.contains_key(GOOGLE_KEY)) {
        return Dialect::Gemini;
    }
    match messages || (models && headers.contains_key("anthropic-version")) {
        true => Dialect::Anthropic,
        false if path == RESPONSES || is_kept_answer(path) => Dialect::Responses,
        false => Dialect::OpenAi,
    }
}

/// Whether the end of a path is `model:method`, of a method that Gemini knows.
fn is_method(segment: &str) -> bool {
    ["Content", "Contents", "Tokens"].iter().any(|ending| segment.ends_with(ending))
        && (segment.contains(':') || segment.contains("%3A") || segment.contains("%3a"))
}

/// Whether a path is that of an answer that a provider keeps.
fn is_kept_answer(path: &str) -> bool {
    path.strip_prefix(RESPONSES).is_some_and(|rest| rest.starts_with('/'))
}

fn not_kept() -> Rejection {
    let message = "answers cannot be looked up, cancelled or deleted here, for it is not known which \
                   provider keeps them: ask that provider, or send \"store\": false and keep the \
                   answer's items yourself";
    Rejection::refuse(StatusCode::NOT_FOUND, ErrorKind::NotFound, "response_not_found", message)
}

/// An endpoint of Responses that is no kept answer.
fn not_served(path: &str) -> Rejection {
    unknown(format!("{path} is not served here: of Responses there is only POST {RESPONSES}"))
}

fn unknown(message: String) -> Rejection {
    Rejection::refuse(StatusCode::NOT_FOUND, ErrorKind::NotFound, "unknown_path", message)
}

/// What is asked for.
///
/// # Errors
/// 404 for a path that does not exist, 405 for a method that it does not take.
pub fn asked<'a>(method: &Method, uri: &'a Uri) -> Result<Asked<'a>, Rejection> {
    let path = uri.path();
    let (asked, allowed, allow) = if let Some(called) = Called::read(path, uri.query()) {
        (Asked::Call(called), Method::POST, "POST")
    } else if matches!(path, "/v1/models" | "/v1beta/models") {
        (Asked::Models, Method::GET, "GET")
    } else if let Some(name) = unknown_method(method, path) {
        return Err(no_such_method(name));
    } else if let Some(id) = model_of(path) {
        (Asked::Model(decoded(id)), Method::GET, "GET")
    } else if matches!(path, "/v1/responses/input_tokens" | "/v1/responses/compact") {
        return Err(not_served(path));
    } else if is_kept_answer(path) {
        return Err(not_kept());
    } else {
        let paths = Endpoint::ALL.map(Endpoint::path).join(", ");
        return Err(unknown(format!("there is no such path here: use {paths} or /v1/models")));
    };
    if *method == allowed {
        return Ok(asked);
    }
    let mut rejection = Rejection::refuse(
        StatusCode::METHOD_NOT_ALLOWED,
        ErrorKind::InvalidRequest,
        "method_not_allowed",
        format!("this path takes {allow} only"),
    );
    rejection.allow = Some(allow);
    Err(rejection)
}

/// What stands behind the colon of a model that is not asked about but called.
fn unknown_method<'a>(method: &Method, path: &'a str) -> Option<&'a str> {
    let model = model_of(path).filter(|_| *method == Method::POST)?;
    let colon = model.rfind(':').map(|at| (at, 1));
    let encoded = model.rfind("%3A").max(model.rfind("%3a")).map(|at| (at, 3));
    let (at, length) = colon.max(encoded)?;
    model.get(at + length..)
}

fn no_such_method(name: &str) -> Rejection {
    let message = format!(
        "there is no method {:?} of a model here: use {}",
        brief(name),
        endpoint::methods()
    );
    Rejection::refuse(StatusCode::NOT_FOUND, ErrorKind::NotFound, "unknown_method", message)
}

/// The model of which `GET /v1/models/{id}` asks.
fn model_of(path: &str) -> Option<&str> {
    let rest = path.strip_prefix("/v1/").or_else(|| path.strip_prefix("/v1beta/"))?;
    rest.strip_prefix("models/").filter(|id| !id.is_empty())
}

/// What a body is.
#[derive(Debug, Eq, PartialEq)]
pub enum Media {
    /// JSON.
    Json,
    /// A form.
    Form(Boundary),
}

/// Makes sure that the body is what the endpoint takes, as it stands: JSON or a form.
///
/// # Errors
/// 415 for another media type or a compressed body, 400 for a form without a boundary.
pub fn check_media(endpoint: Endpoint, headers: &HeaderMap) -> Result<Media, Rejection> {
    let refuse = |message: &str| {
        let status = StatusCode::UNSUPPORTED_MEDIA_TYPE;
        Err(Rejection::refuse(status, ErrorKind::InvalidRequest, "unsupported_media_type", message))
    };
    if let Some(encoding) = headers.get(header::CONTENT_ENCODING)
        && !encoding.as_bytes().eq_ignore_ascii_case(b"identity")
    {
        return refuse("compressed request bodies are not taken: send it without content-encoding");
    }
    if endpoint.takes_form() {
        return form(headers);
    }
    match headers.get(header::CONTENT_TYPE) {
        Some(media) if !is_json(media.as_bytes()) => {
            refuse("the body must be JSON: send it with \"content-type: application/json\"")
        }
        _ => Ok(Media::Json),
    }
}

/// The boundary of a form.
fn form(headers: &HeaderMap) -> Result<Media, Rejection> {
    let given = headers.get(header::CONTENT_TYPE).map_or(&b""[..], |value| value.as_bytes());
    let error = match Boundary::read(given) {
        Ok(boundary) => return Ok(Media::Form(boundary)),
        Err(error) => error,
    };
    let (status, code) = match error {
        BoundaryError::MediaType => (StatusCode::UNSUPPORTED_MEDIA_TYPE, "unsupported_media_type"),
        BoundaryError::Missing | BoundaryError::Malformed => {
            (StatusCode::BAD_REQUEST, "invalid_form")
        }
    };
    let message = format!(
        "the body must be a form with \"content-type: multipart/form-data; boundary=...\": {error}"
    );
    Err(Rejection::refuse(status, ErrorKind::InvalidRequest, code, message))
}

fn is_json(media: &[u8]) -> bool {
    let essence = media.split(|byte| *byte == b';').next().unwrap_or_default().trim_ascii();
    let ends_in_json =
        essence.len() > 5 && essence[essence.len() - 5..].eq_ignore_ascii_case(b"+json");
    essence.eq_ignore_ascii_case(b"application/json") || ends_in_json
}

/// Reads the body.
///
/// # Errors
/// 413 beyond the bound, 408 if the caller falls silent or takes too long in all, [`Rejection::gone`] if it leaves.
pub async fn collect<B>(
    headers: &HeaderMap,
    body: &mut B,
    limits: &Limits,
) -> Result<Bytes, Rejection>
where
    B: http_body::Body<Data = Bytes> + Unpin,
{
    let announced = headers.get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok());
    let announced = announced.and_then(|text| text.parse().ok()).unwrap_or(0);
    if announced > limits.max_body {
        return Err(too_large(limits.max_body));
    }
    let mut first = Bytes::new();
    let mut whole = BytesMut::new();
    // Only a body in several pieces is worth a look at the clock.
    let mut started = None;
    while !body.is_end_stream() {
        let frame = tokio::time::timeout(limits.body_idle, body.frame()).await;
        let Some(frame) = frame.map_err(|_| silent(limits.body_idle))? else { break };
        // Trailers mean nothing here.
        let Ok(data) = frame.map_err(|_| Rejection::gone())?.into_data() else { continue };
        if first.len() + whole.len() + data.len() > limits.max_body {
            return Err(too_large(limits.max_body));
        }
        if !body.is_end_stream()
            && started.get_or_insert_with(Instant::now).elapsed() >= limits.body_total
        {
            return Err(slow(limits.body_total));
        }
        // Most bodies come in one piece, which then needs no copy.
        if first.is_empty() && whole.is_empty() {
            first = data;
            continue;
        }
        if !first.is_empty() {
            whole.reserve(announced.min(MAX_ANNOUNCED));
            whole.extend_from_slice(&std::mem::take(&mut first));
        }
        whole.extend_from_slice(&data);
    }
    Ok(if whole.is_empty() { first } else { whole.freeze() })
}

/// A body that may be answered before it is read. Many clients read no answer until they have sent
/// everything: closing the connection on them would hide the error from them.
pub struct Unread<B> {
    /// The body.
    pub body: B,
    /// The caller waits to be told before it sends (RFC 9110, 10.1.1).
    waits: bool,
}

impl<B: http_body::Body<Data = Bytes> + Unpin> Unread<B> {
    /// The body of a request with these headers.
    pub fn new(headers: &HeaderMap, body: B) -> Self {
        Self { body, waits: headers.contains_key(header::EXPECT) }
    }

    /// Reads what is left and throws it away, within bounds.
    pub async fn discard(mut self) {
        if self.waits {
            return;
        }
        let rest = async {
            let mut left = MAX_DISCARD;
            while left > 0
                && !self.body.is_end_stream()
                && let Ok(Some(Ok(frame))) =
                    tokio::time::timeout(DISCARD_SILENCE, self.body.frame()).await
            {
                left = left.saturating_sub(frame.data_ref().map_or(1, Bytes::len));
            }
        };
        // Whether it came to its end makes no difference to the answer.
        let _ = tokio::time::timeout(DISCARD_PATIENCE, rest).await;
    }
}

fn too_large(bound: usize) -> Rejection {
    Rejection::refuse(
        StatusCode::PAYLOAD_TOO_LARGE,
        ErrorKind::TooLarge,
        "request_too_large",
        format!("the request body is larger than {bound} bytes: send less"),
    )
}

fn silent(bound: Duration) -> Rejection {
    let bound = bound.as_secs();
    late(format!("nothing more of the request body came for {bound} s: send it again"))
}

fn slow(bound: Duration) -> Rejection {
    let bound = bound.as_secs();
    late(format!("the request body took more than {bound} s to come: send less, or faster"))
}

fn late(message: String) -> Rejection {
    let status = StatusCode::REQUEST_TIMEOUT;
    Rejection::refuse(status, ErrorKind::Timeout, "request_timeout", message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_and_methods_are_told_apart() {
        for (path, id) in
            [("a/b", "a/b"), ("a%2Fb%3a%F0%9F%98%80", "a/b:😀"), ("100%", "100%"), ("%ff", "%ff")]
        {
            let uri: Uri = format!("/v1/models/{path}").parse().unwrap();
            assert_eq!(asked(&Method::GET, &uri).unwrap(), Asked::Model(id.into()));
        }
        let get = |path: &'static str| asked(&Method::GET, &Uri::from_static(path)).unwrap_err();
        assert_eq!(get("/v1/chat").error.status, 404);
        for kept in ["/v1/responses/resp_1", "/v1/responses/resp_1/cancel"] {
            let error = get(kept).error;
            assert_eq!((error.status.as_u16(), error.code.as_ref()), (404, "response_not_found"));
        }
        assert_eq!(get("/v1/responses").error.status, 405);
        let post = |path: &'static str| asked(&Method::POST, &Uri::from_static(path)).unwrap_err();
        for path in ["/v1/responses/input_tokens", "/v1/responses/compact"] {
            let error = post(path).error;
            assert_eq!((error.status.as_u16(), error.code.as_ref()), (404, "unknown_path"));
            assert!(error.message.contains(path), "{}", error.message);
        }
        for path in ["/v1beta/models/m:foo", "/v1/models/a%2Fb%3Afoo", "/v1beta/models/m:foo?key=x"]
        {
            let error = post(path).error;
            assert_eq!((error.status.as_u16(), error.code.as_ref()), (404, "unknown_method"));
            let named = error.message.contains("\"foo\"") && error.message.contains("countTokens");
            assert!(named && !error.message.contains("key"), "{}", error.message);
        }
        assert_eq!(post("/v1/models/m").error.status, 405);
        let wrong = get("/v1/embeddings");
        assert_eq!((wrong.error.status.as_u16(), wrong.allow), (405, Some("POST")));
    }

    #[test]
    fn the_path_decides_the_dialect() {
        let mut headers = HeaderMap::new();
        assert_eq!(dialect("/v1/messages/count_tokens", &headers), Dialect::Anthropic);
        assert_eq!(dialect("/v1/models", &headers), Dialect::OpenAi);
        headers.insert("anthropic-version", "2023-06-01".parse().unwrap());
        assert_eq!(dialect("/v1/models", &headers), Dialect::Anthropic);
        assert_eq!(dialect("/v1/chat/completions", &headers), Dialect::OpenAi);
        assert_eq!(dialect("/v1/responses", &headers), Dialect::Responses);
        assert_eq!(dialect("/v1/responses/resp_1", &headers), Dialect::Responses);
    }

    /// A body that comes in pieces of one byte.
    struct Drips(usize);

    impl http_body::Body for Drips {
        type Data = Bytes;
        type Error = std::convert::Infallible;

        fn poll_frame(
            mut self: std::pin::Pin<&mut Self>,
            _: &mut std::task::Context<'_>,
        ) -> std::task::Poll<Option<Result<http_body::Frame<Bytes>, Self::Error>>> {
            let Some(left) = self.0.checked_sub(1) else { return std::task::Poll::Ready(None) };
            self.0 = left;
            std::task::Poll::Ready(Some(Ok(http_body::Frame::data(Bytes::from_static(b"x")))))
        }

        fn is_end_stream(&self) -> bool {
            self.0 == 0
        }
    }

    #[tokio::test]
    async fn a_body_that_drips_for_too_long_is_refused() {
        let headers = HeaderMap::new();
        let limits = Limits::default();
        assert_eq!(collect(&headers, &mut Drips(9), &limits).await.unwrap().len(), 9);
        let limits = Limits { body_total: Duration::ZERO, ..limits };
        assert_eq!(collect(&headers, &mut Drips(1), &limits).await.unwrap().len(), 1);
        let late = collect(&headers, &mut Drips(2), &limits).await.unwrap_err();
        assert_eq!((late.error.status.as_u16(), &*late.error.code), (408, "request_timeout"));
    }

    #[test]
    fn only_plain_json_is_taken() {
        let with = |name: &'static str, value: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(name, value.parse().unwrap());
            check_media(Endpoint::Messages, &headers).is_ok()
        };
        for media in ["application/json", "Application/JSON; charset=utf-8", "application/x+json"] {
            assert!(with("content-type", media), "{media}");
        }
        assert!(!with("content-type", "application/x-www-form-urlencoded"));
        assert!(!with("content-encoding", "gzip"));
        assert!(check_media(Endpoint::Messages, &HeaderMap::new()).is_ok());
        assert!(check_media(Endpoint::Translations, &HeaderMap::new()).is_err());
    }
}
