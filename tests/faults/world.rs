//! A configuration written as users write it, compiled by the product's own compiler, and a gateway
//! that serves it.

use std::sync::Arc;

use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use sluice::{
    compile::{Inputs, Meta, Object, SecretData, Settings, compile},
    snapshot::{ObjectName, Snapshot},
};
use zeroize::Zeroizing;

use crate::{
    certificate,
    fixture::{Gateway, KEY, World},
};

/// Objects under way to the compiler, all in the namespace `team`.
#[derive(Clone)]
pub struct Objects(pub Inputs);

impl Objects {
    /// Nothing but the consumer whose key every gateway here knows.
    pub fn new() -> Self {
        let settings = Settings { allow_loopback: true, ..Settings::default() };
        let mut objects = Self(Inputs { settings, ..Inputs::default() });
        let consumer = secret("key", KEY);
        objects.0.consumers.insert(named("caller"), consumer);
        objects
    }

    pub fn provider(&mut self, name: &str, spec: Value) {
        self.0.providers.insert(named(name), object("AIProvider", name, spec));
    }

    pub fn route(&mut self, name: &str, spec: Value) {
        self.0.routes.insert(named(name), object("AIRoute", name, spec));
    }

    pub fn budget(&mut self, name: &str, spec: Value) {
        self.0.budgets.insert(named(name), object("AIBudget", name, spec));
    }

    /// A provider's Secret.
    pub fn secret(&mut self, name: &str, key: &str) {
        self.0.secrets.insert(named(name), secret("api-key", key));
    }

    /// A budget of tokens that is never used up.
    pub fn wide_budget(&mut self, name: &str, amount: u64) {
        let window = json!({"sliding": "1h"});
        let limit = json!({"name": "hour", "amount": amount.to_string(), "unit": "Tokens", "window": window});
        self.budget(name, json!({"limits": [limit]}));
    }

    /// Compiles; every object must be fine.
    pub fn compile(&self) -> Snapshot {
        let compiled = compile(&self.0);
        for (key, verdict) in &compiled.verdicts {
            assert!(verdict.is_ready(), "{key:?}: {verdict:?}");
        }
        compiled.snapshot
    }
}

fn named(name: &str) -> ObjectName {
    ObjectName::new("team", name)
}

fn object<S: DeserializeOwned>(kind: &str, name: &str, spec: Value) -> Object<S> {
    let meta = Meta {
        name: named(name),
        uid: format!("{kind}/team/{name}").into(),
        generation: 1,
        created: None,
        labels: Default::default(),
    };
    let spec = serde_json::from_value(spec).map(Arc::new).map_err(|error| error.to_string());
    Object { meta, spec }
}

fn secret(key: &str, value: &str) -> SecretData {
    let data = [(key.to_owned(), Zeroizing::new(value.as_bytes().to_vec()))];
    SecretData { data: data.into(), ..SecretData::default() }
}

/// A gateway that serves what has been compiled.
pub struct Recorded {
    pub gateway: Gateway,
}

impl Recorded {
    /// Serves these objects, trusting this suite's certificates.
    pub async fn start(objects: &Objects) -> Self {
        let roots = Some(certificate::roots());
        let world = World { is_live: false, roots, ..World::default() };
        let gateway = Gateway::start_in(world, []).await;
        gateway.published.publish(Arc::new(objects.compile()));
        Self { gateway }
    }

    /// The records of all requests, once all of them have ended.
    pub async fn records(&self) -> Vec<Value> {
        self.gateway.records().await
    }

    /// Used and reserved of every budget's first limit.
    pub fn budgets(&self) -> Vec<(u64, u64)> {
        let snapshot = self.gateway.published.load_full();
        let views = snapshot.budgets.iter().map(|budget| self.gateway.ledger.views(&budget.plan));
        views.map(|views| views.first().map_or((0, 0), |view| (view.used, view.reserved))).collect()
    }
}
