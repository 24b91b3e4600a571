//! docs/scale.md, made of the figures.

use std::{fmt::Write as _, time::Duration};

use crate::objects::{NAMESPACES, PROVIDERS};

/// What was measured of one size.
pub struct Figures {
    /// Routes.
    pub routes: usize,
    /// Resident bytes that the objects took.
    pub objects: u64,
    /// The same of the snapshot that was compiled of them.
    pub snapshot: u64,
    /// Time of one compilation.
    pub compilation: Duration,
    /// Time of one look-up.
    pub look_up: Duration,
}

/// The longest that compiling the largest configuration may take.
const GOAL: Duration = Duration::from_secs(1);

/// The document.
pub fn write(figures: &[Figures]) -> String {
    let mut text = format!(
        "# Scale\n\n\
         What a configuration of many routes costs. Written by `make bench-scale`; do not edit. Trust the ratios, not the absolute\n\
         figures: they move with the machine.\n\n\
         Each configuration has {PROVIDERS} providers and {NAMESPACES} namespaces, each with an API key and a budget. Every route has two targets,\n\
         a name and a prefix of its own; one of each namespace also has a name that all namespaces have. Look-ups are a third each by these, by callers of all\n\
         namespaces. Everything is compiled again on every change, beside the configuration in use, on a thread that serves no request.\n\n\
         | routes | compile | look-up | against {} routes | memory: objects | memory: snapshot |\n\
         |---|---|---|---|---|---|\n",
        figures.first().map_or(0, |first| first.routes),
    );
    let base = figures.first().map_or(1.0, |first| first.look_up.as_secs_f64());
    for Figures { routes, objects, snapshot, compilation, look_up } in figures {
        let (compilation, nanos) = (compilation.as_secs_f64() * 1e3, look_up.as_nanos());
        let ratio = look_up.as_secs_f64() / base;
        // Writing to a String cannot fail.
        let _ = writeln!(
            text,
            "| {routes} | {compilation:.1} ms | {nanos} ns | {ratio:.2} x | {} | {} |",
            mebibytes(*objects),
            mebibytes(*snapshot)
        );
    }
    let met = figures.last().is_some_and(|largest| largest.compilation < GOAL);
    let _ = writeln!(
        text,
        "\nGoal: the largest compiles in less than {} s: {}.\n\n\
         That the number of routes looked at does not grow with the number of routes is a test, which counts them; what grows in the\n\
         look-up's time is the distance to memory that no cache holds any more. Lengths of patterns do count: each different length of a\n\
         fixed part is one more place to look.",
        GOAL.as_secs(),
        if met { "met" } else { "**missed**" },
    );
    text
}

/// A figure below the smallest that pages can show is left out.
fn mebibytes(bytes: u64) -> String {
    match bytes {
        0..1_048_576 => "< 1 MiB".to_owned(),
        _ => format!("{:.0} MiB", bytes as f64 / 1_048_576.0),
    }
}
