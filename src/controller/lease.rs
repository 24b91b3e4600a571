//! Leader election by a Lease: one replica at a time writes status.
//!
//! Decisions are a pure function of the Lease and of how long this process has seen it unchanged,
//! by its own monotonic clock: the clocks of other machines are not trusted. Leadership ends before
//! anyone else can have it, also when the API server does not answer.

mod decision;

use std::{sync::Arc, time::Duration};

use jiff::Timestamp;
use k8s_openapi::{
    api::coordination::v1::{Lease, LeaseSpec},
    apimachinery::pkg::apis::meta::v1::{MicroTime, ObjectMeta},
};
use kube::{Api, api::PostParams};
use tokio::{
    sync::watch,
    task::JoinHandle,
    time::{Instant, sleep, timeout},
};
use tokio_util::sync::CancellationToken;
use tracing::{debug, info, warn};

use super::LeaseName;
use crate::telemetry::control::ControlMetrics;
use decision::{DURATION, Decision, Observation, RENEW_DEADLINE, evaluate};

/// Between two looks of one that does not lead, and after an error.
const RETRY: Duration = Duration::from_secs(2);
/// Between two renewals.
const RENEW: Duration = Duration::from_secs(5);
/// The longest that one request may take.
const REQUEST: Duration = Duration::from_secs(4);

/// A candidate.
pub struct Election {
    /// Client without the default retry.
    pub client: kube::Client,
    /// The Lease.
    pub lease: LeaseName,
    /// What tells this candidate from others.
    pub identity: String,
    /// Where leadership is shown.
    pub metrics: Arc<ControlMetrics>,
}

/// The pod's name, else the machine's name and a number that no other process has.
pub fn identity() -> String {
    let named = |variable| std::env::var(variable).ok().filter(|name| !name.is_empty());
    if let Some(pod) = named("POD_NAME") {
        return pod;
    }
    let file = || std::fs::read_to_string("/etc/hostname").ok().map(|name| name.trim().to_owned());
    let host = named("HOSTNAME").or_else(file).unwrap_or_else(|| "sluice".to_owned());
    format!("{host}_{:08x}", fastrand::u32(..))
}

impl Election {
    /// Stands for election until `shutdown`, then gives the Lease back. The receiver says whether
    /// this process leads; the handle ends when the Lease has been given back.
    pub fn start(self, shutdown: CancellationToken) -> (watch::Receiver<bool>, JoinHandle<()>) {
        let (leads, receiver) = watch::channel(false);
        let api = Api::namespaced(self.client.clone(), &self.lease.namespace);
        let candidate = Candidate {
            election: self,
            api,
            leads,
            observation: None,
            renewed: None,
            is_warned: false,
        };
        (receiver, tokio::spawn(candidate.run(shutdown)))
    }
}

struct Candidate {
    election: Election,
    api: Api<Lease>,
    leads: watch::Sender<bool>,
    observation: Option<Observation>,
    /// When the last successful renewal was sent.
    renewed: Option<Instant>,
    is_warned: bool,
}

impl Candidate {
    async fn run(mut self, shutdown: CancellationToken) {
        loop {
            let round = async {
                let limit = self.limit();
                let outcome = timeout(limit, self.round()).await;
                let pause = match outcome {
                    Ok(Ok(pause)) => pause,
                    Ok(Err(error)) => self.failed(&error),
                    Err(_) => self.retry(),
                };
                sleep(self.capped(pause)).await;
                self.demote_if_late();
            };
            if shutdown.run_until_cancelled(round).await.is_none() {
                break;
            }
        }
        if *self.leads.borrow() {
            // Not given back, the Lease runs out by itself.
            let _ = timeout(REQUEST, self.release()).await;
        }
        self.set(false);
    }

    /// A request must not outlast leadership.
    fn limit(&self) -> Duration {
        self.capped(REQUEST).max(Duration::from_millis(100))
    }

    /// `pause`, or what is left of leadership if that is less.
    fn capped(&self, pause: Duration) -> Duration {
        match self.renewed {
            Some(renewed) => pause.min((renewed + RENEW_DEADLINE).duration_since(Instant::now())),
            None => pause,
        }
    }

