//! Tries upstream: which key, which target next, and when to stop. Everything here happens before a
//! byte of an answer has gone to the caller; afterwards there is no second try.

mod address;
mod answer;
mod count;
mod failure;
mod request;

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue};
use http_body_util::Full;
use tokio::time::{Instant, timeout_at};

use crate::{
    credential::Credentials,
    llm::{
        Dialect, Endpoint, Peek, RequestError, ResponseContext, Rewrite, UpstreamRequest,
        WholeResponse, claude_on_vertex,
    },
    snapshot::{self, Credential, Fidelity, Provider, Route, Rule},
    telemetry::{AttemptRecord, brief},
};

use super::{
    admit,
    body::Opened,
    identify::own_credential,
    keys::KeyPool,
    quotable::Quotable,
    select::{Candidate, Order, Turns},
    settle::Settlement,
    upstream::{SendError, UpstreamBody, Upstreams},
};

pub use answer::{error_answer, upstream_id};
pub use failure::{Failure, Reason};
pub use request::{credential, key_header};

/// A failure later than this is not tried again on the same target: it would double the wait.
const RETRY_WITHIN: Duration = Duration::from_secs(20);
/// Pause before the same target is tried again.
const BACKOFF: Duration = Duration::from_millis(200);

/// A request that is ready to be sent.
pub struct Call {
    /// What the caller called.
    pub endpoint: Endpoint,
    /// The caller's headers.
    pub headers: HeaderMap,
    /// The caller's body.
    pub body: Bytes,
    /// What it asks for.
    pub peek: Peek,
    /// Whether the answer is streamed.
    pub stream: bool,
    /// The route.
    pub route: Arc<Route>,
    /// The rule of it that holds.
    #[expect(dead_code, reason = "what a rule says of the order of its targets comes from here")]
    pub rule: Arc<Rule>,
    /// The targets that may answer.
    pub candidates: Vec<Candidate>,
    /// What answers must carry that a provider may not give.
    pub context: ResponseContext,
    /// When the request must have ended.
    pub deadline: Instant,
}

/// An answer that can be sent to the caller.
pub struct Answer {
    /// The provider's own id of the request.
    pub upstream_id: Option<HeaderValue>,
    /// Parameters that the target could not take.
    pub dropped: Vec<String>,
    /// Its body.
    pub content: Content,
}

/// The body of an answer.
pub enum Content {
    /// Complete.
    Whole(WholeResponse),
    /// Its first content is there.
    Stream(Opened),
}

/// What tries work with.
pub struct Attempts<'a> {
    /// Connections.
    pub upstreams: &'a Upstreams,
    /// Credentials of clouds.
    pub credentials: &'a Credentials,
    /// Keys.
    pub keys: &'a KeyPool,
    /// The request.
    pub call: &'a Call,
    /// Where tries are noted.
    pub settlement: &'a mut Settlement,
}

