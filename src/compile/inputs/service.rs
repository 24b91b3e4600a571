//! What is used of the Services that AIProviders name, and of their EndpointSlices. Plain data: what
//! it means is the provider's compilation.

use std::{collections::BTreeMap, net::IpAddr, sync::Arc};

/// The EndpointSlices of one Service, by name.
pub type Slices = BTreeMap<Arc<str>, SliceData>;

/// What is used of a Service.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct ServiceData {
    /// How it is reached.
    pub kind: ServiceKind,
    /// Its ports.
    pub ports: Vec<NamedPort>,
    /// Whether the first of its IP families is IPv6.
    pub prefers_ipv6: bool,
}

/// How a Service is reached.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum ServiceKind {
    /// By an address of the cluster.
    #[default]
    ClusterIp,
    /// By the addresses of its endpoints alone (`clusterIP: None`).
    Headless,
    /// By the name of something else: it has no endpoints.
    ExternalName,
}

/// A port of a Service, or the one that an EndpointSlice has for it under the same name.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct NamedPort {
    /// Its name; empty where a Service has one port without a name.
    pub name: Arc<str>,
    /// Its number.
    pub number: u16,
}

/// What is used of an EndpointSlice.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct SliceData {
    /// Ports of all of its endpoints.
    pub ports: Vec<NamedPort>,
    /// Its endpoints.
    pub endpoints: Vec<EndpointData>,
}

/// One endpoint of a slice.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct EndpointData {
    /// Its address. A slice may list more, to which nothing gives a meaning.
    pub address: IpAddr,
    /// Condition `ready`; true where unknown.
    pub is_ready: bool,
    /// Condition `serving`; as `ready` where unknown.
    pub is_serving: bool,
    /// Condition `terminating`; false where unknown.
    pub is_terminating: bool,
    /// The zone that it is in.
    pub zone: Option<Arc<str>>,
    /// The zones that should use it, where the cluster says so (`hints.forZones`).
    pub for_zones: Vec<Arc<str>>,
}
