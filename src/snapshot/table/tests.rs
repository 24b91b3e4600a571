//! Precedence of routes.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::{Rank, RouteTable, Sought};
use crate::snapshot::{
    Access, Allow, Consumer, Hostname, KeyNamespaces, ObjectName, Pattern, Route, Selector,
};

fn route(name: &str, age: i64, models: &[&str]) -> Route {
    let (namespace, name) = name.split_once('/').unwrap();
    Route {
        name: ObjectName::new(namespace, name),
        uid: name.into(),
        created: Some(jiff::Timestamp::from_second(age).unwrap()),
        labels: BTreeMap::new(),
        models: models.iter().map(|model| Pattern::parse(model).unwrap()).collect(),
        access: Access { anonymous: true, allow: Vec::new() },
        ..Route::default()
    }
}

fn consumer(namespace: &str) -> Consumer {
    Consumer {
        name: ObjectName::new(namespace, "key"),
        labels: BTreeMap::new(),
        app: None,
        team: None,
        environment: None,
        expires: None,
    }
}

fn found(table: &RouteTable, model: &str, consumer: Option<&Consumer>) -> Option<String> {
    table
        .find(&Sought { model, consumer, endpoint: None, hostname: "" })
        .map(|found| format!("{} {}", found.route.name, found.star))
}

fn table(routes: Vec<Route>) -> RouteTable {
    RouteTable::new(routes.into_iter().map(Into::into).collect())
}

#[test]
fn exact_then_longest_pattern_then_star() {
    let table = table(vec![
        route("a/star", 1, &["*"]),
        route("a/gpt", 2, &["gpt-*"]),
        route("a/gpt5", 3, &["gpt-5*"]),
        route("a/mini", 4, &["*-turbo-mini"]),
        route("a/exact", 5, &["gpt-5-mini"]),
    ]);
    assert_eq!(found(&table, "gpt-5-mini", None).unwrap(), "a/exact gpt-5-mini");
    assert_eq!(found(&table, "gpt-5-turbo", None).unwrap(), "a/gpt5 -turbo");
    assert_eq!(found(&table, "gpt-5-turbo-mini", None).unwrap(), "a/mini gpt-5");
    assert_eq!(found(&table, "gpt-4", None).unwrap(), "a/gpt 4");
    assert_eq!(found(&table, "claude", None).unwrap(), "a/star claude");
}

#[test]
fn equal_claims_go_to_the_callers_namespace_then_to_the_oldest() {
    let table = table(vec![
        route("a/old", 1, &["chat"]),
        route("b/new", 2, &["chat"]),
        route("b/newer", 3, &["chat"]),
    ]);
    assert_eq!(found(&table, "chat", Some(&consumer("b"))).unwrap(), "b/new chat");
    assert_eq!(found(&table, "chat", Some(&consumer("c"))).unwrap(), "a/old chat");
    assert_eq!(found(&table, "chat", None).unwrap(), "a/old chat");
}

#[test]
fn a_route_that_does_not_admit_the_caller_is_passed_over() {
    let mut closed = route("a/closed", 1, &["chat"]);
    closed.access = Access {
        anonymous: false,
        allow: vec![Allow {
            namespaces: KeyNamespaces::Of(BTreeSet::from(["a".into()])),
            labels: Selector::default(),
        }],
    };
    let table = table(vec![closed, route("b/open", 2, &["*"])]);
    assert_eq!(found(&table, "chat", Some(&consumer("a"))).unwrap(), "a/closed chat");
    assert_eq!(found(&table, "chat", None).unwrap(), "b/open chat");
}

#[test]
fn names_that_are_not_ascii_are_split_at_characters_only() {
    let table = table(vec![route("a/x", 1, &["abc*"]), route("a/y", 2, &["*abc"])]);
    assert_eq!(found(&table, "äöü", None), None);
    assert_eq!(found(&table, "abcä", None).unwrap(), "a/x ä");
}

