//! The load generator's HTTP/1.1 client: one connection, prepared request bytes, a minimal
//! response decoder. It must stay far cheaper than any proxy it measures, and it must not know
//! schedules or targets.

mod decoder;

use std::io::{Read as _, Write as _};
use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use decoder::Decoder;

/// Longest wait for one answer, streams included.
const ANSWER_LIMIT: Duration = Duration::from_secs(30);

/// The key that every request carries and that Sluice knows as a consumer's.
pub const CONSUMER_KEY: &str = "sk-bench-consumer";

/// A `POST` of `body` to `path`, ready to be written.
pub fn post(path: &str, body: &str) -> Vec<u8> {
    let length = body.len();
    format!(
        "POST {path} HTTP/1.1\r\nhost: bench.local\r\ncontent-type: application/json\r\n\
         authorization: Bearer {CONSUMER_KEY}\r\naccept: */*\r\nuser-agent: bench\r\n\
         content-length: {length}\r\n\r\n{body}"
    )
    .into_bytes()
}

/// One kept-alive connection.
#[derive(Debug)]
pub struct Connection {
    stream: TcpStream,
    buffer: Vec<u8>,
}

impl Connection {
    /// Connects without Nagle's delay.
    ///
    /// # Errors
    /// The address refuses.
    pub async fn open(address: SocketAddr) -> Result<Self> {
        let stream = TcpStream::connect(address).await.context("connect")?;
        stream.set_nodelay(true)?;
        Ok(Self { stream, buffer: vec![0; 16 * 1024] })
    }

    /// Sends a request and reads its answer to the end; `events` is told the number of
    /// server-sent events whenever some arrive.
    ///
    /// # Errors
    /// A status other than 200 (the start of the body is in the message), a broken or truncated
    /// answer, 30 s of waiting.
    pub async fn exchange(&mut self, request: &[u8], events: impl FnMut(u64)) -> Result<Answer> {
        match tokio::time::timeout(ANSWER_LIMIT, self.exchange_unbounded(request, events)).await {
            Ok(answer) => answer,
            Err(_) => bail!("no complete answer in {} s", ANSWER_LIMIT.as_secs()),
        }
    }

    async fn exchange_unbounded(
        &mut self,
        request: &[u8],
        mut events: impl FnMut(u64),
    ) -> Result<Answer> {
        self.stream.write_all(request).await.context("send")?;
        let mut decoder = Decoder::default();
        loop {
            let length = self.stream.read(&mut self.buffer).await.context("receive")?;
            let Some(bytes) = self.buffer.get(..length).filter(|bytes| !bytes.is_empty()) else {
                bail!("the connection ended before the answer did");
            };
            let seen = decoder.events();
            let complete = decoder.feed(bytes)?;
            if decoder.events() > seen {
                events(decoder.events() - seen);
            }
            if complete {
                break;
            }
        }
        let answer = decoder.into_answer();
        if answer.status != 200 {
            bail!("status {}: {}", answer.status, answer.start);
        }
        Ok(answer)
    }
}

/// A complete answer.
#[derive(Debug)]
pub struct Answer {
    /// HTTP status.
    pub status: u16,
    /// Number of `data:` lines in the body.
    pub events: u64,
    /// The first 512 bytes of the body, to check or to show.
    pub start: String,
    /// The peer wants the connection closed.
    pub close: bool,
}

/// Status of a `GET`, for readiness and control.
///
/// # Errors
/// No HTTP answer in 2 s.
pub fn get(address: SocketAddr, path: &str) -> Result<u16> {
    let limit = Duration::from_secs(2);
    let mut stream = std::net::TcpStream::connect_timeout(&address, limit)?;
    stream.set_read_timeout(Some(limit))?;
    let request = format!("GET {path} HTTP/1.1\r\nhost: bench.local\r\nconnection: close\r\n\r\n");
    stream.write_all(request.as_bytes())?;
    let mut status_line = [0; 12];
    stream.read_exact(&mut status_line)?;
    let text = String::from_utf8_lossy(&status_line);
    text.rsplit(' ').next().and_then(|code| code.parse().ok()).context("not an HTTP answer")
}
