//! Direct calls: `/providers/{namespace}/{name}/...`, any endpoint of a provider that its AIProvider
//! grants and no route serves. Bytes pass both ways as they come, but for a body that must be signed,
//! which is read before; only the credential, some headers and addresses change. There is one try, for
//! a body that has passed cannot be sent again.

mod admit;
mod download;
mod headers;
mod path;
mod send;
mod settle;
mod upload;

use std::{sync::Arc, time::Duration};

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, Method, Response, StatusCode, header, request::Parts};
use tokio::time::{Instant, timeout_at};

use crate::{
    llm::{ApiError, Dialect, ErrorKind, Meter, decode_error},
    route::named_user,
    snapshot::{Consumer, Direct, ObjectName, Provider},
    telemetry::Record,
};

use super::{
    Body, Pipeline,
    admit::exceeded,
    attempt::{Failure, upstream_id},
    ending::Ending,
    identify::{identify, key_missing, withhold_keys},
    parse::Unread,
    pipeline::note_consumer,
    quotable::Quotable,
    respond::{self, Rejection},
    routing::refuse_before_live,
    upstream::UpstreamBody,
};

use admit::{Asked, admit, refuse_unmetered};
pub use download::Download;
use download::Pace;
use path::DirectPath;
pub use path::PREFIX;
use send::{exchange, sending};
use settle::Settlement;

/// The operation's name in metrics.
const OPERATION: &str = "direct";
/// Methods that are passed on: the others change the connection, or repeat headers to whoever asks.
const METHODS: [Method; 7] = [
    Method::GET,
    Method::HEAD,
    Method::POST,
    Method::PUT,
    Method::PATCH,
    Method::DELETE,
    Method::OPTIONS,
];
/// How long a reservation outlives the time that its call may take.
const GRACE: Duration = Duration::from_secs(30);
/// Bytes of an error answer that are read, to take quoted keys out of it.
const MAX_ERROR: usize = 64 << 10;
/// How long an error answer may take to come.
const ERROR_PATIENCE: Duration = Duration::from_secs(5);

/// A call that is admitted.
struct Call {
    head: Parts,
    provider: Arc<Provider>,
    /// Path and query at the provider.
    path: String,
    /// What stands before the provider's paths here.
    prefix: String,
    deadline: Instant,
}

/// Answers a direct call. It never fails: errors are answers in the provider's dialect.
pub async fn handle<B>(pipeline: &Pipeline, mut head: Parts, body: B) -> Response<Body>
where
    B: http_body::Body<Data = Bytes> + Send + Unpin + 'static,
{
    let record = Record {
        request_id: respond::request_id(&head.headers).into(),
        endpoint: PREFIX.trim_end_matches('/').into(),
        ..Record::default()
    };
    let deps = &pipeline.deps;
    let ending = Ending::open((&deps.metrics, &deps.log), OPERATION, record);
    let mut settlement = Settlement::new(ending);
    let unread = Unread::new(&head.headers, body);
    let granted = match grant(pipeline, &mut head, &mut settlement) {
        Ok(granted) => granted,
        Err(rejection) => {
            let response = reject(Dialect::OpenAi, &rejection, settlement);
            unread.discard().await;
            return response;
        }
    };
    let dialect = granted.direct.provider.main_dialect();
    let call = match prepare(pipeline, head, granted, &mut settlement) {
        Ok(call) => call,
        Err(rejection) => {
            let response = reject(dialect, &rejection, settlement);
            unread.discard().await;
            return response;
        }
    };
    let sending = match sending(&call, unread, &deps.limits).await {
        Ok(sending) => sending,
        Err(rejection) => return reject(dialect, &rejection, settlement),
    };
    match exchange(pipeline, &call, sending, &mut settlement).await {
        Ok(answered) => deliver(pipeline, &call, answered, settlement).await,
        Err(rejection) => reject(dialect, &rejection, settlement),
    }
}

fn reject(dialect: Dialect, rejection: &Rejection, mut settlement: Settlement) -> Response<Body> {
    settlement.rejected(rejection, rejection.error.status_for(dialect).as_u16());
    respond::reject(dialect, rejection, settlement.record())
}

