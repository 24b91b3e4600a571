//! Starts the measured programs and ends them on every way out: drop, error, SIGINT, SIGTERM.
//! Only processes registered here are ever signalled, each by its own handle.

use std::fs::{self, File};
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use parking_lot::Mutex;
use tokio::signal::unix::{SignalKind, signal};

use crate::client;

/// Longest wait for a program to answer after its start.
const START_LIMIT: Duration = Duration::from_secs(15);

/// Raises the limit of open files and becomes the program. What stays behind waits for the end
/// of standard input, which is the end of this process however it comes, and then ends the
/// program: even SIGKILL leaves nothing running.
const LAUNCH: &str = r#"
ulimit -n "$(ulimit -Hn)" 2>/dev/null
exec 3<&0 </dev/null
(cat <&3; kill -KILL $$) >/dev/null 2>&1 &
exec "$0" "$@" 3<&-
"#;

/// All children of this run and its scratch folder; everything ends when it is dropped.
#[derive(Debug)]
pub struct Nursery(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    children: Mutex<Vec<Child>>,
    folder: PathBuf,
    /// A signal came: the thread that received it ends the children and then this process.
    signalled: AtomicBool,
}

impl Nursery {
    /// An empty nursery with a fresh scratch folder, and a thread that empties it on a signal.
    ///
    /// # Errors
    /// The folder or the signal handlers cannot be made.
    pub fn new() -> Result<Self> {
        let name = format!("sluice-bench-{}", std::process::id());
        let folder = std::env::temp_dir().join(name);
        fs::create_dir_all(&folder).context("cannot make a scratch folder")?;
        let nursery = Self(Arc::new(Inner {
            children: Mutex::default(),
            folder,
            signalled: AtomicBool::new(false),
        }));
        nursery.end_on_signal()?;
        Ok(nursery)
    }

    /// Folder for configurations and logs of this run.
    pub fn folder(&self) -> &Path {
        &self.0.folder
    }

    /// Starts a program and returns its process id; its output goes to `log`.
    ///
    /// The process id is the program's, not the shell's: see `LAUNCH`.
    ///
    /// # Errors
    /// The log cannot be opened or the shell cannot be started.
    pub fn start(&self, program: &Path, arguments: &[&str], log: &Path) -> Result<u32> {
        let output = File::create(log).context("cannot open a log")?;
        let child = Command::new("sh")
            .args(["-c", LAUNCH])
            .arg(program)
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(output.try_clone()?)
            .stderr(output)
            .spawn()
            .context("cannot start a shell")?;
        let pid = child.id();
        self.0.children.lock().push(child);
        Ok(pid)
    }

    /// Waits until `GET path` answers 200 at `address`.
    ///
    /// # Errors
    /// The process ended, or did not answer in 15 s.
    pub fn wait_ready(&self, pid: u32, address: SocketAddr, path: &str) -> Result<()> {
        let deadline = Instant::now() + START_LIMIT;
        loop {
            if client::get(address, path).is_ok_and(|status| status == 200) {
                return Ok(());
            }
            if self.has_ended(pid) {
                bail!("it ended before it was ready");
            }
            if Instant::now() > deadline {
                bail!("it did not answer {path} in {} s", START_LIMIT.as_secs());
            }
            thread::sleep(Duration::from_millis(20));
        }
    }

    fn has_ended(&self, pid: u32) -> bool {
        let mut children = self.0.children.lock();
        let child = children.iter_mut().find(|child| child.id() == pid);
        child.is_none_or(|child| !matches!(child.try_wait(), Ok(None)))
    }

    fn end_on_signal(&self) -> Result<()> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let inner = Arc::clone(&self.0);
        let (mut interrupt, mut terminate) = {
            let _guard = runtime.enter();
            (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?)
        };
        thread::spawn(move || {
            runtime.block_on(async {
                tokio::select! {
                    _ = interrupt.recv() => {}
                    _ = terminate.recv() => {}
                }
            });
            inner.signalled.store(true, Ordering::SeqCst);
            inner.end_all();
            std::process::exit(130);
        });
        Ok(())
    }
}

impl Inner {
    fn end_all(&self) {
        for mut child in self.children.lock().drain(..) {
            // Already gone is as good as ended.
            let _ = child.kill();
            let _ = child.wait();
        }
        let _ = fs::remove_dir_all(&self.folder);
    }
}

impl Drop for Nursery {
    fn drop(&mut self) {
        // The run failed because its targets were taken away: leave the exit to the signal.
        while self.0.signalled.load(Ordering::SeqCst) {
            thread::park();
        }
        self.0.end_all();
    }
}

/// A loopback address that was free a moment ago.
///
/// # Errors
/// No port is free.
pub fn free_address() -> Result<SocketAddr> {
    let listener = TcpListener::bind("127.0.0.1:0").context("no free port")?;
    Ok(listener.local_addr()?)
}
