//! The addresses behind a Service, as Kubernetes defines which of them take requests: ready ones; if
//! there is none, those that end but still serve. Of two IP families the Service's first counts.

use std::{
    collections::BTreeMap,
    net::{IpAddr, SocketAddr},
    sync::Arc,
};

use crate::{
    api::{condition::Reason, provider::ServiceRef},
    compile::{
        Inputs, Problem,
        inputs::service::{EndpointData, ServiceData, ServiceKind, SliceData, Slices},
    },
    snapshot::{Backend, ObjectName, address},
};

/// Where the requests for a Service go.
#[derive(Debug, PartialEq)]
pub(super) enum Located {
    /// To what its DNS name resolves to: outside of a cluster, for an ExternalName, or where its
    /// endpoints may not be read.
    ByName,
    /// To one of these; none: it has no endpoint that takes requests.
    At(Arc<[Backend]>),
}

/// Looks a Service of `namespace` up.
///
/// # Errors
/// It does not exist, or has no such port.
pub(super) fn locate(
    service: &ServiceRef,
    namespace: &str,
    inputs: &Inputs,
) -> Result<Located, Problem> {
    let name = ObjectName::new(namespace, service.name.as_str());
    let data = match inputs.services.get(&name) {
        None => return Ok(Located::ByName),
        Some(None) => {
            let message =
                format!("Service {name} does not exist: create it, or correct service.name");
            return Err(Problem::new(Reason::ServiceNotFound, message));
        }
        Some(Some(data)) => data,
    };
    let Some(slices) = inputs.slices.get(&name) else { return Ok(Located::ByName) };
    let port = u16::try_from(service.port).unwrap_or_default();
    let port = match data.ports.iter().find(|known| known.number == port) {
        _ if data.kind == ServiceKind::ExternalName => return Ok(Located::ByName),
        Some(known) => Port::Named(&known.name),
        // Nothing stands between a headless Service's clients and the ports of its pods.
        None if data.kind == ServiceKind::Headless => Port::Number(port),
        None => return Err(no_port(&name, port, data)),
    };
    let zone = inputs.settings.zone.as_deref();
    let is_callable = |ip| address::check(ip, inputs.settings.allow_loopback).is_ok();
    Ok(Located::At(Endpoints::of(slices, port, is_callable).usable(data.prefers_ipv6, zone)))
}

fn no_port(name: &ObjectName, port: u16, data: &ServiceData) -> Problem {
    let known: Vec<_> = data.ports.iter().map(|known| known.number.to_string()).collect();
    let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
    let message =
        format!("Service {name} has no port {port} (it has {known}): correct service.port");
    Problem::new(Reason::ServicePortNotFound, message)
}

/// Which port of an endpoint is asked.
#[derive(Clone, Copy)]
enum Port<'a> {
    /// The one that its slice has under this name.
    Named(&'a str),
    /// This.
    Number(u16),
}

impl Port<'_> {
    fn of(self, slice: &SliceData) -> Option<u16> {
        match self {
            Self::Named(name) => slice.ports.iter().find(|p| &*p.name == name).map(|p| p.number),
            Self::Number(number) => Some(number),
        }
    }
}

/// Every endpoint once: while a slice is split, an endpoint can be in both parts.
struct Endpoints<'a>(BTreeMap<SocketAddr, &'a EndpointData>);

impl<'a> Endpoints<'a> {
    fn of(slices: &'a Slices, port: Port<'_>, is_callable: impl Fn(IpAddr) -> bool) -> Self {
        let mut all: BTreeMap<SocketAddr, &EndpointData> = BTreeMap::new();
        for slice in slices.values() {
            let Some(port) = port.of(slice) else { continue };
            for endpoint in slice.endpoints.iter().filter(|e| is_callable(e.address)) {
                let found = all.entry(SocketAddr::new(endpoint.address, port)).or_insert(endpoint);
                if endpoint.is_ready {
                    *found = endpoint;
                }
            }
        }
        Self(all)
    }

    /// Those that take requests.
    fn usable(&self, prefers_ipv6: bool, zone: Option<&str>) -> Arc<[Backend]> {
        let is_ready = |endpoint: &EndpointData| endpoint.is_ready;
        let serves_yet = |endpoint: &EndpointData| endpoint.is_serving && endpoint.is_terminating;
        let found = self
            .among(prefers_ipv6, is_ready)
            .or_else(|| self.among(!prefers_ipv6, is_ready))
            .or_else(|| self.among(prefers_ipv6, serves_yet))
            .or_else(|| self.among(!prefers_ipv6, serves_yet))
            .unwrap_or_default();
        let is_near = nearness(&found, zone);
        let backend = |(address, endpoint): &(SocketAddr, &EndpointData)| Backend {
            address: *address,
            zone: endpoint.zone.clone(),
            is_near: is_near(endpoint),
        };
        found.iter().map(backend).collect()
    }

    fn among(
        &self,
        is_ipv6: bool,
        fits: impl Fn(&EndpointData) -> bool,
    ) -> Option<Vec<(SocketAddr, &'a EndpointData)>> {
        let all = self.0.iter().map(|(address, endpoint)| (*address, *endpoint));
        let found: Vec<_> =
            all.filter(|(address, e)| address.is_ipv6() == is_ipv6 && fits(e)).collect();
        (!found.is_empty()).then_some(found)
    }
}

/// Which endpoints a gateway in `zone` should use: those that the cluster has set aside for the zone,
/// if it has done so for all (as kube-proxy reads hints); else those that are in it.
fn nearness<'a>(
    endpoints: &[(SocketAddr, &EndpointData)],
    zone: Option<&'a str>,
) -> impl Fn(&EndpointData) -> bool + use<'a> {
    let is_for =
        |endpoint: &EndpointData, zone: &str| endpoint.for_zones.iter().any(|z| **z == *zone);
    let by_hints = endpoints.iter().all(|(_, endpoint)| !endpoint.for_zones.is_empty())
        && zone.is_some_and(|zone| endpoints.iter().any(|(_, endpoint)| is_for(endpoint, zone)));
    move |endpoint| {
        zone.is_some_and(|zone| match by_hints {
            true => is_for(endpoint, zone),
            false => endpoint.zone.as_deref() == Some(zone),
        })
    }
}

#[cfg(test)]
mod tests;
