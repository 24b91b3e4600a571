//! Providers that misbehave below HTTP: what is read from a socket, what is written to it and how it
//! ends stands step by step in the case. Understands nothing of models.

use std::{
    io,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    task::JoinHandle,
};
use tokio_rustls::{TlsAcceptor, server::TlsStream};

use crate::{
    certificate::{self, Certificate},
    frame::{self, Asked, Frame},
};

/// What is done about a request, by whether it asks for a stream.
type Choice = Arc<dyn Fn(bool) -> Vec<Step> + Send + Sync>;

/// One thing that happens on a connection.
#[derive(Clone)]
pub enum Step {
    /// Read a request to its end.
    Request,
    /// Read a request's head and nothing of its body.
    Head,
    /// Read this many bytes.
    Read(usize),
    /// Send bytes.
    Send(Vec<u8>),
    /// Send an answer by whether the last request asked for a stream.
    Answer { whole: Vec<u8>, stream: Vec<u8> },
    /// Send these bytes one by one, a moment between them.
    Drip(Vec<u8>),
    /// Send the same bytes again and again, a moment between them, until the other side leaves.
    Endless(Vec<u8>),
    /// Send the same bytes, a moment between them, until the flag is set.
    Until(Vec<u8>, Arc<AtomicBool>),
    /// Wait so long.
    Pause(Duration),
    /// Do what is chosen now.
    Choose(Choice),
    /// Begin HTTP/2.
    Preface,
    /// Read frames until a request is complete.
    Http2Request,
    /// Send frames on the request's stream.
    Frames(Vec<Frame>),
    /// Be silent until the other side leaves.
    Stall,
    /// Neither read nor write until the other side leaves.
    Frozen,
    /// Close in order.
    Fin,
    /// Close in order, and read what still comes.
    Linger,
    /// Close TCP in order, and TLS not at all.
    Cut,
    /// Close with a reset.
    Reset,
    /// Begin the script again.
    Again,
}

/// Between the bytes of [`Step::Drip`].
const MOMENT: Duration = Duration::from_millis(5);
/// Between the pieces of [`Step::Endless`].
const PAUSE: Duration = Duration::from_millis(20);

/// What happens on one connection after the other; the last script serves all further ones.
type Scripts = Vec<Vec<Step>>;

/// Who is at a provider's address.
pub enum Peer {
    /// Nobody.
    Nobody,
    /// A name that does not exist.
    NoName,
    /// A machine that answers no connection.
    Mute,
    /// HTTP/1.1 in the clear.
    Plain(Scripts),
    /// The same where HTTPS is expected.
    PlainForTls(Scripts),
    /// HTTP/1.1 in TLS.
    Tls(Certificate, Scripts),
    /// HTTP/2 in TLS.
    Http2(Scripts),
}

/// A peer at work.
pub struct Running {
    /// The endpoint to write into the manifest.
    pub endpoint: String,
    /// Connections accepted.
    pub connections: Arc<AtomicUsize>,
    /// Scripts that have come to an end: their connections are closed.
    pub closed: Arc<AtomicUsize>,
    accepting: Option<JoinHandle<()>>,
    /// Connections that fill the backlog of a mute machine.
    _waiting: Vec<socket2::Socket>,
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Some(accepting) = &self.accepting {
            accepting.abort();
        }
    }
}

impl Peer {
    /// Begins to listen.
    pub async fn start(self) -> Running {
        match self {
            Self::Nobody => {
                let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
                let address = listener.local_addr().unwrap();
                Running::idle(format!("http://{address}/v1"))
            }
            // RFC 6761, 6.4.
            Self::NoName => Running::idle("http://provider.invalid/v1".to_owned()),
            Self::Mute => mute(),
            Self::Plain(scripts) => listen("http", None, scripts).await,
            Self::PlainForTls(scripts) => listen("https", None, scripts).await,
            Self::Tls(which, scripts) => {
                let acceptor = certificate::acceptor(which, &["http/1.1"]);
                listen("https", Some(acceptor), scripts).await
            }
            Self::Http2(scripts) => {
                let acceptor = certificate::acceptor(Certificate::Good, &["h2", "http/1.1"]);
                listen("https", Some(acceptor), scripts).await
            }
        }
    }
}

