//! Where objects come from: a cluster's watches or a folder. Both keep the same [`Current`] inputs.
//!
//! A source reads and dereferences; it decides nothing. What an object means is `compile`'s business.

pub mod cluster;
pub mod directory;

use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::{Notify, watch};

use crate::compile::Inputs;

/// The inputs as a source sees them at this moment, and the signal that they have changed.
#[derive(Debug)]
pub struct Current {
    inputs: Mutex<Inputs>,
    changed: Notify,
    synced: watch::Sender<bool>,
}

impl Current {
    /// Starts from these inputs: the settings, and no object yet.
    pub fn new(inputs: Inputs) -> Arc<Self> {
        Arc::new(Self {
            inputs: Mutex::new(inputs),
            changed: Notify::new(),
            synced: watch::Sender::new(false),
        })
    }

    /// Changes the inputs; `change` says whether anything differs, and only then is the change
    /// signalled.
    pub fn update(&self, change: impl FnOnce(&mut Inputs) -> bool) {
        let differs = change(&mut self.inputs.lock());
        if differs {
            self.changed.notify_one();
        }
    }

    /// A copy of the inputs. Specs are shared, so that it is cheap.
    pub fn inputs(&self) -> Inputs {
        self.inputs.lock().clone()
    }

    /// Says that everything has been read once. Until then nothing is published.
    pub fn mark_synced(&self) {
        self.synced.send_replace(true);
        self.changed.notify_one();
    }

    /// Whether everything has been read once.
    pub fn is_synced(&self) -> bool {
        *self.synced.borrow()
    }

    /// Waits until everything has been read once.
    pub async fn synced(&self) {
        // An error means that the sender is gone, which can't be while `self` is borrowed.
        let _ = self.synced.subscribe().wait_for(|synced| *synced).await;
    }

    /// Waits for the next change. For one waiter: changes before the call are not lost.
    pub async fn changed(&self) {
        self.changed.notified().await;
    }
}
