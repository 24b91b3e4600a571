//! A server with a toy handler, and a raw client for it.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context as TaskContext, Poll};

use bytes::Bytes;
use http::{Request, Response};
use http_body::{Frame, SizeHint};
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use parking_lot::Mutex;
use sluice::proxy::server::{
    Context, DrainSignal, DrainWait, Handler, Listener, ServerLimits, Tls, serve,
};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// `/stream` streams what the test sends; all other paths answer the length of the request's body.
pub struct Toy {
    pub calls: AtomicUsize,
    pub refused: AtomicUsize,
    streams: Mutex<Vec<mpsc::UnboundedReceiver<Bytes>>>,
    drain: DrainSignal,
    peeks: mpsc::UnboundedSender<()>,
}

pub enum ToyBody {
    Whole(Option<Bytes>),
    Stream {
        source: mpsc::UnboundedReceiver<Bytes>,
        expired: DrainWait,
        ended: bool,
        dropped: mpsc::UnboundedSender<()>,
    },
}

impl Drop for ToyBody {
    fn drop(&mut self) {
        if let Self::Stream { dropped, .. } = self {
            let _ = dropped.send(());
        }
    }
}

impl http_body::Body for ToyBody {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut TaskContext<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        match &mut *self {
            Self::Whole(bytes) => Poll::Ready(bytes.take().map(|bytes| Ok(Frame::data(bytes)))),
            Self::Stream { ended: true, .. } => Poll::Ready(None),
            Self::Stream { source, expired, ended, .. } => match source.poll_recv(cx) {
                Poll::Ready(bytes) => Poll::Ready(bytes.map(|bytes| Ok(Frame::data(bytes)))),
                Poll::Pending if Pin::new(expired).poll(cx).is_ready() => {
                    *ended = true;
                    Poll::Ready(Some(Ok(Frame::data(Bytes::from_static(b"last words")))))
                }
                Poll::Pending => Poll::Pending,
            },
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Whole(Some(bytes)) => SizeHint::with_exact(bytes.len() as u64),
            Self::Whole(None) => SizeHint::with_exact(0),
            Self::Stream { .. } => SizeHint::default(),
        }
    }
}

impl Handler for Toy {
    type Body = ToyBody;

    async fn handle(
        self: &Arc<Self>,
        request: Request<Incoming>,
        _peer: SocketAddr,
    ) -> Response<ToyBody> {
        self.calls.fetch_add(1, Ordering::SeqCst);
        if request.uri().path() == "/stream" {
            let source = self.streams.lock().pop().unwrap();
            let (expired, dropped) = (self.drain.expired(), self.peeks.clone());
            return Response::new(ToyBody::Stream { source, expired, ended: false, dropped });
        }
        let length = request.into_body().collect().await.map_or(0, |body| body.to_bytes().len());
        Response::new(ToyBody::Whole(Some(Bytes::from(format!("read {length}")))))
    }

    fn overloaded(&self) {
        self.refused.fetch_add(1, Ordering::SeqCst);
    }
}

pub struct Server {
    pub address: SocketAddr,
    pub context: Context,
    pub toy: Arc<Toy>,
    /// One message for each stream's body that was dropped.
    pub dropped: mpsc::UnboundedReceiver<()>,
    pub done: JoinHandle<()>,
}

impl Server {
    pub fn start(limits: ServerLimits) -> Self {
        Self::start_tls(limits, None)
    }

    pub fn start_tls(limits: ServerLimits, tls: Option<Arc<Tls>>) -> Self {
        let drain = DrainSignal::new();
        let context = Context::new(limits, drain.clone(), CancellationToken::new());
        let (peeks, dropped) = mpsc::unbounded_channel();
        let (calls, refused) = (AtomicUsize::new(0), AtomicUsize::new(0));
        let toy = Arc::new(Toy { calls, refused, streams: Mutex::default(), drain, peeks });
        let listener = Listener::bind("test", ([127, 0, 0, 1], 0).into(), tls).unwrap();
        let address = listener.address();
        let done = tokio::spawn(serve(listener, Arc::clone(&toy), context.clone()));
        Self { address, context, toy, dropped, done }
    }

    /// What the next request for `/stream` will stream.
    pub fn stream(&self) -> mpsc::UnboundedSender<Bytes> {
        let (sender, source) = mpsc::unbounded_channel();
        self.toy.streams.lock().push(source);
        sender
    }

    pub fn calls(&self) -> usize {
        self.toy.calls.load(Ordering::SeqCst)
    }

    pub async fn client(&self) -> Client {
        Client { socket: TcpStream::connect(self.address).await.unwrap(), read: Vec::new() }
    }
}

/// Bytes out, bytes in.
pub struct Client {
    pub socket: TcpStream,
    read: Vec<u8>,
}

impl Client {
    pub async fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.socket.write_all(bytes.as_ref()).await.unwrap();
    }

    pub async fn get(&mut self, path: &str) {
        self.send(format!("GET {path} HTTP/1.1\r\nhost: test\r\n\r\n")).await;
    }

    /// Reads until a text has come and returns all up to its end; fails if the connection closes first.
    pub async fn until(&mut self, text: &str) -> String {
        loop {
            let seen = String::from_utf8_lossy(&self.read).into_owned();
            if let Some(at) = seen.find(text) {
                self.read.drain(..at + text.len());
                return seen[..at + text.len()].to_owned();
            }
            let mut bytes = [0; 4096];
            let length = self.socket.read(&mut bytes).await.unwrap();
            assert!(length > 0, "closed after {seen:?}");
            self.read.extend_from_slice(&bytes[..length]);
        }
    }

    /// Reads until the connection closes; a reset counts as a close.
    pub async fn rest(mut self) -> String {
        let _ = self.socket.read_to_end(&mut self.read).await;
        String::from_utf8_lossy(&self.read).into_owned()
    }
}
