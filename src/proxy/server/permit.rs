//! A bound on what runs at one time. Nobody waits for a permit: who gets none is refused.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// So many may run at one time.
#[derive(Debug)]
pub struct Permits {
    limit: usize,
    used: AtomicUsize,
}

/// The right to run, given back when dropped.
#[derive(Debug)]
pub struct Permit(Arc<Permits>);

impl Permits {
    /// Permits for `limit` at one time.
    pub fn new(limit: usize) -> Self {
        Self { limit, used: AtomicUsize::new(0) }
    }

    /// One permit, unless all are used.
    pub fn try_acquire(self: &Arc<Self>) -> Option<Permit> {
        // Counting first and looking after is one atomic step; who came too late takes it back.
        let permit_before = self.used.fetch_add(1, Ordering::Relaxed);
        let permit = Permit(Arc::clone(self));
        (permit_before < self.limit).then_some(permit)
    }

    /// How many are used now.
    pub fn used(&self) -> usize {
        self.used.load(Ordering::Relaxed)
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.0.used.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn permits_are_refused_beyond_the_limit_and_come_back() {
        let permits = Arc::new(Permits::new(2));
        let first = permits.try_acquire();
        let second = permits.try_acquire();
        assert!(first.is_some() && second.is_some());
        assert!(permits.try_acquire().is_none());
        assert_eq!(permits.used(), 2);
        drop(first);
        assert!(permits.try_acquire().is_some());
    }
}
