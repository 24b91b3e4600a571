//! One target: what it is sent, and with which of its keys.

use std::{borrow::Cow, sync::Arc, time::Duration};

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
        keys::Wanted,
        quotable::Quotable,
        select::Candidate,
        settle::{Served, Side},
        upstream::{SendError, UpstreamBody},
    },
    Answer, Attempts, Content, Failure, LEFT, OUTRUN, address, answer, count, now, request,
};

/// A try that may be dropped while it waits: nobody waits for it any longer then.
struct Waiting<'a, 'b> {
    attempts: &'b Attempts<'a>,
    flight: Option<Flight>,
}

impl Drop for Waiting<'_, '_> {
    fn drop(&mut self) {
        if let Some(flight) = &mut self.flight {
            let is_outrun = self.attempts.is_dropped_for(OUTRUN);
            flight.end(if is_outrun { End::Outrun } else { End::Left }, now());
        }
    }
}

/// One exchange. Who leaves in the middle of it is recorded as well; of two that run at the same time
/// the one that is broken off is recorded by what made it needless.
struct Exchange<'a, 'b> {
    attempts: &'b Attempts<'a>,
    candidate: &'b Candidate,
    started: Instant,
    is_over: bool,
}

impl Exchange<'_, '_> {
    fn record(&self, reason: Cow<'static, str>) -> AttemptRecord {
        let target = Arc::clone(&self.candidate.target.name);
        AttemptRecord { target, reason, duration: self.started.elapsed() }
    }
}

impl Drop for Exchange<'_, '_> {
    fn drop(&mut self) {
        if !self.is_over && self.attempts.is_dropped_for(LEFT) {
            let provider = &self.candidate.target.provider;
            let attempt = self.record("left".into());
            self.attempts.settlement.lock().attempted(provider, attempt);
        }
    }
}

impl Attempts<'_> {
    /// Tries one target, and says how it went. `side`: which of two tries it is, where two run at the
    /// same time.
    pub(super) async fn target(&self, turn: Turn, side: Side) -> Result<Answer, Failure> {
        let (Turn { index, flight, .. }, began) = (turn, Instant::now());
        let mut waiting = Waiting { attempts: self, flight: Some(flight) };
        let Some(flight) = &mut waiting.flight else { return Err(Failure::no_target()) };
        let mut tried = self.ask(index, side, flight).await;
        let Some(mut flight) = waiting.flight.take() else { return tried };
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
        // What the caller is told if no key is left: the limits of all of them, or that one is unpaid.
        let (mut limited, mut unpaid): (Option<Failure>, Option<Failure>) = (None, None);
        loop {
            let was_limited = limited.is_some() || unpaid.is_some();
            let wanted = Wanted { model: &candidate.model, tried: &tried, was_limited };
            let key = keys.choose(provider, wanted, Instant::now());
            // Each call counts at the provider.
            let key = key.ok().filter(|_| tried.is_empty() || flight.again(now()));
            let Some(key) = key else {
                let failure = limited.or(unpaid);
                return Err(failure.unwrap_or_else(|| self.exhausted(candidate, &tried)));
            };
            let failure = match self.once(candidate, (translated, key), flight).await {
                Ok(answer) => return Ok(answer),
                Err(failure) => failure,
            };
            if let (Some(status), Some(identity)) = (failure.told(), &provider.identity)
                && identity.is_doubted_by(status)
            {
                self.gateway.credentials.refused(identity);
            }
            let Some(credential) = key.and_then(|key| provider.credentials.get(key)) else {
                return Err(failure);
            };
            let now = Instant::now();
            match failure.told() {
                Some(401) => {
                    warn_refused(provider, credential, None);
                    keys.refuse(provider, credential, now);
                }
                Some(402) => {
                    keys.unpaid(provider, credential, now);
                    unpaid.get_or_insert(failure);
                }
                Some(403) => {
                    warn_refused(provider, credential, Some(&candidate.model));
                    keys.forbid(provider, credential, &candidate.model, now);
                }
                Some(429) => {
                    keys.limit(provider, credential, failure.retry_after, now);
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

    fn exhausted(&self, candidate: &Candidate, tried: &[usize]) -> Failure {
        let failure = Failure::exhausted(&candidate.target, !tried.is_empty());
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
        let mut exchange = Exchange { attempts: self, candidate, started, is_over: false };
        let result = self.exchange(candidate, request, flight).await;
        let result = result.and_then(|answer| self.unless_filtered(candidate, answer));
        let reason = match &result {
            Ok(_) => "ok".into(),
            Err(failure) => failure.summary(),
        };
        exchange.is_over = true;
        let attempt = exchange.record(reason);
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
            flight.head(now());
        }
        let answer = answer::read(call, candidate, response, by).await;
        match &answer {
            Ok(Answer { content: Content::Whole(_), .. }) => flight.whole_content(),
            Ok(_) => flight.first_content(now()),
            Err(_) => {}
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
