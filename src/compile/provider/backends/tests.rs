//! Which endpoints take requests.

use std::net::Ipv4Addr;

use super::*;
use crate::compile::inputs::service::NamedPort;

const SERVICE: &str = "llm";

fn reference(port: i32) -> ServiceRef {
    serde_json::from_value(serde_json::json!({"name": SERVICE, "port": port})).unwrap()
}

fn endpoint(last: u8, state: &str) -> EndpointData {
    EndpointData {
        address: IpAddr::V4(Ipv4Addr::new(10, 0, 0, last)),
        is_ready: state == "ready",
        is_serving: state == "ready" || state == "serves yet",
        is_terminating: state == "serves yet" || state == "ends",
        zone: None,
        for_zones: Vec::new(),
    }
}

fn in_zone(last: u8, zone: &str, for_zone: &str) -> EndpointData {
    let for_zones = for_zone.split_whitespace().map(Into::into).collect();
    EndpointData { zone: Some(zone.into()), for_zones, ..endpoint(last, "ready") }
}

fn ipv6(last: u8, state: &str) -> EndpointData {
    let address = IpAddr::V6([0xfd00, 0, 0, 0, 0, 0, 0, u16::from(last)].into());
    EndpointData { address, ..endpoint(last, state) }
}

fn slice(port: u16, endpoints: Vec<EndpointData>) -> SliceData {
    SliceData { ports: vec![NamedPort { name: "web".into(), number: port }], endpoints }
}

/// A Service with port 80 called `web`, and these slices.
fn inputs(slices: Vec<SliceData>) -> Inputs {
    let name = ObjectName::new("team", SERVICE);
    let ports = vec![NamedPort { name: "web".into(), number: 80 }];
    let slices: Slices =
        slices.into_iter().enumerate().map(|(i, slice)| (format!("s{i}").into(), slice)).collect();
    Inputs {
        services: [(name.clone(), Some(ServiceData { ports, ..ServiceData::default() }))].into(),
        slices: [(name, Arc::new(slices))].into(),
        ..Inputs::default()
    }
}

fn change(inputs: &mut Inputs, change: impl FnOnce(&mut ServiceData)) {
    change(inputs.services.values_mut().next().unwrap().as_mut().unwrap());
}

fn found(inputs: &Inputs, port: i32) -> Vec<Backend> {
    match locate(&reference(port), "team", inputs).unwrap() {
        Located::At(backends) => backends.to_vec(),
        Located::ByName => panic!("found by name"),
    }
}

fn addresses(inputs: &Inputs) -> Vec<String> {
    found(inputs, 80).iter().map(|backend| backend.address.to_string()).collect()
}

fn near(zone: Option<&str>, endpoints: Vec<EndpointData>) -> Vec<bool> {
    let mut inputs = inputs(vec![slice(8000, endpoints)]);
    inputs.settings.zone = zone.map(Into::into);
    found(&inputs, 80).iter().map(|backend| backend.is_near).collect()
}

#[test]
fn ready_endpoints_of_all_slices_are_used_at_the_port_that_their_slice_has() {
    let inputs = inputs(vec![
        slice(8000, vec![endpoint(1, "ready"), endpoint(2, "not ready")]),
        slice(9000, vec![endpoint(3, "ready"), endpoint(4, "serves yet")]),
    ]);
    assert_eq!(addresses(&inputs), ["10.0.0.1:8000", "10.0.0.3:9000"]);
}

#[test]
fn an_endpoint_in_two_slices_counts_once_and_is_ready_if_either_says_so() {
    let inputs = inputs(vec![
        slice(8000, vec![endpoint(1, "ready")]),
        slice(8000, vec![endpoint(1, "not ready")]),
    ]);
    assert_eq!(addresses(&inputs), ["10.0.0.1:8000"]);
}

