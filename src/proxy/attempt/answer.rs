//! Reads a provider's answer up to the point from which it can be sent: to its end if it is whole, to
//! its first content if it is a stream.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode, header};
use tokio::time::{Instant, timeout_at};

use crate::{
    llm::{ApiError, ErrorKind, StreamTranslator, WholeResponse, codec::Framing, error::errors},
    snapshot::Target,
};

use super::{
    super::{
        body::{Form, Opened},
        quotable::Quotable,
        select::Candidate,
        upstream::UpstreamBody,
    },
    Answer, Call, Content, Failure,
};

/// Largest whole answer, in bytes: 2,048 embeddings of 3,072 numbers in decimals.
const MAX_ANSWER: usize = 128 << 20;
/// Bytes of an error answer that are read for its message.
const MAX_ERROR: usize = 64 << 10;
/// How long an error answer may take to come.
const ERROR_PATIENCE: Duration = Duration::from_secs(5);
/// Frames without content that are held back at most.
const MAX_HELD_FRAMES: u32 = 64;
/// Bytes without content that are held back at most.
const MAX_HELD_BYTES: usize = 256 << 10;
/// What the record says of a whole answer that stops midway.
const SILENT: &str = "it was silent for longer than timeouts.idle";
/// Headers in which providers put their id of the request.
const UPSTREAM_IDS: [HeaderName; 4] = [
    HeaderName::from_static("x-request-id"),
    HeaderName::from_static("request-id"),
    HeaderName::from_static("apim-request-id"),
    HeaderName::from_static("x-amzn-requestid"),
];

/// Reads an answer. `by`: when the first content must be there.
pub async fn read(
    call: &Call,
    candidate: &Candidate,
    response: Response<UpstreamBody>,
    by: Instant,
) -> Result<Answer, Failure> {
    let (head, body) = response.into_parts();
    let target = &candidate.target;
    if !head.status.is_success() {
        let response = Response::from_parts(head, body);
        return Err(Box::pin(error_answer(candidate, response, call.deadline)).await);
    }
    let encoding = head.headers.get(header::CONTENT_ENCODING);
    if encoding.is_some_and(|encoding| encoding != "identity") {
        let detail = "the answer is compressed, which was not asked for".to_owned();
        return Err(Failure::malformed(target, detail));
    }
    let is_stream = is_stream(&head.headers, candidate.translator.framing());
    let work = call.endpoint.work();
    let is_opaque = work.is_opaque();
    // What is no JSON must say that it is events, or it would be read as such.
    let names_media = head.headers.contains_key(header::CONTENT_TYPE);
    let is_stream = is_stream && (names_media || !is_opaque);
    let content = if is_stream && (call.stream || is_opaque) {
        let translator = candidate.translator.stream(&call.peek, &call.context);
        let form = Form::Frames(call.context.form);
        let opening = Opening { body, translator, form, by };
        open(call, target, opening).await.map(Content::Stream)
    } else if is_opaque {
        let translator = candidate.translator.opaque(&call.body, &call.peek);
        let form = Form::Opaque(head.headers.get(header::CONTENT_TYPE).cloned());
        let opening = Opening { body, translator, form, by };
        open(call, target, opening).await.map(Content::Stream)
    } else {
        whole(call, candidate, body, by).await.map(Content::Whole)
    };
    let content = content.map_err(|failure| failure.beside(&head.headers))?;
    let upstream_id = upstream_id(&head.headers);
    Ok(Answer { upstream_id, dropped: Vec::new(), content, flight: None })
}

/// Reads a whole answer.
async fn whole(
    call: &Call,
    candidate: &Candidate,
    mut body: UpstreamBody,
    by: Instant,
) -> Result<WholeResponse, Failure> {
    let target = &candidate.target;
    let bytes = collect(&mut body, call, target, by).await?;
    let whole = candidate
        .translator
        .response(&bytes, &call.context)
        .map_err(|error| Failure::whole(target, error))?;
    if call.stream {
        let detail = "a whole answer came instead of a stream".to_owned();
        return Err(Failure::malformed(target, detail));
    }
    let generates = call.endpoint.work().generates_text();
    if generates && whole.output_bytes == 0 && whole.finish_reason.is_none() {
        return Err(Failure::empty(target));
    }
    Ok(whole)
}

/// Providers that name no media type are given the benefit of the doubt.
fn is_stream(headers: &HeaderMap, framing: Framing) -> bool {
    headers.get(header::CONTENT_TYPE).is_none_or(|media| {
        let essence = media.as_bytes().split(|byte| *byte == b';').next().unwrap_or_default();
        let essence = essence.trim_ascii();
        framing.media_types().iter().any(|known| essence.eq_ignore_ascii_case(known.as_bytes()))
    })
}

/// The provider's own id of the request.
pub fn upstream_id(headers: &HeaderMap) -> Option<HeaderValue> {
    UPSTREAM_IDS.iter().find_map(|name| headers.get(name)).cloned()
}

