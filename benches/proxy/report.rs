//! Renders the findings as Markdown: goals first, then ratios, then the figures behind them.
//! It must not measure, and it must not name the machine beyond its kind.

mod text;

use std::fmt::Write as _;

use crate::sample::{Findings, Sample, Summary};
use crate::scenario::Scenario;
use crate::target::Name;

/// A figure that all targets have.
struct Row {
    title: &'static str,
    scenario: Scenario,
    figure: fn(&Sample) -> f64,
}

const REQUEST_AT_RATE: Row = Row {
    title: "CPU per request, 0.5 kB, 300 requests/s (us)",
    scenario: Scenario::ChatAtRate,
    figure: |sample| sample.cpu_us,
};
const REQUEST_SATURATED: Row = Row {
    title: "CPU per request, 0.5 kB, saturated (us)",
    scenario: Scenario::ChatSaturated,
    figure: |sample| sample.cpu_us,
};
const PACED_CHUNK: Row = Row {
    title: "CPU per SSE chunk, 20 ms apart (us)",
    scenario: Scenario::PacedStream,
    figure: |sample| sample.cpu_us,
};

const ROWS: [Row; 6] = [
    REQUEST_AT_RATE,
    REQUEST_SATURATED,
    Row {
        title: "Requests/s, 0.5 kB, saturated",
        scenario: Scenario::ChatSaturated,
        figure: |sample| sample.per_second,
    },
    Row {
        title: "CPU per request, 100 kB prompt (us)",
        scenario: Scenario::LongPrompt,
        figure: |sample| sample.cpu_us,
    },
    PACED_CHUNK,
    Row {
        title: "CPU per SSE chunk, in a burst (us)",
        scenario: Scenario::BurstStream,
        figure: |sample| sample.cpu_us,
    },
];

const LATENCIES: [Row; 2] = [
    Row {
        title: "Added latency p50, 300 requests/s (us)",
        scenario: Scenario::ChatAtRate,
        figure: |sample| sample.p50_us,
    },
    Row {
        title: "Added latency p99, 300 requests/s (us)",
        scenario: Scenario::ChatAtRate,
        figure: |sample| sample.p99_us,
    },
];

/// The whole report.
pub fn render(findings: &Findings) -> String {
    let mut out = text::introduction(findings);
    goals(&mut out, findings);
    ratios(&mut out, findings);
    figures(&mut out, findings);
    translation(&mut out, findings);
    if !findings.notes.is_empty() {
        out.push_str("\n## Notes on this run\n\n");
        for note in &findings.notes {
            push(&mut out, format_args!("- {note}\n"));
        }
    }
    out.push_str(text::METHOD);
    out
}

fn goals(out: &mut String, findings: &Findings) {
    let variants = [Name::SluiceQuiet, Name::Sluice].map(Name::title);
    push(out, format_args!("\n## Goals\n\n| goal | bound | {} |\n", variants.join(" | ")));
    out.push_str("|---|---|---|---|\n");
    for (row, bound) in [(REQUEST_SATURATED, 1.6), (REQUEST_AT_RATE, 1.6), (PACED_CHUNK, 1.3)] {
        let title = row.title.trim_end_matches(" (us)");
        push(out, format_args!("| {title} | <= {bound} x bare hyper |"));
        for name in [Name::SluiceQuiet, Name::Sluice] {
            let ratio = ratio(findings, &row, name);
            push(out, format_args!(" {} |", verdict(ratio, bound, " x")));
        }
        out.push('\n');
    }
    out.push_str("| Memory per slow stream | <= 30 kB |");
    for name in [Name::SluiceQuiet, Name::Sluice] {
        let memory = findings.memory.get(&name).map(|memory| memory.per_stream_kb());
        push(out, format_args!(" {} |", verdict(memory, 30.0, " kB")));
    }
    out.push('\n');
}

fn verdict(value: Option<f64>, bound: f64, unit: &str) -> String {
    match value {
        Some(value) if value <= bound => format!("{value:.2}{unit}, met"),
        Some(value) => format!("**{value:.2}{unit}, missed**"),
        None => "not measured".to_owned(),
    }
}

fn ratios(out: &mut String, findings: &Findings) {
    let names: Vec<Name> = proxies(findings).filter(|name| *name != Name::Pass).collect();
    heading(out, "Ratios to the bare hyper pass-through", &names);
    for row in &ROWS {
        let title = row.title.trim_end_matches(" (us)");
        line(out, title, names.iter().map(|name| ratio(findings, row, *name).map(times)));
    }
    for row in &LATENCIES {
        let reference = added(findings, row, Name::Pass);
        let cell = |name: &Name| {
            let added = added(findings, row, *name)?;
            // A difference below zero is noise, and so is every ratio made of it.
            let clear = added > 0.0 && reference? > 0.0;
            Some(if clear { times(added / reference?) } else { "noise".to_owned() })
        };
        line(out, row.title.trim_end_matches(" (us)"), names.iter().map(cell));
    }
    let reference = findings.memory.get(&Name::Pass);
    let cell = |name: &Name| {
        let reference = reference?.per_stream_kb();
        let memory = findings.memory.get(name)?.per_stream_kb();
        (reference > 0.0).then(|| times(memory / reference))
    };
    line(out, "Memory per slow stream", names.iter().map(cell));
}

