//! Active checks of providers whose owner asks for them (`health.probe`): finds out that one is away
//! before a request does, and that it is back without one. Runs beside the requests; what it finds goes
//! into the health of the provider's targets and of its backends.

mod request;

use std::{borrow::Cow, collections::HashMap, net::SocketAddr, sync::Arc, time::Duration};

use futures_util::{StreamExt as _, stream};
use parking_lot::RwLock;
use tokio::time::{Instant, sleep, timeout};
use tokio_util::task::AbortOnDropHandle;

use super::{Pipeline, gauges, keys::Wanted};
use crate::snapshot::{Probe, Provider, Snapshot};

/// How often it is looked whether the configuration has changed.
const LOOK: Duration = Duration::from_millis(500);
/// Backends of one provider that are checked at once.
const CONCURRENCY: usize = 16;

/// A provider that is checked, and the models that routes ask it for.
struct Watched {
    provider: Arc<Provider>,
    probe: Probe,
    models: Vec<Arc<str>>,
}

/// What is to be checked, by the provider's UID. Who is no longer here is not checked again.
type Roster = RwLock<All>;
type All = HashMap<Arc<str>, Arc<Watched>>;

/// Checks what the published configuration wants checked, until dropped.
pub async fn keep(pipeline: Arc<Pipeline>) {
    let roster = Arc::new(Roster::default());
    let mut tasks: HashMap<Arc<str>, AbortOnDropHandle<()>> = HashMap::new();
    let mut seen: Option<Arc<Snapshot>> = None;
    loop {
        let snapshot = pipeline.deps.published.load_full();
        if !seen.as_ref().is_some_and(|seen| Arc::ptr_eq(seen, &snapshot)) {
            let wanted = watched(&snapshot);
            let before = std::mem::replace(&mut *roster.write(), wanted.clone());
            // A change of the interval counts at once.
            tasks.retain(|uid, _| {
                let probe = |watched: &Arc<Watched>| watched.probe;
                let now = wanted.get(uid).map(probe);
                now.is_some() && now == before.get(uid).map(probe)
            });
            for uid in wanted.into_keys() {
                let (pipeline, roster) = (&pipeline, &roster);
                tasks.entry(uid).or_insert_with_key(|uid| {
                    let task = follow(Arc::clone(pipeline), Arc::clone(roster), Arc::clone(uid));
                    AbortOnDropHandle::new(tokio::spawn(task))
                });
            }
            seen = Some(snapshot);
        }
        sleep(LOOK).await;
    }
}

/// The providers with a probe.
fn watched(snapshot: &Snapshot) -> All {
    let with_probe = snapshot.providers.values().filter_map(|provider| {
        let (provider, probe) = (Arc::clone(provider), provider.probe?);
        Some((Arc::clone(&provider.uid), Watched { provider, probe, models: Vec::new() }))
    });
    let mut all: HashMap<_, _> = with_probe.collect();
    if all.is_empty() {
        return HashMap::new();
    }
    for route in snapshot.routes.iter() {
        for target in route.rules.iter().flat_map(|rule| &rule.targets) {
            if let Some(watched) = all.get_mut(&target.provider.uid) {
                watched.models.extend(gauges::models(route, target));
            }
        }
    }
    for watched in all.values_mut() {
        watched.models.sort();
        watched.models.dedup();
        if watched.models.is_empty() {
            // Stands for whatever callers ask for, so that its health is known.
            watched.models.push("".into());
        }
    }
    all.into_iter().map(|(uid, watched)| (uid, Arc::new(watched))).collect()
}

/// Checks one provider again and again. Replicas and providers do not do so at the same moment.
async fn follow(pipeline: Arc<Pipeline>, roster: Arc<Roster>, uid: Arc<str>) {
    let look = || roster.read().get(&uid).cloned();
    let mut pause = LOOK.mul_f64(fastrand::f64());
    let mut was_alive = true;
    loop {
        sleep(pause).await;
        let Some(watched) = look() else { return };
        pause = watched.probe.interval.mul_f64(0.9 + 0.2 * fastrand::f64());
        let found = round(&pipeline, &watched).await;
        // What was removed or changed meanwhile has nothing to learn.
        if !look().is_some_and(|now| now.provider.endpoint == watched.provider.endpoint) {
            continue;
        }
        let Some(found) = found else { continue };
        if found.is_ok() != was_alive {
            was_alive = found.is_ok();
            tell(&watched.provider, &found);
        }
        let (now, uid, targets) =
            (Instant::now().into_std(), &watched.provider.uid, pipeline.targets());
        // Also of models that nobody has asked for yet.
        let known: Vec<_> =
            watched.models.iter().map(|model| targets.at(&watched.provider, model, now)).collect();
        targets.checked(uid, was_alive, &watched.provider.ejection, now);
        drop(known);
    }
}

fn tell(provider: &Provider, found: &Result<(), Cow<'static, str>>) {
    match found {
        Ok(()) => tracing::info!(provider = %provider.name, "the provider answers checks again"),
        Err(reason) => tracing::warn!(
            provider = %provider.name,
            reason = &**reason,
            "the provider does not answer its checks: it counts as failing"
        ),
    }
}

/// Checks every place of a provider once. It is alive if one is; `None` if there is no place.
async fn round(pipeline: &Pipeline, watched: &Watched) -> Option<Result<(), Cow<'static, str>>> {
    let provider = &watched.provider;
    let places: Vec<Option<SocketAddr>> = match pipeline.upstreams.is_by_name(provider) {
        true => vec![None],
        false => pipeline.backends(provider).iter().map(|backend| Some(backend.address)).collect(),
    };
    let checks = places.into_iter().map(|place| async move {
        let found = check(pipeline, watched, place).await;
        if let Some(address) = place {
            // Longer than until the next check, which then says it anew.
            let until_next = watched.probe.interval * 2 + watched.probe.timeout;
            pipeline.upstreams.found(provider, address, found.is_ok(), until_next);
        }
        found
    });
    let mut checks = stream::iter(checks).buffer_unordered(CONCURRENCY);
    let mut outcome = None;
    while let Some(found) = checks.next().await {
        outcome = match (outcome, found) {
            (Some(Ok(())), _) | (_, Ok(())) => Some(Ok(())),
            (Some(first), Err(_)) => Some(first),
            (None, Err(reason)) => Some(Err(reason)),
        };
    }
    outcome
}

/// One check. Whatever it answers it is alive, but for a failure of the server and for a refusal of
/// the gateway's credential, which requests would meet as well.
async fn check(
    pipeline: &Pipeline,
    watched: &Watched,
    place: Option<SocketAddr>,
) -> Result<(), Cow<'static, str>> {
    let provider = &*watched.provider;
    let key = pipeline.keys.choose(provider, Wanted::default(), Instant::now());
    let key = key.map_err(|_| Cow::from("credentials"))?;
    let key = key.and_then(|key| provider.credentials.get(key));
    let mut request = request::of(provider, key).ok_or("no_address")?;
    let asked = async {
        if let Some(identity) = &provider.identity {
            let authorized = pipeline.credentials.authorize(identity, &mut request, &[]).await;
            authorized.map_err(|_| Cow::from("credentials_unavailable"))?;
        }
        let sent = pipeline.upstreams.send_to(provider, place, request).await;
        sent.map(|response| response.status()).map_err(|error| Cow::from(error.to_string()))
    };
    match timeout(watched.probe.timeout, asked).await.map_err(|_| "timeout")?? {
        status if matches!(status.as_u16(), 401 | 403 | 500..) => {
            Err(format!("http_{}", status.as_u16()).into())
        }
        _ => Ok(()),
    }
}
