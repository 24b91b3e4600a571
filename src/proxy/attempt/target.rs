//! One target: what it is sent, and with which of its keys.

use std::{sync::Arc, time::Duration};

use http_body_util::Full;
use tokio::time::{Instant, timeout_at};

use crate::{
    llm::UpstreamRequest,
    route::{End, Flight, Turn, demand, translated},
    snapshot::{self, Credential, FailureClass, Provider},
    telemetry::{AttemptRecord, brief},
};

use super::{
    super::{
        identify::own_credential,
        quotable::Quotable,
        select::Candidate,
        settle::{Served, Side},
        upstream::{SendError, UpstreamBody},
    },
    Answer, Attempts, Content, Failure, Reason, address, answer, count, now, request,
};

/// A try that may be dropped while it waits: nobody waits for it any longer then.
struct Waiting(Option<Flight>);

impl Drop for Waiting {
    fn drop(&mut self) {
        if let Some(flight) = &mut self.0 {
            flight.end(End::Left, now());
        }
    }
}

impl Attempts<'_> {
    /// Tries one target, and says how it went. `side`: which of two tries it is, where two run at the
    /// same time.
    pub(super) async fn target(&self, turn: Turn, side: Side) -> Result<Answer, Failure> {
        let (Turn { index, flight, .. }, began) = (turn, Instant::now());
        let mut waiting = Waiting(Some(flight));
        let Some(flight) = &mut waiting.0 else { return Err(Failure::no_target()) };
        let mut tried = self.ask(index, side, flight).await;
        let Some(mut flight) = waiting.0.take() else { return tried };
        match &mut tried {
            Ok(answer) => answer.flight = Some(flight),
            Err(failure) => match failure.answer() {
                Some(answer) => answer.flight = Some(flight),
                None => {
                    let provider = self.candidate(index).map(|it| &it.target.provider);
                    let end = provider.map(|provider| failure.end(provider, began.elapsed()));
                    flight.end(end.unwrap_or(End::Unsent), now());
                }
            },
        }
        tried
    }

    /// Asks one target, with another key as long as the provider refuses keys.
    async fn ask(&self, index: usize, side: Side, flight: &mut Flight) -> Result<Answer, Failure> {
        let call = self.call;
        let Some(candidate) = self.candidate(index) else { return Err(Failure::no_target()) };
        let provider = &candidate.target.provider;
        if candidate.translator.is_local() || translated::cannot_count(call.endpoint, candidate) {
            self.serve(side, index, candidate);
            self.settlement.lock().estimate();
            flight.end(End::Unsent, now());
            return count::count(call, candidate).await;
        }
        if provider.is_passthrough() && own_credential(&call.headers).is_none() {
            return Err(Failure::no_own_credential());
        }
        let translated = translated::translate(candidate, &call.headers, (&call.body, &call.peek));
        let translated = translated.map_err(|error| Failure::untranslatable(error.into()))?;
        let dropped = &translated.dropped;
        if let Some(error) = translated::unfaithful(&call.route, &candidate.target, dropped) {
            return Err(Failure::unfaithful(error, dropped));
        }
        self.serve(side, index, candidate);
        let mut answered = self.with_keys(candidate, &translated, flight).await;
        let answer = match &mut answered {
            Ok(answer) => Some(answer),
            Err(failure) => failure.answer().as_mut(),
        };
        if let Some(answer) = answer {
            answer.dropped = translated.dropped;
        }
        answered
    }

    /// Notes that a candidate is called now.
    pub(super) fn serve(&self, side: Side, index: usize, candidate: &Candidate) {
        let call = self.call;
        let images = demand::images(call.endpoint, &call.peek, candidate);
        let served = Served::new(call.endpoint, &call.route, (index, candidate), images);
        self.settlement.lock().serve(side, served);
    }

    async fn with_keys(
        &self,
        candidate: &Candidate,
        translated: &UpstreamRequest,
        flight: &mut Flight,
    ) -> Result<Answer, Failure> {
        let (provider, keys) = (&candidate.target.provider, &self.gateway.keys);
        let mut tried = Vec::new();
        let mut limited: Option<Failure> = None;
        loop {
            let key = match keys.choose(provider, (&candidate.model, &tried), Instant::now()) {
                Ok(key) => key,
                Err(_) => return Err(limited.unwrap_or_else(|| self.exhausted(candidate))),
            };
            let failure = match self.once(candidate, (translated, key), flight).await {
                Ok(answer) => return Ok(answer),
                Err(failure) => failure,
            };
            if let (Reason::Status(status), Some(identity)) = (failure.reason, &provider.identity)
                && identity.is_doubted_by(status)
            {
                self.gateway.credentials.refused(identity);
            }
            let Some(credential) = key.and_then(|key| provider.credentials.get(key)) else {
                return Err(failure);
            };
            let now = Instant::now();
            match failure.reason {
                // It is about the request, whatever its status.
                _ if failure.cause.is_some() => return Err(failure),
                Reason::Status(401) => {
                    warn_refused(provider, credential, None);
                    keys.refuse(provider, credential, now);
                }
                Reason::Status(403) => {
                    warn_refused(provider, credential, Some(&candidate.model));
                    keys.forbid(provider, credential, &candidate.model, now);
                }
                Reason::Status(429) => {
                    if let Some(until) = failure.retry_after.and_then(|wait| now.checked_add(wait))
                    {
                        keys.limit(provider, credential, until, now);
                    }
                    limited = Some(match limited {
                        Some(first) => first.or_sooner(&failure),
                        None => failure,
                    });
                }
                _ => return Err(failure),
            }
            tried.extend(key);
        }
    }

    fn exhausted(&self, candidate: &Candidate) -> Failure {
        let failure = Failure::exhausted(&candidate.target);
        let mut settlement = self.settlement.lock();
        if settlement.record.attempts.is_empty() {
            let attempt = AttemptRecord {
                target: Arc::clone(&candidate.target.name),
                reason: failure.reason.word(),
                duration: Duration::ZERO,
            };
            settlement.attempted(&candidate.target.provider, attempt);
        }
        failure
    }

    /// One try with one key.
    async fn once(
        &self,
        candidate: &Candidate,
        request: (&UpstreamRequest, Option<usize>),
        flight: &mut Flight,
    ) -> Result<Answer, Failure> {
        let started = Instant::now();
        let result = self.exchange(candidate, request, flight).await;
        let result = result.and_then(|answer| self.unless_filtered(candidate, answer));
        let reason = match &result {
            Ok(_) => "ok".into(),
            Err(failure) => failure.summary(),
        };
        let (target, duration) = (Arc::clone(&candidate.target.name), started.elapsed());
        let attempt = AttemptRecord { target, reason, duration };
        let mut settlement = self.settlement.lock();
        settlement.attempted(&candidate.target.provider, attempt);
        if let Ok(Answer { content: Content::Stream(opened), .. }) = &result
            && opened.translator.progress().content
        {
            settlement.first_token();
        }
        result
    }

    /// An answer that a filter ended is a failure where the route falls back on it.
    fn unless_filtered(&self, candidate: &Candidate, answer: Answer) -> Result<Answer, Failure> {
        let falls_back = self.call.route.fallback.on.contains(FailureClass::ContentFilter);
        match falls_back && answer.is_filtered() {
            true => Err(Failure::filtered(&candidate.target, answer)),
            false => Ok(answer),
        }
    }

    async fn exchange(
        &self,
        candidate: &Candidate,
        (translated, key): (&UpstreamRequest, Option<usize>),
        flight: &mut Flight,
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
        if response.status().is_success() && !call.stream && !call.endpoint.work().is_opaque() {
            flight.first_content(now());
        }
        let answer = answer::read(call, candidate, response, by).await;
        if answer.is_ok() {
            flight.first_content(now());
        }
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
            let mock = Box::pin(self.gateway.upstreams.ask_mock(&path, &translated.body));
            let response = mock.await?;
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
            let credentials = &self.gateway.credentials;
            Box::pin(credentials.authorize(identity, &mut request, &translated.body)).await?;
        }
        let quotable = Quotable::of(request.headers());
        let response = self.gateway.upstreams.send(&**provider, request).await?;
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
