//! The Python environment with the SDKs, made once for each set of requirements.

use std::collections::hash_map::DefaultHasher;
use std::fs;
use std::hash::{Hash as _, Hasher as _};
use std::path::PathBuf;
use std::process::Command;

/// The environment's interpreter; `None`, after saying why, where it cannot be made.
pub fn python() -> Option<PathBuf> {
    let requirements = fs::read_to_string(format!("{}/requirements.txt", super::SUITE)).unwrap();
    let mut hasher = DefaultHasher::new();
    requirements.hash(&mut hasher);
    let kept = cache()?.join(format!("sluice-sdk/{:016x}", hasher.finish()));
    let python = kept.join("bin/python");
    if kept.join("complete").exists() {
        return Some(python);
    }
    // Left by a run that was stopped half-way.
    let _ = fs::remove_dir_all(&kept);
    fs::create_dir_all(kept.parent()?).ok()?;
    run(Command::new("python3").args(["-m", "venv"]).arg(&kept))?;
    run(Command::new(&python)
        .args(["-m", "pip", "install", "--quiet", "--requirement"])
        .arg(format!("{}/requirements.txt", super::SUITE)))?;
    fs::write(kept.join("complete"), "").ok()?;
    Some(python)
}

fn cache() -> Option<PathBuf> {
    std::env::var_os("SLUICE_CACHE")
        .map(PathBuf::from)
        .or_else(|| Some(PathBuf::from(std::env::var_os("HOME")?).join(".cache")))
}

fn run(command: &mut Command) -> Option<()> {
    match command.output() {
        Ok(output) if output.status.success() => Some(()),
        Ok(output) => {
            println!("{command:?}: {}", String::from_utf8_lossy(&output.stderr));
            None
        }
        Err(error) => {
            println!("{command:?}: {error}");
            None
        }
    }
}
