//! A watch against a scripted API server.

use std::{
    collections::VecDeque,
    convert::Infallible,
    future::Ready,
    task::{Context, Poll},
};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;

use k8s_openapi::api::core::v1::ConfigMap;
use kube::client::Body;
use parking_lot::Mutex;
use prometheus::Registry;
use serde_json::{Value, json};
use tokio::sync::mpsc;
use tower_service::Service;

use super::*;
use crate::telemetry::control::ControlMetrics;

/// Answers requests one after the other, and notes what was asked. Without a further answer, it is
/// unreachable.
#[derive(Clone)]
struct Server {
    answers: Arc<Mutex<VecDeque<(u16, String)>>>,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Service<Request<Body>> for Server {
    type Response = Response<Full<Bytes>>;
    type Error = std::io::Error;
    type Future = Ready<Result<Self::Response, Self::Error>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        self.asked.lock().push(request.uri().to_string());
        let answer = self.answers.lock().pop_front();
        std::future::ready(match answer {
            Some((status, text)) => {
                Ok(Response::builder().status(status).body(Full::from(text)).unwrap())
            }
            None => Err(std::io::Error::other("unreachable")),
        })
    }
}

/// What a sink was told.
#[derive(Debug, PartialEq)]
enum Told {
    Replace(Vec<String>),
    Apply(String),
    Delete(String),
}

struct Noted(mpsc::UnboundedSender<Told>);

impl Noted {
    fn note(&self, told: Told) {
        self.0.send(told).unwrap_or(());
    }
}

impl Sink for Noted {
    type Object = ConfigMap;

    async fn replace(&mut self, objects: Vec<ConfigMap>) {
        self.note(Told::Replace(objects.into_iter().filter_map(|o| o.metadata.name).collect()));
    }

    async fn apply(&mut self, object: ConfigMap) {
        assert_eq!(object.metadata.managed_fields, None);
        self.note(Told::Apply(object.metadata.name.unwrap()));
    }

    fn delete(&mut self, object: ConfigMap) {
        self.note(Told::Delete(object.metadata.name.unwrap()));
    }
}

struct Run {
    told: mpsc::UnboundedReceiver<Told>,
    first: oneshot::Receiver<()>,
    server: Server,
    metrics: Arc<ControlMetrics>,
    task: tokio::task::JoinHandle<Result<(), Infallible>>,
}

impl Drop for Run {
    fn drop(&mut self) {
        self.task.abort();
    }
}

fn run(need: Need, answers: Vec<(u16, String)>) -> Run {
    let server = Server { answers: Arc::new(Mutex::new(answers.into())), asked: Arc::default() };
    let client = Client::new(server.clone(), "default");
    let subject = Subject {
        kind: "ConfigMap",
        remedy: "add a rule",
        need,
        api: Box::new(|client| Api::namespaced(client, "default")),
        fields: None,
        labels: None,
    };
    let metrics = ControlMetrics::new(&Registry::new()).unwrap();
    let watch = Watch::new(client, subject, Connection::new(metrics.clone()));
    let (notes, told) = mpsc::unbounded_channel();
    let (sender, first) = oneshot::channel();
    let task = tokio::spawn(async move {
        watch.run(Noted(notes), Some(sender)).await;
        Ok(())
    });
    Run { told, first, server, metrics, task }
}

fn object(name: &str) -> Value {
    json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {
        "name": name, "namespace": "default", "resourceVersion": "7",
        "managedFields": [{"manager": "kubectl"}],
    }})
}

fn event(type_: &str, object: &Value) -> String {
    format!("{}\n", json!({"type": type_, "object": object}))
}

fn end_of_list() -> String {
    let annotations = json!({"k8s.io/initial-events-end": "true"});
    event(
        "BOOKMARK",
        &json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {
            "resourceVersion": "7", "annotations": annotations,
        }}),
    )
}

fn refusal(code: u16) -> (u16, String) {
    let status = json!({"apiVersion": "v1", "kind": "Status", "status": "Failure", "code": code,
        "message": "no", "reason": "No", "metadata": {}});
    (code, status.to_string())
}

#[tokio::test]
async fn a_streamed_list_is_taken_as_a_whole_and_then_followed() {
    let stream = [
        event("ADDED", &object("a")),
        event("ADDED", &object("b")),
        end_of_list(),
        event("MODIFIED", &object("b")),
        event("DELETED", &object("a")),
    ];
    let mut run = run(Need::Required, vec![(200, stream.concat())]);
    assert_eq!(run.told.recv().await, Some(Told::Replace(vec!["a".into(), "b".into()])));
    assert_eq!((&mut run.first).await, Ok(()));
    assert_eq!(run.told.recv().await, Some(Told::Apply("b".into())));
    assert_eq!(run.told.recv().await, Some(Told::Delete("a".into())));
    assert!(run.server.asked.lock()[0].contains("sendInitialEvents=true"));
}

#[tokio::test]
async fn a_server_that_cannot_stream_lists_is_listed_in_pages() {
    let list = json!({"apiVersion": "v1", "kind": "ConfigMapList",
        "metadata": {"resourceVersion": "7"}, "items": [object("a")]});
    let mut run = run(Need::Required, vec![refusal(422), (200, list.to_string())]);
    assert_eq!(run.told.recv().await, Some(Told::Replace(vec!["a".into()])));
    assert!(!run.server.asked.lock()[1].contains("sendInitialEvents=true"));
}

#[tokio::test]
async fn a_server_that_ignores_the_wish_for_a_list_is_listed_in_pages() {
    let list = json!({"apiVersion": "v1", "kind": "ConfigMapList",
        "metadata": {"resourceVersion": "7"}, "items": [object("a")]});
    let endless = event("ADDED", &object("a"));
    let answers = vec![(200, endless.clone()), (200, endless), (200, list.to_string())];
    let mut run = run(Need::Required, answers);
    assert_eq!(run.told.recv().await, Some(Told::Replace(vec!["a".into()])));
}

#[tokio::test]
async fn an_unreachable_server_removes_nothing_and_is_counted() {
    let stream = [event("ADDED", &object("a")), end_of_list()];
    let mut run = run(Need::Required, vec![(200, stream.concat())]);
    assert_eq!(run.told.recv().await, Some(Told::Replace(vec!["a".into()])));
    let errors = run.metrics.watch_errors.with_label_values(&["ConfigMap"]);
    while errors.get() < 2 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert_eq!(run.metrics.source_connected.get(), 0);
    assert!(run.told.try_recv().is_err());
}

#[tokio::test]
async fn nobody_waits_for_what_is_optional_and_forbidden() {
    let mut run = run(Need::Optional, vec![refusal(403)]);
    assert_eq!((&mut run.first).await, Ok(()));
    assert_eq!(run.metrics.source_connected.get(), 1);
    assert!(run.told.try_recv().is_err());
}

#[tokio::test]
async fn what_is_required_and_forbidden_is_waited_for() {
    let mut run = run(Need::Required, vec![refusal(403)]);
    while run.metrics.source_connected.get() == 1 {
        tokio::task::yield_now().await;
    }
    assert!(run.first.try_recv().is_err());
}

#[test]
fn pauses_grow_to_the_longest_and_stay_there() {
    assert!(pause(1) <= FIRST_PAUSE);
    for failures in [10, 100, u32::MAX] {
        assert!(pause(failures) >= LONGEST_PAUSE / 2 && pause(failures) <= LONGEST_PAUSE);
    }
}
