//! Which requests a budget counts and for whom, from AIBudget as it is written to its counters; and
//! that of several budgets all bind.

use std::{collections::BTreeMap, sync::Arc};

use futures_util::future::join_all;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use sluice::{
    compile::{Inputs, Meta, Object, SecretData, Settings, compile},
    snapshot::{Budget, ObjectName},
};
use zeroize::Zeroizing;

use crate::{
    fixture::{Gateway, Reply, WHOLE, World},
    upstream::{Upstream, json as answer},
};

/// Objects under way to the compiler, named `namespace/name`.
struct Objects(Inputs);

impl Objects {
    /// Providers `a/first` and `a/second`, one in `b`; routes `a/chat` (gold), `a/other` and `b/chat`
    /// for the models `chat-a`, `other-a` and `chat-b`; keys `sk-ann` and `sk-bob`.
    fn new(upstream: &Upstream) -> Self {
        let settings = Settings { allow_loopback: true, ..Settings::default() };
        let mut objects = Self(Inputs { settings, ..Inputs::default() });
        for name in ["a/first", "a/second", "b/first"] {
            let endpoint = format!("http://{}/v1", upstream.address());
            let spec = json!({"type": "OpenAICompatible", "endpoint": endpoint});
            let (name, provider) = object(name, &[], spec);
            objects.0.providers.insert(name, provider);
        }
        for (name, tier, model, provider, served) in [
            ("a/chat", "gold", "chat-a", "first", "m-large"),
            ("a/other", "iron", "other-a", "second", "n-small"),
            ("b/chat", "iron", "chat-b", "first", "m-large"),
        ] {
            let target = json!({"providerRef": {"name": provider}, "model": served});
            let spec = json!({
                "models": [model],
                "access": {"allow": [{"apiKeys": {"namespaces": {}}}]},
                "rules": [{"targets": [target]}],
            });
            let (name, route) = object(name, &[("tier", tier)], spec);
            objects.0.routes.insert(name, route);
        }
        objects.key("ann", [("app", "shop"), ("team", "search"), ("environment", "prod")]);
        objects.key("bob", [("app", "ads"), ("team", "search"), ("environment", "dev")]);
        objects
    }

    fn key(&mut self, name: &str, labels: [(&str, &str); 3]) {
        let key = Zeroizing::new(format!("sk-{name}").into_bytes());
        let labels = labels.map(|(label, value)| (format!("sluice.dev/{label}"), value.to_owned()));
        let secret = SecretData {
            labels: labels.into(),
            data: [("key".to_owned(), key)].into(),
            ..SecretData::default()
        };
        self.0.consumers.insert(ObjectName::new("a", name), secret);
    }

    /// A budget of so many requests.
    fn budget(&mut self, name: &str, amount: u64, mut spec: Value) {
        let window = json!({"calendar": "Year"});
        let amount = amount.to_string();
        let limit = json!({"name": "year", "amount": amount, "unit": "Requests", "window": window});
        spec["limits"] = json!([limit]);
        let (name, budget) = object(name, &[], spec);
        self.0.budgets.insert(name, budget);
    }

    /// A gateway that serves them, and its budgets by name.
    async fn serve(&self) -> (Arc<Gateway>, BTreeMap<String, Arc<Budget>>) {
        let compiled = compile(&self.0);
        for (key, verdict) in &compiled.verdicts {
            assert!(verdict.is_ready(), "{key:?}: {verdict:?}");
        }
        let budgets = compiled.snapshot.budgets.iter();
        let budgets = budgets.map(|budget| (budget.name.to_string(), budget.clone())).collect();
        let gateway = Gateway::start_in(World { is_live: false, ..World::default() }, []).await;
        gateway.published.publish(Arc::new(compiled.snapshot));
        (Arc::new(gateway), budgets)
    }
}

fn object<S: DeserializeOwned>(
    name: &str,
    labels: &[(&str, &str)],
    spec: Value,
) -> (ObjectName, Object<S>) {
    let (namespace, short) = name.split_once('/').unwrap();
    let labels = labels.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned()));
    let meta = Meta {
        name: ObjectName::new(namespace, short),
        uid: name.into(),
        generation: 1,
        created: None,
        labels: labels.collect(),
    };
    let spec = serde_json::from_value(spec).map(Arc::new).map_err(|error| error.to_string());
    (meta.name.clone(), Object { meta, spec })
}

