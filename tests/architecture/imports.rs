//! Who may use whom. The table is the law; the text of `src` is what is measured.

use std::{collections::BTreeMap, path::Path};

use super::rust_files;

/// For each top module: the modules of the crate it may use, and the crates that it must not.
const RULES: &[Rule] = &[
    // A table of data: the enum of the API and what the compiler knows of a type are one row.
    Rule { module: "providers", may_use: &[], never: &["tokio", "hyper", "kube", "serde"] },
    Rule {
        module: "api",
        may_use: &["providers"],
        never: &["tokio", "hyper", "kube::Client", "kube::runtime"],
    },
    Rule {
        module: "snapshot",
        may_use: &["llm", "budget", "price"],
        never: &["kube", "k8s_openapi", "hyper", "tokio"],
    },
    Rule {
        module: "llm",
        may_use: &[],
        never: &[
            "tokio",
            "hyper",
            "kube",
            "k8s_openapi",
            "std::time::Instant",
            "SystemTime",
            "jiff",
        ],
    },
    Rule { module: "budget", may_use: &[], never: &["tokio", "hyper", "kube", "k8s_openapi"] },
    Rule {
        module: "price",
        may_use: &["budget"],
        never: &["tokio", "hyper", "kube", "k8s_openapi"],
    },
    Rule {
        module: "compile",
        may_use: &["api", "providers", "snapshot", "llm", "budget", "price"],
        never: &["tokio", "hyper", "kube", "async fn", ".await"],
    },
    Rule { module: "manifest", may_use: &["api"], never: &["tokio", "hyper", "kube"] },
    Rule { module: "schema", may_use: &["api", "manifest"], never: &["tokio", "hyper"] },
    Rule {
        module: "source",
        may_use: &["api", "compile", "snapshot", "budget", "manifest", "schema", "telemetry"],
        never: &["hyper"],
    },
    Rule {
        module: "controller",
        may_use: &["api", "compile", "snapshot", "budget", "route", "source", "telemetry"],
        never: &["hyper"],
    },
    Rule {
        module: "credential",
        may_use: &["snapshot", "budget"],
        never: &["kube", "k8s_openapi"],
    },
    Rule {
        module: "route",
        may_use: &["snapshot", "llm", "budget"],
        never: &[
            "tokio",
            "hyper",
            "kube",
            "k8s_openapi",
            "SystemTime",
            "Instant::now",
            "Timestamp::now",
            "fastrand",
        ],
    },
    Rule {
        module: "proxy",
        may_use: &["snapshot", "llm", "budget", "telemetry", "credential", "route"],
        never: &["kube", "k8s_openapi"],
    },
    Rule {
        module: "usage",
        may_use: &["budget"],
        never: &["tokio", "hyper", "kube", "k8s_openapi", "Timestamp::now", "std::fs"],
    },
    Rule { module: "state", may_use: &["usage"], never: &["tokio", "hyper", "kube"] },
    Rule {
        module: "telemetry",
        may_use: &["llm", "budget", "snapshot", "usage"],
        never: &["kube", "hyper"],
    },
    Rule {
        module: "admin",
        may_use: &["snapshot", "source", "telemetry", "budget", "llm", "proxy", "route", "usage"],
        never: &["kube", "k8s_openapi"],
    },
    Rule {
        module: "config",
        may_use: &["api", "proxy", "telemetry", "usage"],
        never: &["kube", "hyper", "tokio"],
    },
];

/// Modules that wire the others and may use everything.
const WIRING: &[&str] = &["cli", "runtime", "main", "lib"];

struct Rule {
    module: &'static str,
    may_use: &'static [&'static str],
    never: &'static [&'static str],
}

