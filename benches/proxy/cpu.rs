//! Reads what a process has cost so far: CPU time and resident memory, from `/proc`.
//! Linux only; it must not start, signal or otherwise touch the process.

use std::collections::HashMap;
use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context as _, Result};

/// CPU time of every thread of a process at one moment.
#[derive(Debug)]
pub struct CpuReading {
    pid: u32,
    threads: HashMap<String, u64>,
    ticks: u64,
}

impl CpuReading {
    /// Reads the running time of each thread, in nanoseconds, from `/proc/PID/task/*/schedstat`,
    /// and the process total, in clock ticks, from `/proc/PID/stat`.
    ///
    /// # Errors
    /// The process is gone.
    pub fn take(pid: u32) -> Result<Self> {
        let mut threads = HashMap::new();
        let tasks = format!("/proc/{pid}/task");
        for entry in fs::read_dir(&tasks).with_context(|| format!("process {pid} is gone"))? {
            let path: PathBuf = entry?.path();
            // A thread may end between the listing and the read.
            let Ok(text) = fs::read_to_string(path.join("schedstat")) else { continue };
            let Some(nanos) = text.split(' ').next().and_then(|field| field.parse().ok()) else {
                continue;
            };
            threads.insert(path.to_string_lossy().into_owned(), nanos);
        }
        Ok(Self { pid, threads, ticks: ticks(pid)? })
    }

    /// CPU time, user and system, that the process has spent since this reading.
    ///
    /// The threads' own clocks resolve nanoseconds where the process total only has ticks of
    /// 10 ms, too coarse for a thousand requests; the total is the fallback on kernels without
    /// `schedstat`.
    ///
    /// # Errors
    /// The process is gone.
    pub fn spent(&self) -> Result<Duration> {
        let now = Self::take(self.pid)?;
        let nanos: u64 = now
            .threads
            .iter()
            .map(|(thread, at)| at.saturating_sub(self.threads.get(thread).copied().unwrap_or(0)))
            .sum();
        if nanos > 0 {
            return Ok(Duration::from_nanos(nanos));
        }
        Ok(Duration::from_millis(10 * now.ticks.saturating_sub(self.ticks)))
    }
}

/// `utime + stime`: fields 14 and 15 of proc(5), counted after the parenthesised name.
fn ticks(pid: u32) -> Result<u64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat"))
        .with_context(|| format!("process {pid} is gone"))?;
    let after_name = stat.rsplit_once(") ").map_or("", |(_, rest)| rest);
    let ticks = after_name.split(' ').skip(11).take(2).filter_map(|f| f.parse::<u64>().ok());
    Ok(ticks.sum())
}

/// Resident memory of a process in kB (`VmRSS`).
///
/// # Errors
/// The process is gone.
pub fn resident_kb(pid: u32) -> Result<u64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status"))
        .with_context(|| format!("process {pid} is gone"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    line.and_then(|value| value.trim().trim_end_matches(" kB").parse().ok())
        .context("no VmRSS in the process status")
}
