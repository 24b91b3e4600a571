//! The backends of one Service: who belongs to it at the moment, and the sending of a request to one
//! of them, or to another if the first can't be reached.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use http::{
    Request, Response,
    uri::{Authority, Scheme},
};
use parking_lot::RwLock;
use tokio::time::Instant;

use super::{
    Outgoing, SendError,
    backend::{BackendState, Held, Member},
    body::Source,
    choose::{Places, Seen, choose},
    connect::Connector,
    connection::Unanswered,
    host::Host,
};
use crate::snapshot::Backend;

/// Backends that one request tries to reach, within one connect timeout altogether.
const TRIES: usize = 3;

/// One scheme and authority, and the addresses behind it.
pub struct Group {
    scheme: Scheme,
    authority: Authority,
    members: RwLock<Arc<Members>>,
}

/// Who belongs to a group.
#[derive(Default)]
pub struct Members {
    /// What they were made of.
    of: Arc<[Backend]>,
    /// In the same order.
    all: Box<[Arc<Member>]>,
    places: Places,
}

/// How a request is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sending {
    /// Over a pooled connection.
    Pooled,
    /// Over one of its own, which the answer may turn into something else.
    Alone,
}

/// The answer of a backend, which is busy with it until it is let go.
pub struct Sent {
    pub response: Response<Source>,
    pub held: Held,
}

impl Group {
    /// Without members.
    pub fn new(scheme: Scheme, authority: Authority) -> Self {
        Self { scheme, authority, members: RwLock::default() }
    }

    /// Sends a request to one of these backends. One that can't be reached is left for another.
    ///
    /// # Errors
    /// [`SendError`].
    pub async fn send(
        &self,
        connector: &Connector,
        within: Duration,
        (backends, mut request, sending): (&Arc<[Backend]>, Box<Request<Outgoing>>, Sending),
    ) -> Result<Sent, SendError> {
        let members = self.follow(backends)?;
        let by = Instant::now() + within;
        let mut tried = Vec::new();
        let mut unreached = SendError::NoEndpoints;
        let tries = TRIES.min(members.all.len());
        while tried.len() < tries {
            let now = Instant::now();
            let Some(index) = members.choose(&tried, now) else { break };
            let Some(member) = members.all.get(index) else { break };
            // So that one that does not answer leaves time for another.
            let left = u32::try_from(tries - tried.len()).unwrap_or(1);
            let share = by.saturating_duration_since(now) / left;
            let held = member.hold();
            let sent = match sending {
                Sending::Pooled => member.host.send(connector, share, request).await,
                Sending::Alone => Box::pin(member.host.upgrade(connector, share, request)).await,
            };
            match sent {
                Ok(response) => {
                    member.reached();
                    return Ok(Sent { response, held });
                }
                Err(Unanswered::Lost(error)) => return Err(error),
                // It is there and wants nothing more: it restarts, or is full for the moment.
                Err(Unanswered::Untouched(untouched, error)) => {
                    (request, unreached) = (untouched, error);
                    tried.push(index);
                }
                Err(Unanswered::Unsent(unsent, error)) => {
                    member.missed(Instant::now());
                    (request, unreached) = (unsent, error);
                    tried.push(index);
                }
            }
        }
        Err(unreached)
    }

    /// Sends a request to this backend, whatever is known of it.
    ///
    /// # Errors
    /// [`SendError`].
    pub async fn send_to(
        &self,
        connector: &Connector,
        within: Duration,
        (address, backends, request): (SocketAddr, &Arc<[Backend]>, Box<Request<Outgoing>>),
    ) -> Result<Sent, SendError> {
        let members = self.follow(backends)?;
        let member = members.all.iter().find(|member| member.address == address);
        let member = member.ok_or(SendError::NoEndpoints)?;
        let held = member.hold();
        let response = member.host.send(connector, within, request).await?;
        Ok(Sent { response, held })
    }