#[test]
fn every_module_keeps_to_its_dependency_rule() {
    let mut broken = Vec::new();
    for (path, text) in rust_files("src") {
        let module = top_module(&path);
        // Tests may set up what they like.
        if path.ends_with("tests.rs") || path.components().any(|part| part.as_os_str() == "tests") {
            continue;
        }
        if WIRING.contains(&module.as_str()) {
            continue;
        }
        let Some(rule) = RULES.iter().find(|rule| rule.module == module) else {
            broken.push(format!("{}: module {module} has no rule in this table", path.display()));
            continue;
        };
        let code = without_comments_and_tests(&text);
        for used in crate_modules(&code) {
            if used != module && !rule.may_use.contains(&used.as_str()) {
                broken.push(format!("{}: {module} may not use {used}", path.display()));
            }
        }
        for never in rule.never.iter().filter(|never| uses(&code, never)) {
            broken.push(format!("{}: {module} must not use {never}", path.display()));
        }
    }
    assert!(broken.is_empty(), "\n{}", broken.join("\n"));
}

#[test]
fn there_are_no_catch_all_modules() {
    let names = ["utils", "util", "helpers", "helper", "common", "misc", "mod"];
    let found: Vec<_> = rust_files("src")
        .into_iter()
        .filter(|(path, _)| {
            path.file_stem().is_some_and(|stem| names.contains(&stem.to_str().unwrap()))
        })
        .map(|(path, _)| path)
        .collect();
    assert!(found.is_empty(), "{found:?}");
}

#[test]
fn every_file_says_what_it_owns() {
    for directory in ["src", "tests", "benches"] {
        for (path, text) in rust_files(directory) {
            assert!(text.starts_with("//!"), "{} does not open with //!", path.display());
        }
    }
}

#[test]
fn the_scan_sees_paths_imports_and_nested_groups() {
    let code = "use crate::{\n    api::{A, B},\n    llm,\n};\nlet x = crate::budget::Y;\nuse kube::Client;";
    assert_eq!(crate_modules(code), ["api", "budget", "llm"]);
    assert!(uses(code, "kube"));
    assert!(!uses("let kubernetes = 1; // x", "kube"));
    assert!(!without_comments_and_tests("a // kube::x\n#[cfg(test)]\nuse kube;").contains("kube"));
}

fn top_module(path: &Path) -> String {
    let relative = path.strip_prefix("src").unwrap();
    let first = relative.components().next().unwrap().as_os_str().to_str().unwrap();
    first.trim_end_matches(".rs").to_owned()
}

/// Code only: no comments, and nothing from the first test module on (tests stand last).
fn without_comments_and_tests(text: &str) -> String {
    let code = text.split("#[cfg(test)]").next().unwrap_or_default();
    code.lines()
        .map(|line| line.split("//").next().unwrap_or_default())
        .collect::<Vec<_>>()
        .join("\n")
}

/// Modules named by `crate::x` and by `use crate::{x, y::..}`, sorted.
fn crate_modules(code: &str) -> Vec<String> {
    let mut found = BTreeMap::new();
    for (at, _) in code.match_indices("crate::") {
        let rest = &code[at + "crate::".len()..];
        match rest.strip_prefix('{') {
            None => found.insert(identifier(rest), ()),
            Some(group) => {
                for item in top_level_items(group) {
                    found.insert(identifier(item.trim()), ());
                }
                None
            }
        };
    }
    found.into_keys().filter(|name| !name.is_empty()).collect()
}

fn top_level_items(group: &str) -> Vec<&str> {
    let (mut depth, mut start, mut items) = (0, 0, Vec::new());
    for (at, character) in group.char_indices() {
        match character {
            '{' => depth += 1,
            '}' if depth == 0 => {
                items.push(&group[start..at]);
                break;
            }
            '}' => depth -= 1,
            ',' if depth == 0 => {
                items.push(&group[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    items
}

fn identifier(text: &str) -> String {
    text.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect()
}

/// Whether a path or phrase occurs as a whole: `kube` in `kube::Client`, not in `kubernetes`.
fn uses(code: &str, what: &str) -> bool {
    let whole = |c: Option<char>| c.is_none_or(|c| !c.is_alphanumeric() && c != '_');
    let is_crate = what.chars().all(|c| c.is_alphanumeric() || c == '_');
    code.match_indices(what).any(|(at, _)| {
        let after = &code[at + what.len()..];
        whole(code[..at].chars().next_back())
            && whole(after.chars().next())
            && (!is_crate
                || after.starts_with("::")
                || after.trim_start().starts_with(';')
                || what.chars().any(char::is_uppercase))
    })
}
