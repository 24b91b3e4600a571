//! One Service that AIProviders name, and its EndpointSlices: reduced to what is used, so that a
//! change of anything else (annotations with times, most of all) compiles nothing.

use std::{net::IpAddr, sync::Arc};

use k8s_openapi::api::{
    core::v1::Service,
    discovery::v1::{Endpoint, EndpointSlice},
};
use kube::Api;

use super::watch::{Need, Sink, Subject};
use crate::{
    compile::inputs::service::{
        EndpointData, NamedPort, ServiceData, ServiceKind, SliceData, Slices,
    },
    snapshot::ObjectName,
    source::Current,
};

/// The label by which a slice belongs to a Service.
const SERVICE_NAME: &str = "kubernetes.io/service-name";

/// What is used where a permission is missing.
const WITHOUT: &str = "providers that name it are reached by its DNS name and cluster address; for \
                       least-busy endpoints add rules {apiGroups: [\"\"], resources: [services], \
                       verbs: [get, list, watch]} and {apiGroups: [discovery.k8s.io], resources: \
                       [endpointslices], verbs: [get, list, watch]} for the provider's namespace";

/// A Service, by its name.
pub(super) fn service(name: &ObjectName) -> Subject<Service> {
    let namespace = name.namespace.clone();
    Subject {
        kind: "Service",
        remedy: WITHOUT,
        need: Need::Optional,
        api: Box::new(move |client| Api::namespaced(client, &namespace)),
        fields: Some(format!("metadata.name={}", name.name)),
        labels: None,
    }
}

/// The EndpointSlices of a Service.
pub(super) fn slices(name: &ObjectName) -> Subject<EndpointSlice> {
    let namespace = name.namespace.clone();
    Subject {
        kind: "EndpointSlice",
        remedy: WITHOUT,
        need: Need::Optional,
        api: Box::new(move |client| Api::namespaced(client, &namespace)),
        fields: None,
        labels: Some(format!("{SERVICE_NAME}={}", name.name)),
    }
}

/// Puts one Service into the inputs.
pub(super) struct ReferencedService {
    pub(super) name: ObjectName,
    pub(super) current: Arc<Current>,
}

impl ReferencedService {
    fn set(&self, service: Option<Service>) {
        let data = service.map(service_data);
        self.current.update(|inputs| {
            let before = inputs.services.insert(self.name.clone(), data.clone());
            before.as_ref() != Some(&data)
        });
    }
}

impl Sink for ReferencedService {
    type Object = Service;

    async fn replace(&mut self, objects: Vec<Service>) {
        self.set(objects.into_iter().next());
    }

    async fn apply(&mut self, object: Service) {
        self.set(Some(object));
    }

    fn delete(&mut self, _: Service) {
        self.set(None);
    }
}

/// Puts the EndpointSlices of one Service into the inputs.
pub(super) struct ReferencedSlices {
    pub(super) service: ObjectName,
    pub(super) current: Arc<Current>,
}

impl ReferencedSlices {
    /// Changes the slices; `change` says whether anything differs.
    fn change(&self, change: impl FnOnce(&mut Slices) -> bool) {
        self.current.update(|inputs| {
            let slices = inputs.slices.entry(self.service.clone()).or_default();
            change(Arc::make_mut(slices))
        });
    }
}

impl Sink for ReferencedSlices {
    type Object = EndpointSlice;

    async fn replace(&mut self, objects: Vec<EndpointSlice>) {
        let all: Arc<Slices> = Arc::new(objects.into_iter().filter_map(slice).collect());
        self.current.update(|inputs| {
            let before = inputs.slices.insert(self.service.clone(), all.clone());
            before.as_ref() != Some(&all)
        });
    }

    async fn apply(&mut self, object: EndpointSlice) {
        let Some((name, data)) = slice(object) else { return };
        self.change(|slices| slices.insert(name, data.clone()).is_none_or(|before| before != data));
    }

    fn delete(&mut self, object: EndpointSlice) {
        let Some(name) = object.metadata.name else { return };
        self.change(|slices| slices.remove(&*name).is_some());
    }
}

fn service_data(service: Service) -> ServiceData {
    let spec = service.spec.unwrap_or_default();
    let kind = match (spec.type_.as_deref(), spec.cluster_ip.as_deref()) {
        (Some("ExternalName"), _) => ServiceKind::ExternalName,
        (_, Some("None")) => ServiceKind::Headless,
        _ => ServiceKind::ClusterIp,
    };
    let ports = spec.ports.unwrap_or_default().into_iter().filter_map(|port| {
        is_tcp(port.protocol.as_deref()).then_some(())?;
        named(port.name, port.port)
    });
    let first = spec.ip_families.unwrap_or_default().into_iter().next();
    ServiceData { kind, ports: ports.collect(), prefers_ipv6: first.as_deref() == Some("IPv6") }
}

