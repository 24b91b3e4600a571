//! The built binary, started on free ports with a folder of manifests.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// How long the binary may take to be ready, on a busy machine.
const START: Duration = Duration::from_secs(60);

/// A running gateway; stopped when dropped.
pub struct Gateway {
    /// `http://127.0.0.1:port` of the data port.
    pub url: String,
    child: Child,
    log: Arc<Mutex<String>>,
}

impl Drop for Gateway {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Gateway {
    /// Starts it and waits until it is ready.
    pub fn start(manifests: &Path) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_sluice"))
            .args(["run", "--manifests"])
            .arg(manifests)
            .args(["--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0"])
            .args(["--set", "telemetry.logs.format=json"])
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let log = Arc::new(Mutex::new(String::new()));
        let listening = follow(&mut child, Arc::clone(&log));
        let mut gateway = Self { url: String::new(), child, log };
        let deadline = Instant::now() + START;
        let (mut data, mut admin) = (None, None);
        while data.is_none() || admin.is_none() {
            let left = deadline.saturating_duration_since(Instant::now());
            match listening.recv_timeout(left) {
                Ok((name, address)) if name == "admin" => admin = Some(address),
                Ok((_, address)) => data = Some(address),
                Err(_) => panic!("the gateway does not listen:\n{}", gateway.log()),
            }
        }
        gateway.url = format!("http://{}", data.unwrap());
        while !is_ready(admin.unwrap()) {
            assert!(Instant::now() < deadline, "the gateway is not ready:\n{}", gateway.log());
            std::thread::sleep(Duration::from_millis(20));
        }
        gateway
    }

    /// What it has said so far.
    pub fn log(&self) -> String {
        self.log.lock().unwrap().clone()
    }
}

/// Keeps the log, and sends the name and address of each listener that it tells.
fn follow(child: &mut Child, log: Arc<Mutex<String>>) -> Receiver<(String, SocketAddr)> {
    let lines = BufReader::new(child.stderr.take().unwrap()).lines();
    let (sender, listening) = channel();
    std::thread::spawn(move || {
        for line in lines.map_while(Result::ok) {
            log.lock().unwrap().push_str(&format!("{line}\n"));
            if let Some(listener) = listener(&line) {
                let _ = sender.send(listener);
            }
        }
    });
    listening
}

fn listener(line: &str) -> Option<(String, SocketAddr)> {
    let entry: serde_json::Value = serde_json::from_str(line).ok()?;
    if entry["message"] != "listening" {
        return None;
    }
    let address = entry["address"].as_str()?.parse().ok()?;
    Some((entry["listener"].as_str()?.to_owned(), address))
}

fn is_ready(admin: SocketAddr) -> bool {
    let Ok(mut socket) = TcpStream::connect(admin) else { return false };
    let request = "GET /readyz HTTP/1.1\r\nhost: admin\r\nconnection: close\r\n\r\n";
    let mut answer = String::new();
    socket.write_all(request.as_bytes()).is_ok()
        && socket.read_to_string(&mut answer).is_ok()
        && answer.starts_with("HTTP/1.1 200")
}
