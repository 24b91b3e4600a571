//! One of the addresses behind a Service: what it is busy with, and whether it can be reached.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use parking_lot::Mutex;
use tokio::time::Instant;

use super::host::Host;

/// So many connections in a row that were not made take an address out.
const FAILURES: u32 = 2;
/// For how long the first time; doubles with each failure after it.
const OUT: Duration = Duration::from_secs(2);
/// The longest.
const OUT_AT_MOST: Duration = Duration::from_secs(60);

/// A backend as seen from here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BackendState {
    /// Where it listens.
    pub address: SocketAddr,
    /// The zone that it is in, if known.
    pub zone: Option<Arc<str>>,
    /// Requests of this replica that it is busy with.
    pub in_flight: usize,
    /// How long it still is left out for connections that were not made.
    pub out_for: Option<Duration>,
}

/// A backend and its connections.
pub struct Member {
    pub address: SocketAddr,
    pub host: Arc<Host>,
    in_flight: AtomicUsize,
    /// Whether there may be trouble: most have none, and need no lock to say so.
    has_failed: AtomicBool,
    trouble: Mutex<Trouble>,
}

#[derive(Default)]
struct Trouble {
    failures: u32,
    until: Option<Instant>,
}

impl Member {
    pub fn new(address: SocketAddr, host: Arc<Host>) -> Self {
        Self {
            address,
            host,
            in_flight: AtomicUsize::new(0),
            has_failed: AtomicBool::new(false),
            trouble: Mutex::default(),
        }
    }

    /// Requests that it is busy with.
    pub fn load(&self) -> usize {
        self.in_flight.load(Ordering::Relaxed)
    }

    /// Makes it busy with one more request, until that is dropped.
    pub fn hold(self: &Arc<Self>) -> Held {
        self.in_flight.fetch_add(1, Ordering::Relaxed);
        Held(Arc::clone(self))
    }

    /// How long it still is left out.
    pub fn out_for(&self, now: Instant) -> Option<Duration> {
        if !self.has_failed.load(Ordering::Relaxed) {
            return None;
        }
        let until = self.trouble.lock().until?;
        Some(until.saturating_duration_since(now)).filter(|left| !left.is_zero())
    }

    /// A connection was there.
    pub fn reached(&self) {
        if self.has_failed.load(Ordering::Relaxed) {
            let mut trouble = self.trouble.lock();
            *trouble = Trouble::default();
            self.has_failed.store(false, Ordering::Relaxed);
        }
    }

    /// No connection was made. One that is let in again after a while is out at once if it fails.
    pub fn missed(&self, now: Instant) {
        self.failed(now, Duration::ZERO);
    }

    /// A check found it dead: it is out for so long at least, if that was not the first time.
    pub fn failed(&self, now: Instant, at_least: Duration) {
        let mut trouble = self.trouble.lock();
        self.has_failed.store(true, Ordering::Relaxed);
        // Requests that began before it was left out say nothing new; the next check does.
        if let Some(until) = trouble.until.as_mut().filter(|until| now < **until) {
            *until = (*until).max(now + at_least);
            return;
        }
        trouble.failures = trouble.failures.saturating_add(1);
        if let Some(more) = trouble.failures.checked_sub(FAILURES) {
            let out = OUT.saturating_mul(1 << more.min(10)).min(OUT_AT_MOST);
            trouble.until = Some(now + out.max(at_least));
        }
    }
}

/// One request that a backend is busy with.
pub struct Held(Arc<Member>);

impl Drop for Held {
    fn drop(&mut self) {
        self.0.in_flight.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use http::uri::Scheme;

    use super::*;

    fn member() -> Arc<Member> {
        let address: SocketAddr = "10.0.0.1:8000".parse().unwrap();
        let authority = "llm.team.svc".parse().unwrap();
        let host = Host::new(Scheme::HTTP, authority, Some(address)).unwrap();
        Arc::new(Member::new(address, Arc::new(host)))
    }

    #[test]
    fn it_is_busy_until_the_last_request_is_dropped() {
        let member = member();
        let (first, second) = (member.hold(), member.hold());
        assert_eq!(member.load(), 2);
        drop(first);
        assert_eq!(member.load(), 1);
        drop(second);
        assert_eq!(member.load(), 0);
    }

    #[test]
    fn checks_that_fail_keep_it_out_until_one_succeeds() {
        let (member, start) = (member(), Instant::now());
        let every = Duration::from_secs(30);
        member.failed(start, every * 2);
        assert_eq!(member.out_for(start), None, "one is not enough");
        for check in 1..5 {
            let now = start + every * check;
            member.failed(now, every * 2);
            assert_eq!(member.out_for(now), Some(every * 2));
        }
        member.reached();
        assert_eq!(member.out_for(start + every * 5), None);
    }

    #[test]
    fn failures_in_a_row_take_it_out_for_ever_longer_and_success_brings_it_back() {
        let (member, start) = (member(), Instant::now());
        member.missed(start);
        assert_eq!(member.out_for(start), None, "one is not enough");
        member.missed(start);
        assert_eq!(member.out_for(start), Some(OUT));
        member.missed(start);
        assert_eq!(member.out_for(start), Some(OUT), "what was under way does not make it longer");
        let later = start + OUT;
        assert_eq!(member.out_for(later), None, "it is tried again");
        member.missed(later);
        assert_eq!(member.out_for(later), Some(OUT * 2));
        for _ in 0..20 {
            member.missed(later + OUT_AT_MOST);
            assert!(member.out_for(later).unwrap() <= OUT_AT_MOST * 2);
        }
        member.reached();
        assert_eq!(member.out_for(later), None);
        member.missed(later);
        assert_eq!(member.out_for(later), None, "counted anew");
    }
}
