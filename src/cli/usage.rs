//! `sluice usage`: what requests have used, asked of a gateway's admin port or read from its state
//! folder.

mod ask;
mod text;

use std::{path::PathBuf, process::ExitCode};

use jiff::Timestamp;

use crate::{
    state,
    usage::{Dimension, Query, Report, Rollup, Step},
};

use super::output;

/// Arguments of `sluice usage`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// A row for each combination of these: consumer, app, team, environment, route, provider, model,
    /// namespace, endpoint. Without it one row.
    #[arg(long, value_name = "DIMENSION,...", value_delimiter = ',')]
    by: Vec<Dimension>,
    /// From when on: how long ago (12h, 7d), a day (2026-01-31) or a time (2026-01-31T12:00:00Z).
    #[arg(long, value_name = "TIME", default_value = "7d")]
    since: String,
    /// Until when, likewise; now, if omitted.
    #[arg(long, value_name = "TIME")]
    until: Option<String>,
    /// How time is cut: total, hour or day, of UTC.
    #[arg(long, value_name = "STEP", default_value_t)]
    step: Step,
    /// How it is printed.
    #[arg(long, default_value = "table")]
    output: Output,
    /// The admin port of a gateway.
    #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:9090")]
    url: http::Uri,
    /// A file with the token of the admin port, the one of its admin.tokenFile.
    #[arg(long, value_name = "FILE")]
    token_file: Option<PathBuf>,
    /// Read the state folder of a gateway instead, whether it runs or not.
    #[arg(long, value_name = "DIR", conflicts_with_all = ["url", "token_file"])]
    state_dir: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum Output {
    Table,
    Json,
    Csv,
    Yaml,
}

pub(super) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let by: Vec<_> = args.by.iter().map(|dimension| dimension.as_str()).collect();
    let by = by.join(",");
    let mut parameters =
        vec![("by", by.as_str()), ("since", &args.since), ("step", args.step.as_str())];
    parameters.extend(args.until.as_deref().map(|until| ("until", until)));
    // Refused here in the words of the command line, before anything is asked.
    let now = Timestamp::now();
    let query = Query::parse(parameters.iter().copied(), now)?;
    let report = match &args.state_dir {
        Some(folder) => kept(folder, &query, now)?,
        None => ask::report(&args.url, args.token_file.as_deref(), &parameters)?,
    };
    match args.output {
        Output::Table => output::Output::Table.print(&report, text::table)?,
        Output::Csv => output::Output::Table.print(&report, text::csv)?,
        Output::Json => output::Output::Json.print(&report, text::table)?,
        Output::Yaml => output::Output::Yaml.print(&report, text::table)?,
    }
    Ok(ExitCode::SUCCESS)
}

/// What a state folder holds.
fn kept(folder: &std::path::Path, query: &Query, now: Timestamp) -> anyhow::Result<Report> {
    let saved = state::read(folder, now)?;
    anyhow::ensure!(
        saved.since < now.as_second() || !saved.kept.is_empty(),
        "{} holds no usage: name the folder that a gateway was started with (--state-dir)",
        folder.display()
    );
    let rollup = Rollup::new(now);
    rollup.restore(now, saved);
    let report = rollup.report(query, now)?;
    Ok(Report {
        replica: folder.display().to_string(),
        covers: "the gateway of this state folder, without what it has not written yet".to_owned(),
        ..report
    })
}