    /// One look, and what follows from it. Returns how long to wait for the next.
    async fn round(&mut self) -> kube::Result<Duration> {
        let lease = self.api.get_opt(&self.election.lease.name).await?;
        let now = Instant::now();
        let observation =
            Observation::next(self.observation.take(), lease.as_ref(), now.into_std());
        let decision = evaluate(&observation, &self.election.identity, now.into_std());
        self.observation = Some(observation);
        match decision {
            Decision::Wait(rest) => {
                if self.renewed.take().is_some() {
                    warn!("another replica holds the Lease; this one no longer writes status");
                }
                self.set(false);
                Ok(rest.min(RETRY))
            }
            Decision::Take { transitions } => {
                self.write(lease, Some(transitions)).await?;
                self.lead(now);
                Ok(RENEW)
            }
            Decision::Renew => {
                self.write(lease, None).await?;
                self.lead(now);
                Ok(RENEW)
            }
        }
    }

    fn lead(&mut self, now: Instant) {
        self.renewed = Some(now);
        self.is_warned = false;
        if !*self.leads.borrow() {
            info!(identity = self.election.identity, "this replica writes status from here on");
        }
        self.set(true);
    }

    fn failed(&mut self, error: &kube::Error) -> Duration {
        debug!(%error, "the Lease can't be read or written");
        // A conflict says that another one was faster; no answer is no mistake of the user's.
        let is_mistake = |code| matches!(code, 400..=499) && code != 409;
        if matches!(error, kube::Error::Api(status) if is_mistake(status.code))
            && !std::mem::replace(&mut self.is_warned, true)
        {
            warn!(
                %error,
                "no replica can write status: the namespace of the Lease has to exist, with a \
                 rule {{apiGroups: [coordination.k8s.io], resources: [leases], verbs: [get, \
                 create, update]}}"
            );
        }
        self.retry()
    }

    fn retry(&mut self) -> Duration {
        self.demote_if_late();
        RETRY.mul_f64(0.75 + fastrand::f64() / 2.0)
    }

    fn demote_if_late(&mut self) {
        let is_late = |renewed: Instant| renewed.elapsed() >= RENEW_DEADLINE;
        if self.renewed.is_some_and(is_late) {
            self.renewed = None;
            warn!("the Lease could not be renewed in time; this replica no longer writes status");
            self.set(false);
        }
    }

    fn set(&self, leads: bool) {
        self.election.metrics.leader.set(leads.into());
        self.leads.send_if_modified(|before| std::mem::replace(before, leads) != leads);
    }

    /// Writes the Lease as held by this process. The resource version in it makes the API server
    /// refuse if anyone else was faster.
    async fn write(&self, lease: Option<Lease>, taken: Option<i32>) -> kube::Result<()> {
        let exists = lease.is_some();
        let mut lease = lease.unwrap_or_else(|| self.new_lease());
        let spec = lease.spec.get_or_insert_default();
        let now = Some(MicroTime(Timestamp::now()));
        spec.holder_identity = Some(self.election.identity.clone());
        spec.lease_duration_seconds = i32::try_from(DURATION.as_secs()).ok();
        spec.renew_time.clone_from(&now);
        if let Some(transitions) = taken {
            spec.acquire_time = now;
            spec.lease_transitions = Some(transitions);
        }
        let parameters = PostParams::default();
        match exists {
            true => self.api.replace(&self.election.lease.name, &parameters, &lease).await?,
            false => self.api.create(&parameters, &lease).await?,
        };
        Ok(())
    }

    fn new_lease(&self) -> Lease {
        let metadata = ObjectMeta {
            name: Some(self.election.lease.name.clone()),
            namespace: Some(self.election.lease.namespace.clone()),
            ..ObjectMeta::default()
        };
        Lease { metadata, spec: Some(LeaseSpec::default()) }
    }

    /// Leaves the Lease without a holder, so that another replica takes it at its next look.
    async fn release(&self) -> kube::Result<()> {
        let Some(mut lease) = self.api.get_opt(&self.election.lease.name).await? else {
            return Ok(());
        };
        let spec = lease.spec.get_or_insert_default();
        if spec.holder_identity.as_deref() != Some(&self.election.identity) {
            return Ok(());
        }
        spec.holder_identity = Some(String::new());
        spec.lease_duration_seconds = Some(1);
        self.api.replace(&self.election.lease.name, &PostParams::default(), &lease).await?;
        Ok(())
    }
}
