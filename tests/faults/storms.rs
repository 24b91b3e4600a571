//! Faults that show only over several requests: storms, and what a broken connection may not do to
//! the next request.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use futures_util::future::join_all;
use serde_json::json;

use crate::{
    answer::{self, ERROR, WHOLE},
    caller::Caller,
    case::Form,
    frame::Frame,
    peer::{Peer, Running, Step},
    world::{Objects, Recorded},
};

/// Requests of a storm.
const STORM: usize = 60;

/// Objects with these providers as targets of ascending priority.
fn objects(targets: &[&Running]) -> Objects {
    let mut objects = Objects::new();
    let mut entries = Vec::new();
    for (priority, running) in targets.iter().enumerate() {
        let name = format!("provider-{priority}");
        objects.provider(
            &name,
            json!({
                "type": "OpenAICompatible",
                "endpoint": running.endpoint,
                "models": [{"name": "m", "pricing": {"input": "1", "output": "1"}}],
            }),
        );
        entries.push(json!({"providerRef": {"name": name}, "model": "m", "priority": priority}));
    }
    objects.route(
        "chat",
        json!({
            "models": ["chat"],
            "rules": [{"targets": entries}],
            "timeouts": {"firstToken": "2s", "idle": "2s", "total": "20s"},
        }),
    );
    objects.wide_budget("wide", 1_000_000_000);
    objects
}

fn good() -> Peer {
    Peer::Plain(vec![vec![Step::Request, answer::good(""), Step::Again]])
}

/// Answers every request with these bytes, and counts them.
async fn counting(answer: Vec<u8>) -> (Running, Arc<AtomicUsize>) {
    let count = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&count);
    let answering = Step::Choose(Arc::new(move |_| {
        counted.fetch_add(1, Ordering::SeqCst);
        vec![Step::Send(answer.clone())]
    }));
    let peer = Peer::Plain(vec![vec![Step::Request, answering, Step::Again]]);
    (peer.start().await, count)
}

/// Requests at once, half of them streams; how many were answered.
async fn storm(recorded: &Recorded) -> usize {
    let ask = |number: usize| {
        let form = if number.is_multiple_of(2) { Form::Whole } else { Form::Stream };
        async move {
            let seen = Caller::Chat.send(&recorded.gateway, form, false).await;
            Caller::Chat.reads(form, &seen).starts_with("200")
        }
    };
    join_all((0..STORM).map(ask)).await.into_iter().filter(|answered| *answered).count()
}

async fn storm_of_429(headers: &str) {
    let refusal = answer::sized("429 Too Many Requests", headers, ERROR);
    let (limited, asked) = counting(refusal).await;
    let second = good().start().await;
    let recorded = Recorded::start(&objects(&[&limited, &second])).await;
    assert_eq!(storm(&recorded).await, STORM);
    assert!((1..=STORM).contains(&asked.load(Ordering::SeqCst)), "each is asked once at most");
    let records = recorded.records().await;
    assert!(records.iter().all(|record| record["outcome"] == "complete"));
    assert_eq!(recorded.budgets(), [(30 * STORM as u64, 0)]);
}

#[tokio::test]
async fn a_storm_of_429s_is_not_seen_by_callers_where_another_target_is_free() {
    storm_of_429("").await;
}

#[tokio::test]
async fn a_storm_of_429s_that_name_a_time_is_not_seen_either() {
    storm_of_429("retry-after: 30\r\n").await;
}

#[tokio::test]
async fn a_storm_of_failures_is_not_amplified_beyond_one_retry() {
    let (failing, asked) = counting(answer::sized("503 Service Unavailable", "", ERROR)).await;
    let recorded = Recorded::start(&objects(&[&failing])).await;
    assert_eq!(storm(&recorded).await, 0);
    assert!(asked.load(Ordering::SeqCst) <= 2 * STORM);
    let records = recorded.records().await;
    assert_eq!(records.len(), STORM);
    assert!(records.iter().all(|record| record["outcome"] == "failed"));
    assert_eq!(recorded.budgets(), [(0, 0)]);
}

#[tokio::test]
async fn bytes_beyond_an_answers_length_are_nobodys_answer() {
    let short = [answer::json_head(40), WHOLE.as_bytes().to_vec()].concat();
    let smuggled = [short, answer::json(r#"{"smuggled":true}"#)].concat();
    let first = vec![Step::Request, Step::Send(smuggled), Step::Stall];
    let then = vec![Step::Request, answer::good(""), Step::Again];
    let upstream = Peer::Plain(vec![first, then]).start().await;
    let recorded = Recorded::start(&objects(&[&upstream])).await;
    for _ in 0..4 {
        let seen = Caller::Chat.send(&recorded.gateway, Form::Whole, false).await;
        assert!(!seen.text.contains("smuggled"), "{}", seen.text);
    }
    let seen = Caller::Chat.send(&recorded.gateway, Form::Whole, false).await;
    assert_eq!(seen.text, WHOLE);
}

#[tokio::test]
async fn a_silent_http2_connection_gets_no_further_request() {
    let silent = vec![Step::Preface, Step::Http2Request, Step::Stall];
    let frames =
        vec![Frame::Head("application/json"), Frame::Data(WHOLE.as_bytes().to_vec()), Frame::End];
    let good = vec![Step::Preface, Step::Http2Request, Step::Frames(frames), Step::Stall];
    let upstream = Peer::Http2(vec![silent, good]).start().await;
    let mut objects = objects(&[&upstream]);
    objects.route(
        "chat",
        json!({
            "models": ["chat"],
            "rules": [{"targets": [{"providerRef": {"name": "provider-0"}, "model": "m"}]}],
            "timeouts": {"firstToken": "500ms", "total": "1s"},
        }),
    );
    let recorded = Recorded::start(&objects).await;
    let first = Caller::Chat.send(&recorded.gateway, Form::Whole, false).await;
    if first.status == 504 {
        let next = tokio::time::timeout(
            Duration::from_secs(20),
            Caller::Chat.send(&recorded.gateway, Form::Whole, false),
        );
        assert_eq!(next.await.unwrap().text, WHOLE);
    } else {
        // Its retry went to the second connection.
        assert_eq!(first.text, WHOLE);
    }
    assert_eq!(upstream.connections.load(Ordering::SeqCst), 2);
}
