//! `helm lint` and `helm template`: no server.
use serde_json::Value;

use crate::cluster::{Offline, Output};
use crate::source;

fn template(offline: &Offline, settings: &[&str]) -> Output {
    let chart = source("charts/sluice");
    let mut args = vec!["template", "sluice", &chart, "--namespace", "sluice-system"];
    args.extend(["--kube-version", "1.33"]);
    for setting in settings {
        args.extend(["--set-json", setting]);
    }
    offline.helm(&args)
}

/// The rendered objects.
fn objects(output: &Output) -> Vec<Value> {
    let documents = output.expect_success().split("\n---\n");
    documents
        .map(|text| serde_yaml::from_str::<Value>(text).expect("the chart renders YAML"))
        .filter(|object| !object.is_null())
        .collect()
}

fn find<'a>(objects: &'a [Value], kind: &str, name: &str) -> Option<&'a Value> {
    objects.iter().find(|object| object["kind"] == kind && object["metadata"]["name"] == name)
}

#[track_caller]
fn get<'a>(objects: &'a [Value], kind: &str, name: &str) -> &'a Value {
    find(objects, kind, name).unwrap_or_else(|| panic!("no {kind} {name}"))
}

#[test]
fn lint_finds_nothing() {
    let offline = Offline::new();
    let output = offline.helm(&["lint", "--strict", &source("charts/sluice")]);
    let text = output.expect_success();
    assert!(!text.contains("[WARNING]") && !text.contains("[ERROR]"), "{text}");
}

#[test]
fn values_that_cannot_work_are_refused_with_what_to_write() {
    let offline = Offline::new();
    let cases = [
        // a typing mistake
        ("replicas=3", "replicas"),
        ("image.tagg=\"1\"", "tagg"),
        // ill-typed
        ("replicaCount=\"three\"", "want integer"),
        ("image.pullPolicy=\"Sometimes\"", "pullPolicy"),
        ("image.digest=\"abc\"", "digest"),
        ("service.port=70000", "65,535"),
        ("serviceAccount={\"create\":false,\"name\":\"\"}", "serviceAccount"),
        ("config.watch.namespaces=[\"Team_A\"]", "namespaces"),
        ("config.listeners=[{\"address\":\"0.0.0.0\"}]", "address"),
        ("config.limits.drain=\"soon\"", "drain"),
        // mistakes across values
        ("config.limits.drain=\"60s\"", "write 75 or more"),
        ("config.limits.drain=\"1m\"", "write 75 or more"),
        ("preStopSleepSeconds=20", "write 60 or more"),
        ("preStopSleepSeconds=-1", "preStopSleepSeconds"),
        ("tls.secretName=\"cert\"", "add to config.listeners"),
        ("config.admin.address=\"127.0.0.1:9090\"", "write 0.0.0.0:9090"),
    ];
    for (setting, says) in cases {
        let output = template(&offline, &[setting]);
        let message = output.expect_failure();
        assert!(message.contains(says), "{setting}: {says:?} is not in {message}");
    }
}

#[test]
fn a_pod_leaves_the_endpoints_before_its_listeners_close() {
    let offline = Offline::new();
    let lifecycle = |settings: &[&str]| {
        let objects = objects(&template(&offline, settings));
        let pod = &get(&objects, "Deployment", "sluice")["spec"]["template"]["spec"];
        pod["containers"][0]["lifecycle"].clone()
    };
    assert_eq!(lifecycle(&[])["preStop"]["sleep"]["seconds"], 5);
    assert_eq!(lifecycle(&["preStopSleepSeconds=0"]), Value::Null);
}

#[test]
fn pods_meet_the_restricted_pod_security_level() {
    let objects = objects(&template(&Offline::new(), &[]));
    let pod = &get(&objects, "Deployment", "sluice")["spec"]["template"]["spec"];
    let container = &pod["containers"][0];
    assert_eq!(pod["securityContext"]["runAsNonRoot"], true);
    assert_eq!(pod["securityContext"]["runAsUser"], 65532);
    assert_eq!(pod["securityContext"]["seccompProfile"]["type"], "RuntimeDefault");
    assert_eq!(container["securityContext"]["readOnlyRootFilesystem"], true);
    assert_eq!(container["securityContext"]["allowPrivilegeEscalation"], false);
    assert_eq!(container["securityContext"]["capabilities"]["drop"][0], "ALL");
    assert_eq!(container["readinessProbe"]["httpGet"]["path"], "/readyz");
    assert_eq!(container["livenessProbe"]["httpGet"]["path"], "/healthz");
    assert_eq!(
        container["args"],
        serde_json::json!(["run", "--config", "/etc/sluice/sluice.yaml"])
    );
}

#[test]
fn config_reaches_the_file_verbatim() {
    let settings = ["config.limits.maxBodySize=\"64Mi\"", "config.gateway={\"name\":\"edge\"}"];
    let objects = objects(&template(&Offline::new(), &settings));
    let file = get(&objects, "ConfigMap", "sluice")["data"]["sluice.yaml"].as_str().unwrap();
    let config: Value = serde_yaml::from_str(file).unwrap();
    assert_eq!(config["limits"], serde_json::json!({"drain": "30s", "maxBodySize": "64Mi"}));
    assert_eq!(config["gateway"]["name"], "edge");
}

#[test]
fn a_changed_config_makes_new_pods() {
    let offline = Offline::new();
    let [before, after] = [vec![], vec!["config.limits.drain=\"20s\""]].map(|settings| {
        let objects = objects(&template(&offline, &settings));
        let pod = &get(&objects, "Deployment", "sluice")["spec"]["template"];
        pod["metadata"]["annotations"]["checksum/config"].clone()
    });
    assert!(before.is_string());
    assert_ne!(before, after);
}

