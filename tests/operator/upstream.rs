//! A provider on this machine that tells which key each request carried. A stream stops after its
//! first chunk until the test lets it go on.

use std::{
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::{IpAddr, SocketAddr, TcpListener, TcpStream, UdpSocket},
    sync::{Arc, Condvar, Mutex},
    thread,
};

use serde_json::{Value, json};

/// The provider; its threads live as long as the test process.
pub struct Upstream {
    address: SocketAddr,
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    keys: Mutex<Vec<String>>,
    open: Mutex<bool>,
    opened: Condvar,
}

impl Upstream {
    /// Listens on a free port of the loopback.
    pub fn start() -> Self {
        Self::start_at(IpAddr::from([127, 0, 0, 1]))
    }

    /// Listens on a free port of one of this machine's addresses.
    pub fn start_at(address: IpAddr) -> Self {
        let listener = TcpListener::bind((address, 0)).unwrap();
        let address = listener.local_addr().unwrap();
        let shared = Arc::<Shared>::default();
        let serving = Arc::clone(&shared);
        thread::spawn(move || {
            for connection in listener.incoming().map_while(Result::ok) {
                let shared = Arc::clone(&serving);
                // A connection that breaks is told by what the gateway answers.
                thread::spawn(move || _ = answer(connection, &shared));
            }
        });
        Self { address, shared }
    }

    /// The endpoint as a manifest names it.
    pub fn endpoint(&self) -> String {
        format!("http://{}/v1", self.address)
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// How many requests it has had.
    pub fn requests(&self) -> usize {
        self.shared.keys.lock().unwrap().len()
    }

    /// The last key that was presented.
    pub fn last_key(&self) -> Option<String> {
        self.shared.keys.lock().unwrap().last().cloned()
    }

    /// Lets all streams go on.
    pub fn open(&self) {
        *self.shared.open.lock().unwrap() = true;
        self.shared.opened.notify_all();
    }
}

/// An address of this machine that others could call it by: an API server takes no loopback address
/// for an endpoint.
pub fn own_address() -> Option<IpAddr> {
    // No packet is sent for this: it only asks which address one would come from.
    let socket = UdpSocket::bind("0.0.0.0:0").ok()?;
    socket.connect("198.51.100.1:9").ok()?;
    let address = socket.local_addr().ok()?.ip();
    (!address.is_loopback() && !address.is_unspecified()).then_some(address)
}

fn answer(connection: TcpStream, shared: &Shared) -> std::io::Result<()> {
    let mut reader = BufReader::new(connection);
    let (mut key, mut length) = (String::new(), 0);
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line)? == 0 {
            return Ok(());
        }
        let Some((name, value)) = line.trim_end().split_once(": ") else {
            if line == "\r\n" {
                break;
            }
            continue;
        };
        match name.to_ascii_lowercase().as_str() {
            "authorization" => key = value.trim_start_matches("Bearer ").to_owned(),
            "content-length" => length = value.parse().unwrap(),
            _ => {}
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body)?;
    shared.keys.lock().unwrap().push(key);
    let asked: Value = serde_json::from_slice(&body)?;
    match asked["stream"].as_bool() {
        Some(true) => stream(reader.get_mut(), shared),
        _ => whole(reader.get_mut()),
    }
}

fn whole(connection: &mut TcpStream) -> std::io::Result<()> {
    let message = json!({"role": "assistant", "content": "Hello"});
    let body = json!({"id": "c", "object": "chat.completion", "created": 1, "model": "m",
        "choices": [{"index": 0, "message": message, "finish_reason": "stop"}]})
    .to_string();
    let head = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nconnection: close\r\n";
    write!(connection, "{head}content-length: {}\r\n\r\n{body}", body.len())
}

fn stream(connection: &mut TcpStream, shared: &Shared) -> std::io::Result<()> {
    let chunk = |delta: Value, reason: Option<&str>| {
        json!({"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m",
            "choices": [{"index": 0, "delta": delta, "finish_reason": reason}]})
    };
    let head = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n";
    write!(connection, "{head}data: {}\n\n", chunk(json!({"content": "before"}), None))?;
    let open = shared.open.lock().unwrap();
    drop(shared.opened.wait_while(open, |open| !*open).unwrap());
    write!(connection, "data: {}\n\n", chunk(json!({"content": "after"}), Some("stop")))?;
    write!(connection, "data: [DONE]\n\n")
}
