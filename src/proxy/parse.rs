//! From bytes on the wire to a request that can be routed: path, method, media type, and the body
//! within its bounds.

use std::{borrow::Cow, time::Duration};

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, Method, StatusCode, header};
use http_body_util::BodyExt as _;
use tokio::time::Instant;

use crate::llm::{Dialect, Endpoint, ErrorKind};

use super::{Limits, respond::Rejection};

/// Bytes of a refused request's body that are read for the caller's sake.
const MAX_DISCARD: usize = 64 << 20;
/// How long that may take, and how long the caller may be silent meanwhile.
const DISCARD_PATIENCE: Duration = Duration::from_secs(5);
const DISCARD_SILENCE: Duration = Duration::from_millis(500);

/// What a path of the data port asks for.
#[derive(Debug, Eq, PartialEq)]
pub enum Asked<'a> {
    /// A call of a model.
    Call(Endpoint),
    /// The list of models.
    Models,
    /// One model of the list.
    Model(Cow<'a, str>),
}

/// The dialect in which a caller of this path expects errors.
pub fn dialect(path: &str, headers: &HeaderMap) -> Dialect {
    let messages = path == "/v1/messages" || path.starts_with("/v1/messages/");
    let models = path == "/v1/models" || path.starts_with("/v1/models/");
    match messages || (models && headers.contains_key("anthropic-version")) {
        true => Dialect::Anthropic,
        false => Dialect::OpenAi,
    }
}

/// What is asked for.
///
/// # Errors
/// 404 for a path that does not exist, 405 for a method that it does not take.
pub fn asked<'a>(method: &Method, path: &'a str) -> Result<Asked<'a>, Rejection> {
    let (asked, allowed, allow) = if let Some(endpoint) = Endpoint::from_path(path) {
        (Asked::Call(endpoint), Method::POST, "POST")
    } else if path == "/v1/models" {
        (Asked::Models, Method::GET, "GET")
    } else if let Some(id) = path.strip_prefix("/v1/models/").filter(|id| !id.is_empty()) {
        (Asked::Model(decoded(id)), Method::GET, "GET")
    } else {
        let paths = Endpoint::ALL.map(Endpoint::path).join(", ");
        let message = format!("there is no such path here: use {paths} or /v1/models");
        return Err(Rejection::refuse(
            StatusCode::NOT_FOUND,
            ErrorKind::NotFound,
            "unknown_path",
            message,
        ));
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

/// A part of a path without its percent-encoding (RFC 3986, 2.1): SDKs encode the slash of `a/b`.
fn decoded(part: &str) -> Cow<'_, str> {
    if !part.contains('%') {
        return part.into();
    }
    let mut bytes = Vec::with_capacity(part.len());
    let mut rest = part.as_bytes();
    while let Some((&first, after)) = rest.split_first() {
        let escaped = match (first, after) {
            (b'%', [high, low, ..]) => hex(*high).zip(hex(*low)),
            _ => None,
        };
        let (byte, read) = escaped.map_or((first, 0), |(high, low)| (high << 4 | low, 2));
        bytes.push(byte);
        rest = after.get(read..).unwrap_or_default();
    }
    // What is not text names no model.
    String::from_utf8(bytes).map_or(part.into(), Cow::Owned)
}

fn hex(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).and_then(|digit| u8::try_from(digit).ok())
}

/// Makes sure that the body is JSON as it stands.
///
/// # Errors
/// 415 for another media type or a compressed body.
pub fn check_media(headers: &HeaderMap) -> Result<(), Rejection> {
    let refuse = |message: &str| {
        let status = StatusCode::UNSUPPORTED_MEDIA_TYPE;
        Err(Rejection::refuse(status, ErrorKind::InvalidRequest, "unsupported_media_type", message))
    };
    if let Some(encoding) = headers.get(header::CONTENT_ENCODING)
        && !encoding.as_bytes().eq_ignore_ascii_case(b"identity")
    {
        return refuse("compressed request bodies are not taken: send it without content-encoding");
    }
    match headers.get(header::CONTENT_TYPE) {
        Some(media) if !is_json(media.as_bytes()) => {
            refuse("the body must be JSON: send it with \"content-type: application/json\"")
        }
        _ => Ok(()),
    }
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
    if announced.and_then(|text| text.parse().ok()).is_some_and(|n: usize| n > limits.max_body) {
        return Err(too_large(limits.max_body));
    }
    let mut first = Bytes::new();
    let mut rest = BytesMut::new();
    // Only a body in several pieces is worth a look at the clock.
    let mut started = None;
    while !body.is_end_stream() {
        let frame = tokio::time::timeout(limits.body_idle, body.frame()).await;
        let Some(frame) = frame.map_err(|_| silent(limits.body_idle))? else { break };
        // Trailers mean nothing here.
        let Ok(data) = frame.map_err(|_| Rejection::gone())?.into_data() else { continue };
        if first.len() + rest.len() + data.len() > limits.max_body {
            return Err(too_large(limits.max_body));
        }
        if !body.is_end_stream()
            && started.get_or_insert_with(Instant::now).elapsed() >= limits.body_total
        {
            return Err(slow(limits.body_total));
        }
        // Most bodies come in one piece, which then needs no copy.
        match first.is_empty() {
            true => first = data,
            false => rest.extend_from_slice(&data),
        }
    }
    Ok(if rest.is_empty() { first } else { [first, rest.freeze()].concat().into() })
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
            let path = format!("/v1/models/{path}");
            assert_eq!(asked(&Method::GET, &path).unwrap(), Asked::Model(id.into()));
        }
        assert_eq!(asked(&Method::GET, "/v1/chat").unwrap_err().error.status, 404);
        let wrong = asked(&Method::GET, "/v1/embeddings").unwrap_err();
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
            check_media(&headers).is_ok()
        };
        for media in ["application/json", "Application/JSON; charset=utf-8", "application/x+json"] {
            assert!(with("content-type", media), "{media}");
        }
        assert!(!with("content-type", "application/x-www-form-urlencoded"));
        assert!(!with("content-encoding", "gzip"));
        assert!(check_media(&HeaderMap::new()).is_ok());
    }
}
