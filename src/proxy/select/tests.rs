//! Order and shares of targets.

use super::*;

fn shares(weights: &[u32], turns: u32) -> Vec<u32> {
    let counter = Turns::default();
    let mut counts = vec![0; weights.len()];
    for _ in 0..turns {
        counts[pick(weights.iter().copied(), counter.first("route")).unwrap()] += 1;
    }
    counts
}

#[test]
fn shares_are_exact_within_a_few_requests() {
    let counts = shares(&[90, 10], 1000);
    assert!((897..=903).contains(&counts[0]), "{counts:?}");
    let counts = shares(&[1, 1, 1], 999);
    assert!(counts.iter().all(|count| (330..=336).contains(count)), "{counts:?}");
}

#[test]
fn turns_are_smooth() {
    let counter = Turns::default();
    let picks: Vec<_> =
        (0..40).map(|_| pick([1, 1].into_iter(), counter.first("route")).unwrap()).collect();
    for window in picks.windows(4) {
        assert!(window.contains(&0) && window.contains(&1), "{picks:?}");
    }
}

#[test]
fn weight_zero_is_never_picked() {
    assert_eq!(shares(&[0, 5, 0], 100), [0, 100, 0]);
    assert_eq!(pick([0, 0].into_iter(), u64::MAX), None);
    assert_eq!(pick(std::iter::empty(), 7), None);
}

#[test]
fn a_point_at_either_end_is_within_bounds() {
    assert_eq!(pick([3, 4].into_iter(), 0), Some(0));
    assert_eq!(pick([3, 4].into_iter(), u64::MAX), Some(1));
    assert_eq!(pick([u32::MAX, u32::MAX].into_iter(), u64::MAX), Some(1));
}

#[test]
fn every_candidate_comes_once_and_lower_priorities_first() {
    let candidates: Vec<Candidate> = [(0, 1), (0, 3), (1, 1), (2, 5), (2, 5)]
        .map(|(priority, weight)| candidate(priority, weight))
        .into();
    let turns = Turns::default();
    for _ in 0..50 {
        let order: Vec<usize> = Order::new(&turns, "route", &candidates).collect();
        let priorities: Vec<u32> =
            order.iter().map(|index| candidates[*index].target.priority).collect();
        assert_eq!(priorities, [0, 0, 1, 2, 2]);
        let mut sorted = order.clone();
        sorted.sort_unstable();
        assert_eq!(sorted, [0, 1, 2, 3, 4]);
    }
}

fn candidate(priority: u32, weight: u32) -> Candidate {
    use crate::{
        llm::{Dialect, Endpoint, Translator},
        snapshot::{self, ObjectName, Provider, Target, TargetModel},
    };
    use std::sync::Arc;
    let provider = Provider {
        name: ObjectName::new("team", "mock"),
        uid: "mock".into(),
        kind: "Mock",
        dialects: &[Dialect::OpenAi],
        quirks: crate::llm::Quirks::NONE,
        addressing: Default::default(),
        key_header: Default::default(),
        identity: None,
        endpoint: snapshot::Endpoint::Mock,
        credentials: Vec::new(),
        headers: Vec::new(),
        models: Default::default(),
        prices: Vec::new(),
        connect_timeout: std::time::Duration::from_secs(5),
    };
    let target = Target {
        name: "target".into(),
        provider: Arc::new(provider),
        model: TargetModel::AsAsked,
        weight,
        priority,
        parameters: None,
    };
    let translator = Translator::new(Endpoint::ChatCompletions, &[Dialect::OpenAi]).unwrap();
    let terms = target.provider.model("m");
    Candidate { target: Arc::new(target), model: "m".into(), terms, translator }
}
