//! Runs the built binary as a process of its own: its ports, its log, its signals.
use std::fs::File;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use super::command::{TempDir, run};
use super::{eventually, http};

const START_TIMEOUT: Duration = Duration::from_secs(30);
/// Longer than the default drain of 30 s.
const STOP_TIMEOUT: Duration = Duration::from_secs(40);

/// A running `sluice` process, killed when dropped.
#[derive(Debug)]
pub struct Sluice {
    child: Child,
    dir: TempDir,
    /// `http://127.0.0.1:PORT` of the first data listener.
    pub data_url: String,
    /// `http://127.0.0.1:PORT` of the admin listener.
    pub admin_url: String,
}

impl Sluice {
    /// Starts `sluice ARGS` and returns when `/readyz` answers 200. `--listen 127.0.0.1:0` and
    /// `--admin 127.0.0.1:0` are added unless the arguments have them.
    ///
    /// # Panics
    /// With the end of its log when it is not ready within 30 s.
    pub fn spawn(args: &[&str], env: &[(&str, &str)]) -> Self {
        let sluice = Self::spawn_unready(args, env);
        let url = format!("{}/readyz", sluice.admin_url);
        eventually(START_TIMEOUT, || match http::get(&url) {
            Ok(answer) if answer.status == 200 => Ok(()),
            Ok(answer) => Err(format!("/readyz: {} {}", answer.status, answer.text())),
            Err(error) => Err(format!("/readyz: {error}\n{}", sluice.log_tail())),
        });
        sluice
    }

    /// As [`Sluice::spawn`], but returns as soon as both ports listen.
    ///
    /// # Panics
    /// With the end of its log when it does not listen within 30 s.
    pub fn spawn_unready(args: &[&str], env: &[(&str, &str)]) -> Self {
        let dir = TempDir::new("gateway");
        let mut command = Command::new(env!("CARGO_BIN_EXE_sluice"));
        command.args(args).envs(env.iter().copied());
        for flag in ["--listen", "--admin"] {
            if !args.iter().any(|arg| arg.split('=').next() == Some(flag)) {
                command.args([flag, "127.0.0.1:0"]);
            }
        }
        let log = File::create(dir.path().join("stderr.log")).unwrap();
        let child = command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .expect("the built binary starts");
        let mut sluice = Self { child, dir, data_url: String::new(), admin_url: String::new() };
        sluice.data_url = sluice.wait_for_listener("data");
        sluice.admin_url = sluice.wait_for_listener("admin");
        sluice
    }

    fn wait_for_listener(&mut self, listener: &str) -> String {
        let deadline = Instant::now() + START_TIMEOUT;
        loop {
            if let Some(address) = listening(&self.log(), listener) {
                return format!("http://{address}");
            }
            let exit = self.child.try_wait().unwrap();
            assert!(exit.is_none(), "sluice ended with {exit:?}\n{}", self.log_tail());
            assert!(
                Instant::now() < deadline,
                "no {listener} listener within {START_TIMEOUT:?}\n{}",
                self.log_tail()
            );
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Everything it has written to stderr so far.
    pub fn log(&self) -> String {
        std::fs::read(self.log_path())
            .map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
            .unwrap_or_default()
    }

    /// The log lines that are JSON objects, in order.
    pub fn log_records(&self) -> Vec<serde_json::Value> {
        self.log().lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
    }

    /// The file that gets its stderr.
    pub fn log_path(&self) -> std::path::PathBuf {
        self.dir.path().join("stderr.log")
    }

    /// A folder for the caller's files, removed with the process.
    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    fn log_tail(&self) -> String {
        let log = self.log();
        let lines: Vec<&str> = log.lines().collect();
        lines[lines.len().saturating_sub(40)..].join("\n")
    }

    /// Sends SIGTERM and returns without waiting.
    pub fn signal_terminate(&self) {
        run(Command::new("kill").args(["-TERM", &self.pid().to_string()]), "").expect_success();
    }

    /// Sends SIGTERM and waits for the end.
    ///
    /// # Panics
    /// When it has not ended after 40 s.
    pub fn terminate(&mut self) -> ExitStatus {
        self.signal_terminate();
        let child = &mut self.child;
        eventually(STOP_TIMEOUT, || {
            child.try_wait().unwrap().ok_or_else(|| "sluice still runs after SIGTERM".to_owned())
        })
    }

    /// Kills it with SIGKILL and waits for the end.
    pub fn kill(&mut self) {
        let _ended_already = self.child.kill();
        let _status = self.child.wait();
    }
}

impl Drop for Sluice {
    fn drop(&mut self) {
        self.kill();
        if std::thread::panicking() {
            eprintln!("the end of the log of sluice {:?}:\n{}", self.pid(), self.log_tail());
        }
    }
}

/// The address that a `"message":"listening"` record names for a listener.
fn listening(log: &str, listener: &str) -> Option<String> {
    log.lines().filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok()).find_map(
        |record| {
            let hit = record["message"] == "listening" && record["listener"] == listener;
            hit.then(|| record["address"].as_str().map(str::to_owned)).flatten()
        },
    )
}
