//! The benchmark `scale`: what a configuration of many routes costs to compile, to hold and to look
//! routes up in. Owns its objects and its report; it serves nothing.

mod objects;
mod report;

use std::{
    hint::black_box,
    io::Write as _,
    path::PathBuf,
    process::ExitCode,
    sync::Arc,
    time::{Duration, Instant},
};

use clap::Parser;
use sluice::{
    compile::{Inputs, compile},
    llm::Endpoint,
    snapshot::{Consumer, Snapshot, Sought},
};

use objects::{NAMESPACES, inputs};
use report::{Figures, write};

#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

/// Measures compilation and look-up.
#[derive(Debug, Parser)]
#[command(name = "scale")]
struct Args {
    /// File for the report; standard output when absent.
    #[arg(long)]
    output: Option<PathBuf>,
    /// Passed by `cargo bench`.
    #[arg(long, hide = true)]
    bench: bool,
}

/// Sizes that are compared, in routes.
const SIZES: [usize; 3] = [10, 1_000, 10_000];
/// Compilations of each size; the median counts.
const COMPILATIONS: usize = 7;
/// Look-ups in each of [`ROUNDS`] rounds; the median counts.
const LOOK_UPS: usize = 200_000;
const ROUNDS: usize = 9;

fn main() -> ExitCode {
    if std::env::args_os().len() == 1 {
        // `cargo test --all-targets` starts benches without arguments: that must cost nothing.
        let _ = writeln!(std::io::stderr(), "nothing measured: use `make bench-scale`");
        return ExitCode::SUCCESS;
    }
    match run(&Args::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(std::io::stderr(), "error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(args: &Args) -> anyhow::Result<()> {
    let mut figures = Vec::new();
    for routes in SIZES {
        figures.push(measure(routes)?);
    }
    let text = write(&figures);
    match &args.output {
        Some(path) => std::fs::write(path, text)?,
        None => std::io::stdout().write_all(text.as_bytes())?,
    }
    Ok(())
}

fn measure(routes: usize) -> anyhow::Result<Figures> {
    let before = resident()?;
    let inputs = inputs(routes)?;
    let objects = resident()?.saturating_sub(before);
    // The first one is what a process holds; the others run beside it, as a reload does.
    let held = Arc::new(compiled(&inputs)?);
    let snapshot = resident()?.saturating_sub(before).saturating_sub(objects);
    let compilation = median((0..COMPILATIONS).map(|_| {
        let started = Instant::now();
        black_box(compile(&inputs));
        started.elapsed()
    }));
    Ok(Figures { routes, objects, snapshot, compilation, look_up: look_up(&held, routes)? })
}

/// Every object must be fine, or else the figures would be of something else.
fn compiled(inputs: &Inputs) -> anyhow::Result<Snapshot> {
    let compiled = compile(inputs);
    let broken = compiled.verdicts.iter().find(|(_, verdict)| !verdict.is_ready());
    anyhow::ensure!(broken.is_none(), "an object is broken: {broken:?}");
    Ok(compiled.snapshot)
}

/// Time of one look-up: a third each by the route's own name, by a name that every namespace has, and
/// by a prefix.
fn look_up(snapshot: &Snapshot, routes: usize) -> anyhow::Result<Duration> {
    let consumers: Vec<Arc<Consumer>> = (0..NAMESPACES)
        .filter_map(|number| snapshot.consumers.get(objects::key(number).as_bytes()).cloned())
        .collect();
    anyhow::ensure!(consumers.len() == NAMESPACES, "a consumer is missing");
    let asked: Vec<_> = (0..1_000)
        .map(|number| {
            let route = fastrand::usize(..routes);
            let model = match number % 3 {
                0 => format!("model-{route}"),
                1 => "chat".to_owned(),
                _ => format!("family-{route}-large"),
            };
            (model, &consumers[route % NAMESPACES])
        })
        .collect();
    let missing = asked.iter().find(|(model, consumer)| find(snapshot, model, consumer).is_none());
    anyhow::ensure!(missing.is_none(), "nobody serves {:?}", missing.map(|(model, _)| model));
    let round = median((0..ROUNDS).map(|_| {
        let started = Instant::now();
        for (model, consumer) in asked.iter().cycle().take(LOOK_UPS) {
            black_box(find(snapshot, black_box(model), consumer));
        }
        started.elapsed()
    }));
    Ok(round / u32::try_from(LOOK_UPS)?)
}

fn find<'a>(snapshot: &'a Snapshot, model: &str, consumer: &Consumer) -> Option<&'a str> {
    let (consumer, endpoint) = (Some(consumer), Some(Endpoint::ChatCompletions));
    let found = snapshot.routes.find(&Sought { model, consumer, endpoint, hostname: "" })?;
    Some(&found.route.uid)
}

fn median(samples: impl Iterator<Item = Duration>) -> Duration {
    let mut samples: Vec<_> = samples.collect();
    samples.sort_unstable();
    samples.get(samples.len() / 2).copied().unwrap_or_default()
}

/// Resident bytes (Linux, proc(5): `statm` counts pages of 4 kB).
fn resident() -> anyhow::Result<u64> {
    let statm = std::fs::read_to_string("/proc/self/statm")?;
    let pages: u64 = statm.split(' ').nth(1).unwrap_or_default().parse()?;
    Ok(pages * 4096)
}