/// A caller and what it may use.
struct Granted {
    direct: Arc<Direct>,
    consumer: Arc<Consumer>,
}

/// Finds the caller and its grant.
fn grant(
    pipeline: &Pipeline,
    head: &mut Parts,
    settlement: &mut Settlement,
) -> Result<Granted, Rejection> {
    let deps = &pipeline.deps;
    refuse_before_live(&deps.published)?;
    let snapshot = deps.published.load_full();
    let consumer =
        identify(&snapshot.consumers, &head.headers, head.uri.query(), deps.clock.now())?;
    note_consumer(settlement.record(), consumer.as_deref());
    let consumer = consumer.ok_or_else(key_missing)?;
    withhold_keys(&mut head.headers, &snapshot.consumers);
    let DirectPath { namespace, name, .. } = DirectPath::split(head.uri.path());
    let found = snapshot.direct.get(&ObjectName::new(namespace, name));
    match found.filter(|direct| direct.access.admits(Some(&consumer))) {
        Some(direct) => Ok(Granted { direct: Arc::clone(direct), consumer }),
        // The same for a provider that does not exist and for one that this caller may not use.
        None => Err(Rejection::refuse(
            StatusCode::NOT_FOUND,
            ErrorKind::NotFound,
            "provider_not_found",
            "there is no such provider that this API key may use directly: spec.directAccess of an \
             AIProvider says who may",
        )),
    }
}

/// Checks the path, and reserves.
fn prepare(
    pipeline: &Pipeline,
    head: Parts,
    granted: Granted,
    settlement: &mut Settlement,
) -> Result<Call, Rejection> {
    let Granted { direct, consumer } = granted;
    let provider = &direct.provider;
    let prefix = format!("{PREFIX}{}", provider.name);
    let asked = DirectPath::split(head.uri.path());
    if !METHODS.contains(&head.method) {
        let message = "this method is not passed on to providers";
        let (status, kind) = (StatusCode::METHOD_NOT_ALLOWED, ErrorKind::InvalidRequest);
        return Err(Rejection::refuse(status, kind, "method_not_allowed", message));
    }
    asked.check()?;
    let Some(covering) = direct.covering(asked.rest).filter(|_| !asked.calls_model()) else {
        return Err(not_granted(&direct, &asked));
    };
    settlement.record().endpoint = format!("{prefix}{covering}").into();
    let user = named_user(&head.headers).unwrap_or_default();
    settlement.record().user.clone_from(&user);
    let limits = &pipeline.deps.limits;
    let asking = Asked {
        direct: &direct,
        consumer: &consumer,
        headers: &head.headers,
        user: &user,
        starts_work: asked.may_start_work(&head.method),
        time_to_live: limits.direct_total.saturating_add(GRACE),
    };
    refuse_unmetered(&asking)?;
    let held = admit(&pipeline.deps.ledger, &asking).map_err(|refusal| {
        pipeline.deps.metrics.count_refusal(&refusal.budget, &refusal.limit);
        exceeded(&refusal)
    })?;
    settlement.hold(provider, held, asking.starts_work);
    if !provider.limits.is_unlimited() {
        let now = Instant::now().into_std();
        let account = pipeline.selector.targets.account(&provider.uid, now);
        let place = account.take(&provider.limits, 0, now);
        let place = place.map_err(|full| Failure::account_limit(full.retry_after));
        settlement.take(place.map_err(Failure::into_rejection)?);
    }
    let query = head.uri.query().map(path::query).filter(|query| !query.is_empty());
    let query = query.map(|query| format!("?{query}")).unwrap_or_default();
    let path = format!("{}{query}", asked.rest);
    let (deadline, provider) = (settlement.started() + limits.direct_total, Arc::clone(provider));
    Ok(Call { head, provider, path, prefix, deadline })
}

