//! Realtime sessions: `/v1/realtime?model=...`, a WebSocket that passes to a provider of OpenAI's
//! dialect. Found, checked and counted like any request; then bytes pass as they come.

mod frame;
mod guard;
mod handshake;
mod relay;
mod session;

use std::sync::Arc;

use http::{Request, Response, StatusCode, request::Parts};
use http_body_util::Full;
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use tokio::time::{Instant, timeout};

use crate::{
    llm::{Dialect, Endpoint, ErrorKind, peek},
    route::{self, Choice, End, Turn, hostname, named_user},
    snapshot,
    telemetry::{AttemptRecord, Record},
};

use super::{
    Body, Pipeline,
    admit::{exceeded, leave_out_unpriced},
    attempt::{Failure, Reason, error_answer},
    ending::Ending,
    identify::{identify, key_missing, own_credential, withhold_keys},
    keys::Wanted,
    pipeline::note_consumer,
    quotable::Quotable,
    respond::{self, Rejection},
    routing::{refuse_before_live, select},
    select::{Candidate, Wish},
    server::Takeover,
    session::{self as sessions, Source},
    upstream::UpstreamBody,
};

use guard::Guard;
use handshake::Asked;
use relay::{Pace, Relay};
use session::{Admissible, Session};

/// The path of sessions.
pub const PATH: &str = "/v1/realtime";
/// The operation's name in metrics.
const OPERATION: &str = "realtime";

/// Opens a session. It never fails: errors are answers in OpenAI's dialect.
pub async fn handle(pipeline: &Pipeline, mut head: Parts) -> Response<Body> {
    let record = Record {
        request_id: respond::request_id(&head.headers).into(),
        endpoint: PATH.into(),
        stream: true,
        ..Record::default()
    };
    let deps = &pipeline.deps;
    let ending = Ending::open((&deps.metrics, &deps.log), OPERATION, record);
    let mut session = Session::new(ending, &deps.ledger);
    let client = head.extensions.remove::<OnUpgrade>();
    match open(pipeline, &head, &mut session).await {
        Ok((asked, response)) => switch(pipeline, (&asked, client), response, session),
        Err(rejection) => {
            let dialect = Dialect::OpenAi;
            session.rejected(&rejection, rejection.error.status_for(dialect).as_u16());
            respond::reject(dialect, &rejection, session.record())
        }
    }
}

/// Identify, select, admit, and the handshake with a provider.
async fn open(
    pipeline: &Pipeline,
    head: &Parts,
    session: &mut Session,
) -> Result<(Asked, Response<UpstreamBody>), Rejection> {
    let deps = &pipeline.deps;
    refuse_before_live(&deps.published)?;
    let snapshot = deps.published.load_full();
    let credentials = handshake::credentials(&head.headers);
    let consumer = identify(&snapshot.consumers, &credentials, head.uri.query(), deps.clock.now())?;
    note_consumer(session.record(), consumer.as_deref());
    if consumer.is_none() && !snapshot.routes.admits_anonymous() {
        return Err(key_missing());
    }
    let asked = handshake::read(head)?;
    // A request for the model, by which a route is found and a response bounded.
    let body = serde_json::json!({ "model": asked.model }).to_string();
    let mut peek = peek(&Endpoint::ChatCompletions.into(), body.as_bytes())?;
    peek.user = named_user(&head.headers);
    session.record().model_asked.clone_from(&peek.model);
    session.record().user = peek.user.clone().unwrap_or_default();
    let mut headers = head.headers.clone();
    withhold_keys(&mut headers, &snapshot.consumers);
    let wanted = route::Asked {
        model: &peek.model,
        consumer: consumer.as_deref(),
        endpoint: Endpoint::ChatCompletions,
        hostname: &hostname(head.uri.authority(), &head.headers),
        headers: &headers,
        body: body.as_bytes(),
        stream: true,
        input_tokens: 0,
        max_output_tokens: None,
        user: peek.user.as_deref(),
        now: deps.clock.now(),
    };
    let Choice { route, rule, mut candidates, .. } = select(&snapshot, &wanted, session.record())?;
    candidates.retain(can_serve);
    if candidates.is_empty() {
        let message = format!("no target of route {} has realtime sessions", route.name);
        let (status, kind) = (StatusCode::BAD_REQUEST, ErrorKind::InvalidRequest);
        return Err(Rejection::refuse(status, kind, "unsupported_endpoint", message));
    }
    leave_out_unpriced(&mut candidates, &route, consumer.as_deref())?;
    let may_last = deps.limits.realtime_total;
    let mut wish = Wish::default();
    if candidates.len() > 1 {
        let consumer = consumer.as_deref();
        let source = Source { consumer, headers: &headers, peek: &peek, body: body.as_bytes() };
        wish.session = sessions::session(&route.session, &source);
    }
    let by = Admissible { route, rule, consumer, headers, peek, candidates, wish, may_last };
    session.admit(by).map_err(|refusal| {
        deps.metrics.count_refusal(&refusal.budget, &refusal.limit);
        exceeded(&refusal)
    })?;
    drop(snapshot);
    let response = attempt(pipeline, &asked, session).await.map_err(Failure::into_rejection)?;
    Ok((asked, response))
}

/// Sessions are OpenAI's; the mock has none.
fn can_serve(candidate: &Candidate) -> bool {
    let provider = &candidate.target.provider;
    let dialects = provider.dialects(&candidate.model);
    // Who signs has no sessions of this kind.
    dialects.contains(&Dialect::OpenAi)
        && provider.endpoint != snapshot::Endpoint::Mock
        && !provider.identity.as_ref().is_some_and(|identity| identity.signs())
}

