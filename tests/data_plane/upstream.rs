//! A scripted upstream over raw sockets: what it sends, when, and how it breaks is written step by
//! step in the test; what it received is kept. It speaks HTTP/1.1 and understands nothing of models.

#![allow(clippy::unwrap_used, reason = "test support outside of test functions")]
#![allow(dead_code, reason = "a vocabulary for scripts: not every word is in use at all times")]

use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::{Semaphore, mpsc};

/// One thing that the upstream does with a request.
#[derive(Clone)]
pub enum Step {
    /// Send bytes as they are.
    Raw(Vec<u8>),
    /// Send one chunk of a chunked body, in one write.
    Chunk(Vec<u8>),
    /// Send the same chunk again and again until the peer leaves.
    Endless(Vec<u8>),
    /// Send the end of a chunked body; the connection stays open for the next request.
    End,
    /// Wait until the test opens the gate.
    Wait(Gate),
    /// Be silent until the peer leaves.
    Stall,
    /// Close the connection in order.
    Close,
    /// Break the connection: the peer gets a reset.
    Reset,
}

/// What the upstream does with one request, from its last byte on.
pub type Script = Vec<Step>;

/// Holds a script until the test lets it go on.
#[derive(Clone)]
pub struct Gate(Arc<Semaphore>);

impl Gate {
    /// A closed gate.
    pub fn new() -> Self {
        Self(Arc::new(Semaphore::new(0)))
    }

    /// Lets one waiting step go on, now or when it comes.
    pub fn open(&self) {
        self.0.add_permits(1);
    }

    async fn pass(&self) {
        self.0.acquire().await.unwrap().forget();
    }
}

/// A whole answer.
pub fn whole(status: u16, headers: &[(&str, &str)], body: impl AsRef<[u8]>) -> Script {
    let body = body.as_ref();
    let length = body.len().to_string();
    let mut answer = head(status, &[headers, &[("content-length", &length)]].concat());
    answer.extend_from_slice(body);
    vec![Step::Raw(answer)]
}

/// A whole answer in JSON with status 200.
pub fn json(body: impl AsRef<[u8]>) -> Script {
    whole(200, &[("content-type", "application/json")], body)
}

/// The head of a stream of events; chunks follow.
pub fn stream_head() -> Step {
    let headers = [("content-type", "text/event-stream"), ("transfer-encoding", "chunked")];
    Step::Raw(head(200, &headers))
}

/// A stream of events, each `data:` of one chunk, that ends its body in order.
pub fn stream<T: AsRef<str>>(events: impl IntoIterator<Item = T>) -> Script {
    let chunks = events.into_iter().map(event);
    std::iter::once(stream_head()).chain(chunks).chain([Step::End]).collect()
}

/// One event with this data as one chunk.
pub fn event(data: impl AsRef<str>) -> Step {
    Step::Chunk(format!("data: {}\n\n", data.as_ref()).into_bytes())
}

pub fn head(status: u16, headers: &[(&str, &str)]) -> Vec<u8> {
    let lines: String =
        headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
    format!("HTTP/1.1 {status} Scripted\r\n{lines}\r\n").into_bytes()
}

/// A request as it came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Received {
    /// The connection's number, from 0.
    pub connection: usize,
    pub method: String,
    /// With the query.
    pub path: String,
    /// In the order received; names in lower case.
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Received {
    /// The first value of a header.
    pub fn header(&self, name: &str) -> Option<&str> {
        let (_, value) = self.headers.iter().find(|(known, _)| known == name)?;
        Some(value)
    }

    /// The body as JSON.
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap()
    }
}

type Answer = Arc<dyn Fn(&Received) -> Script + Send + Sync>;

/// A listening upstream; it stops listening when dropped.
pub struct Upstream {
    address: SocketAddr,
    received: Arc<Mutex<Vec<Received>>>,
    abandoned: mpsc::UnboundedReceiver<Received>,
    accepting: tokio::task::JoinHandle<()>,
}

impl Drop for Upstream {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

impl Upstream {
    /// Plays the scripts in the order of the requests; a request beyond them is answered 599.
    pub async fn scripted(scripts: impl IntoIterator<Item = Script>) -> Self {
        let scripts = Mutex::new(scripts.into_iter().collect::<VecDeque<_>>());
        Self::answering(move |_| {
            scripts.lock().pop_front().unwrap_or_else(|| whole(599, &[], "no script is left"))
        })
        .await
    }

