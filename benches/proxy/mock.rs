//! The mock upstream: answers OpenAI chat completions and Anthropic messages, whole or streamed,
//! as fast as one thread can. `GET /ctl?chunks=100&delay_us=20000&size=500` sets what follows.
//! It reads as little of a request as it can and must never be the bottleneck.

mod payload;

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::Result;
use futures_util::stream;
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt as _, Full, StreamBody};
use hyper::body::{Bytes, Frame, Incoming};
use hyper::service::service_fn;
use hyper::{Request, Response, header};
use hyper_util::rt::{TokioIo, TokioTimer};
use parking_lot::RwLock;
use tokio::net::TcpListener;
use tokio::time::Instant;

use payload::Dialect;

type ResponseBody = UnsyncBoxBody<Bytes, Infallible>;

/// What `/ctl` sets; read once per request.
#[derive(Debug)]
struct Controls {
    /// Content chunks of a stream.
    chunks: AtomicU64,
    /// Time between two chunks, in microseconds; 0 sends them in one burst.
    delay_us: AtomicU64,
    /// The whole answers, OpenAI's then Anthropic's, rebuilt when their size is set.
    answers: RwLock<[Bytes; 2]>,
}

/// Length of a whole answer until `/ctl` says otherwise, in bytes.
const DEFAULT_SIZE: usize = 500;

/// Serves on `listen` until it is killed.
///
/// # Errors
/// The address cannot be bound.
pub fn run(listen: SocketAddr) -> Result<()> {
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(serve(listen))
}

async fn serve(listen: SocketAddr) -> Result<()> {
    let controls = Arc::new(Controls {
        chunks: AtomicU64::new(100),
        delay_us: AtomicU64::new(0),
        answers: RwLock::new(answers(DEFAULT_SIZE)),
    });
    let listener = TcpListener::bind(listen).await?;
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        let controls = Arc::clone(&controls);
        tokio::spawn(async move {
            let service = service_fn(move |request| answer(Arc::clone(&controls), request));
            // A caller that leaves is not an error here.
            let _ = hyper::server::conn::http1::Builder::new()
                .timer(TokioTimer::new())
                .serve_connection(TokioIo::new(stream), service)
                .await;
        });
    }
}

async fn answer(
    controls: Arc<Controls>,
    request: Request<Incoming>,
) -> Result<Response<ResponseBody>, Infallible> {
    let path = request.uri().path();
    if path == "/ctl" {
        controls.set(request.uri().query().unwrap_or_default());
        return Ok(whole(Bytes::from_static(b"{}")));
    }
    let dialect = if path.ends_with("/messages") { Dialect::Anthropic } else { Dialect::OpenAi };
    let body = request.into_body().collect().await.map(|body| body.to_bytes()).unwrap_or_default();
    Ok(if has(&body, b"\"stream\":true") {
        streamed(&controls, dialect, has(&body, b"include_usage"))
    } else {
        let answers = controls.answers.read();
        whole(answers[usize::from(dialect == Dialect::Anthropic)].clone())
    })
}

impl Controls {
    fn set(&self, query: &str) {
        for (key, value) in query.split('&').filter_map(|pair| pair.split_once('=')) {
            let Ok(value) = value.parse() else { continue };
            match key {
                "chunks" => self.chunks.store(value, Ordering::Relaxed),
                "delay_us" => self.delay_us.store(value, Ordering::Relaxed),
                "size" => {
                    let size = usize::try_from(value).unwrap_or(DEFAULT_SIZE);
                    *self.answers.write() = answers(size);
                }
                _ => {}
            }
        }
    }
}

fn answers(size: usize) -> [Bytes; 2] {
    [Dialect::OpenAi, Dialect::Anthropic].map(|dialect| payload::whole(dialect, size))
}

fn has(body: &[u8], text: &[u8]) -> bool {
    // Our requests put these fields behind the messages: look from the end.
    memchr::memmem::rfind(body, text).is_some()
}

fn whole(body: Bytes) -> Response<ResponseBody> {
    let mut response = Response::new(Full::new(body).boxed_unsync());
    let json = header::HeaderValue::from_static("application/json");
    response.headers_mut().insert(header::CONTENT_TYPE, json);
    response
}

fn streamed(controls: &Controls, dialect: Dialect, usage: bool) -> Response<ResponseBody> {
    let chunks = controls.chunks.load(Ordering::Relaxed);
    let delay = Duration::from_micros(controls.delay_us.load(Ordering::Relaxed));
    let begun = Instant::now();
    let frames = stream::unfold(0_u64, move |index| async move {
        if index > chunks + 1 {
            return None;
        }
        if !delay.is_zero() && index > 0 {
            let due = delay.checked_mul(u32::try_from(index).unwrap_or(u32::MAX));
            tokio::time::sleep_until(begun + due.unwrap_or(delay)).await;
        }
        let text = match index {
            0 => payload::opening(dialect),
            n if n <= chunks => payload::content(dialect),
            _ => payload::closing(dialect, usage),
        };
        Some((Ok(Frame::data(Bytes::from_static(text.as_bytes()))), index + 1))
    });
    let mut response = Response::new(StreamBody::new(frames).boxed_unsync());
    let sse = header::HeaderValue::from_static("text/event-stream; charset=utf-8");
    response.headers_mut().insert(header::CONTENT_TYPE, sse);
    response
}
