//! Objects from a folder of manifests: `sluice run --manifests DIR`.
//!
//! Reads every `*.yaml`, `*.yml` and `*.json` under the folder and keeps [`Current`] as the files
//! have it. A file that is being written never takes a route away: changes count when a file has
//! stood still for a moment, and a file that can't be read keeps the objects that it last held.

mod inputs;
mod listing;
mod scan;

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, Instant},
};

use notify::{RecommendedWatcher, RecursiveMode, Watcher as _};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

use super::Current;
use inputs::Reader;
use scan::Folder;

pub use listing::{Listing, STDIN, list};

/// How often the folder is read though nothing was reported: network file systems report nothing.
const POLL: Duration = Duration::from_secs(5);
/// How often it is read while a change has not settled.
const SETTLING: Duration = Duration::from_millis(50);

/// Reads and watches `folder` until `shutdown`. Marks the inputs as synced when every file has been
/// read once.
pub async fn run(folder: PathBuf, current: Arc<Current>, shutdown: CancellationToken) {
    let reader = match Reader::new(environment) {
        Ok(reader) => reader,
        Err(error) => {
            error!(%error, "the schemas of this build can't be used");
            return;
        }
    };
    let changed = Arc::new(Notify::new());
    // Kept alive for as long as the folder is watched.
    let _watcher = watch(&folder, Arc::clone(&changed));
    let mut source = Source { folder: Folder::new(folder), reader, current };
    loop {
        let Some((back, unsettled)) = source.read().await else { return };
        source = back;
        if !source.current.is_synced() {
            info!(folder = %source.folder.root().display(), "every manifest has been read once");
            source.current.mark_synced();
        }
        let wait = if unsettled { SETTLING } else { POLL };
        let next = async {
            if unsettled {
                tokio::time::sleep(wait).await;
            } else {
                let _ = tokio::time::timeout(wait, changed.notified()).await;
            }
        };
        if shutdown.run_until_cancelled(next).await.is_none() {
            return;
        }
    }
}

fn environment(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

/// Signals changes under the folder; `None` where the system can't, then only the poll sees them.
fn watch(folder: &Path, changed: Arc<Notify>) -> Option<RecommendedWatcher> {
    let on_event = move |event: notify::Result<notify::Event>| {
        // Our own reading is reported too.
        if event.is_ok_and(|event| event.kind.is_access()) {
            return;
        }
        changed.notify_one();
    };
    let watcher = notify::recommended_watcher(on_event).and_then(|mut watcher| {
        watcher.watch(folder, RecursiveMode::Recursive)?;
        Ok(watcher)
    });
    watcher
        .inspect_err(|error| warn!(%error, "the folder can't be watched: it is read every 5 s"))
        .ok()
}

/// The folder, and where its objects go.
struct Source {
    folder: Folder,
    reader: Reader,
    current: Arc<Current>,
}

impl Source {
    /// Reads the folder once, off the runtime's threads. `true`: a change has not settled yet.
    async fn read(mut self) -> Option<(Self, bool)> {
        let work = tokio::task::spawn_blocking(move || {
            let unsettled = self.step(Instant::now());
            (self, unsettled)
        });
        work.await.inspect_err(|error| error!(%error, "reading the folder ended")).ok()
    }

    fn step(&mut self, now: Instant) -> bool {
        let outcome = self.folder.scan(now);
        if outcome.changed {
            let documents = self.folder.documents();
            let built = self.reader.read(documents);
            let mut messages = self.folder.messages();
            messages.extend(built.messages);
            self.reader.report(messages);
            let mut next = built.inputs;
            self.current.update(|inputs| {
                next.settings = inputs.settings.clone();
                let differs = *inputs != next;
                *inputs = next;
                differs
            });
        }
        outcome.unsettled
    }
}

#[cfg(test)]
mod tests;
