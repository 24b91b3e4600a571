//! The providers that are played by scripts, and the manifests that name their ports.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

/// A running provider; it and the manifests go when it is dropped.
pub struct Upstream {
    /// The folder with the manifests.
    pub manifests: PathBuf,
    child: Child,
}

impl Drop for Upstream {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = fs::remove_dir_all(&self.manifests);
    }
}

impl Upstream {
    /// Starts the provider of this name and writes the manifests.
    pub fn start(python: &Path, name: &str) -> Self {
        let mut child = Command::new(python)
            .arg(format!("{}/{name}_upstream.py", super::SUITE))
            .env("PYTHONDONTWRITEBYTECODE", "1")
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut port = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut port).unwrap();
        let port = port.trim();
        let folder = format!("sluice-sdk-{}-{port}", std::process::id());
        let manifests = std::env::temp_dir().join(folder);
        let upstream = Self { manifests, child };
        assert!(!port.is_empty(), "the provider does not listen");
        let template = fs::read_to_string(format!("{}/{name}.yaml", super::SUITE)).unwrap();
        fs::create_dir_all(&upstream.manifests).unwrap();
        let file = upstream.manifests.join(format!("{name}.yaml"));
        fs::write(file, template.replace("PORT", port)).unwrap();
        upstream
    }
}
