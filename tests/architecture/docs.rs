//! The documents: their links lead somewhere, their table of metrics is that of the code.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
};

use sluice::api::provider::ProviderType;
use sluice::telemetry::{
    AccessLog, AccountSample, Metrics, Samples, TargetGauges, TargetSample,
    control::ControlMetrics, log::Format, metrics::TargetLabels,
};

/// Written by `make bench`, not kept in step with every change.
const GENERATED: &[&str] = &["docs/benchmarks.md"];

type Table = BTreeMap<String, BTreeSet<String>>;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn markdown_below(path: &Path, found: &mut Vec<PathBuf>) {
    if path.is_dir() {
        for entry in std::fs::read_dir(path).unwrap() {
            markdown_below(&entry.unwrap().path(), found);
        }
    } else if path.extension().is_some_and(|extension| extension == "md") {
        found.push(path.to_owned());
    }
}

#[test]
fn local_links_of_documents_lead_to_files() {
    let mut documents = Vec::new();
    for place in ["README.md", "CHANGELOG.md", "docs", "charts", "config", "examples", "tests"] {
        markdown_below(&root().join(place), &mut documents);
    }
    assert!(documents.len() >= 6, "{documents:?}");
    let mut broken = Vec::new();
    for document in documents {
        let text = std::fs::read_to_string(&document).unwrap();
        for link in links(&text) {
            let folder = document.parent().unwrap();
            let is_generated = GENERATED.iter().any(|file| folder.join(link) == root().join(file));
            if !is_generated && !folder.join(link).exists() {
                broken.push(format!("{}: {link}", document.display()));
            }
        }
    }
    assert!(broken.is_empty(), "{broken:#?}");
}

#[test]
fn the_page_of_providers_has_every_type_with_its_address() {
    let page = std::fs::read_to_string(root().join("docs/reference/providers.md")).unwrap();
    for kind in ProviderType::ALL {
        let name = format!("`{}`", kind.as_str());
        let row = page.lines().find(|line| line.starts_with('|') && line.contains(&name));
        let row = row.unwrap_or_else(|| panic!("no row for {name}"));
        if let Some(endpoint) = kind.default_endpoint() {
            assert!(row.contains(&format!("`{endpoint}`")), "{row}");
        }
    }
}

/// Targets of links to files, without their anchors.
fn links(text: &str) -> Vec<&str> {
    let targets = text.split("](").skip(1).filter_map(|rest| rest.split_once(')'));
    targets
        .map(|(target, _)| target.split('#').next().unwrap_or_default())
        .filter(|target| !target.is_empty() && !target.contains("://"))
        .collect()
}

#[test]
fn links_are_found_without_anchors_and_other_sites() {
    let text = "[a](b.md#c) ![d](e.png) [f](https://example.com) [g](#h) (i)";
    assert_eq!(links(text), ["b.md", "e.png"]);
}

#[test]
fn the_table_of_metrics_is_that_of_the_code() {
    let text = std::fs::read_to_string(root().join("docs/operations.md")).unwrap();
    assert_eq!(documented(&text), registered());
}

/// Rows of the table below the heading `Metrics`: name and labels.
fn documented(text: &str) -> Table {
    let section = text.split("\n## ").find(|section| section.starts_with("Metrics\n")).unwrap();
    let rows = section.lines().filter(|line| line.starts_with("| `"));
    let code = |cell: &str| -> Vec<String> {
        cell.split('`').skip(1).step_by(2).map(str::to_owned).collect()
    };
    rows.map(|row| {
        let cells: Vec<_> = row.trim_matches('|').split('|').collect();
        (code(cells[0]).remove(0), code(cells[1]).into_iter().collect())
    })
    .collect()
}

/// Every metric with its labels; those with labels are known once they have a series.
fn registered() -> Table {
    let metrics = Metrics::new().unwrap();
    let labels = TargetLabels {
        route: ("team", "chat"),
        target: "primary",
        operation: "chat",
        provider: "openai",
        model: "other",
    };
    metrics.target(&labels);
    metrics.count_unretried("team/chat", "primary");
    metrics.count_hedge("team/chat", "primary", "won");
    metrics.count_refusal("team/day", "day");
    let sample = TargetSample {
        provider: "team/openai".into(),
        model: "m".into(),
        healthy: true,
        ejections: 0,
        in_flight: 0,
        first_token: Some(std::time::Duration::from_secs(1)),
    };
    let account = AccountSample { provider: "team/openai".into(), passed_over: 0 };
    let samples = Samples { targets: vec![sample], accounts: vec![account] };
    TargetGauges::register(&metrics.registry, Box::new(move || samples.clone())).unwrap();
    AccessLog::new(Format::Json, &metrics.registry).unwrap();
    let control = ControlMetrics::new(&metrics.registry).unwrap();
    control.objects.with_label_values(&["AIRoute", "true"]);
    control.status_writes.with_label_values(&["written"]);
    control.events.with_label_values(&["sent"]);
    control.watch_errors.with_label_values(&["AIRoute"]);
    for gauge in [&control.budget_used, &control.budget_reserved, &control.budget_limit] {
        gauge.with_label_values(&["team", "day", "day"]);
    }
    let families = metrics.registry.gather();
    let labels = |family: &prometheus::proto::MetricFamily| {
        let pairs = family.get_metric().iter().flat_map(|metric| metric.get_label());
        pairs.map(|pair| pair.name().to_owned()).collect()
    };
    families.iter().map(|family| (family.name().to_owned(), labels(family))).collect()
}