fn figures(out: &mut String, findings: &Findings) {
    let names: Vec<Name> = findings.names.clone();
    heading(out, "Figures of this run: median (lowest to highest round)", &names);
    for row in &ROWS {
        let cell = |name: &Name| {
            // The mock's own CPU time is nobody's concern.
            let shown = *name != Name::Direct || row.title.starts_with("Requests/s");
            let summary = findings.summary(row.scenario, *name, row.figure);
            summary.filter(|_| shown).map(spread)
        };
        line(out, row.title, names.iter().map(cell));
    }
    for row in &LATENCIES {
        let cell = |name: &Name| match name {
            Name::Direct => {
                let whole = findings.summary(row.scenario, *name, row.figure)?;
                Some(format!("{:.0} in all", whole.median))
            }
            _ => added(findings, row, *name).map(|added| format!("{added:.0}")),
        };
        line(out, row.title, names.iter().map(cell));
    }
    let memory = |name: &Name| findings.memory.get(name);
    let idle = |name: &Name| Some(format!("{:.1}", memory(name)?.idle_kb as f64 / 1024.0));
    line(out, "Memory idle (MiB)", names.iter().map(idle));
    let streams = findings.memory.values().next().map_or(0, |memory| memory.streams);
    let open = |name: &Name| Some(format!("{:.1}", memory(name)?.streams_kb as f64 / 1024.0));
    let title = format!("Memory with {streams} slow streams (MiB)");
    line(out, &title, names.iter().map(open));
    let each = |name: &Name| Some(format!("{:.1}", memory(name)?.per_stream_kb()));
    line(out, "Memory per slow stream (kB)", names.iter().map(each));
}

fn translation(out: &mut String, findings: &Findings) {
    let pairs = [
        ("Request, 0.5 kB, saturated", Scenario::TranslatedChat, REQUEST_SATURATED),
        ("SSE chunk, 20 ms apart", Scenario::TranslatedStream, PACED_CHUNK),
    ];
    let mut rows = String::new();
    for (title, scenario, same) in pairs {
        let name = Name::SluiceQuiet;
        let translated = findings.summary(scenario, name, |sample| sample.cpu_us);
        let same = findings.summary(same.scenario, name, same.figure);
        let (Some(translated), Some(same)) = (translated, same) else { continue };
        let ratio = times(translated.median / same.median);
        push(&mut rows, format_args!("| {title} | {} | {ratio} |\n", spread(translated)));
    }
    if !rows.is_empty() {
        out.push_str("\n## OpenAI clients on an Anthropic provider (Sluice, log discarded)\n\n");
        out.push_str("| | CPU (us) | against the same dialect |\n|---|---|---|\n");
        out.push_str(&rows);
    }
}

fn proxies(findings: &Findings) -> impl Iterator<Item = Name> {
    findings.names.iter().copied().filter(|name| *name != Name::Direct)
}

fn ratio(findings: &Findings, row: &Row, name: Name) -> Option<f64> {
    findings.ratio(row.scenario, (name, Name::Pass), row.figure)
}

fn added(findings: &Findings, row: &Row, name: Name) -> Option<f64> {
    let direct = findings.summary(row.scenario, Name::Direct, row.figure)?.median;
    Some(findings.summary(row.scenario, name, row.figure)?.median - direct)
}

fn heading(out: &mut String, title: &str, names: &[Name]) {
    push(out, format_args!("\n## {title}\n\n| |"));
    for name in names {
        push(out, format_args!(" {} |", name.title()));
    }
    push(out, format_args!("\n|---|{}\n", "---|".repeat(names.len())));
}

fn line(out: &mut String, title: &str, cells: impl Iterator<Item = Option<String>>) {
    push(out, format_args!("| {title} |"));
    for cell in cells {
        push(out, format_args!(" {} |", cell.as_deref().unwrap_or("-")));
    }
    out.push('\n');
}

fn times(value: f64) -> String {
    format!("{value:.2} x")
}

fn spread(summary: Summary) -> String {
    let Summary { median, low, high } = summary;
    let digits = usize::from(median < 1_000.0);
    if low == high {
        return format!("{median:.digits$}");
    }
    format!("{median:.digits$} ({low:.digits$} to {high:.digits$})")
}

fn push(out: &mut String, arguments: std::fmt::Arguments<'_>) {
    // Writing to a string cannot fail.
    let _ = out.write_fmt(arguments);
}
