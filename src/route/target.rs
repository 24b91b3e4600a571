//! What is known of one target: a provider and the model that is asked of it, whichever routes lead
//! there. Lives outside the snapshot, so that a reload forgets nothing.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use parking_lot::Mutex;

use crate::snapshot::{Ejection, Endpoint};

use super::{
    health::{Health, Pass, Standing},
    latency::Latency,
    retry_budget::RetryBudget,
};

/// Health, speed, load and retry budget of one target.
#[derive(Debug)]
pub struct TargetState {
    provider: Arc<str>,
    model: Arc<str>,
    /// What is known is known of this server.
    endpoint: Endpoint,
    inner: Mutex<Inner>,
}

#[derive(Debug)]
struct Inner {
    health: Health,
    latency: Latency,
    retries: RetryBudget,
    ejections: u64,
    used: Instant,
}

/// A target as it is at one moment, for those who show it.
#[derive(Clone, Debug, PartialEq)]
pub struct View {
    /// UID of the AIProvider.
    pub provider: Arc<str>,
    /// The model that it is asked for.
    pub model: Arc<str>,
    /// Whether it is not ejected. One that rests because it has said so is healthy.
    pub healthy: bool,
    /// Where it is ejected: until when at least. Past: the next request that comes tries it.
    pub ejected_until: Option<Instant>,
    /// Where it has said that it has had enough: until when it is not asked.
    pub resting_until: Option<Instant>,
    /// Requests under way, to the end of their answers.
    pub in_flight: u32,
    /// Time to the first content, as far as it is known.
    pub first_token: Option<Duration>,
    /// Failures in a row.
    pub consecutive_failures: u32,
    /// Ejections since it was first asked.
    pub ejections: u64,
}

/// How a try ended, as far as it says something about the target.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum End {
    /// With an answer.
    Answered,
    /// By the target's fault, which may say when to ask again.
    Failed(Option<Duration>),
    /// The target has had enough, and may say for how long.
    Limited(Option<Duration>),
    /// In a way that says nothing: the caller was wrong.
    Unjudged,
    /// Nobody waits for it any longer, for the caller has left. It takes longer than it has.
    Left,
    /// Nobody waits for it any longer, for another one that began later was faster.
    Outrun,
    /// Before anything was sent.
    Unsent,
}

/// How a request stands at its target.
#[derive(Clone, Copy, Debug)]
pub struct Visit {
    pub(super) pass: Pass,
    pub(super) began: Instant,
    /// How long it took to the head of a whole answer, or to the first content of a stream.
    heard_after: Option<Duration>,
    pub(super) has_content: bool,
    /// Whether it is worth asking if it is to be watched.
    may_watch: bool,
}

impl TargetState {
    /// A target that nobody has asked yet, of the built-in mock.
    pub fn new(provider: Arc<str>, model: Arc<str>, now: Instant) -> Self {
        Self::at(Endpoint::Mock, (provider, model), now)
    }

    /// A target that nobody has asked yet, by its provider's UID and its model.
    pub fn at(endpoint: Endpoint, (provider, model): (Arc<str>, Arc<str>), now: Instant) -> Self {
        let inner = Inner {
            health: Health::new(now),
            latency: Latency::default(),
            retries: RetryBudget::new(now),
            ejections: 0,
            used: now,
        };
        Self { provider, model, endpoint, inner: Mutex::new(inner) }
    }

    /// UID of the provider.
    pub fn provider(&self) -> &str {
        &self.provider
    }

    /// Whether its server is this one.
    pub fn is_at(&self, endpoint: &Endpoint) -> bool {
        self.endpoint == *endpoint
    }

    /// Whether it may be asked.
    pub fn standing(&self, now: Instant) -> Standing {
        self.inner.lock().health.standing(now)
    }

    /// The part of [`super::FULL`] that it is given; see [`Health::share`].
    pub fn share(&self, is_adaptive: bool, now: Instant) -> u64 {
        self.inner.lock().health.share(is_adaptive, now)
    }

    /// Seconds to the first content where answers have shown it.
    pub fn estimate(&self, now: Instant) -> Option<f64> {
        self.inner.lock().latency.estimate(now)
    }

    /// How bad a choice it is: the seconds to be expected, where nothing is known `otherwise`, times the
    /// requests there would be, over its share.
    pub fn burden(&self, otherwise: f64, now: Instant) -> f64 {
        let inner = self.inner.lock();
        let requests = f64::from(inner.latency.in_flight()) + 1.0;
        let share = inner.health.share(true, now) as f64 / super::FULL as f64;
        inner.latency.expected(otherwise, now) * requests / share
    }

    /// Requests under way.
    pub fn in_flight(&self) -> u32 {
        self.inner.lock().latency.in_flight()
    }

