//! ConfigMaps with prices: used as they are applied, and their mistakes told.

use std::path::Path;

use sluice::{compile::Settings, price::PriceSource, snapshot::Snapshot};

use crate::{
    cluster::eventually,
    replica::{Namespace, Replica, SOON},
};

const PROVIDER: &str = "
apiVersion: sluice.dev/v1alpha1
kind: AIProvider
metadata: {name: llm}
spec: {type: VLLM, endpoint: 'http://llm.test/v1'}
";

fn prices(model: &str, price: &str) -> String {
    format!(
        "
apiVersion: v1
kind: ConfigMap
metadata: {{name: prices, labels: {{sluice.dev/prices: 'true'}}}}
data:
  prices.yaml: |
    prices:
    - provider: VLLM
      models:
      - {{name: {model}, pricing: {{input: {price}, output: '2'}}}}
      - {{name: always, pricing: {{input: '1', output: '2'}}}}
"
    )
}

/// A replica whose own namespace is the test's.
fn replica(kubeconfig: &Path, space: &Namespace, identity: &str) -> Replica {
    let own = space.name.as_str();
    let settings = Settings { gateway_namespace: own.into(), ..Settings::default() };
    Replica::start_as(kubeconfig, &[own], identity, settings)
}

/// Input price of a model in USD per million tokens; empty without one.
fn price(snapshot: &Snapshot, space: &Namespace, model: &str) -> String {
    let Some(provider) = snapshot.providers.get(&space.object("llm")) else {
        return "no provider".to_owned();
    };
    let model = provider.model(model);
    assert!(matches!(model.price_source, PriceSource::None | PriceSource::Overlay));
    model.price.map(|price| price.rates.input.to_string()).unwrap_or_default()
}

#[test]
fn prices_follow_their_config_map_and_its_mistakes_are_told() {
    let space = Namespace::new("prices");
    space.apply(PROVIDER);
    space.apply(&prices("llama", "'1'"));
    let replica = replica(space.cluster.kubeconfig(), &space, "first");
    let is = |model: &str, wanted: &str| {
        replica.await_snapshot(|snapshot| price(snapshot, &space, model) == wanted);
    };
    is("llama", "1");
    is("llama-2026-01-31", "1");
    space.apply(&prices("llama", "'3'"));
    is("llama", "3");
    assert_eq!(replica.metrics.price_mistakes.get(), 0);

    space.apply(&prices("llama", "3"));
    is("llama", "");
    is("always", "1");
    eventually(SOON, || {
        let events = space.events("prices");
        let wanted = ("Warning".to_owned(), "InvalidPrices".to_owned());
        if events.contains(&wanted) { Ok(()) } else { Err(format!("{events:?}")) }
    });
    assert_eq!(replica.metrics.price_mistakes.get(), 1);

    space.kubectl(&["label", "configmap", "prices", "sluice.dev/prices-"], "");
    is("always", "");
    space.kubectl(&["label", "configmap", "prices", "sluice.dev/prices="], "");
    is("always", "1");
    space.kubectl(&["delete", "configmap", "prices"], "");
    is("always", "");
    eventually(SOON, || match replica.metrics.price_mistakes.get() {
        0 => Ok(()),
        other => Err(format!("{other} mistakes")),
    });
    replica.stop();
}

const RULES: &str = "
apiVersion: v1
kind: ServiceAccount
metadata: {name: gateway}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata: {name: gateway}
rules:
- {apiGroups: [sluice.dev], resources: [aiproviders, airoutes, aibudgets], verbs: [get, list, watch]}
- {apiGroups: [''], resources: [secrets], verbs: [get, list, watch]}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata: {name: prices}
rules:
- {apiGroups: [''], resources: [configmaps], verbs: [get, list, watch]}
";

#[test]
fn without_permission_to_read_config_maps_everything_but_their_prices_works() {
    let space = Namespace::new("noprices");
    space.apply(RULES);
    let account = format!("--serviceaccount={}:gateway", space.name);
    space.kubectl(&["create", "rolebinding", "gateway", "--role=gateway", &account], "");
    space.apply(PROVIDER);
    space.apply(&prices("llama", "'1'"));
    let kubeconfig = space.cluster.service_account_kubeconfig(&space.name, "gateway");
    let replica = replica(&kubeconfig, &space, "limited");
    replica.await_snapshot(|snapshot| price(snapshot, &space, "llama").is_empty());
    assert!(replica.metrics.watch_errors.with_label_values(&["ConfigMap"]).get() > 0);
    assert_eq!(replica.metrics.source_connected.get(), 1);
    // The chart's rule is all that it takes, and no restart.
    space.kubectl(&["create", "rolebinding", "prices", "--role=prices", &account], "");
    replica.await_snapshot(|snapshot| price(snapshot, &space, "llama") == "1");
    replica.stop();
}
