//! Plays faults against real gateways and finds what became of the requests.

use std::{
    sync::{LazyLock, atomic::Ordering},
    time::Duration,
};

use futures_util::stream::{self, StreamExt as _};
use regex::Regex;
use serde_json::{Value, json};

use crate::{
    answer,
    case::{Fault, Form, Row, Warm},
    cases,
    fixture::eventually,
    memory,
    peer::{Peer, Running, Step},
    world::{Objects, Recorded},
};

/// A fault in one form, played alone and with a second target beside it.
pub struct Found {
    pub fault: &'static Fault,
    pub form: Form,
    pub alone: Row,
    pub paired: Row,
    /// Where a row is not the one that is expected, or a request was not accounted for.
    pub complaints: Vec<String>,
}

/// All faults, in the order of the document.
pub static FAULTS: LazyLock<Vec<Fault>> = LazyLock::new(cases::all);

/// What was found: every fault is played once, whichever test asks first.
pub static FOUND: LazyLock<Vec<Found>> = LazyLock::new(|| {
    // Tests have runtimes of their own, in which nothing can be waited for.
    std::thread::spawn(|| {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .unwrap();
        runtime.block_on(all())
    })
    .join()
    .unwrap()
});

/// Longer than any request of this suite may take.
const ENDLESS: Duration = Duration::from_secs(25);

/// Requests under way at once: many of them wait for time limits.
const AT_ONCE: usize = 12;

async fn all() -> Vec<Found> {
    let _alone = memory::ALONE.lock().await;
    let only = std::env::var("FAULT").ok();
    let wanted = |fault: &&Fault| only.as_ref().is_none_or(|only| fault.title.contains(only));
    let forms = FAULTS.iter().filter(wanted).flat_map(|fault| {
        Form::ALL
            .into_iter()
            .filter(|form| fault.expect(*form).is_some())
            .map(move |form| (fault, form))
    });
    stream::iter(forms)
        .map(|(fault, form)| async move { tokio::spawn(play(fault, form)).await.unwrap() })
        .buffered(AT_ONCE)
        .collect()
        .await
}

async fn play(fault: &'static Fault, form: Form) -> Found {
    let mut complaints = Vec::new();
    let alone = bounded(fault, form, false, &mut complaints).await;
    let paired = bounded(fault, form, true, &mut complaints).await;
    Found { fault, form, alone, paired, complaints }
}

/// A request that does not end is a finding, not the end of the suite.
async fn bounded(fault: &Fault, form: Form, paired: bool, complaints: &mut Vec<String>) -> Row {
    let playing = once(fault, form, paired, complaints);
    match tokio::time::timeout(ENDLESS, Box::pin(playing)).await {
        Ok(row) => row,
        Err(_) => {
            complaints.push(format!(
                "{} ({}, paired: {paired}) does not end",
                fault.title,
                form.word()
            ));
            Row::default()
        }
    }
}

/// One request to a gateway of its own.
async fn once(fault: &Fault, form: Form, paired: bool, complaints: &mut Vec<String>) -> Row {
    let first = (fault.peer)(form).start().await;
    let second = Peer::Plain(vec![vec![Step::Request, answer::good(fault.provider), Step::Again]]);
    let second = second.start().await;
    let recorded = Recorded::start(&objects(fault, paired, &first, &second)).await;
    let gateway = &recorded.gateway;
    if let Some(warm) = fault.warm {
        let seen = fault.caller.send(gateway, Form::Whole, false).await;
        assert_eq!(seen.status, 200, "{}: {}", fault.title, seen.text);
        if warm == Warm::Closed {
            eventually(|| first.closed.load(Ordering::SeqCst) > 0).await;
        }
    }
    let seen = fault.caller.send(gateway, form, fault.large).await;
    let records = recorded.records().await;
    let place = format!(
        "{} ({}, {})",
        fault.title,
        form.word(),
        if paired { "two targets" } else { "one target" }
    );
    let Some(record) =
        records.last().filter(|_| records.len() == 1 + usize::from(fault.warm.is_some()))
    else {
        complaints.push(format!("{place}: {} records", records.len()));
        return Row::default();
    };
    let row = Row {
        caller: fault.caller.reads(form, &seen),
        tries: tries(record),
        charged: charged(record),
        outcome: record["outcome"].as_str().unwrap_or_default().to_owned(),
    };
    let mut complain = |what: String| complaints.push(format!("{place}: {what}"));
    if record["request_id"] != seen.header("x-request-id") {
        complain("the record has another request id than the answer".to_owned());
    }
    let counted: u64 = records.iter().map(|record| tokens(record).0 + tokens(record).1).sum();
    for (used, reserved) in recorded.budgets() {
        if (used, reserved) != (counted, 0) {
            complain(format!("the budget holds {used} and {reserved} reserved, records {counted}"));
        }
    }
    let (_, body) = fault.caller.ask(form, fault.large);
    let input = fault.reported.unwrap_or(body.len().div_ceil(3) as u64);
    if let Some(expect) = fault.expect(form) {
        let expected = expect.row(form, input, paired);
        if row != expected {
            complain(format!(
                "\n  found    {row:?}\n  expected {expected:?}\n  {}\n  {}",
                record["attempts"],
                tail(&seen.text)
            ));
        }
    }
    row
}

fn tail(text: &str) -> String {
    let start = text.char_indices().rev().nth(300).map_or(0, |(at, _)| at);
    text[start..].to_owned()
}

fn objects(fault: &Fault, paired: bool, first: &Running, second: &Running) -> Objects {
    let mut objects = Objects::new();
    let connect = if fault.hasty { "300ms" } else { "30s" };
    for (name, running) in [("first", first), ("second", second)] {
        let pricing = json!({"input": "1", "output": "1"});
        objects.provider(
            name,
            json!({
                "type": fault.provider,
                "endpoint": running.endpoint,
                "timeouts": {"connect": connect},
                "models": [{"name": "m", "pricing": pricing}],
            }),
        );
    }
    let target = |name: &str, priority: u32| json!({"name": name, "providerRef": {"name": name}, "model": "m", "priority": priority});
    let targets = if paired {
        vec![target("first", 0), target("second", 1)]
    } else {
        vec![target("first", 0)]
    };
    let timeouts = match fault.hasty {
        true => json!({"firstToken": "700ms", "idle": "700ms", "total": "4s"}),
        false => json!({"firstToken": "30s", "idle": "30s", "total": "60s"}),
    };
    objects.route(
        "chat",
        json!({"models": ["chat"], "rules": [{"targets": targets}], "timeouts": timeouts}),
    );
    objects.wide_budget("wide", 1_000_000_000);
    objects
}

/// `first closed, second ok` of `first closed (the provider ...) 0ms, second ok 3ms`.
fn tries(record: &Value) -> String {
    static TRY: LazyLock<Regex> =
        LazyLock::new(|| Regex::new(r"(?:^|ms, )(first|second) ([a-z0-9_]+)").unwrap());
    let text = record["attempts"].as_str().unwrap_or_default();
    let tries = TRY.captures_iter(text).map(|found| format!("{} {}", &found[1], &found[2]));
    tries.collect::<Vec<_>>().join(", ")
}

fn tokens(record: &Value) -> (u64, u64) {
    let count = |name: &str| record[name].as_u64().unwrap();
    (count("input_tokens"), count("output_tokens"))
}

fn charged(record: &Value) -> String {
    let (input, output) = tokens(record);
    let estimated = if record["estimated"] == true { ", estimated" } else { "" };
    format!("{input} + {output}{estimated}")
}