/// Tries targets until one opens a session: nothing has been said yet, so that any may.
async fn attempt(
    pipeline: &Pipeline,
    asked: &Asked,
    session: &mut Session,
) -> Result<Response<UpstreamBody>, Failure> {
    let Some(by) = session.admitted() else { return Err(Failure::no_target()) };
    let fallback = by.route.fallback;
    let (route, rule) = (Arc::clone(&by.route), Arc::clone(&by.rule));
    let now = || Instant::now().into_std();
    let mut order = pipeline.selector.order((&route, &rule), &by.candidates, &by.wish, now());
    let mut first: Option<Failure> = None;
    while let Some(Turn { index, mut flight, .. }) = order.next(now()) {
        session.serve(index);
        let Some((by, candidate)) =
            session.admitted().and_then(|by| Some((by, by.candidates.get(index)?)))
        else {
            continue;
        };
        let started = Instant::now();
        let opened = once(pipeline, (asked, by), candidate).await;
        let end = |failure: &Failure| failure.end(&candidate.target.provider, started.elapsed());
        let end = opened.as_ref().err().map(end);
        let target = Arc::clone(&candidate.target.name);
        let reason = opened.as_ref().err().map_or("ok".into(), Failure::summary);
        session.attempted(AttemptRecord { target, reason, duration: started.elapsed() });
        match opened {
            Ok(response) => {
                flight.first_content(now());
                session.hold(flight);
                return Ok(response);
            }
            Err(failure) => {
                flight.end(end.unwrap_or(End::Unjudged), now());
                if !failure.falls_back(&fallback) {
                    return Err(failure);
                }
                first = first.or(Some(failure));
            }
        }
    }
    Err(first.unwrap_or_else(|| match order.full() {
        Some(full) => Failure::account_limit(full.retry_after),
        None => Failure::no_target(),
    }))
}

async fn once(
    pipeline: &Pipeline,
    (asked, by): (&Asked, &Admissible),
    candidate: &Candidate,
) -> Result<Response<UpstreamBody>, Failure> {
    let (target, provider) = (&candidate.target, &candidate.target.provider);
    let now = Instant::now();
    if provider.is_passthrough() && own_credential(&by.headers).is_none() {
        return Err(Failure::no_own_credential());
    }
    let wanted = Wanted { model: &candidate.model, ..Wanted::default() };
    let key = pipeline.keys.choose(provider, wanted, now);
    let key = key.map_err(|_| Failure::exhausted(target, false))?;
    let key = key.and_then(|key| provider.credentials.get(key));
    let snapshot::Endpoint::Http { scheme, authority, base_path } = &provider.endpoint else {
        return Err(Failure::no_target());
    };
    let uri = http::Uri::builder()
        .scheme(scheme.clone())
        .authority(authority.clone())
        .path_and_query(handshake::path(&provider.addressing, base_path, (asked, &candidate.model)))
        .build()
        .map_err(|error| Failure::malformed(target, error.to_string()))?;
    let mut request = Request::new(Full::<bytes::Bytes>::default());
    *request.uri_mut() = uri;
    *request.headers_mut() = handshake::request(&by.headers, asked, (provider, key));
    let sent = async {
        if let Some(identity) = &provider.identity {
            pipeline.credentials.authorize(identity, &mut request, &[]).await?;
        }
        let quotable = Quotable::of(request.headers());
        let response = pipeline.upstreams.upgrade(&**provider, request).await?;
        Ok((response, quotable))
    };
    let sent = timeout(by.route.timeouts.first_token, sent).await;
    let (response, quotable) = sent
        .map_err(|_| Failure::late(target, false))?
        .map_err(|error| Failure::unsent(target, &error))?;
    if response.status() == StatusCode::SWITCHING_PROTOCOLS {
        return Ok(response);
    }
    let failure = error_answer(candidate, response, now + by.route.timeouts.first_token).await;
    if let (Reason::Status(401), Some(key)) = (failure.reason, key) {
        pipeline.keys.refuse(provider, key, Instant::now());
    }
    if let (Reason::Status(status), Some(identity)) = (failure.reason, &provider.identity)
        && identity.is_doubted_by(status)
    {
        pipeline.credentials.refused(identity);
    }
    Err(failure.without(&quotable))
}

/// Answers 101, and leaves the connection to the session.
fn switch(
    pipeline: &Pipeline,
    (asked, client): (&Asked, Option<OnUpgrade>),
    mut response: Response<UpstreamBody>,
    mut session: Session,
) -> Response<Body> {
    let mut headers = handshake::response(response.headers(), asked);
    respond::describe(&mut headers, session.record());
    let limits = &pipeline.deps.limits;
    let deadline = session.started() + limits.realtime_total;
    let pace = Pace { idle: limits.realtime_idle, deadline, drain: pipeline.deps.drain.clone() };
    let guard = Guard::new([asked.model.as_str().into(), session.model()]);
    let upstream = hyper::upgrade::on(&mut response);
    let answer = response.into_body();
    let run = async move {
        // Its backend is busy with it for as long as the session.
        let _answer = answer;
        let Some(client) = client else { return };
        // Without both there is no session: dropping it settles it.
        let (Ok(client), Ok(upstream)) = tokio::join!(client, upstream) else { return };
        let sockets = (TokioIo::new(client), TokioIo::new(upstream));
        Relay::new(sockets, (session, guard), pace).run().await;
    };
    let mut response = Response::new(Body::whole(bytes::Bytes::new()));
    *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    *response.headers_mut() = headers;
    response.extensions_mut().insert(Takeover::new(run));
    response
}
