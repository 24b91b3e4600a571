//! The environments with the SDKs, made once for each set of requirements: Python's and Node's.

use std::collections::hash_map::DefaultHasher;
use std::fs;
use std::hash::{Hash as _, Hasher as _};
use std::path::{Path, PathBuf};
use std::process::Command;

/// The environment's interpreter; `None`, after saying why, where it cannot be made.
pub fn python() -> Option<PathBuf> {
    let kept = kept("requirements.txt", |kept| {
        run(Command::new("python3").args(["-m", "venv"]).arg(kept))?;
        run(Command::new(kept.join("bin/python"))
            .args(["-m", "pip", "install", "--quiet", "--requirement"])
            .arg(format!("{}/requirements.txt", super::SUITE)))
    })?;
    Some(kept.join("bin/python"))
}

/// The folder with the packages of Node; `None`, after saying why, where it cannot be made.
pub fn node_modules() -> Option<PathBuf> {
    let kept = kept("package-lock.json", |kept| {
        fs::create_dir(kept).ok()?;
        for file in ["package.json", "package-lock.json"] {
            fs::copy(format!("{}/{file}", super::SUITE), kept.join(file)).ok()?;
        }
        let install = ["ci", "--ignore-scripts", "--no-audit", "--no-fund"];
        run(Command::new("npm").args(install).current_dir(kept))
    })?;
    run(Command::new("node").arg("--version"))?;
    Some(kept.join("node_modules"))
}

/// The folder that `make` has made for these requirements.
fn kept(requirements: &str, make: impl Fn(&Path) -> Option<()>) -> Option<PathBuf> {
    let text = fs::read_to_string(format!("{}/{requirements}", super::SUITE)).unwrap();
    let mut hasher = DefaultHasher::new();
    text.hash(&mut hasher);
    let kept = cache()?.join(format!("sluice-sdk/{:016x}", hasher.finish()));
    if kept.join("complete").exists() {
        return Some(kept);
    }
    // Left by a run that was stopped half-way.
    let _ = fs::remove_dir_all(&kept);
    fs::create_dir_all(kept.parent()?).ok()?;
    make(&kept)?;
    fs::write(kept.join("complete"), "").ok()?;
    Some(kept)
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
