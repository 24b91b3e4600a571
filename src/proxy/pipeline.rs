//! The order of a request's phases, and nothing else.

use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderMap, Request, Response, StatusCode, request::Parts, uri::Authority};
use jiff::Timestamp;
use rustls::RootCertStore;
use tokio::time::Instant;

use crate::{
    budget::{Clock, Ledger, Refusal},
    credential::{Credentials, Environment},
    llm::{Called, Dialect, Peek, ResponseContext, peek, peek_form},
    route::{self, Choice, Conversations, Targets, hostname, named_user},
    snapshot::{Consumer, Provider, Published, Snapshot},
    telemetry::{AccessLog, Metrics, Outcome, Record, TargetGauges},
};

use super::{
    Body, Limits,
    admit::{Admitted, admit, exceeded, leave_out_unpriced, sizes},
    attempt::{Answer, Attempts, Call, Content, Failure},
    body::{Pace, shutting_down},
    catalogue, direct,
    downgrade::downgrade,
    gauges::samples,
    identify::{identify, key_missing, withhold_keys},
    keys::KeyPool,
    parse::{Asked, Media, Unread, asked, check_media, collect, dialect},
    realtime,
    respond::{self, Rejection},
    routing::{refuse_before_live, select},
    select::{Selector, Wish, asks_for_size},
    server::DrainSignal,
    session::{Source, session},
    settle::Settlement,
    upstream::{BackendState, Upstreams},
};

/// What a pipeline works with.
pub struct Deps {
    /// The configuration.
    pub published: Arc<Published>,
    /// The budgets' counters.
    pub ledger: Arc<Ledger>,
    /// Metrics.
    pub metrics: Arc<Metrics>,
    /// Takes the record of every request.
    pub log: Arc<AccessLog>,
    /// Bounds of the proxy.
    pub limits: Limits,
    /// Whether providers on the machine itself may be called.
    pub allow_loopback: bool,
    /// Where the gateway's own identity in a cloud is described.
    pub environment: Environment,
    /// The wall clock.
    pub clock: Arc<dyn Clock>,
    /// How far a shutdown is: streams that outlast it end with an error event.
    pub drain: DrainSignal,
}

/// Answers requests of the data port.
pub struct Pipeline {
    pub(super) deps: Deps,
    pub(super) upstreams: Upstreams,
    pub(super) credentials: Credentials,
    pub(super) selector: Selector,
    pub(super) keys: KeyPool,
    pub(super) conversations: Conversations,
}

/// What is known of a request before its body is read.
struct Arrived<'a> {
    authority: Option<Authority>,
    headers: HeaderMap,
    snapshot: &'a Snapshot,
    consumer: Option<Arc<Consumer>>,
    called: Called<'a>,
    media: Media,
    now: Timestamp,
}

impl std::fmt::Debug for Pipeline {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Pipeline").finish_non_exhaustive()
    }
}

impl Pipeline {
    /// A pipeline.
    ///
    /// # Errors
    /// If TLS towards providers cannot be set up.
    pub fn new(deps: Deps) -> Result<Arc<Self>, rustls::Error> {
        let upstreams = Upstreams::new(deps.allow_loopback)?;
        Ok(Self::over(upstreams, deps))
    }

    /// A pipeline that trusts these root certificates of providers instead of the machine's.
    ///
    /// # Errors
    /// If TLS towards providers cannot be set up.
    pub fn trusting(roots: RootCertStore, deps: Deps) -> Result<Arc<Self>, rustls::Error> {
        let upstreams = Upstreams::trusting(roots, deps.allow_loopback)?;
        Ok(Self::over(upstreams, deps))
    }

    fn over(upstreams: Upstreams, deps: Deps) -> Arc<Self> {
        let upstreams = upstreams.following(Arc::clone(&deps.published));
        let credentials = Credentials::new(
            upstreams.tls().clone(),
            deps.environment.clone(),
            Arc::clone(&deps.clock),
            deps.allow_loopback,
        );
        let (selector, keys) = (Selector::new(Instant::now().into_std()), KeyPool::default());
        let (targets, published) = (Arc::clone(&selector.targets), Arc::clone(&deps.published));
        let source = Box::new(move || samples(&targets, &published.load_full()));
        if TargetGauges::register(&deps.metrics.registry, source).is_err() {
            tracing::warn!("another pipeline shows its targets in these metrics already");
        }
        Arc::new(Self {
            deps,
            upstreams,
            credentials,
            selector,
            keys,
            conversations: Conversations::default(),
        })
    }

    /// What is known of targets: their health, speed and load.
    pub fn targets(&self) -> &Arc<Targets> {
        &self.selector.targets
    }

