//! The connections to one name or address: which are idle, which HTTP they speak, and who makes the
//! first one.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use http::{
    HeaderValue, Request, Response, Uri, header,
    uri::{Authority, PathAndQuery, Scheme},
};
use parking_lot::Mutex;
use tokio::{
    sync::Mutex as Turn,
    time::{Instant, timeout_at},
};

use super::{
    Outgoing, SendError,
    body::{Driven, Source},
    connect::{Connector, Http, Place},
    connection::{self, Claimed, Http1, Http2, Unanswered},
};

/// Idle connections kept for each address.
const IDLE_CONNECTIONS: usize = 1024;
/// How long one may be idle.
const IDLE_TIME: Duration = Duration::from_secs(90);
/// How long a request waits for a connection that another one makes, and that both may share, before
/// it makes its own.
const TURN: Duration = Duration::from_millis(500);
/// How often a request is sent again that a provider says it has not touched: one that is restarting
/// or full for a moment does so once.
const RESENDS: usize = 2;

/// One scheme and authority, and one of the addresses behind it if it is not looked up.
pub struct Host {
    scheme: Scheme,
    authority: Authority,
    address: Option<SocketAddr>,
    /// Whether connections are no longer kept.
    is_retired: AtomicBool,
    /// The `Host` header of HTTP/1.1.
    header: HeaderValue,
    /// The last used at the end: what nobody needs gets old.
    idle: Mutex<Vec<Idle>>,
    spoken: Mutex<Spoken>,
    /// Held by who connects while it is not known whether the connection can be shared.
    turn: Turn<()>,
}

struct Idle {
    connection: Box<Http1>,
    since: Instant,
}

/// What the address was last found to speak.
enum Spoken {
    Unknown,
    Http1,
    /// The connections, at least one. The first with room is used: what nobody needs gets old.
    Http2(Vec<Shared>),
}

struct Shared {
    connection: Http2,
    /// When it was last used.
    since: Instant,
}

impl Spoken {
    /// Lets go of HTTP/2 connections that are not to be `kept`.
    fn retain(&mut self, kept: impl Fn(&Shared) -> bool) {
        if let Self::Http2(connections) = self {
            connections.retain(kept);
            if connections.is_empty() {
                *self = Self::Unknown;
            }
        }
    }

    fn add(&mut self, connection: Http2) {
        let shared = Shared { connection, since: Instant::now() };
        match self {
            Self::Http2(connections) => connections.push(shared),
            Self::Unknown | Self::Http1 => *self = Self::Http2(vec![shared]),
        }
    }
}

enum Connection {
    Http1(Box<Http1>),
    Http2(Claimed),
}

impl Host {
    /// No connection yet.
    ///
    /// # Errors
    /// [`SendError::Connect`] where the authority cannot be a header.
    pub fn new(
        scheme: Scheme,
        authority: Authority,
        address: Option<SocketAddr>,
    ) -> Result<Self, SendError> {
        let named = host_header(&scheme, &authority);
        let header =
            HeaderValue::from_str(&named).map_err(|error| SendError::Connect(error.to_string()))?;
        // HTTP/2 has it as `:authority`, which must not hold a user (RFC 9113, 8.3.1).
        let authority =
            Authority::try_from(named).map_err(|error| SendError::Connect(error.to_string()))?;
        let spoken = if scheme == Scheme::HTTPS { Spoken::Unknown } else { Spoken::Http1 };
        let (idle, spoken) = (Mutex::default(), Mutex::new(spoken));
        let (is_retired, turn) = (AtomicBool::new(false), Turn::default());
        Ok(Self { scheme, authority, address, is_retired, header, idle, spoken, turn })
    }

    /// Sends a request on an idle connection, or on a new one. What was not sent because an idle one
    /// had ended is sent on another.
    ///
    /// # Errors
    /// [`Unanswered`].
    pub async fn send(
        self: &Arc<Self>,
        connector: &Connector,
        connect_timeout: Duration,
        mut request: Box<Request<Outgoing>>,
    ) -> Result<Response<Source>, Unanswered> {
        let path = request.uri().path_and_query().cloned();
        let path = path.unwrap_or_else(|| PathAndQuery::from_static("/"));
        let mut resends = 0;
        loop {
            let (connection, is_reused) = match self.take() {
                Some(connection) => (connection, true),
                // Boxed: few requests need the room.
                None => match Box::pin(self.connect(connector, connect_timeout)).await {
                    Ok(made) => made,
                    Err(error) => return Err(Unanswered::Unsent(request, error)),
                },
            };
            match self.exchange(connection, &path, request).await {
                Err(Unanswered::Unsent(unsent, _)) if is_reused => request = unsent,
                Err(Unanswered::Untouched(untouched, _)) if resends < RESENDS => {
                    request = untouched;
                    resends += 1;
                }
                answer => return answer,
            }
        }
    }

    /// Sends a request on a connection of its own, which the answer may turn into something else.
    ///
    /// # Errors
    /// [`Unanswered`].
    pub async fn upgrade(
        &self,
        connector: &Connector,
        connect_timeout: Duration,
        mut request: Box<Request<Outgoing>>,
    ) -> Result<Response<Source>, Unanswered> {
        let place = Place { uri: request.uri(), address: self.address };
        let made = match connector.connect(place, Http::One, connect_timeout).await {
            Ok(made) => made,
            Err(error) => return Err(Unanswered::Unsent(request, error)),
        };
        let path = request.uri().path_and_query().cloned();
        self.address(&mut request, path.unwrap_or_else(|| PathAndQuery::from_static("/")));
        let response = connection::exchange_once(made.io, request).await;
        response.map(|response| response.map(Source::Task)).map_err(Unanswered::Lost)
    }

