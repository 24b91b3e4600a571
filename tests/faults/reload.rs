//! Reload under load: streams, counters and memory while the configuration changes.

use std::{
    sync::{
        Arc, Weak,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use futures_util::future::join_all;
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use serde_json::{Value, json};
use sluice::snapshot::Snapshot;

use crate::{
    answer::{self, DONE, ROLE, STOP, TOKEN, USAGE},
    caller::Caller,
    case::Form,
    memory,
    peer::{Peer, Running, Step},
    world::{Objects, Recorded},
};

/// Streams that run all the while.
const STREAMS: usize = 200;
/// Changes of the configuration.
const CHANGES: u32 = 1_000;
/// Growth of the process between the first half of the changes and the end. With the other routes a
/// snapshot has some 60 kB: 500 of them that stay would be seen.
const GROWTH: u64 = 8 << 20;
/// Routes that are in the configuration beside the one in use.
const OTHERS: u32 = 60;

/// Streams until it is told to end.
fn endless(end: &Arc<AtomicBool>) -> Peer {
    let end = Arc::clone(end);
    let choice = move |stream: bool| match stream {
        true => vec![
            Step::Send(answer::begun(&[ROLE, TOKEN])),
            Step::Until(answer::chunk(answer::events(&[TOKEN]).as_bytes()), Arc::clone(&end)),
            Step::Send(answer::chunk(answer::events(&[STOP, USAGE, DONE]).as_bytes())),
            Step::Send(answer::END.to_vec()),
        ],
        false => vec![Step::Send(answer::json(answer::WHOLE))],
    };
    Peer::Plain(vec![vec![Step::Request, Step::Choose(Arc::new(choice)), Step::Again]])
}

/// The configuration after so many changes.
fn change(objects: &mut Objects, number: u32, endpoints: [&str; 2]) {
    let weights = [1 + number % 7, 1 + number % 5];
    let mut targets = Vec::new();
    for (index, (endpoint, weight)) in endpoints.iter().zip(weights).enumerate() {
        let name = format!("provider-{index}");
        let key = json!({"secretKeyRef": {"name": name, "key": "api-key"}});
        objects.provider(
            &name,
            json!({
                "type": "OpenAICompatible",
                "endpoint": endpoint,
                "auth": {"apiKeys": [key]},
                "models": [{"name": "m", "pricing": {"input": "1", "output": "1"}}],
            }),
        );
        objects.secret(&name, &format!("sk-{number}"));
        targets.push(json!({"providerRef": {"name": name}, "model": "m", "weight": weight}));
    }
    let route = |model: &str, targets: &[Value]| json!({"models": [model], "rules": [{"targets": targets}]});
    objects.route("chat", route("chat", &targets));
    objects.wide_budget("wide", 1_000_000_000 + u64::from(number));
    if number == 0 {
        for other in 0..OTHERS {
            objects.route(&format!("other-{other}"), route(&format!("other-{other}"), &targets));
        }
    }
}

/// Reads to the first content.
async fn begun(recorded: &Recorded) -> (Incoming, Vec<u8>) {
    let (path, body) = Caller::Chat.ask(Form::Stream, false);
    let mut body = recorded.gateway.send(path, body).await.into_body();
    let mut seen = Vec::new();
    while !String::from_utf8_lossy(&seen).contains("0123456789") {
        let frame = body.frame().await.expect("the stream ended").unwrap();
        seen.extend_from_slice(&frame.into_data().unwrap_or_default());
    }
    (body, seen)
}

/// Reads to the end, of which the last bytes are kept: memory is looked at meanwhile.
async fn end_of(mut body: Incoming) -> Vec<u8> {
    let mut last = Vec::new();
    while let Some(frame) = body.frame().await {
        last.extend_from_slice(&frame.unwrap().into_data().unwrap_or_default());
        last.drain(..last.len().saturating_sub(64));
    }
    last
}

/// Makes every change while the streams run; gives back what has been published.
async fn reload(
    recorded: &Recorded,
    mut objects: Objects,
    providers: &[Running; 2],
) -> Vec<Weak<Snapshot>> {
    let endpoints = [&*providers[0].endpoint, &*providers[1].endpoint];
    let mut published = Vec::new();
    let mut half = None;
    let mut used = 0;
    for number in 1..=CHANGES {
        change(&mut objects, number, endpoints);
        let snapshot = Arc::new(objects.compile());
        published.push(Arc::downgrade(&snapshot));
        recorded.gateway.published.publish(snapshot);
        if number.is_multiple_of(5) {
            let seen = Caller::Chat.send(&recorded.gateway, Form::Whole, false).await;
            assert_eq!(seen.status, 200, "{}", seen.text);
            let now = recorded.budgets()[0].0;
            assert!(now > used, "the budget went from {used} to {now}");
            used = now;
        }
        if number == CHANGES / 2 {
            half = Some(memory::resident());
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    let grown = memory::resident().saturating_sub(half.unwrap());
    println!("{CHANGES} changes: {} kB more after the second half", grown / 1024);
    assert!(grown < GROWTH, "{grown} bytes more than after half of the changes");
    published
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_changes_break_no_stream_and_reset_no_counter() {
    let _alone = memory::ALONE.lock().await;
    let end = Arc::new(AtomicBool::new(false));
    let providers = [endless(&end).start().await, endless(&end).start().await];
    let mut objects = Objects::new();
    change(&mut objects, 0, [&providers[0].endpoint, &providers[1].endpoint]);
    let recorded = Recorded::start(&objects).await;
    let streams = join_all((0..STREAMS).map(|_| begun(&recorded))).await;
    let reading = streams.into_iter().map(|(body, _)| tokio::spawn(end_of(body)));
    let reading: Vec<_> = reading.collect();
    let published = reload(&recorded, objects, &providers).await;
    let alive = published.iter().filter(|snapshot| snapshot.strong_count() > 0).count();
    assert!(alive <= 2, "{alive} old configurations are still held");
    end.store(true, Ordering::Relaxed);
    for text in join_all(reading).await {
        assert!(text.unwrap().ends_with(b"data: [DONE]\n\n"));
    }
    let asked = STREAMS as u64 + u64::from(CHANGES / 5);
    assert_eq!(recorded.gateway.ended("complete"), asked);
    let records = recorded.records().await;
    assert_eq!(records.len() as u64, asked);
    assert!(
        records
            .iter()
            .all(|record| record["attempts"].as_str().unwrap().matches(" ok ").count() == 1)
    );
    assert_eq!(recorded.budgets(), [(30 * asked, 0)]);
}