/// Admits keys of these namespaces; of none in particular: of any.
fn closed(mut route: Route, namespaces: &[&str]) -> Route {
    let namespaces = match namespaces {
        [] => KeyNamespaces::All,
        names => KeyNamespaces::Of(names.iter().map(|name| (*name).into()).collect()),
    };
    let allow = vec![Allow { namespaces, labels: Selector::default() }];
    route.access = Access { anonymous: false, allow };
    route
}

#[test]
fn whoever_is_admitted_from_elsewhere_gets_the_oldest_route_however_it_admits() {
    let table = table(vec![
        closed(route("a/named", 3, &["chat"]), &["x", "y"]),
        closed(route("b/any", 2, &["chat"]), &[]),
        closed(route("c/own", 1, &["chat"]), &["c"]),
        route("d/everybody", 4, &["chat"]),
        closed(route("e/oldest", 0, &["chat"]), &["y"]),
    ]);
    assert_eq!(found(&table, "chat", Some(&consumer("x"))).unwrap(), "b/any chat");
    assert_eq!(found(&table, "chat", Some(&consumer("y"))).unwrap(), "e/oldest chat");
    assert_eq!(found(&table, "chat", Some(&consumer("c"))).unwrap(), "c/own chat");
    assert_eq!(found(&table, "chat", None).unwrap(), "d/everybody chat");
}

#[test]
fn ten_thousand_equal_names_in_as_many_namespaces_cost_one_look() {
    let all = (0..10_000).map(|n| {
        let namespace = format!("team-{n}");
        closed(route(&format!("{namespace}/chat"), n, &["chat"]), &[namespace.as_str()])
    });
    let mut all: Vec<_> = all.collect();
    all.push(route("public/chat", 10_000, &["chat"]));
    let table = table(all);
    for (namespace, wanted, most) in [
        (Some("team-0"), "team-0/chat", 1),
        (Some("team-9999"), "team-9999/chat", 1),
        (Some("elsewhere"), "public/chat", 1),
        (None, "public/chat", 1),
    ] {
        let consumer = namespace.map(consumer);
        assert_eq!(found(&table, "chat", consumer.as_ref()).unwrap(), format!("{wanted} chat"));
        let mut looks = 0;
        table.exact["chat"].choose(namespace, |index| {
            looks += 1;
            table.routes[index].access.admits(consumer.as_ref())
        });
        assert!(looks <= most, "{namespace:?}: {looks}");
    }
}

#[test]
fn a_table_knows_whether_anybody_may_come_without_a_key() {
    assert!(!table(Vec::new()).admits_anonymous());
    let mut closed = route("a/closed", 1, &["x"]);
    closed.access.anonymous = false;
    assert!(!table(vec![closed.clone()]).admits_anonymous());
    assert!(table(vec![closed, route("a/open", 2, &["y"])]).admits_anonymous());
}

#[test]
fn a_route_answers_on_its_endpoints_only() {
    use crate::llm::Endpoint;
    let mut narrow = route("a/narrow", 1, &["m"]);
    narrow.endpoints = vec![Endpoint::Embeddings];
    let table = RouteTable::new(vec![
        Arc::new(narrow),
        Arc::new(route("a/wide", 2, &["m"])),
        Arc::new(route("a/late", 3, &["m"])),
    ]);
    let consumer = consumer("b");
    for caller in [None, Some(&consumer)] {
        let name = |endpoint| {
            table
                .find(&Sought { model: "m", consumer: caller, endpoint, hostname: "" })
                .unwrap()
                .route
                .name
                .to_string()
        };
        assert_eq!(name(Some(Endpoint::Embeddings)), "a/narrow");
        assert_eq!(name(Some(Endpoint::Messages)), "a/wide");
        assert_eq!(name(None), "a/narrow");
    }
}

/// Look-ups in the table's indexes, and routes whose access is looked at, to find `model`.
fn work(table: &RouteTable, model: &str, namespace: &str) -> (usize, usize) {
    let mut looked_at = 0;
    let found = table.search(model, Some(namespace), |route| {
        looked_at += 1;
        route.access.admits(Some(&consumer(namespace)))
    });
    assert!(found.is_some(), "{model}");
    (table.lengths.len(), looked_at)
}

