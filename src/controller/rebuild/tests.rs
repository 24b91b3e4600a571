//! Rebuilds driven by hand: no source, no cluster.

use prometheus::Registry;
use serde_json::json;

use super::*;
use crate::{
    api::{AIBudgetSpec, AIProviderSpec},
    budget::ManualClock,
    compile::{Meta, Object},
    source::cluster::Seen,
};

struct Bench {
    current: Arc<Current>,
    published: Arc<Published>,
    ledger: Arc<Ledger>,
    outcomes: watch::Receiver<Arc<Outcome>>,
    shutdown: CancellationToken,
}

fn start(statuses: Statuses) -> Bench {
    let current = Current::new(Inputs::default());
    let published = Arc::new(Published::default());
    let clock = ManualClock::new("2026-05-05T00:00:00Z".parse().unwrap());
    let ledger = Arc::new(Ledger::new(Arc::new(clock)));
    let (outcome, outcomes) = watch::channel(Arc::default());
    let rebuild = Rebuild {
        current: current.clone(),
        published: published.clone(),
        outcome,
        ledger: ledger.clone(),
        checkpoints: Some(Arc::new(statuses)),
        metrics: ControlMetrics::new(&Registry::new()).unwrap(),
    };
    let shutdown = CancellationToken::new();
    tokio::spawn(rebuild.run(shutdown.clone()));
    Bench { current, published, ledger, outcomes, shutdown }
}

impl Bench {
    async fn outcome(&mut self) -> Arc<Outcome> {
        self.outcomes.changed().await.unwrap();
        self.outcomes.borrow_and_update().clone()
    }
}

impl Drop for Bench {
    fn drop(&mut self) {
        self.shutdown.cancel();
    }
}

fn object<S>(name: &str, generation: i64, spec: Result<S, String>) -> (ObjectName, Object<S>) {
    let name = ObjectName::new("team", name);
    let meta = Meta {
        name: name.clone(),
        uid: "uid".into(),
        generation,
        created: None,
        labels: BTreeMap::new(),
    };
    (name, Object { meta, spec: spec.map(Arc::new) })
}

fn provider(generation: i64) -> (ObjectName, Object<AIProviderSpec>) {
    object("mock", generation, Ok(serde_json::from_value(json!({"type": "Mock"})).unwrap()))
}

fn budget() -> (ObjectName, Object<AIBudgetSpec>) {
    let window = json!({"calendar": "Year"});
    let limit = json!({"name": "year", "amount": "10", "unit": "Requests", "window": window});
    object("year", 1, Ok(serde_json::from_value(json!({"limits": [limit]})).unwrap()))
}

fn add<K: Ord, V>(map: &mut BTreeMap<K, V>, (key, value): (K, V)) -> bool {
    map.insert(key, value);
    true
}

#[tokio::test]
async fn nothing_is_published_before_everything_has_been_read() {
    let mut bench = start(Statuses::default());
    bench.current.update(|inputs| add(&mut inputs.providers, provider(1)));
    // Several turns of the task: it waits for the mark, not for time.
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
    assert_eq!(bench.outcomes.borrow().version, 0);
    bench.current.mark_synced();
    assert_eq!(bench.outcome().await.version, 1);
    assert_eq!(bench.published.load().providers.len(), 1);
}

#[tokio::test]
async fn an_empty_source_is_published_once() {
    let mut bench = start(Statuses::default());
    bench.current.mark_synced();
    assert_eq!(bench.outcome().await.version, 1);
}

#[tokio::test]
async fn what_compiles_to_the_same_is_told_but_not_published() {
    let mut bench = start(Statuses::default());
    bench.current.update(|inputs| add(&mut inputs.providers, provider(1)));
    bench.current.mark_synced();
    let first = bench.outcome().await;
    let served = bench.published.load_full();
    bench.current.update(|inputs| add(&mut inputs.providers, provider(2)));
    let mut last = bench.outcome().await;
    while last.verdicts.values().any(|verdict| verdict.generation == 1) {
        last = bench.outcome().await;
    }
    assert_eq!((first.version, last.version), (1, 1));
    assert!(Arc::ptr_eq(&served, &bench.published.load_full()));
}

#[tokio::test]
async fn a_checkpoint_is_restored_before_its_budget_is_served() {
    let earlier = start(Statuses::default());
    let (name, object) = budget();
    let inputs = Inputs { budgets: [(name.clone(), object)].into(), ..Inputs::default() };
    let compiled = compile(&inputs).snapshot.budgets.remove(0);
    let amounts = crate::budget::Amounts { requests: 3, ..<_>::default() };
    let plan = compiled.plan.clone();
    let demand = crate::budget::Demand { plan, subject: "".into(), amounts };
    let reservation = earlier.ledger.reserve(vec![demand], Duration::from_secs(60)).unwrap();
    reservation.settle_all(amounts);
    let text = serde_json::to_string(&earlier.ledger.checkpoint(&compiled.plan)).unwrap();

    let statuses = Statuses::default();
    let status = Arc::new(json!({"checkpoint": text}));
    let seen = Seen { uid: "uid".into(), resource_version: "1".into(), status };
    statuses.observe(ObjectKey { kind: Kind::Budget, name }, seen);
    let mut bench = start(statuses);
    bench.current.update(|inputs| add(&mut inputs.budgets, budget()));
    bench.current.mark_synced();
    bench.outcome().await;
    assert_eq!(bench.ledger.views(&compiled.plan)[0].used, 3);
}

#[tokio::test]
async fn a_budget_that_cannot_be_read_is_still_known_by_its_uid() {
    let mut bench = start(Statuses::default());
    bench.current.update(|inputs| add(&mut inputs.budgets, object("year", 1, Err("no".into()))));
    bench.current.mark_synced();
    let outcome = bench.outcome().await;
    assert!(outcome.budgets.is_empty() && outcome.budget_uids.contains("uid"));
}