/// An answer begins until `first_by`, and one that has begun may not be silent for longer than a
/// stream. White space does not begin one: providers send it, or nothing at all, while their model
/// thinks.
async fn collect(
    body: &mut UpstreamBody,
    call: &Call,
    target: &Target,
    first_by: Instant,
) -> Result<Bytes, Failure> {
    let mut first = Bytes::new();
    let mut rest = BytesMut::new();
    let (deadline, idle) = (call.deadline, call.route.timeouts.idle);
    let mut has_begun = false;
    loop {
        let by = if has_begun { deadline.min(Instant::now() + idle) } else { first_by };
        let next = timeout_at(by, body.data()).await;
        let next = next.map_err(|_| match has_begun && by < deadline {
            true => Failure::cut_off(target, SILENT.to_owned()),
            false => Failure::late(target, by >= deadline),
        })?;
        has_begun |= matches!(&next, Some(Ok(data)) if !data.trim_ascii().is_empty());
        match next {
            None => break,
            Some(Err(detail)) => return Err(Failure::cut_off(target, detail)),
            Some(Ok(data)) if first.is_empty() => first = data,
            Some(Ok(data)) => {
                if first.len() + rest.len() + data.len() > MAX_ANSWER {
                    let detail = format!("the answer is larger than {MAX_ANSWER} bytes");
                    return Err(Failure::malformed(target, detail));
                }
                if rest.is_empty() {
                    rest.extend_from_slice(&first);
                }
                rest.extend_from_slice(&data);
            }
        }
    }
    Ok(if rest.is_empty() { first } else { rest.freeze() })
}

/// A stream of which nothing has been read.
struct Opening {
    body: UpstreamBody,
    translator: Box<dyn StreamTranslator>,
    form: Form,
    /// When its first content must be there.
    by: Instant,
}

/// Reads a stream until it has content. What is read is held: nothing has been sent to the caller
/// yet, so any fault up to here can be made good by another target.
async fn open(call: &Call, target: &Target, opening: Opening) -> Result<Opened, Failure> {
    let Opening { body: mut upstream, mut translator, form, by } = opening;
    let (mut held, mut bytes) = (Vec::new(), 0);
    loop {
        let next = timeout_at(by, upstream.data()).await;
        let ended = match next.map_err(|_| Failure::late(target, by >= call.deadline))? {
            Some(Ok(data)) => {
                bytes += data.len();
                translator.push(data, &mut held).map_err(|fault| Failure::stream(target, fault))?;
                false
            }
            Some(Err(detail)) => return Err(Failure::cut_off(target, detail)),
            None => {
                translator.finish(&mut held).map_err(|fault| Failure::stream(target, fault))?;
                true
            }
        };
        let progress = translator.progress();
        let has_content = progress.content || progress.finish_reason.is_some();
        if !has_content && (ended || progress.terminated) {
            return Err(Failure::empty(target));
        }
        let is_full = progress.frames > MAX_HELD_FRAMES || bytes > MAX_HELD_BYTES;
        if has_content || ended || is_full {
            let quotable = Quotable::default();
            return Ok(Opened { upstream, translator, held, ended, form, quotable });
        }
    }
}

/// Reads an error answer, not beyond `deadline`. The client's own connection pool follows no redirect, so that one is an
/// error too.
pub async fn error_answer(
    candidate: &Candidate,
    response: Response<UpstreamBody>,
    deadline: Instant,
) -> Failure {
    let (head, mut body) = response.into_parts();
    let (status, headers) = (head.status, &head.headers);
    if status.is_informational() {
        let detail = format!("HTTP {}, which nobody asked for", status.as_u16());
        return Failure::malformed(&candidate.target, detail);
    }
    if status.is_redirection() {
        let message = format!(
            "the provider of target {} answered with a redirect (HTTP {}), which is not followed: \
             its endpoint in AIProvider {} must be the final address",
            candidate.target.name,
            status.as_u16(),
            candidate.target.provider.name,
        );
        let code = "upstream_redirect";
        let error = ApiError::new(StatusCode::BAD_GATEWAY, ErrorKind::Upstream, code, message);
        return Failure::status(&candidate.target.provider, status, error, headers);
    }
    let by = (Instant::now() + ERROR_PATIENCE).min(deadline);
    let mut text = BytesMut::new();
    while text.len() < MAX_ERROR
        && let Ok(Some(Ok(data))) = timeout_at(by, body.data()).await
    {
        text.extend_from_slice(&data);
    }
    text.truncate(MAX_ERROR);
    let codec = errors(candidate.translator.upstream());
    let error = codec.decode(status, headers, &text);
    let mut failure = Failure::status(&candidate.target.provider, status, error, headers);
    failure.retry_after = failure.retry_after.or_else(|| codec.retry_after(&text));
    failure
}
