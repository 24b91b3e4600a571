//! The command line: one file per subcommand below this one.
//!
//! Only here is anything printed to standard output.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a command line prints")]

mod check;
mod cluster;
mod crds;
mod explain;
mod keys;
mod output;
mod prices;
mod run;
mod usage;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Exit code of a command that ran and found mistakes.
const FOUND_MISTAKES: u8 = 1;
/// Exit code of a command that could not run.
const FAILED: u8 = 2;

/// A Kubernetes-native AI gateway.
#[derive(Debug, Parser)]
#[command(name = "sluice", version, about, propagate_version = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Serve traffic: in a cluster, or from a folder of manifests.
    Run(run::Args),
    /// Check manifests offline: schema, rules, and references among them.
    Check(check::Args),
    /// Say where a request would go, and why not elsewhere.
    Explain(explain::Args),
    /// Print the CustomResourceDefinitions.
    Crds(crds::Args),
    /// Make API keys.
    #[command(subcommand)]
    Keys(keys::Command),
    /// Print what models cost, and who says so.
    Prices(prices::Args),
    /// Say what requests have used, by whom and for what.
    Usage(usage::Args),
}

/// Runs the command that the arguments name.
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    let outcome = match cli.command {
        Command::Run(args) => run::run(&args),
        Command::Check(args) => check::run(&args),
        Command::Explain(args) => explain::run(&args),
        Command::Crds(args) => crds::run(&args),
        Command::Keys(command) => keys::run(&command),
        Command::Prices(args) => prices::run(&args),
        Command::Usage(args) => usage::run(&args),
    };
    outcome.unwrap_or_else(|error| {
        eprintln!("sluice: {error:#}");
        ExitCode::from(FAILED)
    })
}
