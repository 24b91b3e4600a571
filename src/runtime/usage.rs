//! Keeps what requests have used: days are made of old hours, and with a state folder everything is on
//! the disk at most [`EVERY`] after it was counted.

use std::{
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::JoinHandle,
    time::Duration,
};

use jiff::Timestamp;

use crate::{state::Journal, usage::Rollup};

use super::RuntimeError;

/// How much time a kill may lose.
const EVERY: Duration = Duration::from_secs(2);

/// The thread that keeps it.
#[derive(Debug)]
pub(super) struct Keeper {
    thread: JoinHandle<()>,
    stop: Arc<AtomicBool>,
}

/// Takes the state folder over, if there is one, and keeps what is added from now on.
///
/// # Errors
/// If the folder cannot be used or a thread cannot be started.
pub(super) fn keep(usage: &Arc<Rollup>, folder: Option<&Path>) -> Result<Keeper, RuntimeError> {
    let open = |folder| Journal::open(folder, usage, Timestamp::now());
    let mut journal = folder.map(open).transpose()?;
    let (usage, stop) = (Arc::clone(usage), Arc::new(AtomicBool::new(false)));
    let stopping = Arc::clone(&stop);
    let keep = move || {
        let mut is_failing = false;
        loop {
            let is_last = stopping.load(Ordering::Acquire);
            let now = Timestamp::now();
            match &mut journal {
                Some(journal) => is_failing = write(journal, &usage, is_failing),
                None => usage.tidy(now),
            }
            if is_last {
                return;
            }
            std::thread::park_timeout(EVERY);
        }
    };
    let thread = std::thread::Builder::new().name("usage".into()).spawn(keep);
    Ok(Keeper { thread: thread.map_err(RuntimeError::Threads)?, stop })
}

/// Writes what has changed; whether that failed, which is said once.
fn write(journal: &mut Journal, usage: &Rollup, was_failing: bool) -> bool {
    match journal.write(usage, Timestamp::now()) {
        Ok(()) => {
            if was_failing {
                tracing::info!("the journal of usage is written again: nothing is missing");
            }
            false
        }
        Err(error) => {
            if !was_failing {
                tracing::error!(%error, "cannot write the journal of usage: trying again");
            }
            true
        }
    }
}

impl Keeper {
    /// Writes what is not written and ends the thread.
    pub(super) fn stop(self) {
        self.stop.store(true, Ordering::Release);
        self.thread.thread().unpark();
        // A panic there has been reported by its hook.
        let _ = self.thread.join();
    }
}
