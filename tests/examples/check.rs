//! `sluice check` as a repository's CI runs it: what it reads, what it leaves alone, how it ends.

use std::process::Command;

use crate::cluster::{Output, TempDir, run};

const ROUTE: &str = "apiVersion: sluice.dev/v1alpha1\nkind: AIRoute\nmetadata: {name: r}\nspec:\n  \
                     models: [a]\n  rules: [{targets: [{providerRef: {name: p}}]}]\n";
const PROVIDER: &str = r#"{"apiVersion": "v1", "kind": "List", "items": [{"apiVersion": "sluice.dev/v1alpha1",
    "kind": "AIProvider", "metadata": {"name": "p"}, "spec": {"type": "Mock"}}]}"#;

fn check(args: &[&str], stdin: &str) -> Output {
    run(Command::new(env!("CARGO_BIN_EXE_sluice")).arg("check").args(args), stdin)
}

fn write(root: &TempDir, name: &str, text: &str) -> String {
    let path = root.path().join(name);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(&path, text).unwrap();
    path.display().to_string()
}

#[test]
fn what_belongs_to_other_tools_is_no_mistake() {
    let root = TempDir::new("check");
    write(&root, "app/route.yaml", ROUTE);
    write(&root, "app/provider.json", PROVIDER);
    write(&root, "app/kustomization.yaml", "resources: [route.yaml]\n");
    write(&root, "app/patch.yaml", "- {op: replace, path: /spec/replicas, value: 3}\n");
    write(&root, "app/deployment.yaml", "apiVersion: apps/v1\nkind: Deployment\nspec: {x: 1}\n");
    write(&root, "chart/Chart.yaml", "apiVersion: v2\nname: x\nversion: 1.0.0\n");
    write(&root, "chart/values.yaml", "replicas: 2\n");
    write(&root, "README.md", "# {{ not a manifest\n");
    let folder = root.path().display().to_string();
    let output = check(&["--strict", &folder], "");
    assert_eq!(output.expect_success(), "2 objects, 0 errors, 0 warnings\n");
    // A file that is named, and stands in a named folder too, is read once.
    let route = format!("{folder}/app/route.yaml");
    assert!(check(&["--strict", &route, &folder], "").expect_success().starts_with("2 objects"));
}

#[test]
fn templates_are_a_mistake_only_where_they_make_objects_of_ours() {
    let root = TempDir::new("check");
    let folder = root.path().display().to_string();
    write(&root, "templates/other.yaml", "{{- if .x }}\nkind: ConfigMap\n{{- end }}\n");
    assert!(check(&[&folder], "").expect_success().contains("warning  "));
    write(&root, "templates/ours.yaml", &format!("{{{{- if .x }}}}\n{ROUTE}{{{{- end }}}}\n"));
    let output = check(&[&folder], "");
    output.expect_failure();
    assert!(output.stdout.contains("ours.yaml:1:"), "{}", output.stdout);
    assert!(output.stdout.contains("render it first"), "{}", output.stdout);
}

#[test]
fn standard_input_is_read_as_yaml_or_json() {
    assert!(check(&["-"], PROVIDER).expect_success().starts_with("1 objects, 0 errors"));
    let both = format!("{ROUTE}---\n{PROVIDER}");
    assert!(check(&["--strict", "-"], &both).expect_success().starts_with("2 objects"));
    let output = check(&["-"], &ROUTE.replace("models", "model"));
    output.expect_failure();
    assert!(output.stdout.contains("stdin:5: unknown field \"spec.model\""), "{}", output.stdout);
}

#[test]
fn a_provider_on_the_own_machine_is_right_for_a_folder_and_wrong_in_a_cluster() {
    let provider = "apiVersion: sluice.dev/v1alpha1\nkind: AIProvider\nmetadata: {name: p}\n\
                    spec: {type: Ollama}\n";
    let output = check(&["-"], provider);
    assert!(output.expect_success().contains("in a cluster: endpoint"), "{}", output.stdout);
    check(&["--strict", "-"], provider).expect_failure();
}

#[test]
fn a_key_is_not_made_for_a_name_that_no_api_server_takes() {
    let sluice = || Command::new(env!("CARGO_BIN_EXE_sluice"));
    let output = run(sluice().args(["keys", "create", "Not A Name"]), "");
    assert!(output.expect_failure().contains("metadata.name"), "{}", output.stderr);
    assert_eq!(output.stdout, "");
    let output = run(sluice().args(["keys", "create", "app", "--team", "search"]), "");
    assert!(check(&["--strict", "-"], output.expect_success()).expect_success().contains("1 obj"));
}

#[test]
fn mistakes_in_config_maps_with_prices_are_found_and_other_config_maps_left_alone() {
    let map = |labels: &str, price: &str| {
        format!(
            "apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: m, namespace: sluice-system{labels}}}\n\
             data:\n  prices.yaml: |\n    prices: [{{provider: Mock, models: [{{name: m, pricing: \
             {{input: {price}, output: '1'}}}}]}}]\n"
        )
    };
    let labels = ", labels: {sluice.dev/prices: ''}";
    assert!(
        check(&["--strict", "-"], &map(labels, "'1'")).expect_success().starts_with("1 objects")
    );
    assert!(check(&["--strict", "-"], &map("", "1")).expect_success().starts_with("0 objects"));
    let output = check(&["-"], &map(labels, "1"));
    output.expect_failure();
    let expected = "error    stdin:1: ConfigMap sluice-system/m: prices[0].models[0]: invalid type";
    assert!(output.stdout.contains(expected), "{}", output.stdout);
    let elsewhere = map(labels, "'1'").replace("sluice-system", "team");
    let output = check(&["-"], &elsewhere);
    output.expect_failure();
    assert!(output.stdout.contains("the gateway's own namespace"), "{}", output.stdout);
}

#[test]
fn a_mistaken_condition_is_drawn_with_its_place() {
    let rules = "[{name: long, when: request.inputTokns > 5, targets: [{providerRef: {name: p}}]}]";
    let route = ROUTE.replace("[{targets: [{providerRef: {name: p}}]}]", rules);
    let output = check(&["-"], &format!("{route}---\n{PROVIDER}"));
    output.expect_failure();
    let drawn = "         request.inputTokns > 5\n                 ^\n";
    assert!(output.stdout.contains("when of rule \"long\", 1:9: "), "{}", output.stdout);
    assert!(output.stdout.contains(drawn), "{}", output.stdout);
}