    /// Answers one request. It never fails: errors are answers in the caller's dialect. Dropping the
    /// future or the answer's body means that the caller is gone.
    pub async fn handle<B>(self: &Arc<Self>, request: Request<B>) -> Response<Body>
    where
        B: http_body::Body<Data = Bytes> + Send + Unpin + 'static,
    {
        let (mut head, body) = request.into_parts();
        if head.uri.path().starts_with(direct::PREFIX) {
            return Box::pin(direct::handle(self, head, body)).await;
        }
        if head.uri.path() == realtime::PATH {
            return Box::pin(realtime::handle(self, head)).await;
        }
        let record =
            Record { request_id: respond::request_id(&head.headers).into(), ..Record::default() };
        let mut settlement = Settlement::open(&self.deps.metrics, &self.deps.log, record);
        let dialect = dialect(head.uri.path(), &head.headers);
        // Boxed, for the futures inside are large and most of a connection's life is spent elsewhere.
        let mut unread = Unread::new(&head.headers, body);
        match Box::pin(self.serve(&mut head, &mut unread.body, dialect, &mut settlement)).await {
            Ok(Served::Json(body)) => {
                settlement.complete();
                respond::json(StatusCode::OK, body, &settlement.record)
            }
            Ok(Served::Answer(answer)) => deliver(*answer, settlement),
            Err(rejection) => {
                settlement.rejected(&rejection, rejection.error.status_for(dialect).as_u16());
                unread.discard().await;
                respond::reject(dialect, &rejection, &settlement.record)
            }
        }
    }

    /// The servers behind a provider that is a Service, as this replica sees them; empty for others.
    pub fn backends(&self, provider: &Provider) -> Vec<BackendState> {
        self.upstreams.backends(provider)
    }

    /// Counts a request that the server refused before it came here: it has no record, for what is
    /// too much must stay cheap.
    pub fn overloaded(&self) {
        let status = StatusCode::SERVICE_UNAVAILABLE.as_u16();
        self.deps.metrics.count_failure("", "", status, Outcome::Refused.as_str());
    }

    async fn serve<B>(
        &self,
        head: &mut Parts,
        body: &mut B,
        dialect: Dialect,
        settlement: &mut Settlement,
    ) -> Result<Served, Rejection>
    where
        B: http_body::Body<Data = Bytes> + Unpin,
    {
        let asked = asked(&head.method, &head.uri)?;
        if let Asked::Call(called) = &asked {
            settlement.record.endpoint = called.endpoint.path().into();
        }
        refuse_before_live(&self.deps.published)?;
        let snapshot = self.deps.published.load_full();
        let now = self.deps.clock.now();
        let consumer = identify(&snapshot.consumers, &head.headers, head.uri.query(), now)?;
        note_consumer(&mut settlement.record, consumer.as_deref());
        let called = match asked {
            Asked::Call(called) => called,
            Asked::Models => {
                return catalogue::models(&snapshot, consumer.as_deref(), head, dialect)
                    .map(Served::Json);
            }
            Asked::Model(id) => {
                let consumer = consumer.as_deref();
                return catalogue::model(&snapshot, consumer, head, dialect, &id).map(Served::Json);
            }
        };
        if consumer.is_none() && !snapshot.routes.admits_anonymous() {
            // Before the body: who has no key must not be able to fill the memory with it.
            return Err(key_missing());
        }
        let media = check_media(called.endpoint, &head.headers)?;
        let bytes = collect(&head.headers, body, &self.deps.limits).await?;
        let mut headers = std::mem::take(&mut head.headers);
        withhold_keys(&mut headers, &snapshot.consumers);
        let authority = head.uri.authority().cloned();
        let arrived =
            Arrived { authority, headers, snapshot: &snapshot, consumer, called, media, now };
        let call = self.prepare(arrived, bytes, settlement)?;
        // A reload must not wait for the longest stream to let go of the old configuration.
        drop(snapshot);
        let pace = self.pace(&call);
        let attempts = Attempts::new(self, &call, settlement);
        let answer = tokio::select! {
            biased;
            answer = attempts.run() => answer.map_err(Failure::into_rejection)?,
            () = self.deps.drain.expired() => return Err(Rejection::fail(shutting_down(), None)),
        };
        Ok(Served::Answer(Box::new((answer, pace))))
    }

