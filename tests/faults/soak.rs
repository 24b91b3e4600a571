//! The soak: three providers that degrade and recover in turn while callers ask at a steady rate, half
//! of them for streams. `make soak` runs ten minutes of it; a test here runs the same for 20 seconds.
//!
//! What may go wrong, and nothing else: a request fails where every provider was down at some moment
//! of it; a stream breaks, with an error event, where a provider that cuts its streams was asked in
//! its time. A stream that has delivered content cannot be hidden by any gateway: it counts as broken,
//! not as failed. Each of both has one record with its request id that says the same.

mod provider;
mod report;
mod schedule;

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use futures_util::future::join_all;
use serde_json::{Value, json};
use tokio::sync::Semaphore;

use crate::{
    caller::Caller,
    case::Form,
    memory,
    world::{Objects, Recorded},
};

use provider::start;
use report::{Asked, End, Report};
use schedule::{PROVIDERS, Weather};

/// Growth of the process from the first quarter of a soak to its end: records are kept, some 1 kB
/// each, and what callers saw.
const GROWTH_PER_REQUEST: u64 = 4 << 10;
const GROWTH: u64 = 32 << 20;

/// Requests under way at most. A machine that cannot keep up is asked more slowly: else they would pile
/// up to what it has of file descriptors, and the soak would be about that.
const UNDER_WAY: usize = 600;

/// How often the weather changes in a soak.
const PHASES: u32 = 40;

/// A soak.
struct Plan {
    length: Duration,
    /// Requests in a second.
    rate: u32,
    /// How long the weather of the providers holds.
    phase: Duration,
}

fn objects(endpoints: &[String]) -> Objects {
    let mut objects = Objects::new();
    let mut targets = Vec::new();
    for (index, endpoint) in endpoints.iter().enumerate() {
        let name = format!("provider-{index}");
        objects.provider(
            &name,
            json!({
                "type": "OpenAICompatible",
                "endpoint": endpoint,
                "models": [{"name": "m", "pricing": {"input": "1", "output": "1"}}],
            }),
        );
        // One priority: any may be asked first, any may follow.
        targets.push(json!({"name": name, "providerRef": {"name": name}, "model": "m"}));
    }
    objects.route(
        "chat",
        json!({
            "models": ["chat"],
            "rules": [{"targets": targets}],
            "timeouts": {"firstToken": "3s", "idle": "5s", "total": "30s"},
        }),
    );
    objects.wide_budget("wide", 1_000_000_000_000);
    objects
}

/// Asks once.
async fn ask(recorded: Arc<Recorded>, number: u64) -> Asked {
    let form = if number.is_multiple_of(2) { Form::Whole } else { Form::Stream };
    let from = Instant::now();
    let seen = Caller::Chat.send(&recorded.gateway, form, false).await;
    let said = Caller::Chat.reads(form, &seen);
    let end = match &*said {
        "200" | "200, to its end" => End::Answered,
        broken if broken.starts_with("200, then ") => End::Broken,
        _ => End::Failed,
    };
    let id = seen.header("x-request-id").to_owned();
    Asked { id, form, from, to: Instant::now(), end, said }
}

/// Asks at a steady rate, whatever becomes of the answers up to [`UNDER_WAY`].
async fn load(plan: &Plan, recorded: &Arc<Recorded>) -> (Vec<Asked>, u64) {
    let started = tokio::time::Instant::now();
    let all = u64::from(plan.rate) * plan.length.as_secs();
    let every = Duration::from_secs(1) / plan.rate;
    let room = Arc::new(Semaphore::new(UNDER_WAY));
    let mut quarter = 0;
    let mut asked = Vec::new();
    for number in 0..all {
        tokio::time::sleep_until(started + every * u32::try_from(number).unwrap()).await;
        if number == all / 4 {
            quarter = memory::resident();
        }
        let permit = Arc::clone(&room).acquire_owned().await.unwrap();
        let asking = ask(Arc::clone(recorded), number);
        asked.push(tokio::spawn(async move {
            let asked = asking.await;
            drop(permit);
            asked
        }));
    }
    let asked = join_all(asked).await.into_iter().map(Result::unwrap).collect();
    (asked, memory::resident().saturating_sub(quarter))
}

async fn soak(plan: Plan) {
    let _alone = memory::ALONE.lock().await;
    let weather = Weather::new(plan.phase);
    let mut providers = Vec::new();
    for index in 0..PROVIDERS {
        providers.push(start(index, &weather).await);
    }
    let endpoints: Vec<_> = providers.iter().map(|running| running.endpoint.clone()).collect();
    let recorded = Arc::new(Recorded::start(&objects(&endpoints)).await);
    let changing = tokio::spawn(weather.clone().change());
    let (asked, grown) = load(&plan, &recorded).await;
    changing.abort();
    let recorded = Arc::into_inner(recorded).unwrap();
    let records = recorded.records().await;
    let report = Report::new(&asked, &records, &weather, grown);
    println!("{report}");
    report.check();
    check_budget(&recorded, &records);
    let bound = GROWTH + GROWTH_PER_REQUEST * asked.len() as u64;
    assert!(grown < bound, "{grown} bytes more than after the first quarter");
}

/// The budget holds what the records say, and nothing is reserved any more.
fn check_budget(recorded: &Recorded, records: &[Value]) {
    let count = |record: &Value, name: &str| record[name].as_u64().unwrap();
    let charged = records
        .iter()
        .map(|record| count(record, "input_tokens") + count(record, "output_tokens"))
        .sum();
    assert_eq!(recorded.budgets(), [(charged, 0)]);
    assert_eq!(recorded.gateway.ledger.open_reservations(), 0);
}

/// `SOAK_MINUTES` makes it longer.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn callers_see_failures_only_where_every_target_is_down() {
    let minutes = std::env::var("SOAK_MINUTES").ok().and_then(|text| text.parse::<u64>().ok());
    let (length, rate) = match minutes {
        Some(minutes) => (Duration::from_secs(60 * minutes), 200),
        None => (Duration::from_secs(20), 100),
    };
    soak(Plan { length, rate, phase: length / PHASES }).await;
}