#[test]
fn listed_namespaces_get_roles_and_no_cluster_wide_secrets() {
    let settings = ["config.watch.namespaces=[\"team-a\",\"team-b\"]"];
    let objects = objects(&template(&Offline::new(), &settings));
    let cluster = get(&objects, "ClusterRole", "sluice-system-sluice");
    assert_eq!(cluster["rules"].as_array().unwrap().len(), 1, "{cluster}");
    assert_eq!(cluster["rules"][0]["resources"], serde_json::json!(["namespaces"]));
    for namespace in ["team-a", "team-b"] {
        let role = objects.iter().find(|object| {
            object["kind"] == "Role" && object["metadata"]["namespace"] == namespace
        });
        assert!(role.unwrap()["rules"].to_string().contains("secrets"));
    }
}

#[test]
fn config_maps_are_read_in_the_gateways_own_namespace_alone() {
    for settings in [&[][..], &["config.watch.namespaces=[\"team-a\"]"]] {
        let objects = objects(&template(&Offline::new(), settings));
        let reads =
            |object: &&serde_json::Value| object["rules"].to_string().contains("configmaps");
        let roles: Vec<_> = objects.iter().filter(reads).collect();
        assert_eq!(roles.len(), 1, "{roles:?}");
        assert_eq!(roles[0]["kind"], "Role");
        assert_eq!(roles[0]["metadata"]["namespace"], "sluice-system");
        let verbs = serde_json::json!(["get", "list", "watch"]);
        assert_eq!(roles[0]["rules"][0]["verbs"], verbs);
    }
}

#[test]
fn no_rule_has_a_wildcard_and_none_writes_secrets_or_services() {
    let objects = objects(&template(&Offline::new(), &[]));
    let roles = objects.iter().filter(|object| {
        object["kind"].as_str().is_some_and(|kind| kind == "Role" || kind == "ClusterRole")
    });
    for rule in roles.flat_map(|role| role["rules"].as_array().unwrap()) {
        assert!(!rule.to_string().contains('*'), "{rule}");
        let reads = ["secrets", "services", "endpointslices"];
        if reads.iter().any(|kind| rule["resources"].to_string().contains(kind)) {
            assert_eq!(rule["verbs"], serde_json::json!(["get", "list", "watch"]));
        }
    }
}

#[test]
fn optional_objects_come_with_their_switch() {
    let offline = Offline::new();
    let plain = objects(&template(&offline, &[]));
    for kind in ["PodDisruptionBudget", "ServiceMonitor", "NetworkPolicy"] {
        assert!(find(&plain, kind, "sluice").is_none(), "{kind}");
    }
    let settings = [
        "replicaCount=2",
        "metrics.serviceMonitor.enabled=true",
        "networkPolicy={\"enabled\":true,\"clients\":[{\"namespaceSelector\":{}}]}",
    ];
    let full = objects(&template(&offline, &settings));
    for kind in ["PodDisruptionBudget", "ServiceMonitor", "NetworkPolicy"] {
        get(&full, kind, "sluice");
    }
}

#[test]
fn tls_is_mounted_and_published() {
    let listeners = "config.listeners=[{\"address\":\"0.0.0.0:8080\"},{\"address\":\"0.0.0.0:8443\",\
        \"tls\":{\"certFile\":\"/etc/sluice-tls/tls.crt\",\"keyFile\":\"/etc/sluice-tls/tls.key\"}}]";
    let objects = objects(&template(&Offline::new(), &["tls.secretName=\"cert\"", listeners]));
    let ports = &get(&objects, "Service", "sluice")["spec"]["ports"];
    assert_eq!(ports[1]["port"], 8443);
    let pod = &get(&objects, "Deployment", "sluice")["spec"]["template"]["spec"];
    assert_eq!(pod["containers"][0]["ports"][1]["containerPort"], 8443);
    assert_eq!(pod["volumes"][0]["secret"]["secretName"], "cert");
}

#[test]
fn a_digest_wins_over_the_tag() {
    let digest = format!("sha256:{}", "0".repeat(64));
    let setting = format!("image.digest=\"{digest}\"");
    let objects = objects(&template(&Offline::new(), &[&setting, "image.tag=\"1\""]));
    let pod = &get(&objects, "Deployment", "sluice")["spec"]["template"]["spec"];
    let image = pod["containers"][0]["image"].as_str().unwrap();
    assert!(image.ends_with(&format!("sluice@{digest}")), "{image}");
}

#[test]
fn crds_are_rendered_as_generated_and_kept_on_demand() {
    let offline = Offline::new();
    for (settings, kept) in [(vec![], true), (vec!["crds.keep=false"], false)] {
        let objects = objects(&template(&offline, &settings));
        for file in std::fs::read_dir(source("crds")).unwrap() {
            let text = std::fs::read_to_string(file.unwrap().path()).unwrap();
            let wanted: Value = serde_yaml::from_str(&text).unwrap();
            let name = wanted["metadata"]["name"].as_str().unwrap();
            let rendered = get(&objects, "CustomResourceDefinition", name);
            assert_eq!(rendered["spec"], wanted["spec"], "{name}");
            let policy = &rendered["metadata"]["annotations"]["helm.sh/resource-policy"];
            assert_eq!(*policy == "keep", kept, "{name}");
        }
    }
    let none = objects(&template(&offline, &["crds.install=false"]));
    assert!(!none.iter().any(|object| object["kind"] == "CustomResourceDefinition"));
}