/// Asks a model by a key, in the name of a user and a project.
async fn ask(gateway: &Gateway, (key, model): (&str, &str), user: &str, project: &str) -> Reply {
    let key = format!("Bearer {key}");
    let mut headers = vec![("authorization", key.as_str())];
    if !project.is_empty() {
        headers.push(("x-project", project));
    }
    let mut body = json!({"model": model, "messages": [{"role": "user", "content": "Hi"}]});
    if !user.is_empty() {
        body["user"] = user.into();
    }
    let sent = gateway.send_with("/v1/chat/completions", &headers, body.to_string()).await;
    Reply::read(sent).await
}

#[tokio::test]
async fn a_budget_counts_what_all_parts_of_its_selector_select() {
    let upstream = Upstream::always(answer(WHOLE)).await;
    let mut objects = Objects::new(&upstream);
    let prod = json!({"matchLabels": {"sluice.dev/environment": "prod"}});
    let not_prod =
        json!([{"key": "sluice.dev/environment", "operator": "NotIn", "values": ["prod"]}]);
    // Of: ann to a/chat, bob to a/chat, ann to a/other, ann to b/chat.
    let cases = [
        ("a/everything", json!({}), [1, 1, 1, 0]),
        ("b/everything", json!({}), [0, 0, 0, 1]),
        ("a/named", json!({"routes": {"names": ["chat"]}}), [1, 1, 0, 0]),
        ("a/labelled", json!({"routes": {"matchLabels": {"tier": "iron"}}}), [0, 0, 1, 0]),
        (
            "a/named-and-labelled",
            json!({"routes": {"names": ["chat"], "matchLabels": {"tier": "iron"}}}),
            [0, 0, 0, 0],
        ),
        ("a/prod", json!({"consumers": prod}), [1, 0, 1, 0]),
        ("a/not-prod", json!({"consumers": {"matchExpressions": not_prod}}), [0, 1, 0, 0]),
        ("a/prefix", json!({"models": ["m-*"]}), [1, 1, 0, 0]),
        ("a/suffix", json!({"models": ["*-small", "unknown"]}), [0, 0, 1, 0]),
        ("a/asked-is-not-served", json!({"models": ["chat-a"]}), [0, 0, 0, 0]),
        ("a/provider", json!({"providers": ["a/second"]}), [0, 0, 1, 0]),
        ("sluice-system/own", json!({}), [0, 0, 0, 0]),
        ("sluice-system/all", json!({"allNamespaces": true}), [1, 1, 1, 1]),
        (
            "sluice-system/all-of-prod-to-m",
            json!({"allNamespaces": true, "consumers": prod, "models": ["m-*"]}),
            [1, 0, 0, 1],
        ),
        (
            "sluice-system/all-named-chat",
            json!({"allNamespaces": true, "routes": {"names": ["chat"]}}),
            [1, 1, 0, 1],
        ),
    ];
    for (name, selector, _) in &cases {
        objects.budget(name, 1000, json!({"selector": selector}));
    }
    let (gateway, budgets) = objects.serve().await;
    let used = |name: &str| gateway.used(&budgets[name]).0;
    let mut before = vec![0; cases.len()];
    for (at, asked) in
        [("sk-ann", "chat-a"), ("sk-bob", "chat-a"), ("sk-ann", "other-a"), ("sk-ann", "chat-b")]
            .into_iter()
            .enumerate()
    {
        let reply = ask(&gateway, asked, "", "").await;
        assert_eq!(reply.status, 200, "{}", reply.text());
        for ((name, _, expected), before) in cases.iter().zip(&mut before) {
            let now = used(name);
            assert_eq!(now - *before, expected[at], "{name}, request {at}");
            *before = now;
        }
    }
}

