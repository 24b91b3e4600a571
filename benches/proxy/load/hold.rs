//! Holds many slow streams open to see what each costs in memory.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use tokio::task::JoinSet;

use crate::client::Connection;
use crate::cpu::resident_kb;

/// Longest wait until every stream has its first content.
const OPEN_LIMIT: Duration = Duration::from_secs(20);

/// Opens `count` streams, waits until each has delivered two events (so that a target which
/// holds back the opening event has let go of it) and `settle` more, and returns the resident
/// memory of `pid` in kB. The streams are then dropped.
///
/// # Errors
/// Not all streams opened in 20 s, or the process is gone.
pub async fn hold_streams(
    (address, pid): (SocketAddr, u32),
    request: &Arc<[u8]>,
    count: usize,
    settle: Duration,
) -> Result<u64> {
    let open = Arc::new(AtomicUsize::new(0));
    let mut streams = JoinSet::new();
    for _ in 0..count {
        let mut connection = Connection::open(address).await?;
        let (request, open) = (Arc::clone(request), Arc::clone(&open));
        streams.spawn(async move {
            let mut seen = 0;
            let count = |events| {
                if seen < 2 && seen + events >= 2 {
                    open.fetch_add(1, Ordering::Relaxed);
                }
                seen += events;
            };
            connection.exchange(&request, count).await.map(|_| ())
        });
        // Spread over about a second, so that the chunks do not all come at one moment.
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    let deadline = Instant::now() + OPEN_LIMIT;
    while open.load(Ordering::Relaxed) < count {
        if let Some(Ok(Err(error))) = streams.try_join_next() {
            return Err(error.context("a slow stream failed"));
        }
        if Instant::now() > deadline {
            bail!("{} of {count} slow streams opened", open.load(Ordering::Relaxed));
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    tokio::time::sleep(settle).await;
    if let Some(Ok(Err(error))) = streams.try_join_next() {
        return Err(error.context("a slow stream failed"));
    }
    resident_kb(pid)
}
