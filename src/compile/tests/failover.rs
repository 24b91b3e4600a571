//! What is said of fallbacks that cannot happen.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::{Kind, provider, route, verdict};
use crate::compile::{Inputs, compile};

/// A provider's name, a model of it and its window.
type Target = (&'static str, &'static str, Option<u64>);

/// Warnings of a route with two targets that falls back on this failure.
fn warnings(failure: &str, targets: [Target; 2]) -> Vec<String> {
    let mut inputs = Inputs::default();
    let mut models: BTreeMap<&str, Vec<Value>> = BTreeMap::new();
    for (provider, model, window) in targets {
        models.entry(provider).or_default().push(json!({"name": model, "contextWindow": window}));
    }
    for (name, models) in models {
        provider(&mut inputs, &format!("a/{name}"), json!({"type": "Mock", "models": models}));
    }
    let targets = targets.map(|(name, model, _)| {
        json!({"name": format!("{name}-{model}"), "providerRef": {"name": name}, "model": model})
    });
    let spec = json!({"models": ["chat"], "rules": [{"targets": targets}],
        "fallback": {"failures": [failure]}});
    route(&mut inputs, "a/chat", 1, spec);
    let verdict = verdict(&compile(&inputs), Kind::Route, "a/chat");
    assert_eq!(verdict.problems().count(), 0);
    verdict.warnings
}

#[test]
fn a_context_that_no_target_has_more_of_is_warned_of() {
    let of = |first, second| warnings("ContextLength", [("x", "m", first), ("y", "n", second)]);
    for (first, second) in [(None, None), (Some(10), Some(10))] {
        let warnings = of(first, second);
        assert!(matches!(&warnings[..], [one] if one.contains("ContextLength leads nowhere")));
    }
    for (first, second) in [(Some(10), Some(20)), (None, Some(20)), (Some(20), Some(10))] {
        assert!(of(first, second).is_empty());
    }
}

#[test]
fn a_filter_that_all_targets_share_is_warned_of() {
    let same = warnings("ContentFilter", [("x", "m", None), ("x", "n", None)]);
    assert!(matches!(&same[..], [one] if one.contains("ContentFilter leads nowhere")));
    assert!(warnings("ContentFilter", [("x", "m", None), ("y", "n", None)]).is_empty());
    assert!(warnings("ServerError", [("x", "m", None), ("x", "n", None)]).is_empty());
}