impl Running {
    fn idle(endpoint: String) -> Self {
        let (connections, closed) = Default::default();
        Self { endpoint, connections, closed, accepting: None, _waiting: Vec::new() }
    }
}

/// A listener whose backlog is full answers no connection any more.
fn mute() -> Running {
    let socket = || socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None);
    let listener = socket().unwrap();
    let any: SocketAddr = "127.0.0.1:0".parse().unwrap();
    listener.bind(&any.into()).unwrap();
    listener.listen(0).unwrap();
    let address = listener.local_addr().unwrap();
    let mut waiting = vec![listener];
    for _ in 0..4 {
        let filler = socket().unwrap();
        filler.set_nonblocking(true).unwrap();
        // Which of them the backlog takes is the system's affair.
        let _ = filler.connect(&address);
        waiting.push(filler);
    }
    let mut running = Running::idle(format!("http://{}/v1", address.as_socket().unwrap()));
    running._waiting = waiting;
    running
}

async fn listen(scheme: &str, tls: Option<TlsAcceptor>, scripts: Scripts) -> Running {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("{scheme}://{}/v1", listener.local_addr().unwrap());
    let mut running = Running::idle(endpoint);
    let (connections, closed) = (Arc::clone(&running.connections), Arc::clone(&running.closed));
    running.accepting = Some(tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let _ = stream.set_nodelay(true);
            let number = connections.fetch_add(1, Ordering::SeqCst);
            let script = scripts.get(number).or(scripts.last()).cloned().unwrap_or_default();
            let (tls, closed) = (tls.clone(), Arc::clone(&closed));
            tokio::spawn(async move {
                if let Ok(wire) = Wire::accept(stream, tls).await {
                    // The other side may leave at any step.
                    let _ = Connection::new(wire).play(&script).await;
                }
                closed.fetch_add(1, Ordering::SeqCst);
            });
        }
    }));
    running
}

enum Wire {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

impl Wire {
    async fn accept(stream: TcpStream, tls: Option<TlsAcceptor>) -> io::Result<Self> {
        Ok(match tls {
            None => Self::Plain(stream),
            Some(acceptor) => Self::Tls(Box::new(acceptor.accept(stream).await?)),
        })
    }

    fn socket(&self) -> &TcpStream {
        match self {
            Self::Plain(stream) => stream,
            Self::Tls(stream) => stream.get_ref().0,
        }
    }

    async fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        match self {
            Self::Plain(stream) => stream.write_all(bytes).await,
            Self::Tls(stream) => {
                stream.write_all(bytes).await?;
                stream.flush().await
            }
        }
    }

    async fn read(&mut self, into: &mut Vec<u8>) -> io::Result<()> {
        let read = match self {
            Self::Plain(stream) => stream.read_buf(into).await?,
            Self::Tls(stream) => stream.read_buf(into).await?,
        };
        if read == 0 { Err(io::ErrorKind::UnexpectedEof.into()) } else { Ok(()) }
    }
}

/// The script has closed the connection.
fn ended() -> io::Error {
    io::ErrorKind::ConnectionAborted.into()
}

struct Connection {
    wire: Wire,
    unread: Vec<u8>,
    wants_stream: bool,
    /// Stream of the last HTTP/2 request.
    stream: u32,
}

impl Connection {
    fn new(wire: Wire) -> Self {
        Self { wire, unread: Vec::new(), wants_stream: false, stream: 0 }
    }

    async fn play(&mut self, script: &[Step]) -> io::Result<()> {
        loop {
            self.steps(script).await?;
            if !matches!(script.last(), Some(Step::Again)) {
                return self.silence().await;
            }
        }
    }

    /// An error ends the connection, as the other side's leaving does.
    async fn steps(&mut self, steps: &[Step]) -> io::Result<()> {
        for step in steps {
            match step {
                Step::Choose(choice) => {
                    let chosen = choice(self.wants_stream);
                    Box::pin(self.steps(&chosen)).await?;
                }
                step => self.step(step).await?,
            }
        }
        Ok(())
    }

