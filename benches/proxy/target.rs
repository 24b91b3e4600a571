//! The programs under measurement: which there are, how each is started, how it is addressed.
//! It must not send load.

pub mod manifests;
mod nginx;

use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result, bail};

use crate::process::{Nursery, free_address};

/// A kind of target, as `--only` names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Kind {
    /// The bare hyper pass-through.
    Pass,
    /// nginx as a reverse proxy.
    Nginx,
    /// Sluice, once with its log discarded and once with its log written to a file.
    Sluice,
}

/// Column of the report.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Name {
    /// The mock upstream without any proxy.
    Direct,
    /// The reference.
    Pass,
    /// nginx.
    Nginx,
    /// Sluice with its log on `/dev/null`.
    SluiceQuiet,
    /// Sluice with its log in a file.
    Sluice,
}

impl Name {
    /// Heading in the report.
    pub fn title(self) -> &'static str {
        match self {
            Self::Direct => "no proxy",
            Self::Pass => "bare hyper",
            Self::Nginx => "nginx",
            Self::SluiceQuiet => "Sluice, log discarded",
            Self::Sluice => "Sluice, as shipped",
        }
    }
}

/// A running target.
#[derive(Debug, Clone, Copy)]
pub struct Target {
    /// Which one.
    pub name: Name,
    /// Where it listens.
    pub address: SocketAddr,
    /// Its process.
    pub pid: u32,
}

/// Starts the mock upstream.
///
/// # Errors
/// It does not come up.
pub fn start_mock(nursery: &Nursery) -> Result<Target> {
    let address = free_address()?;
    let program = std::env::current_exe().context("cannot find this program")?;
    let log = nursery.folder().join("mock.log");
    let pid = nursery.start(&program, &["mock", &address.to_string()], &log)?;
    ready(nursery, Target { name: Name::Direct, address, pid }, (address, "/ctl"), &log)
}

/// Starts the bare pass-through in front of the mock.
///
/// # Errors
/// It does not come up.
pub fn start_pass(nursery: &Nursery, mock: SocketAddr) -> Result<Target> {
    let address = free_address()?;
    let program = std::env::current_exe().context("cannot find this program")?;
    let log = nursery.folder().join("pass.log");
    let arguments = ["pass", &address.to_string(), &mock.to_string()];
    let pid = nursery.start(&program, &arguments, &log)?;
    ready(nursery, Target { name: Name::Pass, address, pid }, (address, "/ctl"), &log)
}

/// Starts nginx in front of the mock; `None` when it is not installed.
///
/// # Errors
/// It is installed and does not come up.
pub fn start_nginx(nursery: &Nursery, mock: SocketAddr) -> Result<Option<Target>> {
    let Some(program) = nginx::find() else { return Ok(None) };
    let address = free_address()?;
    let folder = nursery.folder().join("nginx");
    let configuration = nginx::write_configuration(&folder, address, mock)?;
    let (folder, log) = (folder.to_string_lossy().into_owned(), nursery.folder().join("nginx.log"));
    let arguments = ["-p", &folder, "-c", &configuration.to_string_lossy(), "-e", "stderr"];
    let pid = nursery.start(&program, &arguments, &log)?;
    ready(nursery, Target { name: Name::Nginx, address, pid }, (address, "/ctl"), &log).map(Some)
}

/// Starts Sluice in front of the mock with a consumer's key, a route, prices and a budget.
///
/// # Errors
/// The binary is missing or does not become ready.
pub fn start_sluice(
    nursery: &Nursery,
    binary: &Path,
    name: Name,
    mock: SocketAddr,
) -> Result<Target> {
    if !binary.is_file() {
        bail!("no Sluice binary: run `cargo build --release`, or measure with `--only pass,nginx`");
    }
    let (address, admin) = (free_address()?, free_address()?);
    let folder = nursery.folder().join("manifests");
    manifests::write(&folder, mock)?;
    check(binary, &folder)?;
    let log = match name {
        Name::SluiceQuiet => Path::new("/dev/null").to_owned(),
        _ => nursery.folder().join("sluice.log"),
    };
    let (folder, listen, admin_text) =
        (folder.to_string_lossy(), address.to_string(), admin.to_string());
    let arguments = ["run", "--manifests", &folder, "--listen", &listen, "--admin", &admin_text];
    let pid = nursery.start(binary, &arguments, &log)?;
    ready(nursery, Target { name, address, pid }, (admin, "/readyz"), &log).context(
        "this Sluice binary does not serve: build one that does, or measure with \
         `--only pass,nginx`",
    )
}

/// Makes sure that every object counts: one that is refused would make Sluice look cheaper.
fn check(binary: &Path, folder: &Path) -> Result<()> {
    let checked = Command::new(binary).arg("check").arg(folder).output();
    let checked = checked.context("cannot run `sluice check`")?;
    if !checked.status.success() {
        bail!("Sluice refuses the manifests: {}", String::from_utf8_lossy(&checked.stdout));
    }
    Ok(())
}

fn ready(
    nursery: &Nursery,
    target: Target,
    (address, path): (SocketAddr, &str),
    log: &Path,
) -> Result<Target> {
    nursery.wait_ready(target.pid, address, path).with_context(|| {
        let text = std::fs::read_to_string(log).unwrap_or_default();
        let lines: Vec<&str> = text.lines().rev().take(5).collect();
        let tail: Vec<&str> = lines.into_iter().rev().collect();
        format!("{} failed to start; its log ends: {}", target.name.title(), tail.join(" | "))
    })?;
    Ok(target)
}
