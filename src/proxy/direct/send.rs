//! A direct call on its way: its body, read before where it must be signed, its credential, and the
//! wait for the head of the answer. There is one try.

use std::sync::Arc;

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::Full;
use tokio::time::{Instant, sleep_until};

use crate::{
    llm::{ApiError, ErrorKind},
    snapshot::Endpoint,
    telemetry::AttemptRecord,
};

use super::{
    super::{
        Limits, Pipeline,
        body::shutting_down,
        identify::{own_credential, own_credential_missing},
        keys::Wanted,
        parse::{Unread, collect},
        quotable::Quotable,
        respond::Rejection,
        upstream::{Outgoing, SendError, UpstreamBody},
    },
    Call, headers,
    settle::Settlement,
    upload::{Fault, Progress, Upload},
};

/// What is sent of the caller's body, and how far it is.
pub struct Sending {
    body: Outgoing,
    /// All of it, where it must be signed.
    signed: Bytes,
    progress: Arc<Progress>,
}

/// The body as it will be sent: read before where it must be signed.
pub async fn sending<B>(
    call: &Call,
    mut unread: Unread<B>,
    limits: &Limits,
) -> Result<Sending, Rejection>
where
    B: http_body::Body<Data = Bytes> + Send + Unpin + 'static,
{
    let progress = Progress::new();
    if !call.provider.identity.as_ref().is_some_and(|identity| identity.signs()) {
        let upload = Upload::new(unread.body, Arc::clone(&progress), limits.body_idle);
        return Ok(Sending { body: Outgoing::stream(upload), signed: Bytes::new(), progress });
    }
    let read = collect(&call.head.headers, &mut unread.body, limits).await;
    let signed = match read {
        Ok(signed) => signed,
        Err(rejection) => {
            unread.discard().await;
            return Err(rejection);
        }
    };
    progress.note();
    Ok(Sending { body: Full::new(signed.clone()).into(), signed, progress })
}

/// Sends the request, and waits for the head of its answer; with the credentials that it may quote.
pub async fn exchange(
    pipeline: &Pipeline,
    call: &Call,
    Sending { body, signed, progress }: Sending,
    settlement: &mut Settlement,
) -> Result<(Response<UpstreamBody>, Quotable), Rejection> {
    let limits = &pipeline.deps.limits;
    let mut request = request(pipeline, call, body)?;
    let started = Instant::now();
    let mut sent = std::pin::pin!(async {
        if let Some(identity) = &call.provider.identity {
            pipeline.credentials.authorize(identity, &mut request, &signed).await?;
        }
        let quotable = Quotable::of(request.headers());
        let sent = pipeline.upstreams.send(&*call.provider, request).await;
        sent.map(|response| (response, quotable))
    });
    let result = loop {
        let by = (progress.last() + limits.direct_idle).min(call.deadline);
        tokio::select! {
            biased;
            sent = &mut sent => break sent.map_err(|error| unsent(&error, &progress)),
            () = pipeline.deps.drain.expired() => {
                break Err((Rejection::fail(shutting_down(), None), "shutting_down"));
            }
            // The upload may have gone on meanwhile.
            () = sleep_until(by) => {
                if Instant::now() >= (progress.last() + limits.direct_idle).min(call.deadline) {
                    break Err((late(), "timeout"));
                }
            }
        }
    };
    let reason = match &result {
        Ok((response, _)) if response.status().as_u16() < 400 => "ok".into(),
        Ok((response, _)) => format!("http_{}", response.status().as_u16()).into(),
        Err((_, reason)) => (*reason).into(),
    };
    let (target, duration) = (Arc::clone(&call.provider.name.name), started.elapsed());
    settlement.attempted(AttemptRecord { target, reason, duration });
    result.map_err(|(rejection, _)| rejection)
}

fn request(
    pipeline: &Pipeline,
    call: &Call,
    body: Outgoing,
) -> Result<Request<Outgoing>, Rejection> {
    let provider = &call.provider;
    if provider.is_passthrough() && own_credential(&call.head.headers).is_none() {
        return Err(own_credential_missing());
    }
    let unusable = || {
        let message = "the provider has no address that can be called directly";
        failure(StatusCode::BAD_GATEWAY, "upstream_unreachable", message)
    };
    // What comes of one endpoint says little about a key: none is made to rest by a direct call, or
    // else a caller could take keys away from the routes.
    let key = pipeline.keys.choose(provider, Wanted::default(), Instant::now()).map_err(|_| {
        let message =
            "the provider refuses the gateway's credentials: its owner must check the keys";
        failure(StatusCode::BAD_GATEWAY, "upstream_credentials_exhausted", message)
    })?;
    let key = key.and_then(|key| provider.credentials.get(key));
    let Endpoint::Http { scheme, authority, base_path } = &provider.endpoint else {
        return Err(unusable());
    };
    let uri = http::Uri::builder()
        .scheme(scheme.clone())
        .authority(authority.clone())
        .path_and_query(format!("{base_path}{}", call.path))
        .build()
        .map_err(|_| unusable())?;
    let mut request = Request::new(body);
    *request.method_mut() = call.head.method.clone();
    *request.uri_mut() = uri;
    *request.headers_mut() = headers::request(&call.head.headers, provider, key);
    Ok(request)
}

fn unsent(error: &SendError, progress: &Progress) -> (Rejection, &'static str) {
    let (code, message) = match (progress.fault(), error) {
        (Some(Fault::Gone), _) => return (Rejection::gone(), "client_gone"),
        (Some(Fault::Silent), _) => {
            let message = "nothing more of the request body came: send it again";
            let (status, kind) = (StatusCode::REQUEST_TIMEOUT, ErrorKind::Timeout);
            return (Rejection::refuse(status, kind, "request_timeout", message), "client_silent");
        }
        (None, SendError::Connect(_)) => ("upstream_unreachable", "the provider cannot be reached"),
        (None, SendError::NoEndpoints) => {
            let message = "the provider has no server that is ready at the moment";
            let code = "upstream_no_endpoints";
            return (failure(StatusCode::SERVICE_UNAVAILABLE, code, message), "no_endpoints");
        }
        (None, SendError::Closed(_)) => {
            ("upstream_closed", "the provider closed the connection without an answer")
        }
        (None, SendError::Credentials(_)) => {
            let message = "the gateway got no credentials for the provider: its log says why";
            let code = "upstream_credentials_unavailable";
            return (failure(StatusCode::BAD_GATEWAY, code, message), "credentials_unavailable");
        }
    };
    let word = if code == "upstream_closed" { "closed" } else { "connect" };
    (failure(StatusCode::BAD_GATEWAY, code, message), word)
}

fn late() -> Rejection {
    let message = "the provider did not answer in time";
    failure(StatusCode::GATEWAY_TIMEOUT, "upstream_timeout", message)
}

fn failure(status: StatusCode, code: &'static str, message: &str) -> Rejection {
    let kind = match status {
        StatusCode::GATEWAY_TIMEOUT => ErrorKind::Timeout,
        _ => ErrorKind::Upstream,
    };
    Rejection::fail(ApiError::new(status, kind, code, message), None)
}