    /// As it is now.
    pub fn view(&self, now: Instant) -> View {
        let inner = self.inner.lock();
        let ejected_until = inner.health.ejected_until();
        View {
            provider: Arc::clone(&self.provider),
            model: Arc::clone(&self.model),
            healthy: ejected_until.is_none(),
            ejected_until,
            resting_until: inner.health.resting_until(now),
            in_flight: inner.latency.in_flight(),
            first_token: inner.latency.estimate(now).map(Duration::from_secs_f64),
            consecutive_failures: inner.health.consecutive_failures(),
            ejections: inner.ejections,
        }
    }

    /// A request asks it for the first time: what the further tries are a share of.
    pub fn first_try(&self, now: Instant) {
        self.inner.lock().retries.first(now);
    }

    /// Takes a further try out of its retry budget; whether there was one left.
    pub fn take_retry(&self, now: Instant) -> bool {
        self.inner.lock().retries.take(now)
    }

    /// An active check has been made.
    pub fn checked(&self, is_alive: bool, settings: &Ejection, now: Instant) {
        let mut inner = self.inner.lock();
        if is_alive {
            inner.health.found_alive(now);
            return;
        }
        let pass = inner.health.pass(now);
        let ejected = inner.health.failed(settings, pass, now);
        inner.ejections += u64::from(ejected);
        inner.health.released(pass);
    }

    /// Since when it lies idle, and whether it is well; `None` while requests are under way.
    pub(super) fn idle(&self) -> Option<(bool, Instant)> {
        let inner = self.inner.lock();
        let is_well = inner.health.ejected_until().is_none();
        (inner.latency.in_flight() == 0).then_some((is_well, inner.used))
    }

    /// A request goes there; `None` if it is away by now. `is_forced`: whatever its standing.
    pub(super) fn enter(&self, is_forced: bool, now: Instant) -> Option<Visit> {
        let mut inner = self.inner.lock();
        if !is_forced && matches!(inner.health.standing(now), Standing::Away { .. }) {
            return None;
        }
        inner.latency.sent(now);
        inner.used = now;
        Some(Visit {
            pass: inner.health.pass(now),
            began: now,
            heard_after: None,
            has_content: false,
            may_watch: inner.health.is_outrun(),
        })
    }

    /// The head of a whole answer says how fast the target is, and nothing of its health.
    pub(super) fn head(&self, visit: &mut Visit, now: Instant) {
        if visit.heard_after.is_none() {
            self.inner.lock().hear(visit, now);
        }
    }

    pub(super) fn first_content(&self, visit: &mut Visit, now: Instant) {
        if std::mem::replace(&mut visit.has_content, true) {
            return;
        }
        let inner = &mut *self.inner.lock();
        inner.hear(visit, now);
        if inner.health.first_content(&mut visit.pass, now) {
            inner.begin_anew(visit, now);
        }
    }

    /// See [`Health::watch`].
    pub(super) fn watch(&self, visit: &mut Visit) -> bool {
        visit.may_watch && self.inner.lock().health.watch(&mut visit.pass)
    }

    /// `now` is only looked at where the end says something.
    pub(super) fn leave(&self, mut visit: Visit, end: End, settings: &Ejection, now: Instant) {
        let inner = &mut *self.inner.lock();
        let is_waiting = visit.heard_after.is_none();
        if is_waiting {
            inner.latency.waited(visit.began);
        }
        inner.latency.ended();
        let has_content = visit.has_content || end == End::Answered;
        if has_content && inner.health.first_content(&mut visit.pass, now) {
            inner.begin_anew(&visit, now);
        }
        if is_waiting && matches!(end, End::Failed(_) | End::Left | End::Outrun) {
            inner.latency.gave_up(now.saturating_duration_since(visit.began), now);
        }
        match end {
            End::Answered => inner.health.succeeded(&mut visit.pass, now),
            End::Failed(wait) => {
                let ejected = inner.health.failed(settings, visit.pass, now);
                inner.ejections += u64::from(ejected);
                if wait.is_some() {
                    inner.health.limited(wait, now);
                }
            }
            End::Limited(wait) => inner.health.limited(wait, now),
            End::Outrun => {
                let ejected = inner.health.outrun(settings, visit.pass, now);
                inner.ejections += u64::from(ejected);
            }
            End::Left | End::Unjudged | End::Unsent => {}
        }
        inner.health.released(visit.pass);
    }
}

impl Inner {
    /// The first that comes of an answer.
    fn hear(&mut self, visit: &mut Visit, now: Instant) {
        if visit.heard_after.is_none() {
            let took = now.saturating_duration_since(visit.began);
            visit.heard_after = Some(took);
            self.latency.waited(visit.began);
            self.latency.observe(took, now);
        }
    }

    /// The target is back: what it was before it failed is no measure of its speed.
    fn begin_anew(&mut self, visit: &Visit, now: Instant) {
        self.latency.forget();
        if let Some(took) = visit.heard_after {
            self.latency.observe(took, now);
        }
    }
}