#[tokio::test]
async fn every_dimension_has_a_counter_for_each_of_its_values() {
    let upstream = Upstream::always(answer(WHOLE)).await;
    let mut objects = Objects::new(&upstream);
    let cases: [(&str, &[(&str, u64)]); 11] = [
        ("Consumer", &[("a/ann", 3), ("a/bob", 1)]),
        ("App", &[("shop", 3), ("ads", 1)]),
        ("Team", &[("search", 4)]),
        ("Environment", &[("prod", 3), ("dev", 1)]),
        ("User", &[("-", 1), ("eve", 2), ("joe", 1)]),
        ("Route", &[("a/chat", 2), ("a/other", 1), ("b/chat", 1)]),
        ("Model", &[("m-large", 3), ("n-small", 1)]),
        ("Provider", &[("a/first", 2), ("a/second", 1), ("b/first", 1)]),
        ("Namespace", &[("a", 3), ("b", 1)]),
        ("Header:X-Project", &[("-", 2), ("x", 2)]),
        ("Team, User", &[("search/-", 1), ("search/eve", 2), ("search/joe", 1)]),
    ];
    let name = |per: &str| {
        let name: String = per.chars().filter(char::is_ascii_alphanumeric).collect();
        format!("sluice-system/{}", name.to_lowercase())
    };
    for (per, _) in &cases {
        let per_list: Vec<_> = per.split(", ").collect();
        let spec = json!({"selector": {"allNamespaces": true}, "per": per_list});
        objects.budget(&name(per), 1000, spec);
    }
    let (gateway, budgets) = objects.serve().await;
    for (asked, user, project) in [
        (("sk-ann", "chat-a"), "eve", "x"),
        (("sk-bob", "chat-a"), "joe", ""),
        (("sk-ann", "other-a"), "eve", "x"),
        (("sk-ann", "chat-b"), "", ""),
    ] {
        assert_eq!(ask(&gateway, asked, user, project).await.status, 200);
    }
    for (per, expected) in &cases {
        let view = &gateway.ledger.views(&budgets[&name(per)].plan)[0];
        let mut top: Vec<(&str, u64)> =
            view.top.iter().map(|subject| (&*subject.subject, subject.used)).collect();
        top.sort_unstable();
        let mut expected = expected.to_vec();
        expected.sort_unstable();
        assert_eq!(top, expected, "{per}");
    }
}

#[tokio::test]
async fn one_subject_that_has_used_its_amount_does_not_stop_another() {
    let upstream = Upstream::always(answer(WHOLE)).await;
    let mut objects = Objects::new(&upstream);
    objects.budget("a/each", 1, json!({"per": ["User"]}));
    let (gateway, _) = objects.serve().await;
    for (user, status) in [("eve", 200), ("eve", 429), ("joe", 200), ("joe", 429), ("", 200)] {
        let reply = ask(&gateway, ("sk-ann", "chat-a"), user, "").await;
        assert_eq!(reply.status, status, "{user}: {}", reply.text());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_request_within_three_budgets_counts_in_all_or_in_none() {
    let upstream = Upstream::always(answer(WHOLE)).await;
    for tightest in ["a/user", "a/team", "sluice-system/all"] {
        let mut objects = Objects::new(&upstream);
        let amount = |name| if name == tightest { 7 } else { 1000 };
        for (name, spec) in [
            ("a/user", json!({"per": ["User"]})),
            ("a/team", json!({"per": ["Team"]})),
            ("sluice-system/all", json!({"selector": {"allNamespaces": true}})),
        ] {
            objects.budget(name, amount(name), spec);
        }
        let (gateway, budgets) = objects.serve().await;
        let asked = (0..40).map(|_| {
            let gateway = gateway.clone();
            tokio::spawn(async move { ask(&gateway, ("sk-ann", "chat-a"), "eve", "").await })
        });
        let replies: Vec<Reply> =
            join_all(asked).await.into_iter().map(|reply| reply.unwrap()).collect();
        let refused: Vec<&Reply> = replies.iter().filter(|reply| reply.status == 429).collect();
        assert!(refused.iter().all(|reply| reply.text().contains(tightest)));
        // Those that nobody refuses are served; what waits for a place of others does not pass.
        let served = replies.iter().filter(|reply| reply.status == 200).count() as u64;
        assert_eq!((served, refused.len()), (7, 33), "{tightest}");
        for (name, budget) in &budgets {
            assert_eq!(gateway.used(budget), (7, 0), "{name} beside {tightest}");
        }
    }
}