    async fn exchange(
        self: &Arc<Self>,
        connection: Connection,
        path: &PathAndQuery,
        mut request: Box<Request<Outgoing>>,
    ) -> Result<Response<Source>, Unanswered> {
        match connection {
            Connection::Http1(mut connection) => {
                self.address(&mut request, path.clone());
                let is_upload = matches!(request.body(), Outgoing::Stream(_));
                let response = connection.exchange(request).await?;
                let host = Arc::clone(self);
                if is_upload {
                    // The rest of it goes on its way even while nobody reads the answer.
                    tokio::spawn(async move {
                        connection.finish().await;
                        host.give_back(connection);
                    });
                    return Ok(response.map(Source::Task));
                }
                Ok(response.map(|body| Source::Http1(Driven::new(body, connection, host))))
            }
            Connection::Http2(claimed) => {
                *request.uri_mut() = self.uri(path.clone());
                // Boxed: requests by HTTP/1.1 need not make room for it.
                let (response, claim) = Box::pin(claimed.exchange(request)).await?;
                Ok(response.map(|body| Source::Http2 { body, _claim: claim }))
            }
        }
    }

    /// Origin form, as HTTP/1.1 wants it (RFC 9112 3.2.1).
    fn address(&self, request: &mut Request<Outgoing>, path: PathAndQuery) {
        *request.uri_mut() = Uri::from(path);
        request.headers_mut().entry(header::HOST).or_insert_with(|| self.header.clone());
    }

    /// Absolute form, from which HTTP/2's pseudo-headers are made.
    fn uri(&self, path: PathAndQuery) -> Uri {
        let mut parts = Uri::from(path).into_parts();
        parts.scheme = Some(self.scheme.clone());
        parts.authority = Some(self.authority.clone());
        Uri::from_parts(parts).unwrap_or_default()
    }

    /// A connection that waits for a request.
    fn take(&self) -> Option<Connection> {
        if let Spoken::Http2(connections) = &mut *self.spoken.lock() {
            for shared in connections {
                if let Some(claimed) = shared.connection.claim() {
                    shared.since = Instant::now();
                    return Some(Connection::Http2(claimed));
                }
            }
        }
        let idle = self.idle.lock().pop()?;
        Some(Connection::Http1(idle.connection))
    }

    /// Keeps a connection for the next request, unless it has ended or has not finished.
    pub fn give_back(&self, mut connection: Box<Http1>) {
        if connection.is_idle() && !self.is_retired.load(Ordering::Relaxed) {
            let mut idle = self.idle.lock();
            if idle.len() < IDLE_CONNECTIONS {
                idle.push(Idle { connection, since: Instant::now() });
            }
        }
    }

    /// A new connection; or one that somebody else made meanwhile, and whether it is.
    async fn connect(
        &self,
        connector: &Connector,
        within: Duration,
    ) -> Result<(Connection, bool), SendError> {
        let by = Instant::now() + within;
        let _turn = match self.speaks_http1() {
            true => None,
            // One attempt that hangs must not take the others with it; and where meanwhile nothing
            // was found that can be shared, all go at once.
            false => {
                let turn = timeout_at(by.min(Instant::now() + TURN), self.turn.lock()).await;
                turn.ok().filter(|_| !self.speaks_http1())
            }
        };
        if let Some(connection) = self.take() {
            return Ok((connection, true));
        }
        let uri = self.uri(PathAndQuery::from_static("/"));
        let left = by.saturating_duration_since(Instant::now());
        let place = Place { uri: &uri, address: self.address };
        let made = connector.connect(place, Http::Any, left).await?;
        let connection = if made.is_http2 {
            let shared = Http2::handshake(made.io).await?;
            let claimed = shared.claim().ok_or_else(SendError::ended)?;
            self.spoken.lock().add(shared);
            Connection::Http2(claimed)
        } else {
            *self.spoken.lock() = Spoken::Http1;
            Connection::Http1(Box::new(Http1::handshake(made.io).await?))
        };
        Ok((connection, false))
    }

    fn speaks_http1(&self) -> bool {
        matches!(*self.spoken.lock(), Spoken::Http1)
    }

    /// Closes what at `now` was idle for too long or has ended. Whether anything is left.
    pub fn sweep(&self, now: Instant) -> bool {
        self.spoken.lock().retain(|shared| {
            let is_used = !shared.connection.is_idle() || now < shared.since + IDLE_TIME;
            is_used && !shared.connection.is_closed()
        });
        let is_gone = |idle: &mut Idle| now >= idle.since + IDLE_TIME || !idle.connection.is_idle();
        let gone: Vec<_> = self.idle.lock().extract_if(.., is_gone).collect();
        // Requests need not wait for it.
        drop(gone);
        self.has_any()
    }

    /// Closes what is idle, and from now on keeps nothing. What is under way goes on.
    pub fn retire(&self) {
        self.is_retired.store(true, Ordering::Relaxed);
        self.spoken.lock().retain(|_| false);
        let idle = std::mem::take(&mut *self.idle.lock());
        drop(idle);
    }

    /// Whether it has any connection for a next request.
    pub fn has_any(&self) -> bool {
        matches!(*self.spoken.lock(), Spoken::Http2(_)) || !self.idle.lock().is_empty()
    }
}

/// Without a user, and without the port that the scheme implies.
pub fn host_header(scheme: &Scheme, authority: &Authority) -> String {
    let implied = if *scheme == Scheme::HTTPS { 443 } else { 80 };
    match authority.port_u16() {
        Some(port) if port != implied => format!("{}:{port}", authority.host()),
        _ => authority.host().to_owned(),
    }
}