#[test]
fn the_work_of_a_look_up_does_not_grow_with_the_number_of_routes() {
    let work_of = |count: usize| {
        let routes = (0..count).map(|number| {
            let own = format!("model-{number}");
            let mut route = route(&format!("ns-{number}/chat"), 1, &["chat", &own, "gpt-*", "*"]);
            let namespaces = KeyNamespaces::Of(BTreeSet::from([format!("ns-{number}").into()]));
            let allow = vec![Allow { namespaces, labels: Selector::default() }];
            route.access = Access { anonymous: false, allow };
            route
        });
        let table = table(routes.collect());
        let last = count - 1;
        let (own, namespace) = (format!("model-{last}"), format!("ns-{last}"));
        [&*own, "chat", "gpt-9", "none"].map(|model| work(&table, model, &namespace))
    };
    let few = work_of(10);
    assert_eq!(few, [(2, 1); 4]);
    assert_eq!(work_of(1_000), few);
    assert_eq!(work_of(10_000), few);
}

#[test]
fn narrower_hosts_come_first_whatever_their_age() {
    let at = |hosts: &[&str], name: &str, age| {
        let hostnames = hosts.iter().map(|host| Hostname::parse(host).unwrap()).collect();
        Arc::new(Route { hostnames, ..route(name, age, &["m"]) })
    };
    let table = RouteTable::new(vec![
        at(&[], "a/any", 1),
        at(&["*.com"], "a/wide", 2),
        at(&["*.example.com", "x.com"], "a/below", 3),
        at(&["eu.example.com"], "a/eu", 4),
    ]);
    let named = |hostname| {
        let sought = Sought { model: "m", consumer: None, endpoint: None, hostname };
        table.find(&sought).unwrap().route.name.to_string()
    };
    assert_eq!(named("eu.example.com"), "a/eu");
    assert_eq!(named("us.example.com"), "a/below");
    assert_eq!(named("y.com"), "a/wide");
    assert_eq!(named("y.org"), "a/any");
}

#[test]
fn a_host_fits_before_any_pattern_does() {
    let at = |hosts: &[&str], mut route: Route| {
        route.hostnames = hosts.iter().map(|host| Hostname::parse(host).unwrap()).collect();
        Arc::new(route)
    };
    let table = RouteTable::new(vec![
        at(&["eu.example.com"], route("a/eu", 1, &["m"])),
        at(&["*.example.com"], route("a/below", 2, &["m"])),
        at(&[], route("a/any", 3, &["*"])),
    ]);
    let named = |hostname| {
        let sought = Sought { model: "m", consumer: None, endpoint: None, hostname };
        table.find(&sought).unwrap().route.name.to_string()
    };
    assert_eq!(named("eu.example.com"), "a/eu");
    assert_eq!(named("us.example.com"), "a/below");
    assert_eq!(named("example.com"), "a/any");
    assert_eq!(named(""), "a/any");
}

/// Every combination of two routes' claims, against the plain comparison of all of them.
#[test]
fn the_rank_says_why_the_table_answers_as_it_does() {
    let patterns = ["m", "mo*", "*l", "*", "model", "*odel"];
    let made = |name: &str, pattern: &str, age| closed(route(name, age, &[pattern]), &[]);
    for (first, second) in patterns.iter().flat_map(|a| patterns.iter().map(move |b| (a, b))) {
        for (age, caller) in [(1, "a"), (2, "b"), (3, "c")] {
            let routes =
                [made("a/x", first, 2), made("b/y", second, age), made("b/z", second, age)];
            let table = table(routes.to_vec());
            for model in ["m", "model", "mol"] {
                let caller = consumer(caller);
                let fitting = routes.iter().filter(|route| route.models[0].matches(model));
                let least = fitting
                    .min_by_key(|route| Rank::of(route, &route.models[0], Some(&caller)))
                    .map(|route| route.name.to_string());
                let answer = found(&table, model, Some(&caller));
                let answer = answer.map(|text| text.split(' ').next().unwrap().to_owned());
                assert_eq!(answer, least, "{first} {second} {age} {model}");
            }
        }
    }
}
