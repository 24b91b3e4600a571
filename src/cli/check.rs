//! `sluice check`: the verdict on manifests without a cluster.

use std::{collections::BTreeSet, fmt::Write as _, path::PathBuf, process::ExitCode};

use anyhow::Context as _;
use serde::Serialize;

use crate::{
    api::{GROUP, condition::Reason},
    compile::{self, Compiled, Problem, Settings},
    source::directory::{self, Listing},
};

use super::{FOUND_MISTAKES, output::Output};

/// Arguments of `sluice check`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Files, folders with everything below them, and - for the standard input.
    #[arg(required = true, value_name = "PATH")]
    paths: Vec<PathBuf>,
    /// Count warnings as mistakes.
    #[arg(long)]
    strict: bool,
    /// How findings are printed.
    #[arg(long, default_value = "table")]
    output: Output,
}

/// One finding.
#[derive(Debug, Eq, Ord, PartialEq, PartialOrd, Serialize)]
struct Finding {
    severity: Severity,
    message: String,
}

#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(rename_all = "lowercase")]
enum Severity {
    Error,
    Warning,
}

pub(super) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    for path in args.paths.iter().filter(|path| path.as_os_str() != directory::STDIN) {
        std::fs::metadata(path).with_context(|| format!("cannot read {}", path.display()))?;
    }
    // A variable that is set only where the manifests run is no mistake of theirs.
    let environment = |name: &str| Some(std::env::var(name).unwrap_or_else(|_| "unset".into()));
    let mut listing = directory::list(&args.paths, environment)?;
    listing.inputs.settings = Settings { allow_loopback: true, ..Settings::default() };
    let mut findings = findings(&listing);
    findings.extend(own_machine(&mut listing));
    args.output.print(&findings, |findings| table(findings, listing.objects()))?;
    let failed = findings.iter().any(|finding| args.strict || finding.severity == Severity::Error);
    Ok(if failed { ExitCode::from(FOUND_MISTAKES) } else { ExitCode::SUCCESS })
}

fn findings(listing: &Listing) -> BTreeSet<Finding> {
    let error = |message: String| Finding { severity: Severity::Error, message };
    let mut findings: BTreeSet<_> = listing.mistakes.iter().cloned().map(error).collect();
    findings.extend(listing.skipped.iter().map(|message| Finding {
        severity: Severity::Warning,
        message: format!("{message} (skipped: it does not mention {GROUP})"),
    }));
    let Compiled { verdicts, notes, price_notes, .. } = compile::compile(&listing.inputs);
    for (key, verdict) in &verdicts {
        let origin = listing.origin(key.kind.as_str(), &key.name).unwrap_or("?");
        let mut add = |severity, message: &str| {
            findings.insert(Finding { severity, message: format!("{origin}: {key}: {message}") });
        };
        let readable = is_readable(listing, key);
        for problem in verdict.problems().filter(|_| readable) {
            match problem.reason {
                // Said of the provider itself already.
                Reason::ProviderNotReady => {}
                Reason::SecretNotFound | Reason::ProviderNotFound => {
                    let message = format!("{} (or it exists elsewhere)", problem.message);
                    add(Severity::Warning, &message);
                }
                _ => add(Severity::Error, &drawn(problem)),
            }
        }
        for warning in &verdict.warnings {
            add(Severity::Warning, warning);
        }
    }
    for (name, note) in &notes {
        let origin = listing.origin("Secret", name).unwrap_or("?");
        findings.insert(error(format!("{origin}: Secret {name}: {note}")));
    }
    for (name, note) in &price_notes {
        let origin = listing.origin("ConfigMap", name).unwrap_or("?");
        let finding = |severity, message: &String| Finding {
            severity,
            message: format!("{origin}: ConfigMap {name}: {message}"),
        };
        findings.extend(note.mistakes.iter().map(|message| finding(Severity::Error, message)));
        findings.extend(note.warnings.iter().map(|message| finding(Severity::Warning, message)));
    }
    findings
}

/// The message, and what it is about below it.
fn drawn(problem: &Problem) -> String {
    let lines = problem.excerpt.iter().flat_map(|excerpt| excerpt.lines());
    lines.fold(problem.message.clone(), |text, line| text + "\n         " + line)
}

/// Providers on the gateway's own machine: right for a folder, refused in a cluster.
fn own_machine(listing: &mut Listing) -> Vec<Finding> {
    let accepted = compile::compile(&listing.inputs).verdicts;
    listing.inputs.settings.allow_loopback = false;
    let refused = compile::compile(&listing.inputs).verdicts;
    let mut findings = Vec::new();
    for (key, verdict) in &refused {
        let before = accepted.get(key).map_or(0, |verdict| verdict.errors.len());
        let origin = listing.origin(key.kind.as_str(), &key.name).unwrap_or("?");
        findings.extend(verdict.errors.iter().skip(before).map(|problem| Finding {
            severity: Severity::Warning,
            message: format!("{origin}: {key}: in a cluster: {}", problem.message),
        }));
    }
    findings
}

/// Whether the object's spec passed its schema; what did not is among the listing's mistakes.
fn is_readable(listing: &Listing, key: &compile::ObjectKey) -> bool {
    let inputs = &listing.inputs;
    match key.kind {
        compile::Kind::Provider => inputs.providers.get(&key.name).is_some_and(|o| o.spec.is_ok()),
        compile::Kind::Route => inputs.routes.get(&key.name).is_some_and(|o| o.spec.is_ok()),
        compile::Kind::Budget => inputs.budgets.get(&key.name).is_some_and(|o| o.spec.is_ok()),
    }
}

fn table(findings: &BTreeSet<Finding>, objects: usize) -> String {
    let mut table = String::new();
    for Finding { severity, message } in findings {
        let severity = match severity {
            Severity::Error => "error  ",
            Severity::Warning => "warning",
        };
        let _ = writeln!(table, "{severity}  {message}");
    }
    let count = |severity| findings.iter().filter(|f| f.severity == severity).count();
    let (errors, warnings) = (count(Severity::Error), count(Severity::Warning));
    let _ = writeln!(table, "{objects} objects, {errors} errors, {warnings} warnings");
    table
}
