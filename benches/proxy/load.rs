//! Drives load at one address and meters the target meanwhile: closed loop, fixed rate, one
//! stream a connection, streams held open. It must not know which target or scenario it serves.

mod hold;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use tokio::sync::Barrier;
use tokio::task::JoinSet;

use crate::client::Connection;
use crate::cpu::CpuReading;

pub use hold::hold_streams;

/// Later than this, a request counts from its scheduled time instead of its real start, so that
/// a stalled target cannot hide the requests that it kept from being sent.
const LATE: Duration = Duration::from_millis(2);

/// When requests are sent.
#[derive(Debug, Clone, Copy)]
pub enum Shape {
    /// Each connection sends its next request as soon as it has its answer.
    Closed(Duration),
    /// So many requests a second in all, evenly spaced, whatever the answers do.
    Rate(u32, Duration),
    /// One request on each connection, each started a little (this much) after the one before.
    Once(Duration),
}

/// What to send where.
#[derive(Debug, Clone)]
pub struct Plan {
    /// The target.
    pub address: SocketAddr,
    /// Process to meter.
    pub pid: u32,
    /// Sent once on each connection before the clock starts.
    pub warm: Arc<[u8]>,
    /// Sent while the clock runs.
    pub request: Arc<[u8]>,
    /// Number of connections.
    pub connections: usize,
    /// When.
    pub shape: Shape,
}

/// What came back.
#[derive(Debug, Default)]
pub struct Outcome {
    /// Complete answers with status 200.
    pub completed: u64,
    /// Anything else.
    pub errors: u64,
    /// What the first error said.
    pub first_error: Option<String>,
    /// Server-sent events received.
    pub events: u64,
    /// From the first request to the last answer.
    pub elapsed: Duration,
    /// CPU time of the metered process meanwhile.
    pub cpu: Duration,
    /// Of each complete answer, in microseconds.
    pub latencies: Vec<f64>,
}

/// Runs a plan: connects and warms up first, then meters the load alone.
///
/// # Errors
/// The target refuses connections or is gone. Failed requests are counted, not returned.
pub async fn run(plan: &Plan) -> Result<Outcome> {
    // Twice: all are warm; the reading is taken.
    let barrier = Arc::new(Barrier::new(plan.connections + 1));
    let mut lanes = JoinSet::new();
    for index in 0..plan.connections {
        let connection = Connection::open(plan.address).await?;
        let lane = Lane { plan: plan.clone(), connection, index, outcome: Outcome::default() };
        lanes.spawn(lane.run(Arc::clone(&barrier)));
    }
    barrier.wait().await;
    let reading = CpuReading::take(plan.pid)?;
    let begun = Instant::now();
    barrier.wait().await;
    let mut total = Outcome::default();
    // The connections stay open until the second reading: closing them is not part of the load.
    let mut open = Vec::with_capacity(plan.connections);
    while let Some(lane) = lanes.join_next().await {
        let (connection, outcome) = lane.context("a lane of the load generator broke")?;
        open.push(connection);
        total.add(outcome);
    }
    total.elapsed = begun.elapsed();
    total.cpu = reading.spent()?;
    Ok(total)
}

impl Outcome {
    fn add(&mut self, other: Self) {
        self.completed += other.completed;
        self.errors += other.errors;
        self.events += other.events;
        self.first_error = self.first_error.take().or(other.first_error);
        self.latencies.extend(other.latencies);
    }

    fn fail(&mut self, error: &anyhow::Error) {
        self.errors += 1;
        self.first_error.get_or_insert_with(|| format!("{error:#}"));
    }
}

/// One connection and what it has seen.
struct Lane {
    plan: Plan,
    connection: Connection,
    index: usize,
    outcome: Outcome,
}

impl Lane {
    async fn run(mut self, barrier: Arc<Barrier>) -> (Connection, Outcome) {
        if let Err(error) = self.connection.exchange(&self.plan.warm, |_| ()).await {
            self.outcome.fail(&error);
            self.reconnect().await;
        }
        barrier.wait().await;
        barrier.wait().await;
        match self.plan.shape {
            Shape::Closed(length) => {
                let end = Instant::now() + length;
                while Instant::now() < end {
                    self.send(Instant::now()).await;
                }
            }
            Shape::Rate(rate, length) => self.send_at_rate(rate, length).await,
            Shape::Once(stagger) => {
                let wait = stagger.saturating_mul(u32::try_from(self.index).unwrap_or(u32::MAX));
                tokio::time::sleep(wait).await;
                self.send(Instant::now()).await;
            }
        }
        (self.connection, self.outcome)
    }

    async fn send_at_rate(&mut self, rate: u32, length: Duration) {
        let interval = Duration::from_secs(self.plan.connections as u64) / rate.max(1);
        let begun = Instant::now();
        let offset = interval.mul_f64(self.index as f64 / self.plan.connections as f64);
        let mut due = begun + offset;
        while due < begun + length {
            tokio::time::sleep_until(due.into()).await;
            let now = Instant::now();
            self.send(if now.duration_since(due) < LATE { now } else { due }).await;
            due += interval;
        }
    }

    async fn send(&mut self, since: Instant) {
        match self.connection.exchange(&self.plan.request, |_| ()).await {
            Ok(answer) => {
                self.outcome.completed += 1;
                self.outcome.events += answer.events;
                self.outcome.latencies.push(since.elapsed().as_secs_f64() * 1e6);
                if answer.close {
                    self.reconnect().await;
                }
            }
            Err(error) => {
                self.outcome.fail(&error);
                self.reconnect().await;
            }
        }
    }

    async fn reconnect(&mut self) {
        match Connection::open(self.plan.address).await {
            Ok(connection) => self.connection = connection,
            Err(error) => {
                self.outcome.fail(&error);
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        }
    }
}