    /// Parse, select, admit: everything that needs no waiting.
    fn prepare(
        &self,
        arrived: Arrived<'_>,
        body: Bytes,
        settlement: &mut Settlement,
    ) -> Result<Call, Rejection> {
        let Arrived { authority, headers, snapshot, consumer, called, media, now } = arrived;
        let endpoint = called.endpoint;
        let mut peek = match media {
            Media::Json => peek(&called, &body)?,
            Media::Form(boundary) => peek_form(&called, boundary, &body)?,
        };
        let input = peek.input(endpoint, &body);
        if peek.user.is_none() {
            peek.user = named_user(&headers);
        }
        let stream = peek.stream && endpoint.work().has_output();
        note_request(&mut settlement.record, &peek, stream);
        let asked = route::Asked {
            model: &peek.model,
            consumer: consumer.as_deref(),
            endpoint,
            hostname: &hostname(authority.as_ref(), &headers),
            headers: &headers,
            body: &body,
            stream,
            input_tokens: input.tokens,
            max_output_tokens: peek.max_output_tokens,
            user: peek.user.as_deref(),
            now,
        };
        let Choice { route, mut rule, mut candidates, .. } =
            select(snapshot, &asked, &mut settlement.record)?;
        leave_out_unpriced(&mut candidates, &route, consumer.as_deref())?;
        let request = Admitted {
            route: &route,
            consumer: consumer.as_deref(),
            headers: &headers,
            endpoint,
            peek: &peek,
            input,
            candidates: &[],
            may_take: route.timeouts.total,
        };
        let admitted = Admitted { candidates: &candidates, ..request };
        let admission = match admit(&self.deps.ledger, &admitted) {
            Ok(admission) => admission,
            Err(refusal) => {
                let within = (&snapshot.routes, &asked);
                let other = downgrade(&self.deps.ledger, (&request, &refusal), within, &rule);
                let Some(other) = other else { return Err(self.deny(&refusal)) };
                settlement.record.downgraded = other.budget;
                settlement.record.rule = Arc::clone(&other.rule.name);
                (rule, candidates) = (other.rule, other.candidates);
                other.admission
            }
        };
        settlement.hold(admission, input);
        let mut wish = Wish::default();
        if asks_for_size(rule.balance, &candidates) {
            wish.sizes = sizes(&Admitted { candidates: &candidates, ..request });
        }
        if candidates.len() > 1 {
            let consumer = consumer.as_deref();
            let source = Source { consumer, headers: &headers, peek: &peek, body: &body };
            wish.session = session(&route.session, &source);
        }
        let deadline = settlement.started() + route.timeouts.total;
        let context = ResponseContext {
            created: now.as_second(),
            model: peek.model.clone(),
            request_id: settlement.record.request_id.to_string(),
            form: called.form,
            request: if endpoint.answers_by_request() { body.clone() } else { Bytes::new() },
            base64: peek.base64,
        };
        Ok(Call {
            endpoint,
            headers,
            consumer,
            body,
            peek,
            input,
            stream,
            route,
            rule,
            candidates,
            wish,
            context,
            deadline,
        })
    }

    fn deny(&self, refusal: &Refusal) -> Rejection {
        self.deps.metrics.count_refusal(&refusal.budget, &refusal.limit);
        exceeded(refusal)
    }

    fn pace(&self, call: &Call) -> Pace {
        Pace {
            idle: call.route.timeouts.idle,
            keep_alive: self.deps.limits.keep_alive_comment,
            deadline: call.deadline,
            expired: self.deps.drain.expired(),
        }
    }
}

/// What a request ends in when nothing went wrong.
enum Served {
    Json(Bytes),
    Answer(Box<(Answer, Pace)>),
}

/// Hands an answer to the server; a stream takes the settlement along.
fn deliver((answer, pace): (Answer, Pace), mut settlement: Settlement) -> Response<Body> {
    let Answer { upstream_id, dropped, content, flight } = answer;
    settlement.deliver(flight);
    settlement.record.dropped = dropped.join(", ");
    let mut response = match content {
        Content::Whole(whole) => {
            settlement.answered(&whole);
            settlement.complete();
            let mut response = respond::json(StatusCode::OK, whole.body, &settlement.record);
            respond::add_cost(response.headers_mut(), &settlement.record);
            response
        }
        Content::Stream(opened) => {
            let mut response = respond::stream(&opened.form, &settlement.record);
            *response.body_mut() = Body::stream(opened, pace, settlement);
            response
        }
    };
    if let Some(id) = upstream_id {
        response.headers_mut().insert(respond::X_UPSTREAM_REQUEST_ID, id);
    }
    response
}

pub(super) fn note_consumer(record: &mut Record, consumer: Option<&Consumer>) {
    if let Some(consumer) = consumer {
        record.consumer = Arc::clone(consumer.name.path());
        record.team = consumer.team.clone().unwrap_or_default();
        record.app = consumer.app.clone().unwrap_or_default();
        record.environment = consumer.environment.clone().unwrap_or_default();
    }
}

fn note_request(record: &mut Record, peek: &Peek, stream: bool) {
    record.model_asked.clone_from(&peek.model);
    record.user = peek.user.clone().unwrap_or_default();
    record.stream = stream;
}