    /// Plays the same script for each request.
    pub async fn always(script: Script) -> Self {
        Self::answering(move |_| script.clone()).await
    }

    /// Plays the script that a function gives.
    pub async fn answering(answer: impl Fn(&Received) -> Script + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let received = Arc::default();
        let (gone, abandoned) = mpsc::unbounded_channel();
        let shared = Shared { answer: Arc::new(answer), received: Arc::clone(&received), gone };
        let accepting = tokio::spawn(async move {
            let mut connection = 0;
            while let Ok((stream, _)) = listener.accept().await {
                let _ = stream.set_nodelay(true);
                tokio::spawn(serve(stream, connection, shared.clone()));
                connection += 1;
            }
        });
        Self { address, received, abandoned, accepting }
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// `http://127.0.0.1:port` and a path, such as `/v1`.
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// All requests so far, in the order in which they were complete.
    pub fn received(&self) -> Vec<Received> {
        self.received.lock().clone()
    }

    /// The next request whose peer left before its script was at the end.
    pub async fn abandoned(&mut self) -> Received {
        self.abandoned.recv().await.unwrap()
    }
}

/// An address on which nobody listens.
pub fn closed_address() -> SocketAddr {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let address = socket.local_addr().unwrap();
    // Bound and not listening for as long as the process lives: no other test gets the port.
    std::mem::forget(socket);
    address
}

#[derive(Clone)]
struct Shared {
    answer: Answer,
    received: Arc<Mutex<Vec<Received>>>,
    gone: mpsc::UnboundedSender<Received>,
}

/// What became of a connection after a script.
enum Outcome {
    Open,
    Ended,
    Abandoned,
}

async fn serve(mut stream: TcpStream, connection: usize, shared: Shared) {
    let mut unread = Vec::new();
    while let Ok(Some(request)) = read_request(&mut stream, &mut unread, connection).await {
        shared.received.lock().push(request.clone());
        let script = (shared.answer)(&request);
        match play(&mut stream, script).await {
            Outcome::Open => {}
            Outcome::Ended => return,
            Outcome::Abandoned => {
                let _ = shared.gone.send(request);
                return;
            }
        }
    }
}

async fn play(stream: &mut TcpStream, script: Script) -> Outcome {
    for step in script {
        let sent = match step {
            Step::Raw(bytes) => stream.write_all(&bytes).await,
            Step::Chunk(bytes) => stream.write_all(&framed(&bytes)).await,
            Step::Endless(bytes) => {
                let framed = framed(&bytes);
                loop {
                    if let Err(error) = stream.write_all(&framed).await {
                        break Err(error);
                    }
                }
            }
            Step::End => stream.write_all(b"0\r\n\r\n").await,
            Step::Wait(gate) => tokio::select! {
                () = gate.pass() => Ok(()),
                () = left(stream) => Err(io::ErrorKind::BrokenPipe.into()),
            },
            Step::Stall => {
                left(stream).await;
                Err(io::ErrorKind::BrokenPipe.into())
            }
            Step::Close => {
                let _ = stream.shutdown().await;
                return Outcome::Ended;
            }
            Step::Reset => {
                let _ = socket2::SockRef::from(&*stream).set_linger(Some(Duration::ZERO));
                return Outcome::Ended;
            }
        };
        if sent.is_err() {
            return Outcome::Abandoned;
        }
    }
    Outcome::Open
}

/// A chunk of a chunked body.
fn framed(bytes: &[u8]) -> Vec<u8> {
    [format!("{:x}\r\n", bytes.len()).as_bytes(), bytes, b"\r\n"].concat()
}

/// Ready when the peer has closed or reset the connection. Bytes of a next request stay unread.
async fn left(stream: &TcpStream) {
    let mut byte = [0];
    loop {
        match stream.peek(&mut byte).await {
            Ok(0) | Err(_) => return,
            // Unread bytes hide a later close, so there is nothing more to see.
            Ok(_) => std::future::pending().await,
        }
    }
}

/// Reads one request; `None` if the peer closes between two.
async fn read_request(
    stream: &mut TcpStream,
    unread: &mut Vec<u8>,
    connection: usize,
) -> io::Result<Option<Received>> {
    let end = loop {
        if let Some(at) = find(unread, b"\r\n\r\n") {
            break at + 4;
        }
        if read_more(stream, unread).await? == 0 {
            return Ok(None);
        }
    };
    let head = String::from_utf8_lossy(&unread[..end]).into_owned();
    unread.drain(..end);
    let mut lines = head.lines();
    let mut words = lines.next().unwrap_or_default().split(' ').map(str::to_owned);
    let (method, path) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    let header = |line: &str| {
        let (name, value) = line.split_once(':')?;
        Some((name.to_ascii_lowercase(), value.trim().to_owned()))
    };
    let headers = lines.filter_map(header).collect();
    let mut request = Received { connection, method, path, headers, body: Vec::new() };
    request.body = if request.header("transfer-encoding").is_some() {
        read_chunks(stream, unread).await?
    } else {
        let length = request.header("content-length").map_or(0, |length| length.parse().unwrap());
        take(stream, unread, length).await?
    };
    Ok(Some(request))
}

async fn read_chunks(stream: &mut TcpStream, unread: &mut Vec<u8>) -> io::Result<Vec<u8>> {
    let mut body = Vec::new();
    loop {
        let line = loop {
            if let Some(at) = find(unread, b"\r\n") {
                break take(stream, unread, at + 2).await?;
            }
            read_more(stream, unread).await?;
        };
        let size = String::from_utf8_lossy(&line);
        let size = usize::from_str_radix(size.split(';').next().unwrap_or_default().trim(), 16);
        let size = size.map_err(io::Error::other)?;
        let chunk = take(stream, unread, size + 2).await?;
        if size == 0 {
            return Ok(body);
        }
        body.extend_from_slice(&chunk[..size]);
    }
}

/// Reads until there are so many bytes, and takes them.
async fn take(stream: &mut TcpStream, unread: &mut Vec<u8>, length: usize) -> io::Result<Vec<u8>> {
    while unread.len() < length {
        if read_more(stream, unread).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    }
    Ok(unread.drain(..length).collect())
}

async fn read_more(stream: &mut TcpStream, unread: &mut Vec<u8>) -> io::Result<usize> {
    stream.read_buf(unread).await
}

fn find(bytes: &[u8], wanted: &[u8]) -> Option<usize> {
    bytes.windows(wanted.len()).position(|window| window == wanted)
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn exchange(upstream: &Upstream, request: &str) -> String {
        let mut stream = TcpStream::connect(upstream.address()).await.unwrap();
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        let mut bytes = [0; 4096];
        while !answer.ends_with(b"0\r\n\r\n") {
            match stream.read(&mut bytes).await {
                Ok(0) => break,
                Ok(length) => answer.extend_from_slice(&bytes[..length]),
                Err(error) => return format!("{:?}", error.kind()),
            }
        }
        String::from_utf8(answer).unwrap()
    }

    const POST: &str = "POST /v1/x?y HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\n{}";

    #[tokio::test]
    async fn scripts_are_played_in_order_and_requests_kept() {
        let upstream =
            Upstream::scripted([stream(["a"]), vec![Step::Reset], vec![Step::Close]]).await;
        assert!(exchange(&upstream, POST).await.ends_with("\r\n\r\n9\r\ndata: a\n\n\r\n0\r\n\r\n"));
        assert_eq!(exchange(&upstream, POST).await, "ConnectionReset");
        let chunked = "POST /z HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n[]\r\n0\r\n\r\n";
        assert_eq!(exchange(&upstream, chunked).await, "");
        let received = upstream.received();
        assert_eq!((received[0].path.as_str(), received[0].header("host")), ("/v1/x?y", Some("a")));
        assert_eq!(
            (received[0].json(), received[2].body.as_slice()),
            (serde_json::json!({}), &b"[]"[..])
        );
        assert_eq!(received[2].connection, 2);
    }

    #[tokio::test]
    async fn a_peer_that_leaves_early_is_noticed() {
        let gate = Gate::new();
        let script = vec![stream_head(), event("1"), Step::Wait(gate.clone()), Step::Stall];
        let mut upstream = Upstream::always(script).await;
        let mut peer = TcpStream::connect(upstream.address()).await.unwrap();
        peer.write_all(POST.as_bytes()).await.unwrap();
        let mut seen = Vec::new();
        while find(&seen, b"data: 1").is_none() {
            peer.read_buf(&mut seen).await.unwrap();
        }
        gate.open();
        drop(peer);
        assert_eq!(upstream.abandoned().await.path, "/v1/x?y");
    }
}
