//! The benchmark `proxy`: what Sluice costs next to nginx and to a bare hyper pass-through.
//! Owns the command line and picks the role: the driver, or one of the two programs that the
//! driver starts from this same binary (`mock`, `pass`). It must not measure anything itself.

mod client;
mod cpu;
mod driver;
mod load;
mod mock;
mod pass;
mod process;
mod report;
mod sample;
mod scenario;
mod target;

use std::io::Write as _;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Measures proxies side by side and writes the result as ratios.
#[derive(Debug, Parser)]
#[command(name = "proxy")]
struct Args {
    /// File for the report; standard output when absent.
    #[arg(long)]
    output: Option<PathBuf>,
    /// About half a minute, one round: a smoke run whose figures mean little.
    #[arg(long)]
    quick: bool,
    /// Targets to measure; all that are installed when absent.
    #[arg(long, value_delimiter = ',')]
    only: Vec<target::Kind>,
    /// Rounds over all scenarios, 1 to 20; the report shows the medians.
    #[arg(long, value_parser = clap::value_parser!(u16).range(1..=20))]
    rounds: Option<u16>,
    /// The Sluice binary to measure.
    #[arg(long, default_value = env!("CARGO_BIN_EXE_sluice"), hide_default_value = true)]
    sluice: PathBuf,
    /// Passed by `cargo bench`.
    #[arg(long, hide = true)]
    bench: bool,
    #[command(subcommand)]
    role: Option<Role>,
}

/// Programs that the driver starts for itself.
#[derive(Debug, Subcommand)]
enum Role {
    /// The mock upstream.
    #[command(hide = true)]
    Mock { listen: SocketAddr },
    /// The bare pass-through, the reference of every ratio.
    #[command(hide = true)]
    Pass { listen: SocketAddr, upstream: SocketAddr },
}

fn main() -> ExitCode {
    if std::env::args_os().len() == 1 {
        // `cargo test --all-targets` starts benches without arguments: that must cost nothing.
        return finish(say("nothing measured: use `make bench`, or pass --quick or --bench"));
    }
    let args = Args::parse();
    finish(match args.role {
        Some(Role::Mock { listen }) => mock::run(listen),
        Some(Role::Pass { listen, upstream }) => pass::run(listen, upstream),
        None => driver::run(&driver::Options {
            output: args.output,
            quick: args.quick,
            only: args.only,
            rounds: args.rounds,
            sluice: args.sluice,
        }),
    })
}

fn finish(outcome: anyhow::Result<()>) -> ExitCode {
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Standard error may be closed; the exit code still tells.
            let _ = say(&format!("error: {error:#}"));
            ExitCode::FAILURE
        }
    }
}

/// Writes one line of progress to standard error.
fn say(line: &str) -> anyhow::Result<()> {
    Ok(writeln!(std::io::stderr(), "{line}")?)
}