impl Attempts<'_> {
    /// Tries targets until one answers.
    ///
    /// # Errors
    /// The first target's failure if all failed; a failure that another target would repeat, at once.
    pub async fn run(&mut self, turns: &Turns) -> Result<Answer, Failure> {
        let call = self.call;
        let mut first: Option<Failure> = None;
        for index in Order::new(turns, &call.route.uid, &call.candidates) {
            match self.target(index).await {
                Ok(answer) => return Ok(answer),
                Err(failure) if !failure.reason.falls_back() => return Err(failure),
                Err(failure) => first = first.or(Some(failure)),
            }
            if Instant::now() >= call.deadline {
                break;
            }
        }
        let failure = first.unwrap_or_else(Failure::no_target);
        if call.candidates.len() == 1
            && let Some(pause) = self.pause_before_retry(&failure)
        {
            tokio::time::sleep(pause).await;
            if let Ok(answer) = self.target(0).await {
                return Ok(answer);
            }
        }
        Err(failure)
    }

    /// How long to wait before the only target is tried again; `None` if it is no use.
    fn pause_before_retry(&self, failure: &Failure) -> Option<Duration> {
        if !failure.reason.repeats() {
            return None;
        }
        let pause = BACKOFF.mul_f64(0.8 + 0.4 * fastrand::f64());
        let pause = pause.max(failure.retry_after.unwrap_or_default());
        let left = RETRY_WITHIN.checked_sub(self.settlement.started().elapsed())?;
        (pause <= left && Instant::now() + pause < self.call.deadline).then_some(pause)
    }

    /// Tries one target, with another key as long as the provider refuses keys.
    async fn target(&mut self, index: usize) -> Result<Answer, Failure> {
        let call = self.call;
        let Some(candidate) = call.candidates.get(index) else { return Err(Failure::no_target()) };
        let provider = &candidate.target.provider;
        if candidate.translator.is_local() || cannot_count(call.endpoint, candidate) {
            self.settlement.serve(call.endpoint, &call.route, index, candidate);
            self.settlement.estimate();
            return count::count(call, candidate).await;
        }
        if provider.is_passthrough() && own_credential(&call.headers).is_none() {
            return Err(Failure::no_own_credential());
        }
        let translated =
            translate(call, candidate).map_err(|error| Failure::untranslatable(error.into()))?;
        if call.route.fidelity == Fidelity::Strict && !translated.dropped.is_empty() {
            return Err(Failure::unfaithful(&candidate.target, &translated.dropped));
        }
        self.settlement.serve(call.endpoint, &call.route, index, candidate);
        self.settlement.asked_for_images(admit::images(call.endpoint, &call.peek, candidate));
        let mut tried = Vec::new();
        let mut limited: Option<Failure> = None;
        loop {
            let key = match self.keys.choose(provider, (&candidate.model, &tried), Instant::now()) {
                Ok(key) => key,
                Err(_) => return Err(limited.unwrap_or_else(|| self.exhausted(candidate))),
            };
            let failure = match self.once(candidate, &translated, key).await {
                Ok(answer) => return Ok(Answer { dropped: translated.dropped, ..answer }),
                Err(failure) => failure,
            };
            if let (Reason::Status(status), Some(identity)) = (failure.reason, &provider.identity)
                && identity.is_doubted_by(status)
            {
                self.credentials.refused(identity);
            }
            let Some(credential) = key.and_then(|key| provider.credentials.get(key)) else {
                return Err(failure);
            };
            let now = Instant::now();
            match failure.reason {
                Reason::Status(401) => {
                    warn_refused(provider, credential, None);
                    self.keys.refuse(provider, credential, now);
                }
                Reason::Status(403) => {
                    warn_refused(provider, credential, Some(&candidate.model));
                    self.keys.forbid(provider, credential, &candidate.model, now);
                }
                Reason::Status(429) => {
                    if let Some(until) = failure.retry_after.and_then(|wait| now.checked_add(wait))
                    {
                        self.keys.limit(provider, credential, until, now);
                    }
                    limited = limited.or(Some(failure));
                }
                _ => return Err(failure),
            }
            tried.extend(key);
        }
    }

    fn exhausted(&mut self, candidate: &Candidate) -> Failure {
        let failure = Failure::exhausted(&candidate.target);
        if self.settlement.record.attempts.is_empty() {
            self.settlement.attempted(AttemptRecord {
                target: Arc::clone(&candidate.target.name),
                reason: failure.reason.word(),
                duration: Duration::ZERO,
            });
        }
        failure
    }

    /// One try with one key.
    async fn once(
        &mut self,
        candidate: &Candidate,
        translated: &UpstreamRequest,
        key: Option<usize>,
    ) -> Result<Answer, Failure> {
        let started = Instant::now();
        let result = self.exchange(candidate, translated, key).await;
        let reason = match &result {
            Ok(_) => "ok".into(),
            Err(failure) => failure.summary(),
        };
        let (target, duration) = (Arc::clone(&candidate.target.name), started.elapsed());
        self.settlement.attempted(AttemptRecord { target, reason, duration });
        if let Ok(Answer { content: Content::Stream(opened), .. }) = &result
            && opened.translator.progress().content
        {
            self.settlement.first_token();
        }
        result
    }

    async fn exchange(
        &self,
        candidate: &Candidate,
        translated: &UpstreamRequest,
        key: Option<usize>,
    ) -> Result<Answer, Failure> {
        let call = self.call;
        let timeouts = &call.route.timeouts;
        let patience = match call.stream {
            true => Some(timeouts.first_token),
            false => timeouts.first_byte,
        };
        let by = patience.map_or(call.deadline, |wait| (Instant::now() + wait).min(call.deadline));
        let sent = timeout_at(by, self.send(candidate, translated, key)).await;
        let target = &candidate.target;
        let (response, quotable) = sent
            .map_err(|_| Failure::late(target, by >= call.deadline))?
            .map_err(|error| Failure::unsent(target, &error))?;
        let answer = answer::read(call, candidate, response, by).await;
        let mut answer = answer.map_err(|failure| failure.without(&quotable))?;
        if let Content::Stream(opened) = &mut answer.content {
            opened.quotable = quotable;
        }
        Ok(answer)
    }

    /// The head of the answer, and the credentials that it may quote.
    async fn send(
        &self,
        candidate: &Candidate,
        translated: &UpstreamRequest,
        key: Option<usize>,
    ) -> Result<(http::Response<UpstreamBody>, Quotable), SendError> {
        let provider = &candidate.target.provider;
        let path = candidate.translator.upstream_path(&candidate.model, self.call.stream);
        let snapshot::Endpoint::Http { scheme, authority, base_path } = &provider.endpoint else {
            // Boxed, as are the other ways that few requests go: all would pay for the room.
            let response = Box::pin(self.upstreams.ask_mock(&path, &translated.body)).await?;
            return Ok((response, Quotable::default()));
        };
        let dialect = candidate.translator.upstream();
        let (model, stream) = (&*candidate.model, self.call.stream);
        let address = address::Call { dialect, path: &path, model, stream };
        let path = address::path_and_query(&provider.addressing, base_path, address);
        let uri = http::Uri::builder()
            .scheme(scheme.clone())
            .authority(authority.clone())
            .path_and_query(path)
            .build()
            .map_err(|error| SendError::Connect(error.to_string()))?;
        let mut request = http::Request::new(Full::new(translated.body.clone()));
        *request.method_mut() = http::Method::POST;
        *request.uri_mut() = uri;
        let key = key.and_then(|key| provider.credentials.get(key));
        *request.headers_mut() = request::headers(self.call, candidate, translated, key);
        if let Some(identity) = &provider.identity {
            let credentials = self.credentials;
            Box::pin(credentials.authorize(identity, &mut request, &translated.body)).await?;
        }
        let quotable = Quotable::of(request.headers());
        let response = self.upstreams.send(provider.connect_timeout, request).await?;
        Ok((response, quotable))
    }
}