fn not_granted(direct: &Direct, asked: &DirectPath<'_>) -> Rejection {
    let message = match asked.calls_model() {
        true => "this endpoint calls a model, which is done through an AIRoute: send it to the \
                 gateway's own endpoint of that name"
            .to_owned(),
        false => format!(
            "AIProvider {} does not grant this path directly: its spec.directAccess.paths has {}",
            direct.provider.name,
            direct.paths.join(", ")
        ),
    };
    let (status, kind) = (StatusCode::FORBIDDEN, ErrorKind::Permission);
    Rejection::refuse(status, kind, "path_not_granted", message)
}

/// Hands the answer to the server.
async fn deliver(
    pipeline: &Pipeline,
    call: &Call,
    (response, quotable): (Response<UpstreamBody>, Quotable),
    mut settlement: Settlement,
) -> Response<Body> {
    let (head, mut upstream) = response.into_parts();
    let (provider, status) = (&call.provider, head.status);
    let doubted = provider.identity.as_ref().filter(|it| it.is_doubted_by(status.as_u16()));
    if let Some(identity) = doubted {
        pipeline.credentials.refused(identity);
    }
    // The caller's key was right: a 401, and of AWS a 403 that tells whose identity it is, is about
    // the gateway's. 1xx is no answer.
    let is_refusal = status == StatusCode::UNAUTHORIZED || doubted.is_some();
    if (is_refusal && !provider.is_passthrough()) || status.is_informational() {
        let dialect = provider.main_dialect();
        let error = decode_error(dialect, status, &head.headers, b"").shield_credential();
        return reject(dialect, &Rejection::fail(error, None), settlement);
    }
    let is_error = status.is_client_error() || status.is_server_error();
    if is_error && !is_plain(&head.headers) {
        return reject(provider.main_dialect(), &unreadable(status), settlement);
    }
    settlement.answered(status.as_u16());
    let mut headers = headers::response(&head.headers, provider, &call.prefix);
    if let Some(id) = upstream_id(&head.headers) {
        headers.insert(respond::X_UPSTREAM_REQUEST_ID, id);
    }
    respond::describe(&mut headers, settlement.record());
    let body = if is_error {
        headers.remove(header::CONTENT_LENGTH);
        let text = error_text(&mut upstream, &quotable).await;
        settlement.complete();
        Body::whole(text)
    } else if call.head.method == Method::HEAD {
        settlement.complete();
        Body::whole(Bytes::new())
    } else {
        let deps = &pipeline.deps;
        let (idle, deadline) = (deps.limits.direct_idle, call.deadline);
        let pace = Pace { idle, deadline, expired: deps.drain.expired() };
        let meter = meter(&head.headers);
        Body::download(Download::new(upstream, meter, pace, settlement))
    };
    let mut response = Response::new(body);
    *response.status_mut() = status;
    *response.headers_mut() = headers;
    response
}

fn meter(headers: &HeaderMap) -> Meter {
    let media_type = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    Meter::new(media_type.filter(|_| is_plain(headers)).unwrap_or_default())
}

/// Whether a body is not encoded, as it was asked for.
fn is_plain(headers: &HeaderMap) -> bool {
    let mut encodings = headers.get_all(header::CONTENT_ENCODING).iter();
    encodings.all(|encoding| encoding.as_bytes().eq_ignore_ascii_case(b"identity"))
}

/// Instead of an error answer in which a key could not be found.
fn unreadable(status: StatusCode) -> Rejection {
    let message = format!(
        "the provider answered {} in an encoding that it was not asked for",
        status.as_u16()
    );
    let (status, kind) = (StatusCode::BAD_GATEWAY, ErrorKind::Upstream);
    Rejection::fail(ApiError::new(status, kind, "upstream_encoded", message), None)
}

/// An error answer's body, without a credential should it quote one; bounded.
async fn error_text(upstream: &mut UpstreamBody, quotable: &Quotable) -> Bytes {
    let by = Instant::now() + ERROR_PATIENCE;
    let mut text = BytesMut::new();
    while text.len() < MAX_ERROR
        && let Ok(Some(Ok(data))) = timeout_at(by, upstream.data()).await
    {
        text.extend_from_slice(&data);
    }
    text.truncate(MAX_ERROR);
    quotable.mask_bytes(text.freeze())
}