fn slice(slice: EndpointSlice) -> Option<(Arc<str>, SliceData)> {
    let ports = slice.ports.unwrap_or_default().into_iter().filter_map(|port| {
        is_tcp(port.protocol.as_deref()).then_some(())?;
        named(port.name, port.port?)
    });
    let endpoints = slice.endpoints.into_iter().filter_map(endpoint);
    let data = SliceData { ports: ports.collect(), endpoints: endpoints.collect() };
    Some((slice.metadata.name?.into(), data))
}

/// Names (`addressType: FQDN`) are no addresses; nothing in Kubernetes makes such slices.
fn endpoint(endpoint: Endpoint) -> Option<EndpointData> {
    let address: IpAddr = endpoint.addresses.first()?.parse().ok()?;
    let conditions = endpoint.conditions.unwrap_or_default();
    let is_ready = conditions.ready.unwrap_or(true);
    let hints = endpoint.hints.and_then(|hints| hints.for_zones).unwrap_or_default();
    Some(EndpointData {
        address,
        is_ready,
        is_serving: conditions.serving.unwrap_or(is_ready),
        is_terminating: conditions.terminating.unwrap_or_default(),
        zone: endpoint.zone.map(Into::into),
        for_zones: hints.into_iter().map(|zone| zone.name.into()).collect(),
    })
}

fn is_tcp(protocol: Option<&str>) -> bool {
    protocol.is_none_or(|protocol| protocol == "TCP")
}

fn named(name: Option<String>, number: i32) -> Option<NamedPort> {
    Some(NamedPort { name: name.unwrap_or_default().into(), number: u16::try_from(number).ok()? })
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn read(value: Value) -> SliceData {
        slice(serde_json::from_value(value).unwrap()).unwrap().1
    }

    #[test]
    fn unknown_conditions_mean_ready_and_not_ending() {
        let slice = read(json!({
            "metadata": {"name": "s"}, "addressType": "IPv4",
            "ports": [{"name": "", "port": 8000, "protocol": "TCP"}, {"name": "dns", "port": 53, "protocol": "UDP"}],
            "endpoints": [
                {"addresses": ["10.0.0.1"]},
                {"addresses": ["10.0.0.2"], "conditions": {"ready": false}},
                {"addresses": ["10.0.0.3"], "zone": "a",
                 "conditions": {"ready": false, "serving": true, "terminating": true},
                 "hints": {"forZones": [{"name": "b"}]}},
            ],
        }));
        assert_eq!(slice.ports, [NamedPort { name: "".into(), number: 8000 }]);
        let states: Vec<_> =
            slice.endpoints.iter().map(|e| (e.is_ready, e.is_serving, e.is_terminating)).collect();
        assert_eq!(states, [(true, true, false), (false, false, false), (false, true, true)]);
        assert_eq!(slice.endpoints[2].zone.as_deref(), Some("a"));
        assert_eq!(slice.endpoints[2].for_zones, ["b".into()]);
    }

    #[test]
    fn nothing_is_watched_but_the_service_and_the_slices_that_belong_to_it() {
        let name = ObjectName::new("team", "llm");
        assert_eq!(service(&name).fields.as_deref(), Some("metadata.name=llm"));
        assert_eq!(slices(&name).labels.as_deref(), Some("kubernetes.io/service-name=llm"));
    }

    #[test]
    fn names_are_no_endpoints() {
        let slice = read(json!({
            "metadata": {"name": "s"}, "addressType": "FQDN", "ports": [],
            "endpoints": [{"addresses": ["vllm.example.com"]}],
        }));
        assert_eq!(slice.endpoints, []);
    }

    #[test]
    fn kinds_of_services_are_told_apart() {
        let kind = |spec: Value| {
            service_data(serde_json::from_value(json!({"metadata": {}, "spec": spec})).unwrap())
        };
        let plain = kind(json!({"clusterIP": "10.1.0.1", "ipFamilies": ["IPv6", "IPv4"],
            "ports": [{"port": 80, "targetPort": "http", "name": "web"}]}));
        assert_eq!((plain.kind, plain.prefers_ipv6), (ServiceKind::ClusterIp, true));
        assert_eq!(plain.ports, [NamedPort { name: "web".into(), number: 80 }]);
        assert_eq!(kind(json!({"clusterIP": "None"})).kind, ServiceKind::Headless);
        let external = json!({"type": "ExternalName", "externalName": "llm.example.com"});
        assert_eq!(kind(external).kind, ServiceKind::ExternalName);
    }
}
