//! A real gateway on a loopback socket, configured by hand, and a client for it.

use std::{
    collections::HashMap,
    io,
    net::SocketAddr,
    sync::{Arc, Once},
    time::Duration,
};

use bytes::Bytes;
use http::{HeaderMap, Method, Request, Response, StatusCode, uri::Scheme};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use parking_lot::Mutex;
use rustls::RootCertStore;
use sluice::{
    budget::{
        BudgetPlan, Clock, Ledger, Limit, Mode, Price, Rate, Rates, SystemClock, Unit, Window,
    },
    credential::Environment,
    llm::{Dialect, Quirks},
    proxy::{
        Body, Deps, Limits, Pipeline, keep_probing,
        server::{Context, DrainSignal, Handler, Listener, Permits, ServerLimits, serve},
    },
    snapshot::{
        Access, Addressing, Allow, Budget, Consumer, ConsumerTable, Credential, Endpoint,
        KeyDigest, KeyHeader, KeyNamespaces, Model, ObjectName, Pattern, Provider, Published,
        Route, RouteTable, Rule, SecretString, Selector, Snapshot, Target, TargetModel, Unpriced,
    },
    telemetry::{AccessLog, Metrics, log::Format},
    usage::Rollup,
};
use tokio_util::sync::CancellationToken;

use crate::upstream::Upstream;

/// The key of the consumer that every gateway here knows.
pub const KEY: &str = "sk-test";

/// A gateway that serves.
pub struct Gateway {
    pub address: SocketAddr,
    pub ledger: Arc<Ledger>,
    pub metrics: Arc<Metrics>,
    pub published: Arc<Published>,
    pub drain: DrainSignal,
    pub permits: Arc<Permits>,
    pub usage: Arc<Rollup>,
    records: Records,
    client: Client<HttpConnector, Full<Bytes>>,
    shutdown: CancellationToken,
}

impl Drop for Gateway {
    fn drop(&mut self) {
        self.shutdown.cancel();
        self.drain.close();
    }
}

/// What the access log has written.
#[derive(Clone, Default)]
struct Records(Arc<Mutex<Vec<u8>>>);

impl io::Write for Records {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Records are only written where something listens to them.
fn keep_records() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let subscriber = tracing_subscriber::fmt().with_writer(io::sink).finish();
        tracing::subscriber::set_global_default(subscriber).unwrap();
    });
}

struct Data(Arc<Pipeline>);

impl Handler for Data {
    type Body = Body;

    async fn handle(self: &Arc<Self>, request: Request<Incoming>, _: SocketAddr) -> Response<Body> {
        self.0.handle(request).await
    }

    fn deadline(body: &Body) -> Option<tokio::time::Instant> {
        body.deadline()
    }
}

/// What is around a gateway.
pub struct World {
    pub limits: Limits,
    pub environment: Environment,
    pub clock: Arc<dyn Clock>,
    /// Whether the configuration has been read.
    pub is_live: bool,
    /// Root certificates of providers; the machine's if there are none.
    pub roots: Option<RootCertStore>,
}

impl Default for World {
    /// Without an identity in any cloud.
    fn default() -> Self {
        let environment =
            Environment::new(|name| (name == "AWS_EC2_METADATA_DISABLED").then(|| "true".into()));
        let (limits, clock) = (Limits::default(), Arc::new(SystemClock));
        Self { limits, environment, clock, is_live: true, roots: None }
    }
}

impl Gateway {
    /// Serves these routes.
    pub async fn start(routes: impl IntoIterator<Item = Route>) -> Self {
        Self::start_with(routes, Limits::default()).await
    }

    /// The same within other bounds.
    pub async fn start_with(routes: impl IntoIterator<Item = Route>, limits: Limits) -> Self {
        Self::start_in(World { limits, ..World::default() }, routes).await
    }

