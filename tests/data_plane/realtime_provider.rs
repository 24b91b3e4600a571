//! A provider of realtime sessions, played by a script over a real WebSocket server.

use std::{net::SocketAddr, sync::Arc};

use futures_util::{SinkExt as _, StreamExt as _};
use http::{HeaderMap, Response};
use parking_lot::Mutex;
use serde_json::json;
use tokio::{
    io::AsyncWriteExt as _,
    net::{TcpListener, TcpStream},
};
use tokio_tungstenite::{
    WebSocketStream, accept_hdr_async,
    tungstenite::{
        Message,
        handshake::server::{Request, Response as Accepted},
    },
};

/// Tokens of every response.
pub const INPUT: u64 = 10;
pub const OUTPUT: u64 = 20;

/// An event of this type.
pub fn event(kind: &str) -> String {
    json!({"type": kind}).to_string()
}

/// A handshake as it came.
pub struct Handshake {
    pub uri: String,
    pub headers: HeaderMap,
}

/// A running provider.
pub struct Realtime {
    pub address: SocketAddr,
    pub seen: Arc<Mutex<Vec<Handshake>>>,
    /// What came in all sessions, close frames included.
    pub received: Arc<Mutex<Vec<Message>>>,
}

impl Realtime {
    /// Answers `respond` with a response of one text and its usage, `begin` with a response that never
    /// ends, `finish` with the end of one, `vanish` by breaking the connection; everything else comes
    /// back as it went.
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (address, seen) = (listener.local_addr().unwrap(), Arc::<Mutex<Vec<_>>>::default());
        let received = Arc::<Mutex<Vec<_>>>::default();
        let (noted, kept) = (Arc::clone(&seen), Arc::clone(&received));
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(converse(stream, Arc::clone(&noted), Arc::clone(&kept)));
            }
        });
        Self { address, seen, received }
    }

    /// The only handshake.
    pub fn handshake(&self) -> Handshake {
        let mut seen = self.seen.lock();
        assert_eq!(seen.len(), 1);
        seen.remove(0)
    }
}

async fn converse(
    stream: TcpStream,
    seen: Arc<Mutex<Vec<Handshake>>>,
    received: Arc<Mutex<Vec<Message>>>,
) {
    #[expect(clippy::result_large_err, reason = "the library's own signature")]
    let note = |request: &Request,
                mut response: Accepted|
     -> Result<Accepted, Response<Option<String>>> {
        let (uri, headers) = (request.uri().to_string(), request.headers().clone());
        if headers.contains_key("sec-websocket-protocol") {
            response.headers_mut().insert("sec-websocket-protocol", "realtime".parse().unwrap());
        }
        seen.lock().push(Handshake { uri, headers });
        Ok(response)
    };
    let Ok(mut socket) = accept_hdr_async(stream, note).await else { return };
    while let Some(Ok(message)) = socket.next().await {
        received.lock().push(message.clone());
        match message {
            Message::Text(text) if *text == *event("respond") => respond(&mut socket).await,
            Message::Text(text) if *text == *event("begin") => begin(&mut socket).await,
            Message::Text(text) if *text == *event("finish") => finish(&mut socket).await,
            Message::Text(text) if *text == *event("vanish") => {
                let _ = socket.get_mut().shutdown().await;
                return;
            }
            // Nothing can be done about a peer that is gone: its end comes next.
            Message::Text(_) => drop(socket.send(message).await),
            _ => {}
        }
    }
}

async fn say(socket: &mut WebSocketStream<TcpStream>, event: serde_json::Value) {
    let _ = socket.send(Message::text(event.to_string())).await;
}

async fn begin(socket: &mut WebSocketStream<TcpStream>) {
    say(socket, json!({"type": "response.created", "response": {"id": "r", "usage": null}})).await;
    // Thirty bytes are ten tokens.
    let delta = "x".repeat(30);
    say(socket, json!({"type": "response.output_text.delta", "delta": delta})).await;
}

async fn finish(socket: &mut WebSocketStream<TcpStream>) {
    let usage = json!({
        "total_tokens": INPUT + OUTPUT,
        "input_tokens": INPUT,
        "output_tokens": OUTPUT,
        "input_token_details": {"cached_tokens": 4},
    });
    say(socket, json!({"type": "response.done", "response": {"id": "r", "usage": usage}})).await;
}

async fn respond(socket: &mut WebSocketStream<TcpStream>) {
    begin(socket).await;
    finish(socket).await;
}
