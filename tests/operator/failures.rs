//! Kill -9 of what is around a stream, and of the operator itself.

use std::{thread, time::Duration};

use crate::{
    PATIENCE, chat,
    cluster::{Cluster, Sluice, eventually, http},
    completions, key, operator, tenant, used, wait_ready,
};

/// The interval of checkpoints: what a kill may lose.
const CHECKPOINT: Duration = Duration::from_secs(10);

fn start() -> (Cluster, Sluice) {
    let cluster = Cluster::start_bare();
    let sluice = operator(&cluster);
    cluster.apply(&tenant("team"));
    wait_ready(&cluster, "team", &["aiprovider/mock", "airoute/chat", "aibudget/daily"]);
    (cluster, sluice)
}

/// Opens streams that take about ten seconds, each past its first chunk.
fn open_streams(sluice: &Sluice, count: usize) -> Vec<http::Stream> {
    let mut streams: Vec<_> = (0..count)
        .map(|_| {
            http::open_post(&completions(sluice), &key("team"), &chat("mock-slow", true)).unwrap()
        })
        .collect();
    for stream in &mut streams {
        stream.next_data().unwrap().expect("a first chunk");
    }
    streams
}

fn finish(mut stream: http::Stream) {
    let mut last = String::new();
    while let Some(data) = stream.next_data().expect("the stream goes on") {
        last = data;
    }
    assert_eq!(last, "[DONE]");
}

#[test]
fn streams_outlive_the_api_server_and_its_store_and_changes_follow_when_they_are_back() {
    let (cluster, sluice) = start();
    let streams = open_streams(&sluice, 5);
    cluster.kill_api_server();
    cluster.kill_etcd();
    let answer =
        http::post(&completions(&sluice), &key("team"), &chat("mock-fast", false)).unwrap();
    assert_eq!(answer.status, 200, "new requests are served too: {}", answer.text());
    streams.into_iter().for_each(finish);
    let ready = http::get(&format!("{}/readyz", sluice.admin_url)).unwrap();
    assert_eq!(ready.status, 200, "a lost API server does not make a replica unready");

    cluster.restart_etcd();
    cluster.restart_api_server();
    cluster.apply(&tenant("later"));
    eventually(PATIENCE, || {
        let answer =
            http::post(&completions(&sluice), &key("later"), &chat("mock-fast", false)).unwrap();
        (answer.status == 200).then_some(()).ok_or(answer.text())
    });
}

#[test]
fn a_killed_operator_loses_at_most_the_spend_since_the_last_checkpoint() {
    let (cluster, mut sluice) = start();
    let request = |sluice: &Sluice| {
        let answer =
            http::post(&completions(sluice), &key("team"), &chat("mock-fast", false)).unwrap();
        assert_eq!(answer.status, 200, "{}", answer.text());
    };
    for _ in 0..20 {
        request(&sluice);
    }
    // All twenty are older than a checkpoint once the status shows them.
    eventually(PATIENCE, || match used(&cluster, "team", "requests")? {
        20.0 => Ok(()),
        other => Err(format!("{other} requests in status")),
    });
    for _ in 0..3 {
        request(&sluice);
    }
    sluice.kill();

    let sluice = operator(&cluster);
    request(&sluice);
    thread::sleep(CHECKPOINT);
    eventually(PATIENCE, || match used(&cluster, "team", "requests")? {
        used if (21.0..=24.0).contains(&used) => Ok(()),
        other => {
            Err(format!("{other} requests, expected the 20 of the checkpoint and the new one"))
        }
    });
}

#[test]
fn an_operator_that_ends_in_order_loses_nothing() {
    let (cluster, mut sluice) = start();
    for _ in 0..7 {
        let url = completions(&sluice);
        assert_eq!(http::post(&url, &key("team"), &chat("mock-fast", false)).unwrap().status, 200);
    }
    assert!(sluice.terminate().success());
    assert_eq!(used(&cluster, "team", "requests"), Ok(7.0));
}

#[test]
fn a_stream_ends_whole_when_the_operator_is_told_to_end() {
    let (_cluster, mut sluice) = start();
    let streams = open_streams(&sluice, 3);
    sluice.signal_terminate();
    eventually(PATIENCE, || match http::get(&format!("{}/readyz", sluice.admin_url)) {
        Ok(answer) if answer.status == 503 => Ok(()),
        other => Err(format!("{other:?}")),
    });
    streams.into_iter().for_each(finish);
    eventually(PATIENCE, || {
        let log = sluice.log();
        log.contains("stopped").then_some(()).ok_or("it has not said that it stopped".to_owned())
    });
    sluice.kill();
}
