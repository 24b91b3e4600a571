//! The admin port: health, readiness, metrics, what was used, and the configuration dump.
//!
//! A separate listener, so that it can stay on loopback while the data port is public. It reads and
//! never changes anything.

mod config_dump;
mod targets;
mod usage;

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use bytes::Bytes;
use http::{Method, Request, Response, StatusCode, header};
use http_body_util::Full;
use jiff::Timestamp;
use prometheus::{Registry, TextEncoder};

use crate::{
    proxy::{Pipeline, server::DrainSignal},
    snapshot::{Provider, Published, SecretString},
    source::Current,
    usage::Rollup,
};

/// What the admin port reports on.
#[derive(Debug)]
pub struct Admin {
    /// The configuration in use.
    pub published: Arc<Published>,
    /// Whether the source has been read once.
    pub current: Arc<Current>,
    /// Whether the first snapshot is live.
    pub live: Arc<AtomicBool>,
    /// Whether the process is on its way out.
    pub drain: DrainSignal,
    /// All metrics.
    pub registry: Registry,
    /// What serves requests, and knows how targets do.
    pub pipeline: Option<Arc<Pipeline>>,
    /// What requests have used.
    pub usage: Arc<Rollup>,
    /// The name of this replica.
    pub replica: String,
    /// Token for `/debug/` and `/api/`.
    pub token: Option<SecretString>,
}

impl Admin {
    /// Answers one request.
    pub fn respond<B>(&self, request: &Request<B>, peer: SocketAddr) -> Response<Full<Bytes>> {
        if !matches!(*request.method(), Method::GET | Method::HEAD) {
            let mut response = text(StatusCode::METHOD_NOT_ALLOWED, "use GET\n");
            response
                .headers_mut()
                .insert(header::ALLOW, header::HeaderValue::from_static("GET, HEAD"));
            return response;
        }
        match request.uri().path() {
            "/healthz" => text(StatusCode::OK, "ok\n"),
            "/readyz" => self.ready(),
            "/metrics" => self.metrics(),
            "/debug/config" if self.may_debug(request, peer) => self.config(),
            "/api/targets" if self.may_debug(request, peer) => self.targets(),
            "/api/usage" if self.may_debug(request, peer) => self.usage(request),
            "/debug/config" | "/api/targets" | "/api/usage" => text(
                StatusCode::FORBIDDEN,
                "the configuration is shown on loopback, or to callers with the token of \
                 admin.tokenFile (Authorization: Bearer)\n",
            ),
            _ => text(
                StatusCode::NOT_FOUND,
                "here are /healthz, /readyz, /metrics, /api/targets, /api/usage and /debug/config\n",
            ),
        }
    }

    fn ready(&self) -> Response<Full<Bytes>> {
        let reason = if self.drain.is_draining() {
            "shutting down\n"
        } else if !self.current.is_synced() {
            "objects have not been read yet\n"
        } else if !self.live.load(Ordering::Relaxed) {
            "the first configuration is not live yet\n"
        } else {
            return text(StatusCode::OK, "ok\n");
        };
        text(StatusCode::SERVICE_UNAVAILABLE, reason)
    }

    fn metrics(&self) -> Response<Full<Bytes>> {
        match TextEncoder::new().encode_to_string(&self.registry.gather()) {
            Ok(body) => respond(StatusCode::OK, prometheus::TEXT_FORMAT, body),
            Err(error) => text(StatusCode::INTERNAL_SERVER_ERROR, &format!("{error}\n")),
        }
    }

    fn config(&self) -> Response<Full<Bytes>> {
        let dump = config_dump::dump(&self.published.load());
        respond(StatusCode::OK, "application/json", format!("{dump:#}\n"))
    }

    fn targets(&self) -> Response<Full<Bytes>> {
        let Some(pipeline) = &self.pipeline else {
            return text(StatusCode::NOT_FOUND, "this process serves no requests\n");
        };
        let backends = |provider: &Provider| pipeline.backends(provider);
        let list = targets::list(&self.published.load_full(), pipeline.targets(), backends);
        respond(StatusCode::OK, "application/json", format!("{list:#}\n"))
    }

    fn usage<B>(&self, request: &Request<B>) -> Response<Full<Bytes>> {
        let query = request.uri().query().unwrap_or_default();
        match usage::answer((&self.usage, &self.replica), query, Timestamp::now()) {
            (StatusCode::OK, json) => respond(StatusCode::OK, "application/json", json),
            (status, message) => text(status, &message),
        }
    }

    /// Loopback callers may; others need the token.
    fn may_debug<B>(&self, request: &Request<B>, peer: SocketAddr) -> bool {
        let Some(token) = &self.token else { return peer.ip().is_loopback() };
        let given = request.headers().get(header::AUTHORIZATION);
        given
            .and_then(|value| value.as_bytes().strip_prefix(b"Bearer "))
            .is_some_and(|given| same(given, token.expose().as_bytes()))
    }
}

/// Compares digests, so that the time taken tells nothing of the token.
fn same(a: &[u8], b: &[u8]) -> bool {
    use crate::snapshot::KeyDigest;
    KeyDigest::of(a) == KeyDigest::of(b)
}

fn text(status: StatusCode, body: &str) -> Response<Full<Bytes>> {
    respond(status, "text/plain; charset=utf-8", body.to_owned())
}

fn respond(status: StatusCode, content_type: &'static str, body: String) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from(body)));
    *response.status_mut() = status;
    let content_type = header::HeaderValue::from_static(content_type);
    response.headers_mut().insert(header::CONTENT_TYPE, content_type);
    response
}

#[cfg(test)]
mod tests;