    async fn step(&mut self, step: &Step) -> io::Result<()> {
        match step {
            Step::Request => {
                let length = self.head().await?;
                let body = self.take(length).await?;
                self.note(&body);
            }
            Step::Head => drop(self.head().await?),
            Step::Read(length) => drop(self.take(*length).await?),
            Step::Send(bytes) => self.wire.send(bytes).await?,
            Step::Answer { whole, stream } => {
                let answer = if self.wants_stream { stream } else { whole };
                self.wire.send(answer).await?;
            }
            Step::Drip(bytes) => {
                for byte in bytes {
                    self.wire.send(&[*byte]).await?;
                    tokio::time::sleep(MOMENT).await;
                }
            }
            Step::Endless(bytes) => loop {
                self.wire.send(bytes).await?;
                tokio::time::sleep(PAUSE).await;
            },
            Step::Until(bytes, flag) => {
                while !flag.load(Ordering::Relaxed) {
                    self.wire.send(bytes).await?;
                    tokio::time::sleep(PAUSE).await;
                }
            }
            Step::Pause(length) => tokio::time::sleep(*length).await,
            Step::Preface => {
                self.take(frame::PREFACE.len()).await?;
                self.wire.send(&frame::settings()).await?;
            }
            Step::Http2Request => self.frames().await?,
            Step::Frames(frames) => {
                for frame in frames {
                    self.wire.send(&frame.bytes(self.stream)).await?;
                }
            }
            Step::Stall => self.silence().await?,
            Step::Frozen => std::future::pending().await,
            Step::Linger => {
                if let Wire::Plain(stream) = &mut self.wire {
                    stream.shutdown().await?;
                }
                self.silence().await?;
            }
            // A TLS connection says goodbye, and so does TCP.
            Step::Fin => {
                match &mut self.wire {
                    Wire::Plain(stream) => stream.shutdown().await?,
                    Wire::Tls(stream) => stream.shutdown().await?,
                }
                return Err(ended());
            }
            Step::Cut => return Err(ended()),
            Step::Reset => {
                socket2::SockRef::from(self.wire.socket()).set_linger(Some(Duration::ZERO))?;
                return Err(ended());
            }
            Step::Again | Step::Choose(_) => {}
        }
        Ok(())
    }

    fn note(&mut self, body: &[u8]) {
        let body = String::from_utf8_lossy(body);
        self.wants_stream = body.contains(r#""stream":true"#);
    }

    /// Reads a request's head; the length of its body.
    async fn head(&mut self) -> io::Result<usize> {
        let end = loop {
            if let Some(at) = self.unread.windows(4).position(|window| window == b"\r\n\r\n") {
                break at + 4;
            }
            self.wire.read(&mut self.unread).await?;
        };
        let head = String::from_utf8_lossy(&self.unread[..end]).to_ascii_lowercase();
        self.unread.drain(..end);
        let length = head.lines().find_map(|line| line.strip_prefix("content-length:"));
        Ok(length.map_or(0, |length| length.trim().parse().unwrap()))
    }

    async fn take(&mut self, length: usize) -> io::Result<Vec<u8>> {
        while self.unread.len() < length {
            self.wire.read(&mut self.unread).await?;
        }
        Ok(self.unread.drain(..length).collect())
    }

    /// Reads frames to the end of a request, and answers pings.
    async fn frames(&mut self) -> io::Result<()> {
        let mut body = Vec::new();
        loop {
            let head: [u8; frame::HEAD] = self.take(frame::HEAD).await?.try_into().unwrap();
            let payload = self.take(frame::length(&head)).await?;
            match frame::asked(&head, &payload) {
                Asked::Nothing => body.extend_from_slice(&payload),
                Asked::Reset => {}
                Asked::Reply(reply) => self.wire.send(&reply).await?,
                Asked::Complete(stream) => {
                    body.extend_from_slice(&payload);
                    self.stream = stream;
                    self.note(&body);
                    return Ok(());
                }
            }
        }
    }

    /// Reads and throws away until the other side leaves.
    async fn silence(&mut self) -> io::Result<()> {
        loop {
            self.wire.read(&mut self.unread).await?;
            self.unread.clear();
        }
    }
}