    /// The same in another world.
    pub async fn start_in(
        World { limits, environment, clock, is_live, roots }: World,
        routes: impl IntoIterator<Item = Route>,
    ) -> Self {
        let ledger = Arc::new(Ledger::new(clock.clone()));
        let metrics = Arc::new(Metrics::new().unwrap());
        keep_records();
        let log = AccessLog::new(Format::Json, &metrics.registry).unwrap();
        let records = Records::default();
        // It ends with the process.
        drop(log.start(records.clone()).unwrap());
        let usage = Arc::clone(log.usage());
        let published = Arc::new(Published::default());
        if is_live {
            published.publish(Arc::new(snapshot(routes)));
        }
        let drain = DrainSignal::new();
        let deps = Deps {
            published: published.clone(),
            ledger: ledger.clone(),
            metrics: metrics.clone(),
            log,
            limits,
            allow_loopback: true,
            environment,
            clock,
            drain: drain.clone(),
        };
        let pipeline = match roots {
            Some(roots) => Pipeline::trusting(roots, deps),
            None => Pipeline::new(deps),
        };
        let listener = Listener::bind("data", "127.0.0.1:0".parse().unwrap(), None).unwrap();
        let address = listener.address();
        let shutdown = CancellationToken::new();
        let context = Context::new(ServerLimits::default(), drain.clone(), shutdown.clone());
        let permits = Arc::clone(&context.permits);
        let pipeline = pipeline.unwrap();
        let probing = keep_probing(Arc::clone(&pipeline));
        tokio::spawn(shutdown.clone().run_until_cancelled_owned(probing));
        tokio::spawn(serve(listener, Arc::new(Data(pipeline)), context));
        // Less than the server waits, or a request would meet a connection that is just being closed.
        let idle = Duration::from_secs(5);
        let client = Client::builder(TokioExecutor::new()).pool_idle_timeout(idle).build_http();
        Self {
            address,
            ledger,
            metrics,
            published,
            drain,
            permits,
            usage,
            records,
            client,
            shutdown,
        }
    }

    /// Begins a shutdown.
    pub fn shut_down(&self) {
        self.shutdown.cancel();
    }

    /// Sends a request with the key; the answer's head.
    pub async fn send(&self, path: &str, body: impl Into<Bytes>) -> Response<Incoming> {
        self.send_with(path, &[("authorization", "Bearer sk-test")], body).await
    }

