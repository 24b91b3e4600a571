//! A connection that stops being HTTP: what runs on it instead.
//!
//! The handler answers 101 and puts a [`Takeover`] into the answer's extensions. The connection's own
//! task runs it once hyper has let go of the socket, so that a drain waits for it, and the permit and
//! the connection's slot are held until it ends.

use std::{fmt, pin::Pin, sync::Arc};

use parking_lot::Mutex;

use super::activity::UnderWay;
use super::permit::Permit;

type Run = Pin<Box<dyn Future<Output = ()> + Send>>;

/// What runs on a connection after its answer with 101.
#[derive(Clone)]
pub struct Takeover(Arc<Mutex<Option<Run>>>);

impl Takeover {
    /// `run` gets the socket by `hyper::upgrade::on`, and must end soon after
    /// [`super::DrainSignal::expired`]. It is dropped if the connection ends before.
    pub fn new(run: impl Future<Output = ()> + Send + 'static) -> Self {
        Self(Arc::new(Mutex::new(Some(Box::pin(run)))))
    }

    pub(super) fn hold(self, held: (UnderWay, Permit)) -> Option<Taken> {
        let run = self.0.lock().take()?;
        Some(Taken { run, _held: held })
    }
}

impl fmt::Debug for Takeover {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Takeover")
    }
}

/// A takeover with what its request holds.
pub(super) struct Taken {
    run: Run,
    _held: (UnderWay, Permit),
}

impl Taken {
    pub(super) async fn run(self) {
        self.run.await;
    }
}

impl fmt::Debug for Taken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Taken")
    }
}
