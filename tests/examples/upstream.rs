//! A provider on this machine that answers every request with the same JSON and keeps what it was
//! asked.

use std::{
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::{SocketAddr, TcpListener, TcpStream},
    sync::mpsc,
    thread,
    time::Duration,
};

use serde_json::Value;

pub struct Upstream {
    address: SocketAddr,
    requests: mpsc::Receiver<String>,
}

impl Upstream {
    /// Starts a thread that lives as long as the test process.
    pub fn start(answer: &Value) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let (sender, requests) = mpsc::channel();
        let body = answer.to_string();
        thread::spawn(move || {
            for connection in listener.incoming() {
                if let Some(request) = answer_once(connection.unwrap(), &body) {
                    // An error means that the test has ended.
                    let _ = sender.send(request);
                }
            }
        });
        Self { address, requests }
    }

    /// The endpoint as a manifest names it.
    pub fn endpoint(&self) -> String {
        format!("http://{}/v1", self.address)
    }

    /// The first request, head and body, header names in lower case.
    pub fn request(&self) -> String {
        self.requests.recv_timeout(Duration::from_secs(10)).expect("a request came")
    }
}

fn answer_once(connection: TcpStream, body: &str) -> Option<String> {
    let mut reader = BufReader::new(connection);
    let (mut request, mut length) = (String::new(), 0);
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).ok()? == 0 {
            return None;
        }
        if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().ok()?;
        }
        if line == "\r\n" {
            break;
        }
        request.push_str(&line);
    }
    let mut content = vec![0; length];
    reader.read_exact(&mut content).ok()?;
    request.push_str(&String::from_utf8_lossy(&content));
    let head = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nconnection: close\r\n";
    let answer = format!("{head}content-length: {}\r\n\r\n{body}", body.len());
    reader.get_mut().write_all(answer.as_bytes()).ok()?;
    Some(request)
}
