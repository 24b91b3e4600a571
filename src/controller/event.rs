//! Events: what a person sees under `kubectl describe`. Bounded in number and never waited for.

use std::{sync::Arc, time::Duration};

use k8s_openapi::api::core::v1::ObjectReference;
use kube::runtime::events::{Event, EventType, Recorder, Reporter};
use tokio::{
    sync::mpsc,
    time::{Instant, sleep, timeout},
};
use tokio_util::sync::CancellationToken;
use tracing::{debug, warn};

use crate::{api::condition::Reason, snapshot::ObjectName, telemetry::control::ControlMetrics};

/// Events that wait to be sent; more are dropped. Status says the same.
const QUEUE: usize = 256;
/// Events that can be sent without a pause.
const BURST: u32 = 50;
/// In the long run one Event in so long.
const PACE: Duration = Duration::from_millis(200);
/// The longest that sending one may take.
const REQUEST: Duration = Duration::from_secs(5);
/// The API server refuses longer notes; in bytes.
const MAX_NOTE: usize = 1024;

/// Name under which Events are reported.
const CONTROLLER: &str = "sluice.dev/gateway";

/// Takes Events without waiting.
#[derive(Clone)]
pub struct Events {
    queue: mpsc::Sender<Notice>,
    metrics: Arc<ControlMetrics>,
}

/// One Event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Notice {
    pub(super) api_version: &'static str,
    pub(super) kind: &'static str,
    pub(super) name: ObjectName,
    pub(super) uid: Arc<str>,
    pub(super) is_warning: bool,
    pub(super) reason: String,
    pub(super) note: String,
}

/// Starts the task that sends, until `shutdown`.
pub(super) fn start(
    client: kube::Client,
    identity: String,
    metrics: Arc<ControlMetrics>,
    shutdown: CancellationToken,
) -> Events {
    let (queue, notices) = mpsc::channel(QUEUE);
    let reporter = Reporter { controller: CONTROLLER.to_owned(), instance: Some(identity) };
    let recorder = Recorder::new(client, reporter);
    let sender = Sender {
        recorder,
        metrics: metrics.clone(),
        credit: BURST,
        paid: Instant::now(),
        is_warned: false,
    };
    tokio::spawn(async move { shutdown.run_until_cancelled(sender.run(notices)).await });
    Events { queue, metrics }
}

impl Events {
    pub(super) fn send(&self, notice: Notice) {
        if self.queue.try_send(notice).is_err() {
            self.metrics.events.with_label_values(&["dropped"]).inc();
        }
    }
}

struct Sender {
    recorder: Recorder,
    metrics: Arc<ControlMetrics>,
    credit: u32,
    paid: Instant,
    is_warned: bool,
}

impl Sender {
    async fn run(mut self, mut notices: mpsc::Receiver<Notice>) {
        while let Some(notice) = notices.recv().await {
            self.pace().await;
            let event = Event {
                type_: if notice.is_warning { EventType::Warning } else { EventType::Normal },
                reason: notice.reason.clone(),
                note: Some(cut(&notice.note)),
                action: action(&notice).to_owned(),
                secondary: None,
            };
            let sent = timeout(REQUEST, self.recorder.publish(&event, &reference(&notice))).await;
            let outcome = match sent {
                Ok(Ok(())) => "sent",
                Ok(Err(error)) => {
                    debug!(kind = notice.kind, object = %notice.name, %error, "Event not sent");
                    self.warn(&error);
                    "error"
                }
                Err(_) => "error",
            };
            self.metrics.events.with_label_values(&[outcome]).inc();
        }
    }

    /// Says once that a permission is missing.
    fn warn(&mut self, error: &kube::Error) {
        let is_forbidden = matches!(error, kube::Error::Api(status) if status.code == 403);
        if is_forbidden && !std::mem::replace(&mut self.is_warned, true) {
            warn!(
                %error,
                "Events can't be sent: add a rule {{apiGroups: [events.k8s.io], resources: \
                 [events], verbs: [create, patch]}}"
            );
        }
    }

    /// Waits for the next credit when the burst is used up.
    async fn pace(&mut self) {
        let earned = self.paid.elapsed().as_millis() / PACE.as_millis();
        let earned = u32::try_from(earned).unwrap_or(u32::MAX);
        if earned > 0 {
            self.credit = self.credit.saturating_add(earned).min(BURST);
            self.paid = Instant::now();
        }
        match self.credit.checked_sub(1) {
            Some(credit) => self.credit = credit,
            None => sleep(PACE).await,
        }
    }
}

/// What was done when the state came about, as the Events API asks for it.
fn action(notice: &Notice) -> &'static str {
    match notice.reason == Reason::BudgetExceeded.as_str() {
        true => "Enforce",
        false => "Program",
    }
}

fn reference(notice: &Notice) -> ObjectReference {
    ObjectReference {
        api_version: Some(notice.api_version.to_owned()),
        kind: Some(notice.kind.to_owned()),
        namespace: Some(notice.name.namespace.to_string()),
        name: Some(notice.name.name.to_string()),
        uid: Some(notice.uid.to_string()),
        ..ObjectReference::default()
    }
}

fn cut(note: &str) -> String {
    let end = note.floor_char_boundary(MAX_NOTE);
    note.get(..end).unwrap_or_default().to_owned()
}
