//! The immutable configuration that one request sees from its start to its end.
//!
//! Root of the read path. Holds limits and references, never counters, health or caches: those
//! outlive a reload and are keyed by what the snapshot names. Knows nothing of Kubernetes.

pub mod access;
pub mod account;
pub mod address;
pub mod balance;
pub mod budget;
pub mod condition;
pub mod consumer;
pub mod direct;
pub mod failover;
pub mod hostname;
pub mod identity;
pub mod name;
pub mod pattern;
pub mod provider;
pub mod route;
pub mod secret;
pub mod selector;
pub mod table;

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use arc_swap::{ArcSwap, Guard};

pub use access::{Access, Allow, KeyNamespaces};
pub use account::{AccountLimits, Ejection, Probe};
pub use balance::{Balance, SessionKey};
pub use budget::{Budget, Dimension, Unpriced};
pub use condition::Condition;
pub use consumer::{Consumer, ConsumerTable, KeyDigest};
pub use direct::{Direct, DirectBudget};
pub use failover::{FailureClass, FailureClasses, Fallback, Hedge, Retry};
pub use hostname::Hostname;
pub use identity::{AwsIdentity, AwsKeys, AwsRole, AzureIdentity, GcpIdentity, Identity};
pub use name::ObjectName;
pub use pattern::Pattern;
pub use provider::{Addressing, Backend, Credential, Endpoint, KeyHeader, Model, Provider};
pub use route::{Fidelity, Route, Rule, Target, TargetModel, Timeouts};
pub use secret::{CREDENTIAL_HEADERS, SecretString};
pub use selector::Selector;
pub use table::{RouteMatch, RouteTable, Sought};

/// Everything that the proxy needs to know to serve a request.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Snapshot {
    /// Routes, found by model name.
    pub routes: RouteTable,
    /// Consumers, found by the digest of their key.
    pub consumers: ConsumerTable,
    /// Providers by name.
    pub providers: BTreeMap<ObjectName, Arc<Provider>>,
    /// Providers whose other endpoints callers may use, by name.
    pub direct: BTreeMap<ObjectName, Arc<Direct>>,
    /// Budgets, in a stable order.
    pub budgets: Vec<Arc<Budget>>,
}

/// The published snapshot: read by every request, replaced as a whole.
#[derive(Debug, Default)]
pub struct Published {
    current: ArcSwap<Snapshot>,
    is_live: AtomicBool,
}

impl Published {
    /// The snapshot of this moment, cheap enough to take for every request.
    pub fn load(&self) -> Guard<Arc<Snapshot>> {
        self.current.load()
    }

    /// The snapshot of this moment, to be kept.
    pub fn load_full(&self) -> Arc<Snapshot> {
        self.current.load_full()
    }

    /// Replaces the snapshot in one step. Requests under way keep the one they started with.
    pub fn publish(&self, snapshot: Arc<Snapshot>) {
        self.current.store(snapshot);
        self.is_live.store(true, Ordering::Release);
    }

    /// Whether there was a first one: until then nobody is known, and nobody can be refused.
    pub fn is_live(&self) -> bool {
        self.is_live.load(Ordering::Acquire)
    }
}