    /// Sends a request with these headers.
    pub async fn send_with(
        &self,
        path: &str,
        headers: &[(&str, &str)],
        body: impl Into<Bytes>,
    ) -> Response<Incoming> {
        let mut request = Request::post(format!("http://{}{path}", self.address));
        if !headers.iter().any(|(name, _)| *name == "content-type") {
            request = request.header("content-type", "application/json");
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        self.client.request(request.body(Full::new(body.into())).unwrap()).await.unwrap()
    }

    /// Sends a request as it is, with the key and without a body.
    pub async fn call(&self, method: Method, path: &str) -> Reply {
        let request = Request::builder()
            .method(method)
            .uri(format!("http://{}{path}", self.address))
            .header("authorization", "Bearer sk-test");
        let request = request.body(Full::default()).unwrap();
        Reply::read(self.client.request(request).await.unwrap()).await
    }

    /// Sends a request and reads the whole answer.
    pub async fn ask(&self, path: &str, body: impl Into<Bytes>) -> Reply {
        Reply::read(self.send(path, body).await).await
    }

    /// A chat completion.
    pub async fn chat(&self, body: impl Into<Bytes>) -> Reply {
        self.ask("/v1/chat/completions", body).await
    }

    /// Gets a path with the key.
    pub async fn get(&self, path: &str, headers: &[(&str, &str)]) -> Reply {
        let mut request = Request::get(format!("http://{}{path}", self.address));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(Full::default()).unwrap();
        Reply::read(self.client.request(request).await.unwrap()).await
    }

    /// Requests that ended this way, over all routes.
    pub fn ended(&self, outcome: &str) -> u64 {
        let families = self.metrics.registry.gather();
        let requests = families.iter().filter(|family| family.name() == "sluice_requests_total");
        let series = requests.flat_map(|family| family.get_metric());
        let ended = series.filter(|metric| {
            metric
                .get_label()
                .iter()
                .any(|label| label.name() == "outcome" && label.value() == outcome)
        });
        ended.map(|metric| metric.get_counter().get_value() as u64).sum()
    }

    /// The record of the only request, once it has ended.
    pub async fn record(&self) -> serde_json::Value {
        eventually(|| self.records.0.lock().ends_with(b"\n")).await;
        serde_json::from_slice(&self.records.0.lock()).unwrap()
    }

    /// The records of all requests, once all of them have ended.
    #[allow(dead_code, reason = "for suites whose gateways answer more than one request")]
    pub async fn records(&self) -> Vec<serde_json::Value> {
        eventually(|| self.metrics.inflight.get() == 0).await;
        let ended = self.counted("sluice_requests_total", ("", ""));
        let written = || self.records.0.lock().iter().filter(|byte| **byte == b'\n').count() as u64;
        eventually(|| written() == ended).await;
        let lines = String::from_utf8(self.records.0.lock().clone()).unwrap();
        lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    /// The sum of a counter's series that have this label value; of all for an empty one.
    pub fn counted(&self, name: &str, (label, value): (&str, &str)) -> u64 {
        let families = self.metrics.registry.gather();
        let series = families.iter().filter(|family| family.name() == name);
        let fits =
            |pair: &prometheus::proto::LabelPair| pair.name() == label && pair.value() == value;
        let series = series.flat_map(|family| family.get_metric());
        let fitting =
            series.filter(|metric| value.is_empty() || metric.get_label().iter().any(fits));
        fitting.map(|metric| metric.get_counter().get_value() as u64).sum()
    }

    /// Waits until a request has ended this way.
    pub async fn until_ended(&self, outcome: &str) {
        eventually(|| self.ended(outcome) > 0).await;
    }

    /// Used and reserved of the first limit of a budget, all subjects together.
    pub fn used(&self, budget: &Budget) -> (u64, u64) {
        let views = self.ledger.views(&budget.plan);
        let view = views.first().unwrap();
        (view.used, view.reserved)
    }
}

/// Waits until something holds; a test that waits in vain is stopped after ten seconds.
pub async fn eventually(holds: impl Fn() -> bool) {
    for _ in 0..2000 {
        if holds() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    panic!("it never came to be");
}

/// The same where it takes a request to know.
pub async fn eventually_asked(holds: impl AsyncFn() -> bool) {
    for _ in 0..1000 {
        if holds().await {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("it never came to be");
}

/// A whole answer.
#[derive(Debug)]
pub struct Reply {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Bytes,
}

impl Reply {
    pub async fn read(response: Response<Incoming>) -> Self {
        let (head, body) = response.into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        Self { status: head.status, headers: head.headers, body }
    }

    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }

    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    /// `error.code`.
    pub fn code(&self) -> String {
        self.json()["error"]["code"].as_str().unwrap_or_default().to_owned()
    }
}

/// A configuration with these routes and the one consumer.
pub fn snapshot(routes: impl IntoIterator<Item = Route>) -> Snapshot {
    let consumer = Consumer {
        name: ObjectName::new("team", "key"),
        labels: Default::default(),
        app: None,
        team: Some("search".into()),
        environment: None,
        expires: None,
    };
    let mut consumers = ConsumerTable::default();
    consumers.insert(KeyDigest::of(KEY.as_bytes()), consumer).unwrap();
    let routes: Vec<_> = routes.into_iter().map(Arc::new).collect();
    let targets = routes.iter().flat_map(|route| route.targets());
    let providers = targets.map(|target| (target.provider.name.clone(), target.provider.clone()));
    let providers = providers.collect();
    Snapshot { routes: RouteTable::new(routes), providers, consumers, ..Snapshot::default() }
}

/// A provider at an address, without a key and with a price of one dollar a million tokens for `m`.
pub fn provider_at(address: SocketAddr, dialect: Dialect) -> Provider {
    let rate = Rate::from_usd_per_million("1").unwrap();
    let rates = Rates { input: rate, output: rate, ..Rates::default() };
    let model = Model { price: Some(Price::flat(rates).into()), ..Model::default() };
    Provider {
        name: ObjectName::new("team", format!("provider-{}", address.port())),
        uid: address.to_string().into(),
        kind: "OpenAICompatible",
        dialects: dialect.alone(),
        quirks: Quirks::NONE,
        addressing: Addressing::Plain,
        key_header: match dialect {
            Dialect::Anthropic => KeyHeader::XApiKey,
            _ => KeyHeader::Bearer,
        },
        probe: None,
        backends: None,
        identity: None,
        endpoint: Endpoint::Http {
            scheme: Scheme::HTTP,
            authority: address.to_string().parse().unwrap(),
            base_path: "/v1".into(),
        },
        credentials: Vec::new(),
        headers: Vec::new(),
        models: HashMap::from([("m".to_owned(), model)]),
        prices: Vec::new(),
        connect_timeout: Duration::from_secs(5),
        limits: Default::default(),
        ejection: Default::default(),
    }
}

/// An OpenAI provider played by a script.
pub fn provider(upstream: &Upstream) -> Provider {
    provider_at(upstream.address(), Dialect::OpenAi)
}

/// A key of a provider.
pub fn credential(key: &str) -> Credential {
    Credential { source: "secret/key".into(), key: SecretString::new(key.into()), weight: 1 }
}

/// A route for the model `chat`, whose targets have ascending priorities and serve `m`.
pub fn route(providers: impl IntoIterator<Item = Provider>) -> Route {
    let target = |(index, provider): (usize, Provider)| Target {
        name: format!("target-{index}").into(),
        provider: Arc::new(provider),
        model: TargetModel::Fixed("m".into()),
        weight: 1,
        priority: u32::try_from(index).unwrap(),
        parameters: None,
    };
    let allow = Allow { namespaces: KeyNamespaces::All, labels: Selector::default() };
    Route {
        name: ObjectName::new("team", "chat"),
        uid: "route".into(),
        models: vec![Pattern::Exact("chat".into())],
        access: Access { anonymous: false, allow: vec![allow] },
        rules: vec![Arc::new(Rule {
            name: "0".into(),
            targets: providers.into_iter().enumerate().map(target).map(Arc::new).collect(),
            ..Rule::default()
        })],
        ..Route::default()
    }
}

/// The targets of a route's first rule.
pub fn targets_of(route: &mut Route) -> &mut Vec<Arc<Target>> {
    &mut Arc::make_mut(&mut route.rules[0]).targets
}

/// A budget over an hour.
pub fn budget(unit: Unit, amount: u64) -> Arc<Budget> {
    let window = Window::Sliding { length: Duration::from_secs(3600) };
    let plan = BudgetPlan {
        uid: "budget".into(),
        namespace: "team".into(),
        name: "small".into(),
        limits: vec![Limit { name: "hour".into(), unit, amount, window }],
        mode: Mode::Enforce,
    };
    Arc::new(Budget {
        name: ObjectName::new("team", "small"),
        plan: Arc::new(plan),
        consumers: None,
        models: Vec::new(),
        providers: Vec::new(),
        per: Vec::new(),
        downgrade: None,
        unpriced: Unpriced::Deny,
    })
}

/// A chunk of OpenAI's stream with this text.
pub fn chunk(text: &str) -> String {
    let text = serde_json::Value::from(text);
    format!(
        r#"{{"id":"c1","object":"chat.completion.chunk","created":1,"model":"m","choices":[{{"index":0,"delta":{{"content":{text}}},"finish_reason":null}}]}}"#
    )
}

/// The chunk that names the reason to stop.
pub const STOP: &str = r#"{"id":"c1","object":"chat.completion.chunk","created":1,"model":"m","choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}"#;
/// The chunk that carries only the role.
pub const ROLE: &str = r#"{"id":"c1","object":"chat.completion.chunk","created":1,"model":"m","choices":[{"index":0,"delta":{"role":"assistant","content":""},"finish_reason":null}]}"#;
/// The chunk that carries only usage.
pub const USAGE: &str = r#"{"id":"c1","object":"chat.completion.chunk","created":1,"model":"m","choices":[],"usage":{"prompt_tokens":10,"completion_tokens":20,"total_tokens":30}}"#;
/// A whole answer with usage.
pub const WHOLE: &str = r#"{"id":"c1","object":"chat.completion","created":1,"model":"m","choices":[{"index":0,"message":{"role":"assistant","content":"Hello"},"finish_reason":"stop"}],"usage":{"prompt_tokens":10,"completion_tokens":20,"total_tokens":30},"x_vendor":{"kept":true}}"#;
/// A request for a whole answer.
pub const ASK: &str = r#"{"model":"chat","messages":[{"role":"user","content":"Hi"}]}"#;
/// A request for a stream.
pub const STREAM: &str =
    r#"{"model":"chat","messages":[{"role":"user","content":"Hi"}],"stream":true}"#;
