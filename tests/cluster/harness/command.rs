//! Runs commands and owns temporary folders; knows nothing of clusters.
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

/// What a finished command said.
#[derive(Debug, Clone)]
pub struct Output {
    /// Exit code; -1 when a signal ended it.
    pub status: i32,
    /// Its standard output.
    pub stdout: String,
    /// Its standard error.
    pub stderr: String,
    line: String,
}

impl Output {
    /// Whether it exited with 0.
    pub fn success(&self) -> bool {
        self.status == 0
    }

    /// The standard output of a command that had to succeed.
    ///
    /// # Panics
    /// With both outputs when it failed.
    #[track_caller]
    pub fn expect_success(&self) -> &str {
        assert!(
            self.success(),
            "`{}` exited with {}\n{}{}",
            self.line,
            self.status,
            self.stdout,
            self.stderr
        );
        &self.stdout
    }

    /// The standard error of a command that had to fail.
    ///
    /// # Panics
    /// When it succeeded.
    #[track_caller]
    pub fn expect_failure(&self) -> &str {
        assert!(!self.success(), "`{}` should have failed\n{}", self.line, self.stdout);
        &self.stderr
    }
}

/// Runs a command to its end, with `stdin` as its input.
///
/// # Panics
/// When it cannot be started.
#[track_caller]
pub fn run(command: &mut Command, stdin: &str) -> Output {
    let line = format!("{command:?}");
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| panic!("cannot start `{line}`: {error}"));
    let mut input = child.stdin.take().unwrap();
    let text = stdin.to_owned();
    // a thread, because a command may write much before it has read everything
    let writer = std::thread::spawn(move || {
        let _closed_early = input.write_all(text.as_bytes());
    });
    let output = child.wait_with_output().unwrap();
    writer.join().unwrap();
    Output {
        status: output.status.code().unwrap_or(-1),
        stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        line,
    }
}

/// A folder of this test alone, removed when dropped.
#[derive(Debug)]
pub struct TempDir(PathBuf);

impl TempDir {
    /// Makes an empty folder below the system's temporary folder.
    ///
    /// # Panics
    /// When the folder cannot be made.
    pub fn new(purpose: &str) -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let name = format!("sluice-{purpose}-{}-{number}", std::process::id());
        let path = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// Writes a file into it and returns its path.
    ///
    /// # Panics
    /// When the file cannot be written.
    pub fn write(&self, name: &str, content: &str) -> PathBuf {
        let path = self.0.join(name);
        std::fs::write(&path, content).unwrap();
        path
    }
}

impl Drop for TempDir {
    fn drop(&mut self) {
        let _gone_already = std::fs::remove_dir_all(&self.0);
    }
}