    /// A check has found a backend alive, or dead: then it is left out for so long at least.
    pub fn found(&self, address: SocketAddr, is_alive: bool, (now, at_least): (Instant, Duration)) {
        let members = Arc::clone(&self.members.read());
        for member in members.all.iter().filter(|member| member.address == address) {
            match is_alive {
                true => member.reached(),
                false => member.failed(now, at_least),
            }
        }
    }

    /// The backends with what is known of them at `now`.
    pub fn state(&self, backends: &Arc<[Backend]>, now: Instant) -> Vec<BackendState> {
        let Ok(members) = self.follow(backends) else { return Vec::new() };
        let state = |(backend, member): (&Backend, &Arc<Member>)| BackendState {
            address: backend.address,
            zone: backend.zone.clone(),
            in_flight: member.load(),
            out_for: member.out_for(now),
        };
        members.of.iter().zip(&members.all).map(state).collect()
    }

    /// From now on these are the members. Idle connections to others are closed; what is under way
    /// with them goes on.
    ///
    /// # Errors
    /// [`SendError::Connect`] where the authority cannot be a header.
    pub fn follow(&self, backends: &Arc<[Backend]>) -> Result<Arc<Members>, SendError> {
        let before = Arc::clone(&self.members.read());
        // Providers of one Service have lists of their own with the same content.
        if Arc::ptr_eq(&before.of, backends) || before.of == *backends {
            return Ok(before);
        }
        let mut members = self.members.write();
        if members.of == *backends {
            return Ok(Arc::clone(&members));
        }
        let (new, gone) = members.changed_to(backends, |address| {
            let host = Host::new(self.scheme.clone(), self.authority.clone(), Some(address))?;
            Ok(Member::new(address, Arc::new(host)))
        })?;
        *members = Arc::new(new);
        let followed = Arc::clone(&members);
        drop(members);
        gone.iter().for_each(|member| member.host.retire());
        Ok(followed)
    }

    /// Closes connections that were idle for too long at `now`.
    pub fn sweep(&self, now: Instant) {
        let members = Arc::clone(&self.members.read());
        for member in &members.all {
            member.host.sweep(now);
        }
    }

    /// Whether it has connections or knows of trouble.
    pub fn is_used(&self, now: Instant) -> bool {
        let is_used = |member: &Arc<Member>| {
            member.host.has_any() || member.load() > 0 || member.out_for(now).is_some()
        };
        self.members.read().all.iter().any(is_used)
    }
}

impl Members {
    /// The members for `backends`, with those of the present ones that stay; and those that go.
    fn changed_to(
        &self,
        backends: &Arc<[Backend]>,
        new: impl Fn(SocketAddr) -> Result<Member, SendError>,
    ) -> Result<(Self, Vec<Arc<Member>>), SendError> {
        let mut known: std::collections::HashMap<_, _> =
            self.all.iter().map(|member| (member.address, Arc::clone(member))).collect();
        let all = backends.iter().map(|backend| match known.remove(&backend.address) {
            Some(member) => Ok(member),
            None => new(backend.address).map(Arc::new),
        });
        let all = all.collect::<Result<_, SendError>>()?;
        let placed = |near: bool| {
            let indices = backends.iter().enumerate().filter(move |(_, b)| b.is_near == near);
            indices.map(|(index, _)| index).collect()
        };
        let places = Places { near: placed(true), far: placed(false) };
        let members = Self { of: Arc::clone(backends), all, places };
        Ok((members, known.into_values().collect()))
    }

    fn choose(&self, tried: &[usize], now: Instant) -> Option<usize> {
        let seen = |index: usize| {
            let member = self.all.get(index);
            Seen {
                load: member.map_or(usize::MAX, |member| member.load()),
                is_tried: tried.contains(&index),
                is_out: member.is_none_or(|member| member.out_for(now).is_some()),
            }
        };
        choose(&self.places, seen, |below| fastrand::usize(..below))
    }
}