/// Said when a key begins to rest, not for each request that misses it.
fn warn_refused(provider: &Provider, key: &Credential, model: Option<&str>) {
    tracing::warn!(
        provider = %provider.name,
        key = &*key.source,
        model = model.map(brief).as_deref(),
        "the provider refuses a key, which is left out for 5 minutes: check the Secret"
    );
}

/// Vertex AI counts for Claude in another place, which is not asked.
fn cannot_count(endpoint: Endpoint, candidate: &Candidate) -> bool {
    endpoint == Endpoint::CountTokens
        && candidate.target.provider.addressing == snapshot::Addressing::Vertex
}

fn translate(call: &Call, candidate: &Candidate) -> Result<UpstreamRequest, RequestError> {
    let rewrite = Rewrite {
        model: &candidate.model,
        parameters: candidate.target.parameters.as_ref(),
        default_max_tokens: candidate.terms.assumed_output(),
    };
    let mut translated = candidate.translator.request(&call.body, &call.peek, &rewrite)?;
    for betas in call.headers.get_all(request::ANTHROPIC_BETA) {
        if let Ok(betas) = betas.to_str() {
            candidate.translator.add_betas(&mut translated, &candidate.model, betas);
        }
    }
    let on_vertex = candidate.target.provider.addressing == snapshot::Addressing::Vertex;
    if on_vertex && candidate.translator.upstream() == Dialect::Anthropic {
        translated.body = claude_on_vertex::body(&translated.body)?;
    }
    Ok(translated)
}