#[test]
fn endpoints_that_end_but_serve_are_used_only_while_none_is_ready() {
    let all = vec![endpoint(1, "serves yet"), endpoint(2, "ends"), endpoint(3, "not ready")];
    assert_eq!(addresses(&inputs(vec![slice(8000, all)])), ["10.0.0.1:8000"]);
    assert!(addresses(&inputs(vec![slice(8000, vec![endpoint(3, "not ready")])])).is_empty());
}

#[test]
fn of_two_families_the_first_is_used_and_the_other_where_it_has_none_that_is_ready() {
    let both =
        || vec![slice(8000, vec![endpoint(1, "ready")]), slice(8000, vec![ipv6(1, "ready")])];
    assert_eq!(addresses(&inputs(both())), ["10.0.0.1:8000"]);
    let mut second = inputs(both());
    change(&mut second, |service| service.prefers_ipv6 = true);
    assert_eq!(addresses(&second), ["[fd00::1]:8000"]);
    let other =
        vec![slice(8000, vec![endpoint(1, "serves yet")]), slice(8000, vec![ipv6(2, "ready")])];
    assert_eq!(addresses(&inputs(other)), ["[fd00::2]:8000"]);
}

#[test]
fn a_headless_service_is_asked_on_any_port() {
    let mut inputs = inputs(vec![slice(8000, vec![endpoint(1, "ready")])]);
    change(&mut inputs, |service| service.kind = ServiceKind::Headless);
    assert_eq!(addresses(&inputs), ["10.0.0.1:8000"]);
    assert_eq!(found(&inputs, 9000)[0].address.port(), 9000);
}

#[test]
fn a_port_that_the_service_lacks_is_named_with_those_that_it_has() {
    let inputs = inputs(vec![slice(8000, vec![endpoint(1, "ready")])]);
    let problem = locate(&reference(8000), "team", &inputs).unwrap_err();
    assert_eq!(problem.reason, Reason::ServicePortNotFound);
    assert!(problem.message.contains("8000 (it has 80)"), "{}", problem.message);
}

#[test]
fn what_is_not_known_is_found_by_name_and_what_is_missing_is_said() {
    let at = |inputs: &Inputs| locate(&reference(80), "team", inputs);
    assert_eq!(at(&Inputs::default()), Ok(Located::ByName));
    let mut without_slices = inputs(Vec::new());
    without_slices.slices.clear();
    assert_eq!(at(&without_slices), Ok(Located::ByName));
    let mut external = inputs(Vec::new());
    change(&mut external, |service| service.kind = ServiceKind::ExternalName);
    assert_eq!(at(&external), Ok(Located::ByName));
    let mut missing = inputs(Vec::new());
    missing.services.values_mut().for_each(|service| *service = None);
    assert_eq!(at(&missing).unwrap_err().reason, Reason::ServiceNotFound);
}

#[test]
fn addresses_that_no_provider_may_have_are_left_out() {
    let metadata = EndpointData { address: [168, 63, 129, 16].into(), ..endpoint(1, "ready") };
    let inputs = inputs(vec![slice(8000, vec![metadata, endpoint(2, "ready")])]);
    assert_eq!(addresses(&inputs), ["10.0.0.2:8000"]);
}

#[test]
fn hints_decide_what_is_near_if_every_endpoint_has_them() {
    let hinted = || vec![in_zone(1, "a", "a"), in_zone(2, "b", "b c"), in_zone(3, "c", "a")];
    assert_eq!(near(Some("a"), hinted()), [true, false, true]);
    assert_eq!(near(Some("c"), hinted()), [false, true, false]);
    // No endpoint is set aside for this zone: where they are decides, and none is here.
    assert_eq!(near(Some("d"), hinted()), [false, false, false]);
    assert_eq!(near(None, hinted()), [false, false, false]);
}

#[test]
fn without_hints_for_all_the_zone_of_an_endpoint_decides() {
    let endpoints = || vec![in_zone(1, "a", "b"), in_zone(2, "b", ""), endpoint(3, "ready")];
    assert_eq!(near(Some("a"), endpoints()), [true, false, false]);
    assert_eq!(near(Some("b"), endpoints()), [false, true, false]);
}
