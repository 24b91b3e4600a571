//! One request between hyper and the handler: the permit, and what HTTP demands before anything looks
//! at the request's meaning.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::header::{CONNECTION, CONTENT_TYPE, HOST, RETRY_AFTER, TRANSFER_ENCODING};
use http::{HeaderMap, HeaderValue, Request, Response, StatusCode, Version};
use http_body::{Frame, SizeHint};
use hyper::body::Incoming;

use super::activity::{Activity, UnderWay};
use super::permit::{Permit, Permits};
use super::takeover::Takeover;
use super::{BoxError, Handler};
use crate::llm::{ApiError, ErrorKind, encode_error};
use crate::proxy::parse::dialect;

/// What a connection's requests share.
pub struct Service<H> {
    pub handler: Arc<H>,
    pub permits: Arc<Permits>,
    pub activity: Arc<Activity>,
    pub peer: SocketAddr,
}

impl<H: Handler> hyper::service::Service<Request<Incoming>> for Service<H> {
    type Response = Response<Body<H::Body>>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

    fn call(&self, request: Request<Incoming>) -> Self::Future {
        let under_way = self.activity.begin();
        let permit = self.permits.try_acquire();
        let handler = Arc::clone(&self.handler);
        let activity = Arc::clone(&self.activity);
        let peer = self.peer;
        Box::pin(async move {
            let Some(permit) = permit else {
                handler.overloaded();
                return Ok(overloaded(request.uri().path()));
            };
            if !has_one_host(&request) {
                return Ok(without_host(request.uri().path()));
            }
            let must_close = has_doubtful_length(&request);
            let mut response = handler.handle(request, peer).await;
            if response.status() == StatusCode::SWITCHING_PROTOCOLS {
                let takeover = response.extensions_mut().remove::<Takeover>();
                let taken = takeover.and_then(|takeover| takeover.hold((under_way, permit)));
                activity.take_over(taken);
                return Ok(response.map(|_| Body::Refused { body: None }));
            }
            if must_close {
                response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
            }
            if let Some(by) = H::deadline(response.body()) {
                activity.must_end(by);
            }
            Ok(response.map(|body| Body::Handled { body, _held: (under_way, permit) }))
        })
    }
}

/// Whether another hop may have seen another end of this request. hyper drops a Content-Length beside
/// Transfer-Encoding before anybody sees it, so every chunked request is the last of its connection
/// (RFC 9112 6.1: "the server MUST close the connection after responding to such a request").
fn has_doubtful_length(request: &Request<Incoming>) -> bool {
    request.version() < Version::HTTP_2 && request.headers().contains_key(TRANSFER_ENCODING)
}

/// Whether it is said once where the request goes (RFC 9112, 3.2): of two hosts the gateway and whoever
/// stands before it might each take another.
fn has_one_host(request: &Request<Incoming>) -> bool {
    let hosts = request.headers().get_all(HOST).iter().count();
    match request.version() {
        Version::HTTP_11 => hosts == 1,
        Version::HTTP_09 | Version::HTTP_10 => hosts <= 1,
        _ => true,
    }
}

fn without_host<B>(path: &str) -> Response<Body<B>> {
    let message = "a request has exactly one Host header: send the name that you connect to";
    let status = StatusCode::BAD_REQUEST;
    let error = ApiError::new(status, ErrorKind::InvalidRequest, "invalid_host", message);
    let mut response = refused(path, &error);
    response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    response
}

fn overloaded<B>(path: &str) -> Response<Body<B>> {
    let message = "the gateway has no capacity for another request now: try again shortly";
    let status = StatusCode::SERVICE_UNAVAILABLE;
    let error = ApiError::new(status, ErrorKind::Overloaded, "overloaded", message);
    let mut response = refused(path, &error);
    response.headers_mut().insert(RETRY_AFTER, HeaderValue::from_static("1"));
    response
}

fn refused<B>(path: &str, error: &ApiError) -> Response<Body<B>> {
    let dialect = dialect(path, &HeaderMap::new());
    let body = Some(encode_error(dialect, error, ""));
    let mut response = Response::new(Body::Refused { body });
    *response.status_mut() = error.status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

/// An answer's body, which keeps its request under way.
pub enum Body<B> {
    /// The handler's.
    Handled {
        /// What is sent.
        body: B,
        /// Dropped with the body.
        _held: (UnderWay, Permit),
    },
    /// The refusal of a request that did not reach the handler, or nothing.
    Refused {
        /// What is still to be sent.
        body: Option<Bytes>,
    },
}

impl<B> http_body::Body for Body<B>
where
    B: http_body::Body<Data = Bytes, Error: Into<BoxError>> + Unpin,
{
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        match &mut *self {
            Self::Handled { body, .. } => Pin::new(body).poll_frame(cx),
            Self::Refused { body } => Poll::Ready(body.take().map(|bytes| Ok(Frame::data(bytes)))),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Handled { body, .. } => body.is_end_stream(),
            Self::Refused { body } => body.is_none(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Handled { body, .. } => body.size_hint(),
            Self::Refused { body } => {
                SizeHint::with_exact(body.as_ref().map_or(0, |bytes| bytes.len() as u64))
            }
        }
    }
}
